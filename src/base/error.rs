//! What can go wrong, as small `Copy` values that name the limit that was hit.
//!
//! Knows nothing of memory: building and printing an error never allocates, so that an error can be
//! reported from inside an allocator.
#![forbid(unsafe_code)]

use core::fmt;

/// Why an allocation was refused. Every `try_` method of the crate returns this.
///
/// ```
/// use flagstone::{AllocError, Heap};
/// let heap = Heap::builder().limit_bytes(64 << 10).build()?;
/// let error = heap.allocate(std::alloc::Layout::new::<[u8; 1 << 20]>()).unwrap_err();
/// assert_eq!(error, AllocError::OwnerLimit { limit_bytes: 64 << 10 });
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AllocError {
    /// The `limit_bytes` of the heap, arena, slab or pool that was asked.
    OwnerLimit {
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// The limit of the page source as a whole, set by
    /// [`Pages::set_limit`](crate::pages::Pages::set_limit).
    PagesLimit {
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// The page source itself refused: out of address space (`ulimit -v`, `vm.overcommit_memory=2`)
    /// or of memory.
    SourceExhausted {
        /// The smallest mapping that was refused, in bytes.
        bytes: usize,
    },
    /// The size or alignment is outside what the crate serves: sizes up to `isize::MAX`,
    /// alignments up to 4 MiB.
    LayoutTooLarge,
}

impl fmt::Display for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnerLimit { limit_bytes } => {
                write!(
                    f,
                    "allocation refused: the owner's limit of {limit_bytes} bytes is reached"
                )
            }
            Self::PagesLimit { limit_bytes } => {
                write!(
                    f,
                    "allocation refused: the pages' limit of {limit_bytes} bytes is reached"
                )
            }
            Self::SourceExhausted { bytes } => {
                write!(
                    f,
                    "allocation refused: the page source has no mapping of {bytes} bytes left"
                )
            }
            Self::LayoutTooLarge => {
                f.write_str("allocation refused: size over isize::MAX or alignment over 4 MiB")
            }
        }
    }
}

impl core::error::Error for AllocError {}

/// Why a pointer was not freed by [`Heap::try_free`](crate::Heap::try_free). Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FreeError {
    /// The slot is free already.
    DoubleFree,
    /// The pointer does not belong to this heap.
    Foreign,
    /// The pointer lies in this heap but not at the start of a slot.
    NotASlot,
    /// The layout belongs to another size class than the slot.
    WrongClass,
}

impl fmt::Display for FreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DoubleFree => "not freed: the slot is free already",
            Self::Foreign => "not freed: the pointer does not belong to this heap",
            Self::NotASlot => "not freed: the pointer is not the start of a slot",
            Self::WrongClass => "not freed: the layout belongs to another size class",
        })
    }
}

impl core::error::Error for FreeError {}
