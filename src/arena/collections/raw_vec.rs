//! [`RawVec`]: the values of a vector in their buffer, without the arena. Every vector and string
//! stands on it; what grows one is told where.
//!
//! I1: `ptr` is a block of `capacity` values of some arena, at its low end (dangling when the
//!     capacity is 0 or the values are zero-sized), or the front of one; the first `len` of them
//!     are initialised. Nobody else refers to the block.
//! I2: no user code runs while `len` counts a value that is not initialised. Values need no drop,
//!     so losing some is never wrong.
//! I3: no method that is called in a loop takes the vector by reference into code that is not
//!     inlined: the slow step takes and returns pointer and capacity by value. Else they and the
//!     length would live in memory, and each push would store the length.
//!
//! What runs user code, or hands out values one by one, while the vector is taken apart does so
//! through a [`Gap`].
//!
//! G1: of a vector with a gap the first `len` values are initialised, and so are `tail..end`; what
//!     lies between them is nobody's. Dropping the gap closes it; forgetting it loses the tail,
//!     which needs no drop.

use core::alloc::Layout;
use core::ops::{Bound, Range, RangeBounds};
use core::ptr::NonNull;

use crate::arena::windows::chunk::End;
use crate::arena::windows::copying;
use crate::arena::windows::state::State;
use crate::base::error::AllocError;

/// See the module's header.
pub(super) struct RawVec<T> {
    pub(super) ptr: NonNull<T>,
    pub(super) len: usize,
    pub(super) capacity: usize,
}

impl<T> RawVec<T> {
    pub(super) const fn new() -> RawVec<T> {
        RawVec {
            ptr: NonNull::dangling(),
            len: 0,
            capacity: if size_of::<T>() == 0 { usize::MAX } else { 0 },
        }
    }

    /// # Safety
    /// `len < capacity`.
    #[inline(always)]
    pub(super) unsafe fn push_within(&mut self, value: T) {
        // SAFETY: the caller's promise.
        unsafe { self.ptr.add(self.len).write(value) };
        self.len += 1;
    }

    /// # Safety
    /// There is room for `values`.
    #[inline(always)]
    pub(super) unsafe fn extend_within(&mut self, values: &[T])
    where
        T: Copy,
    {
        // SAFETY: the caller's promise; the unused tail is not borrowed by anybody.
        unsafe {
            let tail = self.ptr.add(self.len).as_ptr();
            copying::copy(values.as_ptr(), tail, values.len(), End::Up);
        }
        self.len += values.len();
    }

    /// Makes room for `additional` values at the end. I3 is why nothing is passed by reference.
    #[inline(always)]
    pub(super) fn grow_or_refuse(&mut self, state: &State, additional: usize) {
        let needed = self.len.saturating_add(additional);
        let element = Layout::new::<T>();
        // SAFETY: the buffer is a block for `capacity` values at the low end (I1).
        let grown =
            unsafe { state.grow_buffer_or_refuse(self.ptr.cast(), self.capacity, needed, element) };
        (self.ptr, self.capacity) = (grown.0.cast(), grown.1);
    }

    /// [`RawVec::grow_or_refuse`] that can fail.
    #[inline(always)]
    pub(super) fn grow(&mut self, state: &State, additional: usize) -> Result<(), AllocError> {
        let needed = self.len.saturating_add(additional);
        let element = Layout::new::<T>();
        // SAFETY: the buffer is a block for `capacity` values at the low end (I1).
        let grown = unsafe { state.grow_buffer(self.ptr.cast(), self.capacity, needed, element)? };
        (self.ptr, self.capacity) = (grown.0.cast(), grown.1);
        Ok(())
    }

    /// Makes room for `additional` more values.
    #[inline(always)]
    pub(super) fn try_reserve(
        &mut self,
        state: &State,
        additional: usize,
    ) -> Result<(), AllocError> {
        if additional > self.capacity - self.len {
            self.grow(state, additional)
        } else {
            Ok(())
        }
    }

    /// Sets the capacity of a vector of sized values to more than it is.
    pub(super) fn set_capacity(
        &mut self,
        state: &State,
        capacity: usize,
    ) -> Result<(), AllocError> {
        let (buffer, element) = (self.ptr.cast(), Layout::new::<T>());
        // SAFETY: the buffer is a block for `capacity` values at the low end (I1).
        self.ptr = unsafe { state.resize_buffer(buffer, self.capacity, capacity, element)? }.cast();
        self.capacity = capacity;
        Ok(())
    }

    /// Gives unused room beyond `capacity` values back, if the buffer is the last thing at its end.
    pub(super) fn shrink_to(&mut self, state: &State, capacity: usize) {
        let capacity = capacity.max(self.len);
        if size_of::<T>() == 0 || capacity >= self.capacity {
            return;
        }
        let buffer = self.ptr.cast();
        let [full, wanted] = [self.capacity, capacity].map(|count| count * size_of::<T>());
        if state.is_resizable(buffer, full) {
            // SAFETY: the buffer is a block of `full` bytes (I1); only unused room ends.
            unsafe { state.truncate(buffer, full, wanted) };
            self.capacity = capacity;
        }
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: initialised (I1), and no longer counted.
        Some(unsafe { self.ptr.add(self.len).read() })
    }

    pub(super) fn try_insert(
        &mut self,
        state: &State,
        index: usize,
        value: T,
    ) -> Result<(), AllocError> {
        assert!(index <= self.len, "insertion index is past the end");
        self.try_reserve(state, 1)?;
        // SAFETY: `index <= len < capacity` (I1), so both ranges lie in the buffer.
        unsafe {
            let at = self.ptr.add(index).as_ptr();
            at.copy_to(at.add(1), self.len - index);
            at.write(value);
        }
        self.len += 1;
        Ok(())
    }

    pub(super) fn remove(&mut self, index: usize) -> T {
        assert!(index < self.len, "removal index is past the end");
        self.len -= 1;
        // SAFETY: `index` is initialised (I1); what moves down was behind it.
        unsafe {
            let at = self.ptr.add(index).as_ptr();
            let value = at.read();
            at.copy_from(at.add(1), self.len - index);
            value
        }
    }

    pub(super) fn swap_remove(&mut self, index: usize) -> T {
        assert!(index < self.len, "removal index is past the end");
        self.len -= 1;
        // SAFETY: both are initialised (I1) and one of them is no longer counted.
        unsafe {
            let (at, last) = (self.ptr.add(index), self.ptr.add(self.len));
            let value = at.read();
            at.copy_from(last, 1);
            value
        }
    }

    pub(super) fn retain_mut(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        let mut gap = Gap::open(self, 0..0);
        while gap.tail < gap.end {
            // SAFETY: the tail's first value is initialised (G1), and nobody else refers to it.
            unsafe {
                let value = gap.vec.ptr.add(gap.tail).as_mut();
                let keep = keep(value);
                gap.pass(1, keep);
            }
        }
    }
}

/// A vector taken apart (G1).
pub(super) struct Gap<'v, T> {
    pub(super) vec: &'v mut RawVec<T>,
    pub(super) tail: usize,
    pub(super) end: usize,
}

impl<'v, T> Gap<'v, T> {
    /// Takes the vector apart around `range`, whose values are for the caller to take.
    pub(super) fn open(vec: &'v mut RawVec<T>, range: Range<usize>) -> Self {
        debug_assert!(range.start <= range.end && range.end <= vec.len);
        let end = core::mem::replace(&mut vec.len, range.start);
        let tail = range.end;
        Gap { vec, tail, end }
    }

    /// Moves the first `count` values of the tail in front of the gap, or leaves them in there.
    ///
    /// # Safety
    /// The tail has so many.
    pub(super) unsafe fn pass(&mut self, count: usize, keep: bool) {
        debug_assert!(self.vec.len <= self.tail && count <= self.end - self.tail);
        if keep {
            // SAFETY: both places are in the buffer, and the tail's values are initialised (G1).
            unsafe {
                let values = self.vec.ptr.add(self.tail);
                self.vec.ptr.add(self.vec.len).copy_from(values, count);
            }
            self.vec.len += count;
        }
        self.tail += count;
    }

    /// Makes the gap `additional` values wider.
    pub(super) fn widen(&mut self, state: &State, additional: usize) -> Result<(), AllocError> {
        let before = core::mem::replace(&mut self.vec.len, self.end);
        let reserved = self.vec.try_reserve(state, additional);
        self.vec.len = before;
        reserved?;
        // SAFETY: the buffer has room for `additional` values behind `end` now; it was moved, if at
        // all, whole.
        unsafe {
            let tail = self.vec.ptr.add(self.tail);
            tail.add(additional).copy_from(tail, self.end - self.tail);
        }
        self.tail += additional;
        self.end += additional;
        Ok(())
    }
}

impl<T> Drop for Gap<'_, T> {
    fn drop(&mut self) {
        let count = self.end - self.tail;
        if self.vec.len != self.tail {
            // SAFETY: both ranges are in the buffer (G1).
            unsafe {
                let tail = self.vec.ptr.add(self.tail);
                self.vec.ptr.add(self.vec.len).copy_from(tail, count);
            }
        }
        self.vec.len += count;
    }
}

/// The indices that `range` means in something `len` long.
///
/// # Panics
/// When it ends before it starts, or behind `len`.
pub(super) fn bounds(range: impl RangeBounds<usize>, len: usize) -> Range<usize> {
    let next = |index: &usize| {
        let next = index.checked_add(1);
        next.expect("the range reaches beyond the largest index")
    };
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => next(before),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => next(last),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => len,
    };
    assert!(start <= end, "the range starts behind its end");
    assert!(end <= len, "the range reaches behind the end");
    start..end
}
