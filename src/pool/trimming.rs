//! Trims, ticks and new generations: whoever begins one takes what is in its reach and tells all
//! threads; each of them does its part at its next get (`Store::attend_to`).
//!
//! Owns nothing. What it takes out of a store it hands to the typed layer, which drops it once
//! nothing is locked or claimed.
//!
//! I1: an answer to pressure, and a tick by itself, are part of a get or put, so they only try to
//! lock (`store.rs`, I4).

use core::mem;

use crate::base::sync::Ordering;
use crate::pool::aging::Step;
use crate::pool::claims;
use crate::pool::depot::DepotGuard;
use crate::pool::events::{Event, NO_EPOCH};
use crate::pool::figures::Drops;
use crate::pool::magazine::Chain;
use crate::pool::shard::{Shard, ShardRef};
use crate::pool::store::{Store, lock, try_lock};

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

/// What was in shards.
struct Collected {
    idle: Chain,
    /// Of a generation before the last.
    stale: Chain,
    /// Without a value.
    vacant: Chain,
}

impl Collected {
    fn new() -> Collected {
        Collected {
            idle: Chain::new(),
            stale: Chain::new(),
            vacant: Chain::new(),
        }
    }
}

impl Store {
    /// Begins a trim: tells all threads, and collects what is in reach beyond `keep`.
    ///
    /// # Safety
    /// The caller holds the claim of `shard`, which is one of this store's.
    pub(crate) unsafe fn trim(&self, shard: Option<&Shard>, keep: usize) -> Excess {
        let pressed = false;
        let epoch = self.announce(Event::Trim { keep, pressed });
        // SAFETY: the claim, by the caller.
        let mut collected = unsafe { self.collect(shard, epoch) };
        let mut depot = self.changing.depot.lock();
        self.judge_again(&mut collected, epoch);
        depot.put_chain(collected.idle);
        let cut = depot.cut(keep.min(self.depot_max()));
        collected.stale.append(cut);
        Excess::new(collected.stale, Drops::Trimmed)
    }

    /// Begins a new generation: what is idle is to be dropped, and so is what comes back later.
    ///
    /// # Safety
    /// The caller holds the claim of `shard`, which is one of this store's.
    pub(crate) unsafe fn new_generation(&self, shard: Option<&Shard>) -> Excess {
        let mut depot = self.changing.depot.lock();
        // Before the event: who hears of it notes the new generation (`events.rs`, I1). Both under
        // the lock, until the depot is empty: a shard that has heard finds nothing old there, which
        // would pass for new in it.
        self.next_put_id();
        self.announce(Event::Wipe);
        let cut = depot.cut(0);
        drop(depot);
        // The shards' epochs stay behind: an object that is on its way into this one at the moment,
        // from a recycle that began the generation, is found at the next get.
        // SAFETY: the claim, by the caller.
        let mut collected = unsafe { self.collect(shard, NO_EPOCH) };
        collected.idle.append(collected.stale);
        collected.idle.append(cut);
        Excess::new(collected.idle, Drops::Retired)
    }

    /// Takes everything out of the shards in reach, which have seen `epoch` then, unless that is
    /// `NO_EPOCH`. Slots without a value go home.
    ///
    /// # Safety
    /// The caller holds the claim of `shard`, which is one of this store's.
    unsafe fn collect(&self, shard: Option<&Shard>, epoch: usize) -> Collected {
        let mut collected = Collected::new();
        self.unload_free(&lock(&self.changing.shards), epoch, &mut collected);
        if let Some(shard) = shard {
            // SAFETY: the claim, by the caller.
            unsafe { self.unload_into(shard, epoch, &mut collected) };
        }
        self.send_home(&mut collected);
        collected
    }

    /// Takes everything out of a shard, which has seen `epoch` then, unless it is stale: who has it
    /// is to hear of that, and to look at what comes back from then on.
    ///
    /// # Safety
    /// The caller holds the shard's claim.
    unsafe fn unload_into(&self, shard: &Shard, epoch: usize, collected: &mut Collected) {
        let stale = self.changing.events.is_stale(shard.epoch());
        let into = if stale {
            &mut collected.stale
        } else {
            &mut collected.idle
        };
        // SAFETY: the claim, by the caller.
        unsafe { shard.unload(into, &mut collected.vacant) };
        // Without memory some may stay.
        if !stale && epoch != NO_EPOCH && shard.figures().0 == 0 {
            shard.set_epoch(epoch);
        }
    }

    /// Looks, under the depot's lock, whether a generation began since `epoch`, after the shards
    /// were looked at: what they held is stale, then (`store.rs`, I3).
    fn judge_again(&self, collected: &mut Collected, epoch: usize) {
        if self.changing.events.is_stale(epoch) {
            let idle = mem::replace(&mut collected.idle, Chain::new());
            collected.stale.append(idle);
        }
    }

    /// Gives slots without a value back.
    fn send_home(&self, collected: &mut Collected) {
        let vacant = mem::replace(&mut collected.vacant, Chain::new());
        // SAFETY: they were in shards of ours as vacant.
        unsafe { self.give_chain(vacant) };
    }

    /// Takes everything out of every shard that no thread has.
    fn unload_free(&self, shards: &[ShardRef], epoch: usize, collected: &mut Collected) {
        for free in shards {
            if !free.try_claim() {
                continue;
            }
            // SAFETY: claimed just now, until the release below.
            unsafe { self.unload_into(free, epoch, collected) };
            claims::release(free);
        }
    }

    /// Makes an event known to all threads; its epoch.
    fn announce(&self, event: Event) -> usize {
        let epoch = self.changing.events.announce(event);
        // No seat matches the new id, so every thread's next get comes by the slow path.
        // Release: pairs with `attend_to`, so that whoever sees the new id sees the epoch. Acquire:
        // and those of the events announced before this one.
        let get_id = claims::next_id(Some(self.id()));
        self.get_id.swap(get_id, Ordering::AcqRel);
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
    pub(crate) fn answer_pressure(&self) -> Excess {
        let changing = &self.changing;
        let (seen, now) = (
            changing.pressure.load(Ordering::Relaxed),
            self.pages.pressure(),
        );
        // Relaxed: who wins the exchange trims; nobody waits.
        let order = (Ordering::Relaxed, Ordering::Relaxed);
        let answered = &changing.pressure;
        if answered
            .compare_exchange(seen, now, order.0, order.1)
            .is_err()
        {
            return Excess::none();
        }
        let (keep, pressed) = (0, true);
        let epoch = self.announce(Event::Trim { keep, pressed });
        let mut collected = Collected::new();
        if let Some(shards) = try_lock(&changing.shards) {
            self.unload_free(&shards, epoch, &mut collected);
        }
        self.send_home(&mut collected);
        let mut found = collected.idle;
        found.append(collected.stale);
        match self.depot_for_put() {
            Some(mut depot) => found.append(depot.cut(0)),
            // The next slow path tries again.
            None => answered.store(seen, Ordering::Relaxed),
        }
        Excess::new(found, Drops::Pressed)
    }

    /// Ends an interval. Unless it `waits`, a busy lock means that the interval goes on.
    ///
    /// # Safety
    /// The caller holds the claim of `shard`, which is one of this store's.
    pub(crate) unsafe fn tick(&self, shard: Option<&Shard>, step: Step, waits: bool) -> Excess {
        let event = match step {
            Step::LowWater => Event::Tick,
            Step::Rotate => Event::Rotate,
            Step::None => return Excess::none(),
        };
        let epoch = self.announce(event);
        let mut collected = Collected::new();
        let shards = if waits {
            Some(lock(&self.changing.shards))
        } else {
            try_lock(&self.changing.shards)
        };
        if let Some(shards) = shards {
            self.unload_free(&shards, epoch, &mut collected);
        }
        // Otherwise it follows at the next get, like everybody's.
        if let (Some(shard), Step::Rotate, true) = (shard, step, waits) {
            // SAFETY: the claim, by the caller.
            unsafe { self.unload_into(shard, epoch, &mut collected) };
        }
        self.send_home(&mut collected);
        let depot = if waits {
            Some(self.changing.depot.lock())
        } else {
            self.depot_for_put()
        };
        let Some(mut depot) = depot else {
            collected.stale.append(collected.idle);
            return Excess::new(collected.stale, Drops::Aged);
        };
        self.judge_again(&mut collected, epoch);
        let (found, mut old) = (collected.idle, collected.stale);
        let floor = self.bounds().idle_min;
        // What is found in the shards was needed more lately than what lies in the depot.
        if step == Step::Rotate {
            depot.put_chain(found);
            old.append(depot.rotate(floor));
        } else {
            old.append(depot.tick(floor.saturating_sub(found.count())));
            depot.put_chain(found);
        }
        old.append(depot.cut(self.depot_max()));
        Excess::new(old, Drops::Aged)
    }

    /// Gives empty slabs back to the pages, and sees whether what was given back before has waited
    /// for long enough: the last ticks after a burst release too little for anybody else to look.
    pub(crate) fn trim_slots(&self) {
        lock(&self.changing.slots).trim();
        self.pages.purge_if_due();
    }

    /// Lets a shard catch up with the events since its last slow path, and the depot with the
    /// shards there are. Returns what is to be dropped.
    ///
    /// # Safety
    /// The caller holds the shard's claim.
    pub(super) unsafe fn catch_up(&self, shard: &Shard) -> Excess {
        let (epoch, seen) = (self.changing.events.epoch(), shard.epoch());
        if seen == epoch {
            return Excess::none();
        }
        // SAFETY: the claim, by the caller, here and below.
        let wipe = || unsafe { self.wipe(shard, epoch) };
        if self.changing.events.is_stale(seen) {
            return wipe();
        }
        let Some(mut depot) = self.changing.depot.try_lock() else {
            // The next slow path tries again.
            return Excess::none();
        };
        // Under the lock (`store.rs`, I3).
        let event = self.changing.events.missed(seen);
        if event == Some(Event::Wipe) {
            drop(depot);
            return wipe();
        }
        let (mut held, mut vacant) = (Chain::new(), Chain::new());
        // SAFETY: the claim, by the caller.
        unsafe { self.unload_for(event, shard, &mut held, &mut vacant) };
        let excess = self.take_in(&mut depot, event, held);
        shard.set_epoch(epoch);
        drop(depot);
        // SAFETY: they were in a shard of ours as vacant.
        unsafe { self.give_chain(vacant) };
        excess
    }

    /// Takes out of a shard what is older than a generation; it has seen `epoch` then.
    ///
    /// # Safety
    /// The caller holds the shard's claim.
    unsafe fn wipe(&self, shard: &Shard, epoch: usize) -> Excess {
        let mut collected = Collected::new();
        // SAFETY: the claim, by the caller.
        unsafe { shard.unload(&mut collected.stale, &mut collected.vacant) };
        // Without memory some may stay; then it stays stale (`is_stale`), too.
        if shard.figures().0 == 0 {
            shard.set_epoch(epoch);
        }
        self.send_home(&mut collected);
        Excess::new(collected.stale, Drops::Retired)
    }

    /// Takes out of a shard what an event takes.
    ///
    /// # Safety
    /// The caller holds the shard's claim.
    unsafe fn unload_for(
        &self,
        event: Option<Event>,
        shard: &Shard,
        held: &mut Chain,
        vacant: &mut Chain,
    ) {
        match event {
            // The colder half: what it needs comes back in one exchange.
            Some(Event::Tick) => {
                // SAFETY: the claim, by the caller, here and below.
                if let Some(previous) = unsafe { shard.take_previous() } {
                    held.push_magazine(previous);
                }
            }
            // SAFETY: as above.
            Some(_) => unsafe { shard.unload(held, vacant) },
            None => {}
        }
    }

    /// Takes what a shard held into the depot; what is too much.
    fn take_in(&self, depot: &mut DepotGuard<'_>, event: Option<Event>, mut held: Chain) -> Excess {
        let depot_max = self.depot_max();
        let (keep, reason) = match event {
            // The last trim's bound holds for what this thread held at the time, not for what the
            // depot has collected since.
            Some(Event::Trim {
                keep,
                pressed: false,
            }) => (keep.min(depot_max), Drops::Trimmed),
            Some(Event::Trim {
                keep,
                pressed: true,
            }) => (keep.min(depot_max), Drops::Pressed),
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
    use crate::pool::shared::Pool;

    #[test]
    fn a_shard_whose_first_visits_met_a_busy_depot_hears_of_a_generation_too() {
        let pool: Pool<Vec<u8>> = Pool::new(Vec::new);
        let core = pool.try_core().expect("memory");
        let busy = core.store.changing.depot.lock();
        drop(pool.get());
        drop(busy);
        std::thread::scope(|scope| scope.spawn(|| pool.new_generation()).join()).expect("no panic");
        drop(pool.get());
        let stats = pool.stats();
        assert_eq!((stats.hits, stats.creates), (0, 2), "{stats}");
    }
}
