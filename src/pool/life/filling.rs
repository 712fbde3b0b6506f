//! Slots become values: `create` runs.
//!
//! Owns the way from a vacant slot to a value with its note (`pool_core.rs`, I2 and I3).

use core::convert::Infallible;
use core::mem;
use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::pool::exchange::route::Route;
use crate::pool::life::note::{self, Marks, Noted};
use crate::pool::life::pool_core::{Create, PoolCore};
use crate::pool::life::refusal::GetError;
use crate::pool::life::wards::Vacant;
use crate::pool::stock::counters::is_sampled;
use crate::pool::stock::drops::Drops;
use crate::pool::stock::shard::Shard;
use crate::pool::watch::clock::Watch;

impl<T, R> PoolCore<T, R> {
    /// Puts a new value into a slot, by the pool's own function: right there, as it may be large.
    pub(crate) fn make(&self, place: NonNull<T>) -> Result<(), Infallible> {
        let value = match &self.create {
            Create::Plain(create) => create(),
            Create::Boxed(create) => create(),
        };
        // SAFETY: `create_value` lends a slot of `SLOT`'s layout, uninitialised and its alone.
        unsafe { place.write(value) };
        Ok(())
    }

    /// A new value in a slot: the slot first, then the user's code, then the write.
    ///
    /// # Safety
    /// The caller holds the lease of `shard`, which is one of this pool's. When `make` answers `Ok`
    /// it has put a value into the slot it was lent.
    pub(crate) unsafe fn create_value<E>(
        &self,
        shard: Option<&Shard>,
        transient: bool,
        make: impl FnOnce(NonNull<T>) -> Result<(), E>,
    ) -> Result<NonNull<T>, GetError<E>> {
        // SAFETY: as ours.
        let slot = unsafe { self.store.take_vacant(shard) }.map_err(GetError::Memory)?;
        let vacant = Vacant {
            store: &self.store,
            shard,
            slot,
        };
        let generation = self.store.events.generation();
        let watch = is_sampled(self.store.counters().made(shard)).then(Watch::start);
        make(slot.cast()).map_err(GetError::Create)?;
        if let Some(watch) = watch {
            self.store.meters().create.add(watch.nanos());
        }
        mem::forget(vacant);
        let slot = slot.cast::<T>();
        let marks = Marks {
            transient,
            ..Marks::default()
        };
        // SAFETY: a slot of ours, with the value that `make` put there.
        unsafe { Noted::write(slot, generation, marks) };
        Ok(slot)
    }

    /// Keeps `count` new values, up to the bound.
    pub(crate) fn prefill(&self, count: usize) -> Result<usize, AllocError> {
        let idle = self.store.sums(true).map_or(0, |sums| sums.idle as usize);
        let missing = match self.store.route.get() {
            Route::Bypass => 0,
            _ => count.saturating_sub(idle),
        };
        for made in 0..missing {
            // SAFETY: without a shard there is no lease; our own `make` keeps its promise.
            let created = unsafe { self.create_value(None, false, |place| self.make(place)) };
            let slot = created.map_err(GetError::memory)?;
            self.store.counters().prefilled.add();
            let mut doomed = self.doomed(None, slot, Drops::Full);
            if !self.is_present(slot) {
                doomed.reason = Drops::Retired;
                continue;
            }
            // SAFETY: a fresh value in a slot of ours.
            let put = unsafe {
                let generation = note::generation(Noted::read(slot));
                self.store.put_depot(slot.cast(), generation)
            };
            match put {
                Ok(()) => mem::forget(doomed),
                Err(_) => return Ok(made),
            }
        }
        Ok(missing)
    }
}
