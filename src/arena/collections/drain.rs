//! The iterators that take values out of collections: of a range ([`ArenaVecDrain`],
//! [`ArenaStringDrain`]), or all of them ([`ArenaVecIntoIter`]).
//!
//! I1: `left` lies within the gap of `gap` (raw_vec.rs, G1), which starts where the first `left`
//!     did; values in `left` are initialised and nobody's but the iterator's.
//! I2: of a string's drain, what lies before, in and behind `left` is UTF-8.

use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;
use core::ops::Range;

use crate::arena::collections::raw_vec::Gap;
use crate::arena::collections::vec::ArenaVec;

/// The values of a range of an [`ArenaVec`](crate::ArenaVec), moved out one by one; from
/// [`ArenaVec::drain`](crate::ArenaVec::drain).
pub struct ArenaVecDrain<'v, 'a, T, const MIN_ALIGN: usize = 8> {
    gap: Gap<'v, T>,
    left: Range<usize>,
    vec: PhantomData<&'v mut ArenaVec<'a, T, MIN_ALIGN>>,
}

impl<'v, 'a, T, const MIN_ALIGN: usize> ArenaVecDrain<'v, 'a, T, MIN_ALIGN> {
    /// `left` is what `gap` was opened around.
    pub(super) fn new(gap: Gap<'v, T>, left: Range<usize>) -> Self {
        let vec = PhantomData;
        ArenaVecDrain { gap, left, vec }
    }

    /// The values not taken yet.
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: initialised, and shared as long as `self` is (I1).
        unsafe {
            let first = self.gap.vec.ptr.add(self.left.start);
            core::slice::from_raw_parts(first.as_ptr(), self.left.len())
        }
    }
}

impl<T, const MIN_ALIGN: usize> Iterator for ArenaVecDrain<'_, '_, T, MIN_ALIGN> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let index = self.left.next()?;
        // SAFETY: initialised, and given away once (I1).
        Some(unsafe { self.gap.vec.ptr.add(index).read() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl<T, const MIN_ALIGN: usize> DoubleEndedIterator for ArenaVecDrain<'_, '_, T, MIN_ALIGN> {
    #[inline]
    fn next_back(&mut self) -> Option<T> {
        let index = self.left.next_back()?;
        // SAFETY: initialised, and given away once (I1).
        Some(unsafe { self.gap.vec.ptr.add(index).read() })
    }
}

impl<T, const MIN_ALIGN: usize> ExactSizeIterator for ArenaVecDrain<'_, '_, T, MIN_ALIGN> {}
impl<T, const MIN_ALIGN: usize> FusedIterator for ArenaVecDrain<'_, '_, T, MIN_ALIGN> {}

impl<T: fmt::Debug, const MIN_ALIGN: usize> fmt::Debug for ArenaVecDrain<'_, '_, T, MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ArenaVecDrain")
            .field(&self.as_slice())
            .finish()
    }
}

/// The characters of a range of an [`ArenaString`](crate::ArenaString); from
/// [`ArenaString::drain`](crate::ArenaString::drain).
pub struct ArenaStringDrain<'s, 'a, const MIN_ALIGN: usize = 8> {
    bytes: ArenaVecDrain<'s, 'a, u8, MIN_ALIGN>,
}

impl<'s, 'a, const MIN_ALIGN: usize> ArenaStringDrain<'s, 'a, MIN_ALIGN> {
    /// # Safety
    /// I2.
    pub(crate) unsafe fn new(bytes: ArenaVecDrain<'s, 'a, u8, MIN_ALIGN>) -> Self {
        ArenaStringDrain { bytes }
    }

    /// The text not taken yet.
    pub fn as_str(&self) -> &str {
        // SAFETY: I2.
        unsafe { core::str::from_utf8_unchecked(self.bytes.as_slice()) }
    }
}

impl<const MIN_ALIGN: usize> Iterator for ArenaStringDrain<'_, '_, MIN_ALIGN> {
    type Item = char;

    #[inline]
    fn next(&mut self) -> Option<char> {
        let character = self.as_str().chars().next()?;
        self.bytes.left.start += character.len_utf8();
        Some(character)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.as_str().chars().size_hint()
    }
}

impl<const MIN_ALIGN: usize> DoubleEndedIterator for ArenaStringDrain<'_, '_, MIN_ALIGN> {
    #[inline]
    fn next_back(&mut self) -> Option<char> {
        let character = self.as_str().chars().next_back()?;
        self.bytes.left.end -= character.len_utf8();
        Some(character)
    }
}

impl<const MIN_ALIGN: usize> FusedIterator for ArenaStringDrain<'_, '_, MIN_ALIGN> {}

impl<const MIN_ALIGN: usize> fmt::Debug for ArenaStringDrain<'_, '_, MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ArenaStringDrain")
            .field(&self.as_str())
            .finish()
    }
}

/// The values of an [`ArenaVec`](crate::ArenaVec) or an [`ArenaThinVec`](crate::ArenaThinVec),
/// moved out one by one.
pub struct ArenaVecIntoIter<'a, T> {
    /// Values that only this iterator reaches; each is moved out as it is passed.
    values: core::slice::IterMut<'a, T>,
}

impl<'a, T> ArenaVecIntoIter<'a, T> {
    /// # Safety
    /// `T` needs no drop, and `values` are those of a collection that is gone: they are moved out.
    pub(crate) unsafe fn new(values: &'a mut [T]) -> Self {
        let values = values.iter_mut();
        ArenaVecIntoIter { values }
    }

    /// The values not taken yet.
    pub fn as_slice(&self) -> &[T] {
        self.values.as_slice()
    }
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

impl<T> DoubleEndedIterator for ArenaVecIntoIter<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<T> {
        let value = self.values.next_back()?;
        // SAFETY: as in `next`.
        Some(unsafe { core::ptr::read(value) })
    }
}

impl<T> ExactSizeIterator for ArenaVecIntoIter<'_, T> {}
impl<T> FusedIterator for ArenaVecIntoIter<'_, T> {}

impl<T: fmt::Debug> fmt::Debug for ArenaVecIntoIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ArenaVecIntoIter")
            .field(&self.as_slice())
            .finish()
    }
}
