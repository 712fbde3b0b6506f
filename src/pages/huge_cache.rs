//! Huge blocks kept after their release, for the next request that one of them fits.
//!
//! Mapping a block anew costs a page fault for every 4 KiB that is touched, several hundred
//! nanoseconds each with the clearing of the page; a kept block has its pages. What is kept is
//! bounded in number and bytes, goes back with everything else at `trim` and when the budget or the
//! source run short, and after a delay by and by.
//!
//! I1: a place holds 0 or a block that nobody uses; whoever takes a value out of a place by
//! compare-and-swap owns that block.

use core::cmp::Reverse;

use crate::base::geometry::PAGE_BYTES;
use crate::base::sync::{AtomicU64, AtomicUsize, Ordering};

/// Blocks that are kept at most: enough for a program that replaces a few large tables or buffers
/// by turns; a look at all of them is two cache lines.
const PLACES: usize = 16;
/// Bytes that they may hold together: as much as glibc keeps at the end of its heap at most.
const BYTES_MAX: usize = 64 << 20;
/// A block is taken for a request when at most half of it stays unused, which would be resident in
/// the cache, too. One that is too short always will do: moving its pages is nothing beside the
/// first touch of new ones. So a table that doubles over and over leaves one block behind, not one
/// of each length.
const UNUSED_SHARE: usize = 2;

/// See the module's header.
#[derive(Debug)]
pub(crate) struct HugeCache {
    places: [AtomicU64; PLACES],
    /// Bytes of the blocks in the places.
    bytes: AtomicUsize,
    /// Counts what was put; says which place is emptied next.
    turn: AtomicUsize,
}

/// A block in a place: the number of its first page from bit 28 on (36 bits), then its pages (27
/// bits), and whether it was here when ageing last came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The block's address.
    pub(crate) start: usize,
    /// Bytes from `start` to the end of its mapping.
    pub(crate) room: usize,
    is_aged: bool,
}

impl Kept {
    pub(crate) const fn new(start: usize, room: usize) -> Kept {
        Kept {
            start,
            room,
            is_aged: false,
        }
    }

    /// `None` for a block that the word has no room for: half a terabyte and more.
    fn pack(self) -> Option<u64> {
        let (page, pages) = (self.start / PAGE_BYTES, self.room / PAGE_BYTES);
        let fits = pages < 1 << 27 && (page as u64) < 1 << 36;
        fits.then(|| (page as u64) << 28 | (pages as u64) << 1 | u64::from(self.is_aged))
    }

    fn unpack(word: u64) -> Option<Kept> {
        (word != 0).then(|| Kept {
            start: (word >> 28) as usize * PAGE_BYTES,
            room: (word >> 1 & ((1 << 27) - 1)) as usize * PAGE_BYTES,
            is_aged: word & 1 == 1,
        })
    }

    /// How well it serves a request of so many bytes at `align`; `None` if it does not. The fewest
    /// bytes too many are best, then the fewest too few: those the mapping is made longer by, which
    /// moves it, so that only a page's alignment is sure.
    fn merit(self, bytes: usize, align: usize) -> Option<(bool, Reverse<usize>)> {
        let is_enough = self.room >= bytes;
        let may = if is_enough {
            self.start % align == 0 && self.room - bytes <= self.room / UNUSED_SHARE
        } else {
            align <= PAGE_BYTES
        };
        may.then_some((is_enough, Reverse(self.room.abs_diff(bytes))))
    }
}

impl HugeCache {
    pub(crate) const fn new() -> HugeCache {
        HugeCache {
            places: [const { AtomicU64::new(0) }; PLACES],
            bytes: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
        }
    }

    /// Takes the block that serves the request best.
    pub(crate) fn take(&self, bytes: usize, align: usize) -> Option<Kept> {
        loop {
            if self.bytes.load(Ordering::Relaxed) == 0 {
                return None;
            }
            let words = self.places.iter().map(|place| {
                let word = place.load(Ordering::Relaxed);
                Kept::unpack(word).map(|kept| (kept.merit(bytes, align), place, word, kept))
            });
            let best = words.flatten().max_by_key(|(merit, ..)| *merit);
            let (_, place, word, kept) = best.filter(|(merit, ..)| merit.is_some())?;
            if self.remove(place, word) {
                return Some(kept);
            }
        }
    }

    /// Keeps a block that nobody uses. Returns one that goes in its stead, if any: it then belongs
    /// to the caller, who calls again with nothing until nothing comes back.
    pub(crate) fn put(&self, block: Kept) -> Option<Kept> {
        let Some(word) = block.pack().filter(|_| block.room <= BYTES_MAX) else {
            return Some(block);
        };
        self.bytes.fetch_add(block.room, Ordering::Relaxed);
        for place in &self.places {
            // Release: pairs with the Acquire of whoever takes the block.
            let order = (Ordering::Release, Ordering::Relaxed);
            if place.load(Ordering::Relaxed) == 0
                && place.compare_exchange(0, word, order.0, order.1).is_ok()
            {
                return self.surplus();
            }
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        // AcqRel: both of the above.
        let old = self.places[turn % PLACES].swap(word, Ordering::AcqRel);
        let Some(old) = Kept::unpack(old) else {
            // Taken just before.
            return self.surplus();
        };
        self.bytes.fetch_sub(old.room, Ordering::Relaxed);
        Some(old)
    }

    /// Takes out a block while the places hold too many bytes.
    pub(crate) fn surplus(&self) -> Option<Kept> {
        for _ in 0..PLACES {
            if self.bytes.load(Ordering::Relaxed) <= BYTES_MAX {
                return None;
            }
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let place = &self.places[turn % PLACES];
            let word = place.load(Ordering::Relaxed);
            if word != 0 && self.remove(place, word) {
                return Kept::unpack(word);
            }
        }
        None
    }

    /// Takes out one block, any.
    pub(crate) fn take_any(&self) -> Option<Kept> {
        self.take_where(|_| true)
    }

    /// Takes out one block that was here when `age` last came by.
    pub(crate) fn take_aged(&self) -> Option<Kept> {
        self.take_where(|kept| kept.is_aged)
    }

    fn take_where(&self, wanted: impl Fn(Kept) -> bool) -> Option<Kept> {
        self.places.iter().find_map(|place| {
            let word = place.load(Ordering::Relaxed);
            let kept = Kept::unpack(word).filter(|kept| wanted(*kept))?;
            self.remove(place, word).then_some(kept)
        })
    }

    /// Marks what is kept now.
    pub(crate) fn age(&self) {
        for place in &self.places {
            let word = place.load(Ordering::Relaxed);
            if word != 0 {
                // A place that changed meanwhile is not aged.
                let order = (Ordering::Relaxed, Ordering::Relaxed);
                let _ = place.compare_exchange(word, word | 1, order.0, order.1);
            }
        }
    }

    /// Takes `word` out of `place`, unless somebody was faster.
    fn remove(&self, place: &AtomicU64, word: u64) -> bool {
        // Acquire: pairs with the Release in `put`.
        let order = (Ordering::Acquire, Ordering::Relaxed);
        let taken = place.compare_exchange(word, 0, order.0, order.1).is_ok();
        if let Some(kept) = Kept::unpack(word).filter(|_| taken) {
            self.bytes.fetch_sub(kept.room, Ordering::Relaxed);
        }
        taken
    }
}
