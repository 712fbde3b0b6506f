//! [`Pool`]: the object a user sees, when its core comes to be, and what is done to it beside
//! getting and putting (`asking.rs`).
//!
//! Owns the plan until the first use and the core from then on. All work is the core's.
//!
//! I1: `core` is `NO_CORE`, or points at a live core that this pool alone frees, and does not
//! change any more. It is set under the lock of `plan`, which is `None` from then on.
//! I2: a pool is `Sync` only when its objects are `Send`: a shared pool moves them between threads.

use core::fmt;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr;

use std::sync::Mutex;

use crate::base::error::AllocError;
use crate::base::lock::lock;
use crate::base::sync::{AtomicPtr, AtomicUsize, Ordering};
use crate::base::trap;
use crate::pool::exchange::bounds::Bounds;
use crate::pool::life::pool_core::{CoreRoom, Plan, PoolCore};
use crate::pool::life::recycle::RecycleTrait;
use crate::pool::stock::drops::Drops;
use crate::pool::stock::id::NO_ID;
use crate::pool::watch::advice::Advice;
use crate::pool::watch::health::Health;
use crate::pool::watch::leaks::LeakSuspect;
use crate::pool::watch::mode::Mode;
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
/// The idle ones are bounded (see [`PoolBuilder::idle`](crate::PoolBuilder::idle)). A thread that
/// stops leaves its objects to the others; one that sleeps keeps up to two magazines. More threads
/// than shards, a contended depot or a thread that is being torn down cost speed or an extra
/// object, never a panic. A child process forked while another thread makes or drops an object may
/// wait for that thread for ever, as with any lock: fork while the pool rests, or build another one
/// in the child.
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
    plan: Mutex<Option<Plan<T, R>>>,
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

impl<T, R> Pool<T, R> {
    pub(crate) const fn from_plan(plan: Plan<T, R>) -> Pool<T, R> {
        Pool {
            core: AtomicPtr::new((&raw const NO_CORE).cast_mut().cast()),
            plan: Mutex::new(Some(plan)),
        }
    }

    pub(super) fn core(&self) -> Option<&PoolCore<T, R>> {
        // Acquire: pairs with `try_core`, so the core is seen whole.
        let core = self.core.load(Ordering::Acquire);
        let is_there = !ptr::addr_eq(core, &raw const NO_CORE);
        // SAFETY: alive until this pool is dropped (I1).
        is_there.then(|| unsafe { &*core })
    }

    /// The last event, of no pool before there is a core.
    #[inline(always)]
    pub(super) fn last_event(&self) -> usize {
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
        let bounds = Bounds::of::<T>(None, usize::MAX);
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

    /// Drops idle objects until at most `keep` are left, those used last, gives pages that are
    /// empty then back to the page source, which returns them to the operating system after its
    /// delay, and returns the number of objects dropped. What they owned goes back to the allocator
    /// it came from, and some of those keep it. Objects that other running threads have in their
    /// shards follow at those threads' next get, or sooner: what does not fit in `keep` then is
    /// dropped; of several trims that a thread missed, in the `keep` of the last.
    ///
    /// ```
    /// use flagstone::Pool;
    /// let pool: Pool<Vec<u8>> = Pool::new(Vec::new);
    /// pool.prefill(100);
    /// assert_eq!(pool.trim(10), 90);
    /// assert_eq!(pool.stats().idle, 10);
    /// ```
    pub fn trim(&self, keep: usize) -> usize {
        self.core()
            .map_or(0, |core| core.trim(keep, Drops::Trimmed))
    }

    /// Drops every idle object: `trim(0)`. Objects in guards come back as usual; for a change that
    /// makes all of them wrong there is [`new_generation`](Self::new_generation), and to close a
    /// pool [`set_mode`](Self::set_mode) with [`Mode::Never`].
    pub fn clear(&self) {
        self.trim(0);
    }

    /// Says that an interval of your choice is over (a second, a batch): objects that nobody needed
    /// are dropped as the pool's [`Aging`](crate::Aging) says, down to the lower end of
    /// [`PoolBuilder::idle`](crate::PoolBuilder::idle), and pages that are empty then go back. By
    /// default that forgets a burst in a few intervals and keeps the working set. Returns the
    /// number of objects dropped.
    ///
    /// A pool that is in use ticks by itself, too (see
    /// [`PoolBuilder::tick_every`](crate::PoolBuilder::tick_every)). One that stands still does
    /// not: let a timer call this. Of the objects in the magazines of running threads the colder
    /// half takes part, at each thread's next get.
    pub fn tick(&self) -> usize {
        self.core().map_or(0, |core| core.tick(true))
    }

    /// Retires every object built until now: for a new configuration, a new schema, a key that was
    /// changed. The idle ones are dropped at once, those in magazines of other running threads at
    /// the thread's next get, and those in guards when they come back, or at the next get of a
    /// thread that has not heard of it by then; none is handed out again.
    /// Returns the number of objects dropped.
    ///
    /// ```
    /// use flagstone::Pool;
    /// let pool: Pool<Vec<u8>> = Pool::new(Vec::new);
    /// pool.prefill(3);
    /// let out = pool.get();
    /// assert_eq!(pool.new_generation(), 2);
    /// drop(out);
    /// assert_eq!((pool.stats().idle, pool.stats().drops.retired), (0, 3));
    /// ```
    pub fn new_generation(&self) -> usize {
        self.core().map_or(0, PoolCore::new_generation)
    }

    /// Changes when the pool uses what it gets back. With [`Mode::Never`] idle objects are dropped,
    /// as by [`clear`](Self::clear); those in guards are dropped when they come back, but for what
    /// another thread or a [`local`](Self::local) handle puts back before its next get, which drops
    /// it.
    pub fn set_mode(&self, mode: Mode) {
        let mut plan = lock(&self.plan);
        if let Some(plan) = &mut *plan {
            plan.choices.mode = mode;
            return;
        }
        drop(plan);
        if let Some(core) = self.core() {
            core.set_mode(mode);
        }
    }

    /// Whether reuse pays, by the costs that were measured.
    ///
    /// ```
    /// use flagstone::Pool;
    /// let pool: Pool<Vec<u8>> = Pool::new(|| Vec::with_capacity(4096));
    /// for _ in 0..100 {
    ///     pool.get().push(1);
    /// }
    /// println!("{}", pool.advice());
    /// ```
    pub fn advice(&self) -> Advice {
        self.core().map(PoolCore::advice).unwrap_or_default()
    }

    /// Whether objects come back, creates are steady and threads do not wait for each other.
    pub fn health(&self) -> Health {
        self.core().map(PoolCore::health).unwrap_or_default()
    }

    /// Objects that have been out for more than ten seconds (see
    /// [`PoolBuilder::leak_after`](crate::PoolBuilder::leak_after)) and two [ticks](Self::tick), of
    /// those that the pool looks out for ([`LeakCheck`](crate::LeakCheck)). Each is reported once,
    /// and withdrawn when it comes back: `PoolStats::withdrawn` counts the reports that proved
    /// wrong. How many gets are looked out for does not grow with the load: it is a part of those
    /// beyond the magazines.
    ///
    /// ```
    /// use flagstone::{LeakCheck, Pool};
    /// use std::time::Duration;
    /// let pool: Pool<Vec<u8>> = Pool::builder(Vec::new)
    ///     .leak_check(LeakCheck::Every)
    ///     .leak_after(Duration::ZERO)
    ///     .build();
    /// std::mem::forget(pool.get());
    /// pool.tick();
    /// pool.tick();
    /// for suspect in pool.leak_suspects() {
    ///     println!("{suspect}");
    ///     assert_eq!(suspect.location.file(), file!());
    /// }
    /// ```
    pub fn leak_suspects(&self) -> Vec<LeakSuspect> {
        self.core().map(PoolCore::leak_suspects).unwrap_or_default()
    }

    /// What the pool did so far and holds now. Waits for the depot's lock, for as long as an
    /// exchange takes.
    pub fn stats(&self) -> PoolStats {
        if let Some(core) = self.core() {
            return core.stats();
        }
        let plan = lock(&self.plan);
        let mode = plan.as_ref().map(|plan| plan.choices.mode);
        PoolStats {
            mode: mode.unwrap_or_default(),
            ..PoolStats::default()
        }
    }
}

impl<T, R> Drop for Pool<T, R> {
    fn drop(&mut self) {
        if self.core().is_some() {
            // SAFETY: allocated by `try_new` with a `PoolCore`'s layout and ours alone (I1). No
            // guard is left: one that borrows would keep us from here, one that owns as well.
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
