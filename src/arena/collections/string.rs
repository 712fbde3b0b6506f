//! [`ArenaString`]: text that grows at the low end of an arena. `string_edit` has what changes text
//! in its middle, `string_traits` the traits.
//!
//! I1: the bytes are UTF-8, also whenever user code runs or an iterator is handed out.

use core::char::{DecodeUtf16Error, decode_utf16};
use core::fmt;
use core::fmt::Write;
use core::str::Utf8Error;

use crate::arena::collections::vec::ArenaVec;
use crate::arena::handle::Arena;
use crate::base::error::AllocError;
use crate::base::trap::or_refuse;

/// Formatted text starts with room for this much where the chunk has it, and gives the rest back:
/// a line of a log or a key fits; half of it would regrow for many, which costs as much as a piece.
const TEXT_BYTES_FIRST: usize = 64;

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
    pub(crate) bytes: ArenaVec<'a, u8, MIN_ALIGN>,
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

    /// A copy of a text, with room for no more.
    ///
    /// # Panics
    /// When [`ArenaString::try_from_str_in`] would return an error.
    #[inline]
    pub fn from_str_in(text: &str, arena: &'a Arena<MIN_ALIGN>) -> Self {
        or_refuse(Self::try_from_str_in(text, arena))
    }

    /// A copy of a text, with room for no more.
    ///
    /// # Errors
    /// The limit that was hit.
    #[inline]
    pub fn try_from_str_in(text: &str, arena: &'a Arena<MIN_ALIGN>) -> Result<Self, AllocError> {
        Ok(ArenaString {
            bytes: ArenaVec::try_from_slice_in(text.as_bytes(), arena)?,
        })
    }

    /// Formatted text that can go on growing; [`format_in!`](crate::format_in) writes the call.
    ///
    /// # Panics
    /// When a formatting trait panics or returns an error of its own (as `format!` does), or
    /// [`ArenaString::try_from_fmt_in`] would return an error.
    #[inline]
    pub fn from_fmt_in(arguments: fmt::Arguments<'_>, arena: &'a Arena<MIN_ALIGN>) -> Self {
        or_refuse(Self::try_from_fmt_in(arguments, arena))
    }

    /// Formatted text that can go on growing; [`try_format_in!`](crate::try_format_in) writes the
    /// call.
    ///
    /// # Errors
    /// The limit that was hit.
    ///
    /// # Panics
    /// When a formatting trait panics or returns an error of its own, as `format!` does.
    pub fn try_from_fmt_in(
        arguments: fmt::Arguments<'_>,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, AllocError> {
        if let Some(text) = arguments.as_str() {
            return Self::try_from_str_in(text, arena);
        }
        let mut sink = Sink {
            text: ArenaString::roomy_in(TEXT_BYTES_FIRST, arena),
            refused: None,
        };
        let written = sink.write_fmt(arguments);
        sink.text.shrink_to_fit();
        match (written, sink.refused) {
            (_, Some(error)) => Err(error),
            (Ok(()), None) => Ok(sink.text),
            (Err(fmt::Error), None) => panic!("a formatting trait returned an error"),
        }
    }

    /// The text that bytes are, if they are UTF-8. Copies nothing.
    ///
    /// # Errors
    /// Where they are not; they are gone then. To keep them, ask [`core::str::from_utf8`] first.
    pub fn from_utf8(bytes: ArenaVec<'a, u8, MIN_ALIGN>) -> Result<Self, Utf8Error> {
        core::str::from_utf8(&bytes)?;
        Ok(ArenaString { bytes })
    }

    /// The text that bytes are. Copies nothing.
    ///
    /// # Safety
    /// They are UTF-8.
    pub const unsafe fn from_utf8_unchecked(bytes: ArenaVec<'a, u8, MIN_ALIGN>) -> Self {
        ArenaString { bytes }
    }

    /// A copy of bytes as text, with U+FFFD in the place of whatever is not UTF-8.
    ///
    /// ```
    /// use flagstone::{Arena, ArenaString};
    /// let arena = Arena::new();
    /// assert_eq!(ArenaString::from_utf8_lossy_in(b"a\xFFb", &arena), "a\u{FFFD}b");
    /// ```
    ///
    /// # Panics
    /// When [`ArenaString::try_from_utf8_lossy_in`] would return an error.
    pub fn from_utf8_lossy_in(bytes: &[u8], arena: &'a Arena<MIN_ALIGN>) -> Self {
        or_refuse(Self::try_from_utf8_lossy_in(bytes, arena))
    }

    /// A copy of bytes as text, with U+FFFD in the place of whatever is not UTF-8.
    ///
    /// # Errors
    /// The limit that was hit.
    pub fn try_from_utf8_lossy_in(
        bytes: &[u8],
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, AllocError> {
        let mut text = ArenaString::try_with_capacity_in(bytes.len(), arena)?;
        for chunk in bytes.utf8_chunks() {
            text.try_push_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                text.try_push(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(text)
    }

    /// UTF-16 as text.
    ///
    /// # Errors
    /// The first surrogate that has no partner.
    ///
    /// # Panics
    /// When [`ArenaString::try_from_utf16_in`] would return an error of the arena.
    pub fn from_utf16_in(
        units: &[u16],
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, DecodeUtf16Error> {
        or_refuse(Self::try_from_utf16_in(units, arena))
    }

    /// UTF-16 as text.
    ///
    /// # Errors
    /// The limit that was hit; within, the first surrogate that has no partner.
    pub fn try_from_utf16_in(
        units: &[u16],
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<Result<Self, DecodeUtf16Error>, AllocError> {
        let mut text = ArenaString::try_with_capacity_in(units.len(), arena)?;
        for character in decode_utf16(units.iter().copied()) {
            match character {
                Ok(character) => text.try_push(character)?,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(text))
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
        or_refuse(self.try_push(character));
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

    /// Makes room for `additional` more bytes and no more than that.
    ///
    /// # Panics
    /// When [`ArenaString::try_reserve_exact`] would return an error.
    #[inline]
    pub fn reserve_exact(&mut self, additional: usize) {
        self.bytes.reserve_exact(additional);
    }

    /// Makes room for `additional` more bytes and no more than that.
    ///
    /// # Errors
    /// The limit that was hit, or that the size is too large for any; nothing changes then.
    #[inline]
    pub fn try_reserve_exact(&mut self, additional: usize) -> Result<(), AllocError> {
        self.bytes.try_reserve_exact(additional)
    }

    /// Gives unused room back to the arena, if the string is the last thing at its end; else
    /// changes nothing.
    #[inline]
    pub fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Gives unused room beyond `capacity` bytes back to the arena, if the string is the last thing
    /// at its end; else changes nothing.
    #[inline]
    pub fn shrink_to(&mut self, capacity: usize) {
        self.bytes.shrink_to(capacity);
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

    /// The text.
    #[inline]
    pub const fn as_mut_str(&mut self) -> &mut str {
        // SAFETY: I1; a `&mut str` keeps the text UTF-8.
        unsafe { core::str::from_utf8_unchecked_mut(self.bytes.as_mut_slice()) }
    }

    /// The bytes, to be changed.
    ///
    /// # Safety
    /// They are UTF-8 whenever the string is used otherwise.
    #[inline]
    pub const unsafe fn as_mut_vec(&mut self) -> &mut ArenaVec<'a, u8, MIN_ALIGN> {
        &mut self.bytes
    }

    /// The arena the string grows in.
    #[inline]
    pub const fn arena(&self) -> &'a Arena<MIN_ALIGN> {
        self.bytes.arena()
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

/// Receives formatted text and remembers why it ended, which `fmt::Error` cannot say.
struct Sink<'a, const MIN_ALIGN: usize> {
    text: ArenaString<'a, MIN_ALIGN>,
    refused: Option<AllocError>,
}

impl<const MIN_ALIGN: usize> Write for Sink<'_, MIN_ALIGN> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.text.try_push_str(piece).map_err(|error| {
            self.refused = Some(error);
            fmt::Error
        })
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        self.text.try_push(character).map_err(|error| {
            self.refused = Some(error);
            fmt::Error
        })
    }
}
