//! [`ArenaString`]: the traits that std's `String` has, as a `str` has them.
//!
//! `Hash`, `Eq` and `Ord` are those of `str`, as `Borrow<str>` asks.
#![forbid(unsafe_code)]

use alloc::string::String;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::{Add, AddAssign, Deref, DerefMut};

use crate::arena::collections::string::ArenaString;
use crate::base::trap::or_refuse;

impl<const MIN_ALIGN: usize> Deref for ArenaString<'_, MIN_ALIGN> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl<const MIN_ALIGN: usize> DerefMut for ArenaString<'_, MIN_ALIGN> {
    #[inline]
    fn deref_mut(&mut self) -> &mut str {
        self.as_mut_str()
    }
}

impl<const MIN_ALIGN: usize> fmt::Write for ArenaString<'_, MIN_ALIGN> {
    /// Refusals become `fmt::Error`; [`ArenaString::try_push_str`] names the limit.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.try_push_str(text).map_err(|_| fmt::Error)
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        self.try_push(character).map_err(|_| fmt::Error)
    }
}

impl<'s, const MIN_ALIGN: usize> Extend<&'s str> for ArenaString<'_, MIN_ALIGN> {
    /// # Panics
    /// When the iterator does, or [`ArenaString::try_extend`] would return an error.
    fn extend<I: IntoIterator<Item = &'s str>>(&mut self, texts: I) {
        or_refuse(self.try_extend(texts));
    }
}

impl<const MIN_ALIGN: usize> Extend<String> for ArenaString<'_, MIN_ALIGN> {
    /// # Panics
    /// When the iterator does, or [`ArenaString::try_extend`] would return an error.
    fn extend<I: IntoIterator<Item = String>>(&mut self, texts: I) {
        or_refuse(self.try_extend(texts));
    }
}

impl<const MIN_ALIGN: usize> Extend<char> for ArenaString<'_, MIN_ALIGN> {
    /// # Panics
    /// When the iterator does, or [`ArenaString::try_push`] would return an error.
    fn extend<I: IntoIterator<Item = char>>(&mut self, characters: I) {
        let characters = characters.into_iter();
        self.reserve(characters.size_hint().0);
        characters.for_each(|character| self.push(character));
    }
}

impl<'c, const MIN_ALIGN: usize> Extend<&'c char> for ArenaString<'_, MIN_ALIGN> {
    /// # Panics
    /// When the iterator does, or [`ArenaString::try_push`] would return an error.
    fn extend<I: IntoIterator<Item = &'c char>>(&mut self, characters: I) {
        self.extend(characters.into_iter().copied());
    }
}

impl<const MIN_ALIGN: usize> AddAssign<&str> for ArenaString<'_, MIN_ALIGN> {
    /// # Panics
    /// When [`ArenaString::try_push_str`] would return an error.
    fn add_assign(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl<const MIN_ALIGN: usize> Add<&str> for ArenaString<'_, MIN_ALIGN> {
    type Output = Self;

    /// # Panics
    /// When [`ArenaString::try_push_str`] would return an error.
    fn add(mut self, text: &str) -> Self {
        self.push_str(text);
        self
    }
}

/// Clones into the same arena: see [`ArenaString::clone_in`].
impl<const MIN_ALIGN: usize> Clone for ArenaString<'_, MIN_ALIGN> {
    fn clone(&self) -> Self {
        self.clone_in(self.arena())
    }
}

impl<const MIN_ALIGN: usize> fmt::Debug for ArenaString<'_, MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl<const MIN_ALIGN: usize> fmt::Display for ArenaString<'_, MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl<S: AsRef<str> + ?Sized, const MIN_ALIGN: usize> PartialEq<S> for ArenaString<'_, MIN_ALIGN> {
    fn eq(&self, other: &S) -> bool {
        self.as_str() == other.as_ref()
    }
}

impl<const MIN_ALIGN: usize> PartialEq<ArenaString<'_, MIN_ALIGN>> for str {
    fn eq(&self, other: &ArenaString<'_, MIN_ALIGN>) -> bool {
        self == other.as_str()
    }
}

impl<const MIN_ALIGN: usize> PartialEq<ArenaString<'_, MIN_ALIGN>> for &str {
    fn eq(&self, other: &ArenaString<'_, MIN_ALIGN>) -> bool {
        *self == other.as_str()
    }
}

impl<const MIN_ALIGN: usize> PartialEq<ArenaString<'_, MIN_ALIGN>> for String {
    fn eq(&self, other: &ArenaString<'_, MIN_ALIGN>) -> bool {
        self == other.as_str()
    }
}

impl<const MIN_ALIGN: usize> Eq for ArenaString<'_, MIN_ALIGN> {}

impl<const MIN_ALIGN: usize, const OTHER: usize> PartialOrd<ArenaString<'_, OTHER>>
    for ArenaString<'_, MIN_ALIGN>
{
    fn partial_cmp(&self, other: &ArenaString<'_, OTHER>) -> Option<Ordering> {
        Some(self.as_str().cmp(other.as_str()))
    }
}

impl<const MIN_ALIGN: usize> Ord for ArenaString<'_, MIN_ALIGN> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl<const MIN_ALIGN: usize> Hash for ArenaString<'_, MIN_ALIGN> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl<const MIN_ALIGN: usize> AsRef<str> for ArenaString<'_, MIN_ALIGN> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl<const MIN_ALIGN: usize> AsRef<[u8]> for ArenaString<'_, MIN_ALIGN> {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl<const MIN_ALIGN: usize> Borrow<str> for ArenaString<'_, MIN_ALIGN> {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}
