//! Spans of units and pieces of units: searching, claiming, releasing, purging.
//!
//! Everything changes hands by one compare-and-swap on a `free` word (units of a segment, pieces of
//! a unit). Purging claims what it purges first, so nobody is handed pages that are being returned.
//! No step waits for another thread's next step, so that a forked child, where other threads
//! vanished mid-step, can go on.
//!
//! I1: only the owner of a unit writes its `dirty` bit; the budget follows those bits.
//! I2: a unit is split while its bit in `free` is clear and its `pieces_free` is not zero or some
//! piece is out; `pieces_free` of a unit that is not split is 0, so stale `split` bits find
//! nothing.

use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::base::geometry::{
    PAGE_BYTES, PAGES_PER_UNIT, SEGMENT_BYTES, SPAN_BYTES_MAX, UNIT_BYTES, find_run, page_index,
    run_mask,
};
use crate::base::sync::{AtomicU16, Ordering};
use crate::pages::segment::{SegmentEntry, SegmentHead, UNITS_USABLE};
use crate::pages::table::Want;
use crate::pages::{Pages, Span};

impl Pages {
    /// As [`Pages::claim_units`], where the span has room to grow to its longest behind it, if
    /// there is such a place among what is resident already: fresh pages would cost more than the
    /// copies that they save.
    pub(crate) fn claim_roomy(&'static self, count: u32, align: u32) -> Result<Span, AllocError> {
        let room = (SPAN_BYTES_MAX / UNIT_BYTES) as u32;
        let found = self.table.search(Want::Units, |entry, index| {
            let start = self.claim_in(entry, index, (count, align, room), true)?;
            Some((entry, index, start))
        });
        let claimed = found.map(|(entry, index, start)| self.hand_out(entry, index, start, count));
        match claimed {
            Some(Ok(span)) => Ok(span),
            _ => self.claim_units(count, align),
        }
    }

    /// Claims `count` units that start at a multiple of `align` units.
    pub(crate) fn claim_units(&'static self, count: u32, align: u32) -> Result<Span, AllocError> {
        let mut retried = false;
        loop {
            if let Some(result) = self.claim_free(count, align, false) {
                // Over the limit clean units are of no use, but dirty ones are charged already;
                // those that could not be purged may lie in any segment.
                return result.or_else(|error| {
                    self.claim_free(count, align, true)
                        .and_then(Result::ok)
                        .ok_or(error)
                });
            }
            // When the source refuses, what was being purged during the search may be back by now.
            let before = self.mapped.load(Ordering::Relaxed);
            if let Err(error) = self.add_segment() {
                if retried && before == self.mapped.load(Ordering::Relaxed) {
                    return Err(error);
                }
                retried = true;
            }
        }
    }

    /// Claims units that are free somewhere (with `dirty_only`, only such as are charged already);
    /// `None` when no segment has them.
    fn claim_free(
        &self,
        count: u32,
        align: u32,
        dirty_only: bool,
    ) -> Option<Result<Span, AllocError>> {
        let found = self.table.search(Want::Units, |entry, index| {
            let start = self.claim_in(entry, index, (count, align, count), dirty_only)?;
            Some((entry, index, start))
        });
        found.map(|(entry, index, start)| self.hand_out(entry, index, start, count))
    }

    /// Takes a run of `count` units, so aligned, from a run of `room`, out of the entry's free
    /// word: dirty ones where they will do, since they are charged and resident already.
    fn claim_in(
        &self,
        entry: &SegmentEntry,
        index: usize,
        (count, align, room): (u32, u32, u32),
        dirty_only: bool,
    ) -> Option<u32> {
        let mut free = entry.free.load(Ordering::Relaxed);
        loop {
            let dirty = free & entry.dirty.load(Ordering::Relaxed);
            let clean = if dirty_only { 0 } else { free };
            let start = find_run(dirty, room, align).or_else(|| find_run(clean, room, align))?;
            let left = free & !run_mask(start, count);
            // Acquire: pairs with the Release in `release_mask`; what the last owner wrote into the
            // span, and the purge, are over.
            let order = (Ordering::Acquire, Ordering::Relaxed);
            match entry
                .free
                .compare_exchange_weak(free, left, order.0, order.1)
            {
                Ok(_) if left == 0 => {
                    let still = || entry.free.load(Ordering::SeqCst) != 0;
                    self.table.unmark(Want::Units, index, still);
                    return Some(start);
                }
                Ok(_) => return Some(start),
                Err(now) => free = now,
            }
        }
    }

    /// Charges claimed units that were clean and makes them a span; undoes the claim if the limit
    /// refuses.
    fn hand_out(
        &self,
        entry: &'static SegmentEntry,
        index: usize,
        start: u32,
        count: u32,
    ) -> Result<Span, AllocError> {
        let mask = run_mask(start, count);
        if entry.idle.load(Ordering::Relaxed) & mask != 0 {
            entry.idle.fetch_and(!mask, Ordering::Relaxed);
        }
        let before = entry.dirty.fetch_or(mask, Ordering::Relaxed) & mask;
        let fresh = mask & !before;
        if let Err(error) = self.charge(fresh.count_ones() as usize * UNIT_BYTES) {
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

    pub(crate) fn head(&self, entry: &SegmentEntry) -> &'static SegmentHead {
        let head = entry.head.load(Ordering::Acquire);
        // SAFETY: a line whose `free` word had bits was published after its head, which stays.
        unsafe { &*head }
    }

    pub(crate) fn release_mask(&self, entry: &SegmentEntry, index: usize, mask: u64) {
        // SeqCst rather than Release alone: ordered with `unmark`'s clear-and-look-again, so that a
        // segment with free units cannot stay unmarked.
        entry.free.fetch_or(mask, Ordering::SeqCst);
        self.table.mark(Want::Units, index);
    }

    /// # Safety
    /// `ptr` and `bytes` are those of claimed units that nobody uses.
    pub(crate) unsafe fn release_units(&self, ptr: NonNull<u8>, bytes: usize) {
        // SAFETY: a span lies in a registered segment.
        let head = unsafe { SegmentHead::of(ptr.addr().get()) };
        // SAFETY: lines are never freed.
        let entry = unsafe { &*head.entry };
        let start = ptr.addr().get() % SEGMENT_BYTES / UNIT_BYTES;
        let mask = run_mask(start as u32, (bytes / UNIT_BYTES) as u32);
        debug_assert!(bytes % UNIT_BYTES == 0 && mask & !UNITS_USABLE == 0);
        debug_assert_eq!(
            entry.free.load(Ordering::Relaxed) & mask,
            0,
            "released twice"
        );
        self.release_mask(entry, head.entry_index, mask);
    }

    /// Tries to extend claimed units in place from `old_bytes` to `new_bytes`. On success the
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

    /// Claims a piece of `pages` pages (1, 2 or 4) of a split unit.
    pub(crate) fn claim_piece(&'static self, pages: u32) -> Result<Span, AllocError> {
        let found = self.table.search(Want::Pieces, |entry, index| {
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
        });
        if let Some(span) = found {
            return Ok(span);
        }
        let whole = self.claim_units(1, 1)?;
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

    /// After pieces were taken: a unit without free pieces leaves the search, and comes back if one
    /// was released meanwhile.
    fn note_split_use(&self, head: &SegmentHead, entry: &SegmentEntry, index: usize, unit: usize) {
        let used_up = || head.pieces_free[unit].load(Ordering::SeqCst) == 0;
        if !used_up() {
            return;
        }
        entry.split.fetch_and(!(1 << unit), Ordering::SeqCst);
        if !used_up() {
            entry.split.fetch_or(1 << unit, Ordering::SeqCst);
        } else if entry.split.load(Ordering::SeqCst) == 0 {
            let still = || entry.split.load(Ordering::SeqCst) != 0;
            self.table.unmark(Want::Pieces, index, still);
        }
    }

    /// # Safety
    /// `ptr` and `bytes` are those of a claimed piece that nobody uses.
    pub(crate) unsafe fn release_piece(&self, ptr: NonNull<u8>, bytes: usize) {
        let address = ptr.addr().get();
        // SAFETY: a piece lies in a registered segment.
        let head = unsafe { SegmentHead::of(address) };
        // SAFETY: lines are never freed.
        let entry = unsafe { &*head.entry };
        let unit = page_index(address) / PAGES_PER_UNIT;
        let page = (page_index(address) % PAGES_PER_UNIT) as u32;
        let mask = pieces_mask(page, (bytes / PAGE_BYTES) as u32);
        self.give_pieces(head, entry, unit, mask);
    }

    /// Makes pieces free that the caller owned, and their unit where they were the last ones.
    pub(crate) fn give_pieces(
        &self,
        head: &SegmentHead,
        entry: &SegmentEntry,
        unit: usize,
        mask: u16,
    ) {
        // Release for the next owner of the pieces, Acquire for releasing the whole unit, SeqCst
        // for `note_split_use`.
        let before = head.pieces_free[unit].fetch_or(mask, Ordering::SeqCst);
        debug_assert_eq!(before & mask, 0, "released twice");
        if before | mask == u16::MAX {
            self.close_split(head, entry, unit);
        } else {
            entry.split.fetch_or(1 << unit, Ordering::SeqCst);
            self.table.mark(Want::Pieces, head.entry_index);
        }
    }

    /// Turns a split unit whose pieces are all free into a free unit, unless somebody takes a piece
    /// first.
    fn close_split(&self, head: &SegmentHead, entry: &SegmentEntry, unit: usize) {
        let order = (Ordering::SeqCst, Ordering::Relaxed);
        let closed = head.pieces_free[unit].compare_exchange(u16::MAX, 0, order.0, order.1);
        if closed.is_ok() {
            entry.split.fetch_and(!(1 << unit), Ordering::SeqCst);
            // The unit keeps its `dirty` bit and its charge until it is purged.
            self.release_mask(entry, head.entry_index, 1 << unit);
        }
    }
}

/// The bits of `pages` pieces from `page` on.
const fn pieces_mask(page: u32, pages: u32) -> u16 {
    (run_mask(page, pages) & 0xFFFF) as u16
}

/// Takes `pages` free pieces that start at a multiple of `pages`.
fn take_pieces(free: &AtomicU16, pages: u32) -> Option<u32> {
    let mut word = free.load(Ordering::Relaxed);
    loop {
        let page = find_run(u64::from(word), pages, pages)?;
        let left = word & !pieces_mask(page, pages);
        // Acquire: pairs with the release of the pieces.
        match free.compare_exchange_weak(word, left, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => return Some(page),
            Err(now) => word = now,
        }
    }
}
