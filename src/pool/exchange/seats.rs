//! A seat: where a thread finds its shard of a pool without asking anybody.
//!
//! Owns nothing: two ids and the address of a shard that the thread has leased. Each thread has a
//! table of them (`leases.rs`), a local handle one of its own.
//!
//! I1: a seat that says an id names a shard this thread has leased, of a pool that is alive when
//! somebody asks by that id: ids are never used twice, so a seat of a pool that is gone matches
//! nobody.
//! I2: the shard holds nothing older than `generation` (`shard.rs`, I5), and who matches `event`
//! knows the present one (`events.rs`, I1). So nothing old is handed out by the short way.

use core::cell::Cell;
use core::ptr::NonNull;

use crate::pool::stock::shard::Shard;

/// What no id is: a seat that lets nobody through.
pub(crate) const SHUT: usize = usize::MAX;

/// See the module.
pub(crate) struct Seat {
    /// The last event this thread has seen, which lets gets through.
    event: Cell<usize>,
    /// The generation whose objects come and go.
    generation: Cell<usize>,
    shard: Cell<NonNull<Shard>>,
}

impl Seat {
    pub(crate) const fn empty() -> Seat {
        Seat {
            event: Cell::new(SHUT),
            generation: Cell::new(SHUT),
            shard: Cell::new(NonNull::dangling()),
        }
    }

    /// Makes it name a shard, for gets by `event` and objects of `generation`; `None` for neither.
    pub(crate) fn set(&self, event: Option<usize>, generation: Option<usize>, shard: &Shard) {
        self.event.set(event.unwrap_or(SHUT));
        self.generation.set(generation.unwrap_or(SHUT));
        self.shard.set(NonNull::from(shard));
    }

    /// Whether it does.
    pub(crate) fn says(
        &self,
        event: Option<usize>,
        generation: Option<usize>,
        shard: &Shard,
    ) -> bool {
        self.event.get() == event.unwrap_or(SHUT)
            && self.generation.get() == generation.unwrap_or(SHUT)
            && self.is_of(NonNull::from(shard))
    }

    pub(crate) fn copy(&self, other: &Seat) {
        self.event.set(other.event.get());
        self.generation.set(other.generation.get());
        self.shard.set(other.shard.get());
    }

    pub(crate) fn swap(&self, other: &Seat) {
        self.event.swap(&other.event);
        self.generation.swap(&other.generation);
        self.shard.swap(&other.shard);
    }

    /// Sends the next get by the slow path.
    pub(crate) fn shut_to_gets(&self) {
        self.event.set(SHUT);
    }

    pub(crate) fn clear(&self) {
        self.copy(&const { Seat::empty() });
    }

    /// Whether it names this shard.
    pub(crate) fn is_of(&self, shard: NonNull<Shard>) -> bool {
        self.shard.get() == shard
    }

    #[inline(always)]
    pub(crate) fn shard(&self) -> NonNull<Shard> {
        self.shard.get()
    }

    /// Whether objects with this note may come back here: plain ones of its generation.
    #[inline(always)]
    pub(crate) fn takes(&self, note: usize) -> bool {
        self.generation.get() == note
    }

    /// Whether gets that know this event as the last one may be served.
    #[inline(always)]
    pub(crate) fn serves(&self, event: usize) -> bool {
        self.event.get() == event
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
}
