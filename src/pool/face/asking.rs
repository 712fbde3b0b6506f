//! Other ways to ask a [`Pool`] for objects: many at once, with patience, with a `create` of the
//! caller's that may fail.
//!
//! Owns nothing; the work is the core's.

use core::convert::Infallible;
use core::fmt;
use core::mem;
use core::panic::Location;
use core::ptr::NonNull;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::base::error::AllocError;
use crate::pool::exchange::figures::Drops;
use crate::pool::face::guards::{OwnedPooled, Pooled};
use crate::pool::face::pool::Pool;
use crate::pool::life::pool_core::{PoolCore, Refusal};
use crate::pool::life::recycle::Recycler;
use crate::pool::life::wards::LiveEnd;
use crate::pool::watch::mode::Route;

/// Why [`Pool::try_get_with`] has no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetError<E> {
    /// The function that was to make one answered so.
    Create(E),
    /// That many objects are out, all of [`max_live`](crate::PoolBuilder::max_live).
    MaxLive(usize),
    /// There is no memory for a slot.
    Memory(AllocError),
}

impl<E> From<Refusal> for GetError<E> {
    fn from(refusal: Refusal) -> GetError<E> {
        match refusal {
            Refusal::Live(max) => GetError::MaxLive(max),
            Refusal::Memory(error) => GetError::Memory(error),
        }
    }
}

impl GetError<Infallible> {
    /// Why, when nothing is made that could fail.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            GetError::Create(never) => match never {},
            GetError::MaxLive(max) => Refusal::Live(max),
            GetError::Memory(error) => Refusal::Memory(error),
        }
    }

    /// The limit that left no memory, when nothing is counted either.
    pub(crate) fn memory(self) -> AllocError {
        match self {
            GetError::Create(never) => match never {},
            GetError::Memory(error) => error,
            GetError::MaxLive(_) => unreachable!("the guard was counted, or there is none"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for GetError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GetError::Create(error) => write!(f, "no object could be made: {error}"),
            GetError::MaxLive(max) => write!(f, "all {max} objects of the pool are out"),
            GetError::Memory(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for GetError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            GetError::Create(error) => Some(error),
            GetError::MaxLive(_) => None,
            GetError::Memory(error) => Some(error),
        }
    }
}

impl<T, R> PoolCore<T, R> {
    /// Keeps `count` new values, up to the bound.
    pub(crate) fn prefill(&self, count: usize) -> Result<usize, AllocError> {
        let missing = match self.store.control().route() {
            Route::Bypass => 0,
            _ => count.saturating_sub(self.store.idle()),
        };
        for made in 0..missing {
            // SAFETY: without a shard there is no lease; our own `make` keeps its promise.
            let created = unsafe { self.create_value(None, false, |place| self.make(place)) };
            let slot = created.map_err(GetError::memory)?;
            self.store.on_prefill();
            let mut doomed = self.doomed(None, slot, Drops::Full);
            if !self.is_present(slot) {
                doomed.reason = Drops::Retired;
                continue;
            }
            // SAFETY: a fresh value in a slot of ours.
            match unsafe { self.store.put_depot(slot.cast(), Self::generation_of(slot)) } {
                Ok(()) => mem::forget(doomed),
                Err(_) => return Ok(made),
            }
        }
        Ok(missing)
    }

    /// As `begin_live`, after waiting for a guard's end if need be.
    pub(crate) fn begin_live_within(&self, timeout: Duration) -> Option<LiveEnd<'_>> {
        let began = self.store.try_live_within(timeout);
        began.then(|| LiveEnd(&self.store))
    }
}

impl<T, R: Recycler<T>> Pool<T, R> {
    /// `count` objects at once. They leave the depot by whole magazines, so a lock is taken once
    /// for each 63 of them.
    ///
    /// # Panics
    /// As [`get`](Self::get); the guards taken until then drop.
    ///
    /// ```
    /// use flagstone::Pool;
    /// let pool: Pool<Vec<u8>> = Pool::new(Vec::new);
    /// let mut batch = pool.get_many(100);
    /// batch.iter_mut().for_each(|buffer| buffer.push(1));
    /// drop(batch);
    /// assert_eq!(pool.stats().idle, 100);
    /// ```
    #[track_caller]
    pub fn get_many(&self, count: usize) -> Vec<Pooled<'_, T, R>> {
        let mut guards = Vec::with_capacity(count);
        for _ in 0..count {
            guards.push(self.get());
        }
        guards
    }

    /// As [`get_many`](Self::get_many); `None` when there is no memory, or not that many may be
    /// out: all or nothing.
    #[track_caller]
    pub fn try_get_many(&self, count: usize) -> Option<Vec<Pooled<'_, T, R>>> {
        let mut guards = Vec::new();
        guards.try_reserve_exact(count).ok()?;
        for _ in 0..count {
            guards.push(self.try_get()?);
        }
        Some(guards)
    }

    /// As [`try_get`](Self::try_get), but when [`max_live`](crate::PoolBuilder::max_live) objects
    /// are out it waits for one to come back, for at most `timeout`. `None` after that, and when
    /// there is no memory for a slot.
    ///
    /// One guard's end wakes one thread that waits. Threads that come while others wait are not
    /// made to queue: they may be served first, as with a lock. A thread that waits while holding
    /// the last object waits in vain. The time is not counted: measure the call.
    ///
    /// ```
    /// use flagstone::Pool;
    /// use std::time::Duration;
    /// let pool: Pool<Vec<u8>> = Pool::builder(Vec::new).max_live(1).build();
    /// let only = pool.get();
    /// std::thread::scope(|scope| {
    ///     let waits = scope.spawn(|| pool.get_timeout(Duration::from_secs(60)).is_some());
    ///     drop(only);
    ///     assert!(waits.join().unwrap());
    /// });
    /// let held = pool.get();
    /// assert!(pool.get_timeout(Duration::from_millis(1)).is_none());
    /// # drop(held);
    /// ```
    #[track_caller]
    pub fn get_timeout(&self, timeout: Duration) -> Option<Pooled<'_, T, R>> {
        let slot = self.take_timeout(timeout)?;
        // SAFETY: a live value of this pool, given away; the pool is borrowed.
        Some(unsafe { Pooled::new(slot) })
    }

    /// As [`get_timeout`](Self::get_timeout), with a guard that keeps the pool alive.
    #[track_caller]
    pub fn get_timeout_owned(self: &Arc<Self>, timeout: Duration) -> Option<OwnedPooled<T, R>> {
        let slot = self.take_timeout(timeout)?;
        // SAFETY: a live value of this pool, given away.
        Some(unsafe { OwnedPooled::new(slot, Arc::clone(self)) })
    }

    #[track_caller]
    fn take_timeout(&self, timeout: Duration) -> Option<NonNull<T>> {
        match self.pop().or_else(|| self.pop_seated()) {
            Some(slot) => Some(slot),
            None => self.take_within(timeout, Location::caller()),
        }
    }

    /// As [`get`](Self::get), but when no object is idle `create` makes one, instead of the pool's
    /// own function, and may fail. Nothing is counted or kept then.
    ///
    /// # Errors
    /// What `create` answered, or why it was not asked.
    ///
    /// ```
    /// use flagstone::Pool;
    /// let pool: Pool<String> = Pool::new(String::new);
    /// let failed = pool.try_get_with(|| std::fs::read_to_string("/no/such/file"));
    /// assert!(failed.is_err() && pool.stats().creates == 0);
    /// drop(pool.try_get_with(|| Ok::<_, ()>(String::with_capacity(100))));
    /// assert!(pool.get().capacity() >= 100);
    /// ```
    #[track_caller]
    pub fn try_get_with<E>(
        &self,
        create: impl FnOnce() -> Result<T, E>,
    ) -> Result<Pooled<'_, T, R>, GetError<E>> {
        let slot = self.take_with(create)?;
        // SAFETY: as in `get_timeout`.
        Ok(unsafe { Pooled::new(slot) })
    }

    /// As [`try_get_with`](Self::try_get_with), with a guard that keeps the pool alive.
    ///
    /// # Errors
    /// As [`try_get_with`](Self::try_get_with).
    #[track_caller]
    pub fn try_get_with_owned<E>(
        self: &Arc<Self>,
        create: impl FnOnce() -> Result<T, E>,
    ) -> Result<OwnedPooled<T, R>, GetError<E>> {
        let slot = self.take_with(create)?;
        // SAFETY: as in `get_timeout_owned`.
        Ok(unsafe { OwnedPooled::new(slot, Arc::clone(self)) })
    }

    #[track_caller]
    fn take_with<E>(
        &self,
        create: impl FnOnce() -> Result<T, E>,
    ) -> Result<NonNull<T>, GetError<E>> {
        if let Some(slot) = self.pop().or_else(|| self.pop_seated()) {
            return Ok(slot);
        }
        // SAFETY: lent an uninitialised slot of a `T`.
        let make = |place: NonNull<T>| create().map(|value| unsafe { place.write(value) });
        // SAFETY: it writes one or answers with an error.
        unsafe { self.take_or_make(make, Location::caller()) }
    }
}
