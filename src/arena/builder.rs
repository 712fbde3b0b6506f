//! [`ArenaBuilder`]: what an arena may hold, what it keeps, and where its pages come from.
#![forbid(unsafe_code)]

use crate::arena::handle::Arena;
use crate::arena::state::State;
use crate::base::error::AllocError;
use crate::pages::Pages;

/// Builds an [`Arena`]; comes from [`Arena::builder`].
///
/// ```
/// use flagstone::Arena;
/// let arena = Arena::builder().limit_bytes(1 << 20).keep_bytes(256 << 10).build()?;
/// let ready = Arena::builder().capacity_bytes(100 << 10).build()?;
/// assert!(ready.capacity_bytes() >= 100 << 10);
/// let dense = Arena::builder().limit_bytes(1 << 20).build_with_min_align::<1>()?;
/// # Ok::<(), flagstone::AllocError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ArenaBuilder {
    limit_bytes: usize,
    keep_bytes: usize,
    capacity_bytes: usize,
    pages: Option<&'static Pages>,
}

impl ArenaBuilder {
    pub(crate) const fn new() -> ArenaBuilder {
        let (limit_bytes, keep_bytes) = (usize::MAX, usize::MAX);
        ArenaBuilder {
            limit_bytes,
            keep_bytes,
            capacity_bytes: 0,
            pages: None,
        }
    }

    /// The most bytes of spans the arena may hold; a request above it is refused with
    /// [`AllocError::OwnerLimit`]. Spans are at least 4 KiB, so a smaller limit refuses everything.
    /// Without it there is no limit.
    #[must_use]
    pub const fn limit_bytes(mut self, bytes: usize) -> ArenaBuilder {
        self.limit_bytes = bytes;
        self
    }

    /// The most bytes of spans that a reset keeps for the next round, newest chunks first; the
    /// others go back to the pages. `0` releases everything at each reset. Without it a reset keeps
    /// everything, until 90 % of the pages' limit is passed: then the chunks beyond the largest go
    /// back, at the arena's next reset or when it next needs a chunk.
    #[must_use]
    pub const fn keep_bytes(mut self, bytes: usize) -> ArenaBuilder {
        self.keep_bytes = bytes;
        self
    }

    /// Claims room for so many bytes at once when the arena is built. Without it the first
    /// allocation claims the first chunk.
    #[must_use]
    pub const fn capacity_bytes(mut self, bytes: usize) -> ArenaBuilder {
        self.capacity_bytes = bytes;
        self
    }

    /// Takes memory from `pages` instead of [`Pages::global`].
    #[must_use]
    pub const fn pages(mut self, pages: &'static Pages) -> ArenaBuilder {
        self.pages = Some(pages);
        self
    }

    /// The arena.
    ///
    /// # Errors
    /// When the first capacity was asked for and refused.
    pub fn build(self) -> Result<Arena, AllocError> {
        self.build_with_min_align()
    }

    /// The arena, with another minimum alignment: see [`Arena::with_min_align`].
    ///
    /// # Errors
    /// When the first capacity was asked for and refused.
    pub fn build_with_min_align<const MIN_ALIGN: usize>(
        self,
    ) -> Result<Arena<MIN_ALIGN>, AllocError> {
        let state = State::new(self.pages, self.limit_bytes, self.keep_bytes);
        if self.capacity_bytes > 0 {
            state.reserve(self.capacity_bytes)?;
        }
        Ok(Arena::from_state(state))
    }
}
