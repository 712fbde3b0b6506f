//! The record in front of a huge block, and the end of both.
//!
//! ```text
//! mapping:  slack | record (one page) | block ... | slack
//! ```
//! The record keeps the reservation. The table of huge blocks (`registry/huge_table.rs`) says
//! whether a pointer is one before its record is read.
//!
//! I1: `bytes <= touched <= ` the room behind the block's start. `touched` is what the block is
//! charged with; beyond it the mapping reads as zero and holds nothing.
//! I2: a record is used by whoever owns the block: its user, or who took it out of the cache.

use crate::base::geometry::PAGE_BYTES;
use crate::base::sync::Ordering;
use crate::pages::state::Pages;
use crate::pages::system::source::Reservation;

/// What is known of a huge block, one page in front of it.
#[repr(C)]
pub(crate) struct HugeRecord {
    pub(crate) reservation: Reservation,
    /// The block's length.
    pub(crate) bytes: usize,
    /// The longest it ever was since the rest of its mapping last read as zero (I1).
    pub(crate) touched: usize,
    /// Room for the owner of the block to link its blocks; zero at first.
    pub(crate) links: [usize; 2],
}

const _: () = assert!(size_of::<HugeRecord>() <= PAGE_BYTES);

impl HugeRecord {
    /// Bytes from the block's start to the end of its mapping, in whole pages.
    pub(super) fn room(&self, start: usize) -> usize {
        let end = self.reservation.base().addr().get() + self.reservation.bytes();
        (end - start) / PAGE_BYTES * PAGE_BYTES
    }
}

impl Pages {
    /// Unmaps a block. Returns the bytes that it held at most.
    ///
    /// # Safety
    /// The block is the caller's, registered no more, and nobody uses it.
    pub(super) unsafe fn unmap_huge(&self, start: usize) -> usize {
        // SAFETY: the caller's promise.
        let record = unsafe { record_of(start).read() };
        let touched = record.touched;
        self.mapped
            .fetch_sub(record.reservation.bytes(), Ordering::Relaxed);
        self.discharge(touched);
        // Dropping the reservation unmaps the block and the record's own page.
        drop(record);
        touched
    }

    /// Unmaps every block that is kept. Returns their bytes.
    pub(super) fn purge_huge(&self) -> usize {
        let mut bytes = 0;
        while let Some(kept) = self.huge_cache.take_any() {
            // SAFETY: taken out of the cache, so it is ours and nobody uses it.
            bytes += unsafe { self.unmap_huge(kept.start) };
        }
        bytes
    }

    /// Unmaps what was kept since this was last called.
    pub(super) fn purge_aged_huge(&self) {
        while let Some(kept) = self.huge_cache.take_aged() {
            // SAFETY: taken out of the cache, so it is ours and nobody uses it.
            unsafe { self.unmap_huge(kept.start) };
        }
        self.huge_cache.age();
    }
}

/// The record of the huge block at `start`.
pub(crate) fn record_of(start: usize) -> *mut HugeRecord {
    core::ptr::with_exposed_provenance_mut(start - PAGE_BYTES)
}

/// Bytes of the huge block at `start`.
///
/// # Safety
/// A huge block that nobody releases or resizes meanwhile starts there.
pub(crate) unsafe fn huge_bytes(start: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe { (*record_of(start)).bytes }
}

/// The words in which the block's owner keeps links.
///
/// # Safety
/// A huge block starts at `start`, and the caller owns it.
pub(crate) unsafe fn huge_links(start: usize) -> *mut [usize; 2] {
    // SAFETY: the caller's promise.
    unsafe { &raw mut (*record_of(start)).links }
}
