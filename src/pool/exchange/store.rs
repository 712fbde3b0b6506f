//! The erased core of a pool: shards, depot, vacant slots, bounds and counters.
//!
//! Owns every idle slot pointer and the memory of all slots. Never runs code of the user: it hands
//! out chains of slots that `life/` drops once nothing is locked or borrowed.
//!
//! I1: a slot is live (a guard has it), idle (in exactly one magazine, or the warmest of a shard),
//! or vacant: without a value, in a shard's magazine for such or with the slot source.
//! I2: idle slots never exceed `idle_max`: each shard reserves `shard_slots` of it, the depot takes
//! what is left. Only a shard's first lease and a trim may find the depot above its part, and cut.
//! I3: what lies in shards and depot may be of an older generation, whatever was emptied when that
//! ended. A shard is told from when its objects are at least, and so are magazines on their way
//! (`shard.rs`, I5); what is handed out one by one is looked at in `life/`.
//! I4: locks are leaves: nothing is locked while another one is, but for the magazines' room, which
//! nobody waits for (`blocks.rs`). `get` and `put` only try to lock. The slot source's lock is one
//! exception that waits; it is held for the time of a page of slots, or of a walk over its slabs
//! after a trim. A trim that the judge begins is the other.
//!
//! Trims are in `trimming.rs`, sums in `sums.rs`.

use core::alloc::Layout;
use core::ptr::NonNull;

use std::sync::Mutex;
use std::time::Duration;

use crate::base::error::AllocError;
use crate::base::lock::{intact, try_lock};
use crate::base::sync::{AtomicUsize, Ordering};
use crate::pages::Pages;
use crate::pool::exchange::bounds::{Bounds, shard_slots};
use crate::pool::exchange::events::Events;
use crate::pool::exchange::live::Live;
use crate::pool::exchange::releases::{release, releases};
use crate::pool::exchange::route::{Route, RouteWord};
use crate::pool::exchange::seats;
use crate::pool::stock::counters::PoolCounters;
use crate::pool::stock::depot::{DepotGuard, SharedDepot};
use crate::pool::stock::drops::Drops;
use crate::pool::stock::id::next_id;
use crate::pool::stock::magazine::Chain;
use crate::pool::stock::meters::Meters;
use crate::pool::stock::shard::Shard;
use crate::pool::stock::shard_ref::ShardRef;
use crate::pool::stock::vacant::VacantSlots;

/// Tries of a put at the depot's lock before it drops the object instead. The lock is held for
/// about 20 ns; ten tries with a pause between outlast a holder that is not preempted.
const PUT_TRIES: usize = 10;

/// What changes, away from the line that every operation reads.
#[repr(align(128))]
pub(super) struct Changing {
    pub(super) depot: SharedDepot,
    vacant: VacantSlots,
    pub(super) shards: Mutex<Vec<ShardRef>>,
    /// Shards there are; changes under the lock of `shards`.
    shard_count: AtomicUsize,
    /// The pages' pressure that was answered last.
    pub(super) pressure: AtomicUsize,
    /// `releases()` when a lease was last refused, and when free shards were last found empty.
    leased_out_at: AtomicUsize,
    scavenged_at: AtomicUsize,
    /// Guards of a pool with `live_max`.
    live: Live,
    counters: PoolCounters,
    meters: Meters,
}

/// See the module. The first line is read by every get and changed by events only.
#[repr(C, align(128))]
pub(crate) struct Store {
    /// What the shards are to hear of.
    pub(crate) events: Events,
    /// The id under which threads keep their leases.
    pub(crate) id: usize,
    /// Where threads keep their seats.
    pub(crate) place: usize,
    /// Whether every get and put takes the slow path, which counts them or looks at the object.
    pub(crate) careful: bool,
    pub(crate) bounds: Bounds,
    pub(crate) slot_bytes: usize,
    /// Where the slots come from.
    pub(super) pages: &'static Pages,
    pub(crate) route: RouteWord,
    pub(super) changing: Changing,
}

impl Store {
    /// Of slots with this layout. When it `looks`, no get or put takes the short way.
    pub(crate) fn new(
        pages: Option<&'static Pages>,
        slot: Layout,
        bounds: Bounds,
        looks: bool,
    ) -> Store {
        let id = next_id();
        let pages = pages.unwrap_or_else(Pages::global);
        Store {
            events: Events::new(id),
            id,
            place: seats::next_place(),
            careful: looks || bounds.counts_guards(),
            bounds,
            slot_bytes: slot.size(),
            pages,
            route: RouteWord::default(),
            changing: Changing {
                depot: SharedDepot::default(),
                vacant: VacantSlots::new(pages, slot),
                shards: Mutex::new(Vec::new()),
                shard_count: AtomicUsize::new(0),
                pressure: AtomicUsize::new(pages.pressure()),
                leased_out_at: AtomicUsize::new(usize::MAX),
                scavenged_at: AtomicUsize::new(usize::MAX),
                live: Live::default(),
                counters: PoolCounters::default(),
                meters: Meters::default(),
            },
        }
    }

    /// Whether gets and puts may take the short way, each.
    pub(crate) fn short_ways(&self) -> (bool, bool) {
        let route = self.route.get();
        let (gets, puts) = (route == Route::Pool, route != Route::Bypass);
        (gets && !self.careful, puts && !self.careful)
    }

    /// What is counted in no shard.
    pub(crate) fn counters(&self) -> &PoolCounters {
        &self.changing.counters
    }

    /// What the user's calls take.
    pub(crate) fn meters(&self) -> &Meters {
        &self.changing.meters
    }

    /// Slots without a value.
    pub(crate) fn vacant(&self) -> &VacantSlots {
        &self.changing.vacant
    }

    /// Counts a guard, after waiting for another's end for so long; `false` when `live_max` are
    /// out.
    pub(crate) fn try_live(&self, patience: Option<Duration>) -> bool {
        let Bounds { live_max, .. } = self.bounds;
        let live = &self.changing.live;
        let began = !self.bounds.counts_guards()
            || live.begin(live_max)
            || patience.is_some_and(|timeout| live.wait(live_max, timeout));
        if !began {
            self.counters().exhausted.add();
        }
        began
    }

    /// Counts a guard's end.
    pub(crate) fn end_live(&self) {
        if self.bounds.counts_guards() {
            self.changing.live.end();
        }
    }

    /// Slots the depot may hold (I2).
    pub(crate) fn depot_max(&self) -> usize {
        let shards = self.changing.shard_count.load(Ordering::Relaxed);
        let reserved = shards * shard_slots(self.bounds.magazine_slots);
        self.bounds.idle_max.saturating_sub(reserved)
    }

    /// Leases a shard for the calling thread: a free one, or a new one within the bounds.
    pub(crate) fn lease_shard(&self) -> Option<ShardRef> {
        let changing = &self.changing;
        let seen = releases();
        if changing.leased_out_at.load(Ordering::Relaxed) == seen {
            return None;
        }
        let mut shards = try_lock(&changing.shards)?;
        if let Some(free) = shards.iter().find(|shard| shard.try_lease()) {
            return Some(free.clone());
        }
        if shards.len() >= self.bounds.shards_max {
            changing.leased_out_at.store(seen, Ordering::Relaxed);
            return None;
        }
        shards.try_reserve(1).ok()?;
        let shard = ShardRef::try_new(self.bounds.magazine_slots)?;
        let _free = shard.try_lease();
        shards.push(shard.clone());
        changing.shard_count.store(shards.len(), Ordering::Relaxed);
        Some(shard)
    }

    /// Whether a shard has seen the last event, and holds nothing older than the generation.
    pub(crate) fn is_up_to_date(&self, shard: &Shard) -> bool {
        // The event before the generation (`events.rs`, I1).
        shard.seen() == self.events.last_seen() && shard.generation() == self.events.generation()
    }

    /// An idle slot, wherever there is one within reach: the calling thread's shard, the depot,
    /// then a shard whose thread is gone.
    ///
    /// # Safety
    /// The caller holds the lease of `shard`, which is one of this store's.
    pub(crate) unsafe fn take_idle(&self, shard: Option<&Shard>) -> Option<NonNull<u8>> {
        if let Some(shard) = shard {
            // SAFETY: the lease, by the caller.
            if let Some(slot) = unsafe { shard.pop_either() } {
                return Some(slot);
            }
        }
        if self.changing.depot.idle() == 0 {
            return self.scavenge(shard);
        }
        // One try: an object more is better than a wait.
        let Some(mut depot) = self.changing.depot.lock_or_try(false) else {
            self.counters().busy.add();
            return None;
        };
        let Some(shard) = shard else {
            let slot = depot.take();
            drop(depot);
            return slot.or_else(|| self.scavenge(None));
        };
        let Some(magazine) = depot.take_magazine(shard.generation()) else {
            let slot = depot.take();
            drop(depot);
            return slot.or_else(|| self.scavenge(Some(shard)));
        };
        debug_assert!(magazine.len() <= shard.capacity());
        // SAFETY: the lease, by the caller. A magazine is filled by shards up to their capacity,
        // which is the same in all of a store, or one by one up to that of the depot.
        unsafe {
            let empty = shard.exchange(magazine);
            if empty.len() == 0 {
                depot.put_spare(empty);
            } else {
                depot.put_magazine(empty);
            }
            shard.pop()
        }
    }

    /// Looks for slots in shards that nobody has leased.
    fn scavenge(&self, mine: Option<&Shard>) -> Option<NonNull<u8>> {
        let seen = releases();
        if self.changing.scavenged_at.load(Ordering::Relaxed) == seen {
            return None;
        }
        let shards = try_lock(&self.changing.shards)?;
        for shard in shards.iter() {
            let is_old = || mine.is_some_and(|mine| shard.generation() < mine.generation());
            if shard.idle() == 0 || is_old() || !shard.try_lease() {
                continue;
            }
            // SAFETY: both leases are held, this one until the release below.
            let slot = unsafe {
                match mine {
                    Some(mine) => {
                        mine.trade(shard);
                        mine.pop_either()
                    }
                    None => shard.pop_either(),
                }
            };
            release(shard);
            if slot.is_some() {
                return slot;
            }
        }
        self.changing.scavenged_at.store(seen, Ordering::Relaxed);
        None
    }

    /// A slot of uninitialised memory. Before it is refused, what shards without a holder have of
    /// such went home.
    ///
    /// # Safety
    /// The caller holds the lease of `shard`, which is one of this store's.
    pub(crate) unsafe fn take_vacant(
        &self,
        shard: Option<&Shard>,
    ) -> Result<NonNull<u8>, AllocError> {
        // SAFETY: as ours, here and below.
        unsafe { self.vacant().take(shard) }.or_else(|_| {
            self.gather_vacant();
            // SAFETY: as above.
            unsafe { self.vacant().take(shard) }
        })
    }

    /// Brings the vacant slots of shards without a holder home.
    #[cold]
    fn gather_vacant(&self) {
        let Some(shards) = try_lock(&self.changing.shards) else {
            return;
        };
        let mut vacant = Chain::new();
        for free in shards.iter().filter(|shard| shard.try_lease()) {
            // SAFETY: leased until the release below.
            if let Some(magazine) = unsafe { free.replace_vacant(None) } {
                let _empty = vacant.push_magazine(magazine);
            }
            release(free);
        }
        drop(shards);
        // SAFETY: they were in shards of ours as vacant.
        unsafe { self.vacant().give_chain(vacant) };
    }

    /// Keeps a slot with a value of `generation`, which is the present one, or says why not.
    ///
    /// # Safety
    /// The caller holds the lease of `shard`, which is one of this store's; the slot is this
    /// store's, holds a value and is in no magazine.
    pub(crate) unsafe fn put_idle(
        &self,
        shard: Option<&Shard>,
        slot: NonNull<u8>,
        generation: usize,
    ) -> Result<(), Drops> {
        if let Some(shard) = shard {
            // SAFETY: the lease, by the caller.
            if unsafe { shard.push_either(slot) } {
                return Ok(());
            }
            if self.changing.depot.idle() + shard.capacity() > self.depot_max() {
                return Err(Drops::Full);
            }
        }
        let mut depot = self.depot_for_put().ok_or(Drops::Contended)?;
        let Some(shard) = shard else {
            return self.put_one(&mut depot, slot, generation);
        };
        if depot.count() + shard.capacity() > self.depot_max() {
            return Err(Drops::Full);
        }
        let empty = depot.take_spare().ok_or(Drops::Full)?;
        // SAFETY: the lease, by the caller; `previous` is taken out before `load_empty`.
        unsafe {
            if let Some(full) = shard.take_previous() {
                depot.put_magazine(full);
            }
            shard.load_empty(empty);
            if shard.push(slot) {
                Ok(())
            } else {
                Err(Drops::Full)
            }
        }
    }

    pub(crate) fn depot_for_put(&self) -> Option<DepotGuard<'_>> {
        for _ in 0..PUT_TRIES {
            if let Some(depot) = self.changing.depot.lock_or_try(false) {
                return Some(depot);
            }
            core::hint::spin_loop();
        }
        None
    }

    /// As `put_idle`, in the depot, for `prefill`: waits for the lock.
    ///
    /// # Safety
    /// The slot is this store's, holds a value and is in no magazine.
    pub(crate) unsafe fn put_depot(
        &self,
        slot: NonNull<u8>,
        generation: usize,
    ) -> Result<(), Drops> {
        self.put_one(&mut self.changing.depot.lock(), slot, generation)
    }

    fn put_one(
        &self,
        depot: &mut DepotGuard<'_>,
        slot: NonNull<u8>,
        generation: usize,
    ) -> Result<(), Drops> {
        let kept = depot.count() < self.depot_max()
            && depot.put(slot, generation, self.bounds.magazine_slots);
        if kept { Ok(()) } else { Err(Drops::Full) }
    }

    /// Takes every idle slot out and closes the shards: the pool is about to go.
    pub(crate) fn close(&mut self) -> Chain {
        let changing = &mut self.changing;
        let mut all = Chain::new();
        for shard in intact(changing.shards.get_mut()).drain(..) {
            // SAFETY: nobody uses a pool that is being dropped, and a thread that leaves touches
            // the lease state alone, so access is exclusive.
            unsafe { shard.close(&mut all) };
        }
        all.append(changing.depot.lock().cut(0));
        all
    }
}
