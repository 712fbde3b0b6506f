//! What one thread knows about pools: which shards it has claimed, and where to find them fast.
//!
//! Owns two thread-locals. `SEATS` has no destructor and is read by every get and put; `CLAIMS` has
//! one and is touched on slow paths only. Knows shards, never the slots' types.
//!
//! I1: a seat names a shard this thread has claimed, by two ids that are never used twice. So a
//! match proves the claim, and a seat of a pool that is gone can never match again. The id for puts
//! is the pool's for a generation and stands beside each object; the id for gets changes with each
//! trim, so that every thread's next get passes by the slow path.
//! I2: seats are emptied before the claims behind them are given up.
//! I3: no code that may reach a pool again runs while `CLAIMS` is borrowed, except the process's
//! allocator; for that one `CLAIMS` is busy and it works without a shard.

use core::cell::{Cell, RefCell};
use core::ptr::NonNull;

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::mode::Route;
use crate::pool::shard::{Shard, ShardRef, off_the_straight_path};
use crate::pool::store::Store;

/// The id no seat has: of a pool whose every operation takes the slow path.
pub(crate) const NO_ID: usize = 0;

/// The id of a seat nobody sits in, which no pool has: theirs begin at `SEAT_COUNT`.
const EMPTY_ID: usize = 1;

/// Pools a thread reaches without a search. Eight take three cache lines of each thread; a request
/// that goes round more pools than that pays a binary search for some of them.
const SEAT_COUNT: usize = 8;

/// Claims a thread holds before it first looks for those of pools that are gone. Fewer would look
/// at every claim of a program with a dozen pools.
const PRUNE_FIRST: usize = 16;

/// A pool's two ids and this thread's shard of it, or `EMPTY_ID` and a dangling pointer.
struct Seat {
    get_id: Cell<usize>,
    put_id: Cell<usize>,
    shard: Cell<NonNull<Shard>>,
}

impl Seat {
    const fn empty() -> Seat {
        Seat {
            get_id: Cell::new(EMPTY_ID),
            put_id: Cell::new(EMPTY_ID),
            shard: Cell::new(NonNull::dangling()),
        }
    }

    fn set(&self, get_id: usize, put_id: usize, shard: NonNull<Shard>) {
        self.get_id.set(get_id);
        self.put_id.set(put_id);
        self.shard.set(shard);
    }
}

/// Where a thread looks for its shard of a pool before it searches its claims.
struct Seats {
    /// The two pools used last, as a request with an outer and an inner pool has them: comparisons
    /// at a fixed place, where the table below takes half a nanosecond more a pair.
    hot: [Seat; 2],
    /// Each pool's place is in the low bits of its ids.
    all: [Seat; SEAT_COUNT],
}

impl Seats {
    const fn empty() -> Seats {
        Seats {
            hot: [const { Seat::empty() }; 2],
            all: [const { Seat::empty() }; SEAT_COUNT],
        }
    }

    fn place(&self, id: usize) -> &Seat {
        &self.all[id % SEAT_COUNT]
    }

    /// Makes a seat the hotter one.
    fn promote(&self, seat: &Seat) {
        let [first, second] = &self.hot;
        if first.put_id != seat.put_id {
            second.set(first.get_id.get(), first.put_id.get(), first.shard.get());
        }
        first.set(seat.get_id.get(), seat.put_id.get(), seat.shard.get());
    }

    /// The hot shard under an id, which `id_of` reads from a seat.
    #[inline(always)]
    fn hot(&self, id: usize, id_of: impl Fn(&Seat) -> usize) -> Option<NonNull<Shard>> {
        let [first, second] = &self.hot;
        if id_of(first) == id {
            return Some(first.shard.get());
        }
        off_the_straight_path();
        (id_of(second) == id).then(|| second.shard.get())
    }

    fn clear(&self) {
        for seat in self.all.iter().chain(&self.hot) {
            seat.set(EMPTY_ID, EMPTY_ID, NonNull::dangling());
        }
    }
}

struct Claim {
    pool: usize,
    shard: ShardRef,
}

/// Every claim of the thread, ordered by pool.
struct Claims {
    list: Vec<Claim>,
    prune_at: usize,
}

thread_local! {
    static SEATS: Seats = const { Seats::empty() };
    static CLAIMS: RefCell<Claims> = const {
        RefCell::new(Claims { list: Vec::new(), prune_at: PRUNE_FIRST })
    };
}

/// Ids handed out so far, and one. One sequence for pools and trims alike.
static IDS: AtomicUsize = AtomicUsize::new(1);

/// Claims given up so far in the process: while it stands still there is no point in looking for a
/// shard that has become free.
static RELEASES: AtomicUsize = AtomicUsize::new(0);

/// An id that nothing had before and nothing will have again, with the place of `like`, or the next
/// one. When there are none left (after 2^28 pools and trims on a 32-bit machine) everybody gets
/// [`NO_ID`] and the slow path.
pub(crate) fn next_id(like: Option<usize>) -> usize {
    // Relaxed: only uniqueness matters.
    let next = IDS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |unique| {
        (unique < usize::MAX / 2 / SEAT_COUNT).then_some(unique + 1)
    });
    match next {
        Ok(unique) => unique * SEAT_COUNT + like.unwrap_or(unique) % SEAT_COUNT,
        Err(_) => NO_ID,
    }
}

/// How many claims have been given up so far.
pub(crate) fn releases() -> usize {
    // Acquire: pairs with `release`, so that the shards given up are seen as free.
    RELEASES.load(Ordering::Acquire)
}

/// Gives up a claim and tells those who wait for one.
pub(crate) fn release(shard: &Shard) {
    shard.release();
    // Release: pairs with `releases`.
    RELEASES.fetch_add(1, Ordering::Release);
}

/// Takes a slot from this thread's shard of the pool with this id for gets, if the pool is one of
/// the two used last.
///
/// # Safety
/// The pool is alive: somebody borrows it.
#[inline(always)]
pub(crate) unsafe fn pop(get_id: usize) -> Option<NonNull<u8>> {
    let shard = SEATS.with(|seats| seats.hot(get_id, |seat| seat.get_id.get()))?;
    // SAFETY: the seat proves the claim (I1), and the claim keeps the shard alive.
    unsafe { shard.as_ref().pop() }
}

/// This thread's shard of the pool with this id for puts, if the pool is one of the two used last.
/// The claim lasts as long as the pool operation this is part of, whatever the user's code does
/// meanwhile (see [`shard_of`]).
#[inline(always)]
pub(crate) fn shard_for_put(put_id: usize) -> Option<NonNull<Shard>> {
    SEATS.with(|seats| seats.hot(put_id, |seat| seat.put_id.get()))
}

/// As [`pop`], if the pool has any seat, which becomes the hottest.
///
/// # Safety
/// As [`pop`].
pub(crate) unsafe fn pop_seated(get_id: usize) -> Option<NonNull<u8>> {
    SEATS.with(|seats| {
        let seat = seats.place(get_id);
        if seat.get_id.get() != get_id {
            return None;
        }
        seats.promote(seat);
        // SAFETY: as in `pop`.
        unsafe { seat.shard.get().as_ref().pop() }
    })
}

/// Gives a slot to this thread's shard of the pool with this id for puts, if the pool has any seat,
/// which becomes the hottest; `false` when it has none, or the shard is full.
///
/// # Safety
/// As [`pop`]; the slot belongs to that pool and is in no magazine.
pub(crate) unsafe fn push_seated(put_id: usize, slot: NonNull<u8>) -> bool {
    SEATS.with(|seats| {
        let seat = seats.place(put_id);
        if seat.put_id.get() != put_id {
            return false;
        }
        seats.promote(seat);
        // SAFETY: as in `pop`.
        unsafe { seat.shard.get().as_ref().push(slot) }
    })
}

/// The shard this thread has claimed in `store`, if it has a seat and has seen the last trim.
pub(crate) fn seated(store: &Store) -> Option<&Shard> {
    let (get_id, put_id) = (store.get_id(), store.put_id());
    SEATS.with(|seats| {
        let seat = seats.place(put_id);
        if seat.put_id.get() != put_id || seat.get_id.get() != get_id {
            return None;
        }
        // SAFETY: the seat proves the claim (I1), which keeps the shard alive.
        Some(unsafe { seat.shard.get().as_ref() })
    })
}

/// The shard this thread has claimed in `store`, claimed now if need be. `None` when every shard is
/// taken, the thread is past its exit hook, or the process's allocator asks from inside here.
///
/// The claim lasts until the thread's exit hook, which cannot run while a pool operation of the
/// same thread does; the reference lasts as long as the store, which has one of its own.
pub(crate) fn shard_of(store: &Store) -> Option<&Shard> {
    if store.id() == NO_ID {
        return None;
    }
    let shard = CLAIMS.try_with(|claims| claims.try_borrow_mut().ok()?.shard_of(store));
    let shard = shard.ok().flatten()?;
    // SAFETY: the claim's reference and the store's keep the shard alive while the store is
    // borrowed.
    Some(unsafe { shard.as_ref() })
}

/// As [`shard_of`], without claiming one.
pub(crate) fn claimed_shard(store: &Store) -> Option<&Shard> {
    let find = |claims: &RefCell<Claims>| {
        let claims = claims.try_borrow().ok()?;
        let index = claims.find(store.id()).ok()?;
        Some(claims.list[index].shard.as_ptr())
    };
    let shard = CLAIMS.try_with(find).ok().flatten()?;
    // SAFETY: as in `shard_of`.
    Some(unsafe { shard.as_ref() })
}

/// Makes this thread's next get from a pool take the slow path, its puts not.
pub(crate) fn unseat_gets(store: &Store) {
    let put_id = store.put_id();
    SEATS.with(|seats| {
        for seat in seats.hot.iter().chain([seats.place(put_id)]) {
            if seat.put_id.get() == put_id {
                seat.get_id.set(EMPTY_ID);
            }
        }
    });
}

/// Makes this thread's next get and put that would find a shard take the slow path.
pub(crate) fn unseat(shard: &Shard) {
    let shard = NonNull::from(shard);
    SEATS.with(|seats| {
        let all = seats.all.iter().chain(&seats.hot);
        for seat in all.filter(|seat| seat.shard.get() == shard) {
            seat.set(EMPTY_ID, EMPTY_ID, NonNull::dangling());
        }
    });
}

/// Puts a claimed shard where `pop` and `shard_for_put` find it.
///
/// # Safety
/// The calling thread claimed the shard through [`shard_of`] in this store, and it has seen the
/// trim that `get_id` stands for.
pub(crate) unsafe fn seat(store: &Store, get_id: usize, shard: &Shard) {
    let put_id = store.put_id();
    if get_id == NO_ID || put_id == NO_ID {
        return;
    }
    let shard = NonNull::from(shard);
    SEATS.with(|seats| {
        // A hot seat under the id of an older generation must not take that one's objects.
        for hot in seats.hot.iter().filter(|hot| hot.shard.get() == shard) {
            hot.set(EMPTY_ID, EMPTY_ID, NonNull::dangling());
        }
        let seat = seats.place(put_id);
        seat.set(get_id, put_id, shard);
        // A pool whose every operation is slow never looks at the hot ones, and one that is
        // bypassed drops what was out before.
        if !store.is_careful() && store.control().route() != Route::Bypass {
            seats.promote(seat);
        }
    });
}

impl Claims {
    fn find(&self, id: usize) -> Result<usize, usize> {
        self.list.binary_search_by_key(&id, |claim| claim.pool)
    }

    fn shard_of(&mut self, store: &Store) -> Option<NonNull<Shard>> {
        let id = store.id();
        if let Ok(index) = self.find(id) {
            return Some(self.list[index].shard.as_ptr());
        }
        if self.list.len() >= self.prune_at {
            self.list.retain(|claim| !claim.shard.is_closed());
            // Twice what is left: each claim is looked at a constant number of times.
            self.prune_at = PRUNE_FIRST.max(2 * self.list.len());
        }
        self.list.try_reserve(1).ok()?;
        let shard = store.claim_shard()?;
        let ptr = shard.as_ptr();
        let index = self.list.partition_point(|claim| claim.pool < id);
        self.list.insert(index, Claim { pool: id, shard });
        Some(ptr)
    }
}

impl Drop for Claims {
    /// The thread's exit hook. It moves no slots: the next thread that claims the shard, or the
    /// pool's drop, finds them where they are.
    fn drop(&mut self) {
        SEATS.with(Seats::clear);
        for claim in self.list.drain(..) {
            release(&claim.shard);
        }
    }
}
