//! What one thread knows about pools: which shards it has leased, and where to find them fast.
//!
//! Owns two thread-locals. `SEATS` has no destructor and is read by every get and put; `LEASES` has
//! one and is touched on slow paths only. Knows shards, never the slots' types.
//!
//! I1: seats are emptied before the leases behind them are given up (`seat.rs`, I1).
//! I2: no code that may reach a pool again runs while `LEASES` is borrowed, except the process's
//! allocator; for that one `LEASES` is busy and it works without a shard.

use core::cell::{Cell, RefCell};
use core::ptr::NonNull;

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::exchange::seats::{SHUT, Seat};
use crate::pool::exchange::store::Store;
use crate::pool::stock::id::NO_ID;
use crate::pool::stock::shard::{Shard, ShardRef, off_the_straight_path};
use crate::pool::watch::mode::Route;

/// Pools a thread reaches without a search. Eight take five cache lines of each thread; a request
/// that goes round more pools than that goes the slow way to some of them.
const SEAT_COUNT: usize = 8;

/// Gets from the second of the two pools used last after which it becomes the first.
const SECOND_FOR_LONG: u8 = 32;

/// Leases a thread holds before it first looks for those of pools that are gone. Fewer would look
/// at every lease of a program with a dozen pools.
const PRUNE_FIRST: usize = 16;

/// A thread's seat of one pool. The pool's id, unlike those in the seat, tells whose shard that is
/// also while it lets nobody through.
struct Place {
    pool: Cell<usize>,
    /// The event that the thread knew when it sat down last, if its shard did, too.
    heard: Cell<usize>,
    seat: Seat,
}

impl Place {
    const fn empty() -> Place {
        Place {
            pool: Cell::new(NO_ID),
            heard: Cell::new(SHUT),
            seat: Seat::empty(),
        }
    }

    fn clear(&self) {
        self.pool.set(NO_ID);
        self.heard.set(SHUT);
        self.seat.clear();
    }
}

/// Where a thread looks for its shard of a pool before it searches its leases.
struct Seats {
    /// Copies of the two used last, as a request with an outer and an inner pool has them:
    /// comparisons at a fixed place, where the table below takes half a nanosecond more a pair.
    hot: [Seat; 2],
    /// Gets from the second of those.
    second_gets: Cell<u8>,
    /// Pools take places by turns.
    all: [Place; SEAT_COUNT],
}

impl Seats {
    const fn empty() -> Seats {
        Seats {
            hot: [const { Seat::empty() }; 2],
            second_gets: Cell::new(0),
            all: [const { Place::empty() }; SEAT_COUNT],
        }
    }

    fn place(&self, store: &Store) -> &Place {
        &self.all[store.place()]
    }

    /// Makes a seat the hotter one.
    fn promote(&self, seat: &Seat) {
        let [first, second] = &self.hot;
        if !first.is_of(seat.shard()) {
            second.copy(first);
        }
        first.copy(seat);
    }

    /// The second seat, for a get. Now and then it becomes the first, which a pair finds a ns
    /// sooner: two pools by turns do not notice, who uses one of the two for a while does.
    fn second(&self) -> &Seat {
        let [first, second] = &self.hot;
        let count = self.second_gets.get().wrapping_add(1);
        self.second_gets.set(count);
        if count % SECOND_FOR_LONG != 0 {
            return second;
        }
        first.swap(second);
        first
    }

    fn clear(&self) {
        self.all.iter().for_each(Place::clear);
        self.hot.iter().for_each(Seat::clear);
    }
}

struct Lease {
    pool: usize,
    shard: ShardRef,
}

/// Every lease of the thread, ordered by pool.
struct Leases {
    list: Vec<Lease>,
    prune_at: usize,
}

thread_local! {
    static SEATS: Seats = const { Seats::empty() };
    static LEASES: RefCell<Leases> = const {
        RefCell::new(Leases { list: Vec::new(), prune_at: PRUNE_FIRST })
    };
}

/// Leases given up so far in the process: while it stands still there is no point in looking for a
/// shard that has become free.
static RELEASES: AtomicUsize = AtomicUsize::new(0);

/// A place for a pool's seats: not that of the pools made just before.
pub(crate) fn next_place() -> usize {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) % SEAT_COUNT
}

/// How many leases have been given up so far.
pub(crate) fn releases() -> usize {
    // Acquire: pairs with `release`, so that the shards given up are seen as free.
    RELEASES.load(Ordering::Acquire)
}

/// Gives up a lease and tells those who wait for one.
pub(crate) fn release(shard: &Shard) {
    shard.release();
    // Release: pairs with `releases`.
    RELEASES.fetch_add(1, Ordering::Release);
}

/// Takes an object of the pool with this last event from this thread's shard, if the pool is the
/// one used last.
///
/// # Safety
/// The pool is alive: somebody borrows it.
#[inline(always)]
pub(crate) unsafe fn pop(event: usize) -> Option<NonNull<u8>> {
    SEATS.with(|seats| {
        let [first, _] = &seats.hot;
        if !first.serves(event) {
            off_the_straight_path();
            return None;
        }
        // SAFETY: by the caller.
        unsafe { first.pop() }
    })
}

/// As [`pop`], if the pool has any seat. One that is not hot becomes the hottest.
#[inline]
pub(crate) fn pop_seated(store: &Store) -> Option<NonNull<u8>> {
    SEATS.with(|seats| {
        let event = store.events.last();
        let [_, second] = &seats.hot;
        if second.serves(event) {
            // SAFETY: the store is borrowed, here and below.
            return unsafe { seats.second().pop() };
        }
        let Place { seat, .. } = seats.place(store);
        if !seat.serves(event) {
            return None;
        }
        seats.promote(seat);
        // SAFETY: as above.
        unsafe { seat.pop() }
    })
}

/// This thread's shard for objects with this note, if their pool is one of the two used last. To be
/// asked when no code of the user runs any more: that may have begun a generation.
#[inline(always)]
pub(crate) fn shard_for_put(note: usize) -> Option<NonNull<Shard>> {
    SEATS.with(|seats| {
        let [first, _] = &seats.hot;
        if !first.takes(note) {
            off_the_straight_path();
            return second_for_put(note);
        }
        Some(first.shard())
    })
}

/// As [`shard_for_put`]. Out of line, so that the first seat is at a fixed place: a tenth of a
/// pair.
#[inline(never)]
fn second_for_put(note: usize) -> Option<NonNull<Shard>> {
    SEATS.with(|seats| {
        let [_, second] = &seats.hot;
        second.takes(note).then(|| second.shard())
    })
}

/// How a thread works on a pool: by its table of seats, or by a handle's.
#[derive(Clone, Copy)]
pub(crate) enum Way<'s> {
    Table,
    /// A seat that names a shard which its owner has leased.
    Handle(&'s Seat),
}

impl Way<'_> {
    /// Gives a slot to this thread's shard, if the seat takes its note; the seat becomes the
    /// hottest. `false` when it does not, or the loaded magazine is full.
    ///
    /// # Safety
    /// The slot belongs to `store`, is in no magazine and has this note; a handle's seat is of it.
    pub(crate) unsafe fn push(self, store: &Store, note: usize, slot: NonNull<u8>) -> bool {
        // SAFETY: the seat proves the lease; by the caller.
        let push = |seat: &Seat| unsafe { seat.takes(note) && seat.shard().as_ref().push(slot) };
        match self {
            Way::Handle(seat) => push(seat),
            Way::Table => SEATS.with(|seats| {
                let Place { seat, .. } = seats.place(store);
                if seat.takes(note) {
                    seats.promote(seat);
                }
                push(seat)
            }),
        }
    }

    /// As [`Way::seated`], if nothing has happened since the thread sat down, and nothing is to be
    /// told anew: the seat lets gets through, or the pool is bypassed, which no seat needs to know.
    pub(crate) fn settled(self, store: &Store) -> Option<&Shard> {
        let event = store.events.last();
        let shard = match self {
            Way::Handle(seat) => seat.serves(event).then(|| seat.shard()),
            Way::Table => SEATS.with(|seats| {
                let Place { heard, seat, .. } = seats.place(store);
                let bypassed = || heard.get() == event && store.control().route() == Route::Bypass;
                (seat.serves(event) || bypassed()).then(|| seat.shard())
            }),
        };
        // SAFETY: the event, an id that is never used twice, tells that the seat is of this store,
        // and so names the shard that this thread has leased (`seat.rs`, I1); the store has a
        // reference of its own.
        shard.map(|shard| unsafe { shard.as_ref() })
    }

    /// The shard this thread has leased in `store`, if it need not search for it.
    pub(crate) fn seated(self, store: &Store) -> Option<&Shard> {
        let shard = match self {
            Way::Handle(seat) => seat.shard(),
            Way::Table => SEATS.with(|seats| {
                let Place { pool, seat, .. } = seats.place(store);
                (pool.get() == store.id() && pool.get() != NO_ID).then(|| seat.shard())
            })?,
        };
        // SAFETY: leased by this thread in this store, which has a reference of its own.
        Some(unsafe { shard.as_ref() })
    }

    /// The shard this thread has leased in `store`, leased now if need be. `None` when every
    /// shard is taken, the thread is past its exit hook, or the process's allocator asks from
    /// inside here.
    ///
    /// The lease lasts until the thread's exit hook, which cannot run while a pool operation of the
    /// same thread does, or the handle's drop; the reference lasts as long as the store, which has
    /// one of its own.
    pub(crate) fn shard(self, store: &Store) -> Option<&Shard> {
        if let Some(shard) = self.seated(store) {
            return Some(shard);
        }
        if store.id() == NO_ID {
            return None;
        }
        let shard = LEASES.try_with(|leases| leases.try_borrow_mut().ok()?.shard_of(store));
        let shard = shard.ok().flatten()?;
        // SAFETY: the lease's reference and the store's keep the shard alive while the store is
        // borrowed.
        Some(unsafe { shard.as_ref() })
    }

    /// Makes the seat let through what the store and its shard say: the event that the shard has
    /// seen, and the generation it is of.
    ///
    /// # Safety
    /// `shard` is what [`Way::shard`] answered in this store.
    pub(crate) unsafe fn sit(self, store: &Store, shard: &Shard) {
        let (gets, puts) = store.short_ways();
        let open = |id: usize, is_open: bool| Some(id).filter(|id| is_open && *id != NO_ID);
        // Where memory ran out, or the depot was busy, it may hold what is to go.
        let is_up_to_date = store.is_up_to_date(shard);
        let event = open(shard.seen(), gets && is_up_to_date);
        let generation = open(shard.generation(), puts);
        match self {
            Way::Handle(seat) => seat.set(event, generation, shard),
            Way::Table => SEATS.with(|seats| {
                let Place { pool, heard, seat } = seats.place(store);
                let now = open(shard.seen(), is_up_to_date).unwrap_or(SHUT);
                if heard.get() == now && seat.says(event, generation, shard) {
                    return;
                }
                pool.set(store.id());
                heard.set(now);
                seat.set(event, generation, shard);
                // They know less.
                let hot = seats.hot.iter();
                hot.filter(|hot| hot.is_of(NonNull::from(shard)))
                    .for_each(Seat::clear);
                if generation.is_some() {
                    seats.promote(seat);
                }
            }),
        }
    }

    /// Makes this thread's next get from a pool take the slow path, its puts not.
    pub(crate) fn shut_to_gets(self, store: &Store) {
        match self {
            Way::Handle(seat) => seat.shut_to_gets(),
            Way::Table => SEATS.with(|seats| {
                let Place { pool, seat, .. } = seats.place(store);
                if pool.get() == store.id() {
                    let hot = seats.hot.iter();
                    hot.filter(|hot| hot.is_of(seat.shard()))
                        .for_each(Seat::shut_to_gets);
                    seat.shut_to_gets();
                }
            }),
        }
    }
}

/// Empties this thread's seats of a shard: its next get and put take the slow path.
pub(crate) fn unseat(shard: &Shard) {
    let shard = NonNull::from(shard);
    SEATS.with(|seats| {
        let hot = seats.hot.iter();
        hot.filter(|seat| seat.is_of(shard)).for_each(Seat::clear);
        let all = seats.all.iter();
        all.filter(|place| place.seat.is_of(shard))
            .for_each(Place::clear);
    });
}

/// Whether the thread is not past its exit hook.
pub(crate) fn is_there() -> bool {
    LEASES.try_with(|_| ()).is_ok()
}

/// The shard this thread has leased in `store`, if it has.
pub(crate) fn leased_shard(store: &Store) -> Option<&Shard> {
    let find = |leases: &RefCell<Leases>| {
        let leases = leases.try_borrow().ok()?;
        let index = leases.find(store.id()).ok()?;
        Some(leases.list[index].shard.as_ptr())
    };
    let shard = LEASES.try_with(find).ok().flatten()?;
    // SAFETY: as in `Way::shard`.
    Some(unsafe { shard.as_ref() })
}

impl Leases {
    fn find(&self, id: usize) -> Result<usize, usize> {
        self.list.binary_search_by_key(&id, |lease| lease.pool)
    }

    fn shard_of(&mut self, store: &Store) -> Option<NonNull<Shard>> {
        let id = store.id();
        if let Ok(index) = self.find(id) {
            return Some(self.list[index].shard.as_ptr());
        }
        if self.list.len() >= self.prune_at {
            self.list.retain(|lease| !lease.shard.is_closed());
            // Twice what is left: each lease is looked at a constant number of times.
            self.prune_at = PRUNE_FIRST.max(2 * self.list.len());
        }
        self.list.try_reserve(1).ok()?;
        let shard = store.lease_shard()?;
        let ptr = shard.as_ptr();
        let index = self.list.partition_point(|lease| lease.pool < id);
        self.list.insert(index, Lease { pool: id, shard });
        Some(ptr)
    }
}

impl Drop for Leases {
    /// The thread's exit hook. It moves no slots: the next thread that leases the shard, or the
    /// pool's drop, finds them where they are.
    fn drop(&mut self) {
        SEATS.with(Seats::clear);
        for lease in self.list.drain(..) {
            release(&lease.shard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_seat_becomes_the_first_when_it_is_used_for_long() {
        let seats = Seats::empty();
        let shard = ShardRef::try_new(1).expect("memory");
        seats.hot[0].set(Some(1), None, &shard);
        seats.hot[1].set(Some(2), None, &shard);
        let mut gets = 0;
        while !seats.hot[0].serves(2) {
            assert!(seats.second().serves(2), "whichever of them it is now");
            gets += 1;
        }
        assert_eq!(gets, usize::from(SECOND_FOR_LONG));
        assert!(seats.hot[1].serves(1));
    }
}
