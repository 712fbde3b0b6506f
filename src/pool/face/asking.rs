//! How a [`Pool`] is asked for objects, and given some: one or many, with patience, with a `create`
//! of the caller's that may fail.
//!
//! Owns the fast way of a get. The slow ways are the core's, in `life/`.

use core::convert::Infallible;
use core::panic::Location;
use core::ptr::NonNull;

use std::sync::Arc;
use std::time::Duration;

use crate::base::trap;
use crate::pool::exchange::leases::Way;
use crate::pool::exchange::seats;
use crate::pool::face::guards::{OwnedPooled, Pooled};
use crate::pool::face::pool::Pool;
use crate::pool::life::recycle::Recycler;
use crate::pool::life::refusal::{GetError, Refusal};

impl<T, R: Recycler<T>> Pool<T, R> {
    /// An idle object, or a new one. It is recycled and returned when the guard drops.
    ///
    /// # Panics
    /// When [`max_live`](crate::PoolBuilder::max_live) objects are out, or there is no memory for a
    /// slot: [`try_get`](Self::try_get) answers `None` then. A panic of `create` passes through.
    #[inline]
    #[track_caller]
    pub fn get(&self) -> Pooled<'_, T, R> {
        // SAFETY: `take` gives a live value of this pool away; the pool is borrowed.
        unsafe { Pooled::new(self.take()) }
    }

    /// As [`get`](Self::get); `None` when [`max_live`](crate::PoolBuilder::max_live) objects are
    /// out or there is no memory for a slot: make an object without the pool then, or give up.
    /// [`try_get_with`](Self::try_get_with) says which it was.
    ///
    /// ```
    /// use flagstone::Pool;
    /// let pool: Pool<String> = Pool::builder(String::new).max_live(1).build();
    /// let only = pool.try_get();
    /// assert!(only.is_some() && pool.try_get().is_none());
    /// drop(only);
    /// assert!(pool.try_get().is_some());
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_get(&self) -> Option<Pooled<'_, T, R>> {
        // SAFETY: as in `get`.
        self.try_take().map(|slot| unsafe { Pooled::new(slot) })
    }

    /// As [`get`](Self::get), with a guard that keeps the pool alive and is `'static`.
    ///
    /// # Panics
    /// As [`get`](Self::get).
    #[inline]
    #[track_caller]
    pub fn get_owned(self: &Arc<Self>) -> OwnedPooled<T, R> {
        // SAFETY: `take` gives a live value of this pool away.
        unsafe { OwnedPooled::new(self.take(), Arc::clone(self)) }
    }

    /// As [`get_owned`](Self::get_owned); `None` where [`try_get`](Self::try_get) answers so.
    #[inline]
    #[track_caller]
    pub fn try_get_owned(self: &Arc<Self>) -> Option<OwnedPooled<T, R>> {
        let slot = self.try_take()?;
        // SAFETY: as in `get_owned`.
        Some(unsafe { OwnedPooled::new(slot, Arc::clone(self)) })
    }

    /// Gives the pool an object, which is recycled first. It is dropped where a guard's would be,
    /// and when there is no memory for a slot.
    pub fn put(&self, object: T) {
        if let Ok(core) = self.try_core() {
            core.adopt(object);
        }
    }

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
}

impl<T, R> Pool<T, R> {
    /// An object from the calling thread's shard, when there is nothing to count or to look for.
    #[inline(always)]
    pub(crate) fn pop(&self) -> Option<NonNull<T>> {
        let event = self.last_event();
        // SAFETY: the pool is borrowed.
        let slot = unsafe { seats::pop(event) };
        slot.map(NonNull::cast)
    }

    /// An object, wherever it comes from. The slow paths answer in a register each, so that the
    /// fast one has nothing to put in memory.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn take(&self) -> NonNull<T> {
        match self.pop() {
            Some(slot) => slot,
            None => self.take_cold(),
        }
    }

    /// As `take`, without a word on why there is none.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn try_take(&self) -> Option<NonNull<T>> {
        match self.pop() {
            Some(slot) => Some(slot),
            None => self.try_take_cold(),
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn take_cold(&self) -> NonNull<T> {
        if let Some(slot) = self.pop_seated() {
            return slot;
        }
        match self.take_slow(Location::caller()) {
            Ok(slot) => slot,
            Err(refusal) => self.refuse(refusal),
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn try_take_cold(&self) -> Option<NonNull<T>> {
        match self.pop_seated() {
            Some(slot) => Some(slot),
            None => self.take_slow(Location::caller()).ok(),
        }
    }

    /// As `pop`, of a pool that is not the last one used.
    #[inline]
    pub(crate) fn pop_seated(&self) -> Option<NonNull<T>> {
        let store = &self.core()?.store;
        // SAFETY: the pool is borrowed.
        let slot = unsafe { seats::pop_seated(store.events.last(), store.place) };
        slot.map(NonNull::cast)
    }

    #[inline]
    fn take_slow(&self, at: &'static Location<'static>) -> Result<NonNull<T>, Refusal> {
        let core = self.try_core().map_err(GetError::Memory)?;
        core.get_slow(Way::Table, at)
    }

    /// The panic of the infallible forms.
    #[cold]
    #[inline(never)]
    #[track_caller]
    pub(crate) fn refuse(&self, refusal: Refusal) -> ! {
        let name = self.name().unwrap_or("unnamed");
        match refusal {
            GetError::Create(never) => match never {},
            GetError::Memory(error) => trap::refused(error),
            GetError::MaxLive(max) => panic!(
                "flagstone: pool `{name}` has all {max} objects of its max_live out; \
                 try_get answers None then"
            ),
        }
    }

    #[track_caller]
    fn take_timeout(&self, timeout: Duration) -> Option<NonNull<T>> {
        if let Some(slot) = self.pop().or_else(|| self.pop_seated()) {
            return Some(slot);
        }
        let (core, at) = (self.try_core().ok()?, Location::caller());
        let live = core.begin_live::<Infallible>(Some(timeout)).ok()?;
        // SAFETY: the pool's own `make` keeps the promise.
        unsafe { core.get_or_make(Way::Table, live, at, |place| core.make(place)) }.ok()
    }

    #[track_caller]
    fn take_with<E>(
        &self,
        create: impl FnOnce() -> Result<T, E>,
    ) -> Result<NonNull<T>, GetError<E>> {
        if let Some(slot) = self.pop().or_else(|| self.pop_seated()) {
            return Ok(slot);
        }
        let core = self.try_core().map_err(GetError::Memory)?;
        let live = core.begin_live(None)?;
        // SAFETY: lent an uninitialised slot of a `T`.
        let make = |place: NonNull<T>| create().map(|value| unsafe { place.write(value) });
        // SAFETY: it writes one or answers with an error.
        unsafe { core.get_or_make(Way::Table, live, Location::caller(), make) }
    }
}
