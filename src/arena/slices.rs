//! Slices, strings, iterators and formatted text.
//!
//! A slice of known length is cut off the high end, text and bytes off the low one, where they are
//! packed. What grows while user code runs (iterators, formatting) grows at the low end as a vector
//! does. As with single values: reserve, commit, run user code, write.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::arena::handle::Arena;
use crate::arena::values::assert_no_drop;
use crate::arena::windows::chunk::{End, end_of};
use crate::arena::windows::copying;
use crate::arena::windows::refusal::{Refusal, sure};
use crate::base::error::AllocError;
use crate::base::trap::or_refuse;

#[allow(clippy::mut_from_ref)]
impl<const MIN_ALIGN: usize> Arena<MIN_ALIGN> {
    /// Copies a string.
    ///
    /// ```
    /// let arena = flagstone::Arena::new();
    /// let s: &mut str = arena.alloc_str("hello");
    /// s.make_ascii_uppercase();
    /// assert_eq!(s, "HELLO");
    /// ```
    ///
    /// # Panics
    /// When [`Arena::try_alloc_str`] would return an error.
    #[inline]
    pub fn alloc_str(&self, text: &str) -> &mut str {
        let bytes = self.alloc_slice_copy(text.as_bytes());
        // SAFETY: a copy of UTF-8.
        unsafe { core::str::from_utf8_unchecked_mut(bytes) }
    }

    /// Copies a string.
    ///
    /// # Errors
    /// The limit that was hit.
    #[inline]
    pub fn try_alloc_str(&self, text: &str) -> Result<&mut str, AllocError> {
        let bytes = self.try_alloc_slice_copy(text.as_bytes())?;
        // SAFETY: a copy of UTF-8.
        Ok(unsafe { core::str::from_utf8_unchecked_mut(bytes) })
    }

    /// Copies a slice of values that are plain bits.
    ///
    /// # Panics
    /// When [`Arena::try_alloc_slice_copy`] would return an error.
    #[inline]
    pub fn alloc_slice_copy<T: Copy>(&self, values: &[T]) -> &mut [T] {
        sure(self.copy_slice(values))
    }

    /// Copies a slice of values that are plain bits.
    ///
    /// # Errors
    /// The limit that was hit.
    #[inline]
    pub fn try_alloc_slice_copy<T: Copy>(&self, values: &[T]) -> Result<&mut [T], AllocError> {
        self.copy_slice(values)
    }

    /// Clones a slice, value by value.
    ///
    /// # Panics
    /// When a clone does, or [`Arena::try_alloc_slice_clone`] would return an error.
    #[inline]
    pub fn alloc_slice_clone<T: Clone>(&self, values: &[T]) -> &mut [T] {
        self.alloc_slice_fill_with(values.len(), |index| values[index].clone())
    }

    /// Clones a slice, value by value.
    ///
    /// # Errors
    /// The limit that was hit; nothing was cloned then.
    ///
    /// # Panics
    /// When a clone does.
    #[inline]
    pub fn try_alloc_slice_clone<T: Clone>(&self, values: &[T]) -> Result<&mut [T], AllocError> {
        self.try_alloc_slice_fill_with(values.len(), |index| values[index].clone())
    }

    /// `len` copies of `value`.
    ///
    /// # Panics
    /// When [`Arena::try_alloc_slice_fill_copy`] would return an error.
    #[inline]
    pub fn alloc_slice_fill_copy<T: Copy>(&self, len: usize, value: T) -> &mut [T] {
        self.alloc_slice_fill_with(len, |_| value)
    }

    /// `len` copies of `value`.
    ///
    /// # Errors
    /// The limit that was hit, or that the size is too large for any.
    #[inline]
    pub fn try_alloc_slice_fill_copy<T: Copy>(
        &self,
        len: usize,
        value: T,
    ) -> Result<&mut [T], AllocError> {
        self.try_alloc_slice_fill_with(len, |_| value)
    }

    /// `len` clones of `value`.
    ///
    /// # Panics
    /// When a clone does, or [`Arena::try_alloc_slice_fill_clone`] would return an error.
    #[inline]
    pub fn alloc_slice_fill_clone<T: Clone>(&self, len: usize, value: &T) -> &mut [T] {
        self.alloc_slice_fill_with(len, |_| value.clone())
    }

    /// `len` clones of `value`.
    ///
    /// # Errors
    /// The limit that was hit, or that the size is too large for any.
    ///
    /// # Panics
    /// When a clone does.
    #[inline]
    pub fn try_alloc_slice_fill_clone<T: Clone>(
        &self,
        len: usize,
        value: &T,
    ) -> Result<&mut [T], AllocError> {
        self.try_alloc_slice_fill_with(len, |_| value.clone())
    }

    /// `len` default values.
    ///
    /// # Panics
    /// When a default does, or [`Arena::try_alloc_slice_fill_default`] would return an error.
    #[inline]
    pub fn alloc_slice_fill_default<T: Default>(&self, len: usize) -> &mut [T] {
        self.alloc_slice_fill_with(len, |_| T::default())
    }

    /// `len` default values.
    ///
    /// # Errors
    /// The limit that was hit, or that the size is too large for any.
    ///
    /// # Panics
    /// When a default does.
    #[inline]
    pub fn try_alloc_slice_fill_default<T: Default>(
        &self,
        len: usize,
    ) -> Result<&mut [T], AllocError> {
        self.try_alloc_slice_fill_with(len, |_| T::default())
    }

    /// `len` values, made from their indices in order. A type that needs drop is a compile error.
    ///
    /// ```
    /// let arena = flagstone::Arena::new();
    /// let squares: &mut [u64] = arena.alloc_slice_fill_with(4, |i| (i * i) as u64);
    /// assert_eq!(squares, [0, 1, 4, 9]);
    /// ```
    ///
    /// # Panics
    /// When `make` does, or [`Arena::try_alloc_slice_fill_with`] would return an error.
    #[inline]
    pub fn alloc_slice_fill_with<T>(&self, len: usize, make: impl FnMut(usize) -> T) -> &mut [T] {
        or_refuse(self.try_alloc_slice_fill_with(len, make))
    }

    /// `len` values, made from their indices in order.
    ///
    /// # Errors
    /// The limit that was hit, or that the size is too large for any; `make` was not called then.
    ///
    /// # Panics
    /// When `make` does.
    #[inline]
    pub fn try_alloc_slice_fill_with<T>(
        &self,
        len: usize,
        mut make: impl FnMut(usize) -> T,
    ) -> Result<&mut [T], AllocError> {
        assert_no_drop::<T>();
        let layout = Layout::array::<T>(len).map_err(|_| AllocError::LayoutTooLarge)?;
        let block = self.reserve_slice::<T, AllocError>(layout)?;
        for index in 0..len {
            // SAFETY: within the block of `len` values. When `make` panics, what was written needs
            // no drop.
            unsafe { block.add(index).write(make(index)) };
        }
        // SAFETY: the block is exclusive, lives as long as the borrow, and all of it is written.
        Ok(unsafe { core::slice::from_raw_parts_mut(block.as_ptr(), len) })
    }

    #[inline(always)]
    fn copy_slice<T: Copy, E: Refusal>(&self, values: &[T]) -> Result<&mut [T], E> {
        let block = self.reserve_slice(Layout::for_value(values))?;
        // SAFETY: an exclusive block of the slice's layout.
        Ok(unsafe { copy(block, values) })
    }

    /// An exclusive block for values of type `T`, uninitialised.
    #[inline(always)]
    fn reserve_slice<T, E: Refusal>(&self, layout: Layout) -> Result<NonNull<T>, E> {
        let block = match end_of::<T>() {
            End::Up => self.state.reserve_bytes(layout.size()),
            End::Down => self.reserve_down(layout),
        };
        block.map(NonNull::cast)
    }
}

/// # Safety
/// `block` is an exclusive block for as many values, and stays one for `'a`.
#[inline(always)]
unsafe fn copy<'a, T: Copy>(block: NonNull<T>, values: &[T]) -> &'a mut [T] {
    // SAFETY: the caller's promise; a fresh block overlaps nothing that is borrowed.
    unsafe {
        copying::copy(values.as_ptr(), block.as_ptr(), values.len(), end_of::<T>());
        core::slice::from_raw_parts_mut(block.as_ptr(), values.len())
    }
}
