//! [`PoolBuilder`]: the choices of a pool, and the bounds that follow from them.
//!
//! Owns a plan until it is built. Knows nothing of shards but how many there may be.

use core::fmt;
use core::ops::RangeInclusive;

use std::thread;

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pages::Pages;
use crate::pool::magazine::MAGAZINE_SLOTS;
use crate::pool::recycle::{Keep, RecycleHook, RecycleTrait, Recycler};
use crate::pool::shared::{Pool, assert_fits};
use crate::pool::store::{Bounds, shard_slots};
use crate::pool::typed::{Create, Plan};

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
            name: None,
        }
    }
}

impl<T, R> PoolBuilder<T, R> {
    /// Recycles objects by a function instead of [`Recycle`](crate::Recycle): for types of other
    /// crates, or with a policy of your own. The pool's type becomes `Pool<T, RecycleHook<T>>`.
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
        PoolBuilder {
            create: self.create,
            recycler: RecycleHook::new(hook),
            pages: self.pages,
            idle: self.idle,
            live_max: self.live_max,
            name: self.name,
        }
    }

    /// Idle objects: [`tick`](Pool::tick) leaves the lower number, and more than the higher number
    /// are never kept, the shards of all threads counted. At most half of the higher number goes to
    /// the shards: with a small one magazines are short, and some threads (below 6: all of them)
    /// have no shard and take turns at the depot.
    /// Default: 0 to 4096, fewer when they would come to more than 64 MiB.
    pub fn idle(mut self, objects: RangeInclusive<usize>) -> Self {
        self.idle = Some(objects);
        self
    }

    /// Guards at a time, exactly. One more makes [`try_get`](Pool::try_get) answer `None` and
    /// [`get`](Pool::get) panic. The count costs each get and put an atomic update and a search, a
    /// few nanoseconds each. Default: no bound.
    pub fn max_live(mut self, objects: usize) -> Self {
        // The highest number stands for "no bound"; memory ends long before.
        self.live_max = objects.min(usize::MAX - 1);
        self
    }

    /// Where the slots come from, and whose limit the pool answers: when 90 % of it is passed, idle
    /// objects are dropped, by whoever next gets or puts one beyond its magazines, and by every
    /// thread at its next get. Default: [`Pages::global`].
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
    let processors = processors();
    let by_bytes = (MAGAZINE_BYTES / size_of::<T>().max(1)).clamp(1, MAGAZINE_SLOTS);
    // Half of what may be idle, two magazines for each processor.
    let by_idle = (idle_max / 2 / (2 * processors)).max(1);
    let magazine_slots = by_bytes.min(by_idle);
    let shards_max = (idle_max / 2 / shard_slots(magazine_slots))
        .min(SHARDS_FLOOR.max(SHARDS_PER_PROCESSOR * processors));
    Bounds {
        idle_min: idle_min.min(idle_max),
        idle_max,
        live_max,
        magazine_slots,
        shards_max,
    }
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
