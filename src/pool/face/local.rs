//! [`LocalHandle`]: a thread's own way into a pool, with nothing to look up.
//!
//! Owns a lease on a shard that no table of seats names and no other handle has.
//!
//! I1: the shard is leased from `new` to the handle's drop, by this handle alone, and the handle
//! stays on its thread. So it works in a thread's last moments like at any other time: the exit
//! hook does not know it.
//! I2: a guard of the handle borrows it, so the lease outlives the guard.

use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::panic::Location;
use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::base::trap;
use crate::pool::exchange::leases::Way;
use crate::pool::exchange::releases::release;
use crate::pool::exchange::seats::Seat;
use crate::pool::face::pool::Pool;
use crate::pool::life::pool_core::PoolCore;
use crate::pool::life::recycle::{RecycleTrait, Recycler};
use crate::pool::stock::shard::off_the_straight_path;
use crate::pool::stock::shard_ref::ShardRef;

/// A handle of one thread to a [`Pool`], from [`Pool::local`].
///
/// ```compile_fail,E0277
/// # use flagstone::Pool;
/// static POOL: Pool<Vec<u8>> = Pool::new(Vec::new);
/// let local = POOL.local();
/// std::thread::spawn(move || drop(local.get()));
/// ```
pub struct LocalHandle<'p, T, R: Recycler<T> = RecycleTrait> {
    pool: &'p Pool<T, R>,
    core: &'p PoolCore<T, R>,
    /// `None` when no shard was left, or the pool looks at every operation.
    shard: Option<ShardRef>,
    /// Names that shard, if there is one.
    seat: Seat,
    /// Neither `Send` nor `Sync` (I1).
    thread: PhantomData<*mut ()>,
}

impl<'p, T, R: Recycler<T>> LocalHandle<'p, T, R> {
    fn new(pool: &'p Pool<T, R>, core: &'p PoolCore<T, R>) -> LocalHandle<'p, T, R> {
        let shard = if core.store.careful {
            None
        } else {
            core.store.lease_shard()
        };
        let seat = Seat::empty();
        if let Some(shard) = &shard {
            // The first operation looks at the bounds.
            seat.set(None, None, shard);
        }
        LocalHandle {
            pool,
            core,
            shard,
            seat,
            thread: PhantomData,
        }
    }

    /// How it works on its pool.
    fn way(&self) -> Way<'_> {
        match self.shard {
            Some(_) => Way::Handle(&self.seat),
            None => Way::Table,
        }
    }

    #[inline(always)]
    fn pop(&self) -> Option<NonNull<T>> {
        if !self.seat.serves(self.core.store.events.last()) {
            off_the_straight_path();
            return None;
        }
        // SAFETY: the pool is borrowed.
        let slot = unsafe { self.seat.pop() };
        slot.map(NonNull::cast)
    }

    /// As in `Pool`: the slow paths answer in a register each.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn take_cold(&self) -> NonNull<T> {
        match self.core.get_slow(self.way(), Location::caller()) {
            Ok(slot) => slot,
            Err(refusal) => self.pool.refuse(refusal),
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn try_take_cold(&self) -> Option<NonNull<T>> {
        self.core.get_slow(self.way(), Location::caller()).ok()
    }

    #[inline(always)]
    fn guard(&self, slot: NonNull<T>) -> LocalPooled<'_, T, R> {
        LocalPooled {
            slot,
            handle: self,
            of: PhantomData,
        }
    }

    /// As [`Pool::get`].
    ///
    /// # Panics
    /// As [`Pool::get`].
    #[inline]
    #[track_caller]
    pub fn get(&self) -> LocalPooled<'_, T, R> {
        let slot = self.pop();
        self.guard(slot.unwrap_or_else(|| self.take_cold()))
    }

    /// As [`Pool::try_get`].
    #[inline]
    #[track_caller]
    pub fn try_get(&self) -> Option<LocalPooled<'_, T, R>> {
        let slot = match self.pop() {
            Some(slot) => slot,
            None => self.try_take_cold()?,
        };
        Some(self.guard(slot))
    }
}

impl<T, R: Recycler<T>> Pool<T, R> {
    /// A handle of the calling thread, with a shard of its own: the fastest way to get and put in a
    /// loop, as it looks nothing up. It cannot leave the thread. Its shard counts towards those
    /// there are; when all are taken, or every operation of the pool is looked at
    /// ([`max_live`](crate::PoolBuilder::max_live),
    /// [`validate_get`](crate::PoolBuilder::validate_get),
    /// [`LeakCheck::Every`](crate::LeakCheck::Every)), it works through the pool like everybody
    /// else.
    ///
    /// # Panics
    /// When there is no memory for the pool's core; see [`try_local`](Self::try_local).
    ///
    /// ```
    /// use flagstone::Pool;
    /// let pool: Pool<Vec<u8>> = Pool::new(Vec::new);
    /// let local = pool.local();
    /// for i in 0..100 {
    ///     local.get().push(i);
    /// }
    /// assert_eq!(pool.stats().creates, 1);
    /// ```
    pub fn local(&self) -> LocalHandle<'_, T, R> {
        match self.try_local() {
            Ok(local) => local,
            Err(error) => trap::refused(error),
        }
    }

    /// As [`local`](Self::local).
    ///
    /// # Errors
    /// The limit that left no memory for the pool's core.
    pub fn try_local(&self) -> Result<LocalHandle<'_, T, R>, AllocError> {
        Ok(LocalHandle::new(self, self.try_core()?))
    }
}

impl<T, R: Recycler<T>> Drop for LocalHandle<'_, T, R> {
    fn drop(&mut self) {
        if let Some(shard) = &self.shard {
            release(shard);
        }
    }
}

impl<T, R: Recycler<T>> fmt::Debug for LocalHandle<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalHandle")
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

/// An object of a [`LocalHandle`], recycled and returned to it when dropped.
#[must_use = "an object that is not used goes straight back to its pool"]
pub struct LocalPooled<'l, T, R: Recycler<T> = RecycleTrait> {
    slot: NonNull<T>,
    handle: &'l LocalHandle<'l, T, R>,
    /// Owns a `T`, invariantly, and stays with the handle on its thread.
    of: PhantomData<(T, *mut T)>,
}

impl<T, R: Recycler<T>> LocalPooled<'_, T, R> {
    /// As [`Pooled::detach`](crate::Pooled::detach).
    pub fn detach(self) -> T {
        let held = ManuallyDrop::new(self);
        // SAFETY: live and ours; forgotten here.
        unsafe { held.handle.core.detach(held.handle.way(), held.slot) }
    }

    /// As [`Pooled::discard`](crate::Pooled::discard).
    pub fn discard(self) {
        let held = ManuallyDrop::new(self);
        // SAFETY: as in `detach`.
        unsafe { held.handle.core.discard(held.handle.way(), held.slot) }
    }
}

impl<T, R: Recycler<T>> Deref for LocalPooled<'_, T, R> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: taken from the pool with its value live, and nobody else's.
        unsafe { self.slot.as_ref() }
    }
}

impl<T, R: Recycler<T>> DerefMut for LocalPooled<'_, T, R> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { self.slot.as_mut() }
    }
}

impl<T, R: Recycler<T>> Drop for LocalPooled<'_, T, R> {
    #[inline]
    fn drop(&mut self) {
        let handle = self.handle;
        let shard_for = |note| handle.seat.takes(note).then(|| handle.seat.shard());
        // SAFETY: a live value of this core, not used after this; the lease is the handle's, which
        // is borrowed (I2), and keeps the shard alive.
        unsafe { PoolCore::<T, R>::give_back(self.slot, || handle.way(), shard_for) }
    }
}

impl<T: fmt::Debug, R: Recycler<T>> fmt::Debug for LocalPooled<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
