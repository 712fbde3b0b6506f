//! The depot: idle slots no thread has, as whole magazines, behind the pool's lock.
//!
//! Owns the magazines in it. Does not know the bounds: its user compares before it adds.
//!
//! I1: `low` is the least number of slots there were since the last tick.

use core::ptr::NonNull;

use crate::pool::magazine::{Chain, Magazine};

/// Empty blocks kept for the next exchange: enough for a few threads that fill while others drain.
/// More would only hide an imbalance, fewer would allocate at each swing.
const SPARES_MAX: usize = 8;

/// See the module.
pub(crate) struct Depot {
    idle: Chain,
    spares: [Option<Box<Magazine>>; SPARES_MAX],
    low: usize,
    /// Objects handed out one by one, to threads without a shard.
    gets: u64,
    /// Whole magazines handed out or taken in.
    exchanges: u64,
}

impl Depot {
    pub(crate) const fn new() -> Depot {
        Depot {
            idle: Chain::new(),
            spares: [const { None }; SPARES_MAX],
            low: 0,
            gets: 0,
            exchanges: 0,
        }
    }

    /// Slots in the depot.
    pub(crate) fn count(&self) -> usize {
        self.idle.count()
    }

    /// Objects handed out one by one, and magazines exchanged.
    pub(crate) fn figures(&self) -> (u64, u64) {
        (self.gets, self.exchanges)
    }

    /// Hands out the magazine that came last.
    pub(crate) fn take_magazine(&mut self) -> Option<Box<Magazine>> {
        let magazine = self.idle.pop_magazine()?;
        self.exchanges += 1;
        self.note_low();
        Some(magazine)
    }

    /// Takes a magazine in.
    pub(crate) fn put_magazine(&mut self, magazine: Box<Magazine>) {
        self.exchanges += 1;
        if let Some(empty) = self.idle.push_magazine(magazine) {
            self.put_spare(empty);
        }
    }

    /// Takes in all of a chain.
    pub(crate) fn put_chain(&mut self, chain: Chain) {
        self.idle.append(chain);
    }

    /// Hands out one slot.
    pub(crate) fn take(&mut self) -> Option<NonNull<u8>> {
        let (slot, emptied) = self.idle.pop()?;
        if let Some(empty) = emptied {
            self.put_spare(empty);
        }
        self.gets += 1;
        self.note_low();
        Some(slot)
    }

    /// Takes one slot in, into a magazine of at most `magazine_slots`; `false` without memory for
    /// another one.
    pub(crate) fn put(&mut self, slot: NonNull<u8>, magazine_slots: usize) -> bool {
        if self.idle.push(slot, magazine_slots) {
            return true;
        }
        let Some(mut magazine) = self.take_spare() else {
            return false;
        };
        magazine.push(slot);
        self.idle.push_magazine(magazine);
        true
    }

    /// An empty magazine, or `None` without memory.
    pub(crate) fn take_spare(&mut self) -> Option<Box<Magazine>> {
        let spare = self.spares.iter_mut().find_map(Option::take);
        spare.or_else(Magazine::try_new)
    }

    /// Keeps an empty magazine, or frees it when there are enough.
    pub(crate) fn put_spare(&mut self, empty: Box<Magazine>) {
        debug_assert_eq!(empty.len(), 0);
        if let Some(place) = self.spares.iter_mut().find(|place| place.is_none()) {
            *place = Some(empty);
        }
    }

    /// Keeps `keep` slots and returns the others, those used longest ago.
    pub(crate) fn cut(&mut self, keep: usize) -> Chain {
        if self.count() <= keep {
            return Chain::new();
        }
        let cut = self.idle.cut(keep);
        self.note_low();
        cut
    }

    /// Ends an interval: returns three quarters of the slots nobody needed during it, as long as
    /// `floor` stay. A quarter stays so that a swing between two ticks does not empty the depot;
    /// repeated ticks still get to the bottom of it.
    pub(crate) fn tick(&mut self, floor: usize) -> Chain {
        let unneeded = self.low - self.low / 4;
        let keep = (self.count() - unneeded).max(floor);
        let cut = self.cut(keep);
        self.low = self.count();
        cut
    }

    fn note_low(&mut self) {
        self.low = self.low.min(self.count());
    }
}
