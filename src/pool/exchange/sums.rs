//! What a pool has done and holds, added up over its shards.
//!
//! Owns the snapshot: plain numbers, each read once.
#![forbid(unsafe_code)]

use crate::base::lock::lock_or_try;
use crate::pool::exchange::store::Store;
use crate::pool::stock::drops::Drops;
use crate::pool::stock::shard::Shard;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PoolSums {
    /// Gets that an idle object served, and objects made for gets.
    pub(crate) hits: u64,
    pub(crate) made: u64,
    /// And those made for later.
    pub(crate) creates: u64,
    pub(crate) adopted: u64,
    pub(crate) detached: u64,
    pub(crate) given_up: u64,
    pub(crate) idle: u64,
    pub(crate) high_water: u64,
    pub(crate) exchanges: u64,
    pub(crate) busy: u64,
    pub(crate) exhausted: u64,
    pub(crate) shards: u64,
    drops: [u64; Drops::ALL.len()],
}

impl PoolSums {
    /// Objects in guards.
    pub(crate) fn outstanding(&self) -> u64 {
        let gone = self.dropped(&Drops::ALL) + self.detached + self.idle;
        (self.creates + self.adopted).saturating_sub(gone)
    }

    /// Objects dropped for any of these reasons.
    pub(crate) fn dropped(&self, reasons: &[Drops]) -> u64 {
        reasons.iter().map(|why| self.drops[*why as usize]).sum()
    }

    /// Objects that came back and were dropped, or were taken for good: creates that reuse did not
    /// save. Those dropped for age or memory are not among them.
    pub(crate) fn losses(&self) -> u64 {
        // What was taken for good and brought back was not lost.
        self.dropped(&Drops::LOST) + self.detached.saturating_sub(self.adopted)
    }

    /// Part of the losses that were recycled first.
    pub(crate) fn in_vain(&self) -> f64 {
        let in_vain = self.dropped(&Drops::RECYCLED).saturating_sub(self.given_up);
        in_vain as f64 / self.losses().max(in_vain).max(1) as f64
    }

    /// Part of the objects that were used again; `None` before the first.
    pub(crate) fn hit_rate(&self) -> Option<f64> {
        let objects = self.hits + self.losses();
        (objects > 0).then(|| self.hits as f64 / objects as f64)
    }

    fn add(&mut self, shard: &Shard) {
        let counters = shard.as_ref();
        self.idle += shard.idle() as u64;
        self.hits += shard.gets() as u64;
        self.made += counters.made.get() as u64;
        self.given_up += counters.given_up.get() as u64;
        self.drops[Drops::Full as usize] += counters.full.get() as u64;
        self.drops[Drops::Bypassed as usize] += counters.bypassed.get() as u64;
        self.drops[Drops::Discarded as usize] += counters.discarded.get() as u64;
    }
}

impl Store {
    /// The sums of the whole pool. `None` unless it `waits`, when somebody is at work on what is to
    /// be read.
    pub(crate) fn sums(&self, waits: bool) -> Option<PoolSums> {
        let (depot, shards) = (&self.changing.depot, &self.changing.shards);
        let mut sums = PoolSums::default();
        {
            let depot = depot.lock_or_try(waits)?;
            sums.idle = depot.count() as u64;
            (sums.hits, sums.exchanges) = depot.sums();
        }
        let counters = self.counters();
        sums.made = counters.made.get() as u64;
        {
            let shards = lock_or_try(shards, waits)?;
            sums.shards = shards.len() as u64;
            shards.iter().for_each(|shard| sums.add(shard));
        }
        for (sum, counter) in sums.drops.iter_mut().zip(&counters.drops) {
            *sum += counter.get() as u64;
        }
        sums.hits = sums.hits.saturating_sub(counters.refused.get() as u64);
        sums.given_up += counters.given_up.get() as u64;
        sums.creates = sums.made + counters.prefilled.get() as u64;
        sums.adopted = counters.adopted.get() as u64;
        sums.detached = counters.detached.get() as u64;
        (sums.busy, sums.exhausted) = (counters.busy.get() as u64, counters.exhausted.get() as u64);
        sums.high_water =
            counters.note_high_water((sums.outstanding() + sums.idle) as usize) as u64;
        Some(sums)
    }
}
