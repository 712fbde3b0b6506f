//! What a pool says about itself, as plain values.
//!
//! Owns the public snapshot, made of the sums and of what `watch/` knows.
#![forbid(unsafe_code)]

use core::fmt;

use crate::pool::exchange::store::Store;
use crate::pool::exchange::sums::PoolSums;
use crate::pool::stock::drops::Drops;
use crate::pool::watch::discipline::Discipline;
use crate::pool::watch::mode::{Mode, ModeReason};

/// What a pool has done so far and holds now, from [`Pool::stats`](crate::Pool::stats).
///
/// Each figure is exact when no other thread is inside the pool; a snapshot taken meanwhile may mix
/// moments, as each figure is read once and nothing is stopped. Gets through a thread's shard are
/// counted by that thread alone, without atomic updates; everything else on slow paths. All fields
/// are plain numbers: an exporter is a line for each.
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
    /// Objects that came back, kept or not. Those taken for good with `detach` did not.
    pub returns: u64,
    /// Objects in guards now (and objects whose guards were forgotten).
    pub outstanding: u64,
    /// The most objects there were at a time, out and idle together. Looked at when figures are
    /// asked for, at each tick, and now and then on slow paths: a short peak may be missed.
    pub high_water: u64,
    /// Objects that wait for the next get.
    pub idle: u64,
    /// Bytes of the idle objects' slots, whole cache lines; what the objects own is not seen.
    pub idle_bytes: u64,
    /// Magazines that went into or out of the depot.
    pub exchanges: u64,
    /// Times that another thread had the depot: gets that made an object instead of waiting, and
    /// puts that dropped theirs (`drops.contended`).
    pub contended: u64,
    /// The bound of [`PoolBuilder::max_live`](crate::PoolBuilder::max_live), if there is one.
    pub max_live: Option<u64>,
    /// Gets that found all of `max_live` out, after waiting if they do.
    pub exhausted: u64,
    /// Threads' shards there are.
    pub shards: u64,
    /// Objects that have been out for so long that they are suspects, reported or not; see
    /// [`Pool::leak_suspects`](crate::Pool::leak_suspects).
    pub suspects: u64,
    /// Suspects that were reported and came back after all.
    pub withdrawn: u64,
    /// Ticks so far, automatic ones included.
    pub ticks: u64,
    /// The pool's mode.
    pub mode: Mode,
    /// Why it pools or not; [`Pool::advice`](crate::Pool::advice) has the figures for it.
    pub reason: ModeReason,
    /// Objects dropped by the pool.
    pub drops: PoolDrops,
}

/// Objects a pool has dropped, by reason. Those that [`Pool::put`](crate::Pool::put) brought and
/// the pool did not keep are among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolDrops {
    /// The pool had as many idle objects as it may, or there was no memory for a magazine.
    pub full: u64,
    /// `recycle` answered [`Keep::Discard`](crate::Keep::Discard), or the guard was discarded.
    pub discarded: u64,
    /// It had grown too large for the pool's [`Oversize`](crate::Oversize).
    pub oversize: u64,
    /// A validation refused it.
    pub invalid: u64,
    /// The guard was dropped by a panic, or `recycle` panicked.
    pub poisoned: u64,
    /// Another thread had the depot, at ten tries of a put.
    pub contended: u64,
    /// `trim` or `clear`, or the pool stopped pooling.
    pub trimmed: u64,
    /// A tick, by the pool's [`Aging`](crate::Aging).
    pub aged: u64,
    /// 90 % of the pages' limit was passed.
    pub pressed: u64,
    /// It was built before the last [`new_generation`](crate::Pool::new_generation).
    pub retired: u64,
    /// It came back while the pool was bypassed, by [`Mode`], or was made past it.
    pub bypassed: u64,
}

impl PoolStats {
    /// Each number read once.
    pub(crate) fn of(store: &Store, discipline: &Discipline) -> PoolStats {
        let sums = store.sums(true).unwrap_or_default();
        let ticks = discipline.intervals.count();
        let (suspects, withdrawn) = discipline.leaks.counts(ticks);
        let (gets, outstanding) = (sums.hits + sums.made, sums.outstanding());
        let drops = PoolDrops::of(&sums);
        let bounds = &store.bounds;
        PoolStats {
            gets,
            hits: sums.hits,
            creates: sums.creates,
            returns: gets.saturating_sub(outstanding + sums.detached),
            outstanding,
            high_water: sums.high_water,
            idle: sums.idle,
            idle_bytes: sums.idle * store.slot_bytes as u64,
            exchanges: sums.exchanges,
            contended: sums.busy + drops.contended,
            max_live: bounds.counts_guards().then_some(bounds.live_max as u64),
            exhausted: sums.exhausted,
            shards: sums.shards,
            suspects,
            withdrawn,
            ticks: ticks as u64,
            mode: discipline.judge.mode(),
            reason: discipline.judge.why(),
            drops,
        }
    }

    /// Part of the gets that an idle object served, 0 to 1; 0 before the first get.
    pub fn hit_rate(&self) -> f64 {
        if self.gets == 0 {
            return 0.0;
        }
        self.hits as f64 / self.gets as f64
    }
}

impl PoolDrops {
    fn of(sums: &PoolSums) -> PoolDrops {
        let dropped = |reason| sums.dropped(&[reason]);
        PoolDrops {
            full: dropped(Drops::Full),
            discarded: dropped(Drops::Discarded),
            oversize: dropped(Drops::Oversize),
            invalid: dropped(Drops::Invalid),
            poisoned: dropped(Drops::Poisoned),
            contended: dropped(Drops::Contended),
            trimmed: dropped(Drops::Trimmed),
            aged: dropped(Drops::Aged),
            pressed: dropped(Drops::Pressed),
            retired: dropped(Drops::Retired),
            bypassed: dropped(Drops::Bypassed),
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        let refused = self.discarded + self.oversize + self.invalid + self.poisoned;
        let given_up = self.trimmed + self.aged + self.pressed + self.retired;
        self.full + self.contended + refused + given_up + self.bypassed
    }
}

impl fmt::Display for PoolStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PoolStats {
            gets,
            creates,
            returns,
            outstanding,
            high_water,
            idle,
            idle_bytes,
            exchanges,
            contended: busy,
            shards,
            ..
        } = self;
        let PoolDrops {
            full,
            discarded,
            oversize,
            invalid,
            poisoned,
            contended,
            trimmed,
            aged,
            pressed,
            retired,
            bypassed,
        } = self.drops;
        let percent = 100.0 * self.hit_rate();
        writeln!(
            f,
            "gets        {gets} ({percent:.1} % hits), {creates} created, {returns} returned"
        )?;
        writeln!(
            f,
            "objects     {outstanding} out, {idle} idle ({idle_bytes} bytes), {high_water} at most"
        )?;
        writeln!(
            f,
            "exchanges   {exchanges} between {shards} shards and the depot, {busy} found it busy"
        )?;
        writeln!(
            f,
            "dropped     {full} full, {discarded} discarded, {oversize} oversize, \
             {invalid} invalid, {poisoned} poisoned, {contended} contended,"
        )?;
        writeln!(
            f,
            "            {trimmed} trimmed, {aged} aged, {pressed} pressed, {retired} retired, \
             {bypassed} bypassed"
        )?;
        write!(f, "mode        {:?}: {:?}", self.mode, self.reason)
    }
}
