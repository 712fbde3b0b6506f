//! [`ArenaString`]: text that grows at the low end of an arena.
//!
//! I1: the bytes are UTF-8.

use core::fmt;
use core::ops::{Deref, DerefMut};

use crate::arena::handle::Arena;
use crate::arena::vec::ArenaVec;
use crate::base::error::AllocError;
use crate::base::trap::refused;

/// A growing string in an arena, without a destructor. Grows in place, also while objects are
/// allocated beside it.
///
/// ```
/// use std::fmt::Write;
/// use flagstone::{Arena, ArenaString};
/// let arena = Arena::new();
/// let mut text = ArenaString::new_in(&arena);
/// text.push_str("abc");
/// write!(text, "-{}", 7)?;
/// let frozen: &mut str = text.into_str();
/// assert_eq!(frozen, "abc-7");
/// # Ok::<(), std::fmt::Error>(())
/// ```
pub struct ArenaString<'a, const MIN_ALIGN: usize = 8> {
    bytes: ArenaVec<'a, u8, MIN_ALIGN>,
}

impl<'a, const MIN_ALIGN: usize> ArenaString<'a, MIN_ALIGN> {
    /// An empty string. Allocates nothing.
    #[inline]
    pub const fn new_in(arena: &'a Arena<MIN_ALIGN>) -> Self {
        ArenaString {
            bytes: ArenaVec::new_in(arena),
        }
    }

    /// An empty string with room for `capacity` bytes.
    ///
    /// # Panics
    /// When [`ArenaString::try_with_capacity_in`] would return an error.
    #[inline]
    pub fn with_capacity_in(capacity: usize, arena: &'a Arena<MIN_ALIGN>) -> Self {
        ArenaString {
            bytes: ArenaVec::with_capacity_in(capacity, arena),
        }
    }

    /// An empty string with room for `capacity` bytes.
    ///
    /// # Errors
    /// The limit that was hit, or that the size is too large for any.
    #[inline]
    pub fn try_with_capacity_in(
        capacity: usize,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, AllocError> {
        Ok(ArenaString {
            bytes: ArenaVec::try_with_capacity_in(capacity, arena)?,
        })
    }

    /// An empty string with room for `capacity` bytes if the current chunk has that.
    #[inline]
    pub(crate) fn roomy_in(capacity: usize, arena: &'a Arena<MIN_ALIGN>) -> Self {
        ArenaString {
            bytes: ArenaVec::roomy_in(capacity, arena),
        }
    }

    /// Appends text.
    ///
    /// # Panics
    /// When [`ArenaString::try_push_str`] would return an error.
    #[inline]
    pub fn push_str(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Appends text.
    ///
    /// # Errors
    /// The limit that was hit; nothing changes then.
    #[inline]
    pub fn try_push_str(&mut self, text: &str) -> Result<(), AllocError> {
        self.bytes.try_extend_from_slice(text.as_bytes())
    }

    /// Appends a character.
    ///
    /// # Panics
    /// When [`ArenaString::try_push`] would return an error.
    #[inline]
    pub fn push(&mut self, character: char) {
        if let Err(error) = self.try_push(character) {
            refused(error);
        }
    }

    /// Appends a character.
    ///
    /// # Errors
    /// The limit that was hit; nothing changes then.
    #[inline]
    pub fn try_push(&mut self, character: char) -> Result<(), AllocError> {
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() => self.bytes.try_push(byte),
            _ => self.try_push_str(character.encode_utf8(&mut [0; 4])),
        }
    }

    /// Takes the last character.
    pub fn pop(&mut self) -> Option<char> {
        let character = self.chars().next_back()?;
        self.bytes.truncate(self.len() - character.len_utf8());
        Some(character)
    }

    /// Shortens the text to at most `len` bytes. The buffer stays.
    ///
    /// # Panics
    /// When `len` lies inside a character.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            assert!(
                self.is_char_boundary(len),
                "the new length lies inside a character"
            );
            self.bytes.truncate(len);
        }
    }

    /// Removes everything. The buffer stays.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Makes room for `additional` more bytes.
    ///
    /// # Panics
    /// When [`ArenaString::try_reserve`] would return an error.
    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        self.bytes.reserve(additional);
    }

    /// Makes room for `additional` more bytes.
    ///
    /// # Errors
    /// The limit that was hit, or that the size is too large for any; nothing changes then.
    #[inline]
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), AllocError> {
        self.bytes.try_reserve(additional)
    }

    /// How many bytes fit before the buffer grows.
    #[inline]
    pub const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The text.
    #[inline]
    pub const fn as_str(&self) -> &str {
        // SAFETY: I1.
        unsafe { core::str::from_utf8_unchecked(self.bytes.as_slice()) }
    }

    /// Freezes the string: the text stays for as long as the arena is borrowed. Unused room goes
    /// back to the arena if the string is the last thing at its end.
    #[inline]
    pub fn into_str(self) -> &'a mut str {
        // SAFETY: I1.
        unsafe { core::str::from_utf8_unchecked_mut(self.bytes.into_slice()) }
    }

    /// The bytes of the text, as a vector.
    #[inline]
    pub fn into_bytes(self) -> ArenaVec<'a, u8, MIN_ALIGN> {
        self.bytes
    }
}

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
        // SAFETY: I1; a `&mut str` keeps the text UTF-8.
        unsafe { core::str::from_utf8_unchecked_mut(self.bytes.as_mut_slice()) }
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
    fn extend<I: IntoIterator<Item = &'s str>>(&mut self, texts: I) {
        texts.into_iter().for_each(|text| self.push_str(text));
    }
}

impl<const MIN_ALIGN: usize> Extend<char> for ArenaString<'_, MIN_ALIGN> {
    fn extend<I: IntoIterator<Item = char>>(&mut self, characters: I) {
        characters
            .into_iter()
            .for_each(|character| self.push(character));
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
