//! Slots for the calling thread: from its heap's bins, or the slow way.
//!
//! Owns the error that each thread met last.

use core::cell::Cell;
use core::ptr::{NonNull, null_mut};

use crate::base::config::Config;
use crate::base::error::AllocError;
use crate::base::size_class::CLASS_BYTES;
use crate::heap::bins::SHAPE_TABLE;
use crate::heap::check::fill;
use crate::heap::process::choices;
use crate::heap::process::heaps::{current, heir, with_heap};
use crate::heap::process::remote::free_without_heap;
use crate::heap::process::spans::count_spans;
use crate::slab::raw::slot_at;

/// The start of a block, and whether it reads as zero.
pub(super) type Block = Result<(NonNull<u8>, bool), Refused>;

/// Memory was refused, and [`last_error`] says why: a word less on the way to who wants a null.
#[derive(Debug)]
pub(crate) struct Refused;

impl Refused {
    /// What was just left for `last_error`.
    #[cold]
    pub(super) fn reason(self) -> AllocError {
        last_error().unwrap_or(AllocError::LayoutTooLarge)
    }
}

std::thread_local! {
    static LAST_ERROR: Cell<Option<AllocError>> = const { Cell::new(None) };
}

/// Why the last allocation through [`Flagstone`](crate::Flagstone) that failed on this thread did.
///
/// ```
/// use flagstone::{AllocError, Flagstone};
/// use std::alloc::{GlobalAlloc, Layout};
/// let layout = Layout::from_size_align(100, 8 << 20)?;
/// // SAFETY: the size is not zero.
/// assert!(unsafe { Flagstone::new().alloc(layout) }.is_null());
/// assert_eq!(flagstone::last_error(), Some(AllocError::LayoutTooLarge));
/// # Ok::<(), std::alloc::LayoutError>(())
/// ```
pub fn last_error() -> Option<AllocError> {
    LAST_ERROR.with(Cell::get)
}

/// Leaves an error for [`last_error`].
pub(super) fn refuse(error: AllocError) -> Refused {
    LAST_ERROR.with(|last| last.set(Some(error)));
    Refused
}

/// A slot of the class; null when there is none to be had.
#[inline(always)]
pub(super) fn take_class(class: usize, choices: Config) -> *mut u8 {
    // SAFETY: bins hand out slots.
    let slot = |address, _| unsafe { slot_at(address) }.as_ptr();
    current()
        .bins
        .take(class, slot, || start_of(refill(class, choices)))
}

/// A slot of the class, and whether it reads as zero.
#[inline(always)]
pub(super) fn allocate_class(class: usize, choices: Config) -> Block {
    // SAFETY: bins hand out slots.
    let slot = |address, zeroed| Ok((unsafe { slot_at(address) }, zeroed));
    current().bins.take(class, slot, || refill(class, choices))
}

pub(super) fn start_of(block: Block) -> *mut u8 {
    block.map_or(null_mut(), |(block, _)| block.as_ptr())
}

#[cold]
#[inline(never)]
fn refill(class: usize, choices: Config) -> Block {
    let taken = with_heap(Some(choices), |heap| {
        // A heap just adopted may have what it needs.
        let taken = |address, zeroed| Ok((address, zeroed));
        heap.bins.take(class, taken, || heap.refill(class))
    });
    let (address, zeroed) = taken.and_then(|taken| taken).map_err(refuse)?;
    // SAFETY: bins hand out slots.
    Ok((unsafe { slot_at(address) }, zeroed))
}

#[cold]
#[inline(never)]
pub(super) fn free_slow(class: usize, address: usize, choices: Config) {
    let freed = with_heap(Some(choices), |heap| {
        if !heap.bins.bin(class).push(address) {
            heap.push_slow(class, address);
        }
    });
    if let (Err(_), Some(heir)) = (freed, heir()) {
        let bytes = CLASS_BYTES[class] as usize;
        if choices::is_full() {
            fill(address, bytes);
        }
        free_without_heap(heir, &SHAPE_TABLE[class], address);
        // Nobody else may write a heap's own count.
        count_spans(bytes, 0);
    }
}
