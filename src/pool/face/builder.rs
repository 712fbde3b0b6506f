//! [`PoolBuilder`]: the choices of a pool, and the bounds that follow from them.
//!
//! Owns a plan until it is built. Knows nothing of shards but how many there may be.

use core::fmt;
use core::ops::RangeInclusive;
use core::time::Duration;

use std::thread;

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pages::Pages;
use crate::pool::exchange::store::{Bounds, shard_slots};
use crate::pool::face::pool::{Pool, assert_fits};
use crate::pool::life::pool_core::{Create, Plan, Validate};
use crate::pool::life::recycle::{Keep, Outcome, RecycleHook, RecycleTrait, Recycler};
use crate::pool::stock::magazine::MAGAZINE_SLOTS;
use crate::pool::watch::aging::Aging;
use crate::pool::watch::discipline::Choices;
use crate::pool::watch::leaks::LeakCheck;
use crate::pool::watch::mode::Mode;
use crate::pool::watch::oversize::{Capacity, Judge, Oversize};

/// Idle objects a pool keeps unless told otherwise: what 16 threads keep in full shards, and the
/// same again in the depot. A burst beyond that is rare enough to be built anew.
const IDLE_MAX: usize = 4096;

/// Bytes of idle objects a pool keeps unless told otherwise: the count above for objects of up to
/// 16 KiB. Twice as much is what a small container has in all.
const IDLE_BYTES: usize = 64 << 20;

/// Idle objects that even a pool of the largest keeps unless told otherwise: one for each of a few
/// threads and some in the depot.
const IDLE_FLOOR: usize = 16;

/// Bytes of objects in one magazine at most, so that an idle thread strands no more than half a
/// MiB: up to 4 KiB the magazine is full length, objects of 1 MiB come one by one.
const MAGAZINE_BYTES: usize = 256 << 10;

/// Shards that a pool may have on a machine with few processors: threads outnumber those there, and
/// a shard costs some 700 bytes.
const SHARDS_FLOOR: usize = 16;

/// Shards for each processor: worker threads come to one or two, and the rest wait for something.
const SHARDS_PER_PROCESSOR: usize = 4;

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
    create: Create<T>,
    recycler: R,
    pages: Option<&'static Pages>,
    idle: Option<RangeInclusive<usize>>,
    live_max: usize,
    choices: Choices,
    validate_get: Option<Validate<T>>,
    name: Option<&'static str>,
}

impl<T> PoolBuilder<T> {
    pub(crate) fn new(create: Create<T>) -> PoolBuilder<T> {
        PoolBuilder {
            create,
            recycler: RecycleTrait::new(),
            pages: None,
            idle: None,
            live_max: usize::MAX,
            choices: Choices::DEFAULT,
            validate_get: None,
            name: None,
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
        PoolBuilder {
            create: self.create,
            recycler: by(self.recycler),
            pages: self.pages,
            idle: self.idle,
            live_max: self.live_max,
            choices: self.choices,
            validate_get: self.validate_get,
            name: self.name,
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
        let judge = Judge::new(policy);
        let refuses = move |object: &T| judge.refuses(object).then_some(Outcome::Oversize);
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
        self.choices.validates_gets = true;
        self.validate_get = Some(Box::new(is_valid));
        self
    }

    /// How idle objects grow old. Default: [`Aging::LowWater`].
    pub fn aging(mut self, aging: Aging) -> Self {
        self.choices.aging = aging;
        self
    }

    /// The least time between two ticks that the pool begins by itself, on a get beyond its
    /// thread's magazines (one in 64 looks at the clock). Default: 10 s; with [`Aging::Ttl`] that
    /// time.
    pub fn tick_every(mut self, interval: Duration) -> Self {
        self.choices.tick_every = Some(interval);
        self
    }

    /// Whether to pool at all. Default: [`Mode::Auto`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.choices.mode = mode;
        self
    }

    /// Which gets to look out for; see [`Pool::leak_suspects`]. A choice of the pool rather than a
    /// feature, because a feature that one crate turns on slows the pools of all others down.
    /// Default: [`LeakCheck::Sampled`].
    pub fn leak_check(mut self, check: LeakCheck) -> Self {
        self.choices.leak_check = Some(check);
        self
    }

    /// Age from which on an object that is out is a suspect. Default: 10 s.
    pub fn leak_after(mut self, age: Duration) -> Self {
        self.choices.leak_after = age;
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
        self.pages = Some(pages);
        self
    }

    /// A name for messages and figures.
    pub fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// The pool. Allocates nothing until the first use.
    pub fn build(self) -> Pool<T, R>
    where
        R: Recycler<T>,
    {
        const { assert_fits::<T>() };
        let (min, max) = match &self.idle {
            Some(range) => (*range.start(), *range.end()),
            None => (0, default_idle_max::<T>()),
        };
        Pool::from_plan(Plan {
            create: self.create,
            recycler: self.recycler,
            pages: self.pages,
            bounds: Some(bounds::<T>(min, max, self.live_max)),
            choices: self.choices,
            validate_get: self.validate_get,
            name: self.name,
        })
    }
}

impl<T, R> fmt::Debug for PoolBuilder<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let create = match self.create {
            Create::Plain(_) => "function",
            Create::Boxed(_) => "closure",
        };
        f.debug_struct("PoolBuilder")
            .field("create", &create)
            .field("idle", &self.idle)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The bounds of a pool that says nothing.
pub(crate) fn default_bounds<T>() -> Bounds {
    bounds::<T>(0, default_idle_max::<T>(), usize::MAX)
}

fn default_idle_max<T>() -> usize {
    (IDLE_BYTES / size_of::<T>().max(1)).clamp(IDLE_FLOOR, IDLE_MAX)
}

fn bounds<T>(idle_min: usize, idle_max: usize, live_max: usize) -> Bounds {
    let by_bytes = (MAGAZINE_BYTES / size_of::<T>().max(1)).clamp(1, MAGAZINE_SLOTS);
    let (magazine_slots, shards_max) = divide(idle_max, by_bytes, processors());
    Bounds {
        idle_min: idle_min.min(idle_max),
        idle_max,
        live_max,
        magazine_slots,
        shards_max,
    }
}

/// How half of what may be idle is divided: slots of a magazine, at most `by_bytes` and so few that
/// there is a shard for each processor, and how many shards there are then.
fn divide(idle_max: usize, by_bytes: usize, processors: usize) -> (usize, usize) {
    let for_shards = idle_max / 2;
    // Two magazines and the warmest slot (`shard_slots`).
    let by_idle = (for_shards / processors).saturating_sub(1) / 2;
    let magazine_slots = by_bytes.min(by_idle.max(1));
    let shards_max = for_shards / shard_slots(magazine_slots);
    let shards_useful = SHARDS_FLOOR.max(SHARDS_PER_PROCESSOR * processors);
    (magazine_slots, shards_max.min(shards_useful))
}

/// Processors the process may use, asked once: the answer takes some 10 us of reading files.
fn processors() -> usize {
    static PROCESSORS: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: a plain number; two threads that ask at once store the same one.
    let known = PROCESSORS.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    let asked = thread::available_parallelism().map_or(1, usize::from);
    PROCESSORS.store(asked, Ordering::Relaxed);
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_processor_gets_a_shard_where_the_bound_has_room_for_them() {
        for processors in [1, 2, 3, 4, 16, 64, 192] {
            for idle_max in [0, 1, 5, 6, 16, 64, 100, 256, 1000, 4096, 100_000] {
                let (slots, shards) = divide(idle_max, MAGAZINE_SLOTS, processors);
                let asked = (idle_max, processors);
                assert!(shards * shard_slots(slots) <= idle_max / 2, "{asked:?}");
                let fits = idle_max / 2 >= processors * shard_slots(1);
                assert!(!fits || shards >= processors, "{asked:?}");
            }
        }
        assert_eq!(divide(4096, MAGAZINE_SLOTS, 2), (MAGAZINE_SLOTS, 16));
    }
}
