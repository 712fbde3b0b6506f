//! What one thread knows about pools: which shards it has claimed, and where to find them fast.
//!
//! Owns two thread-locals. `SEATS` has no destructor and is read by every get and put; `CLAIMS` has
//! one and is touched on slow paths only. Knows shards, never the slots' types.
//!
//! I1: a seat names a shard this thread has claimed, by an id that is never used twice. So a match
//! proves the claim, and a seat of a pool that is gone can never match again.
//! I2: seats are emptied before the claims behind them are given up.
//! I3: no code that may reach a pool again runs while `CLAIMS` is borrowed, except the process's
//! allocator; for that one `CLAIMS` is busy and it works without a shard.

use core::cell::{Cell, RefCell};
use core::ptr::NonNull;

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::shard::{Shard, ShardRef};
use crate::pool::store::Store;

/// The id no seat has: of a pool whose every operation takes the slow path.
pub(crate) const NO_ID: usize = 0;

/// The id of a seat nobody sits in; no pool has it, because pools' ids are multiples of a seat.
const EMPTY_ID: usize = 1;

/// Pools a thread reaches without a search. Eight fill a pair of cache lines; a request that
/// alternates between more pools than that pays a binary search for some of them.
const SEAT_COUNT: usize = 8;

/// Claims a thread holds before it first looks for those of pools that are gone. Fewer would look
/// at every claim of a program with a dozen pools.
const PRUNE_FIRST: usize = 16;

/// A pool's id and this thread's shard of it, or `EMPTY_ID` and a dangling pointer.
#[repr(C)]
struct Seat {
    id: Cell<usize>,
    shard: Cell<NonNull<Shard>>,
}

/// Ids are this far apart, so that the low bits of an id are its seat's offset in bytes: what would
/// be a shift and an addition twice per pair is nothing.
const ID_STEP: usize = size_of::<Seat>();
const _: () = assert!(ID_STEP.is_power_of_two() && SEAT_COUNT.is_power_of_two());

impl Seat {
    const fn empty() -> Seat {
        Seat {
            id: Cell::new(EMPTY_ID),
            shard: Cell::new(NonNull::dangling()),
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
    static SEATS: [Seat; SEAT_COUNT] = const { [const { Seat::empty() }; SEAT_COUNT] };
    static CLAIMS: RefCell<Claims> = const {
        RefCell::new(Claims { list: Vec::new(), prune_at: PRUNE_FIRST })
    };
}

/// Ids handed out so far. One sequence for pools and trims alike.
static IDS: AtomicUsize = AtomicUsize::new(ID_STEP);

/// Claims given up so far in the process: while it stands still there is no point in looking for a
/// shard that has become free.
static RELEASES: AtomicUsize = AtomicUsize::new(0);

/// An id that nothing had before and nothing will have again. When there are none left (after 2^29
/// on a 32-bit machine) everybody gets [`NO_ID`] and the slow path.
pub(crate) fn next_id() -> usize {
    // Relaxed: only uniqueness matters.
    let next = IDS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |id| {
        id.checked_add(ID_STEP)
    });
    next.unwrap_or(NO_ID)
}

/// Runs `body` on the seat that `id` belongs to.
#[inline(always)]
fn with_seat<X>(id: usize, body: impl FnOnce(&Seat) -> X) -> X {
    SEATS.with(|seats| {
        let offset = id & ((SEAT_COUNT - 1) * ID_STEP);
        // SAFETY: a multiple of a seat's size, below the size of them all.
        body(unsafe { &*seats.as_ptr().byte_add(offset) })
    })
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

/// The shard this thread has claimed under `id`, when its seat is there.
#[inline(always)]
fn seated(id: usize) -> Option<NonNull<Shard>> {
    with_seat(id, |seat| (seat.id.get() == id).then(|| seat.shard.get()))
}

/// Takes a slot from this thread's shard of the pool with this id.
///
/// # Safety
/// The pool is alive: somebody borrows it.
#[inline(always)]
pub(crate) unsafe fn pop(id: usize) -> Option<NonNull<u8>> {
    let shard = seated(id)?;
    // SAFETY: the seat proves the claim (I1), and the claim keeps the shard alive.
    unsafe { shard.as_ref().pop() }
}

/// Gives a slot to this thread's shard of the pool with this id; `false` when it is full or there
/// is none.
///
/// # Safety
/// As [`pop`]; the slot belongs to that pool and is in no magazine.
#[inline(always)]
pub(crate) unsafe fn push(id: usize, slot: NonNull<u8>) -> bool {
    match seated(id) {
        // SAFETY: as in `pop`.
        Some(shard) => unsafe { shard.as_ref().push(slot) },
        None => false,
    }
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

/// Puts a claimed shard where `pop` and `push` find it under `id`.
///
/// # Safety
/// The calling thread claimed the shard through [`shard_of`], for a pool whose id `id` is or was.
pub(crate) unsafe fn seat(id: usize, shard: &Shard) {
    if id == NO_ID {
        return;
    }
    with_seat(id, |seat| {
        seat.id.set(id);
        seat.shard.set(NonNull::from(shard));
    });
}

impl Claims {
    fn shard_of(&mut self, store: &Store) -> Option<NonNull<Shard>> {
        let id = store.id();
        if let Ok(index) = self.list.binary_search_by_key(&id, |claim| claim.pool) {
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
        SEATS.with(|seats| {
            for seat in seats {
                seat.id.set(EMPTY_ID);
                seat.shard.set(NonNull::dangling());
            }
        });
        for claim in self.list.drain(..) {
            release(&claim.shard);
        }
    }
}
