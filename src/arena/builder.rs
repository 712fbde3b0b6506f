//! [`ArenaBuilder`]: what an arena may hold, what it keeps, and where its pages come from.
#![forbid(unsafe_code)]

use core::mem::MaybeUninit;

use crate::arena::buffer::BufferArena;
use crate::arena::handle::Arena;
use crate::arena::windows::keeping::Keeping;
use crate::arena::windows::state::State;
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
    keeping: Keeping,
    capacity_bytes: usize,
    pages: Option<&'static Pages>,
}

impl Arena {
    /// Limits, what a reset keeps, a first capacity, other pages.
    ///
    /// ```
    /// use flagstone::{AllocError, Arena};
    /// let arena = Arena::builder().limit_bytes(64 << 10).build()?;
    /// let refused = arena.try_alloc_slice_fill_copy(64 << 10, 0u8);
    /// assert_eq!(refused.unwrap_err(), AllocError::OwnerLimit { limit_bytes: 64 << 10 });
    /// # Ok::<(), AllocError>(())
    /// ```
    pub const fn builder() -> ArenaBuilder {
        ArenaBuilder::new()
    }
}

impl ArenaBuilder {
    pub(crate) const fn new() -> ArenaBuilder {
        ArenaBuilder {
            limit_bytes: usize::MAX,
            keeping: Keeping::ALL,
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
        self.keeping.bytes_max = bytes;
        self
    }

    /// A reset keeps what recent rounds used, four times over and at least 64 KiB; what a rare
    /// large round took fades by a sixty-fourth with each reset that did not need it, and goes
    /// back to the pages. For arenas that serve requests of many sizes: those of an `ArenaPool` are
    /// built so. `keep_bytes` is its bound.
    #[must_use]
    pub const fn keep_recent(mut self) -> ArenaBuilder {
        self.keeping.recent = true;
        self
    }

    /// A reset after a round that took several chunks replaces them by one as large as all of them
    /// (at most `keep_bytes`), so that the next such round runs through without a slow step. Costs
    /// the span, and touching fresh pages, at each reset whose round was larger than those before.
    ///
    /// ```
    /// let mut arena = flagstone::Arena::builder().merge_chunks().build()?;
    /// for _ in 0..2 {
    ///     arena.reset();
    ///     (0..100_000u64).for_each(|n| *arena.alloc(n) += 1);
    /// }
    /// assert_eq!(arena.stats().chunks, 1);
    /// # Ok::<(), flagstone::AllocError>(())
    /// ```
    #[must_use]
    pub const fn merge_chunks(mut self) -> ArenaBuilder {
        self.keeping.merge = true;
        self
    }

    /// Takes room for so many bytes at once when the arena is built. Without it the first
    /// allocation takes the first chunk.
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
        let state = self.state();
        if self.capacity_bytes > 0 {
            state.reserve(self.capacity_bytes)?;
        }
        Ok(Arena::from_state(state))
    }

    /// The arena, over a buffer of yours first: see [`Arena::from_buffer`]. With `limit_bytes(0)`
    /// it never takes anything but the buffer. `capacity_bytes` says nothing here.
    ///
    /// ```
    /// use core::mem::MaybeUninit;
    /// let mut buffer = [MaybeUninit::uninit(); 1024];
    /// let arena = flagstone::Arena::builder().limit_bytes(0).build_in(&mut buffer);
    /// assert!(arena.try_alloc([0u8; 900]).is_ok());
    /// assert!(arena.try_alloc([0u8; 900]).is_err());
    /// ```
    pub fn build_in(self, buffer: &mut [MaybeUninit<u8>]) -> BufferArena<'_> {
        self.build_in_with_min_align(buffer)
    }

    /// The arena over a buffer, with another minimum alignment: see [`Arena::with_min_align`].
    pub fn build_in_with_min_align<const MIN_ALIGN: usize>(
        self,
        buffer: &mut [MaybeUninit<u8>],
    ) -> BufferArena<'_, MIN_ALIGN> {
        BufferArena::new(self.state(), buffer)
    }

    const fn state(self) -> State {
        State::new(self.pages, self.limit_bytes, self.keeping)
    }
}
