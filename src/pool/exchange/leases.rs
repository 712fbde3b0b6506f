//! The leases of one thread: which shards it holds, for how long, and its ways to them.
//!
//! Owns the thread's list of leases, in a thread-local that slow paths touch and whose destructor
//! gives them up. A local handle's lease is the handle's own.
//!
//! I1: a lease in the list lasts until the thread's exit hook, which cannot run while a pool
//! operation of the same thread does.
//! I2: no code that may reach a pool again runs while `LEASES` is borrowed, except the process's
//! allocator; for that one `LEASES` is busy and it works without a shard.

use core::cell::RefCell;
use core::ptr::NonNull;

use crate::pool::exchange::releases::release;
use crate::pool::exchange::seats::{self, Seat};
use crate::pool::exchange::store::Store;
use crate::pool::stock::id::NO_ID;
use crate::pool::stock::shard::Shard;
use crate::pool::stock::shard_ref::ShardRef;

/// Leases a thread holds before it first looks for those of pools that are gone. Fewer would look
/// at every lease of a program with a dozen pools.
const PRUNE_FIRST: usize = 16;

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
    static LEASES: RefCell<Leases> = const {
        RefCell::new(Leases { list: Vec::new(), prune_at: PRUNE_FIRST })
    };
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
        // SAFETY: as ours.
        unsafe {
            match self {
                Way::Handle(seat) => seat.push(note, slot),
                Way::Table => seats::push(store.place, note, slot),
            }
        }
    }

    /// As [`Way::seated`], if nothing has happened since the thread sat down, and nothing is to be
    /// told anew.
    pub(crate) fn settled(self, store: &Store) -> Option<&Shard> {
        let event = store.events.last();
        let shard = match self {
            Way::Handle(seat) => seat.serves(event).then(|| seat.shard()),
            Way::Table => seats::settled(store.place, event, &store.route),
        };
        // SAFETY: the event, an id that is never used twice, tells that the seat is of this store,
        // and so names the shard that this thread has leased (`seats.rs`, I1); the store has a
        // reference of its own.
        shard.map(|shard| unsafe { shard.as_ref() })
    }

    /// The shard this thread has leased in `store`, if it need not search for it.
    pub(crate) fn seated(self, store: &Store) -> Option<&Shard> {
        let shard = match self {
            Way::Handle(seat) => seat.shard(),
            Way::Table => seats::shard_of(store.place, store.id)?,
        };
        // SAFETY: leased by this thread in this store, which has a reference of its own.
        Some(unsafe { shard.as_ref() })
    }

    /// The shard this thread has leased in `store`, leased now if need be. `None` when every shard
    /// is taken, the thread is past its exit hook, or the process's allocator asks from inside
    /// here.
    ///
    /// The lease outlasts this operation (I1, or the handle's borrow); the reference lasts as long
    /// as the store, which has one of its own.
    pub(crate) fn shard(self, store: &Store) -> Option<&Shard> {
        if let Some(shard) = self.seated(store) {
            return Some(shard);
        }
        if store.id == NO_ID {
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
            Way::Table => {
                let heard = open(shard.seen(), is_up_to_date);
                let place = (store.place, store.id);
                seats::sit(place, heard, event, generation, shard);
            }
        }
    }

    /// Makes this thread's next get from a pool take the slow path, its puts not.
    pub(crate) fn shut_to_gets(self, store: &Store) {
        match self {
            Way::Handle(seat) => seat.shut_to_gets(),
            Way::Table => seats::shut_to_gets(store.place, store.id),
        }
    }
}

/// Whether the thread is not past its exit hook.
pub(crate) fn is_there() -> bool {
    LEASES.try_with(|_| ()).is_ok()
}

/// The shard this thread has leased in `store`, if it has.
pub(crate) fn leased_shard(store: &Store) -> Option<&Shard> {
    let find = |leases: &RefCell<Leases>| {
        let leases = leases.try_borrow().ok()?;
        let index = leases.find(store.id).ok()?;
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
        let id = store.id;
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
        // Before the leases behind them (`seats.rs`, I1).
        seats::unseat_all();
        for lease in self.list.drain(..) {
            release(&lease.shard);
        }
    }
}
