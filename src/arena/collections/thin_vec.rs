//! [`ArenaThinVec`]: a vector of two words that is given its arena whenever it grows, so that it
//! can be sent to other threads and held across an `.await`, which `&Arena` cannot.
//!
//! I1: `ptr` is a block of `capacity` values of some arena that is borrowed for `'a` (dangling when
//!     the capacity is 0 or the values are zero-sized), or the front of one; the first `len` of
//!     them are initialised. Nobody else refers to the block.
//! I2: growing asks an arena that is borrowed for `'a` too, so whatever block comes back is as good
//!     as the one before. It need not be the same arena: another one can only copy. For to resize
//!     in place, it would have to find that the block ends where its own low end stands
//!     (`State::is_resizable`). In another chunk it does not: every chunk, a caller's buffer too,
//!     ends in a header of its own (chunk.rs), which no block of it reaches, so that between a
//!     block of one chunk and the first byte of one outside it there is at least that header. In
//!     the same chunk neither: a claim may share one with its parent, and a caller's buffer may
//!     lie in a block of one, right behind the list's; but a byte that is nobody's parts the
//!     blocks of both from what lies below (`State::reopen_home`), and a parent has no window
//!     where its claim has one. An arena without a window resizes nothing.
//! I3: `T` needs no drop; as in vec.rs.
//!
//! What changes it is a `raw_vec`, made for the moment: this is the same vector as [`ArenaVec`]
//! with the arena left out. Its traits are in `vec_traits`.

use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::arena::collections::raw_vec::RawVec;
use crate::arena::collections::vec::ArenaVec;
use crate::arena::handle::Arena;
use crate::arena::values::assert_no_drop;
use crate::base::error::AllocError;
use crate::base::trap::or_refuse;

const _: () = assert!(size_of::<ArenaThinVec<'_, u64>>() == size_of::<usize>() + 8);
const _: () = assert!(size_of::<Option<ArenaThinVec<'_, u64>>>() == size_of::<usize>() + 8);

/// A growing list of two words (16 bytes on 64-bit targets) that takes its arena as an argument to
/// grow. For lists inside the nodes of a tree, and for what must be held across an `.await` or sent
/// to another thread, where an [`ArenaVec`] cannot go. Holds at most `u32::MAX` values. A type that
/// needs drop is a compile error.
///
/// ```
/// use std::sync::Arc;
/// use flagstone::{ArenaPool, ArenaThinVec};
/// fn must_be_send<F: Future + Send>(future: F) -> F { future }
/// let arenas = Arc::new(ArenaPool::new());
/// let _handler = must_be_send(async move {
///     let arena = arenas.get_owned();
///     let mut names = ArenaThinVec::new();
///     names.push(&arena, arena.alloc_str("first"));
///     async { /* the database */ }.await;
///     names.push(&arena, arena.alloc_str("second"));
///     assert_eq!(names.len(), 2);
/// });
/// ```
///
/// Any arena that is borrowed as long will do; with one that is not, it does not compile:
/// ```compile_fail,E0597
/// use flagstone::{Arena, ArenaThinVec};
/// let mut list = ArenaThinVec::new();
/// {
///     let arena = Arena::new();
///     list.push(&arena, 1);
/// }
/// list.len();
/// ```
pub struct ArenaThinVec<'a, T> {
    ptr: NonNull<T>,
    len: u32,
    capacity: u32,
    /// It owns values in an arena that is borrowed for `'a`.
    owns: PhantomData<(&'a (), T)>,
}

// SAFETY: values of its own in a block of its own (I1), which only it reaches; to grow, the arena's
// own thread is needed.
unsafe impl<T: Send> Send for ArenaThinVec<'_, T> {}
// SAFETY: a shared vector gives `&T` and nothing else.
unsafe impl<T: Sync> Sync for ArenaThinVec<'_, T> {}

impl<'a, T> ArenaThinVec<'a, T> {
    /// An empty vector. Allocates nothing.
    #[inline]
    pub const fn new() -> Self {
        assert_no_drop::<T>();
        ArenaThinVec {
            ptr: NonNull::dangling(),
            len: 0,
            capacity: if size_of::<T>() == 0 { u32::MAX } else { 0 },
            owns: PhantomData,
        }
    }

    /// An empty vector with room for `capacity` values.
    ///
    /// # Panics
    /// When [`ArenaThinVec::try_with_capacity_in`] would return an error.
    pub fn with_capacity_in<const MIN_ALIGN: usize>(
        capacity: usize,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Self {
        or_refuse(Self::try_with_capacity_in(capacity, arena))
    }

    /// An empty vector with room for `capacity` values.
    ///
    /// # Errors
    /// The limit that was hit, or that the size is too large for any.
    pub fn try_with_capacity_in<const MIN_ALIGN: usize>(
        capacity: usize,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, AllocError> {
        Self::count(capacity)?;
        ArenaVec::try_with_capacity_in(capacity, arena).map(Self::from_vec)
    }

    /// A vector of copies of values that are plain bits.
    ///
    /// # Panics
    /// When [`ArenaThinVec::try_from_slice_in`] would return an error.
    pub fn from_slice_in<const MIN_ALIGN: usize>(values: &[T], arena: &'a Arena<MIN_ALIGN>) -> Self
    where
        T: Copy,
    {
        or_refuse(Self::try_from_slice_in(values, arena))
    }

    /// A vector of copies of values that are plain bits.
    ///
    /// # Errors
    /// The limit that was hit, or that there are too many.
    pub fn try_from_slice_in<const MIN_ALIGN: usize>(
        values: &[T],
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, AllocError>
    where
        T: Copy,
    {
        Self::count(values.len())?;
        ArenaVec::try_from_slice_in(values, arena).map(Self::from_vec)
    }

    /// The same values without the arena.
    ///
    /// # Panics
    /// When there are more than `u32::MAX`.
    pub fn from_vec<const MIN_ALIGN: usize>(vec: ArenaVec<'a, T, MIN_ALIGN>) -> Self {
        assert!(
            u32::try_from(vec.len()).is_ok(),
            "a thin vector holds at most u32::MAX values"
        );
        Self::of(&vec.raw)
    }

    /// The same values with an arena, for everything that an [`ArenaVec`] can do. Copies nothing.
    ///
    /// ```
    /// use flagstone::{Arena, ArenaThinVec};
    /// let arena = Arena::new();
    /// let list = ArenaThinVec::from_slice_in(&[1, 1, 2], &arena);
    /// let mut vec = list.into_vec(&arena);
    /// vec.dedup();
    /// let list = ArenaThinVec::from_vec(vec);
    /// assert_eq!(list, [1, 2]);
    /// ```
    #[inline]
    pub fn into_vec<const MIN_ALIGN: usize>(
        self,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> ArenaVec<'a, T, MIN_ALIGN> {
        // SAFETY: I1 is what `ArenaVec` asks for.
        unsafe { ArenaVec::from_raw(self.raw(), arena) }
    }

    /// Appends a value; `arena` is where the buffer grows, nearly always the one it is in.
    ///
    /// # Panics
    /// When [`ArenaThinVec::try_push`] would return an error.
    #[inline]
    pub fn push<const MIN_ALIGN: usize>(&mut self, arena: &'a Arena<MIN_ALIGN>, value: T) {
        if self.len == self.capacity {
            or_refuse(self.grow(arena, 1));
        }
        // SAFETY: `len < capacity` (I1).
        unsafe { self.push_within(value) };
    }

    /// Appends a value; `arena` is where the buffer grows.
    ///
    /// # Errors
    /// The limit that was hit, or that there are too many; `value` is gone then and the vector
    /// unchanged.
    #[inline]
    pub fn try_push<const MIN_ALIGN: usize>(
        &mut self,
        arena: &'a Arena<MIN_ALIGN>,
        value: T,
    ) -> Result<(), AllocError> {
        if self.len == self.capacity {
            self.grow(arena, 1)?;
        }
        // SAFETY: `len < capacity` (I1).
        unsafe { self.push_within(value) };
        Ok(())
    }

    /// Appends copies of values that are plain bits.
    ///
    /// # Panics
    /// When [`ArenaThinVec::try_extend_from_slice`] would return an error.
    pub fn extend_from_slice<const MIN_ALIGN: usize>(
        &mut self,
        arena: &'a Arena<MIN_ALIGN>,
        values: &[T],
    ) where
        T: Copy,
    {
        or_refuse(self.try_extend_from_slice(arena, values));
    }

    /// Appends copies of values that are plain bits.
    ///
    /// # Errors
    /// The limit that was hit, or that there are too many; nothing changes then.
    pub fn try_extend_from_slice<const MIN_ALIGN: usize>(
        &mut self,
        arena: &'a Arena<MIN_ALIGN>,
        values: &[T],
    ) -> Result<(), AllocError>
    where
        T: Copy,
    {
        Self::count(self.len().saturating_add(values.len()))?;
        self.edit(|raw| {
            raw.try_reserve(&arena.state, values.len())?;
            // SAFETY: there is room for them now.
            unsafe { raw.extend_within(values) };
            Ok(())
        })
    }

    /// Appends everything an iterator yields. The iterator may allocate in the same arena.
    ///
    /// # Panics
    /// When the iterator does, or [`ArenaThinVec::try_extend`] would return an error.
    pub fn extend<const MIN_ALIGN: usize>(
        &mut self,
        arena: &'a Arena<MIN_ALIGN>,
        values: impl IntoIterator<Item = T>,
    ) {
        or_refuse(self.try_extend(arena, values));
    }

    /// Appends everything an iterator yields. The iterator may allocate in the same arena.
    ///
    /// # Errors
    /// The limit that was hit, or that there are too many; the values before it are kept.
    ///
    /// # Panics
    /// When the iterator does.
    pub fn try_extend<const MIN_ALIGN: usize>(
        &mut self,
        arena: &'a Arena<MIN_ALIGN>,
        values: impl IntoIterator<Item = T>,
    ) -> Result<(), AllocError> {
        let values = values.into_iter();
        self.try_reserve(arena, values.size_hint().0)?;
        for value in values {
            self.try_push(arena, value)?;
        }
        Ok(())
    }

    /// Puts a value at `index`, moving everything behind it.
    ///
    /// # Panics
    /// When `index > len`, or [`ArenaThinVec::try_insert`] would return an error.
    pub fn insert<const MIN_ALIGN: usize>(
        &mut self,
        arena: &'a Arena<MIN_ALIGN>,
        index: usize,
        value: T,
    ) {
        or_refuse(self.try_insert(arena, index, value));
    }

    /// Puts a value at `index`, moving everything behind it.
    ///
    /// # Errors
    /// The limit that was hit, or that there are too many; `value` is gone then and the vector
    /// unchanged.
    ///
    /// # Panics
    /// When `index > len`.
    pub fn try_insert<const MIN_ALIGN: usize>(
        &mut self,
        arena: &'a Arena<MIN_ALIGN>,
        index: usize,
        value: T,
    ) -> Result<(), AllocError> {
        Self::count(self.len().saturating_add(1))?;
        self.edit(|raw| raw.try_insert(&arena.state, index, value))
    }

    /// Makes room for `additional` more values.
    ///
    /// # Panics
    /// When [`ArenaThinVec::try_reserve`] would return an error.
    pub fn reserve<const MIN_ALIGN: usize>(
        &mut self,
        arena: &'a Arena<MIN_ALIGN>,
        additional: usize,
    ) {
        or_refuse(self.try_reserve(arena, additional));
    }

    /// Makes room for `additional` more values.
    ///
    /// # Errors
    /// The limit that was hit, or that there would be too many; nothing changes then.
    pub fn try_reserve<const MIN_ALIGN: usize>(
        &mut self,
        arena: &'a Arena<MIN_ALIGN>,
        additional: usize,
    ) -> Result<(), AllocError> {
        if additional > (self.capacity - self.len) as usize {
            self.grow(arena, additional)
        } else {
            Ok(())
        }
    }

    /// Gives unused room back to `arena`, if the vector is the last thing at its end; else changes
    /// nothing.
    pub fn shrink_to_fit<const MIN_ALIGN: usize>(&mut self, arena: &'a Arena<MIN_ALIGN>) {
        self.edit(|raw| raw.shrink_to(&arena.state, 0));
    }

    /// Takes the last value.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: initialised (I1), and no longer counted.
        Some(unsafe { self.ptr.add(self.len as usize).read() })
    }

    /// Takes the value at `index`, closing the gap.
    ///
    /// # Panics
    /// When `index >= len`.
    pub fn remove(&mut self, index: usize) -> T {
        self.edit(|raw| raw.remove(index))
    }

    /// Takes the value at `index` and puts the last one in its place.
    ///
    /// # Panics
    /// When `index >= len`.
    pub fn swap_remove(&mut self, index: usize) -> T {
        self.edit(|raw| raw.swap_remove(index))
    }

    /// Keeps only the values that `keep` accepts, in order. When `keep` panics, the value it looked
    /// at and those behind it are kept.
    ///
    /// ```
    /// let arena = flagstone::Arena::new();
    /// let mut list = flagstone::ArenaThinVec::from_slice_in(&[1, 2, 3], &arena);
    /// list.retain(|value| value % 2 == 1);
    /// assert_eq!(list, [1, 3]);
    /// ```
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.retain_mut(|value| keep(value));
    }

    /// [`ArenaThinVec::retain`] for a `keep` that may change the values.
    pub fn retain_mut(&mut self, keep: impl FnMut(&mut T) -> bool) {
        self.edit(|raw| raw.retain_mut(keep));
    }

    /// Shortens the vector to at most `len` values. The buffer stays.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        if len < self.len as usize {
            self.len = len as u32;
        }
    }

    /// Removes everything. The buffer stays.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Freezes the vector: the values stay for as long as the arena is borrowed.
    #[inline]
    pub fn into_slice(self) -> &'a mut [T] {
        // SAFETY: initialised (I1), exclusive because the vector is gone, alive for `'a`.
        unsafe { core::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len as usize) }
    }

    /// How many values fit before the buffer grows.
    #[inline]
    pub const fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// The values.
    #[inline]
    pub const fn as_slice(&self) -> &[T] {
        // SAFETY: initialised (I1), shared as long as `self` is.
        unsafe { core::slice::from_raw_parts(self.ptr.as_ptr(), self.len as usize) }
    }

    /// The values.
    #[inline]
    pub const fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: initialised (I1), exclusive as long as `self` is.
        unsafe { core::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len as usize) }
    }

    /// # Safety
    /// `len < capacity`.
    #[inline(always)]
    unsafe fn push_within(&mut self, value: T) {
        // SAFETY: the caller's promise.
        unsafe { self.ptr.add(self.len as usize).write(value) };
        self.len += 1;
    }

    /// Makes room for `additional` values at the end. By value: a vector whose address is taken in
    /// a loop lives in memory there.
    #[inline(always)]
    fn grow<const MIN_ALIGN: usize>(
        &mut self,
        arena: &'a Arena<MIN_ALIGN>,
        additional: usize,
    ) -> Result<(), AllocError> {
        let same = ArenaThinVec { ..*self };
        (self.ptr, self.capacity) = same.grown(arena, additional)?;
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn grown<const MIN_ALIGN: usize>(
        mut self,
        arena: &'a Arena<MIN_ALIGN>,
        additional: usize,
    ) -> Result<(NonNull<T>, u32), AllocError> {
        Self::count(self.len().saturating_add(additional))?;
        self.edit(|raw| raw.try_reserve(&arena.state, additional))?;
        Ok((self.ptr, self.capacity))
    }

    /// The same vector as a raw one, while `self` is not used.
    #[inline]
    fn raw(&self) -> RawVec<T> {
        RawVec {
            ptr: self.ptr,
            len: self.len(),
            capacity: match size_of::<T>() {
                0 => usize::MAX,
                _ => self.capacity(),
            },
        }
    }

    /// Changes the vector as a raw one, and takes over what became of it, also when that panics. It
    /// has at most `u32::MAX` values then.
    #[inline]
    fn edit<R>(&mut self, change: impl FnOnce(&mut RawVec<T>) -> R) -> R {
        struct Back<'v, 'a, T>(&'v mut ArenaThinVec<'a, T>, RawVec<T>);
        impl<T> Drop for Back<'_, '_, T> {
            #[inline]
            fn drop(&mut self) {
                *self.0 = ArenaThinVec::of(&self.1);
            }
        }
        let raw = self.raw();
        change(&mut Back(self, raw).1)
    }

    /// The same vector without what there is no room for; it has at most `u32::MAX` values.
    #[inline]
    fn of(raw: &RawVec<T>) -> Self {
        debug_assert!(u32::try_from(raw.len).is_ok());
        ArenaThinVec {
            ptr: raw.ptr,
            len: raw.len as u32,
            // What is beyond is not used any more.
            capacity: u32::try_from(raw.capacity).unwrap_or(u32::MAX),
            owns: PhantomData,
        }
    }

    /// Whether there can be so many values.
    fn count(len: usize) -> Result<(), AllocError> {
        let count = u32::try_from(len);
        count.map(drop).map_err(|_| AllocError::LayoutTooLarge)
    }
}
