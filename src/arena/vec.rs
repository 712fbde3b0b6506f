//! [`ArenaVec`]: a vector without a destructor, whose buffer grows at the low end of an arena.
//!
//! I1: `ptr` is a block of `capacity` values at the low end of `arena` (dangling when the capacity
//!     is 0 or the values are zero-sized); the first `len` of them are initialised.
//! I2: `T` needs no drop, so losing values is never wrong and a panic in the middle of a change may
//!     simply leave fewer of them. No destructor: a vector may lie in the arena itself, and be
//!     alive, unused, across a reset.
//!
//! I3: no method that is called in a loop takes the vector by reference into code that is not
//!     inlined: the slow step takes and returns pointer and capacity by value. Else they and the
//!     length would live in memory, and each push would store the length.
//!
//! The generic part is thin: growth is `State::grow_buffer` on the layout of an element.

use core::alloc::Layout;
use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::arena::chunk::End;
use crate::arena::copying;
use crate::arena::handle::Arena;
use crate::arena::typed::assert_no_drop;
use crate::base::error::AllocError;
use crate::base::trap::refused;

/// A growing list in an arena. Grows in place, also while objects are allocated beside it; only a
/// second list or string that grows at the same time makes it move. A type that needs drop is a
/// compile error.
///
/// ```
/// use flagstone::{Arena, ArenaVec};
/// let arena = Arena::new();
/// let mut nodes = ArenaVec::new_in(&arena);
/// for value in 0..100u64 {
///     nodes.push(arena.alloc(value));
/// }
/// let frozen: &mut [&mut u64] = nodes.into_slice();
/// assert_eq!(frozen.iter().map(|n| **n).sum::<u64>(), 4950);
/// assert!(arena.used_bytes() <= 2 * 800);
/// ```
pub struct ArenaVec<'a, T, const MIN_ALIGN: usize = 8> {
    ptr: NonNull<T>,
    len: usize,
    capacity: usize,
    arena: &'a Arena<MIN_ALIGN>,
    owns: PhantomData<T>,
}

impl<'a, T, const MIN_ALIGN: usize> ArenaVec<'a, T, MIN_ALIGN> {
    /// An empty vector. Allocates nothing.
    #[inline]
    pub const fn new_in(arena: &'a Arena<MIN_ALIGN>) -> Self {
        assert_no_drop::<T>();
        let capacity = if size_of::<T>() == 0 { usize::MAX } else { 0 };
        ArenaVec {
            ptr: NonNull::dangling(),
            len: 0,
            capacity,
            arena,
            owns: PhantomData,
        }
    }

    /// An empty vector with room for `capacity` values.
    ///
    /// # Panics
    /// When [`ArenaVec::try_with_capacity_in`] would return an error.
    #[inline]
    pub fn with_capacity_in(capacity: usize, arena: &'a Arena<MIN_ALIGN>) -> Self {
        match Self::try_with_capacity_in(capacity, arena) {
            Ok(vec) => vec,
            Err(error) => refused(error),
        }
    }

    /// An empty vector with room for `capacity` values.
    ///
    /// # Errors
    /// The limit that was hit, or that the size is too large for any.
    #[inline]
    pub fn try_with_capacity_in(
        capacity: usize,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, AllocError> {
        let mut vec = ArenaVec::new_in(arena);
        if capacity > vec.capacity {
            vec.set_capacity(capacity)?;
        }
        Ok(vec)
    }

    /// An empty vector with room for `capacity` values if the current chunk has that: for what is
    /// frozen soon, which gives the rest back.
    #[inline]
    pub(crate) fn roomy_in(capacity: usize, arena: &'a Arena<MIN_ALIGN>) -> Self {
        let mut vec = ArenaVec::new_in(arena);
        let layout = Layout::array::<T>(capacity);
        if let Some(block) = layout.ok().and_then(|layout| arena.state.fast_up(layout)) {
            vec.ptr = block.cast();
            vec.capacity = capacity;
        }
        vec
    }

    /// Appends a value.
    ///
    /// # Panics
    /// When [`ArenaVec::try_push`] would return an error.
    #[inline]
    pub fn push(&mut self, value: T) {
        if self.len == self.capacity {
            self.grow_or_refuse(1);
        }
        // SAFETY: `len < capacity` (I1).
        unsafe { self.push_within(value) };
    }

    /// Appends a value.
    ///
    /// # Errors
    /// The limit that was hit; `value` is gone then and the vector unchanged.
    #[inline]
    pub fn try_push(&mut self, value: T) -> Result<(), AllocError> {
        if self.len == self.capacity {
            self.grow(1)?;
        }
        // SAFETY: `len < capacity` (I1).
        unsafe { self.push_within(value) };
        Ok(())
    }

    /// Takes the last value.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: initialised (I1), and no longer counted.
        Some(unsafe { self.ptr.add(self.len).read() })
    }

    /// Puts a value at `index`, moving everything behind it.
    ///
    /// # Panics
    /// When `index > len`, or [`ArenaVec::try_push`] would return an error.
    pub fn insert(&mut self, index: usize, value: T) {
        assert!(index <= self.len, "insertion index is past the end");
        if self.len == self.capacity {
            self.grow_or_refuse(1);
        }
        // SAFETY: `index <= len < capacity` (I1), so both ranges lie in the buffer.
        unsafe {
            let at = self.ptr.add(index).as_ptr();
            at.copy_to(at.add(1), self.len - index);
            at.write(value);
        }
        self.len += 1;
    }

    /// Takes the value at `index`, closing the gap.
    ///
    /// # Panics
    /// When `index >= len`.
    pub fn remove(&mut self, index: usize) -> T {
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

    /// Takes the value at `index` and puts the last one in its place.
    ///
    /// # Panics
    /// When `index >= len`.
    pub fn swap_remove(&mut self, index: usize) -> T {
        assert!(index < self.len, "removal index is past the end");
        let last = self.len - 1;
        self.swap(index, last);
        self.len = last;
        // SAFETY: initialised (I1), and no longer counted.
        unsafe { self.ptr.add(last).read() }
    }

    /// Keeps only the values that `keep` accepts. When `keep` panics the vector is left empty.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let len = core::mem::take(&mut self.len);
        let mut kept = 0;
        for index in 0..len {
            // SAFETY: `kept <= index < len`, the length before, so both are initialised (I1).
            unsafe {
                let value = self.ptr.add(index);
                if keep(value.as_ref()) {
                    self.ptr.add(kept).copy_from(value, 1);
                    kept += 1;
                }
            }
        }
        self.len = kept;
    }

    /// Shortens the vector to at most `len` values. The buffer stays.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Removes everything. The buffer stays.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Makes room for `additional` more values.
    ///
    /// # Panics
    /// When [`ArenaVec::try_reserve`] would return an error.
    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        if additional > self.capacity - self.len {
            self.grow_or_refuse(additional);
        }
    }

    /// Makes room for `additional` more values.
    ///
    /// # Errors
    /// The limit that was hit, or that the size is too large for any; nothing changes then.
    #[inline]
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), AllocError> {
        if additional > self.capacity - self.len {
            self.grow(additional)
        } else {
            Ok(())
        }
    }

    /// Appends copies of values that are plain bits.
    ///
    /// # Panics
    /// When [`ArenaVec::try_extend_from_slice`] would return an error.
    #[inline]
    pub fn extend_from_slice(&mut self, values: &[T])
    where
        T: Copy,
    {
        self.reserve(values.len());
        // SAFETY: there is room for them now.
        unsafe { self.extend_within(values) };
    }

    /// Appends copies of values that are plain bits.
    ///
    /// # Errors
    /// The limit that was hit; nothing changes then.
    #[inline]
    pub fn try_extend_from_slice(&mut self, values: &[T]) -> Result<(), AllocError>
    where
        T: Copy,
    {
        self.try_reserve(values.len())?;
        // SAFETY: there is room for them now.
        unsafe { self.extend_within(values) };
        Ok(())
    }

    /// Appends everything an iterator yields. The iterator may allocate in the same arena.
    ///
    /// # Errors
    /// The limit that was hit; the values before it are kept.
    ///
    /// # Panics
    /// When the iterator does.
    #[inline]
    pub fn try_extend(&mut self, values: impl IntoIterator<Item = T>) -> Result<(), AllocError> {
        let values = values.into_iter();
        self.try_reserve(values.size_hint().0)?;
        for value in values {
            self.try_push(value)?;
        }
        Ok(())
    }

    /// Freezes the vector: the values stay for as long as the arena is borrowed. Unused room goes
    /// back to the arena if the vector is the last thing at its end.
    #[inline]
    pub fn into_slice(self) -> &'a mut [T] {
        if size_of::<T>() > 0 && self.len < self.capacity {
            let [full, used] = [self.capacity, self.len].map(|count| count * size_of::<T>());
            // SAFETY: the buffer is a block of `full` bytes (I1); only the unused tail ends.
            unsafe { self.arena.state.truncate(self.ptr.cast(), full, used) };
        }
        // SAFETY: initialised (I1), exclusive because the vector is gone, alive for `'a`.
        unsafe { core::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }

    /// How many values fit before the buffer grows.
    #[inline]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// The arena the vector grows in.
    #[inline]
    pub const fn arena(&self) -> &'a Arena<MIN_ALIGN> {
        self.arena
    }

    /// The values.
    #[inline]
    pub const fn as_slice(&self) -> &[T] {
        // SAFETY: initialised (I1), shared as long as `self` is.
        unsafe { core::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// The values.
    #[inline]
    pub const fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: initialised (I1), exclusive as long as `self` is.
        unsafe { core::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }

    /// # Safety
    /// `len < capacity`.
    #[inline(always)]
    unsafe fn push_within(&mut self, value: T) {
        // SAFETY: the caller's promise.
        unsafe { self.ptr.add(self.len).write(value) };
        self.len += 1;
    }

    /// # Safety
    /// There is room for `values`.
    #[inline(always)]
    unsafe fn extend_within(&mut self, values: &[T])
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
    fn grow_or_refuse(&mut self, additional: usize) {
        let needed = self.len.saturating_add(additional);
        let (state, buffer) = (&self.arena.state, self.ptr.cast());
        // SAFETY: the buffer is a block for `capacity` values at the low end (I1).
        let grown = unsafe {
            state.grow_buffer_or_refuse(buffer, self.capacity, needed, Layout::new::<T>())
        };
        (self.ptr, self.capacity) = (grown.0.cast(), grown.1);
    }

    /// [`ArenaVec::grow_or_refuse`] that can fail.
    #[inline(always)]
    fn grow(&mut self, additional: usize) -> Result<(), AllocError> {
        let needed = self.len.saturating_add(additional);
        let (state, buffer) = (&self.arena.state, self.ptr.cast());
        // SAFETY: the buffer is a block for `capacity` values at the low end (I1).
        let grown =
            unsafe { state.grow_buffer(buffer, self.capacity, needed, Layout::new::<T>())? };
        (self.ptr, self.capacity) = (grown.0.cast(), grown.1);
        Ok(())
    }

    /// Sets the capacity of a vector of sized values to more than it is.
    fn set_capacity(&mut self, capacity: usize) -> Result<(), AllocError> {
        let (state, buffer) = (&self.arena.state, self.ptr.cast());
        let element = Layout::new::<T>();
        // SAFETY: the buffer is a block for `capacity` values at the low end (I1).
        self.ptr = unsafe { state.resize_buffer(buffer, self.capacity, capacity, element)? }.cast();
        self.capacity = capacity;
        Ok(())
    }
}

impl<T, const MIN_ALIGN: usize> Deref for ArenaVec<'_, T, MIN_ALIGN> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T, const MIN_ALIGN: usize> DerefMut for ArenaVec<'_, T, MIN_ALIGN> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.as_mut_slice()
    }
}

impl<T, const MIN_ALIGN: usize> Extend<T> for ArenaVec<'_, T, MIN_ALIGN> {
    /// # Panics
    /// When the iterator does, or [`ArenaVec::try_extend`] would return an error.
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        if let Err(error) = self.try_extend(values) {
            refused(error);
        }
    }
}

impl<'a, T: Copy + 'a, const MIN_ALIGN: usize> Extend<&'a T> for ArenaVec<'_, T, MIN_ALIGN> {
    /// # Panics
    /// When the iterator does, or [`ArenaVec::try_extend`] would return an error.
    fn extend<I: IntoIterator<Item = &'a T>>(&mut self, values: I) {
        self.extend(values.into_iter().copied());
    }
}

impl<'a, T, const MIN_ALIGN: usize> IntoIterator for &'a ArenaVec<'_, T, MIN_ALIGN> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T, const MIN_ALIGN: usize> IntoIterator for &'a mut ArenaVec<'_, T, MIN_ALIGN> {
    type Item = &'a mut T;
    type IntoIter = core::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<'a, T: 'a, const MIN_ALIGN: usize> IntoIterator for ArenaVec<'a, T, MIN_ALIGN> {
    type Item = T;
    type IntoIter = ArenaVecIntoIter<'a, T>;

    fn into_iter(self) -> ArenaVecIntoIter<'a, T> {
        ArenaVecIntoIter {
            values: self.into_slice().iter_mut(),
        }
    }
}

/// The values of an [`ArenaVec`], moved out one by one.
pub struct ArenaVecIntoIter<'a, T> {
    /// Values that only this iterator reaches; each is moved out as it is passed.
    values: core::slice::IterMut<'a, T>,
}

impl<T> Iterator for ArenaVecIntoIter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let value = self.values.next()?;
        // SAFETY: the vector is gone, so the value is reached from here only, and only once.
        Some(unsafe { core::ptr::read(value) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.values.size_hint()
    }
}

impl<T> ExactSizeIterator for ArenaVecIntoIter<'_, T> {}
impl<T> FusedIterator for ArenaVecIntoIter<'_, T> {}

impl<T> fmt::Debug for ArenaVecIntoIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaVecIntoIter")
            .field("len", &self.values.len())
            .finish()
    }
}

impl<T: fmt::Debug, const MIN_ALIGN: usize> fmt::Debug for ArenaVec<'_, T, MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl<T: PartialEq<U>, U, const MIN_ALIGN: usize> PartialEq<[U]> for ArenaVec<'_, T, MIN_ALIGN> {
    fn eq(&self, other: &[U]) -> bool {
        self.as_slice() == other
    }
}

impl<T: PartialEq<U>, U, const N: usize, const MIN_ALIGN: usize> PartialEq<[U; N]>
    for ArenaVec<'_, T, MIN_ALIGN>
{
    fn eq(&self, other: &[U; N]) -> bool {
        self.as_slice() == other
    }
}

impl<T, const MIN_ALIGN: usize> AsRef<[T]> for ArenaVec<'_, T, MIN_ALIGN> {
    fn as_ref(&self) -> &[T] {
        self.as_slice()
    }
}
