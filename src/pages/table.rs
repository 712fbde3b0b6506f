//! The process table: one dense line per segment, with summaries to search by.
//!
//! Blocks of 1024 lines are mapped as they are needed and never freed, so a line's address is
//! stable. Summary bits are hints: set when a line may have what is looked for, cleared by whoever
//! used it up, who looks again afterwards and sets the bit back if something came in between.

use core::ptr::{NonNull, null_mut};

use crate::base::sync::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use crate::pages::segment::SegmentEntry;

/// Lines of a block: 4 GiB of segments, 32 KiB of lines.
const BLOCK_LINES: usize = 1024;
/// Blocks of a table: 4 TiB in all; a static of 8 KiB.
const BLOCK_COUNT: usize = 1024;

/// What a search looks for.
#[derive(Clone, Copy)]
pub(crate) enum Want {
    /// A segment with free units.
    Units = 0,
    /// A segment with a split unit that has a free piece.
    Pieces = 1,
}

#[repr(C)]
pub(crate) struct Block {
    summaries: [[AtomicU64; BLOCK_LINES / 64]; 2],
    lines: [SegmentEntry; BLOCK_LINES],
}

#[repr(C)]
pub(crate) struct Table {
    blocks: [AtomicPtr<Block>; BLOCK_COUNT],
    /// Lines given out.
    count: AtomicUsize,
    /// Where a search found something last, per `Want`.
    hints: [AtomicUsize; 2],
    /// What is left of the newest reservation, as a packed [`Rest`]: one compare-and-swap takes a
    /// segment.
    pub(crate) rest: AtomicU64,
    /// The process of whoever makes a large reservation just now, or 0; others make a small one.
    pub(crate) growing: AtomicUsize,
    /// Segments of the next large reservation; doubles.
    pub(crate) next_count: AtomicUsize,
}

impl Table {
    pub(crate) const fn new() -> Table {
        Table {
            blocks: [const { AtomicPtr::new(null_mut()) }; BLOCK_COUNT],
            count: AtomicUsize::new(0),
            hints: [const { AtomicUsize::new(0) }; 2],
            rest: AtomicU64::new(0),
            growing: AtomicUsize::new(0),
            next_count: AtomicUsize::new(FIRST_COUNT),
        }
    }

    /// Takes the next line. `make` maps zeroed memory for a block; `None` when it cannot, or when
    /// the table is full.
    pub(crate) fn next_line(
        &self,
        make: impl Fn(usize) -> Option<NonNull<u8>>,
    ) -> Option<(&'static SegmentEntry, usize)> {
        loop {
            self.ensure_block(&make)?;
            let index = self.count.load(Ordering::Relaxed);
            if self.block(index / BLOCK_LINES).is_none() {
                continue;
            }
            let order = (Ordering::Relaxed, Ordering::Relaxed);
            if self
                .count
                .compare_exchange(index, index + 1, order.0, order.1)
                .is_ok()
            {
                return self.line(index).map(|line| (line, index));
            }
        }
    }

    /// Sees to it that the next line has a block, so that taking it cannot fail. `make` as for
    /// [`Table::next_line`].
    pub(crate) fn ensure_block(&self, make: impl Fn(usize) -> Option<NonNull<u8>>) -> Option<()> {
        let index = self.count.load(Ordering::Relaxed);
        let slot = self.blocks.get(index / BLOCK_LINES)?;
        if slot.load(Ordering::Acquire).is_null() {
            let fresh = make(size_of::<Block>())?.cast::<Block>().as_ptr();
            // Release: publishes the block. A loser's block stays unused (36 KiB, once).
            let order = (Ordering::Release, Ordering::Relaxed);
            let _ = slot.compare_exchange(null_mut(), fresh, order.0, order.1);
        }
        Some(())
    }

    fn block(&self, number: usize) -> Option<&'static Block> {
        // Acquire: pairs with the publication in `next_line`.
        let block = self.blocks.get(number)?.load(Ordering::Acquire);
        // SAFETY: a published block is zeroed memory (valid atomics) that is never freed.
        unsafe { block.as_ref() }
    }

    /// The line `index`, if it was given out.
    pub(crate) fn given_line(&self, index: usize) -> Option<&'static SegmentEntry> {
        let is_given = index < self.count.load(Ordering::Relaxed);
        is_given.then(|| self.line(index)).flatten()
    }

    fn line(&self, index: usize) -> Option<&'static SegmentEntry> {
        self.block(index / BLOCK_LINES)
            .map(|block| &block.lines[index % BLOCK_LINES])
    }

    /// Says that the line `index` may have what `want` looks for.
    pub(crate) fn mark(&self, want: Want, index: usize) {
        if let Some(block) = self.block(index / BLOCK_LINES) {
            let word = &block.summaries[want as usize][index % BLOCK_LINES / 64];
            let bit = 1u64 << (index % 64);
            // SeqCst: ordered after the caller's release of what it marks. A load that ran ahead of
            // it could see the bit set although `unmark` clears it without seeing the release.
            if word.load(Ordering::SeqCst) & bit == 0 {
                word.fetch_or(bit, Ordering::SeqCst);
            }
        }
    }

    /// Clears the bit set by `mark`, then sets it again if `still` says so: what was released
    /// before the clearing is seen by `still`, what comes after marks again.
    pub(crate) fn unmark(&self, want: Want, index: usize, still: impl Fn() -> bool) {
        if let Some(block) = self.block(index / BLOCK_LINES) {
            let word = &block.summaries[want as usize][index % BLOCK_LINES / 64];
            word.fetch_and(!(1u64 << (index % 64)), Ordering::SeqCst);
            if still() {
                self.mark(want, index);
            }
        }
    }

    /// Calls `visit` with every marked line, from where the last search succeeded on, until it
    /// returns something.
    pub(crate) fn search<R>(
        &self,
        want: Want,
        mut visit: impl FnMut(&'static SegmentEntry, usize) -> Option<R>,
    ) -> Option<R> {
        let count = self.count.load(Ordering::Relaxed);
        let words = count.div_ceil(64);
        let first = (self.hints[want as usize].load(Ordering::Relaxed) / 64).min(words);
        for word_index in (first..words).chain(0..first) {
            let Some(block) = self.block(word_index / (BLOCK_LINES / 64)) else {
                continue;
            };
            let summary = &block.summaries[want as usize][word_index % (BLOCK_LINES / 64)];
            let mut bits = summary.load(Ordering::Relaxed);
            while bits != 0 {
                let index = word_index * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                if let Some(found) = visit(&block.lines[index % BLOCK_LINES], index) {
                    self.hints[want as usize].store(index, Ordering::Relaxed);
                    return Some(found);
                }
            }
        }
        None
    }

    /// Every line given out.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&'static SegmentEntry, usize)> + '_ {
        (0..self.count.load(Ordering::Relaxed))
            .filter_map(|index| self.line(index).map(|line| (line, index)))
    }
}

/// A reservation whose segments are published one by one.
#[derive(Clone, Copy)]
pub(crate) struct Rest {
    /// Address of its first segment, divided by a segment's size.
    pub(crate) first: u64,
    /// Segments published so far.
    pub(crate) next: u64,
    /// Segments in all.
    pub(crate) count: u64,
}

impl Rest {
    /// 12 bits hold `LAST_COUNT`; 40 bits hold any segment number.
    pub(crate) const fn pack(self) -> u64 {
        self.first << 24 | self.next << 12 | self.count
    }

    pub(crate) const fn unpack(word: u64) -> Rest {
        Rest {
            first: word >> 24,
            next: word >> 12 & 0xFFF,
            count: word & 0xFFF,
        }
    }
}

const _: () = assert!(LAST_COUNT < 1 << 12);

/// Segments of the first large reservation: 64 MiB, so that a small program reserves little.
const FIRST_COUNT: usize = 16;
/// Segments of the largest reservation: 1 GiB. More would fail under more limits (`ulimit -v`
/// counts reservations) and save few calls.
pub(crate) const LAST_COUNT: usize = 256;
