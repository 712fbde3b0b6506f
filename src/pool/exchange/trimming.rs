//! Trims, ticks and new generations: whoever begins one takes what is in its reach and tells all
//! threads; each of them does its part at its next get (`PoolCore::attend`).
//!
//! Owns what was taken out of a store, an [`Excess`], until `life/` drops it, once nothing is
//! locked any more.
//!
//! I1: an answer to pressure, and a tick by itself, are part of a get or put, so they only try to
//! lock, but for the slot source (`store.rs`, I4). So is the trim by which the judge closes a pool,
//! once in a long while: it waits.

use crate::base::lock::lock_or_try;
use crate::base::sync::Ordering;
use crate::pool::exchange::events::Event;
use crate::pool::exchange::releases::release;
use crate::pool::exchange::store::Store;
use crate::pool::stock::depot::DepotGuard;
use crate::pool::stock::drops::Drops;
use crate::pool::stock::magazine::Chain;
use crate::pool::stock::shard::Shard;

/// Idle slots that are to be dropped, and why.
pub(crate) struct Excess {
    pub(crate) chain: Chain,
    pub(crate) reason: Drops,
}

impl Excess {
    pub(crate) fn none() -> Excess {
        Excess::new(Chain::new(), Drops::Trimmed)
    }

    fn new(chain: Chain, reason: Drops) -> Excess {
        Excess { chain, reason }
    }
}

impl Store {
    /// Begins a trim: tells all threads, and takes what is in reach beyond `keep` out.
    ///
    /// # Safety
    /// The caller holds the lease of `shard`, which is one of this store's.
    pub(crate) unsafe fn trim(&self, shard: Option<&Shard>, keep: usize, reason: Drops) -> Excess {
        let event = self.events.announce(Event::Trim { keep, reason });
        // SAFETY: the lease, by the caller.
        let found = unsafe { self.collect(shard, event, true) };
        let mut depot = self.changing.depot.lock();
        depot.put_chain(found);
        let cut = depot.cut(keep.min(self.depot_max()));
        Excess::new(cut, reason)
    }

    /// Takes everything out of the shards in reach, which have seen `event` then. Slots without a
    /// value go home.
    ///
    /// # Safety
    /// The caller holds the lease of `shard`, which is one of this store's.
    unsafe fn collect(&self, shard: Option<&Shard>, event: usize, waits: bool) -> Chain {
        let (mut found, mut vacant) = (Chain::new(), Chain::new());
        let mut unload = |shard: &Shard| {
            // SAFETY: the lease, by those who call this. Without memory some may stay.
            unsafe { shard.unload(&mut found, &mut vacant) };
            shard.set_seen(event);
        };
        let shards = lock_or_try(&self.changing.shards, waits);
        for free in shards.iter().flat_map(|shards| shards.iter()) {
            if free.try_lease() {
                unload(free);
                release(free);
            }
        }
        drop(shards);
        if let Some(shard) = shard {
            unload(shard);
        }
        // SAFETY: they were in shards of ours as vacant.
        unsafe { self.vacant().give_chain(vacant) };
        found
    }

    /// Whether the budget of the pages ran short since it was last answered.
    #[inline]
    pub(crate) fn is_pressed(&self) -> bool {
        self.pages.pressure() != self.changing.pressure.load(Ordering::Relaxed)
    }

    /// Begins a trim that keeps nothing, for the first who comes. What the calling thread has in a
    /// shard follows when it attends, like everybody's. Returns what is to be dropped.
    #[cold]
    pub(crate) fn answer_pressure(&self) -> Excess {
        let answered = &self.changing.pressure;
        let (seen, now) = (answered.load(Ordering::Relaxed), self.pages.pressure());
        // Relaxed: who wins the exchange trims; nobody waits.
        let order = (Ordering::Relaxed, Ordering::Relaxed);
        let won = answered.compare_exchange(seen, now, order.0, order.1);
        if won.is_err() {
            return Excess::none();
        }
        let (keep, reason) = (0, Drops::Pressed);
        let event = self.events.announce(Event::Trim { keep, reason });
        // SAFETY: without a shard there is no lease.
        let mut found = unsafe { self.collect(None, event, false) };
        match self.depot_for_put() {
            Some(mut depot) => found.append(depot.cut(keep)),
            // The next slow path tries again.
            None => answered.store(seen, Ordering::Relaxed),
        }
        Excess::new(found, reason)
    }

    /// Ends an interval, by a tick or a rotation. Unless it `waits`, what a busy lock hides takes
    /// part in the next.
    ///
    /// # Safety
    /// The caller holds the lease of `shard`, which is one of this store's.
    pub(crate) unsafe fn tick(&self, shard: Option<&Shard>, event: Event, waits: bool) -> Excess {
        let rotates = event == Event::Rotate;
        let event = self.events.announce(event);
        // Otherwise it follows at the next get, like everybody's.
        let shard = shard.filter(|_| rotates && waits);
        // SAFETY: the lease, by the caller.
        let found = unsafe { self.collect(shard, event, waits) };
        let depot = if waits {
            Some(self.changing.depot.lock())
        } else {
            self.depot_for_put()
        };
        let Some(mut depot) = depot else {
            return Excess::new(found, Drops::Aged);
        };
        let floor = self.bounds.idle_min;
        // What is found in the shards was needed more lately than what lies in the depot.
        let mut old = if rotates {
            depot.put_chain(found);
            depot.rotate(floor)
        } else {
            let old = depot.tick(floor.saturating_sub(found.count()));
            depot.put_chain(found);
            old
        };
        old.append(depot.cut(self.depot_max()));
        Excess::new(old, Drops::Aged)
    }

    /// Gives empty slabs back to the pages, and sees whether what was given back before has waited
    /// for long enough: the last ticks after a burst release too little for anybody else to look.
    pub(crate) fn trim_slots(&self) {
        self.vacant().trim();
        self.pages.purge_if_due();
    }

    /// Lets a shard catch up, if it missed anything. Returns what is to be dropped, if anything is.
    ///
    /// # Safety
    /// The caller holds the shard's lease.
    #[inline]
    pub(crate) unsafe fn catch_up_if_need_be(&self, shard: &Shard) -> Option<Excess> {
        if self.is_up_to_date(shard) {
            return None;
        }
        // SAFETY: as ours.
        let excess = unsafe { self.catch_up(shard) };
        (excess.chain.count() > 0).then_some(excess)
    }

    /// Lets a shard catch up with the events since its last slow path, and the depot with the
    /// shards there are, unless the depot is busy or memory runs out. Returns what is to be
    /// dropped.
    ///
    /// # Safety
    /// The caller holds the shard's lease.
    #[cold]
    unsafe fn catch_up(&self, shard: &Shard) -> Excess {
        // The event before the generation (`events.rs`, I1).
        let last = self.events.last_seen();
        let generation = self.events.generation();
        // SAFETY: as ours, here and below.
        let old = unsafe { self.retire(shard, generation) };
        if shard.generation() != generation || shard.seen() == last {
            return Excess::new(old, Drops::Retired);
        }
        let Some(mut depot) = self.changing.depot.lock_or_try(false) else {
            return Excess::new(old, Drops::Retired);
        };
        let event = self.events.missed(shard.seen());
        let (mut held, mut vacant) = (Chain::new(), Chain::new());
        match event {
            // The colder half: what it needs comes back in one exchange.
            Some(Event::Tick) => {
                // SAFETY: as above.
                if let Some(previous) = unsafe { shard.take_previous() } {
                    held.push_magazine(previous);
                }
            }
            // SAFETY: as above.
            Some(_) => unsafe { shard.unload(&mut held, &mut vacant) },
            None => {}
        }
        let mut excess = self.take_in(&mut depot, event, held);
        shard.set_seen(last);
        drop(depot);
        // SAFETY: they were in a shard of ours as vacant.
        unsafe { self.vacant().give_chain(vacant) };
        if old.count() > 0 {
            excess.chain.append(old);
            excess.reason = Drops::Retired;
        }
        excess
    }

    /// Takes everything out of a shard that may hold objects older than `generation`, and then does
    /// not.
    ///
    /// # Safety
    /// The caller holds the shard's lease.
    unsafe fn retire(&self, shard: &Shard, generation: usize) -> Chain {
        if shard.generation() == generation {
            return Chain::new();
        }
        let (mut old, mut vacant) = (Chain::new(), Chain::new());
        // SAFETY: the lease, by the caller; slots that come as vacant lay in a shard of ours as
        // that.
        unsafe {
            shard.unload(&mut old, &mut vacant);
            self.vacant().give_chain(vacant);
        }
        // Without memory some may stay.
        if shard.idle() == 0 {
            shard.set_generation(generation);
        }
        old
    }

    /// Takes what a shard held into the depot; what is too much.
    fn take_in(&self, depot: &mut DepotGuard<'_>, event: Option<Event>, mut held: Chain) -> Excess {
        let depot_max = self.depot_max();
        let (keep, reason) = match event {
            // The last trim's bound holds for what this thread held at the time, not for what the
            // depot has collected since.
            Some(Event::Trim { keep, reason }) => (keep.min(depot_max), reason),
            _ => (depot_max, Drops::Full),
        };
        let mut chain = Chain::new();
        if depot.count() + held.count() > keep {
            chain = held.cut(keep.saturating_sub(depot.count()));
        }
        if event == Some(Event::Rotate) {
            depot.put_old(held);
        } else {
            depot.put_chain(held);
        }
        chain.append(depot.cut(depot_max));
        Excess::new(chain, reason)
    }
}

#[cfg(test)]
mod tests {
    use core::alloc::Layout;

    use super::*;
    use crate::pool::exchange::bounds::Bounds;

    #[test]
    fn a_shard_whose_first_visits_met_a_busy_depot_hears_of_a_generation_too() {
        let bounds = Bounds::of::<u64>(None, usize::MAX);
        let store = Store::new(None, Layout::new::<[u64; 8]>(), bounds, false);
        let shard = store.lease_shard().expect("memory");
        let busy = store.changing.depot.lock();
        // SAFETY: leased, here and below; a fresh slot, which nobody reads.
        let slot = unsafe {
            assert!(store.catch_up_if_need_be(&shard).is_none());
            let slot = store.vacant().take(Some(&shard)).expect("memory");
            assert!(shard.push(slot));
            slot
        };
        drop(busy);
        store.events.begin_generation();
        store.events.announce(Event::Tick);
        // SAFETY: as above.
        let excess = unsafe { store.catch_up_if_need_be(&shard) }.expect("the slot");
        assert_eq!((excess.chain.count(), excess.reason), (1, Drops::Retired));
        // SAFETY: from here, and in no magazine that anybody looks at.
        unsafe { store.vacant().give(None, slot) };
    }
}
