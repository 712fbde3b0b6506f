//! Giving unused pages back: at once when asked or when the budget needs room, by and by otherwise.
//!
//! A page fault costs about 2 us and returning 64 KiB and touching it again 27 us, so nothing is
//! purged on a fast path, and what is used again soon is not purged at all: units that lay free
//! through a whole delay (1 s unless set) are returned by whoever comes by after that, a segment or
//! so at a time, so that nobody pays for a gigabyte. Releases of spans come by, and the slow paths
//! of heaps. A process that does nothing purges nothing; `trim` does it now.
//!
//! Purging takes its units first, so nobody is handed pages that are being returned.

use core::ptr::NonNull;

use crate::base::geometry::{PAGE_BYTES, PAGES_PER_UNIT, SEGMENT_BYTES, UNIT_BYTES, run_mask};
use crate::base::sync::Ordering;
use crate::pages::segment::{SegmentEntry, SegmentHead, UNITS_USABLE, UPPER_UNITS, metadata_of};
use crate::pages::state::Pages;
use crate::pages::system::map::clock_ms;

/// Spans released between two looks at the clock: a look costs about as much as a release.
pub(crate) const RELEASES_PER_LOOK: usize = 16;
/// Bytes that one look purges, but for what is left of a segment: about a millisecond.
const BYTES_PER_LOOK: usize = 4 << 20;
/// Segments that one look comes to: a microsecond, where none has anything to purge.
const LINES_PER_LOOK: usize = 256;

impl Pages {
    /// Returns every free dirty unit and piece to the source. Returns the bytes given back.
    pub(super) fn purge_all(&self) -> usize {
        let mut bytes = self.purge_kept();
        for (entry, index) in self.segments() {
            bytes += self.purge_pieces(entry);
            bytes += self.purge_units(entry, index, u64::MAX);
        }
        bytes
    }

    /// Returns the metadata of every segment in which nothing is in use. Not for a charge that was
    /// refused: the limit gains nothing, and others find the segments taken meanwhile.
    pub(super) fn purge_heads(&self) {
        for (entry, index) in self.segments() {
            self.purge_head(entry, index);
        }
    }

    /// Every segment that is published, or about to be.
    fn segments(&self) -> impl Iterator<Item = (&'static SegmentEntry, usize)> + '_ {
        self.table
            .lines()
            .filter(|(entry, _)| !entry.head.load(Ordering::Acquire).is_null())
    }

    /// Returns what the records and words of a segment hold in which nothing is in use: some dozens
    /// of KiB for each of the segments of a past peak. They do not count against the limit. One
    /// half after the other, so that others find room for the longest span in the segment.
    fn purge_head(&self, entry: &SegmentEntry, index: usize) {
        for half in [UNITS_USABLE & !UPPER_UNITS, UPPER_UNITS] {
            // Acquire: pairs with the release of the last span. Nobody takes one meanwhile. All
            // must be free, or two threads would take both halves at once.
            let order = (Ordering::Acquire, Ordering::Relaxed);
            let left = UNITS_USABLE & !half;
            let _step = self.purges.begin();
            let taken = entry
                .free
                .compare_exchange(UNITS_USABLE, left, order.0, order.1);
            if taken.is_err() {
                return;
            }
            // No page names a record, so none is read; words are filled when a slab is made, and
            // those of remote frees are all zero, as the pages will be.
            for (offset, bytes) in metadata_of(half) {
                self.purge_range(self.head(entry), offset, bytes);
            }
            self.release_mask(entry, index, half);
        }
    }

    /// Called with every span that is released: now and then looks at the clock, and when the delay
    /// is over returns what lay free all the while. Aging takes two visits: what is free and dirty
    /// at one and was not taken since is purged at the next.
    pub(super) fn purge_by_and_by(&self) {
        let count = self.purge_clock.releases.fetch_add(1, Ordering::Relaxed);
        if count % RELEASES_PER_LOOK == 0 {
            self.purge_if_due();
        }
    }

    /// Goes on with the aging under way, or looks at the clock, as said there. For owners that keep
    /// spans instead of releasing them, once in `RELEASES_PER_LOOK` times.
    pub(crate) fn purge_if_due(&self) {
        let clock = &self.purge_clock;
        let delay = clock.delay_ms.load(Ordering::Relaxed);
        let is_under_way = || clock.next_line.load(Ordering::Relaxed) != usize::MAX;
        if delay != usize::MAX && (is_under_way() || self.starts_aging(delay)) {
            self.purge_aged();
        }
    }

    /// Whether aging is due, and the caller is who begins it.
    fn starts_aging(&self, delay: usize) -> bool {
        let clock = &self.purge_clock;
        let Some(now) = clock_ms() else { return false };
        let due = clock.due_ms.load(Ordering::Relaxed);
        let next = now.saturating_add(delay);
        // Relaxed: who wins the exchange begins; nobody waits.
        let order = (Ordering::Relaxed, Ordering::Relaxed);
        let exchange = || clock.due_ms.compare_exchange(due, next, order.0, order.1);
        let starts = now >= due && exchange().is_ok();
        if starts {
            self.purge_aged_huge();
            clock.next_line.store(0, Ordering::Relaxed);
        }
        starts
    }

    /// Takes the next lines of the aging under way, which others may go on with at the same time.
    #[cold]
    fn purge_aged(&self) {
        let (next_line, mut bytes) = (&self.purge_clock.next_line, 0);
        for _ in 0..LINES_PER_LOOK {
            let index = next_line.load(Ordering::Relaxed);
            let line = self.table.given_line(index);
            let next = line.map_or(usize::MAX, |_| index + 1);
            // Relaxed: who wins the exchange ages the line; nobody waits, and a line that a
            // vanished thread had taken is aged the next time round.
            let order = (Ordering::Relaxed, Ordering::Relaxed);
            let taken = next_line.compare_exchange(index, next, order.0, order.1);
            let Some(entry) = line else { return };
            if taken.is_ok() && !entry.head.load(Ordering::Acquire).is_null() {
                bytes += self.age_units(entry, index);
            }
            if bytes >= BYTES_PER_LOOK {
                return;
            }
        }
    }

    /// Purges what lay free in a segment since it was last aged, and marks what does now.
    fn age_units(&self, entry: &SegmentEntry, index: usize) -> usize {
        let bytes = self.purge_units(entry, index, entry.aged.load(Ordering::Relaxed));
        let free = entry.free.load(Ordering::Relaxed);
        let now_aged = free & entry.dirty.load(Ordering::Relaxed);
        // A take in between clears its bits before or after; at worst a unit that was used for a
        // moment counts as aged, and its next purge comes early.
        entry.aged.store(now_aged, Ordering::Relaxed);
        bytes
    }

    /// Purges what is free and dirty among `units`.
    fn purge_units(&self, entry: &SegmentEntry, index: usize, units: u64) -> usize {
        let candidates = units & entry.dirty.load(Ordering::Relaxed);
        if candidates & entry.free.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let _step = self.purges.begin();
        // Takes them out: whoever allocates meanwhile looks elsewhere.
        let taken = entry.free.fetch_and(!candidates, Ordering::Acquire) & candidates;
        // Another purge may have cleaned some before they were taken here. As their owner we now
        // see their bits as they are (free.rs, I1); purging twice would discharge twice.
        let dirty = taken & entry.dirty.load(Ordering::Relaxed);
        if taken != dirty {
            self.release_mask(entry, index, taken & !dirty);
        }
        self.purge_runs(entry, index, dirty)
    }

    /// Purges taken units run by run, and releases each run at once: others may be waiting for
    /// nothing else.
    fn purge_runs(&self, entry: &SegmentEntry, index: usize, units: u64) -> usize {
        let mut left = units;
        let mut bytes = 0;
        while left != 0 {
            let start = left.trailing_zeros();
            let count = (left >> start).trailing_ones();
            let run = run_mask(start, count);
            left &= !run;
            let run_bytes = count as usize * UNIT_BYTES;
            if self.purge_range(self.head(entry), start as usize * UNIT_BYTES, run_bytes) {
                entry.dirty.fetch_and(!run, Ordering::Relaxed);
                self.discharge(run_bytes);
                bytes += run_bytes;
            }
            self.release_mask(entry, index, run);
        }
        bytes
    }

    /// Purges the free dirty pieces of split units. They stay charged: a split unit is charged as a
    /// whole.
    fn purge_pieces(&self, entry: &SegmentEntry) -> usize {
        let mut bytes = 0;
        let mut split = entry.split.load(Ordering::Relaxed);
        while split != 0 {
            let unit = split.trailing_zeros() as usize;
            split &= split - 1;
            let head = self.head(entry);
            let candidates = head.pieces_dirty[unit].load(Ordering::Relaxed);
            if candidates & head.pieces_free[unit].load(Ordering::Relaxed) == 0 {
                continue;
            }
            let _step = self.purges.begin();
            let taken =
                head.pieces_free[unit].fetch_and(!candidates, Ordering::SeqCst) & candidates;
            for page in (0..PAGES_PER_UNIT).filter(|page| taken >> page & 1 == 1) {
                let offset = unit * UNIT_BYTES + page * PAGE_BYTES;
                if self.purge_range(head, offset, PAGE_BYTES) {
                    head.pieces_dirty[unit].fetch_and(!(1 << page), Ordering::Relaxed);
                    bytes += PAGE_BYTES;
                }
            }
            if taken != 0 {
                self.give_pieces(head, entry, unit, taken);
            }
        }
        bytes
    }

    /// Purges and releases units of which `holes` bytes were purged and discharged before.
    ///
    /// # Safety
    /// `ptr` and `bytes` are those of taken units that nobody uses.
    pub(super) unsafe fn purge_holed(&self, ptr: NonNull<u8>, bytes: usize, holes: usize) {
        // SAFETY: a span lies in a registered segment.
        let head = unsafe { SegmentHead::of(ptr.addr().get()) };
        // SAFETY: lines are never freed.
        let entry = unsafe { &*head.entry };
        let start = ptr.addr().get() % SEGMENT_BYTES / UNIT_BYTES;
        // For the moment: it is discharged with the rest.
        self.charge_again(holes);
        let units = run_mask(start as u32, (bytes / UNIT_BYTES) as u32);
        self.purge_runs(entry, head.entry_index, units);
    }

    pub(super) fn purge_range(&self, head: &SegmentHead, offset: usize, bytes: usize) -> bool {
        // SAFETY: set when the segment was published; the reservation lives in the head of the
        // mapping's first segment, which stays.
        let reservation = unsafe { &*head.reservation };
        let from_base = head.address() + offset - reservation.base().addr().get();
        // SAFETY: the range was taken, so nobody uses it, and it lies in the mapping.
        unsafe { self.source.purge(reservation, from_base, bytes) }
    }
}
