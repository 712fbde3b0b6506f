//! The depot: idle slots no thread has, as whole magazines, behind the pool's lock.
//!
//! Owns the magazines in it. Does not know the bounds: its user compares before it adds.
//!
//! I1: `low` is the least number of slots there were since the last tick.
//! I2: `idle` of a [`SharedDepot`] is the number of slots in it when it was last unlocked.

use core::mem;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use std::sync::{Mutex, MutexGuard};

use crate::base::lock::{lock, lock_or_try};
use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::stock::magazine::{Chain, NO_OBJECTS, OwnedMagazine};

/// Empty blocks kept for the next exchange: enough for a few threads that fill while others drain.
/// More would only hide an imbalance, fewer would allocate at each swing.
const SPARES_MAX: usize = 8;

/// A depot and its lock, which nobody needs to take to find it empty or full.
#[derive(Default)]
pub(crate) struct SharedDepot {
    depot: Mutex<Depot>,
    idle: AtomicUsize,
}

/// A locked depot.
pub(crate) struct DepotGuard<'d> {
    depot: MutexGuard<'d, Depot>,
    idle: &'d AtomicUsize,
}

impl SharedDepot {
    /// Slots in it a moment ago (I2).
    pub(crate) fn idle(&self) -> usize {
        // Relaxed: who acts on it locks and looks again, or does without.
        self.idle.load(Ordering::Relaxed)
    }

    /// Waits for the lock.
    pub(crate) fn lock(&self) -> DepotGuard<'_> {
        self.guard(lock(&self.depot))
    }

    /// Waits for the depot if need be, or tries.
    pub(crate) fn lock_or_try(&self, waits: bool) -> Option<DepotGuard<'_>> {
        lock_or_try(&self.depot, waits).map(|depot| self.guard(depot))
    }

    fn guard<'d>(&'d self, depot: MutexGuard<'d, Depot>) -> DepotGuard<'d> {
        let idle = &self.idle;
        DepotGuard { depot, idle }
    }
}

impl Deref for DepotGuard<'_> {
    type Target = Depot;

    fn deref(&self) -> &Depot {
        &self.depot
    }
}

impl DerefMut for DepotGuard<'_> {
    fn deref_mut(&mut self) -> &mut Depot {
        &mut self.depot
    }
}

impl Drop for DepotGuard<'_> {
    fn drop(&mut self) {
        self.idle.store(self.depot.count(), Ordering::Relaxed);
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Depot {
    /// What came since the last `rotate`: without an aging that rotates, all there is.
    idle: Chain,
    /// What was there then, handed out when nothing else is left.
    old: Chain,
    spares: [Option<OwnedMagazine>; SPARES_MAX],
    low: usize,
    /// Objects handed out one by one, to threads without a shard.
    gets: u64,
    /// Whole magazines handed out or taken in.
    exchanges: u64,
}

impl Depot {
    /// Slots in the depot.
    pub(crate) fn count(&self) -> usize {
        self.idle.count() + self.old.count()
    }

    /// Objects handed out one by one, and magazines exchanged.
    pub(crate) fn sums(&self) -> (u64, u64) {
        (self.gets, self.exchanges)
    }

    /// Hands out the magazine that came last, unless some of its objects may be older than
    /// `generation`: those go one by one.
    pub(crate) fn take_magazine(&mut self, generation: usize) -> Option<OwnedMagazine> {
        let chain = match self.idle.count() {
            0 => &mut self.old,
            _ => &mut self.idle,
        };
        if chain.generation()? < generation {
            return None;
        }
        let magazine = chain.pop_magazine()?;
        self.exchanges += 1;
        self.note_low();
        Some(magazine)
    }

    /// Takes a magazine in.
    pub(crate) fn put_magazine(&mut self, magazine: OwnedMagazine) {
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
        let (slot, emptied) = self.idle.pop().or_else(|| self.old.pop())?;
        if let Some(empty) = emptied {
            self.put_spare(empty);
        }
        self.gets += 1;
        self.note_low();
        Some(slot)
    }

    /// Takes one slot in, as [`Magazine::push`], into a magazine of at most `magazine_slots`;
    /// `false` without memory for another one.
    pub(crate) fn put(
        &mut self,
        slot: NonNull<u8>,
        generation: usize,
        magazine_slots: usize,
    ) -> bool {
        if self.idle.push(slot, generation, magazine_slots) {
            return true;
        }
        let Some(mut magazine) = self.take_spare() else {
            return false;
        };
        magazine.push(slot, generation);
        self.idle.push_magazine(magazine);
        true
    }

    /// An empty magazine, or `None` without memory.
    pub(crate) fn take_spare(&mut self) -> Option<OwnedMagazine> {
        let spare = self.spares.iter_mut().find_map(Option::take);
        spare.or_else(OwnedMagazine::try_new)
    }

    /// Keeps an empty magazine, or frees it when there are enough.
    pub(crate) fn put_spare(&mut self, mut empty: OwnedMagazine) {
        debug_assert_eq!(empty.len(), 0);
        // SAFETY: without entries there is nothing to be initialised.
        unsafe { empty.seal(0, NO_OBJECTS) };
        if let Some(place) = self.spares.iter_mut().find(|place| place.is_none()) {
            *place = Some(empty);
        }
    }

    /// Keeps `keep` slots and returns the others, those used longest ago.
    pub(crate) fn cut(&mut self, keep: usize) -> Chain {
        if self.count() <= keep {
            return Chain::new();
        }
        let mut cut = self.old.cut(keep.saturating_sub(self.idle.count()));
        cut.append(self.idle.cut(keep));
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

    /// Returns what is old, as long as `floor` stay, and makes all others old.
    pub(crate) fn rotate(&mut self, floor: usize) -> Chain {
        let cut = self.old.cut(floor.saturating_sub(self.idle.count()));
        let young = mem::take(&mut self.idle);
        self.old.append(young);
        self.note_low();
        cut
    }

    /// Takes in what is old already.
    pub(crate) fn put_old(&mut self, chain: Chain) {
        self.old.append(chain);
    }

    fn note_low(&mut self) {
        self.low = self.low.min(self.count());
    }
}
