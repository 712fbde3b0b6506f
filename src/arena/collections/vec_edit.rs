//! [`ArenaVec`]: what moves values about in the buffer, over `raw_vec`.

use core::ops::{Range, RangeBounds};

use crate::arena::collections::drain::ArenaVecDrain;
use crate::arena::collections::raw_vec::{Gap, bounds};
use crate::arena::collections::vec::ArenaVec;
use crate::arena::handle::Arena;
use crate::base::error::AllocError;
use crate::base::trap::or_refuse;

impl<'a, T, const MIN_ALIGN: usize> ArenaVec<'a, T, MIN_ALIGN> {
    /// Puts a value at `index`, moving everything behind it.
    ///
    /// # Panics
    /// When `index > len`, or [`ArenaVec::try_insert`] would return an error.
    pub fn insert(&mut self, index: usize, value: T) {
        or_refuse(self.try_insert(index, value));
    }

    /// Puts a value at `index`, moving everything behind it.
    ///
    /// # Errors
    /// The limit that was hit; `value` is gone then and the vector unchanged.
    ///
    /// # Panics
    /// When `index > len`.
    pub fn try_insert(&mut self, index: usize, value: T) -> Result<(), AllocError> {
        self.raw.try_insert(&self.arena.state, index, value)
    }

    /// Puts copies of plain values at `index`, moving everything behind it once.
    ///
    /// ```
    /// use flagstone::{Arena, ArenaVec};
    /// let arena = Arena::new();
    /// let mut vec = ArenaVec::from_slice_in(&[1, 5], &arena);
    /// vec.insert_from_slice(1, &[2, 3, 4]);
    /// assert_eq!(vec, [1, 2, 3, 4, 5]);
    /// ```
    ///
    /// # Panics
    /// When `index > len`, or [`ArenaVec::try_insert_from_slice`] would return an error.
    pub fn insert_from_slice(&mut self, index: usize, values: &[T])
    where
        T: Copy,
    {
        or_refuse(self.try_insert_from_slice(index, values));
    }

    /// Puts copies of plain values at `index`, moving everything behind it once.
    ///
    /// # Errors
    /// The limit that was hit; nothing changes then.
    ///
    /// # Panics
    /// When `index > len`.
    pub fn try_insert_from_slice(&mut self, index: usize, values: &[T]) -> Result<(), AllocError>
    where
        T: Copy,
    {
        assert!(index <= self.raw.len, "insertion index is past the end");
        self.replace(index..index, values)
    }

    /// Puts copies of `values` in the place of those in `range`, which is in bounds.
    pub(crate) fn replace(&mut self, range: Range<usize>, values: &[T]) -> Result<(), AllocError>
    where
        T: Copy,
    {
        self.try_reserve(values.len().saturating_sub(range.len()))?;
        let behind = self.raw.len - range.end;
        // SAFETY: the values behind the range (I1) go to where there is room for them now; what is
        // written before them overlaps nothing that is borrowed.
        unsafe {
            let at = self.raw.ptr.add(range.start).as_ptr();
            self.raw
                .ptr
                .add(range.end)
                .as_ptr()
                .copy_to(at.add(values.len()), behind);
            at.copy_from_nonoverlapping(values.as_ptr(), values.len());
        }
        self.raw.len = range.start + values.len() + behind;
        Ok(())
    }

    /// Takes the value at `index`, closing the gap.
    ///
    /// # Panics
    /// When `index >= len`.
    pub fn remove(&mut self, index: usize) -> T {
        self.raw.remove(index)
    }

    /// Takes the value at `index` and puts the last one in its place.
    ///
    /// # Panics
    /// When `index >= len`.
    pub fn swap_remove(&mut self, index: usize) -> T {
        self.raw.swap_remove(index)
    }

    /// Takes the last value if there is one and `take` agrees.
    pub fn pop_if(&mut self, take: impl FnOnce(&mut T) -> bool) -> Option<T> {
        let last = self.last_mut()?;
        if take(last) { self.pop() } else { None }
    }

    /// Keeps only the values that `keep` accepts, in order. When `keep` panics, the value it looked
    /// at and those behind it are kept.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.retain_mut(|value| keep(value));
    }

    /// [`ArenaVec::retain`] for a `keep` that may change the values.
    pub fn retain_mut(&mut self, keep: impl FnMut(&mut T) -> bool) {
        self.raw.retain_mut(keep);
    }

    /// Removes all but the first of each run of equal values.
    pub fn dedup(&mut self)
    where
        T: PartialEq,
    {
        self.dedup_by(|value, before| value == before);
    }

    /// Removes all but the first of each run of values with equal keys.
    pub fn dedup_by_key<K: PartialEq>(&mut self, mut key: impl FnMut(&mut T) -> K) {
        self.dedup_by(|value, before| key(value) == key(before));
    }

    /// Removes each value for which `same(value, before)` is true, where `before` is the last one
    /// that stays. When `same` panics, the value it looked at and those behind it are kept.
    pub fn dedup_by(&mut self, mut same: impl FnMut(&mut T, &mut T) -> bool) {
        if self.raw.len < 2 {
            return;
        }
        let mut gap = Gap::open(&mut self.raw, 1..1);
        while gap.tail < gap.end {
            // SAFETY: the last value before the gap and the first behind it are initialised (G1)
            // and distinct, and nobody else refers to them.
            unsafe {
                let mut before = gap.vec.ptr.add(gap.vec.len - 1);
                let keep = !same(gap.vec.ptr.add(gap.tail).as_mut(), before.as_mut());
                gap.pass(1, keep);
            }
        }
    }

    /// Takes the values of a range out, one by one; those not taken are removed too when the
    /// iterator is dropped. Forgetting it loses everything from the range on.
    ///
    /// ```
    /// use flagstone::{Arena, ArenaVec};
    /// let arena = Arena::new();
    /// let mut vec = ArenaVec::from_slice_in(&[0, 1, 2, 3, 4], &arena);
    /// assert_eq!(vec.drain(1..=2).sum::<i32>(), 3);
    /// assert_eq!(vec, [0, 3, 4]);
    /// ```
    ///
    /// # Panics
    /// When the range is not in the vector.
    pub fn drain(&mut self, range: impl RangeBounds<usize>) -> ArenaVecDrain<'_, 'a, T, MIN_ALIGN> {
        let range = bounds(range, self.raw.len);
        ArenaVecDrain::new(Gap::open(&mut self.raw, range.clone()), range)
    }

    /// Puts what an iterator yields in the place of a range. The iterator may allocate in the same
    /// arena. What is removed is gone: to have it, [`drain`](ArenaVec::drain) first.
    ///
    /// ```
    /// use flagstone::{Arena, ArenaVec};
    /// let arena = Arena::new();
    /// let mut vec = ArenaVec::from_slice_in(&[0, 1, 9], &arena);
    /// vec.splice(1..2, 1..=8);
    /// assert_eq!(vec, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    /// ```
    ///
    /// # Panics
    /// When the range is not in the vector, the iterator panics, or [`ArenaVec::try_splice`] would
    /// return an error.
    pub fn splice(&mut self, range: impl RangeBounds<usize>, values: impl IntoIterator<Item = T>) {
        or_refuse(self.try_splice(range, values));
    }

    /// Puts what an iterator yields in the place of a range.
    ///
    /// # Errors
    /// The limit that was hit; the range is gone then, and what was yielded before is in its place.
    ///
    /// # Panics
    /// When the range is not in the vector, or the iterator panics.
    pub fn try_splice(
        &mut self,
        range: impl RangeBounds<usize>,
        values: impl IntoIterator<Item = T>,
    ) -> Result<(), AllocError> {
        let range = bounds(range, self.raw.len);
        let mut values = values.into_iter();
        let (state, start) = (&self.arena.state, range.start);
        let mut gap = Gap::open(&mut self.raw, range);
        while let Some(value) = values.next() {
            if gap.vec.len == gap.tail {
                // At least as much again as was put there: the tail moves seldom.
                let sure = values.size_hint().0.saturating_add(1);
                gap.widen(state, sure.max(gap.vec.len - start))?;
            }
            // SAFETY: in the gap, which is in the buffer and nobody's (G1).
            unsafe { gap.vec.ptr.add(gap.vec.len).write(value) };
            gap.vec.len += 1;
        }
        Ok(())
    }

    /// Moves all values of `other` to the end of this vector. The other keeps its buffer.
    ///
    /// # Panics
    /// When [`ArenaVec::try_append`] would return an error.
    pub fn append<const OTHER: usize>(&mut self, other: &mut ArenaVec<'_, T, OTHER>) {
        or_refuse(self.try_append(other));
    }

    /// Moves all values of `other` to the end of this vector. The other keeps its buffer.
    ///
    /// # Errors
    /// The limit that was hit; nothing changes then.
    pub fn try_append<const OTHER: usize>(
        &mut self,
        other: &mut ArenaVec<'_, T, OTHER>,
    ) -> Result<(), AllocError> {
        self.try_reserve(other.raw.len)?;
        // SAFETY: there is room for them now; they leave the other vector in the same moment.
        unsafe {
            let tail = self.raw.ptr.add(self.raw.len);
            tail.copy_from_nonoverlapping(other.raw.ptr, other.raw.len);
        }
        self.raw.len += core::mem::take(&mut other.raw.len);
        Ok(())
    }

    /// Cuts the vector in two at `at`; the values behind are in the vector that comes back. Cuts
    /// the buffer, too, so nothing is copied or allocated; this vector has no room left then.
    ///
    /// ```
    /// use flagstone::{Arena, ArenaVec};
    /// let arena = Arena::new();
    /// let mut head = ArenaVec::from_slice_in(&[1, 2, 3], &arena);
    /// let tail = head.split_off(1);
    /// assert_eq!((&head[..], &tail[..]), (&[1][..], &[2, 3][..]));
    /// assert_eq!(arena.used_bytes(), 12);
    /// ```
    ///
    /// # Panics
    /// When `at > len`.
    pub fn split_off(&mut self, at: usize) -> Self {
        assert!(at <= self.raw.len, "the index to split at is past the end");
        let empty = ArenaVec::new_in(self.arena());
        if at == 0 {
            core::mem::replace(self, empty)
        } else if size_of::<T>() == 0 {
            let mut rest = empty;
            rest.raw.len = self.raw.len - at;
            self.raw.len = at;
            rest
        } else if at == self.raw.len {
            empty
        } else {
            self.cut(at)
        }
    }

    /// Makes the vector `len` values long: shorter, or longer by clones of `value`.
    ///
    /// # Panics
    /// When a clone does, or [`ArenaVec::try_resize`] would return an error.
    pub fn resize(&mut self, len: usize, value: T)
    where
        T: Clone,
    {
        or_refuse(self.try_resize(len, value));
    }

    /// Makes the vector `len` values long: shorter, or longer by clones of `value`.
    ///
    /// # Errors
    /// The limit that was hit; nothing changes then.
    ///
    /// # Panics
    /// When a clone does; those before it stay.
    pub fn try_resize(&mut self, len: usize, value: T) -> Result<(), AllocError>
    where
        T: Clone,
    {
        self.try_resize_with(len, || value.clone())
    }

    /// Makes the vector `len` values long: shorter, or longer by what `make` returns.
    ///
    /// # Panics
    /// When `make` does, or [`ArenaVec::try_resize_with`] would return an error.
    pub fn resize_with(&mut self, len: usize, make: impl FnMut() -> T) {
        or_refuse(self.try_resize_with(len, make));
    }

    /// Makes the vector `len` values long: shorter, or longer by what `make` returns.
    ///
    /// # Errors
    /// The limit that was hit; nothing changes then.
    ///
    /// # Panics
    /// When `make` does; the values before stay.
    pub fn try_resize_with(
        &mut self,
        len: usize,
        mut make: impl FnMut() -> T,
    ) -> Result<(), AllocError> {
        self.try_reserve(len.saturating_sub(self.raw.len))?;
        while self.raw.len < len {
            let value = make();
            // SAFETY: there is room up to `len` (I1), and `make` cannot reach this vector.
            unsafe { self.raw.ptr.add(self.raw.len).write(value) };
            self.raw.len += 1;
        }
        self.raw.len = len;
        Ok(())
    }

    /// Appends copies of a range of the vector's own plain values.
    ///
    /// # Panics
    /// When the range is not in the vector, or [`ArenaVec::try_extend_from_within`] would return
    /// an error.
    pub fn extend_from_within(&mut self, range: impl RangeBounds<usize>)
    where
        T: Copy,
    {
        or_refuse(self.try_extend_from_within(range));
    }

    /// Appends copies of a range of the vector's own plain values.
    ///
    /// # Errors
    /// The limit that was hit; nothing changes then.
    ///
    /// # Panics
    /// When the range is not in the vector.
    pub fn try_extend_from_within(
        &mut self,
        range: impl RangeBounds<usize>,
    ) -> Result<(), AllocError>
    where
        T: Copy,
    {
        let range = bounds(range, self.raw.len);
        self.try_reserve(range.len())?;
        // SAFETY: there is room behind the values now; the range lies before it (I1).
        unsafe {
            let tail = self.raw.ptr.add(self.raw.len);
            tail.copy_from_nonoverlapping(self.raw.ptr.add(range.start), range.len());
        }
        self.raw.len += range.len();
        Ok(())
    }

    /// Clones the values into a vector of any arena, with room for no more.
    ///
    /// # Panics
    /// When a clone does, or [`ArenaVec::try_clone_in`] would return an error.
    pub fn clone_in<'b, const OTHER: usize>(
        &self,
        arena: &'b Arena<OTHER>,
    ) -> ArenaVec<'b, T, OTHER>
    where
        T: Clone,
    {
        or_refuse(self.try_clone_in(arena))
    }

    /// Clones the values into a vector of any arena, with room for no more.
    ///
    /// # Errors
    /// The limit that was hit; nothing was cloned then.
    ///
    /// # Panics
    /// When a clone does.
    pub fn try_clone_in<'b, const OTHER: usize>(
        &self,
        arena: &'b Arena<OTHER>,
    ) -> Result<ArenaVec<'b, T, OTHER>, AllocError>
    where
        T: Clone,
    {
        let mut vec = ArenaVec::try_with_capacity_in(self.raw.len, arena)?;
        vec.try_extend(self.iter().cloned())?;
        Ok(vec)
    }
}
