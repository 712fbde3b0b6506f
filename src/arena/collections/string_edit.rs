//! [`ArenaString`]: what changes text in its middle.
//!
//! Keeps I1 of string.rs through `Gap`s: whatever happens to one, it leaves what lies before it, or
//! that and what lies behind it, and both its ends lie between characters.

use core::ops::{Range, RangeBounds};

use crate::arena::collections::drain::{ArenaStringDrain, ArenaVecDrain};
use crate::arena::collections::raw_vec::{Gap, bounds};
use crate::arena::collections::string::ArenaString;
use crate::arena::handle::Arena;
use crate::base::error::AllocError;
use crate::base::trap::or_refuse;

impl<'a, const MIN_ALIGN: usize> ArenaString<'a, MIN_ALIGN> {
    /// Puts a character at byte `index`, moving everything behind it.
    ///
    /// # Panics
    /// When `index` is not between characters, or [`ArenaString::try_insert`] would return an
    /// error.
    pub fn insert(&mut self, index: usize, character: char) {
        or_refuse(self.try_insert(index, character));
    }

    /// Puts a character at byte `index`, moving everything behind it.
    ///
    /// # Errors
    /// The limit that was hit; nothing changes then.
    ///
    /// # Panics
    /// When `index` is not between characters.
    pub fn try_insert(&mut self, index: usize, character: char) -> Result<(), AllocError> {
        self.try_insert_str(index, character.encode_utf8(&mut [0; 4]))
    }

    /// Puts text at byte `index`, moving everything behind it.
    ///
    /// # Panics
    /// When `index` is not between characters, or [`ArenaString::try_insert_str`] would return an
    /// error.
    pub fn insert_str(&mut self, index: usize, text: &str) {
        or_refuse(self.try_insert_str(index, text));
    }

    /// Puts text at byte `index`, moving everything behind it.
    ///
    /// # Errors
    /// The limit that was hit; nothing changes then.
    ///
    /// # Panics
    /// When `index` is not between characters.
    pub fn try_insert_str(&mut self, index: usize, text: &str) -> Result<(), AllocError> {
        self.try_replace_range(index..index, text)
    }

    /// Puts text in the place of a range of bytes.
    ///
    /// ```
    /// use flagstone::{Arena, ArenaString};
    /// let arena = Arena::new();
    /// let mut text = ArenaString::from_str_in("one three", &arena);
    /// text.replace_range(3..4, ", two, ");
    /// assert_eq!(text, "one, two, three");
    /// ```
    ///
    /// # Panics
    /// When the range is not in the string, an end of it is not between characters, or
    /// [`ArenaString::try_replace_range`] would return an error.
    pub fn replace_range(&mut self, range: impl RangeBounds<usize>, text: &str) {
        or_refuse(self.try_replace_range(range, text));
    }

    /// Puts text in the place of a range of bytes.
    ///
    /// # Errors
    /// The limit that was hit; nothing changes then.
    ///
    /// # Panics
    /// When the range is not in the string, or an end of it is not between characters.
    pub fn try_replace_range(
        &mut self,
        range: impl RangeBounds<usize>,
        text: &str,
    ) -> Result<(), AllocError> {
        let range = self.between_characters(range);
        self.bytes.replace(range, text.as_bytes())
    }

    /// Takes the character at byte `index`, closing the gap.
    ///
    /// # Panics
    /// When `index` is not at a character.
    pub fn remove(&mut self, index: usize) -> char {
        self.assert_between(index);
        let Some(character) = self[index..].chars().next() else {
            panic!("removal index is past the end");
        };
        self.bytes.drain(index..index + character.len_utf8());
        character
    }

    /// Keeps only the characters that `keep` accepts, in order. When `keep` panics, the character
    /// it looked at and those behind it are kept.
    pub fn retain(&mut self, mut keep: impl FnMut(char) -> bool) {
        let mut gap = Gap::open(&mut self.bytes.raw, 0..0);
        while gap.tail < gap.end {
            // SAFETY: the tail is initialised (raw_vec.rs, G1), UTF-8, and starts at a character,
            // since whole ones were passed before (I1).
            unsafe {
                let tail = gap.vec.ptr.add(gap.tail);
                let tail = core::slice::from_raw_parts(tail.as_ptr(), gap.end - gap.tail);
                let character = core::str::from_utf8_unchecked(tail).chars().next();
                // There is one: the tail is not empty.
                let character = character.unwrap_unchecked();
                let keep = keep(character);
                gap.pass(character.len_utf8(), keep);
            }
        }
    }

    /// Takes the characters of a range of bytes out, one by one; those not taken are removed too
    /// when the iterator is dropped. Forgetting it loses everything from the range on.
    ///
    /// ```
    /// use flagstone::{Arena, ArenaString};
    /// let arena = Arena::new();
    /// let mut text = ArenaString::from_str_in("one, two", &arena);
    /// assert!(text.drain(..5).eq("one, ".chars()));
    /// assert_eq!(text, "two");
    /// ```
    ///
    /// # Panics
    /// When the range is not in the string, or an end of it is not between characters.
    pub fn drain(&mut self, range: impl RangeBounds<usize>) -> ArenaStringDrain<'_, 'a, MIN_ALIGN> {
        let range = self.between_characters(range);
        let gap = Gap::open(&mut self.bytes.raw, range.clone());
        // SAFETY: the range's ends lie between characters.
        unsafe { ArenaStringDrain::new(ArenaVecDrain::new(gap, range)) }
    }

    /// Cuts the string in two at byte `at`; what lies behind is in the string that comes back. Cuts
    /// the buffer, too, so nothing is copied or allocated; this string has no room left then.
    ///
    /// # Panics
    /// When `at` is not between characters.
    pub fn split_off(&mut self, at: usize) -> Self {
        self.assert_between(at);
        ArenaString {
            bytes: self.bytes.split_off(at),
        }
    }

    /// Appends texts. The iterator may allocate in the same arena.
    ///
    /// # Errors
    /// The limit that was hit; the texts before it are kept.
    ///
    /// # Panics
    /// When the iterator does.
    pub fn try_extend(
        &mut self,
        texts: impl IntoIterator<Item: AsRef<str>>,
    ) -> Result<(), AllocError> {
        for text in texts {
            self.try_push_str(text.as_ref())?;
        }
        Ok(())
    }

    /// Copies the text into any arena, with room for no more.
    ///
    /// # Panics
    /// When [`ArenaString::try_clone_in`] would return an error.
    pub fn clone_in<'b, const OTHER: usize>(
        &self,
        arena: &'b Arena<OTHER>,
    ) -> ArenaString<'b, OTHER> {
        ArenaString::from_str_in(self, arena)
    }

    /// Copies the text into any arena, with room for no more.
    ///
    /// # Errors
    /// The limit that was hit.
    pub fn try_clone_in<'b, const OTHER: usize>(
        &self,
        arena: &'b Arena<OTHER>,
    ) -> Result<ArenaString<'b, OTHER>, AllocError> {
        ArenaString::try_from_str_in(self, arena)
    }

    fn between_characters(&self, range: impl RangeBounds<usize>) -> Range<usize> {
        let range = bounds(range, self.len());
        self.assert_between(range.start);
        self.assert_between(range.end);
        range
    }

    fn assert_between(&self, index: usize) {
        assert!(
            self.is_char_boundary(index),
            "the index is not between characters"
        );
    }
}

/// Formats into a new [`ArenaString`](crate::ArenaString), which can go on growing:
/// `format_in!(arena, "{}-{}", 1, 2)`. The first argument is an arena, or anything that
/// dereferences to one, or a reference to it.
/// [`Arena::alloc_fmt`](crate::Arena::alloc_fmt) gives a `&mut str` instead.
///
/// ```
/// use flagstone::{Arena, format_in};
/// let arena = Arena::new();
/// let name = "flagstone";
/// let mut text = format_in!(arena, "{name} {:>3}", 7);
/// text.push('!');
/// assert_eq!(text, "flagstone   7!");
/// ```
///
/// # Panics
/// When [`try_format_in!`](crate::try_format_in) would return an error, or panic.
#[macro_export]
macro_rules! format_in {
    ($arena:expr, $($arguments:tt)*) => {
        $crate::ArenaString::from_fmt_in(::core::format_args!($($arguments)*), &$arena)
    };
}

/// [`format_in!`](crate::format_in) that returns `Result<ArenaString, AllocError>`.
///
/// ```
/// use flagstone::{AllocError, Arena, try_format_in};
/// let arena = Arena::builder().limit_bytes(4096).build()?;
/// assert_eq!(try_format_in!(&arena, "{}-{}", 1, 2)?, "1-2");
/// let refused = try_format_in!(&arena, "{:>5000}", 1);
/// assert_eq!(refused.unwrap_err(), AllocError::OwnerLimit { limit_bytes: 4096 });
/// # Ok::<(), AllocError>(())
/// ```
///
/// # Panics
/// When a formatting trait panics or returns an error of its own, as `format!` does.
#[macro_export]
macro_rules! try_format_in {
    ($arena:expr, $($arguments:tt)*) => {
        $crate::ArenaString::try_from_fmt_in(::core::format_args!($($arguments)*), &$arena)
    };
}
