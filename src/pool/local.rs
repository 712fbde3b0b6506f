//! [`LocalHandle`]: a thread's own way into a pool, with nothing to look up.
//!
//! Owns a claim on a shard that no seat names and no other handle has.
//!
//! I1: the shard is claimed from `new` to the handle's drop, by this handle alone, and the handle
//! stays on its thread. So it works in a thread's last moments like at any other time: the exit
//! hook does not know it.
//! I2: a guard of the handle borrows it, so the claim outlives the guard.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::pool::claims::{self, NO_ID};
use crate::pool::recycle::{RecycleTrait, Recycler};
use crate::pool::shard::ShardRef;
use crate::pool::shared::Pool;
use crate::pool::typed::{Core, Refusal};

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
    core: &'p Core<T, R>,
    /// `None` when no shard was left, or the pool counts its guards.
    shard: Option<ShardRef>,
    /// The pool's id at the last slow path; another one means a trim since.
    fast_id: Cell<usize>,
    /// Neither `Send` nor `Sync` (I1).
    thread: PhantomData<*mut ()>,
}

impl<'p, T, R: Recycler<T>> LocalHandle<'p, T, R> {
    pub(crate) fn new(pool: &'p Pool<T, R>, core: &'p Core<T, R>) -> LocalHandle<'p, T, R> {
        let fast_id = core.store.fast_id();
        let shard = if fast_id == NO_ID {
            None
        } else {
            core.store.claim_shard()
        };
        LocalHandle {
            pool,
            core,
            shard,
            // No pool has this one: the first operation looks at the bounds.
            fast_id: Cell::new(0),
            thread: PhantomData,
        }
    }

    #[inline(always)]
    fn take(&self) -> Result<NonNull<T>, Refusal> {
        if let Some(shard) = &self.shard {
            if self.fast_id.get() == self.core.store.fast_id() {
                // SAFETY: the handle has the claim (I1).
                if let Some(slot) = unsafe { shard.pop() } {
                    return Ok(slot.cast());
                }
            }
        }
        self.take_slow()
    }

    #[cold]
    #[inline(never)]
    fn take_slow(&self) -> Result<NonNull<T>, Refusal> {
        let Some(shard) = &self.shard else {
            return self.pool.take();
        };
        // SAFETY: the handle has the claim (I1), on a shard of this pool.
        unsafe { self.core.get_slow_from(shard, &self.fast_id) }
    }

    #[inline(always)]
    fn guard(&self, slot: NonNull<T>) -> LocalPooled<'_, T, R> {
        LocalPooled {
            slot,
            core: self.core,
            shard: self.shard.as_ref(),
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
        match self.take() {
            Ok(slot) => self.guard(slot),
            Err(refusal) => self.pool.refuse(refusal),
        }
    }

    /// As [`Pool::try_get`].
    #[inline]
    pub fn try_get(&self) -> Option<LocalPooled<'_, T, R>> {
        self.take().ok().map(|slot| self.guard(slot))
    }
}

impl<T, R: Recycler<T>> Drop for LocalHandle<'_, T, R> {
    fn drop(&mut self) {
        if let Some(shard) = &self.shard {
            claims::release(shard);
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
    core: &'l Core<T, R>,
    shard: Option<&'l ShardRef>,
    /// Owns a `T`, and stays with the handle on its thread.
    of: PhantomData<(T, *mut T)>,
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
        // SAFETY: a live value of this core, not used after this; the claim is the handle's, which
        // is borrowed (I2).
        unsafe {
            if !self.core.recycle(self.slot) {
                return;
            }
            match self.shard {
                Some(shard) if shard.push(self.slot.cast()) => {}
                Some(shard) => self.core.put_slow_to(shard, self.slot),
                None => self.core.put_slow(self.slot),
            }
        }
    }
}

impl<T: fmt::Debug, R: Recycler<T>> fmt::Debug for LocalPooled<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
