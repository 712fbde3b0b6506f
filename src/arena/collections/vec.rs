//! [`ArenaVec`]: a vector without a destructor, whose buffer grows at the low end of an arena: a
//! `raw_vec` that knows where. `vec_edit` has what moves values about in it, `vec_traits` the
//! traits.
//!
//! I1: `raw` is as `raw_vec.rs` says (I1), of an arena that is borrowed for `'a`, nearly always
//!     `arena`. A block of another arena, which comes from an `ArenaThinVec`, is never the last one
//!     of this arena, so it is never resized in place but copied.
//! I2: `T` needs no drop, so a panic in the middle of a change may simply leave fewer values. No
//!     destructor: a vector may lie in the arena itself, and be alive, unused, across a reset.
//!
//! The generic part is thin: growth is `State::grow_buffer` on the layout of an element.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::MaybeUninit;

use crate::arena::collections::raw_vec::RawVec;
use crate::arena::handle::Arena;
use crate::arena::values::assert_no_drop;
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
    pub(super) raw: RawVec<T>,
    pub(super) arena: &'a Arena<MIN_ALIGN>,
    owns: PhantomData<T>,
}

impl<'a, T, const MIN_ALIGN: usize> ArenaVec<'a, T, MIN_ALIGN> {
    /// An empty vector. Allocates nothing.
    #[inline]
    pub const fn new_in(arena: &'a Arena<MIN_ALIGN>) -> Self {
        assert_no_drop::<T>();
        // SAFETY: an empty buffer is nobody's.
        unsafe { ArenaVec::from_raw(RawVec::new(), arena) }
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
        if capacity > vec.raw.capacity {
            vec.raw.set_capacity(&arena.state, capacity)?;
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
            vec.raw.ptr = block.cast();
            vec.raw.capacity = capacity;
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
        unsafe { vec.raw.extend_within(values) };
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
        if self.raw.len == self.raw.capacity {
            self.raw.grow_or_refuse(&self.arena.state, 1);
        }
        // SAFETY: `len < capacity` (I1).
        unsafe { self.raw.push_within(value) };
    }

    /// Appends a value.
    ///
    /// # Errors
    /// The limit that was hit; `value` is gone then and the vector unchanged.
    #[inline]
    pub fn try_push(&mut self, value: T) -> Result<(), AllocError> {
        if self.raw.len == self.raw.capacity {
            self.raw.grow(&self.arena.state, 1)?;
        }
        // SAFETY: `len < capacity` (I1).
        unsafe { self.raw.push_within(value) };
        Ok(())
    }

    /// Takes the last value.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.raw.pop()
    }

    /// Shortens the vector to at most `len` values. The buffer stays.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.raw.len = self.raw.len.min(len);
    }

    /// Removes everything. The buffer stays.
    #[inline]
    pub fn clear(&mut self) {
        self.raw.len = 0;
    }

    /// Makes room for `additional` more values.
    ///
    /// # Panics
    /// When [`ArenaVec::try_reserve`] would return an error.
    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        if additional > self.raw.capacity - self.raw.len {
            self.raw.grow_or_refuse(&self.arena.state, additional);
        }
    }

    /// Makes room for `additional` more values.
    ///
    /// # Errors
    /// The limit that was hit, or that the size is too large for any; nothing changes then.
    #[inline]
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), AllocError> {
        self.raw.try_reserve(&self.arena.state, additional)
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
        if additional > self.raw.capacity - self.raw.len {
            self.raw
                .set_capacity(&self.arena.state, self.raw.len.saturating_add(additional))
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
        self.raw.shrink_to(&self.arena.state, capacity);
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
        unsafe { self.raw.extend_within(values) };
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
        unsafe { self.raw.extend_within(values) };
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
        if size_of::<T>() > 0 && self.raw.len < self.raw.capacity {
            let [full, used] =
                [self.raw.capacity, self.raw.len].map(|count| count * size_of::<T>());
            // SAFETY: the buffer is a block of `full` bytes (I1); only the unused tail ends.
            unsafe { self.arena.state.truncate(self.raw.ptr.cast(), full, used) };
        }
        // SAFETY: initialised (I1), exclusive because the vector is gone, alive for `'a`.
        unsafe { core::slice::from_raw_parts_mut(self.raw.ptr.as_ptr(), self.raw.len) }
    }

    /// How many values fit before the buffer grows.
    #[inline]
    pub const fn capacity(&self) -> usize {
        self.raw.capacity
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
        unsafe { core::slice::from_raw_parts(self.raw.ptr.as_ptr(), self.raw.len) }
    }

    /// The values.
    #[inline]
    pub const fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: initialised (I1), exclusive as long as `self` is.
        unsafe { core::slice::from_raw_parts_mut(self.raw.ptr.as_ptr(), self.raw.len) }
    }

    /// Where the values are. Good for reads of the whole buffer.
    #[inline]
    pub const fn as_ptr(&self) -> *const T {
        self.raw.ptr.as_ptr()
    }

    /// Where the values are. Good for writes into the whole buffer, until it grows.
    #[inline]
    pub const fn as_mut_ptr(&mut self) -> *mut T {
        self.raw.ptr.as_ptr()
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
        let spare = self.raw.capacity - self.raw.len;
        // SAFETY: the first `len` values are initialised, the others are in the buffer too (I1).
        unsafe {
            let behind = self.raw.ptr.add(self.raw.len).cast::<MaybeUninit<T>>();
            (
                core::slice::from_raw_parts_mut(self.raw.ptr.as_ptr(), self.raw.len),
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
        debug_assert!(len <= self.raw.capacity);
        self.raw.len = len;
    }

    /// The vector of a buffer.
    ///
    /// # Safety
    /// I1.
    #[inline(always)]
    pub(super) const unsafe fn from_raw(raw: RawVec<T>, arena: &'a Arena<MIN_ALIGN>) -> Self {
        ArenaVec {
            raw,
            arena,
            owns: PhantomData,
        }
    }

    /// Makes the buffer `capacity` values long and no more; the rest becomes the buffer of another
    /// vector. `capacity <= len`.
    pub(super) fn cut(&mut self, capacity: usize) -> Self {
        let raw = &mut self.raw;
        debug_assert!(0 < capacity && capacity <= raw.len && size_of::<T>() > 0);
        let rest = RawVec {
            // SAFETY: within the buffer (I1).
            ptr: unsafe { raw.ptr.add(capacity) },
            len: raw.len - capacity,
            capacity: raw.capacity - capacity,
        };
        (raw.len, raw.capacity) = (capacity, capacity);
        // SAFETY: two blocks that lie side by side are as good as one: each is resized only where
        // it is the last.
        unsafe { ArenaVec::from_raw(rest, self.arena) }
    }
}
