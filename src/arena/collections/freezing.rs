//! What an arena makes by way of a collection that it freezes at once: from iterators, and text
//! from formatting.
//!
//! What grows while user code runs grows at the low end, as a vector does.

use core::fmt;

use crate::arena::collections::string::ArenaString;
use crate::arena::collections::vec::ArenaVec;
use crate::arena::handle::Arena;
use crate::base::error::AllocError;
use crate::base::trap::or_refuse;

#[allow(clippy::mut_from_ref)]
impl<const MIN_ALIGN: usize> Arena<MIN_ALIGN> {
    /// Everything an iterator yields, in order. The iterator may allocate in this arena. A type
    /// that needs drop is a compile error.
    ///
    /// ```
    /// let arena = flagstone::Arena::new();
    /// let squares: &mut [u64] = arena.alloc_from_iter((0..9).map(|i| i * i));
    /// assert_eq!(squares[8], 64);
    /// ```
    ///
    /// # Panics
    /// When the iterator does, or [`Arena::try_alloc_from_iter`] would return an error.
    #[inline]
    pub fn alloc_from_iter<T>(&self, values: impl IntoIterator<Item = T>) -> &mut [T] {
        or_refuse(self.try_alloc_from_iter(values))
    }

    /// Everything an iterator yields, in order.
    ///
    /// # Errors
    /// The limit that was hit; the values so far are gone then.
    ///
    /// # Panics
    /// When the iterator does.
    #[inline]
    pub fn try_alloc_from_iter<T>(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<&mut [T], AllocError> {
        let mut collected = ArenaVec::new_in(self);
        collected.try_extend(values)?;
        Ok(collected.into_slice())
    }

    /// Formatted text. [`format_in!`](crate::format_in) gives a string that can go on growing.
    ///
    /// ```
    /// let arena = flagstone::Arena::new();
    /// let label: &mut str = arena.alloc_fmt(format_args!("{}-{}", 1, 2));
    /// assert_eq!(label, "1-2");
    /// ```
    ///
    /// # Panics
    /// When a formatting trait panics or returns an error of its own (as `format!` does), or
    /// [`Arena::try_alloc_fmt`] would return an error.
    #[inline]
    pub fn alloc_fmt(&self, arguments: fmt::Arguments<'_>) -> &mut str {
        or_refuse(self.try_alloc_fmt(arguments))
    }

    /// Formatted text.
    ///
    /// # Errors
    /// The limit that was hit.
    ///
    /// # Panics
    /// When a formatting trait panics or returns an error of its own, as `format!` does.
    pub fn try_alloc_fmt(&self, arguments: fmt::Arguments<'_>) -> Result<&mut str, AllocError> {
        ArenaString::try_from_fmt_in(arguments, self).map(ArenaString::into_str)
    }
}
