//! The erased core of a pool: shards, depot, slots, bounds and figures.
//!
//! Owns every idle slot pointer and the memory of all slots. Never runs code of the user: it hands
//! out chains of slots that the typed layer drops once nothing is locked or borrowed.
//!
//! I1: a slot is live (a guard has it), idle (in exactly one magazine), or with the slot source.
//! I2: idle slots never exceed `idle_max`: each shard reserves `shard_slots` of it, the depot takes
//! what is left. Only a shard's first lease and a trim may find the depot above its part, and cut.
//! I3: what lies in shards and depot may be of an older generation, whatever was emptied when that
//! ended. A shard is told from when its objects are at least, and so are magazines on their way
//! (`shard.rs`, I5); what is handed out one by one is looked at by the typed layer.
//! I4: locks are leaves: nothing is locked while another one is, but for the magazines' room, which
//! nobody waits for (`blocks.rs`). `get` and `put` only try to lock. The slot source's lock is one
//! exception that waits; it is held for the time of a page of slots, or of a walk over its slabs
//! after a trim. A trim that the judge begins is the other.
//!
//! Trims are in `trimming.rs`.

use core::alloc::Layout;
use core::ptr::NonNull;

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pages::Pages;
use crate::pool::exchange::events::Events;
use crate::pool::exchange::figures::{Drops, Figures};
use crate::pool::exchange::leases;
use crate::pool::exchange::live::Live;
use crate::pool::stock::depot::{DepotGuard, SharedDepot};
use crate::pool::stock::id::next_id;
use crate::pool::stock::magazine::Chain;
use crate::pool::stock::shard::{Shard, ShardRef};
use crate::pool::stock::vacant::batch_slots;
use crate::pool::watch::cost::Meters;
use crate::pool::watch::discipline::{Choices, Discipline};
use crate::pool::watch::mode::{Control, Route};
use crate::slab::slots::SlotSource;

/// Tries of a put at the depot's lock before it drops the object instead. The lock is held for
/// about 20 ns; ten tries with a pause between outlast a holder that is not preempted.
const PUT_TRIES: usize = 10;

/// The bounds of a pool, fixed when it is built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Ticks keep this many idle objects.
    pub(crate) idle_min: usize,
    /// Idle objects at most (I2).
    pub(crate) idle_max: usize,
    /// Guards at a time; `usize::MAX` for no bound.
    pub(crate) live_max: usize,
    /// Slots of one magazine.
    pub(crate) magazine_slots: usize,
    /// Shards at most.
    pub(crate) shards_max: usize,
}

/// What changes, away from the line that every operation reads.
#[repr(align(128))]
pub(crate) struct Changing {
    pub(crate) depot: SharedDepot,
    pub(crate) slots: Mutex<SlotSource>,
    pub(crate) shards: Mutex<Vec<ShardRef>>,
    /// Shards there are; changes under the lock of `shards`.
    shard_count: AtomicUsize,
    /// The pages' pressure that was answered last.
    pub(crate) pressure: AtomicUsize,
    /// `leases::releases()` when a lease last failed, and when free shards were last found empty.
    leased_out_at: AtomicUsize,
    scavenged_at: AtomicUsize,
    /// Guards of a pool with `live_max`.
    live: Live,
    pub(crate) figures: Figures,
}

/// See the module. The first line is read by every get and changed by events only.
#[repr(C, align(128))]
pub(crate) struct Store {
    /// What the shards are to hear of.
    pub(crate) events: Events,
    /// The id under which threads keep their leases.
    id: usize,
    /// Where threads keep their seats.
    place: usize,
    /// Whether every get and put takes the slow path, which counts them or looks at the object.
    careful: bool,
    pub(crate) bounds: Bounds,
    pub(crate) slot_bytes: usize,
    /// See `vacant.rs`.
    pub(crate) batch_slots: usize,
    /// Where the slots come from.
    pub(crate) pages: &'static Pages,
    pub(crate) discipline: Discipline,
    pub(crate) changing: Changing,
}

/// Slots a shard holds at most: two magazines and the warmest slot.
pub(crate) const fn shard_slots(magazine_slots: usize) -> usize {
    2 * magazine_slots + 1
}

/// A lock that a panic cannot spoil: no code of the user runs under it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl Store {
    pub(crate) fn new(
        pages: Option<&'static Pages>,
        slot: Layout,
        bounds: Bounds,
        choices: Choices,
    ) -> Store {
        let id = next_id();
        let pages = pages.unwrap_or_else(Pages::global);
        let discipline = Discipline::new(choices);
        let looks = choices.validates_gets || discipline.leaks.is_for_every();
        Store {
            events: Events::new(id),
            id,
            place: leases::next_place(),
            careful: looks || bounds.live_max != usize::MAX,
            discipline,
            bounds,
            slot_bytes: slot.size(),
            batch_slots: batch_slots(slot.size()),
            pages,
            changing: Changing {
                depot: SharedDepot::new(),
                slots: Mutex::new(SlotSource::new(Some(pages), slot)),
                shards: Mutex::new(Vec::new()),
                shard_count: AtomicUsize::new(0),
                pressure: AtomicUsize::new(pages.pressure()),
                leased_out_at: AtomicUsize::new(usize::MAX),
                scavenged_at: AtomicUsize::new(usize::MAX),
                live: Live::new(),
                figures: Figures::new(),
            },
        }
    }

    /// The id for leases.
    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// The place for a thread's seat.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Whether gets and puts may take the short way, each.
    pub(crate) fn short_ways(&self) -> (bool, bool) {
        let route = self.control().route();
        let (gets, puts) = (route == Route::Pool, route != Route::Bypass);
        (gets && !self.careful, puts && !self.careful)
    }

    /// Who decides whether the pool pools.
    pub(crate) fn control(&self) -> &Control {
        &self.discipline.control
    }

    /// What the user's calls take.
    pub(crate) fn meters(&self) -> &Meters {
        &self.discipline.control.meters
    }

    /// Bytes of a slot.
    pub(crate) fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }

    /// Whether gets and puts always take the slow path.
    pub(crate) fn is_careful(&self) -> bool {
        self.careful
    }

    /// Whether guards are counted.
    pub(crate) fn counts(&self) -> bool {
        self.bounds.live_max != usize::MAX
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Says what `owner_of` answers for this store's slots. Before the first slot is taken.
    pub(crate) fn set_owner(&self, owner: *const ()) {
        lock(&self.changing.slots).set_owner(owner);
    }

    /// Counts a guard; `false` when `live_max` are out.
    pub(crate) fn try_live(&self) -> bool {
        if !self.counts() {
            return true;
        }
        let began = self.changing.live.begin(self.bounds.live_max);
        if !began {
            self.on_exhausted();
        }
        began
    }

    /// As `try_live`, after waiting for a guard's end.
    pub(crate) fn try_live_within(&self, timeout: Duration) -> bool {
        let Bounds { live_max, .. } = self.bounds;
        let began = !self.counts() || self.changing.live.begin_within(live_max, timeout);
        if !began {
            self.on_exhausted();
        }
        began
    }

    /// Counts a guard's end.
    pub(crate) fn end_live(&self) {
        if self.counts() {
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
        let seen = leases::releases();
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
        let Some(mut depot) = self.changing.depot.try_lock() else {
            self.on_busy();
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
        let seen = leases::releases();
        if self.changing.scavenged_at.load(Ordering::Relaxed) == seen {
            return None;
        }
        let shards = try_lock(&self.changing.shards)?;
        for shard in shards.iter() {
            let is_old = || mine.is_some_and(|mine| shard.generation() < mine.generation());
            if shard.figures().0 == 0 || is_old() || !shard.try_lease() {
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
            leases::release(shard);
            if slot.is_some() {
                return slot;
            }
        }
        self.changing.scavenged_at.store(seen, Ordering::Relaxed);
        None
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
        // SAFETY: the lease, by the caller; `previous` is taken out before the rotation.
        unsafe {
            if let Some(full) = shard.take_previous() {
                depot.put_magazine(full);
            }
            shard.rotate(empty);
            if shard.push(slot) {
                Ok(())
            } else {
                Err(Drops::Full)
            }
        }
    }

    pub(crate) fn depot_for_put(&self) -> Option<DepotGuard<'_>> {
        for _ in 0..PUT_TRIES {
            if let Some(depot) = self.changing.depot.try_lock() {
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
        let shards = changing
            .shards
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for shard in shards.drain(..) {
            // SAFETY: nobody uses a pool that is being dropped, and a thread that leaves touches
            // the lease state alone, so access is exclusive.
            unsafe { shard.close(&mut all) };
        }
        all.append(changing.depot.lock().cut(0));
        all
    }

    /// Idle slots now.
    pub(crate) fn idle(&self) -> usize {
        let depot = self.changing.depot.lock().count();
        let shards = lock(&self.changing.shards);
        depot + shards.iter().map(|shard| shard.figures().0).sum::<usize>()
    }
}
