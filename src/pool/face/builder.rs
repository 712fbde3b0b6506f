//! How a [`Pool`] begins: with the defaults, or by the choices of a [`PoolBuilder`].
//!
//! Owns a plan until it is built. The bounds that follow from it are in `exchange/bounds.rs`.

use core::fmt;
use core::ops::RangeInclusive;
use core::time::Duration;

use crate::pages::Pages;
use crate::pool::exchange::bounds::Bounds;
use crate::pool::face::overhead;
use crate::pool::face::pool::Pool;
use crate::pool::life::note::Noted;
use crate::pool::life::pool_core::{Create, Plan};
use crate::pool::life::recycle::{Keep, Outcome, Recycle, RecycleHook, RecycleTrait, Recycler};
use crate::pool::watch::aging::Aging;
use crate::pool::watch::leaks::LeakCheck;
use crate::pool::watch::mode::Mode;
use crate::pool::watch::oversize::{Capacity, Oversize, SizeCheck};

/// Builds a [`Pool`]; from [`Pool::builder`] or [`Pool::builder_with`].
///
/// ```
/// use flagstone::Pool;
/// let pool: Pool<Vec<u8>> = Pool::builder(Vec::new)
///     .idle(8..=256)
///     .max_live(1024)
///     .name("buffers")
///     .build();
/// assert_eq!(pool.name(), Some("buffers"));
/// ```
#[must_use = "nothing is built before `build`"]
pub struct PoolBuilder<T, R = RecycleTrait> {
    plan: Plan<T, R>,
    idle: Option<RangeInclusive<usize>>,
    live_max: usize,
}

impl<T: Recycle> Pool<T> {
    /// A pool with the default bounds, whose objects are made by `create`. Allocates nothing until
    /// the first use. `create` may use the pool; a panic in it reaches the caller of `get` and
    /// changes nothing.
    ///
    /// `create` is a plain function, so that the type is `Pool<T>`; for a closure with captures see
    /// [`builder_with`](Pool::builder_with).
    pub const fn new(create: fn() -> T) -> Pool<T> {
        const { assert_fits::<T>() };
        let (create, recycler) = (Create::Plain(create), RecycleTrait::new());
        Pool::from_plan(Plan::new(create, recycler, overhead::measured))
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

impl<T> PoolBuilder<T> {
    pub(crate) fn new(create: Create<T>) -> PoolBuilder<T> {
        PoolBuilder {
            plan: Plan::new(create, RecycleTrait::new(), overhead::measured),
            idle: None,
            live_max: usize::MAX,
        }
    }

    /// Recycles objects by a function instead of [`Recycle`](crate::Recycle): for types of other
    /// crates, or with a policy of your own. The pool's type becomes `Pool<T, RecycleHook<T>>`. The
    /// function is called through a pointer, where [`Recycle`](crate::Recycle) is compiled in.
    ///
    /// It comes before [`oversize`](PoolBuilder::oversize) and
    /// [`validate_put`](PoolBuilder::validate_put), which ask before they recycle:
    /// ```compile_fail,E0599
    /// use flagstone::{Keep, Oversize, Pool};
    /// let builder = Pool::builder(Vec::<u8>::new).oversize(Oversize::HardCap(1 << 16));
    /// let pool = builder.recycle_with(|_| Keep::Yes).build();
    /// ```
    ///
    /// ```
    /// use flagstone::{Keep, Pool};
    /// let limit = 1 << 16;
    /// let pool = Pool::builder(Vec::<u8>::new)
    ///     .recycle_with(move |buffer| {
    ///         buffer.clear();
    ///         if buffer.capacity() > limit { Keep::Discard } else { Keep::Yes }
    ///     })
    ///     .build();
    /// pool.get().reserve(1 << 20);
    /// assert_eq!(pool.stats().drops.discarded, 1);
    /// ```
    pub fn recycle_with(
        self,
        hook: impl Fn(&mut T) -> Keep + Send + Sync + 'static,
    ) -> PoolBuilder<T, RecycleHook<T>> {
        self.recycler(|_| RecycleHook::new(hook))
    }
}

impl<T, R> PoolBuilder<T, R> {
    /// Exchanges the recycler.
    fn recycler<S>(self, by: impl FnOnce(R) -> S) -> PoolBuilder<T, S> {
        let plan = self.plan;
        PoolBuilder {
            plan: Plan {
                recycler: by(plan.recycler),
                create: plan.create,
                pages: plan.pages,
                bounds: plan.bounds,
                choices: plan.choices,
                overheads: plan.overheads,
                validate_get: plan.validate_get,
                name: plan.name,
            },
            idle: self.idle,
            live_max: self.live_max,
        }
    }

    /// Drops an object that comes back too large, by what it holds and not by what was in it last.
    /// Asked before the object is recycled. What the object owns is known to
    /// [`Capacity`](crate::Capacity) alone; the slots are bounded by [`idle`](Self::idle).
    ///
    /// ```
    /// use flagstone::{Oversize, Pool};
    /// let pool = Pool::builder(Vec::<u8>::new).oversize(Oversize::HardCap(64 << 10)).build();
    /// pool.get().reserve(1 << 20);
    /// assert_eq!(pool.stats().drops.oversize, 1);
    /// ```
    pub fn oversize(self, policy: Oversize) -> PoolBuilder<T, RecycleHook<T>>
    where
        T: Capacity,
        R: Recycler<T> + 'static,
    {
        let check = SizeCheck::new(policy);
        let refuses = move |object: &T| check.refuses(object).then_some(Outcome::Oversize);
        self.recycler(|recycler| RecycleHook::over(recycler, refuses))
    }

    /// Drops an object that comes back and that `is_valid` does not accept: a connection that
    /// broke, a parser that met an error. Asked before the object is recycled.
    ///
    /// ```
    /// use flagstone::Pool;
    /// let pool = Pool::builder(Vec::<u8>::new).validate_put(|buffer| buffer.len() < 3).build();
    /// pool.get().extend([1, 2, 3]);
    /// assert_eq!(pool.stats().drops.invalid, 1);
    /// ```
    pub fn validate_put(
        self,
        is_valid: impl Fn(&T) -> bool + Send + Sync + 'static,
    ) -> PoolBuilder<T, RecycleHook<T>>
    where
        R: Recycler<T> + 'static,
    {
        let refuses = move |object: &T| (!is_valid(object)).then_some(Outcome::Invalid);
        self.recycler(|recycler| RecycleHook::over(recycler, refuses))
    }

    /// Drops an idle object that `is_valid` does not accept, and takes the next one, or a new one:
    /// for what goes bad while it waits. Every get and put then takes the slow path, some ten
    /// nanoseconds.
    ///
    /// ```
    /// use flagstone::{Keep, Pool};
    /// use std::time::{Duration, Instant};
    /// let pool = Pool::builder(Instant::now)
    ///     .recycle_with(|_| Keep::Yes)
    ///     .validate_get(|since| since.elapsed() < Duration::from_secs(60))
    ///     .build();
    /// drop(pool.get());
    /// drop(pool.get());
    /// assert_eq!(pool.stats().hits, 1);
    /// ```
    pub fn validate_get(mut self, is_valid: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.plan.validate_get = Some(Box::new(is_valid));
        self
    }

    /// How idle objects grow old. Default: [`Aging::LowWater`].
    pub fn aging(mut self, aging: Aging) -> Self {
        self.plan.choices.aging = aging;
        self
    }

    /// The least time between two ticks that the pool begins by itself, on a get beyond its
    /// thread's magazines (one in 64 looks at the clock). Default: 10 s; with [`Aging::Ttl`] that
    /// time.
    pub fn tick_every(mut self, interval: Duration) -> Self {
        self.plan.choices.tick_every = Some(interval);
        self
    }

    /// Whether to pool at all. Default: [`Mode::Auto`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.plan.choices.mode = mode;
        self
    }

    /// Which gets to look out for; see [`Pool::leak_suspects`]. A choice of the pool rather than a
    /// feature, because a feature that one crate turns on slows the pools of all others down.
    /// Default: [`LeakCheck::Sampled`].
    pub fn leak_check(mut self, check: LeakCheck) -> Self {
        self.plan.choices.leak_check = Some(check);
        self
    }

    /// Age from which on an object that is out is a suspect. Default: 10 s.
    pub fn leak_after(mut self, age: Duration) -> Self {
        self.plan.choices.leak_after = age;
        self
    }

    /// Idle objects: [`tick`](Pool::tick) leaves the lower number (a trim and pressure do not), and
    /// more than the higher number are never kept, the shards of all threads counted. At most half
    /// of the higher number goes to the shards: with a small one magazines are short, and below
    /// three objects for each processor some threads have no shard and take turns at the depot.
    /// Default: 0 to 4096, fewer when the objects themselves would come to more than 64 MiB. What
    /// they own is not counted: with [`Oversize::HardCap`] of `b` bytes at most `n * b` stay.
    ///
    /// With `a` objects in use on average, at random, `a + 2 * sqrt(a)` of them serve 92 % (of 1)
    /// to 97 % (of 64) of the gets.
    pub fn idle(mut self, objects: RangeInclusive<usize>) -> Self {
        self.idle = Some(objects);
        self
    }

    /// Guards at a time, exactly. One more counts as [`PoolStats::exhausted`](crate::PoolStats) and
    /// makes [`try_get`](Pool::try_get) answer `None`, [`get_timeout`](Pool::get_timeout) wait and
    /// [`get`](Pool::get) panic. The count costs each get and put an atomic update and a slow path,
    /// some fifteen nanoseconds each. Default: no bound.
    pub fn max_live(mut self, objects: usize) -> Self {
        // The highest number stands for "no bound"; memory ends long before.
        self.live_max = objects.min(usize::MAX - 1);
        self
    }

    /// Where the slots come from, and whose limit the pool answers: when 90 % of it is passed, idle
    /// objects are dropped, by whoever next gets or puts one beyond its magazines, and by every
    /// thread at its next get. What objects own elsewhere it does not see, and other signs of
    /// pressure (of a control group, of the system) are the program's to watch: [`Pool::trim`] is
    /// what to call then. Default: [`Pages::global`].
    pub fn pages(mut self, pages: &'static Pages) -> Self {
        self.plan.pages = Some(pages);
        self
    }

    /// A name for messages and figures.
    pub fn name(mut self, name: &'static str) -> Self {
        self.plan.name = Some(name);
        self
    }

    /// The pool. Allocates nothing until the first use.
    pub fn build(mut self) -> Pool<T, R>
    where
        R: Recycler<T>,
    {
        const { assert_fits::<T>() };
        self.plan.bounds = Some(Bounds::of::<T>(self.idle.as_ref(), self.live_max));
        Pool::from_plan(self.plan)
    }
}

impl<T, R> fmt::Debug for PoolBuilder<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let create = match self.plan.create {
            Create::Plain(_) => "function",
            Create::Boxed(_) => "closure",
        };
        f.debug_struct("PoolBuilder")
            .field("create", &create)
            .field("idle", &self.idle)
            .field("name", &self.plan.name)
            .finish_non_exhaustive()
    }
}

/// Fails to compile when slots cannot be that large.
const fn assert_fits<T>() {
    assert!(
        align_of::<T>() <= 4096,
        "an object of a flagstone::Pool is aligned to at most 4096; put others in a Box"
    );
    assert!(
        size_of::<T>() <= 1 << 20 && Noted::<T>::SLOT.size() <= 1 << 20,
        "an object of a flagstone::Pool has less than 1 MiB; put larger ones in a Box"
    );
}
