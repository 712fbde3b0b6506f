//! The erased core of a pool: shards, depot, slots, bounds and figures.
//!
//! Owns every idle slot pointer and the memory of all slots. Never runs code of the user: it hands
//! out chains of slots that the typed layer drops once nothing is locked or borrowed.
//!
//! I1: a slot is live (a guard has it), idle (in exactly one magazine), or with the slot source.
//! I2: idle slots never exceed `idle_max`: each shard reserves `shard_slots` of it, the depot takes
//! what is left. Only a shard's first claim and a trim may find the depot above its part, and cut.
//! I3: the depot holds no object of before a generation: who puts one there looks, under its lock,
//! whether one began since the object was judged, as who begins one empties it under that lock.
//! I4: locks are leaves: nothing is locked while another one is. `get` and `put` only try to lock.
//! The slot source's lock is the exception that waits; it is held for the time of one slot, or of
//! a walk over its slabs after a trim.
//!
//! Trims are in `trimming.rs`.

use core::alloc::Layout;
use core::ptr::NonNull;

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pages::Pages;
use crate::pool::claims::{self, NO_ID};
use crate::pool::cost::Meters;
use crate::pool::depot::{DepotGuard, SharedDepot};
use crate::pool::discipline::{Choices, Discipline};
use crate::pool::events::{Events, NO_EPOCH};
use crate::pool::figures::{Drops, Figures};
use crate::pool::live::Live;
use crate::pool::magazine::Chain;
use crate::pool::mode::{Control, Route};
use crate::pool::roster::Roster;
use crate::pool::shard::{Shard, ShardRef};
use crate::pool::trimming::Excess;
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
pub(super) struct Changing {
    pub(super) depot: SharedDepot,
    pub(super) slots: Mutex<SlotSource>,
    pub(super) shards: Mutex<Vec<ShardRef>>,
    /// Shards there are; changes under the lock of `shards`.
    shard_count: AtomicUsize,
    /// What the shards are to hear of.
    pub(super) events: Events,
    /// The pages' pressure that was answered last.
    pub(super) pressure: AtomicUsize,
    /// `claims::releases()` when a claim last failed, and when free shards were last found empty.
    claimed_out_at: AtomicUsize,
    scavenged_at: AtomicUsize,
    /// Guards of a pool with `live_max`.
    live: Live,
    pub(super) figures: Figures,
    roster: Roster,
}

/// When an object was built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth {
    pub(crate) generation: usize,
    pub(crate) put_id: usize,
}

/// See the module. The first line is read by every slow path and changed by trims only.
#[repr(C, align(128))]
pub(crate) struct Store {
    /// The id under which threads keep their claims.
    id: usize,
    /// The id under which they keep their seats for puts. Changes with each generation.
    put_id: AtomicUsize,
    /// The id under which they keep their seats for gets. Changes at each event.
    pub(super) get_id: AtomicUsize,
    /// Generations begun.
    generation: AtomicUsize,
    /// The id for puts of objects without a note, or `NO_ID` while those have to be looked at.
    hot_put_id: AtomicUsize,
    /// Whether every get and put takes the slow path, which counts them or looks at the object.
    careful: bool,
    /// Whether objects have notes.
    noted: bool,
    pub(super) bounds: Bounds,
    pub(super) slot_bytes: usize,
    /// Where the slots come from.
    pub(super) pages: &'static Pages,
    pub(crate) discipline: Discipline,
    pub(super) changing: Changing,
}

/// Slots a shard holds at most: two magazines and the warmest slot.
pub(crate) const fn shard_slots(magazine_slots: usize) -> usize {
    2 * magazine_slots + 1
}

/// A lock that a panic cannot spoil: no code of the user runs under it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
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
        noted: bool,
        bounds: Bounds,
        choices: Choices,
    ) -> Store {
        let id = claims::next_id(None);
        let pages = pages.unwrap_or_else(Pages::global);
        let discipline = Discipline::new(choices);
        let looks = choices.validates_gets || discipline.leaks.is_for_every();
        let store = Store {
            id,
            put_id: AtomicUsize::new(id),
            generation: AtomicUsize::new(0),
            hot_put_id: AtomicUsize::new(NO_ID),
            noted,
            careful: looks || bounds.live_max != usize::MAX,
            discipline,
            get_id: AtomicUsize::new(id),
            bounds,
            slot_bytes: slot.size(),
            pages,
            changing: Changing {
                depot: SharedDepot::new(),
                slots: Mutex::new(SlotSource::new(Some(pages), slot)),
                shards: Mutex::new(Vec::new()),
                shard_count: AtomicUsize::new(0),
                events: Events::new(),
                pressure: AtomicUsize::new(pages.pressure()),
                claimed_out_at: AtomicUsize::new(usize::MAX),
                scavenged_at: AtomicUsize::new(usize::MAX),
                live: Live::new(),
                figures: Figures::new(),
                roster: Roster::default(),
            },
        };
        store.refresh_hot();
        store
    }

    /// The id for claims.
    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// The id for puts of the present generation.
    #[inline(always)]
    pub(crate) fn put_id(&self) -> usize {
        // Relaxed: who must see a new one hears of it by an event (`events.rs`, I1).
        self.put_id.load(Ordering::Relaxed)
    }

    /// What an object that is built now is noted by.
    pub(crate) fn birth(&self) -> Birth {
        // Acquire: pairs with `next_put_id`. Who sees a generation sees its id, or a later one; the
        // other way round an old object could pass for a new one.
        let generation = self.generation.load(Ordering::Acquire);
        let put_id = self.put_id();
        Birth { generation, put_id }
    }

    /// Begins a generation: objects noted from now on are of it.
    pub(super) fn next_put_id(&self) {
        let next = claims::next_id(Some(self.id));
        self.put_id.store(next, Ordering::Relaxed);
        // Release: pairs with `birth`.
        self.generation.fetch_add(1, Ordering::Release);
        self.refresh_hot();
    }

    /// The id for puts of objects without a note.
    #[inline(always)]
    pub(crate) fn hot_put_id(&self) -> usize {
        self.hot_put_id.load(Ordering::Relaxed)
    }

    /// Sets that anew, after something that it hangs on changed.
    pub(crate) fn refresh_hot(&self) {
        let birth = self.birth();
        let pools = self.control().route() != Route::Bypass;
        let hot = pools && !self.careful && birth.generation == 0;
        let id = if hot { birth.put_id } else { NO_ID };
        self.hot_put_id.store(id, Ordering::Relaxed);
    }

    /// Notes the birth of an object without a note.
    pub(crate) fn enrol(&self, address: usize, birth: Birth) {
        self.changing.roster.enrol(address, birth.generation);
    }

    /// Whether an object without a note is of the present generation.
    pub(crate) fn is_enrolled(&self, address: usize, birth: Birth) -> bool {
        self.changing.roster.has(address, birth.generation)
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
    #[inline(always)]
    pub(crate) fn is_careful(&self) -> bool {
        self.careful
    }

    /// The id for gets.
    pub(crate) fn get_id(&self) -> usize {
        // Relaxed: a stale id costs a slow path, or delays a trim's effect by one operation.
        self.get_id.load(Ordering::Relaxed)
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
        self.changing.live.begin(self.bounds.live_max)
    }

    /// As `try_live`, after waiting for a guard's end.
    pub(crate) fn try_live_within(&self, timeout: Duration) -> bool {
        let Bounds { live_max, .. } = self.bounds;
        !self.counts() || self.changing.live.begin_within(live_max, timeout)
    }

    /// Counts a guard's end.
    pub(crate) fn end_live(&self) {
        if self.counts() {
            self.changing.live.end();
        }
    }

    /// Slots the depot may hold (I2).
    pub(super) fn depot_max(&self) -> usize {
        let shards = self.changing.shard_count.load(Ordering::Relaxed);
        let reserved = shards * shard_slots(self.bounds.magazine_slots);
        self.bounds.idle_max.saturating_sub(reserved)
    }

    /// Claims a shard for the calling thread: a free one, or a new one within the bounds.
    pub(crate) fn claim_shard(&self) -> Option<ShardRef> {
        let changing = &self.changing;
        let seen = claims::releases();
        if changing.claimed_out_at.load(Ordering::Relaxed) == seen {
            return None;
        }
        let mut shards = try_lock(&changing.shards)?;
        if let Some(free) = shards.iter().find(|shard| shard.try_claim()) {
            return Some(free.clone());
        }
        if shards.len() >= self.bounds.shards_max {
            changing.claimed_out_at.store(seen, Ordering::Relaxed);
            return None;
        }
        shards.try_reserve(1).ok()?;
        let shard = ShardRef::try_new(self.bounds.magazine_slots)?;
        let _free = shard.try_claim();
        shards.push(shard.clone());
        changing.shard_count.store(shards.len(), Ordering::Relaxed);
        Some(shard)
    }

    /// The calling thread's shard, after it caught up with the events since its last visit, and
    /// what is to be dropped for that.
    pub(crate) fn attend(&self) -> (Option<&Shard>, Excess) {
        if let Some(shard) = claims::seated(self) {
            return (Some(shard), Excess::none());
        }
        self.attend_at(claims::shard_of(self))
    }

    /// As `attend`, for who only looks in: without claiming a shard, which it would leave full.
    pub(crate) fn look_in(&self) -> (Option<&Shard>, Excess) {
        self.attend_at(claims::claimed_shard(self))
    }

    fn attend_at<'s>(&'s self, shard: Option<&'s Shard>) -> (Option<&'s Shard>, Excess) {
        let Some(shard) = shard else {
            return (None, Excess::none());
        };
        // SAFETY: both ways answer with a claimed shard of this store.
        let (get_id, excess) = unsafe { self.attend_to(shard) };
        if let Some(get_id) = get_id {
            // SAFETY: as above; `attend_to` saw to the events.
            unsafe { claims::seat(self, get_id, shard) };
        } else {
            // It may have heard of a generation, of which an older seat knows nothing.
            claims::unseat(shard);
        }
        (self.usable(shard), excess)
    }

    /// The shard, unless what it holds must not be handed out, or it is new and has not seen any
    /// event yet, so that it could not tell which ones it missed.
    pub(crate) fn usable<'s>(&self, shard: &'s Shard) -> Option<&'s Shard> {
        let epoch = shard.epoch();
        let is_usable = epoch != NO_EPOCH && !self.changing.events.is_stale(epoch);
        is_usable.then_some(shard)
    }

    /// Lets a shard catch up. Returns the id for gets it is up to date with (unless the depot was
    /// busy), and what is to be dropped.
    ///
    /// # Safety
    /// The caller holds the claim of `shard`, which is one of this store's.
    pub(crate) unsafe fn attend_to(&self, shard: &Shard) -> (Option<usize>, Excess) {
        // Acquire: pairs with `announce`. Read before the epoch, so an id never hides an event.
        let get_id = self.get_id.load(Ordering::Acquire);
        // SAFETY: the claim, by the caller.
        let excess = unsafe { self.catch_up(shard) };
        let seen = shard.epoch() == self.changing.events.epoch();
        (seen.then_some(get_id), excess)
    }

    /// An idle slot, wherever there is one within reach: the calling thread's shard, the depot,
    /// then a shard whose thread is gone.
    ///
    /// # Safety
    /// The caller holds the claim of `shard`, which is one of this store's.
    pub(crate) unsafe fn take_idle(&self, shard: Option<&Shard>) -> Option<NonNull<u8>> {
        if let Some(shard) = shard {
            // SAFETY: the claim, by the caller.
            if let Some(slot) = unsafe { shard.pop_either() } {
                return Some(slot);
            }
        }
        if self.changing.depot.idle() == 0 {
            return self.scavenge(shard);
        }
        // One try: an object more is better than a wait.
        let mut depot = self.changing.depot.try_lock()?;
        let Some(shard) = shard else {
            let slot = depot.take();
            drop(depot);
            return slot.or_else(|| self.scavenge(None));
        };
        let Some(magazine) = depot.take_magazine() else {
            drop(depot);
            return self.scavenge(Some(shard));
        };
        debug_assert!(magazine.len() <= shard.capacity());
        // SAFETY: the claim, by the caller. A magazine is filled by shards up to their capacity,
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

    /// Looks for slots in shards that nobody has claimed.
    fn scavenge(&self, mine: Option<&Shard>) -> Option<NonNull<u8>> {
        let seen = claims::releases();
        if self.changing.scavenged_at.load(Ordering::Relaxed) == seen {
            return None;
        }
        let shards = try_lock(&self.changing.shards)?;
        for shard in shards.iter() {
            let stale = || self.changing.events.is_stale(shard.epoch());
            if shard.figures().0 == 0 || stale() || !shard.try_claim() {
                continue;
            }
            // SAFETY: both claims are held, this one until the release below.
            let slot = unsafe {
                match mine {
                    Some(mine) => {
                        mine.trade(shard);
                        mine.pop_either()
                    }
                    None => shard.pop_either(),
                }
            };
            claims::release(shard);
            if slot.is_some() {
                return slot;
            }
        }
        self.changing.scavenged_at.store(seen, Ordering::Relaxed);
        None
    }

    /// Keeps a slot with a value of `generation`, or says why not.
    ///
    /// # Safety
    /// The caller holds the claim of `shard`, which is one of this store's; the slot is this
    /// store's, holds a value and is in no magazine.
    pub(crate) unsafe fn put_idle(
        &self,
        shard: Option<&Shard>,
        slot: NonNull<u8>,
        generation: usize,
    ) -> Result<(), Drops> {
        if let Some(shard) = shard {
            // SAFETY: the claim, by the caller.
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
        // I3, for what the shard holds.
        if self.usable(shard).is_none() {
            return Err(Drops::Retired);
        }
        if depot.count() + shard.capacity() > self.depot_max() {
            return Err(Drops::Full);
        }
        let empty = depot.take_spare().ok_or(Drops::Full)?;
        // SAFETY: the claim, by the caller; `previous` is taken out before the rotation.
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

    pub(super) fn depot_for_put(&self) -> Option<DepotGuard<'_>> {
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
        // I3.
        if self.birth().generation != generation {
            return Err(Drops::Retired);
        }
        let kept = depot.count() < self.depot_max() && depot.put(slot, self.bounds.magazine_slots);
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
            // the claim state alone, so access is exclusive.
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
