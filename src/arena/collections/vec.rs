//! [`ArenaVec`]: a vector without a destructor, whose buffer grows at the low end of an arena. This
//! file owns the buffer; `vec_edit` has what moves values about in it, `vec_traits` the traits.
//!
//! I1: `ptr` is a block of `capacity` values of an arena that is borrowed for `'a`, nearly always
//!     `arena` (dangling when the capacity is 0 or the values are zero-sized); the first `len` of
//!     them are initialised. A block of another arena, which comes from an `ArenaThinVec`, is never
//!     the last one of this arena, so it is never resized in place but copied.
//! I2: `T` needs no drop, so losing values is never wrong and a panic in the middle of a change may
//!     simply leave fewer of them. No destructor: a vector may lie in the arena itself, and be
//!     alive, unused, across a reset.
//! I3: no user code runs while `len` counts a value that is not initialised.
//!
//! I4: no method that is called in a loop takes the vector by reference into code that is not
//!     inlined: the slow step takes and returns pointer and capacity by value. Else they and the
//!     length would live in memory, and each push would store the length.
//!
//! The generic part is thin: growth is `State::grow_buffer` on the layout of an element.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::arena::handle::Arena;
use crate::arena::values::assert_no_drop;
use crate::arena::windows::chunk::End;
use crate::arena::windows::copying;
use crate::base::error::AllocError;
use crate::base::trap::or_refuse;

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
    pub(crate) ptr: NonNull<T>,
    pub(crate) len: usize,
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
        or_refuse(Self::try_with_capacity_in(capacity, arena))
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

    /// A vector of copies of values that are plain bits, with room for no more.
    ///
    /// # Panics
    /// When [`ArenaVec::try_from_slice_in`] would return an error.
    #[inline]
    pub fn from_slice_in(values: &[T], arena: &'a Arena<MIN_ALIGN>) -> Self
    where
        T: Copy,
    {
        or_refuse(Self::try_from_slice_in(values, arena))
    }

    /// A vector of copies of values that are plain bits, with room for no more.
    ///
    /// # Errors
    /// The limit that was hit.
    #[inline]
    pub fn try_from_slice_in(values: &[T], arena: &'a Arena<MIN_ALIGN>) -> Result<Self, AllocError>
    where
        T: Copy,
    {
        let mut vec = ArenaVec::try_with_capacity_in(values.len(), arena)?;
        // SAFETY: there is room for them.
        unsafe { vec.extend_within(values) };
        Ok(vec)
    }

    /// A vector of everything an iterator yields, in order. The iterator may allocate in the same
    /// arena. What it says it will yield at least is reserved at once.
    ///
    /// ```
    /// use flagstone::{Arena, ArenaVec};
    /// let arena = Arena::new();
    /// let words = "a few words".split(' ').map(|word| arena.alloc_str(word));
    /// let words = ArenaVec::from_iter_in(words, &arena);
    /// assert_eq!(words, ["a", "few", "words"]);
    /// ```
    ///
    /// # Panics
    /// When the iterator does, or [`ArenaVec::try_from_iter_in`] would return an error.
    #[inline]
    pub fn from_iter_in(values: impl IntoIterator<Item = T>, arena: &'a Arena<MIN_ALIGN>) -> Self {
        or_refuse(Self::try_from_iter_in(values, arena))
    }

    /// A vector of everything an iterator yields, in order.
    ///
    /// # Errors
    /// The limit that was hit; the values so far are gone then.
    ///
    /// # Panics
    /// When the iterator does.
    #[inline]
    pub fn try_from_iter_in(
        values: impl IntoIterator<Item = T>,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, AllocError> {
        let mut vec = ArenaVec::new_in(arena);
        vec.try_extend(values)?;
        Ok(vec)
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

    /// Makes room for `additional` more values and no more than that.
    ///
    /// # Panics
    /// When [`ArenaVec::try_reserve_exact`] would return an error.
    #[inline]
    pub fn reserve_exact(&mut self, additional: usize) {
        or_refuse(self.try_reserve_exact(additional));
    }

    /// Makes room for `additional` more values and no more than that.
    ///
    /// # Errors
    /// The limit that was hit, or that the size is too large for any; nothing changes then.
    pub fn try_reserve_exact(&mut self, additional: usize) -> Result<(), AllocError> {
        if additional > self.capacity - self.len {
            self.set_capacity(self.len.saturating_add(additional))
        } else {
            Ok(())
        }
    }

    /// Gives unused room back to the arena, if the vector is the last thing at its end; else
    /// changes nothing.
    #[inline]
    pub fn shrink_to_fit(&mut self) {
        self.shrink_to(0);
    }

    /// Gives unused room beyond `capacity` values back to the arena, if the vector is the last
    /// thing at its end; else changes nothing.
    ///
    /// ```
    /// use flagstone::{Arena, ArenaVec};
    /// let arena = Arena::new();
    /// let mut vec = ArenaVec::with_capacity_in(100, &arena);
    /// vec.push(1u8);
    /// vec.shrink_to(10);
    /// assert_eq!((vec.capacity(), arena.used_bytes()), (10, 10));
    /// ```
    pub fn shrink_to(&mut self, capacity: usize) {
        let capacity = capacity.max(self.len);
        if size_of::<T>() == 0 || capacity >= self.capacity {
            return;
        }
        let (state, buffer) = (&self.arena.state, self.ptr.cast());
        let [full, wanted] = [self.capacity, capacity].map(|count| count * size_of::<T>());
        if state.is_resizable(buffer, full) {
            // SAFETY: the buffer is a block of `full` bytes (I1); only unused room ends.
            unsafe { state.truncate(buffer, full, wanted) };
            self.capacity = capacity;
        }
    }

    /// Appends copies of values that are plain bits. For others: `extend(values.iter().cloned())`.
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

    /// Where the values are. Good for reads of the whole buffer.
    #[inline]
    pub const fn as_ptr(&self) -> *const T {
        self.ptr.as_ptr()
    }

    /// Where the values are. Good for writes into the whole buffer, until it grows.
    #[inline]
    pub const fn as_mut_ptr(&mut self) -> *mut T {
        self.ptr.as_ptr()
    }

    /// The room behind the values: write there, then call [`ArenaVec::set_len`].
    ///
    /// ```
    /// use flagstone::{Arena, ArenaVec};
    /// let arena = Arena::new();
    /// let mut vec = ArenaVec::with_capacity_in(4, &arena);
    /// vec.spare_capacity_mut()[0].write(7);
    /// // SAFETY: the first value is written.
    /// unsafe { vec.set_len(1) };
    /// assert_eq!(vec, [7]);
    /// ```
    #[inline]
    pub fn spare_capacity_mut(&mut self) -> &mut [MaybeUninit<T>] {
        self.split_at_spare_mut().1
    }

    /// The values, and the room behind them.
    #[inline]
    pub fn split_at_spare_mut(&mut self) -> (&mut [T], &mut [MaybeUninit<T>]) {
        let spare = self.capacity - self.len;
        // SAFETY: the first `len` values are initialised, the others are in the buffer too (I1).
        unsafe {
            let behind = self.ptr.add(self.len).cast::<MaybeUninit<T>>();
            (
                core::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len),
                core::slice::from_raw_parts_mut(behind.as_ptr(), spare),
            )
        }
    }

    /// Says how many values there are.
    ///
    /// # Safety
    /// `len <= capacity`, and the first `len` values are initialised.
    #[inline]
    pub const unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.capacity);
        self.len = len;
    }

    /// The vector of a buffer.
    ///
    /// # Safety
    /// I1.
    pub(crate) const unsafe fn from_parts(
        ptr: NonNull<T>,
        len: usize,
        capacity: usize,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Self {
        ArenaVec {
            ptr,
            len,
            capacity,
            arena,
            owns: PhantomData,
        }
    }

    /// Makes the buffer `capacity` values long and no more; the rest becomes the buffer of another
    /// vector. `capacity <= len`.
    pub(crate) fn cut(&mut self, capacity: usize) -> Self {
        debug_assert!(0 < capacity && capacity <= self.len && size_of::<T>() > 0);
        let rest = ArenaVec {
            // SAFETY: within the buffer (I1). Two blocks that lie side by side are as good as one:
            // each is resized only where it is the last.
            ptr: unsafe { self.ptr.add(capacity) },
            len: self.len - capacity,
            capacity: self.capacity - capacity,
            ..*self
        };
        self.len = capacity;
        self.capacity = capacity;
        rest
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

    /// Makes room for `additional` values at the end. I4 is why nothing is passed by reference.
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
