//! The choices of a heap, collected before it exists.

use crate::base::config::Check;
use crate::base::error::AllocError;
use crate::base::geometry::PAGE_BYTES;
use crate::heap::single::Heap;
use crate::pages::Pages;

/// Builds a [`Heap`] with choices; made by [`Heap::builder`].
///
/// ```
/// use flagstone::{Check, Heap};
/// let heap = Heap::builder().limit_bytes(64 << 20).check(Check::Full).build()?;
/// # Ok::<(), flagstone::AllocError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct HeapBuilder {
    pages: Option<&'static Pages>,
    limit_bytes: usize,
    huge_pages: bool,
    check: Check,
}

impl Heap {
    /// A heap with choices: limit, pages, checks.
    pub const fn builder() -> HeapBuilder {
        HeapBuilder::new()
    }
}

impl HeapBuilder {
    pub(crate) const fn new() -> HeapBuilder {
        HeapBuilder {
            pages: None,
            limit_bytes: usize::MAX,
            huge_pages: false,
            check: Check::Fast,
        }
    }

    /// Limits the bytes of spans the heap may hold. Allocation beyond it returns
    /// [`AllocError::OwnerLimit`].
    pub const fn limit_bytes(mut self, bytes: usize) -> HeapBuilder {
        self.limit_bytes = bytes;
        self
    }

    /// Asks for transparent huge pages. The setting belongs to the pages: it holds for segments
    /// they publish from now on, whoever uses them.
    pub const fn huge_pages(mut self, wanted: bool) -> HeapBuilder {
        self.huge_pages = wanted;
        self
    }

    /// How much frees are checked; [`Check::Fast`] unless chosen.
    pub const fn check(mut self, check: Check) -> HeapBuilder {
        self.check = check;
        self
    }

    /// Where memory comes from; [`Pages::global`] unless chosen.
    pub const fn pages(mut self, pages: &'static Pages) -> HeapBuilder {
        self.pages = Some(pages);
        self
    }

    /// The heap. Nothing is mapped yet.
    ///
    /// # Errors
    /// [`AllocError::OwnerLimit`] for a limit under one page (4 KiB), which could not hold a slot.
    pub fn build(self) -> Result<Heap, AllocError> {
        if self.limit_bytes < PAGE_BYTES {
            return Err(AllocError::OwnerLimit {
                limit_bytes: self.limit_bytes,
            });
        }
        if self.huge_pages {
            self.pages
                .unwrap_or_else(Pages::global)
                .set_huge_pages(true);
        }
        Ok(Heap::with(self.pages, self.limit_bytes, self.check))
    }
}
