//! The guards of a pool: one pointer each, and their way back.
//!
//! Owns one live value per guard. Finds the pool's core from the slot.
//!
//! I1: a guard's slot holds a live value that nobody else has, and the core outlives the guard:
//! a [`Pooled`] borrows the pool, an [`OwnedPooled`] has a share of it.
//! I2: guards are invariant in `T`, because what is written through one is seen by the next user.

use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr::NonNull;

use std::sync::Arc;

use crate::pool::exchange::leases::Way;
use crate::pool::exchange::seats;
use crate::pool::face::pool::Pool;
use crate::pool::life::pool_core::{PoolCore, core_of};
use crate::pool::life::recycle::{RecycleTrait, Recycler};

/// One live value on its way from the pool and back, without saying what keeps the pool alive for
/// `'p`. Its drop needs the pool, so the lifetime stands here: where a type has no drop of its own,
/// as a [`Pooled`] around this one, the compiler lets what it borrows end before it.
pub(crate) struct Held<'p, T, R: Recycler<T>> {
    slot: NonNull<T>,
    /// Invariant in `T` (I2), and owns one.
    of: PhantomData<(&'p (), T, *mut T, R)>,
}

// SAFETY: a guard is its value and the right to give it back, for which `Pool: Sync` asks
// `T: Send` as well; recyclers are `Send + Sync`.
unsafe impl<T: Send, R: Recycler<T>> Send for Held<'_, T, R> {}
// SAFETY: a shared guard gives `&T` and nothing else.
unsafe impl<T: Sync, R: Recycler<T>> Sync for Held<'_, T, R> {}

impl<'p, T, R: Recycler<T>> Held<'p, T, R> {
    /// # Safety
    /// The slot is one of a `PoolCore<T, R>` that outlives `'p`, its value is live, and the
    /// caller gives it up.
    #[inline(always)]
    pub(crate) unsafe fn new(slot: NonNull<T>) -> Held<'p, T, R> {
        Held {
            slot,
            of: PhantomData,
        }
    }

    fn detach(self) -> T {
        let held = ManuallyDrop::new(self);
        // SAFETY: live and ours (I1); forgotten here.
        unsafe { core_of::<T, R>(held.slot).detach(Way::Table, held.slot) }
    }

    fn discard(self) {
        let held = ManuallyDrop::new(self);
        // SAFETY: live and ours (I1); forgotten here.
        unsafe { core_of::<T, R>(held.slot).discard(Way::Table, held.slot) }
    }
}

impl<T, R: Recycler<T>> Deref for Held<'_, T, R> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: live and ours (I1).
        unsafe { self.slot.as_ref() }
    }
}

impl<T, R: Recycler<T>> DerefMut for Held<'_, T, R> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: live and ours (I1).
        unsafe { self.slot.as_mut() }
    }
}

impl<T, R: Recycler<T>> Drop for Held<'_, T, R> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: live and ours, of a core that is alive (I1); not used after this.
        unsafe { PoolCore::<T, R>::give_back(self.slot, || Way::Table, seats::shard_for_put) }
    }
}

/// An object of a [`Pool`], recycled and returned when dropped. One pointer.
///
/// Dropped by a panic it drops its object instead: nobody can tell what state that is in.
/// The object of a forgotten guard is never dropped; its slot goes with the pool.
///
/// ```
/// use flagstone::Pool;
/// static BUFFERS: Pool<Vec<u8>> = Pool::new(|| Vec::with_capacity(4096));
/// let mut buffer = BUFFERS.get();
/// buffer.extend_from_slice(b"hello");
/// drop(buffer);
/// assert_eq!(BUFFERS.get().len(), 0);
/// assert_eq!(size_of_val(&BUFFERS.get()), size_of::<usize>());
/// ```
///
/// It cannot outlive its pool:
/// ```compile_fail,E0505
/// # use flagstone::Pool;
/// let pool: Pool<Vec<u8>> = Pool::new(Vec::new);
/// let guard = pool.get();
/// drop(pool);
/// drop(guard);
/// ```
/// ```compile_fail,E0597
/// # use flagstone::Pool;
/// let guard;
/// let pool: Pool<Vec<u8>> = Pool::new(Vec::new);
/// guard = pool.get();
/// ```
/// nor take in something that lives shorter than the pool's objects:
/// ```compile_fail,E0597
/// # use flagstone::Pool;
/// let pool: Pool<Vec<&'static str>> = Pool::new(Vec::new);
/// let text = String::from("gone soon");
/// pool.get().push(text.as_str());
/// ```
/// ```compile_fail
/// # use flagstone::Pooled;
/// fn shorten<'p, 's>(guard: Pooled<'p, Vec<&'static str>>) -> Pooled<'p, Vec<&'s str>> { guard }
/// ```
/// An object goes back once, because going back uses the guard up:
/// ```compile_fail,E0382
/// # use flagstone::Pool;
/// # static POOL: Pool<Vec<u8>> = Pool::new(Vec::new);
/// let guard = POOL.get();
/// drop(guard);
/// drop(guard);
/// ```
/// and nobody uses it after that:
/// ```compile_fail,E0505
/// # use flagstone::Pool;
/// # static POOL: Pool<Vec<u8>> = Pool::new(Vec::new);
/// let guard = POOL.get();
/// let kept: &Vec<u8> = &guard;
/// drop(guard);
/// assert!(kept.is_empty());
/// ```
/// It goes back where it came from; another pool takes objects, not guards:
/// ```compile_fail,E0308
/// # use flagstone::Pool;
/// # static ONE: Pool<Vec<u8>> = Pool::new(Vec::new);
/// # static TWO: Pool<Vec<u8>> = Pool::new(Vec::new);
/// TWO.put(ONE.get());
/// ```
/// and with an object that must stay on its thread it stays there too:
/// ```compile_fail,E0277
/// # use flagstone::Pool;
/// # use std::rc::Rc;
/// let pool: Pool<Vec<Rc<u8>>> = Pool::new(Vec::new);
/// std::thread::scope(|s| { s.spawn(|| drop(pool.get())); });
/// ```
#[must_use = "an object that is not used goes straight back to its pool"]
pub struct Pooled<'p, T, R: Recycler<T> = RecycleTrait> {
    held: Held<'p, T, R>,
    pool: PhantomData<&'p Pool<T, R>>,
}

// SAFETY: a borrowed pool and a value of it; see `Held`. The borrow itself is of a pool that is
// `Sync` when its objects are `Send`.
unsafe impl<T: Send, R: Recycler<T>> Send for Pooled<'_, T, R> {}
// SAFETY: as for `Held`: a shared guard gives `&T`.
unsafe impl<T: Sync, R: Recycler<T>> Sync for Pooled<'_, T, R> {}
impl<T: UnwindSafe, R: Recycler<T>> UnwindSafe for Pooled<'_, T, R> {}
impl<T: RefUnwindSafe, R: Recycler<T>> RefUnwindSafe for Pooled<'_, T, R> {}

impl<'p, T, R: Recycler<T>> Pooled<'p, T, R> {
    /// # Safety
    /// As [`Held::new`], with a core that lives for `'p`.
    #[inline(always)]
    pub(crate) unsafe fn new(slot: NonNull<T>) -> Pooled<'p, T, R> {
        Pooled {
            // SAFETY: as ours.
            held: unsafe { Held::new(slot) },
            pool: PhantomData,
        }
    }

    /// Takes the object out of the pool for good. [`Pool::put`] takes it back in.
    pub fn detach(self) -> T {
        self.held.detach()
    }

    /// Drops the object instead of returning it.
    pub fn discard(self) {
        self.held.discard();
    }
}

impl<T, R: Recycler<T>> Deref for Pooled<'_, T, R> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.held
    }
}

impl<T, R: Recycler<T>> DerefMut for Pooled<'_, T, R> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.held
    }
}

impl<T: fmt::Debug, R: Recycler<T>> fmt::Debug for Pooled<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// An object of a shared [`Pool`] that keeps the pool alive: `'static`, and `Send` if the object
/// is. Costs two updates of the pool's reference count more than a [`Pooled`]. Forgetting one keeps
/// the pool for ever.
///
/// ```
/// use flagstone::Pool;
/// use std::sync::Arc;
/// let pool: Arc<Pool<Vec<u8>>> = Arc::new(Pool::new(Vec::new));
/// let mut owned = pool.get_owned();
/// drop(pool);
/// std::thread::spawn(move || owned.push(1)).join().unwrap();
/// ```
///
/// The pool must be one whose objects may change threads:
/// ```compile_fail,E0277
/// # use flagstone::Pool;
/// # use std::{rc::Rc, sync::Arc};
/// let pool: Arc<Pool<Vec<Rc<u8>>>> = Arc::new(Pool::new(Vec::new));
/// let owned = pool.get_owned();
/// std::thread::spawn(move || drop(owned));
/// ```
#[must_use = "an object that is not used goes straight back to its pool"]
pub struct OwnedPooled<T, R: Recycler<T> = RecycleTrait> {
    /// Before `pool`, which it needs to go back: fields drop in order.
    held: Held<'static, T, R>,
    pool: Arc<Pool<T, R>>,
}

impl<T: UnwindSafe, R: Recycler<T>> UnwindSafe for OwnedPooled<T, R> {}
impl<T: RefUnwindSafe, R: Recycler<T>> RefUnwindSafe for OwnedPooled<T, R> {}

impl<T, R: Recycler<T>> OwnedPooled<T, R> {
    /// # Safety
    /// As [`Held::new`], with a slot of this pool's core.
    pub(crate) unsafe fn new(slot: NonNull<T>, pool: Arc<Pool<T, R>>) -> OwnedPooled<T, R> {
        OwnedPooled {
            // SAFETY: as ours; `pool` keeps the core alive and drops after `held`.
            held: unsafe { Held::new(slot) },
            pool,
        }
    }

    /// Takes the object out of the pool for good.
    pub fn detach(self) -> T {
        self.held.detach()
    }

    /// Drops the object instead of returning it.
    pub fn discard(self) {
        self.held.discard();
    }

    /// The pool it came from.
    pub fn pool(&self) -> &Arc<Pool<T, R>> {
        &self.pool
    }
}

impl<T, R: Recycler<T>> Deref for OwnedPooled<T, R> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.held
    }
}

impl<T, R: Recycler<T>> DerefMut for OwnedPooled<T, R> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.held
    }
}

impl<T: fmt::Debug, R: Recycler<T>> fmt::Debug for OwnedPooled<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
