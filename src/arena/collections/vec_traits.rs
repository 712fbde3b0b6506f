//! [`ArenaVec`] and [`ArenaThinVec`]: the traits that std's `Vec` has, as a slice has them.
//!
//! `Hash`, `Eq` and `Ord` are the slice's, as `Borrow<[T]>` asks.

use core::borrow::{Borrow, BorrowMut};
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::{Deref, DerefMut};

use crate::arena::collections::drain::ArenaVecIntoIter;
use crate::arena::collections::thin_vec::ArenaThinVec;
use crate::arena::collections::vec::ArenaVec;
use crate::base::trap::or_refuse;

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
        or_refuse(self.try_extend(values));
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
        // SAFETY: no drop (vec.rs, I2), and the vector is gone.
        unsafe { ArenaVecIntoIter::new(self.into_slice()) }
    }
}

/// Clones into the same arena: see [`ArenaVec::clone_in`].
impl<T: Clone, const MIN_ALIGN: usize> Clone for ArenaVec<'_, T, MIN_ALIGN> {
    fn clone(&self) -> Self {
        self.clone_in(self.arena())
    }
}

impl<T: fmt::Debug, const MIN_ALIGN: usize> fmt::Debug for ArenaVec<'_, T, MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl<T: Hash, const MIN_ALIGN: usize> Hash for ArenaVec<'_, T, MIN_ALIGN> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl<T: Eq, const MIN_ALIGN: usize> Eq for ArenaVec<'_, T, MIN_ALIGN> {}

impl<T, U, const MIN_ALIGN: usize, const OTHER: usize> PartialEq<ArenaVec<'_, U, OTHER>>
    for ArenaVec<'_, T, MIN_ALIGN>
where
    T: PartialEq<U>,
{
    fn eq(&self, other: &ArenaVec<'_, U, OTHER>) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T, const MIN_ALIGN: usize, const OTHER: usize> PartialOrd<ArenaVec<'_, T, OTHER>>
    for ArenaVec<'_, T, MIN_ALIGN>
where
    T: PartialOrd,
{
    fn partial_cmp(&self, other: &ArenaVec<'_, T, OTHER>) -> Option<Ordering> {
        self.as_slice().partial_cmp(other.as_slice())
    }
}

impl<T: Ord, const MIN_ALIGN: usize> Ord for ArenaVec<'_, T, MIN_ALIGN> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

// With each of the other lists, both ways round.

impl<T: PartialEq<U>, U, const MIN_ALIGN: usize> PartialEq<[U]> for ArenaVec<'_, T, MIN_ALIGN> {
    fn eq(&self, other: &[U]) -> bool {
        self.as_slice() == other
    }
}

impl<T: PartialEq<U>, U, const MIN_ALIGN: usize> PartialEq<&[U]> for ArenaVec<'_, T, MIN_ALIGN> {
    fn eq(&self, other: &&[U]) -> bool {
        self.as_slice() == *other
    }
}

impl<T: PartialEq<U>, U, const MIN: usize> PartialEq<&mut [U]> for ArenaVec<'_, T, MIN> {
    fn eq(&self, other: &&mut [U]) -> bool {
        self.as_slice() == *other
    }
}

impl<T: PartialEq<U>, U, const N: usize, const MIN: usize> PartialEq<[U; N]>
    for ArenaVec<'_, T, MIN>
{
    fn eq(&self, other: &[U; N]) -> bool {
        self.as_slice() == other
    }
}

impl<T: PartialEq<U>, U, const N: usize, const MIN: usize> PartialEq<&[U; N]>
    for ArenaVec<'_, T, MIN>
{
    fn eq(&self, other: &&[U; N]) -> bool {
        self.as_slice() == *other
    }
}

impl<T: PartialEq<U>, U, const MIN: usize> PartialEq<alloc::vec::Vec<U>> for ArenaVec<'_, T, MIN> {
    fn eq(&self, other: &alloc::vec::Vec<U>) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: PartialEq<U>, U, const MIN: usize> PartialEq<ArenaVec<'_, U, MIN>> for [T] {
    fn eq(&self, other: &ArenaVec<'_, U, MIN>) -> bool {
        self == other.as_slice()
    }
}

impl<T: PartialEq<U>, U, const MIN: usize> PartialEq<ArenaVec<'_, U, MIN>> for &[T] {
    fn eq(&self, other: &ArenaVec<'_, U, MIN>) -> bool {
        *self == other.as_slice()
    }
}

impl<T: PartialEq<U>, U, const N: usize, const MIN: usize> PartialEq<ArenaVec<'_, U, MIN>>
    for [T; N]
{
    fn eq(&self, other: &ArenaVec<'_, U, MIN>) -> bool {
        self == other.as_slice()
    }
}

impl<T: PartialEq<U>, U, const MIN: usize> PartialEq<ArenaVec<'_, U, MIN>> for alloc::vec::Vec<T> {
    fn eq(&self, other: &ArenaVec<'_, U, MIN>) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T, const MIN_ALIGN: usize> AsRef<[T]> for ArenaVec<'_, T, MIN_ALIGN> {
    fn as_ref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T, const MIN_ALIGN: usize> AsMut<[T]> for ArenaVec<'_, T, MIN_ALIGN> {
    fn as_mut(&mut self) -> &mut [T] {
        self.as_mut_slice()
    }
}

impl<T, const MIN_ALIGN: usize> Borrow<[T]> for ArenaVec<'_, T, MIN_ALIGN> {
    fn borrow(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T, const MIN_ALIGN: usize> BorrowMut<[T]> for ArenaVec<'_, T, MIN_ALIGN> {
    fn borrow_mut(&mut self) -> &mut [T] {
        self.as_mut_slice()
    }
}

/// Appends. A refusal becomes [`std::io::ErrorKind::OutOfMemory`];
/// [`ArenaVec::try_extend_from_slice`] names the limit.
#[cfg(feature = "std")]
impl<const MIN_ALIGN: usize> std::io::Write for ArenaVec<'_, u8, MIN_ALIGN> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let written = self.try_extend_from_slice(bytes);
        written.map_err(|_| std::io::ErrorKind::OutOfMemory.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// Of the thin vector.

impl<T> Deref for ArenaThinVec<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T> DerefMut for ArenaThinVec<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.as_mut_slice()
    }
}

impl<T> Default for ArenaThinVec<'_, T> {
    fn default() -> Self {
        ArenaThinVec::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for ArenaThinVec<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl<T: PartialEq<U>, U> PartialEq<ArenaThinVec<'_, U>> for ArenaThinVec<'_, T> {
    fn eq(&self, other: &ArenaThinVec<'_, U>) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: PartialEq<U>, U> PartialEq<[U]> for ArenaThinVec<'_, T> {
    fn eq(&self, other: &[U]) -> bool {
        self.as_slice() == other
    }
}

impl<T: PartialEq<U>, U, const N: usize> PartialEq<[U; N]> for ArenaThinVec<'_, T> {
    fn eq(&self, other: &[U; N]) -> bool {
        self.as_slice() == other
    }
}

impl<T: Eq> Eq for ArenaThinVec<'_, T> {}

impl<T: Hash> Hash for ArenaThinVec<'_, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl<'a, T: 'a> IntoIterator for ArenaThinVec<'a, T> {
    type Item = T;
    type IntoIter = ArenaVecIntoIter<'a, T>;

    fn into_iter(self) -> ArenaVecIntoIter<'a, T> {
        // SAFETY: no drop (thin_vec.rs, I3), and the vector is gone.
        unsafe { ArenaVecIntoIter::new(self.into_slice()) }
    }
}

impl<'v, T> IntoIterator for &'v ArenaThinVec<'_, T> {
    type Item = &'v T;
    type IntoIter = core::slice::Iter<'v, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'v, T> IntoIterator for &'v mut ArenaThinVec<'_, T> {
    type Item = &'v mut T;
    type IntoIter = core::slice::IterMut<'v, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}
