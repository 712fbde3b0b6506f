//! Single values: each method reserves and commits a block, then runs user code, then writes. So a
//! closure that allocates in the same arena, fails or panics finds nothing half done; at worst the
//! block stays unused until the reset.

use core::alloc::Layout;
use core::mem::needs_drop;
use core::ptr::NonNull;

use crate::arena::arena_box::ArenaBox;
use crate::arena::chunk::is_found_at_the_end;
use crate::arena::handle::{Arena, raised};
use crate::arena::owned::Owned;
use crate::base::error::AllocError;

/// Refuses to compile for a type whose values would have to be dropped.
pub(crate) const fn assert_no_drop<T>() {
    const {
        assert!(
            !needs_drop::<T>(),
            "this type needs drop, which an arena does not run: use alloc_box (dropped with the \
             handle), alloc_owned (dropped by the arena) or alloc_leak (never dropped)"
        );
    }
}

/// Up to this size a value is written after its block is committed, else before. The next
/// allocation loads `hi` again: a core hands a store's value to a load sooner, and guesses more
/// often that it can, when few stores lie between them. For one or two words it makes no
/// difference, or is a little slower.
const COMMIT_FIRST_BYTES_MAX: usize = 16;

/// Whether a `T` is written before its block is committed.
const fn is_written_first<T>() -> bool {
    size_of::<T>() > COMMIT_FIRST_BYTES_MAX && is_found_at_the_end::<T>()
}

impl<const MIN_ALIGN: usize> Arena<MIN_ALIGN> {
    /// Moves `value` into the arena.
    ///
    /// A type that needs drop is a compile error that names the ways out:
    /// [`alloc_box`](Arena::alloc_box), [`alloc_owned`](Arena::alloc_owned),
    /// [`alloc_leak`](Arena::alloc_leak).
    /// ```
    /// let arena = flagstone::Arena::new();
    /// let n: &mut u64 = arena.alloc(7);
    /// *n += 1;
    /// ```
    /// ```compile_fail
    /// let arena = flagstone::Arena::new();
    /// arena.alloc(String::from("would leak"));
    /// ```
    ///
    /// # Panics
    /// When [`Arena::try_alloc`] would return an error.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub fn alloc<T>(&self, value: T) -> &mut T {
        assert_no_drop::<T>();
        self.place(value)
    }

    /// Moves `value` into the arena.
    ///
    /// # Errors
    /// The limit that was hit; `value` is gone then.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub fn try_alloc<T>(&self, value: T) -> Result<&mut T, AllocError> {
        assert_no_drop::<T>();
        self.try_place(value)
    }

    /// Builds a value in its place: a large one need not lie on the stack first.
    ///
    /// ```
    /// let arena = flagstone::Arena::new();
    /// let page: &mut [u8; 4096] = arena.alloc_with(|| [0; 4096]);
    /// ```
    ///
    /// # Panics
    /// When `make` does, or [`Arena::try_alloc`] would return an error.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub fn alloc_with<T>(&self, make: impl FnOnce() -> T) -> &mut T {
        assert_no_drop::<T>();
        let block = self.reserve_value::<T>();
        // SAFETY: `reserve_value` gives an exclusive block for a `T`.
        unsafe { write(block, make()) }
    }

    /// Builds a value in its place.
    ///
    /// # Errors
    /// The limit that was hit; `make` was not called then.
    ///
    /// # Panics
    /// When `make` does.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub fn try_alloc_with<T>(&self, make: impl FnOnce() -> T) -> Result<&mut T, AllocError> {
        assert_no_drop::<T>();
        let block = self.try_reserve_value::<T>()?;
        // SAFETY: `try_reserve_value` gives an exclusive block for a `T`.
        Ok(unsafe { write(block, make()) })
    }

    /// Builds a value in its place, if `make` succeeds. When it fails and allocated nothing itself,
    /// its memory is free again.
    ///
    /// ```
    /// let arena = flagstone::Arena::new();
    /// let parsed: Result<&mut u64, _> = arena.alloc_try_with(|| "12x".parse());
    /// assert!(parsed.is_err());
    /// assert_eq!(arena.used_bytes(), 0);
    /// ```
    ///
    /// # Errors
    /// What `make` returned.
    ///
    /// # Panics
    /// When `make` does, or [`Arena::try_alloc`] would return an error.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub fn alloc_try_with<T, E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&mut T, E> {
        assert_no_drop::<T>();
        let block = self.reserve_value::<T>();
        self.fill_or_undo(block, make())
    }

    /// Builds a value in its place, if `make` succeeds.
    ///
    /// # Errors
    /// Outside the limit that was hit (`make` was not called then), inside what `make` returned.
    ///
    /// # Panics
    /// When `make` does.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub fn try_alloc_try_with<T, E>(
        &self,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Result<&mut T, E>, AllocError> {
        assert_no_drop::<T>();
        let block = self.try_reserve_value::<T>()?;
        Ok(self.fill_or_undo(block, make()))
    }

    /// Moves `value` into the arena; it is dropped with the handle that comes back.
    ///
    /// # Panics
    /// When [`Arena::try_alloc_box`] would return an error.
    #[inline]
    pub fn alloc_box<T>(&self, value: T) -> ArenaBox<'_, T> {
        let block = self.reserve_value::<T>();
        // SAFETY: an exclusive block for a `T`, written before the box reaches it, and alive as
        // long as the borrow of the arena.
        unsafe {
            block.write(value);
            ArenaBox::new(block)
        }
    }

    /// Moves `value` into the arena; it is dropped with the handle that comes back.
    ///
    /// # Errors
    /// The limit that was hit; `value` is dropped then.
    #[inline]
    pub fn try_alloc_box<T>(&self, value: T) -> Result<ArenaBox<'_, T>, AllocError> {
        let block = self.try_reserve_value::<T>()?;
        // SAFETY: as in `alloc_box`.
        unsafe {
            block.write(value);
            Ok(ArenaBox::new(block))
        }
    }

    /// Moves `value` into the arena, which drops it when it is reset or dropped, or when the scope
    /// ends: newest first. Costs two words beside the value if that needs drop.
    ///
    /// ```
    /// let arena = flagstone::Arena::new();
    /// let name: &mut String = arena.alloc_owned(String::from("dropped by the arena"));
    /// name.push('!');
    /// ```
    /// The value must outlive every borrow and may be dropped on any thread:
    /// ```compile_fail
    /// let arena = flagstone::Arena::new();
    /// arena.alloc_owned(std::rc::Rc::new(1));
    /// ```
    ///
    /// # Panics
    /// When [`Arena::try_alloc_owned`] would return an error.
    #[inline]
    #[allow(clippy::mut_from_ref)]
    pub fn alloc_owned<T: 'static + Send>(&self, value: T) -> &mut T {
        if needs_drop::<T>() {
            let block = self.reserve_value::<Owned<T>>();
            // SAFETY: an exclusive block for an `Owned<T>`; it stays until its values are dropped.
            unsafe { &mut *self.state.owned.push(block, value).as_ptr() }
        } else {
            self.alloc_leak(value)
        }
    }

    /// Moves `value` into the arena, which drops it.
    ///
    /// # Errors
    /// The limit that was hit; `value` is dropped then.
    #[inline]
    #[allow(clippy::mut_from_ref)]
    pub fn try_alloc_owned<T: 'static + Send>(&self, value: T) -> Result<&mut T, AllocError> {
        if needs_drop::<T>() {
            let block = self.try_reserve_value::<Owned<T>>()?;
            // SAFETY: as in `alloc_owned`.
            Ok(unsafe { &mut *self.state.owned.push(block, value).as_ptr() })
        } else {
            self.try_alloc_leak(value)
        }
    }

    /// Moves `value` into the arena and never drops it: what it holds outside the arena leaks.
    ///
    /// # Panics
    /// When [`Arena::try_alloc_leak`] would return an error.
    #[inline]
    #[allow(clippy::mut_from_ref)]
    pub fn alloc_leak<T>(&self, value: T) -> &mut T {
        self.place(value)
    }

    /// Moves `value` into the arena and never drops it.
    ///
    /// # Errors
    /// The limit that was hit; `value` is dropped then.
    #[inline]
    #[allow(clippy::mut_from_ref)]
    pub fn try_alloc_leak<T>(&self, value: T) -> Result<&mut T, AllocError> {
        self.try_place(value)
    }

    /// Puts a value into a block of its own.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    fn place<T>(&self, value: T) -> &mut T {
        if !const { is_written_first::<T>() } {
            // SAFETY: `reserve_value` gives an exclusive block for a `T`.
            return unsafe { write(self.reserve_value::<T>(), value) };
        }
        let block = self.carve_or_claim::<T>();
        // SAFETY: an exclusive block for a `T` as soon as it is committed, and nothing runs before.
        let value = unsafe { write(block.cast(), value) };
        self.state.hi.set(block);
        value
    }

    /// Puts a value into a block of its own, or says why there is none.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    fn try_place<T>(&self, value: T) -> Result<&mut T, AllocError> {
        if !const { is_written_first::<T>() } {
            // SAFETY: `try_reserve_value` gives an exclusive block for a `T`.
            return Ok(unsafe { write(self.try_reserve_value::<T>()?, value) });
        }
        let block = self.try_carve_or_claim::<T>()?;
        // SAFETY: as in `place`.
        let value = unsafe { write(block.cast(), value) };
        self.state.hi.set(block);
        Ok(value)
    }

    /// Writes the value into its block, or takes the block back.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    fn fill_or_undo<T, E>(&self, block: NonNull<T>, made: Result<T, E>) -> Result<&mut T, E> {
        match made {
            // SAFETY: the block was reserved for a `T` and shown to nobody.
            Ok(value) => Ok(unsafe { write(block, value) }),
            Err(error) => {
                if size_of::<T>() > 0 {
                    let layout = Layout::new::<T>();
                    let align = raised::<MIN_ALIGN>(layout);
                    self.state.undo_down(block.cast(), layout.size(), align);
                }
                Err(error)
            }
        }
    }
}

/// # Safety
/// `block` is an exclusive block for a `T` that stays one for `'a`.
#[inline(always)]
unsafe fn write<'a, T>(block: NonNull<T>, value: T) -> &'a mut T {
    // SAFETY: the caller's promise; the value is written before the reference exists.
    unsafe {
        block.write(value);
        &mut *block.as_ptr()
    }
}
