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
use core::panic::Location;
use core::ptr::{self, NonNull};

use crate::pool::claims::{self, NO_ID};
use crate::pool::recycle::{RecycleTrait, Recycler};
use crate::pool::returning::Fate;
use crate::pool::shard::{Shard, ShardRef};
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
    /// The pool's id for gets at the last slow path; another one means an event since.
    seen: Cell<usize>,
    /// Where puts go without being looked at: `shard`, or null while the pool is bypassed, and for
    /// good once a generation began that some objects of the handle may be older than.
    put_to: Cell<*const Shard>,
    /// The pool's generation when the handle was made.
    generation: usize,
    /// Neither `Send` nor `Sync` (I1).
    thread: PhantomData<*mut ()>,
}

impl<'p, T, R: Recycler<T>> LocalHandle<'p, T, R> {
    pub(crate) fn new(pool: &'p Pool<T, R>, core: &'p Core<T, R>) -> LocalHandle<'p, T, R> {
        let shard = if core.store.is_careful() {
            None
        } else {
            core.store.claim_shard()
        };
        LocalHandle {
            pool,
            core,
            shard,
            // No pool with shards has this one: the first operation looks at the bounds.
            seen: Cell::new(NO_ID),
            put_to: Cell::new(ptr::null()),
            generation: core.store.birth().generation,
            thread: PhantomData,
        }
    }

    /// As in `Pool`: the slow paths answer in a register each.
    #[inline(always)]
    fn pop(&self) -> Option<NonNull<T>> {
        let shard = self.shard.as_ref()?;
        if self.seen.get() != self.core.store.get_id() {
            return None;
        }
        // SAFETY: the handle has the claim (I1).
        let slot = unsafe { shard.pop() };
        slot.map(NonNull::cast)
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn take_cold(&self) -> NonNull<T> {
        match self.take_slow(Location::caller()) {
            Ok(slot) => slot,
            Err(refusal) => self.pool.refuse(refusal),
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn try_take_cold(&self) -> Option<NonNull<T>> {
        self.take_slow(Location::caller()).ok()
    }

    fn take_slow(&self, at: &'static Location<'static>) -> Result<NonNull<T>, Refusal> {
        let Some(shard) = &self.shard else {
            return self.core.get_slow(at);
        };
        // Until it is known whether a generation began; the user's code may put meanwhile.
        self.put_to.set(ptr::null());
        // SAFETY: the handle has the claim (I1), on a shard of this pool.
        let taken = unsafe { self.core.get_slow_from(shard) };
        // As in `Pool::take_slow`: it may have begun an event.
        self.pool.note_id(self.core);
        let (slot, seen) = taken?;
        self.seen.set(seen);
        let is_open = seen != NO_ID && self.core.store.birth().generation == self.generation;
        let shard = shard.as_ptr().as_ptr().cast_const();
        self.put_to.set(if is_open { shard } else { ptr::null() });
        Ok(slot)
    }

    /// After the shard may have heard of a generation: objects of the handle may be older.
    fn close_to_the_old(&self) {
        if self.core.store.birth().generation != self.generation {
            self.put_to.set(ptr::null());
        }
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
    handle: &'l LocalHandle<'l, T, R>,
    /// Owns a `T`, invariantly, and stays with the handle on its thread.
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
        // is borrowed (I2), and keeps the shard alive.
        unsafe {
            let LocalHandle { core, shard, .. } = self.handle;
            let Some(to) = self.handle.put_to.get().as_ref() else {
                return Core::<T, R>::take_back(self.slot, shard.as_deref());
            };
            match Core::<T, R>::judge(self.slot) {
                Fate::Keep => {
                    if !to.push(self.slot.cast()) {
                        core.put_slow_to(to, self.slot);
                        self.handle.close_to_the_old();
                    }
                }
                fate => Core::<T, R>::finish(self.slot, fate),
            }
        }
    }
}

impl<T: fmt::Debug, R: Recycler<T>> fmt::Debug for LocalPooled<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
