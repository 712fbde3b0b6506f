//! The slow way of a get: an idle value that may go out, or a new one.
//!
//! Owns the choice between them, and the looks at what is handed out; `validate_get` runs here.

use core::mem;
use core::panic::Location;
use core::ptr::NonNull;

use std::time::Duration;

use crate::pool::exchange::leases::{self, Way};
use crate::pool::exchange::route::Route;
use crate::pool::life::note::{self, Marks, Noted};
use crate::pool::life::pool_core::{PoolCore, Validate};
use crate::pool::life::refusal::{GetError, Refusal};
use crate::pool::life::wards::{LiveEnd, OnPanic};
use crate::pool::stock::counters::is_sampled;
use crate::pool::stock::drops::Drops;
use crate::pool::stock::shard::Shard;
use crate::pool::watch::clock::Watch;
use crate::pool::watch::discipline::Discipline;
use crate::pool::watch::leaks::Lookout;

impl<T, R> PoolCore<T, R> {
    /// A value for a guard, when no seat had one.
    #[cold]
    #[inline(never)]
    pub(crate) fn get_slow(
        &self,
        way: Way<'_>,
        at: &'static Location<'static>,
    ) -> Result<NonNull<T>, Refusal> {
        let live = self.begin_live(None)?;
        // SAFETY: our own `make` keeps the promise.
        unsafe { self.get_or_make(way, live, at, |place| self.make(place)) }
    }

    /// As `get_slow`, of a guard that is counted, with a function for new values.
    ///
    /// # Safety
    /// As [`create_value`](Self::create_value) asks of `make`.
    pub(crate) unsafe fn get_or_make<E>(
        &self,
        way: Way<'_>,
        live: LiveEnd<'_>,
        at: &'static Location<'static>,
        make: impl FnOnce(NonNull<T>) -> Result<(), E>,
    ) -> Result<NonNull<T>, GetError<E>> {
        let shard = self.attend(way);
        let visit = self.visit(shard);
        // SAFETY: `attend` answers with a shard this thread has leased; nothing ends the lease.
        let slot = unsafe { self.take(shard, visit, make)? };
        let tracked = self.looks_out(slot, way, visit, shard, at);
        let measured = self.discipline.judge.is_probing() || is_sampled(visit);
        if tracked || measured {
            // SAFETY: a value of this pool that is about to be handed out, and so ours alone.
            unsafe {
                let marks = Marks {
                    tracked,
                    measured,
                    ..note::marks(Noted::read(slot))
                };
                Noted::mark(slot, marks);
            }
        }
        mem::forget(live);
        Ok(slot)
    }

    /// An idle value or a new one, as the route says.
    ///
    /// # Safety
    /// As [`create_value`](Self::create_value).
    unsafe fn take<E>(
        &self,
        shard: Option<&Shard>,
        visit: usize,
        make: impl FnOnce(NonNull<T>) -> Result<(), E>,
    ) -> Result<NonNull<T>, GetError<E>> {
        let transient = match self.store.route.get() {
            Route::Pool => false,
            Route::Bypass => true,
            // Spread evenly: of three in four gets every fourth does not.
            Route::Share(percent) => {
                let percent = usize::from(percent);
                (visit % 100 + 1) * percent / 100 == visit % 100 * percent / 100
            }
        };
        if !transient {
            let watch = is_sampled(visit).then(Watch::start);
            // SAFETY: the lease, by the caller.
            let mut found = unsafe { self.store.take_idle(shard) };
            if let Some(watch) = watch {
                self.store.meters().get.add(watch.nanos());
            }
            while let Some(slot) = found {
                if self.may_go_out(slot.cast()) {
                    return Ok(slot.cast());
                }
                // SAFETY: as above.
                found = unsafe { self.store.take_idle(shard) };
            }
        }
        // SAFETY: as above.
        let slot = unsafe { self.create_value(shard, transient, make)? };
        self.store.counters().on_miss(shard);
        Ok(slot)
    }

    /// Whether an idle value may be handed out: it is of the present generation, and the user's
    /// validation accepts it. It is dropped otherwise.
    fn may_go_out(&self, slot: NonNull<T>) -> bool {
        if self.validate_get.is_none() && self.is_present(slot) {
            return true;
        }
        let refused = self.why_not(slot);
        if let Some(reason) = refused {
            self.store.counters().refused.add();
            drop(self.doomed(None, slot, reason));
        }
        refused.is_none()
    }

    /// Why an idle value may not be handed out, if it may not.
    #[cold]
    fn why_not(&self, slot: NonNull<T>) -> Option<Drops> {
        if !self.is_present(slot) {
            return Some(Drops::Retired);
        }
        let poisoned = self.doomed(None, slot, Drops::Poisoned);
        let refused = OnPanic(|| {
            self.store.counters().refused.add();
        });
        // SAFETY: idle until now, so the value is live and ours.
        let is_valid = |validate: &Validate<T>| validate(unsafe { slot.as_ref() });
        let valid = self.validate_get.as_ref().is_none_or(is_valid);
        mem::forget((poisoned, refused));
        if !valid {
            return Some(Drops::Invalid);
        }
        // Again, as the user's code may have begun a generation.
        (!self.is_present(slot)).then_some(Drops::Retired)
    }

    /// Looks out for a value that is handed out, if it is its turn.
    fn looks_out(
        &self,
        slot: NonNull<T>,
        way: Way<'_>,
        visit: usize,
        shard: Option<&Shard>,
        at: &'static Location<'static>,
    ) -> bool {
        let Discipline {
            leaks, intervals, ..
        } = &self.discipline;
        match leaks.turn(visit, shard.map(Shard::lookout)) {
            // At a thread's very end nobody can tell which one it is.
            Lookout::Here if leases::is_there() => {
                leaks.begin(slot.addr().get(), at, intervals.count())
            }
            Lookout::Later => {
                way.shut_to_gets(&self.store);
                false
            }
            Lookout::Here | Lookout::No => false,
        }
    }

    /// Counts a guard, after waiting for another's end for so long.
    pub(crate) fn begin_live<E>(
        &self,
        patience: Option<Duration>,
    ) -> Result<LiveEnd<'_>, GetError<E>> {
        if !self.store.try_live(patience) {
            return Err(GetError::MaxLive(self.store.bounds.live_max));
        }
        Ok(LiveEnd(&self.store))
    }
}
