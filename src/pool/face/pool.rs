//! [`Pool`]: the object a user sees, and when its core comes to be.
//!
//! Owns the plan until the first use and the core from then on. All work is the core's.
//!
//! I1: `core` is `NO_CORE`, or points at a live core that this pool alone frees, and does not
//! change any more. It is set under the lock of `plan`, which is `None` from then on.
//! I2: a pool is `Sync` only when its objects are `Send`: a shared pool moves them between threads.

use core::fmt;
use core::panic::{Location, RefUnwindSafe, UnwindSafe};
use core::ptr::{self, NonNull};

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::base::error::AllocError;
use crate::base::sync::{AtomicPtr, AtomicUsize, Ordering};
use crate::base::trap;
use crate::pool::exchange::leases::{self, Way};
use crate::pool::exchange::store::lock;
use crate::pool::face::asking::GetError;
use crate::pool::face::builder::{PoolBuilder, default_bounds};
use crate::pool::face::guards::{OwnedPooled, Pooled};
use crate::pool::face::local::LocalHandle;
use crate::pool::life::pool_core::{CoreRoom, Create, Plan, PoolCore, Refusal};
use crate::pool::life::recycle::{Recycle, RecycleTrait, Recycler};
use crate::pool::stock::id::NO_ID;
use crate::pool::watch::discipline::Choices;
use crate::pool::watch::stats::PoolStats;

/// What a pool without a core looks at for the last event: one that no seat serves.
static NO_CORE: AtomicUsize = AtomicUsize::new(NO_ID);

/// Recycles objects that are costly to build, from any number of threads.
///
/// Each thread keeps what it returns in a shard of its own, so that a get and a put touch neither a
/// lock nor an atomic read-modify-write; whole magazines of up to 63 objects wander between threads
/// through a depot. What was returned last is handed out first, while it is still in the cache.
/// After Bonwick and Adams, "Magazines and Vmem" (USENIX 2001).
///
/// Pool what is dear to build, lives shortly and can be reset. A pool may drop an idle object at
/// any time and may call `create` at any get: keep nothing in it that must survive. In doubt ask
/// [`health`](Self::health), then [`leak_suspects`](Self::leak_suspects), then
/// [`advice`](Self::advice).
///
/// Objects sit in slots of the crate's slabs, so they never move, and trimming returns their pages.
/// The idle ones are bounded (see [`PoolBuilder::idle`]). A thread that stops leaves its objects to
/// the others; one that sleeps keeps up to two magazines. More threads than shards, a contended
/// depot or a thread that is being torn down cost speed or an extra object, never a panic. A child
/// process forked while another thread makes or drops an object may wait for that thread for ever,
/// as with any lock: fork while the pool rests, or build another one in the child.
///
/// Objects of less than 1 MiB, aligned up to 4096; put larger ones in a `Box`. Each takes whole
/// cache lines, or multiples of its alignment, with room for a word of the pool's behind it: one
/// that fills its alignment of 4096 takes two pages, and is better off in a `Box`, too.
///
/// ```
/// use flagstone::Pool;
/// static BUFFERS: Pool<Vec<u8>> = Pool::new(|| Vec::with_capacity(4096));
/// {
///     let mut buffer = BUFFERS.get();
///     buffer.extend_from_slice(b"hello");
/// } // cleared and returned
/// assert!(BUFFERS.get().capacity() >= 4096);
/// assert_eq!(BUFFERS.stats().creates, 1);
/// ```
///
/// A pool whose objects must stay on their thread stays there with them:
/// ```compile_fail,E0277
/// static P: flagstone::Pool<Vec<std::rc::Rc<u8>>> = flagstone::Pool::new(Vec::new);
/// ```
/// and so does one whose functions do, which is why the builder takes no others:
/// ```compile_fail,E0277
/// # use flagstone::Pool;
/// let calls = std::rc::Rc::new(0);
/// let pool: Pool<Vec<u8>> = Pool::builder_with(move || Vec::with_capacity(*calls)).build();
/// ```
/// ```compile_fail,E0277
/// # use flagstone::{Keep, Pool};
/// let calls = std::cell::Cell::new(0);
/// let count = move |_: &mut Vec<u8>| { calls.set(calls.get() + 1); Keep::Yes };
/// let pool = Pool::builder(Vec::<u8>::new).recycle_with(count).build();
/// ```
/// Nobody gets a dirty object: those that do not say how to recycle them need a hook:
/// ```compile_fail,E0277
/// let pool = flagstone::Pool::new(|| 5u8);
/// ```
/// Too large an object is refused when it is compiled:
/// ```compile_fail,E0080
/// use flagstone::Pool;
/// let pool: Pool<[Vec<u8>; 50_000]> = Pool::new(|| [const { Vec::new() }; 50_000]);
/// ```
pub struct Pool<T, R = RecycleTrait> {
    /// The core, or [`NO_CORE`]: either begins with the last event.
    core: AtomicPtr<PoolCore<T, R>>,
    pub(crate) plan: Mutex<Option<Plan<T, R>>>,
}

// SAFETY: a pool owns its objects and its hooks; idle objects lie in shards of other threads, which
// touch them no more once the pool is moved away from them.
unsafe impl<T: Send, R: Send> Send for Pool<T, R> {}
// SAFETY: shards and depot pass objects from thread to thread (I2), each to one at a time; the
// functions that make and recycle them are `Sync`.
unsafe impl<T: Send, R: Send + Sync> Sync for Pool<T, R> {}
// An object that saw a panic is dropped, so nobody meets a broken one later.
impl<T, R> UnwindSafe for Pool<T, R> {}
impl<T, R> RefUnwindSafe for Pool<T, R> {}

impl<T: Recycle> Pool<T> {
    /// A pool with the default bounds, whose objects are made by `create`. Allocates nothing until
    /// the first use. `create` may use the pool; a panic in it reaches the caller of `get` and
    /// changes nothing.
    ///
    /// `create` is a plain function, so that the type is `Pool<T>`; for a closure with captures see
    /// [`builder_with`](Pool::builder_with).
    pub const fn new(create: fn() -> T) -> Pool<T> {
        const { assert_fits::<T>() };
        Pool::from_plan(Plan {
            create: Create::Plain(create),
            recycler: RecycleTrait::new(),
            pages: None,
            bounds: None,
            choices: Choices::DEFAULT,
            validate_get: None,
            name: None,
        })
    }
}

impl<T> Pool<T> {
    /// Starts a pool whose objects are made by a plain function.
    pub fn builder(create: fn() -> T) -> PoolBuilder<T> {
        PoolBuilder::new(Create::Plain(create))
    }

    /// Starts a pool whose objects are made by a closure with captures.
    ///
    /// ```
    /// use flagstone::Pool;
    /// let bytes: usize = "4096".parse()?;
    /// let pool: Pool<Vec<u8>> = Pool::builder_with(move || Vec::with_capacity(bytes)).build();
    /// assert!(pool.get().capacity() >= bytes);
    /// # Ok::<(), std::num::ParseIntError>(())
    /// ```
    pub fn builder_with(create: impl Fn() -> T + Send + Sync + 'static) -> PoolBuilder<T> {
        PoolBuilder::new(Create::Boxed(Box::new(create)))
    }
}

/// Fails to compile when slots cannot be that large.
pub(crate) const fn assert_fits<T>() {
    assert!(
        align_of::<T>() <= 4096,
        "an object of a flagstone::Pool is aligned to at most 4096; put others in a Box"
    );
    assert!(
        size_of::<T>() <= 1 << 20 && PoolCore::<T, ()>::SLOT.size() <= 1 << 20,
        "an object of a flagstone::Pool has less than 1 MiB; put larger ones in a Box"
    );
}

impl<T, R> Pool<T, R> {
    pub(crate) const fn from_plan(plan: Plan<T, R>) -> Pool<T, R> {
        Pool {
            core: AtomicPtr::new((&raw const NO_CORE).cast_mut().cast()),
            plan: Mutex::new(Some(plan)),
        }
    }

    pub(crate) fn core(&self) -> Option<&PoolCore<T, R>> {
        // Acquire: pairs with `try_core`, so the core is seen whole.
        let core = self.core.load(Ordering::Acquire);
        let is_there = !ptr::addr_eq(core, &raw const NO_CORE);
        // SAFETY: alive until this pool is dropped (I1).
        is_there.then(|| unsafe { &*core })
    }

    /// The last event, of no pool before there is a core.
    #[inline(always)]
    fn last_event(&self) -> usize {
        // Acquire: as in `core`.
        let core = self.core.load(Ordering::Acquire);
        // SAFETY: `NO_CORE`, or a core that is alive (I1) and begins with that word.
        let last = unsafe { &*core.cast::<AtomicUsize>() };
        // Relaxed: as in `Events::last`.
        last.load(Ordering::Relaxed)
    }

    /// The core, made now if need be.
    pub(crate) fn try_core(&self) -> Result<&PoolCore<T, R>, AllocError> {
        match self.core() {
            Some(core) => Ok(core),
            None => self.make_core(),
        }
    }

    #[cold]
    fn make_core(&self) -> Result<&PoolCore<T, R>, AllocError> {
        // Before the lock: the process's allocator may use this very pool.
        let room = CoreRoom::try_new()?;
        let bounds = default_bounds::<T>();
        let mut plan = lock(&self.plan);
        if let Some(taken) = plan.take() {
            let core = room.fill(taken, bounds);
            // Release: pairs with `core`.
            self.core.store(core.as_ptr(), Ordering::Release);
        }
        drop(plan);
        Ok(self
            .core()
            .expect("the plan was taken, so the core is there (I1)"))
    }

    /// An object from the calling thread's shard, when there is nothing to count or to look for.
    #[inline(always)]
    pub(crate) fn pop(&self) -> Option<NonNull<T>> {
        let event = self.last_event();
        // SAFETY: the pool is borrowed.
        let slot = unsafe { leases::pop(event) };
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
        let slot = leases::pop_seated(&self.core()?.store);
        slot.map(NonNull::cast)
    }

    /// An object, after waiting for a guard's end if need be.
    #[cold]
    pub(crate) fn take_within(
        &self,
        timeout: Duration,
        at: &'static Location<'static>,
    ) -> Option<NonNull<T>> {
        let core = self.try_core().ok()?;
        let live = core.begin_live_within(timeout)?;
        core.get_counted(Way::Table, live, at).ok()
    }

    /// An idle object, or the one that `make` puts into the slot it is lent.
    ///
    /// # Safety
    /// When `make` answers `Ok` it has put an object there.
    #[cold]
    pub(crate) unsafe fn take_or_make<E>(
        &self,
        make: impl FnOnce(NonNull<T>) -> Result<(), E>,
        at: &'static Location<'static>,
    ) -> Result<NonNull<T>, GetError<E>> {
        let core = self.try_core().map_err(GetError::Memory)?;
        let live = core.begin_live()?;
        // SAFETY: as ours.
        unsafe { core.get_or_make(Way::Table, live, at, make) }
    }

    #[inline]
    fn take_slow(&self, at: &'static Location<'static>) -> Result<NonNull<T>, Refusal> {
        let core = self.try_core().map_err(Refusal::Memory)?;
        core.get_slow(Way::Table, at)
    }

    /// The panic of the infallible forms.
    #[cold]
    #[inline(never)]
    #[track_caller]
    pub(crate) fn refuse(&self, refusal: Refusal) -> ! {
        let name = self.name().unwrap_or("unnamed");
        match refusal {
            Refusal::Memory(error) => trap::refused(error),
            Refusal::Live(max) => panic!(
                "flagstone: pool `{name}` has all {max} objects of its max_live out; \
                 try_get answers None then"
            ),
        }
    }

    /// The name the builder gave.
    pub fn name(&self) -> Option<&'static str> {
        if let Some(core) = self.core() {
            return core.name();
        }
        let plan = lock(&self.plan);
        plan.as_ref().and_then(|plan| plan.name)
    }

    /// Creates objects until `count` are idle, or as many as the bounds allow, so that the first
    /// gets find some. Returns how many it made.
    ///
    /// # Panics
    /// When there is no memory for a slot; see [`try_prefill`](Self::try_prefill).
    pub fn prefill(&self, count: usize) -> usize {
        match self.try_prefill(count) {
            Ok(made) => made,
            Err(error) => trap::refused(error),
        }
    }

    /// As [`prefill`](Self::prefill).
    ///
    /// # Errors
    /// The limit that left no memory for a slot. What was made until then stays.
    pub fn try_prefill(&self, count: usize) -> Result<usize, AllocError> {
        self.try_core()?.prefill(count)
    }

    /// What the pool did so far and holds now. Waits for the depot's lock, for as long as an
    /// exchange takes.
    pub fn stats(&self) -> PoolStats {
        if let Some(core) = self.core() {
            return core.store.stats();
        }
        let plan = lock(&self.plan);
        let mode = plan.as_ref().map(|plan| plan.choices.mode);
        PoolStats {
            mode: mode.unwrap_or_default(),
            ..PoolStats::default()
        }
    }
}

impl<T, R: Recycler<T>> Pool<T, R> {
    /// An idle object, or a new one. It is recycled and returned when the guard drops.
    ///
    /// # Panics
    /// When [`max_live`](PoolBuilder::max_live) objects are out, or there is no memory for a slot:
    /// [`try_get`](Self::try_get) answers `None` then. A panic of `create` passes through.
    #[inline]
    #[track_caller]
    pub fn get(&self) -> Pooled<'_, T, R> {
        // SAFETY: `take` gives a live value of this pool away; the pool is borrowed.
        unsafe { Pooled::new(self.take()) }
    }

    /// As [`get`](Self::get); `None` when [`max_live`](PoolBuilder::max_live) objects are out or
    /// there is no memory for a slot: make an object without the pool then, or give up.
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

    /// A handle of the calling thread, with a shard of its own: the fastest way to get and put in a
    /// loop, as it looks nothing up. It cannot leave the thread. Its shard counts towards those
    /// there are; when all are taken, or every operation of the pool is looked at
    /// ([`max_live`](PoolBuilder::max_live), [`validate_get`](PoolBuilder::validate_get),
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

impl<T, R> Drop for Pool<T, R> {
    fn drop(&mut self) {
        if self.core().is_some() {
            // SAFETY: allocated by `try_new` with a `PoolCore`'s layout and ours alone (I1). No guard
            // is left: one that borrows would keep us from here, one that owns as well.
            drop(unsafe { Box::from_raw(*self.core.get_mut()) });
        }
    }
}

impl<T, R> fmt::Debug for Pool<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, stats) = (self.name(), self.stats());
        f.debug_struct("Pool")
            .field("name", &name)
            .field("stats", &stats)
            .finish_non_exhaustive()
    }
}
