//! Blocks above 1 MiB (or aligned beyond it): a mapping of their own, kept for a while when
//! released.
//!
//! Owns how such a block is mapped, used again, made longer or shorter. Its record and its end are
//! in `huge_record.rs`, whose invariants hold here too.

use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::base::geometry::{PAGE_BYTES, SEGMENT_BYTES, align_up};
use crate::base::sync::Ordering;
use crate::base::trap::misuse;
use crate::pages::huge_cache::Kept;
use crate::pages::huge_record::{HugeRecord, huge_bytes, record_of};
use crate::pages::registry::huge_table;
use crate::pages::state::{Pages, Span};

impl Pages {
    /// A block of `bytes` bytes (a multiple of the page size) at `align`, up to 4 MiB: one that was
    /// kept, or a new mapping.
    #[cold]
    pub(super) fn take_huge(&'static self, bytes: usize, align: usize) -> Result<Span, AllocError> {
        debug_assert!(bytes % PAGE_BYTES == 0 && align <= SEGMENT_BYTES);
        let align = align.max(PAGE_BYTES);
        let kept = self.huge_cache.take(bytes, align);
        if let Some(span) = kept.and_then(|kept| self.use_again(kept.start, bytes)) {
            return Ok(span);
        }
        self.charge(bytes)?;
        let mapped = self.map_huge(bytes, align);
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
        let record = HugeRecord {
            reservation,
            bytes,
            touched: bytes,
            links: [0; 2],
        };
        // SAFETY: the page before `start` lies in the reservation and is aligned to a page (to 16
        // for heap-backed blocks whose start is then page-aligned itself).
        unsafe { record_of(start).write(record) };
        if !self.register(start) {
            // SAFETY: written just above and known to nobody; dropping it unmaps the block.
            let record = unsafe { record_of(start).read() };
            self.mapped
                .fetch_sub(record.reservation.bytes(), Ordering::Relaxed);
            return None;
        }
        NonNull::new(core::ptr::with_exposed_provenance_mut(start))
    }

    fn register(&'static self, start: usize) -> bool {
        huge_table::insert(start, |bytes| self.map_block(bytes))
    }

    /// Makes a kept block, which is the caller's, one of `bytes` bytes; unmaps it if that fails.
    fn use_again(&'static self, start: usize, bytes: usize) -> Option<Span> {
        // SAFETY: the block is the caller's, registered no more, and nobody uses it.
        unsafe {
            // Charged already, but perhaps against a limit that was higher then.
            let may = self.charge(0).is_ok();
            let fits = || self.fit_huge(start, bytes, PAGE_BYTES);
            let Some(moved) = may.then(fits).flatten() else {
                self.unmap_huge(start);
                return None;
            };
            if !self.register(moved) {
                self.unmap_huge(moved);
                return None;
            }
            (*record_of(moved)).links = [0; 2];
            Some(Span {
                ptr: NonNull::new(core::ptr::with_exposed_provenance_mut(moved))?,
                bytes,
                zeroed: false,
            })
        }
    }

    /// Keeps a huge block for later, or unmaps it. Aborts when there is none at `ptr`: its record
    /// cannot be trusted then.
    ///
    /// # Safety
    /// Nobody uses the block.
    pub(super) unsafe fn release_huge(&self, ptr: NonNull<u8>) {
        let start = ptr.addr().get();
        if !huge_table::remove(start) {
            misuse("freed a huge block that is not allocated", start);
        }
        // SAFETY: the block was registered, so its record is there, and removing it from the
        // registry made it ours alone.
        let room = unsafe { (*record_of(start)).room(start) };
        let mut surplus = self.huge_cache.put(Kept::new(start, room));
        while let Some(kept) = surplus {
            // SAFETY: not kept, so the block is ours and nobody uses it.
            unsafe { self.unmap_huge(kept.start) };
            surplus = self.huge_cache.surplus();
        }
    }

    /// Makes a huge block longer or shorter, keeping its contents; it may move if `align` is no
    /// more than a page's. Returns where it starts now, or `None` with nothing changed.
    ///
    /// # Safety
    /// The caller owns the huge block at `start`, aligned to `align`; pointers into it are not used
    /// again if it moved. `bytes` is a length of huge blocks.
    pub(crate) unsafe fn resize_huge(
        &'static self,
        start: usize,
        bytes: usize,
        align: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        let (old, moved) = unsafe { (huge_bytes(start), self.fit_huge(start, bytes, align)?) };
        self.active.fetch_add(bytes, Ordering::Relaxed);
        self.active.fetch_sub(old, Ordering::Relaxed);
        NonNull::new(core::ptr::with_exposed_provenance_mut(moved))
    }

    /// What [`Pages::resize_huge`] does, for a block in use or not.
    ///
    /// # Safety
    /// As there.
    unsafe fn fit_huge(&'static self, start: usize, bytes: usize, align: usize) -> Option<usize> {
        let record = record_of(start);
        // SAFETY: the caller owns the block and with it the record (I2).
        let (touched, room) = unsafe { ((*record).touched, (*record).room(start)) };
        let more = bytes.saturating_sub(touched);
        // Less than half: what is given up is worth a copy if it cannot be purged.
        if bytes < touched / 2 {
            // SAFETY: the caller owns the block.
            unsafe { self.cut_huge(start, bytes) }?;
        } else if more > 0 {
            self.charge(more).ok()?;
        }
        let mut moved = start;
        if bytes > room {
            // SAFETY: the caller's promise.
            let Some(at) = (unsafe { self.stretch_huge(start, bytes, align) }) else {
                self.discharge(more);
                return None;
            };
            moved = at;
        }
        let record = record_of(moved);
        // SAFETY: as above; the record moved with the block.
        unsafe {
            (*record).bytes = bytes;
            (*record).touched += more;
        }
        Some(moved)
    }

    /// Returns the pages beyond the first `bytes` bytes to the source; `None` if it cannot.
    ///
    /// # Safety
    /// The caller owns the block and gives up what lies there.
    unsafe fn cut_huge(&self, start: usize, bytes: usize) -> Option<()> {
        let record = record_of(start);
        // SAFETY: the caller owns the block and with it the record (I2).
        let (reservation, touched) = unsafe { (&(*record).reservation, (*record).touched) };
        let from_base = start + bytes - reservation.base().addr().get();
        // SAFETY: the caller's promise; the range is whole pages of the mapping (I1).
        let done = unsafe { self.source.purge(reservation, from_base, touched - bytes) };
        done.then(|| {
            self.discharge(touched - bytes);
            // SAFETY: as above.
            unsafe { (*record).touched = bytes };
        })
    }

    /// Makes the mapping of a block longer, and with it moves it. Returns where the block is now.
    ///
    /// # Safety
    /// As for [`Pages::resize_huge`].
    unsafe fn stretch_huge(
        &'static self,
        start: usize,
        bytes: usize,
        align: usize,
    ) -> Option<usize> {
        if align > PAGE_BYTES {
            return None;
        }
        // SAFETY: the caller owns the block and with it the record (I2), which is written back
        // below wherever it is then.
        let mut reservation = unsafe { (&raw const (*record_of(start)).reservation).read() };
        let offset = start - reservation.base().addr().get();
        let before = reservation.bytes();
        let zeroed = |bytes| self.map_block(bytes);
        let moved = huge_table::rename(start, zeroed, || {
            // SAFETY: the caller's promise; the source keeps what lies in the reservation.
            unsafe { self.source.resize(&mut reservation, offset + bytes) };
            let base = reservation.base().as_ptr().expose_provenance();
            base + offset
        });
        let after = reservation.bytes();
        // SAFETY: the record moved with the block.
        unsafe { (&raw mut (*record_of(moved)).reservation).write(reservation) };
        self.mapped.fetch_add(after, Ordering::Relaxed);
        self.mapped.fetch_sub(before, Ordering::Relaxed);
        (after >= offset + bytes).then_some(moved)
    }
}
