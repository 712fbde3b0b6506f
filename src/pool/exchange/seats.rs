//! Seats: where a thread finds its shard of a pool without asking anybody.
//!
//! Owns a thread's table of them, which every get and put reads; without a destructor, so that it
//! is there to the thread's end. A seat is two ids and the address of a shard that the thread has
//! leased (`leases.rs`). A local handle has one of its own.
//!
//! I1: a seat that says an id names a shard this thread has leased, of a pool that is alive when
//! somebody asks by that id: ids are never used twice, so a seat of a pool that is gone matches
//! nobody. Who gives a lease up empties its seats first.
//! I2: the shard holds nothing older than `generation` (`shard.rs`, I5), and who matches `event`
//! knows the present one (`events.rs`, I1). So nothing old is handed out by the short way.

use core::cell::Cell;
use core::ptr::NonNull;

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::exchange::route::{Route, RouteWord};
use crate::pool::stock::id::NO_ID;
use crate::pool::stock::shard::{Shard, off_the_straight_path};

/// Pools a thread reaches without a search. Eight take five cache lines of each thread; a request
/// that goes round more pools than that goes the slow way to some of them.
const SEAT_COUNT: usize = 8;

/// Gets from the second of the two pools used last after which it becomes the first.
const SECOND_FOR_LONG: u8 = 32;

/// What no id is: a seat that lets nobody through.
pub(crate) const SHUT: usize = usize::MAX;

/// What a seat says.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Says {
    /// The last event this thread has seen, which lets gets through.
    event: usize,
    /// The generation whose objects come and go.
    generation: usize,
    shard: NonNull<Shard>,
}

impl Says {
    const NOTHING: Says = Says {
        event: SHUT,
        generation: SHUT,
        shard: NonNull::dangling(),
    };

    fn new(event: Option<usize>, generation: Option<usize>, shard: &Shard) -> Says {
        Says {
            event: event.unwrap_or(SHUT),
            generation: generation.unwrap_or(SHUT),
            shard: NonNull::from(shard),
        }
    }
}

/// See the module.
pub(crate) struct Seat(Cell<Says>);

impl Seat {
    pub(crate) const fn empty() -> Seat {
        Seat(Cell::new(Says::NOTHING))
    }

    /// Makes it name a shard, for gets by `event` and objects of `generation`; `None` for neither.
    pub(crate) fn set(&self, event: Option<usize>, generation: Option<usize>, shard: &Shard) {
        self.0.set(Says::new(event, generation, shard));
    }

    /// Sends the next get by the slow path.
    pub(crate) fn shut_to_gets(&self) {
        let event = SHUT;
        self.0.set(Says {
            event,
            ..self.0.get()
        });
    }

    fn clear(&self) {
        self.0.set(Says::NOTHING);
    }

    /// Whether it names this shard.
    fn is_of(&self, shard: NonNull<Shard>) -> bool {
        self.shard() == shard
    }

    #[inline(always)]
    pub(crate) fn shard(&self) -> NonNull<Shard> {
        self.0.get().shard
    }

    /// Whether objects with this note may come back here: plain ones of its generation.
    #[inline(always)]
    pub(crate) fn takes(&self, note: usize) -> bool {
        self.0.get().generation == note
    }

    /// Whether gets that know this event as the last one may be served.
    #[inline(always)]
    pub(crate) fn serves(&self, event: usize) -> bool {
        self.0.get().event == event
    }

    /// The shard's warmest object.
    ///
    /// # Safety
    /// The seat serves the last event of a pool that is alive.
    #[inline(always)]
    pub(crate) unsafe fn pop(&self) -> Option<NonNull<u8>> {
        // SAFETY: the seat proves the lease (I1), and the lease keeps the shard alive.
        unsafe { self.shard().as_ref().pop() }
    }

    /// Gives the shard a slot with this note, if it takes such; `false` when it does not, or its
    /// loaded magazine is full.
    ///
    /// # Safety
    /// The slot is in no magazine, has this note, and belongs to a pool that is alive.
    pub(crate) unsafe fn push(&self, note: usize, slot: NonNull<u8>) -> bool {
        // SAFETY: the seat proves the lease (I1); the slot by the caller, and its object is of the
        // shard's generation (I2).
        self.takes(note) && unsafe { self.shard().as_ref().push(slot) }
    }
}

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

/// Where a thread looks for its shard of a pool before it searches its leases (`leases.rs`).
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

    /// Makes a seat the hotter one.
    fn promote(&self, seat: &Seat) {
        let [first, second] = &self.hot;
        if !first.is_of(seat.shard()) {
            second.0.set(first.0.get());
        }
        first.0.set(seat.0.get());
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
        first.0.swap(&second.0);
        first
    }

    /// Those of the two that name this shard.
    fn hot_of(&self, shard: NonNull<Shard>) -> impl Iterator<Item = &Seat> {
        self.hot.iter().filter(move |hot| hot.is_of(shard))
    }
}

thread_local! {
    static SEATS: Seats = const { Seats::empty() };
}

/// A place for a pool's seats: not that of the pools made just before.
pub(crate) fn next_place() -> usize {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) % SEAT_COUNT
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

/// As [`pop`], if the pool, whose place this is, has any seat. One that is not hot becomes the
/// hottest.
///
/// # Safety
/// As [`pop`].
#[inline]
pub(crate) unsafe fn pop_seated(event: usize, place: usize) -> Option<NonNull<u8>> {
    SEATS.with(|seats| {
        let [_, second] = &seats.hot;
        if second.serves(event) {
            // SAFETY: by the caller, here and below.
            return unsafe { seats.second().pop() };
        }
        let Place { seat, .. } = &seats.all[place];
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

/// Gives a slot to this thread's shard of the pool with this place, if the seat takes its note; it
/// becomes the hottest. `false` when it does not, or the loaded magazine is full.
///
/// # Safety
/// The slot belongs to that pool, is in no magazine and has this note.
pub(crate) unsafe fn push(place: usize, note: usize, slot: NonNull<u8>) -> bool {
    SEATS.with(|seats| {
        let Place { seat, .. } = &seats.all[place];
        if seat.takes(note) {
            seats.promote(seat);
        }
        // SAFETY: as ours.
        unsafe { seat.push(note, slot) }
    })
}

/// The shard of the pool with this place and last event, if nothing is to be told to its seat: it
/// lets gets through, or it has heard of the event and the pool is bypassed, which no seat needs to
/// know.
pub(crate) fn settled(place: usize, event: usize, route: &RouteWord) -> Option<NonNull<Shard>> {
    SEATS.with(|seats| {
        let Place { heard, seat, .. } = &seats.all[place];
        let bypassed = || heard.get() == event && route.get() == Route::Bypass;
        (seat.serves(event) || bypassed()).then(|| seat.shard())
    })
}

/// The shard of the pool with this place and id, if its seat names one.
pub(crate) fn shard_of(place: usize, id: usize) -> Option<NonNull<Shard>> {
    SEATS.with(|seats| {
        let Place { pool, seat, .. } = &seats.all[place];
        (pool.get() == id && id != NO_ID).then(|| seat.shard())
    })
}

/// Makes the seat of the pool with this place and id name its shard; as [`Seat::set`]. `heard` is
/// the event that the thread and the shard know.
pub(crate) fn sit(
    (place, id): (usize, usize),
    heard: Option<usize>,
    event: Option<usize>,
    generation: Option<usize>,
    shard: &Shard,
) {
    SEATS.with(|seats| {
        let place = &seats.all[place];
        let now = heard.unwrap_or(SHUT);
        let says = Says::new(event, generation, shard);
        if place.heard.get() == now && place.seat.0.get() == says {
            return;
        }
        place.pool.set(id);
        place.heard.set(now);
        place.seat.0.set(says);
        // They know less.
        seats.hot_of(NonNull::from(shard)).for_each(Seat::clear);
        if generation.is_some() {
            seats.promote(&place.seat);
        }
    });
}

/// Makes this thread's next get from the pool with this place and id take the slow path, its puts
/// not.
pub(crate) fn shut_to_gets(place: usize, id: usize) {
    SEATS.with(|seats| {
        let Place { pool, seat, .. } = &seats.all[place];
        if pool.get() == id {
            seats.hot_of(seat.shard()).for_each(Seat::shut_to_gets);
            seat.shut_to_gets();
        }
    });
}

/// Empties this thread's seats of a shard: its next get and put take the slow path.
pub(crate) fn unseat(shard: &Shard) {
    let shard = NonNull::from(shard);
    SEATS.with(|seats| {
        seats.hot_of(shard).for_each(Seat::clear);
        let all = seats.all.iter();
        all.filter(|place| place.seat.is_of(shard))
            .for_each(Place::clear);
    });
}

/// Empties all seats of this thread.
pub(crate) fn unseat_all() {
    SEATS.with(|seats| {
        seats.all.iter().for_each(Place::clear);
        seats.hot.iter().for_each(Seat::clear);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::stock::shard_ref::ShardRef;

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
