//! Spans of units and pieces: searching, charging, growing in place.
//!
//! Owns the search: dirty units before clean ones, any segment before a new one. What it takes out
//! of a `free` word (`free.rs`) it charges (`budget.rs`) before it hands it out, and puts back when
//! the limit refuses.

use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::base::geometry::{PAGE_BYTES, SEGMENT_BYTES, SPAN_BYTES_MAX, UNIT_BYTES, run_mask};
use crate::base::sync::Ordering;
use crate::pages::free::{pieces_mask, take_pieces};
use crate::pages::segment::{SegmentEntry, SegmentHead};
use crate::pages::state::{Pages, Span};
use crate::pages::table::Want;

impl Pages {
    /// As [`Pages::take_units`], where the span has room to grow to its longest behind it, if
    /// there is such a place among what is resident already: fresh pages would cost more than the
    /// copies that they save.
    pub(super) fn take_roomy(&'static self, count: u32, align: u32) -> Result<Span, AllocError> {
        let room = (SPAN_BYTES_MAX / UNIT_BYTES) as u32;
        let found = self.table.search(Want::Units, |entry, index| {
            let start = self.take_run(entry, index, (count, align, room), true)?;
            Some((entry, index, start))
        });
        let taken = found.map(|(entry, index, start)| self.hand_out(entry, index, start, count));
        match taken {
            Some(Ok(span)) => Ok(span),
            _ => self.take_units(count, align),
        }
    }

    /// Takes `count` units that start at a multiple of `align` units.
    pub(super) fn take_units(&'static self, count: u32, align: u32) -> Result<Span, AllocError> {
        match self.take_free(count, align, false) {
            Some(Ok(span)) => Ok(span),
            _ => self.find_units(count, align),
        }
    }

    /// The same, where the first look found none, or the limit refused them.
    #[cold]
    fn find_units(&'static self, count: u32, align: u32) -> Result<Span, AllocError> {
        let search = |dirty_only| self.take_free(count, align, dirty_only);
        // Over the limit clean units are of no use, but dirty ones are charged already; those that
        // could not be purged may lie in any segment.
        let charged = |error| {
            let dirty = || search(true).and_then(Result::ok).ok_or(error);
            self.purges.outlast(dirty)
        };
        loop {
            if let Some(result) = search(false) {
                return result.or_else(charged);
            }
            let before = self.mapped.load(Ordering::Relaxed);
            let Err(error) = self.add_segment() else {
                continue;
            };
            // What was being purged during the search may be back by now.
            if let Ok(result) = self.purges.outlast(|| search(false).ok_or(())) {
                return result.or_else(charged);
            }
            // So may be what others reserved.
            if before == self.mapped.load(Ordering::Relaxed) {
                return Err(error);
            }
        }
    }

    /// Takes units that are free somewhere (with `dirty_only`, only such as are charged already);
    /// `None` when no segment has them.
    fn take_free(
        &self,
        count: u32,
        align: u32,
        dirty_only: bool,
    ) -> Option<Result<Span, AllocError>> {
        let found = self.table.search(Want::Units, |entry, index| {
            let start = self.take_run(entry, index, (count, align, count), dirty_only)?;
            Some((entry, index, start))
        });
        found.map(|(entry, index, start)| self.hand_out(entry, index, start, count))
    }

    /// Charges taken units that were clean and makes them a span; gives them back if the limit
    /// refuses.
    fn hand_out(
        &self,
        entry: &'static SegmentEntry,
        index: usize,
        start: u32,
        count: u32,
    ) -> Result<Span, AllocError> {
        let mask = run_mask(start, count);
        if entry.aged.load(Ordering::Relaxed) & mask != 0 {
            entry.aged.fetch_and(!mask, Ordering::Relaxed);
        }
        let before = entry.dirty.fetch_or(mask, Ordering::Relaxed) & mask;
        let fresh = mask & !before;
        let charged = match fresh {
            // A purge would not help: who is refused looks at these for want of others.
            0 => self.charge_at_once(0),
            _ => self.charge(fresh.count_ones() as usize * UNIT_BYTES),
        };
        if let Err(error) = charged {
            entry.dirty.fetch_and(!fresh, Ordering::Relaxed);
            self.release_mask(entry, index, mask);
            return Err(error);
        }
        let head = self.head(entry);
        Ok(Span {
            ptr: head.at(start as usize * UNIT_BYTES),
            bytes: count as usize * UNIT_BYTES,
            zeroed: before == 0,
        })
    }

    /// Tries to extend units in place from `old_bytes` to `new_bytes`. On success the
    /// further units belong to the caller (their contents are undefined).
    ///
    /// # Safety
    /// `ptr` and `old_bytes` are those of units that the caller owns.
    pub(crate) unsafe fn grow_units(
        &self,
        ptr: NonNull<u8>,
        old_bytes: usize,
        new_bytes: usize,
    ) -> bool {
        debug_assert!(old_bytes < new_bytes && new_bytes % UNIT_BYTES == 0);
        // SAFETY: a span lies in a registered segment.
        let head = unsafe { SegmentHead::of(ptr.addr().get()) };
        // SAFETY: lines are never freed.
        let entry = unsafe { &*head.entry };
        let end = (ptr.addr().get() % SEGMENT_BYTES + old_bytes) / UNIT_BYTES;
        let count = (new_bytes - old_bytes) / UNIT_BYTES;
        if end + count > 64 {
            return false;
        }
        let mask = run_mask(end as u32, count as u32);
        let mut free = entry.free.load(Ordering::Relaxed);
        while free & mask == mask {
            let order = (Ordering::Acquire, Ordering::Relaxed);
            match entry
                .free
                .compare_exchange_weak(free, free & !mask, order.0, order.1)
            {
                Ok(_) => {
                    let grown = self.hand_out(entry, head.entry_index, end as u32, count as u32);
                    if grown.is_ok() {
                        self.active
                            .fetch_add(new_bytes - old_bytes, Ordering::Relaxed);
                    }
                    return grown.is_ok();
                }
                Err(now) => free = now,
            }
        }
        false
    }

    /// Takes a piece of `pages` pages (1, 2 or 4) of a split unit.
    pub(super) fn take_piece(&'static self, pages: u32) -> Result<Span, AllocError> {
        let search = || self.find_piece(pages).ok_or(());
        match search() {
            Ok(span) => Ok(span),
            // Where that is refused, what was being purged may be back by now.
            Err(()) => self
                .split_unit(pages)
                .or_else(|error| self.purges.outlast(search).map_err(|()| error)),
        }
    }

    /// Takes a piece of a unit that is split already.
    fn find_piece(&self, pages: u32) -> Option<Span> {
        self.table.search(Want::Pieces, |entry, index| {
            let mut split = entry.split.load(Ordering::Relaxed);
            while split != 0 {
                let unit = split.trailing_zeros() as usize;
                split &= split - 1;
                let head = self.head(entry);
                let taken = take_pieces(&head.pieces_free[unit], pages);
                // Also without success: the bit of a unit that is not split any more goes away.
                self.note_split_use(head, entry, index, unit);
                if let Some(page) = taken {
                    return Some(self.piece(head, unit, page, pages));
                }
            }
            None
        })
    }

    /// Takes a unit, splits it, and takes its first piece.
    fn split_unit(&'static self, pages: u32) -> Result<Span, AllocError> {
        let whole = self.take_units(1, 1)?;
        // SAFETY: a span lies in a registered segment.
        let head = unsafe { SegmentHead::of(whole.ptr.addr().get()) };
        // SAFETY: lines are never freed.
        let entry = unsafe { &*head.entry };
        let unit = whole.ptr.addr().get() % SEGMENT_BYTES / UNIT_BYTES;
        let dirty = if whole.zeroed { 0 } else { u16::MAX };
        head.pieces_dirty[unit].store(dirty, Ordering::Relaxed);
        let ours = pieces_mask(0, pages);
        // Release: publishes `pieces_dirty` with the pieces.
        head.pieces_free[unit].store(!ours, Ordering::Release);
        entry.split.fetch_or(1 << unit, Ordering::SeqCst);
        self.table.mark(Want::Pieces, head.entry_index);
        Ok(self.piece(head, unit, 0, pages))
    }

    fn piece(&self, head: &SegmentHead, unit: usize, page: u32, pages: u32) -> Span {
        let mask = pieces_mask(page, pages);
        let before = head.pieces_dirty[unit].fetch_or(mask, Ordering::Relaxed);
        Span {
            ptr: head.at(unit * UNIT_BYTES + page as usize * PAGE_BYTES),
            bytes: pages as usize * PAGE_BYTES,
            zeroed: before & mask == 0,
        }
    }
}
