//! Trims: whoever begins one takes what is in its reach and tells all threads; each of them gives
//! up what it holds at its next get (`Store::attend_to`).
//!
//! Owns nothing. What it takes out of a store it hands to the typed layer, which drops it once
//! nothing is locked or claimed.
//!
//! I1: an answer to pressure is part of a get or put, so it only tries to lock (`store.rs`, I3).

use crate::base::sync::Ordering;
use crate::pool::claims;
use crate::pool::magazine::Chain;
use crate::pool::shard::{Shard, ShardRef};
use crate::pool::store::{Store, lock, try_lock};

impl Store {
    /// Begins a trim: tells all threads, and collects what is in reach beyond `keep`.
    ///
    /// # Safety
    /// The caller holds the claim of `shard`, which is one of this store's.
    pub(crate) unsafe fn trim(&self, shard: Option<&Shard>, keep: usize) -> Chain {
        let epoch = self.announce_trim(keep);
        let (mut found, mut vacant) = (Chain::new(), Chain::new());
        unload_free(&lock(&self.changing.shards), epoch, &mut found, &mut vacant);
        if let Some(shard) = shard {
            // SAFETY: the claim, by the caller.
            unsafe { shard.unload(&mut found, &mut vacant) };
            shard.set_epoch(epoch);
        }
        // SAFETY: they were in shards of ours as vacant.
        unsafe { self.give_chain(vacant) };
        let mut depot = self.changing.depot.lock();
        depot.put_chain(found);
        depot.cut(keep.min(self.depot_max()))
    }

    /// Says to all threads that at most `keep` idle slots are to stay. Returns the trim's epoch.
    fn announce_trim(&self, keep: usize) -> usize {
        let changing = &self.changing;
        changing.trim_keep.store(keep, Ordering::Relaxed);
        let epoch = changing
            .epoch
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(1);
        // No seat matches the new id, so every thread's next get comes by the slow path.
        // Release: pairs with `attend_to`, so that whoever sees the new id sees the epoch.
        let get_id = claims::next_id(Some(self.id));
        self.get_id.store(get_id, Ordering::Release);
        epoch
    }

    /// Whether the budget of the pages ran short since it was last answered.
    #[inline]
    pub(crate) fn is_pressed(&self) -> bool {
        self.pages.pressure() != self.changing.pressure.load(Ordering::Relaxed)
    }

    /// Begins a trim that keeps nothing, for the first who comes. What the calling thread has in a
    /// shard follows when it attends, like everybody's. Returns what is to be dropped.
    #[cold]
    pub(crate) fn answer_pressure(&self) -> Chain {
        let changing = &self.changing;
        let (seen, now) = (
            changing.pressure.load(Ordering::Relaxed),
            self.pages.pressure(),
        );
        // Relaxed: who wins the exchange trims; nobody waits.
        let order = (Ordering::Relaxed, Ordering::Relaxed);
        let answered = &changing.pressure;
        let (mut found, mut vacant) = (Chain::new(), Chain::new());
        if answered
            .compare_exchange(seen, now, order.0, order.1)
            .is_err()
        {
            return found;
        }
        let epoch = self.announce_trim(0);
        if let Some(shards) = try_lock(&changing.shards) {
            unload_free(&shards, epoch, &mut found, &mut vacant);
        }
        // SAFETY: they were in shards of ours as vacant.
        unsafe { self.give_chain(vacant) };
        match self.depot_for_put() {
            Some(mut depot) => found.append(depot.cut(0)),
            // The next slow path tries again.
            None => answered.store(seen, Ordering::Relaxed),
        }
        found
    }

    /// Ends an interval of the depot.
    pub(crate) fn tick(&self) -> Chain {
        self.changing.depot.lock().tick(self.bounds.idle_min)
    }

    /// Gives empty slabs back to the pages.
    pub(crate) fn trim_slots(&self) {
        lock(&self.changing.slots).trim();
    }
}

/// Takes the slots of every shard that no thread has.
fn unload_free(shards: &[ShardRef], epoch: usize, found: &mut Chain, vacant: &mut Chain) {
    for free in shards {
        if free.try_claim() {
            // SAFETY: claimed just now, until the release below.
            unsafe { free.unload(found, vacant) };
            free.set_epoch(epoch);
            claims::release(free);
        }
    }
}
