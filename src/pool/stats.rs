//! The figures of a pool, as plain values.
#![forbid(unsafe_code)]

use core::fmt;

/// What a pool has done so far and holds now, from [`Pool::stats`](crate::Pool::stats).
///
/// Each figure is exact when no other thread is inside the pool; a snapshot taken meanwhile may mix
/// moments, as each figure is read once and nothing is stopped. Gets through a thread's shard are
/// counted by that thread alone, without atomic updates; everything else on slow paths.
///
/// ```
/// use flagstone::Pool;
/// let pool: Pool<Vec<u8>> = Pool::new(Vec::new);
/// drop(pool.get());
/// let held = pool.get();
/// let stats = pool.stats();
/// assert_eq!((stats.gets, stats.hits, stats.creates), (2, 1, 1));
/// assert_eq!((stats.outstanding, stats.idle), (1, 0));
/// # drop(held);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Objects handed out: `hits`, and those created for the purpose.
    pub gets: u64,
    /// Gets that an idle object served.
    pub hits: u64,
    /// Calls of the pool's `create` that returned, prefilled objects included.
    pub creates: u64,
    /// Objects in guards now (and objects whose guards were forgotten).
    pub outstanding: u64,
    /// Objects that wait for the next get.
    pub idle: u64,
    /// Bytes of the idle objects themselves; what they own is not seen.
    pub idle_bytes: u64,
    /// Magazines that went into or out of the depot.
    pub exchanges: u64,
    /// Threads' shards there are.
    pub shards: u64,
    /// Objects dropped by the pool.
    pub drops: PoolDrops,
}

/// Objects a pool has dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolDrops {
    /// The pool had as many idle objects as it may.
    pub full: u64,
    /// `recycle` answered [`Keep::Discard`](crate::Keep::Discard), or the guard was discarded.
    pub discarded: u64,
    /// The guard was dropped by a panic, or `recycle` panicked.
    pub poisoned: u64,
    /// Another thread had the depot.
    pub contended: u64,
    /// `trim`, `clear` or `tick`, or 90 % of the pages' limit was passed.
    pub trimmed: u64,
}

impl PoolStats {
    /// Part of the gets that an idle object served, 0 to 1; 0 before the first get.
    pub fn hit_rate(&self) -> f64 {
        if self.gets == 0 {
            return 0.0;
        }
        self.hits as f64 / self.gets as f64
    }
}

impl PoolDrops {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.full + self.discarded + self.poisoned + self.contended + self.trimmed
    }
}

impl fmt::Display for PoolStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PoolStats {
            gets,
            creates,
            outstanding,
            idle,
            idle_bytes,
            exchanges,
            ..
        } = self;
        let PoolDrops {
            full,
            discarded,
            poisoned,
            contended,
            trimmed,
        } = self.drops;
        let percent = 100.0 * self.hit_rate();
        writeln!(
            f,
            "gets        {gets} ({percent:.1} % hits), {creates} created"
        )?;
        writeln!(
            f,
            "objects     {outstanding} out, {idle} idle ({idle_bytes} bytes)"
        )?;
        writeln!(
            f,
            "exchanges   {exchanges} between {} shards and the depot",
            self.shards
        )?;
        write!(
            f,
            "dropped     {full} full, {discarded} discarded, {poisoned} poisoned, \
             {contended} contended, {trimmed} trimmed"
        )
    }
}
