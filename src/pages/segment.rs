//! The head of a segment: where the metadata of everything in it lies, out of line.
//!
//! ```text
//! unit 0, 1   head:  SegmentHead | 62*16 records of 64 B | local words | remote words
//! unit 2..64  what spans are cut from
//! ```
//! Every page beyond the head has one record and four local and four remote bitmap words reserved:
//! a slab of n pages uses one of its n records and n*4 words, enough for one bit per 16 bytes. Only
//! what is touched is resident. The areas are untyped here; `slab/raw.rs` gives them their meaning.
//!
//! I1: a head is written before its segment is registered and never moves or goes away.
//! I2: the units of a segment have one owner at a time; `free` bits change hands by
//! compare-and-swap.

use core::cell::UnsafeCell;
use core::ptr::{NonNull, null};

use crate::base::geometry::{
    PAGE_BYTES, PAGES_PER_SEGMENT, PAGES_PER_UNIT, SEGMENT_BYTES, UNIT_BYTES, UNITS_PER_SEGMENT,
    segment_of,
};
use crate::base::sync::{AtomicPtr, AtomicU16, AtomicU64, Ordering};
use crate::pages::system::source::Reservation;

/// Units taken by the head: the records and words of 62 units are exactly what two units hold.
pub(crate) const HEAD_UNITS: usize = 2;
/// The same in pages.
const HEAD_PAGES: usize = HEAD_UNITS * PAGES_PER_UNIT;
/// One record per page beyond the head, a cache line each.
pub(crate) const RECORD_BYTES: usize = 64;
/// Bitmap words per page: 4096 / 16 slots are 256 bits.
pub(crate) const WORDS_PER_PAGE: usize = 4;

/// Where the records begin, and behind them the words.
const RECORDS_OFFSET: usize = PAGE_BYTES;
const RECORD_COUNT: usize = (UNITS_PER_SEGMENT - HEAD_UNITS) * PAGES_PER_UNIT;
const LOCAL_OFFSET: usize = RECORDS_OFFSET + RECORD_COUNT * RECORD_BYTES;
const REMOTE_OFFSET: usize = LOCAL_OFFSET + RECORD_COUNT * WORDS_PER_PAGE * 8;
/// Where the words end.
const HEAD_END: usize = REMOTE_OFFSET + RECORD_COUNT * WORDS_PER_PAGE * 8;

const _: () = assert!(size_of::<SegmentHead>() <= RECORDS_OFFSET);
const _: () = assert!(HEAD_END == HEAD_UNITS * UNIT_BYTES);

/// The units that spans are cut from.
pub(crate) const UNITS_USABLE: u64 = u64::MAX << HEAD_UNITS;

/// Those whose metadata is returned second, after 32 others whose records end with a page.
pub(crate) const UPPER_UNITS: u64 = UNITS_USABLE << 32;

/// Offset and length of the whole pages that hold records and words of a run of units, and nothing
/// of others.
pub(crate) fn metadata_of(units: u64) -> [(usize, usize); 3] {
    let (first, count) = (units.trailing_zeros(), units.count_ones());
    let pages = |units: u32| units as usize * PAGES_PER_UNIT;
    let words = WORDS_PER_PAGE * size_of::<u64>();
    let areas = [
        (RECORDS_OFFSET, RECORD_BYTES),
        (LOCAL_OFFSET, words),
        (REMOTE_OFFSET, words),
    ];
    areas.map(|(area, bytes)| {
        let from = area + (pages(first) - HEAD_PAGES) * bytes;
        let start = from.next_multiple_of(PAGE_BYTES);
        let end = (from + pages(count) * bytes) / PAGE_BYTES * PAGE_BYTES;
        (start, end - start)
    })
}

/// A segment's line in the process table: everything that searching, taking and purging touch,
/// so that heads 4 MiB apart, which share a cache set, stay out of it.
#[repr(C)]
pub(crate) struct SegmentEntry {
    /// Units nobody owns.
    pub(crate) free: AtomicU64,
    /// Units whose pages may hold memory or old contents; they count against the budget.
    pub(crate) dirty: AtomicU64,
    /// Units that were free and dirty when they were last aged, and not taken since.
    pub(crate) aged: AtomicU64,
    /// Units split into pieces that may have a free piece.
    pub(crate) split: AtomicU64,
    /// The segment; null until it is published.
    pub(crate) head: AtomicPtr<SegmentHead>,
}

/// The typed first page of a segment.
#[repr(C)]
pub(crate) struct SegmentHead {
    pub(crate) entry: *const SegmentEntry,
    /// Number of the entry, which says where its summary bits are.
    pub(crate) entry_index: usize,
    /// The mapping this segment lies in: in the head of the mapping's first segment.
    pub(crate) reservation: *const Reservation,
    /// Filled in the first segment of a mapping only.
    pub(crate) reservation_home: UnsafeCell<Option<Reservation>>,
    /// Per split unit: its free pieces.
    pub(crate) pieces_free: [AtomicU16; UNITS_PER_SEGMENT],
    /// Per split unit: pieces that were handed out since they last read as zero.
    pub(crate) pieces_dirty: [AtomicU16; UNITS_PER_SEGMENT],
    /// Per page: the record of the slab or large block it belongs to, plus one; 0 for none.
    pub(crate) page_records: [AtomicU16; PAGES_PER_SEGMENT],
}

impl SegmentHead {
    /// Writes the head of a fresh segment at `base`.
    ///
    /// # Safety
    /// `base` is the start of 4 MiB of zeroed memory, aligned to 4 MiB, that nobody else uses and
    /// that lives for ever.
    pub(crate) unsafe fn write(
        base: NonNull<u8>,
        entry: &'static SegmentEntry,
        entry_index: usize,
    ) -> NonNull<SegmentHead> {
        let head = base.cast::<SegmentHead>();
        let fresh = SegmentHead {
            entry,
            entry_index,
            reservation: null(),
            reservation_home: UnsafeCell::new(None),
            pieces_free: [const { AtomicU16::new(0) }; UNITS_PER_SEGMENT],
            pieces_dirty: [const { AtomicU16::new(0) }; UNITS_PER_SEGMENT],
            page_records: [const { AtomicU16::new(0) }; PAGES_PER_SEGMENT],
        };
        // SAFETY: the memory is ours, large enough (const assertion) and aligned.
        unsafe { head.write(fresh) };
        head
    }

    /// The head of the segment that `address` lies in.
    ///
    /// # Safety
    /// `address` lies in a registered segment.
    #[inline(always)]
    pub(crate) unsafe fn of(address: usize) -> &'static SegmentHead {
        // Every mapping's provenance was exposed when it was made.
        let head = core::ptr::with_exposed_provenance::<SegmentHead>(segment_of(address));
        // SAFETY: a registered segment starts with a head (I1), which is only read through shared
        // references from then on.
        unsafe { &*head }
    }

    /// The segment's address.
    #[inline(always)]
    pub(crate) fn address(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// A pointer to `offset` bytes into the segment.
    #[inline(always)]
    pub(crate) fn at(&self, offset: usize) -> NonNull<u8> {
        debug_assert!(offset > 0 && offset < SEGMENT_BYTES);
        let address = self.address() + offset;
        // SAFETY: not null, since it lies in a segment behind its first byte.
        unsafe { NonNull::new_unchecked(core::ptr::with_exposed_provenance_mut(address)) }
    }

    /// The record numbered `index`.
    #[inline(always)]
    pub(crate) fn record(&self, index: usize) -> NonNull<u8> {
        debug_assert!(index < RECORD_COUNT);
        self.at(RECORDS_OFFSET + index * RECORD_BYTES)
    }

    /// The record that `page` belongs to, if it belongs to a slab or large block.
    #[inline(always)]
    pub(crate) fn record_of_page(&self, page: usize) -> Option<NonNull<u8>> {
        // Relaxed: who owns the page wrote it, or learnt the address from who did.
        match self.page_records[page].load(Ordering::Relaxed) {
            0 => None,
            number => Some(self.record(number as usize - 1)),
        }
    }

    /// Says that `count` pages from `page` on belong to record `index`, or to none.
    pub(crate) fn set_page_records(&self, page: usize, count: usize, index: Option<usize>) {
        let number = index.map_or(0, |index| index as u16 + 1);
        for slot in &self.page_records[page..page + count] {
            // Relaxed: see `record_of_page`.
            slot.store(number, Ordering::Relaxed);
        }
    }

    /// The number of the record that a slab starting at `page` uses: mixed with the unit within the
    /// unit's sixteen, so that records of unit-sized slabs spread over the cache's sets.
    #[inline(always)]
    pub(crate) fn record_index_for(page: usize) -> usize {
        let unit = page / PAGES_PER_UNIT;
        (page ^ (unit % PAGES_PER_UNIT)) - HEAD_PAGES
    }

    /// The page that the slab with this record starts at.
    #[inline(always)]
    pub(crate) fn page_of_record(&self, record: NonNull<u8>) -> usize {
        let index = (record.addr().get() - self.address() - RECORDS_OFFSET) / RECORD_BYTES;
        // Mixing leaves the unit as it is, so it is its own inverse.
        Self::record_index_for(index + HEAD_PAGES) + HEAD_PAGES
    }

    /// The local bitmap words of a slab of `pages` pages starting at `page`.
    #[inline(always)]
    pub(crate) fn local_words(&self, page: usize, count: usize) -> &'static [AtomicU64] {
        self.words(LOCAL_OFFSET, page, count)
    }

    /// Word `number` of those.
    ///
    /// # Safety
    /// The slab that starts at `page` has so many words.
    #[inline(always)]
    pub(crate) unsafe fn local_word(&self, page: usize, number: usize) -> &'static AtomicU64 {
        let index = (page - HEAD_PAGES) * WORDS_PER_PAGE + number;
        let word = self.at(LOCAL_OFFSET + index * 8).cast::<AtomicU64>();
        // SAFETY: inside the head (the caller's promise), aligned; zeroed memory is a valid word.
        unsafe { word.as_ref() }
    }

    /// The remote bitmap words of a slab of the pages from `page` on.
    #[cfg(all(unix, feature = "std"))]
    pub(crate) fn remote_words(&self, page: usize, count: usize) -> &'static [AtomicU64] {
        self.words(REMOTE_OFFSET, page, count)
    }

    fn words(&self, area: usize, page: usize, count: usize) -> &'static [AtomicU64] {
        let index = page - HEAD_PAGES;
        let start = self
            .at(area + index * WORDS_PER_PAGE * 8)
            .cast::<AtomicU64>();
        debug_assert!(index * WORDS_PER_PAGE + count <= RECORD_COUNT * WORDS_PER_PAGE);
        // SAFETY: the area lies in the head, was zeroed when mapped, is only accessed as atomics,
        // and heads never go away (I1).
        unsafe { core::slice::from_raw_parts(start.as_ptr(), count) }
    }
}
