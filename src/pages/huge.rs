//! Blocks above 1 MiB (or aligned beyond it): a mapping of their own, unmapped when released.
//!
//! ```text
//! mapping:  slack | record (one page) | block ...
//! ```
//! The record in front of the block keeps the reservation. The registry's table of huge blocks says
//! whether a pointer is one before its record is read.

use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::base::geometry::{PAGE_BYTES, SEGMENT_BYTES, align_up};
use crate::base::sync::Ordering;
use crate::base::trap::misuse;
use crate::pages::registry::HugeTable;
use crate::pages::source::Reservation;
use crate::pages::{Pages, Span, registry};

/// What is known of a huge block, one page in front of it.
#[repr(C)]
pub(crate) struct HugeRecord {
    reservation: Reservation,
    bytes: usize,
    /// Room for the owner of the block to link its blocks; zero at first.
    links: [usize; 2],
}

const _: () = assert!(size_of::<HugeRecord>() <= PAGE_BYTES);

impl Pages {
    /// Maps a block of `bytes` bytes (a multiple of the page size) at `align`, up to 4 MiB.
    #[cold]
    pub(crate) fn claim_huge(
        &'static self,
        bytes: usize,
        align: usize,
    ) -> Result<Span, AllocError> {
        debug_assert!(bytes % PAGE_BYTES == 0 && align <= SEGMENT_BYTES);
        self.charge(bytes)?;
        let mapped = self.map_huge(bytes, align.max(PAGE_BYTES));
        if mapped.is_none() {
            self.discharge(bytes);
        }
        let ptr = mapped.ok_or(AllocError::SourceExhausted { bytes })?;
        Ok(Span {
            ptr,
            bytes,
            zeroed: true,
        })
    }

    fn map_huge(&'static self, bytes: usize, align: usize) -> Option<NonNull<u8>> {
        // The record's page, and what aligning may skip.
        let reservation = self.reserve(bytes.checked_add(PAGE_BYTES + align)?)?;
        let base = reservation.base().addr().get();
        let start = align_up(base.checked_add(PAGE_BYTES)?, align)?;
        let more = || {
            let table = self.reserve(size_of::<HugeTable>() + align_of::<HugeTable>())?;
            let at = align_up(table.base().addr().get(), align_of::<HugeTable>())?;
            // A table block lives for ever, so its reservation is never dropped.
            core::mem::forget(table);
            // SAFETY: zeroed memory (valid atomics and a null link), aligned, never freed.
            Some(unsafe { &*core::ptr::with_exposed_provenance::<HugeTable>(at) })
        };
        let mapped = reservation.bytes();
        let record = HugeRecord {
            reservation,
            bytes,
            links: [0; 2],
        };
        // SAFETY: the page before `start` lies in the reservation and is aligned to a page (to 16
        // for heap-backed blocks whose start is then page-aligned itself).
        unsafe { record_of(start).write(record) };
        if !registry::insert_huge(start, more) {
            // SAFETY: written just above and known to nobody; dropping it unmaps the block.
            drop(unsafe { record_of(start).read() });
            self.mapped.fetch_sub(mapped, Ordering::Relaxed);
            return None;
        }
        NonNull::new(core::ptr::with_exposed_provenance_mut(start))
    }

    /// Unmaps a huge block. Aborts when there is none at `ptr`: its record cannot be trusted then.
    ///
    /// # Safety
    /// Nobody uses the block.
    pub(crate) unsafe fn release_huge(&self, ptr: NonNull<u8>) {
        let start = ptr.addr().get();
        if !registry::remove_huge(start) {
            misuse("freed a huge block that is not allocated", start);
        }
        // SAFETY: the block was registered, so its record is there, and removing it from the
        // registry made it ours alone.
        let record = unsafe { record_of(start).read() };
        self.mapped
            .fetch_sub(record.reservation.bytes(), Ordering::Relaxed);
        self.discharge(record.bytes);
        // Dropping the reservation unmaps the block and the record's own page.
        drop(record);
    }
}

/// The record of the huge block at `start`.
pub(crate) fn record_of(start: usize) -> *mut HugeRecord {
    core::ptr::with_exposed_provenance_mut(start - PAGE_BYTES)
}

/// Bytes of the huge block at `start`.
///
/// # Safety
/// A huge block that nobody releases meanwhile starts there.
pub(crate) unsafe fn huge_bytes(start: usize) -> usize {
    // SAFETY: the caller's promise; the field is written once.
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
