//! Single values: each method reserves and commits a block, then runs user code, then writes. So a
//! closure that allocates in the same arena, fails or panics finds nothing half done; at worst the
//! block stays unused until the reset.

use core::alloc::Layout;
use core::mem::needs_drop;
use core::ptr::NonNull;

use crate::arena::arena_box::ArenaBox;
use crate::arena::handle::Arena;
use crate::arena::windows::chunk::{carve_value, raised};
use crate::arena::windows::owned::Owned;
use crate::arena::windows::refusal::{Refusal, sure};
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
/// allocation loads `hi` again, and a core guesses from which store only if few others lie between
/// them: a loop of 48 B values took 0.67 ns each this way and 1.00 the other way round, one of 24 B
/// values with a push 0.89 and, in most runs of a program, 1.27. One word is 6 % faster this way.
const COMMIT_FIRST_BYTES_MAX: usize = 16;

/// Whether values of a type are passed in registers: two of them, by Rust's convention. Larger ones
/// would have to be in memory before it is known whether the slow path needs them there.
const fn is_passed_in_registers<T>() -> bool {
    size_of::<T>() <= 2 * size_of::<usize>()
}

#[allow(clippy::mut_from_ref)]
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
    pub fn alloc<T>(&self, value: T) -> &mut T {
        assert_no_drop::<T>();
        sure(self.place(value))
    }

    /// Moves `value` into the arena.
    ///
    /// # Errors
    /// The limit that was hit; `value` is gone then.
    #[inline(always)]
    pub fn try_alloc<T>(&self, value: T) -> Result<&mut T, AllocError> {
        assert_no_drop::<T>();
        self.place(value)
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
    pub fn alloc_with<T>(&self, make: impl FnOnce() -> T) -> &mut T {
        sure(self.place_with(make))
    }

    /// Builds a value in its place.
    ///
    /// # Errors
    /// The limit that was hit; `make` was not called then.
    ///
    /// # Panics
    /// When `make` does.
    #[inline(always)]
    pub fn try_alloc_with<T>(&self, make: impl FnOnce() -> T) -> Result<&mut T, AllocError> {
        self.place_with(make)
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
    pub fn alloc_try_with<T, E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&mut T, E> {
        sure(self.place_try_with(make))
    }

    /// Builds a value in its place, if `make` succeeds.
    ///
    /// # Errors
    /// Outside the limit that was hit (`make` was not called then), inside what `make` returned.
    ///
    /// # Panics
    /// When `make` does.
    #[inline(always)]
    pub fn try_alloc_try_with<T, E>(
        &self,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Result<&mut T, E>, AllocError> {
        self.place_try_with(make)
    }

    /// Moves `value` into the arena; it is dropped with the handle that comes back.
    ///
    /// # Panics
    /// When [`Arena::try_alloc_box`] would return an error.
    #[inline]
    pub fn alloc_box<T>(&self, value: T) -> ArenaBox<'_, T> {
        sure(self.place_box(value))
    }

    /// Moves `value` into the arena; it is dropped with the handle that comes back.
    ///
    /// # Errors
    /// The limit that was hit; `value` is dropped then.
    #[inline]
    pub fn try_alloc_box<T>(&self, value: T) -> Result<ArenaBox<'_, T>, AllocError> {
        self.place_box(value)
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
    pub fn alloc_owned<T: 'static + Send>(&self, value: T) -> &mut T {
        sure(self.place_owned(value))
    }

    /// Moves `value` into the arena, which drops it.
    ///
    /// # Errors
    /// The limit that was hit; `value` is dropped then.
    #[inline]
    pub fn try_alloc_owned<T: 'static + Send>(&self, value: T) -> Result<&mut T, AllocError> {
        self.place_owned(value)
    }

    /// Moves `value` into the arena and never drops it: what it holds outside the arena leaks.
    ///
    /// # Panics
    /// When [`Arena::try_alloc_leak`] would return an error.
    #[inline]
    pub fn alloc_leak<T>(&self, value: T) -> &mut T {
        sure(self.place(value))
    }

    /// Moves `value` into the arena and never drops it.
    ///
    /// # Errors
    /// The limit that was hit; `value` is dropped then.
    #[inline]
    pub fn try_alloc_leak<T>(&self, value: T) -> Result<&mut T, AllocError> {
        self.place(value)
    }

    /// Puts a value into a block of its own.
    #[inline(always)]
    fn place<T, E: Refusal>(&self, value: T) -> Result<&mut T, E> {
        if size_of::<T>() == 0 {
            // SAFETY: a block for nothing.
            return Ok(unsafe { write(NonNull::dangling(), value) });
        }
        match carve_value::<T, MIN_ALIGN>(self.state.lo.get(), self.state.hi.get()) {
            // SAFETY: an exclusive block for a `T`, cut from the window.
            Some(block) => Ok(unsafe { self.commit(block, value) }),
            None if const { is_passed_in_registers::<T>() } => self.place_slow(value),
            // SAFETY: `slow_value` gives an exclusive block for a `T`.
            None => Ok(unsafe { write(self.slow_value()?, value) }),
        }
    }

    /// [`Arena::place`] in a new chunk. A function that takes the value along is one that needs not
    /// come back: whoever calls it keeps nothing for after the call.
    #[cold]
    #[inline(never)]
    fn place_slow<T, E: Refusal>(&self, value: T) -> Result<&mut T, E> {
        // SAFETY: `slow_value` gives an exclusive block for a `T`.
        Ok(unsafe { write(self.slow_value()?, value) })
    }

    #[inline(always)]
    fn place_with<T, E: Refusal>(&self, make: impl FnOnce() -> T) -> Result<&mut T, E> {
        assert_no_drop::<T>();
        let block = self.reserve_value::<T, E>()?;
        // SAFETY: `reserve_value` gives an exclusive block for a `T`.
        Ok(unsafe { write(block, make()) })
    }

    #[inline(always)]
    fn place_try_with<T, F, E: Refusal>(
        &self,
        make: impl FnOnce() -> Result<T, F>,
    ) -> Result<Result<&mut T, F>, E> {
        assert_no_drop::<T>();
        let block = self.reserve_value::<T, E>()?;
        Ok(self.fill_or_undo(block, make()))
    }

    #[inline(always)]
    fn place_box<T, E: Refusal>(&self, value: T) -> Result<ArenaBox<'_, T>, E> {
        let block = self.reserve_value::<T, E>()?;
        // SAFETY: an exclusive block for a `T`, written before the box reaches it, and alive as
        // long as the borrow of the arena.
        unsafe {
            block.write(value);
            Ok(ArenaBox::new(block))
        }
    }

    #[inline(always)]
    fn place_owned<T: 'static + Send, E: Refusal>(&self, value: T) -> Result<&mut T, E> {
        if !needs_drop::<T>() {
            return self.place(value);
        }
        let block = self.reserve_value::<Owned<T>, E>()?;
        // SAFETY: an exclusive block for an `Owned<T>`; it stays until its values are dropped.
        Ok(unsafe { &mut *self.state.owned.push(block, value).as_ptr() })
    }

    /// Makes a block the high end and writes its value. Which of them comes first is a question of
    /// speed only, since nothing runs between them: see [`COMMIT_FIRST_BYTES_MAX`].
    ///
    /// # Safety
    /// The block was cut from the high end of the window for a `T`.
    #[inline(always)]
    unsafe fn commit<T>(&self, block: NonNull<u8>, value: T) -> &mut T {
        if size_of::<T>() <= COMMIT_FIRST_BYTES_MAX {
            self.state.hi.set(block);
        }
        // SAFETY: the caller's promise.
        let value = unsafe { write(block.cast(), value) };
        if size_of::<T>() > COMMIT_FIRST_BYTES_MAX {
            self.state.hi.set(block);
        }
        value
    }

    /// Writes the value into its block, or takes the block back.
    #[inline(always)]
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
