//! [`Session`]: both ends of a chunk in registers.
//!
//! I1: the window here is the only one of its chunk; the arena's own is empty or another chunk's
//!     until it is given back. Forgetting a session loses the window, nothing else.
//! I2: no method takes the session by reference into code that is not inlined; the slow step takes
//!     and returns the window by value. Else the two ends would live in memory.
//! I3: the slow step of a small value returns a window whose high end is the block, as the fast one
//!     leaves it: the block and the end are one register, not two that are copied each time.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use crate::arena::handle::Arena;
use crate::arena::values::assert_no_drop;
use crate::arena::windows::chunk::{
    End, Window, carve_down, carve_packed, carve_value, end_of, is_found_at_the_end, raised,
};
use crate::arena::windows::copying;
use crate::arena::windows::refusal::{Refusal, sure};
use crate::arena::windows::state::State;
use crate::base::error::AllocError;

/// The fastest way to allocate in a loop; comes from [`Arena::session`](crate::Arena::session).
///
/// ```
/// let arena = flagstone::Arena::new();
/// let mut session = arena.session();
/// let word = session.alloc_str("word");
/// let pair = session.alloc([1, 2]);
/// drop(session);
/// assert_eq!((&*word, *pair), ("word", [1, 2]));
/// ```
pub struct Session<'a, const MIN_ALIGN: usize = 8> {
    window: Window,
    state: &'a State,
}

impl<const MIN_ALIGN: usize> Arena<MIN_ALIGN> {
    /// Holds both ends of the current chunk in registers until it is dropped: the fastest way to
    /// allocate in a loop. What it makes lives as long as the borrow of the arena.
    ///
    /// The arena stays usable meanwhile, through a chunk of its own; a session that is forgotten
    /// costs the rest of the chunk it held.
    ///
    /// ```
    /// let arena = flagstone::Arena::new();
    /// let mut session = arena.session();
    /// let kept: Vec<&mut u64> = (0..9).map(|i| session.alloc(i)).collect();
    /// drop(session);
    /// assert_eq!(kept.iter().map(|n| **n).sum::<u64>(), 36);
    /// assert_eq!(arena.used_bytes(), 72);
    /// ```
    #[inline]
    pub fn session(&self) -> Session<'_, MIN_ALIGN> {
        Session::new(&self.state)
    }
}

impl<'a, const MIN_ALIGN: usize> Session<'a, MIN_ALIGN> {
    #[inline(always)]
    pub(crate) fn new(state: &'a State) -> Self {
        Session {
            window: state.lend_window(),
            state,
        }
    }

    /// Moves `value` into the arena. A type that needs drop is a compile error.
    ///
    /// # Panics
    /// When [`Session::try_alloc`] would return an error.
    #[inline(always)]
    pub fn alloc<T>(&mut self, value: T) -> &'a mut T {
        self.alloc_with(|| value)
    }

    /// Moves `value` into the arena.
    ///
    /// # Errors
    /// The limit that was hit; `value` is gone then.
    #[inline(always)]
    pub fn try_alloc<T>(&mut self, value: T) -> Result<&'a mut T, AllocError> {
        self.try_alloc_with(|| value)
    }

    /// Builds a value in its place.
    ///
    /// # Panics
    /// When `make` does, or [`Session::try_alloc`] would return an error.
    #[inline(always)]
    pub fn alloc_with<T>(&mut self, make: impl FnOnce() -> T) -> &'a mut T {
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
    pub fn try_alloc_with<T>(&mut self, make: impl FnOnce() -> T) -> Result<&'a mut T, AllocError> {
        self.place_with(make)
    }

    /// Copies a string.
    ///
    /// # Errors
    /// The limit that was hit.
    #[inline(always)]
    pub fn try_alloc_str(&mut self, text: &str) -> Result<&'a mut str, AllocError> {
        let bytes = self.try_alloc_slice_copy(text.as_bytes())?;
        // SAFETY: a copy of UTF-8.
        Ok(unsafe { core::str::from_utf8_unchecked_mut(bytes) })
    }

    /// Copies a slice of values that are plain bits.
    ///
    /// # Errors
    /// The limit that was hit.
    #[inline(always)]
    pub fn try_alloc_slice_copy<T: Copy>(
        &mut self,
        values: &[T],
    ) -> Result<&'a mut [T], AllocError> {
        self.copy_slice(values)
    }

    /// Copies a string.
    ///
    /// # Panics
    /// When [`Session::try_alloc_str`] would return an error.
    #[inline(always)]
    pub fn alloc_str(&mut self, text: &str) -> &'a mut str {
        let bytes = self.alloc_slice_copy(text.as_bytes());
        // SAFETY: a copy of UTF-8.
        unsafe { core::str::from_utf8_unchecked_mut(bytes) }
    }

    /// Copies a slice of values that are plain bits.
    ///
    /// # Panics
    /// When [`Session::try_alloc_slice_copy`] would return an error.
    #[inline(always)]
    pub fn alloc_slice_copy<T: Copy>(&mut self, values: &[T]) -> &'a mut [T] {
        sure(self.copy_slice(values))
    }

    #[inline(always)]
    fn place_with<T, E: Refusal>(&mut self, make: impl FnOnce() -> T) -> Result<&'a mut T, E> {
        assert_no_drop::<T>();
        let block = match self.fast_value::<T>() {
            Some(block) => block,
            None => self.slow_value::<T, E>()?,
        };
        // SAFETY: an exclusive block for a `T`, alive as long as the arena is borrowed.
        unsafe {
            block.write(make());
            Ok(&mut *block.as_ptr())
        }
    }

    #[inline(always)]
    fn copy_slice<T: Copy, E: Refusal>(&mut self, values: &[T]) -> Result<&'a mut [T], E> {
        let (end, layout) = (end_of::<T>(), Layout::for_value(values));
        let block = match self.fast(layout, end) {
            Some(block) => block,
            None => self.slow(layout, end)?,
        };
        // SAFETY: an exclusive block for as many values, alive as long as the arena is borrowed.
        Ok(unsafe { copied(block.cast(), values, end) })
    }

    #[inline(always)]
    fn slow_value<T, E: Refusal>(&mut self) -> Result<NonNull<T>, E> {
        let layout = Layout::new::<T>();
        if !const { is_found_at_the_end::<T>() } {
            return self.slow(layout, End::Down).map(NonNull::cast);
        }
        let align = raised::<MIN_ALIGN>(layout);
        self.window = self.state.refill_down(self.window, layout.size(), align)?;
        Ok(self.window.hi.cast())
    }

    #[inline(always)]
    fn slow<E: Refusal>(&mut self, layout: Layout, end: End) -> Result<NonNull<u8>, E> {
        let align = slow_align::<MIN_ALIGN>(layout, end);
        let refilled = self
            .state
            .refill_for(self.window, layout.size(), align, end)?;
        self.window = refilled.1;
        Ok(refilled.0)
    }

    #[inline(always)]
    fn fast_value<T>(&mut self) -> Option<NonNull<T>> {
        if size_of::<T>() == 0 {
            return Some(NonNull::dangling());
        }
        let block = carve_value::<T, MIN_ALIGN>(self.window.lo, self.window.hi)?;
        self.window.hi = block;
        Some(block.cast())
    }

    #[inline(always)]
    fn fast(&mut self, layout: Layout, end: End) -> Option<NonNull<u8>> {
        let (lo, hi) = (self.window.lo, self.window.hi);
        match end {
            End::Down => {
                let block = carve_down::<MIN_ALIGN>(lo, hi, layout.size(), layout.align())?;
                self.window.hi = block;
                Some(block)
            }
            End::Up => {
                // Only bytes go up: see `end_of`.
                self.window.lo = carve_packed(lo, hi, layout.size())?;
                Some(lo)
            }
        }
    }
}

/// # Safety
/// `block` is an exclusive block of that end for as many values, and stays one for `'a`.
#[inline(always)]
unsafe fn copied<'a, T: Copy>(block: NonNull<T>, values: &[T], end: End) -> &'a mut [T] {
    // SAFETY: the caller's promise; a fresh block overlaps nothing that is borrowed.
    unsafe {
        copying::copy(values.as_ptr(), block.as_ptr(), values.len(), end);
        core::slice::from_raw_parts_mut(block.as_ptr(), values.len())
    }
}

/// The alignment of a slow request: the high end stays at multiples of the minimum.
#[inline(always)]
fn slow_align<const MIN_ALIGN: usize>(layout: Layout, end: End) -> usize {
    match end {
        End::Down => raised::<MIN_ALIGN>(layout),
        End::Up => layout.align(),
    }
}

impl<const MIN_ALIGN: usize> Drop for Session<'_, MIN_ALIGN> {
    #[inline(always)]
    fn drop(&mut self) {
        self.state
            .return_window(self.window.lo, self.window.hi, self.window.chunk);
    }
}

impl<const MIN_ALIGN: usize> fmt::Debug for Session<'_, MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("free_bytes", &self.window.room())
            .finish()
    }
}
