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

use crate::arena::chunk::{
    End, Window, carve_down, carve_packed, carve_value, is_found_at_the_end,
};
use crate::arena::copying;
use crate::arena::handle::raised;
use crate::arena::slices::end_of;
use crate::arena::state::State;
use crate::arena::typed::assert_no_drop;
use crate::base::error::AllocError;
use crate::base::trap::refused;

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
        assert_no_drop::<T>();
        let block = match self.fast_value::<T>() {
            Some(block) => block,
            None => self.slow_value::<T>(),
        };
        // SAFETY: an exclusive block for a `T`, alive as long as the arena is borrowed.
        unsafe {
            block.write(make());
            &mut *block.as_ptr()
        }
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
        assert_no_drop::<T>();
        let block = match self.fast_value::<T>() {
            Some(block) => block,
            None => self.try_slow_value::<T>()?,
        };
        // SAFETY: an exclusive block for a `T`, alive as long as the arena is borrowed.
        unsafe {
            block.write(make());
            Ok(&mut *block.as_ptr())
        }
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
        let end = end_of::<T>();
        let layout = Layout::for_value(values);
        let block = match self.fast(layout, end) {
            Some(block) => block.cast::<T>(),
            None => self.try_slow(layout, end)?.cast(),
        };
        // SAFETY: an exclusive block for as many values, alive as long as the arena is borrowed.
        Ok(unsafe { copied(block, values, end) })
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
        let end = end_of::<T>();
        let layout = Layout::for_value(values);
        let block = match self.fast(layout, end) {
            Some(block) => block.cast::<T>(),
            None => self.slow(layout, end).cast(),
        };
        // SAFETY: an exclusive block for as many values, alive as long as the arena is borrowed.
        unsafe { copied(block, values, end) }
    }

    #[inline(always)]
    fn slow_value<T>(&mut self) -> NonNull<T> {
        let layout = Layout::new::<T>();
        if !const { is_found_at_the_end::<T>() } {
            return self.slow(layout, End::Down).cast();
        }
        let align = raised::<MIN_ALIGN>(layout);
        self.window = self
            .state
            .refill_down_or_refuse(self.window, layout.size(), align);
        self.window.hi.cast()
    }

    #[inline(always)]
    fn try_slow_value<T>(&mut self) -> Result<NonNull<T>, AllocError> {
        let layout = Layout::new::<T>();
        if !const { is_found_at_the_end::<T>() } {
            return self.try_slow(layout, End::Down).map(NonNull::cast);
        }
        let align = raised::<MIN_ALIGN>(layout);
        self.window = self.state.refill_down(self.window, layout.size(), align)?;
        Ok(self.window.hi.cast())
    }

    #[inline(always)]
    fn slow(&mut self, layout: Layout, end: End) -> NonNull<u8> {
        let align = slow_align::<MIN_ALIGN>(layout, end);
        let refilled = self
            .state
            .refill_or_refuse(self.window, layout.size(), align, end);
        self.window = refilled.1;
        refilled.0
    }

    #[inline(always)]
    fn try_slow(&mut self, layout: Layout, end: End) -> Result<NonNull<u8>, AllocError> {
        let align = slow_align::<MIN_ALIGN>(layout, end);
        let refilled = self.state.refill(self.window, layout.size(), align, end)?;
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

impl State {
    /// [`State::refill`] for a small value: the high end of the window that comes back is the block
    /// (session.rs, I3).
    #[cold]
    #[inline(never)]
    fn refill_down(&self, window: Window, size: usize, align: usize) -> Result<Window, AllocError> {
        let (block, window) = self.refill(window, size, align, End::Down)?;
        Ok(self.end_at(block, window))
    }

    /// A window whose high end is a block that was just served: the one that stayed, unless the
    /// block has a chunk to itself; then one without room, and the other is abandoned. So a caller
    /// needs to be told one address, not two.
    fn end_at(&self, block: NonNull<u8>, window: Window) -> Window {
        if window.hi == block {
            return window;
        }
        self.abandon(window);
        Window {
            lo: block,
            hi: block,
            chunk: None,
        }
    }

    /// [`State::refill_down`] for the infallible forms.
    #[cold]
    #[inline(never)]
    fn refill_down_or_refuse(&self, window: Window, size: usize, align: usize) -> Window {
        match self.refill_down(window, size, align) {
            Ok(window) => window,
            Err(error) => refused(error),
        }
    }

    /// The slow step of a session's infallible forms.
    #[cold]
    #[inline(never)]
    fn refill_or_refuse(
        &self,
        window: Window,
        size: usize,
        align: usize,
        end: End,
    ) -> (NonNull<u8>, Window) {
        match self.refill(window, size, align, end) {
            Ok(refilled) => refilled,
            Err(error) => refused(error),
        }
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

#[cfg(test)]
mod tests {
    use crate::arena::handle::Arena;
    use core::ptr::NonNull;

    /// No arena of regular chunks comes here: a block that small is always cut from the new window.
    #[test]
    fn a_block_with_a_chunk_to_itself_leaves_a_window_without_room() {
        let arena = Arena::new();
        let first = *arena.alloc(7u64);
        let own = NonNull::from(arena.alloc([0u64; 508])).cast::<u8>();
        let used = arena.used_bytes();
        let window = arena.state.lend_window();
        let room = window.room();
        let left = arena.state.end_at(own, window);
        assert!(left.hi == own && left.room() == 0 && left.chunk.is_none());
        arena.state.return_window(left.lo, left.hi, left.chunk);
        assert_eq!(arena.used_bytes(), used);
        assert_eq!(arena.stats().abandoned_bytes, room);
        // The arena goes on in another chunk.
        assert_eq!((first, *arena.alloc(8u64)), (7, 8));
    }
}
