//! Which units and pieces are free: taking them and giving them back.
//!
//! Everything changes hands by one compare-and-swap on a `free` word (units of a segment, pieces of
//! a unit). No step waits for another thread's next step, so that a forked child, where other
//! threads vanished mid-step, can go on. Knows nothing of the budget.
//!
//! I1: only the owner of a unit writes its `dirty` bit; the budget follows those bits.
//! I2: a unit is split while its bit in `free` is clear and its `pieces_free` is not zero or some
//! piece is out; `pieces_free` of a unit that is not split is 0, so stale `split` bits find
//! nothing.

use core::ptr::NonNull;

use crate::base::geometry::{
    PAGE_BYTES, PAGES_PER_UNIT, SEGMENT_BYTES, UNIT_BYTES, find_run, page_index, run_mask,
};
use crate::base::sync::{AtomicU16, Ordering};
use crate::pages::segment::{SegmentEntry, SegmentHead, UNITS_USABLE};
use crate::pages::state::Pages;
use crate::pages::table::Want;

impl Pages {
    /// Takes a run of `count` units, so aligned, from a run of `room`, out of the entry's free
    /// word: dirty ones where they will do, since they are charged and resident already.
    #[inline]
    pub(super) fn take_run(
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

    pub(super) fn release_mask(&self, entry: &SegmentEntry, index: usize, mask: u64) {
        // SeqCst rather than Release alone: ordered with `unmark`'s clear-and-look-again, so that a
        // segment with free units cannot stay unmarked.
        entry.free.fetch_or(mask, Ordering::SeqCst);
        self.table.mark(Want::Units, index);
    }

    /// # Safety
    /// `ptr` and `bytes` are those of taken units that nobody uses.
    pub(super) unsafe fn release_units(&self, ptr: NonNull<u8>, bytes: usize) {
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

    /// # Safety
    /// `ptr` and `bytes` are those of a taken piece that nobody uses.
    pub(super) unsafe fn release_piece(&self, ptr: NonNull<u8>, bytes: usize) {
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
    pub(super) fn give_pieces(
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

    /// After pieces were taken: a unit without free pieces leaves the search, and comes back if one
    /// was released meanwhile.
    pub(super) fn note_split_use(
        &self,
        head: &SegmentHead,
        entry: &SegmentEntry,
        index: usize,
        unit: usize,
    ) {
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

    pub(super) fn head(&self, entry: &SegmentEntry) -> &'static SegmentHead {
        let head = entry.head.load(Ordering::Acquire);
        // SAFETY: a line whose `free` word had bits was published after its head, which stays.
        unsafe { &*head }
    }
}

/// The bits of `pages` pieces from `page` on.
pub(crate) const fn pieces_mask(page: u32, pages: u32) -> u16 {
    (run_mask(page, pages) & 0xFFFF) as u16
}

/// Takes `pages` free pieces that start at a multiple of `pages`.
pub(crate) fn take_pieces(free: &AtomicU16, pages: u32) -> Option<u32> {
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
