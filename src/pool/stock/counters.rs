//! What is counted: by a shard's holder in the shard, by everybody else in the pool.
//!
//! Owns the counters. Relaxed throughout, because they order nothing. What they come to is added up
//! in `exchange/sums.rs`.
//!
//! I1: only its holder counts in a shard, so a plain increment loses nothing there.
#![forbid(unsafe_code)]

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::stock::drops::Drops;

/// See the module.
#[derive(Default)]
pub(crate) struct Counter(AtomicUsize);

impl Counter {
    /// Counts one more, by the only one who writes (I1). Returns how many there were.
    #[inline(always)]
    pub(crate) fn count(&self) -> usize {
        let so_far = self.get();
        self.0.store(so_far.wrapping_add(1), Ordering::Relaxed);
        so_far
    }

    /// Counts one more, by anybody. Returns how many there were.
    pub(crate) fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether the `nth` event is measured: the first ones, and few of the others.
pub(crate) fn is_sampled(nth: usize) -> bool {
    // Two clock readings take 50 ns: half a nanosecond for each event.
    nth < 32 || nth % 128 == 0
}

/// A shard's, beside its gets (I1).
#[derive(Default)]
pub(crate) struct ShardCounters {
    /// Objects made for gets.
    pub(crate) made: Counter,
    /// Objects dropped for want of room, because the pool was bypassed, and because they were
    /// discarded.
    pub(crate) full: Counter,
    pub(crate) bypassed: Counter,
    pub(crate) discarded: Counter,
    /// Objects that their users discarded, among the drops.
    pub(crate) given_up: Counter,
    /// Gets beyond the magazines.
    visits: Counter,
}

/// A pool's: of threads without a shard, and of what is rare.
#[derive(Default)]
pub(crate) struct PoolCounters {
    pub(crate) made: Counter,
    /// Objects made for later.
    pub(crate) prefilled: Counter,
    pub(crate) adopted: Counter,
    pub(crate) detached: Counter,
    pub(crate) given_up: Counter,
    /// Idle objects taken out for a get that did not hand them out. The get goes on.
    pub(crate) refused: Counter,
    /// Gets that found the depot busy and made an object instead.
    pub(crate) busy: Counter,
    /// Gets that found all of `max_live` out.
    pub(crate) exhausted: Counter,
    high_water: AtomicUsize,
    visits: Counter,
    pub(crate) drops: [Counter; Drops::ALL.len()],
}

impl PoolCounters {
    /// Counts an object made for a get.
    pub(crate) fn on_miss(&self, shard: Option<&impl AsRef<ShardCounters>>) {
        match shard {
            Some(shard) => shard.as_ref().made.count(),
            None => self.made.add(),
        };
    }

    /// Objects made for gets so far: by this shard, or by threads without one.
    pub(crate) fn made(&self, shard: Option<&impl AsRef<ShardCounters>>) -> usize {
        shard.map_or(&self.made, |shard| &shard.as_ref().made).get()
    }

    /// Counts an object that its user discards.
    pub(crate) fn on_give_up(&self, shard: Option<&impl AsRef<ShardCounters>>) {
        match shard {
            Some(shard) => shard.as_ref().given_up.count(),
            None => self.given_up.add(),
        };
    }

    /// Counts a drop. Returns whether it is to be measured.
    pub(crate) fn on_drop(&self, shard: Option<&impl AsRef<ShardCounters>>, reason: Drops) -> bool {
        let before = match (shard, reason) {
            (Some(shard), Drops::Full) => shard.as_ref().full.count(),
            (Some(shard), Drops::Bypassed) => shard.as_ref().bypassed.count(),
            (Some(shard), Drops::Discarded) => shard.as_ref().discarded.count(),
            _ => self.drops[reason as usize].add(),
        };
        reason.is_after_use() && is_sampled(before)
    }

    /// Counts a get beyond the magazines; how many there were before.
    pub(crate) fn on_visit(&self, shard: Option<&impl AsRef<ShardCounters>>) -> usize {
        match shard {
            Some(shard) => shard.as_ref().visits.count(),
            None => self.visits.add(),
        }
    }

    /// Notes how many objects there are; the most there were.
    pub(crate) fn note_high_water(&self, there: usize) -> usize {
        let before = self.high_water.fetch_max(there, Ordering::Relaxed);
        before.max(there)
    }
}
