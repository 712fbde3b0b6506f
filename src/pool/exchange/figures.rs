//! The sums of a pool's slow paths, and the snapshot made of them.
//!
//! Owns counters. What runs on a fast path counts in its shard; what others may count at the same
//! time counts here.
#![forbid(unsafe_code)]

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::exchange::store::{Store, lock, try_lock};
use crate::pool::stock::counters::{Tallied, count};
use crate::pool::stock::shard::Shard;
use crate::pool::watch::mode::Totals;
use crate::pool::watch::stats::{PoolDrops, PoolStats};

/// Why an object came to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drops {
    /// The pool has as many idle objects as it may.
    Full,
    /// `recycle` said so, or the user.
    Discarded,
    /// It has grown too large.
    Oversize,
    /// A validation refused it.
    Invalid,
    /// A panic passed by.
    Poisoned,
    /// The depot's lock was busy.
    Contended,
    /// A trim or a clear.
    Trimmed,
    /// Nobody needed it for an interval.
    Aged,
    /// The budget ran short.
    Pressed,
    /// It is of an older generation.
    Retired,
    /// The pool was bypassed. What threads with a shard drop then is counted there.
    Bypassed,
}

impl Drops {
    /// In the order of their numbers.
    pub(crate) const ALL: [Drops; 11] = [
        Drops::Full,
        Drops::Discarded,
        Drops::Oversize,
        Drops::Invalid,
        Drops::Poisoned,
        Drops::Contended,
        Drops::Trimmed,
        Drops::Aged,
        Drops::Pressed,
        Drops::Retired,
        Drops::Bypassed,
    ];

    /// Whether what it takes says how long a drop takes: not of objects that were idle, which
    /// have been reset.
    pub(crate) fn is_after_use(self) -> bool {
        !matches!(
            self,
            Drops::Trimmed | Drops::Aged | Drops::Pressed | Drops::Retired
        )
    }
}

/// Beside those in the shards. Relaxed everywhere: sums order nothing.
pub(crate) struct Figures {
    misses: AtomicUsize,
    prefilled: AtomicUsize,
    adopted: AtomicUsize,
    detached: AtomicUsize,
    /// Objects whose user discarded them, among the drops.
    given_up: AtomicUsize,
    /// Idle objects taken out for a get that the validation refused. The get goes on.
    refused: AtomicUsize,
    /// Gets that found the depot busy and made an object instead.
    busy: AtomicUsize,
    /// Gets that found all of `max_live` out.
    exhausted: AtomicUsize,
    high_water: AtomicUsize,
    /// Visits of threads without a shard.
    visits: AtomicUsize,
    drops: [AtomicUsize; Drops::ALL.len()],
}

/// What a pool has done and holds, added up over its shards.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    /// Gets that an idle object served, and objects made for gets.
    hits: u64,
    made: u64,
    /// And those made for later.
    pub(crate) creates: u64,
    adopted: u64,
    detached: u64,
    given_up: u64,
    idle: u64,
    high_water: u64,
    exchanges: u64,
    shards: u64,
    drops: PoolDrops,
}

impl Sums {
    /// Objects in guards.
    fn outstanding(&self) -> u64 {
        let gone = self.drops.total() + self.detached + self.idle;
        (self.creates + self.adopted).saturating_sub(gone)
    }

    /// What the judge wants of them.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            hits: self.hits,
            // What was taken for good and brought back was not lost.
            losses: self.drops.lost() + self.detached.saturating_sub(self.adopted),
            in_vain: self.drops.recycled().saturating_sub(self.given_up),
        }
    }
}

/// Whether the `nth` event is measured: the first ones, and few of the others.
pub(crate) fn is_sampled(nth: usize) -> bool {
    // Two clock readings take 50 ns: half a nanosecond for each event.
    nth < 32 || nth % 128 == 0
}

fn add(figure: &AtomicUsize) -> usize {
    figure.fetch_add(1, Ordering::Relaxed)
}

fn read(figure: &AtomicUsize) -> u64 {
    figure.load(Ordering::Relaxed) as u64
}

impl Figures {
    pub(crate) const fn new() -> Figures {
        Figures {
            misses: AtomicUsize::new(0),
            prefilled: AtomicUsize::new(0),
            adopted: AtomicUsize::new(0),
            detached: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            exhausted: AtomicUsize::new(0),
            high_water: AtomicUsize::new(0),
            visits: AtomicUsize::new(0),
            drops: [const { AtomicUsize::new(0) }; Drops::ALL.len()],
        }
    }
}

impl Store {
    fn figures(&self) -> &Figures {
        &self.changing.figures
    }

    /// Counts an object made for a get.
    pub(crate) fn on_miss(&self, shard: Option<&Shard>) {
        match shard {
            Some(shard) => drop(count(&shard.tally().made)),
            None => drop(add(&self.figures().misses)),
        }
    }

    /// Objects made for gets so far: by this shard, or by threads without one.
    pub(crate) fn made(&self, shard: Option<&Shard>) -> usize {
        match shard {
            Some(shard) => shard.tally().made.load(Ordering::Relaxed),
            None => self.figures().misses.load(Ordering::Relaxed),
        }
    }

    /// Counts an object made for later.
    pub(crate) fn on_prefill(&self) {
        add(&self.figures().prefilled);
    }

    pub(crate) fn on_adopt(&self) {
        add(&self.figures().adopted);
    }

    pub(crate) fn on_detach(&self) {
        add(&self.figures().detached);
    }

    /// Counts an object that its user discards.
    pub(crate) fn on_give_up(&self, shard: Option<&Shard>) {
        match shard {
            Some(shard) => drop(count(&shard.tally().given_up)),
            None => drop(add(&self.figures().given_up)),
        }
    }

    /// Counts an idle object that a get takes out and does not hand out.
    pub(crate) fn on_refused(&self) {
        add(&self.figures().refused);
    }

    /// Counts a get that finds the depot busy.
    pub(crate) fn on_busy(&self) {
        add(&self.figures().busy);
    }

    /// Counts a get that is refused.
    pub(crate) fn on_exhausted(&self) {
        add(&self.figures().exhausted);
    }

    /// Counts a drop. Returns whether it is to be measured.
    pub(crate) fn on_drop(&self, shard: Option<&Shard>, reason: Drops) -> bool {
        let before = match (shard, reason) {
            (Some(shard), Drops::Full) => count(&shard.tally().full),
            (Some(shard), Drops::Bypassed) => count(&shard.tally().bypassed),
            (Some(shard), Drops::Discarded) => count(&shard.tally().discarded),
            _ => add(&self.figures().drops[reason as usize]),
        };
        reason.is_after_use() && is_sampled(before)
    }

    /// Counts a get beyond the magazines; how many there were before.
    pub(crate) fn on_visit(&self, shard: Option<&Shard>) -> usize {
        match shard {
            Some(shard) => count(&shard.tally().visits),
            None => add(&self.figures().visits),
        }
    }

    /// Notes how many objects there are; the most there were.
    fn note_high_water(&self, there: usize) -> usize {
        self.figures()
            .high_water
            .fetch_max(there, Ordering::Relaxed)
            .max(there)
    }

    /// The figures, each read once.
    pub(crate) fn stats(&self) -> PoolStats {
        let figures = self.figures();
        let sums = self.sums(true).unwrap_or_default();
        let (discipline, control) = (&self.discipline, self.control());
        let ticks = discipline.intervals.count();
        let (suspects, withdrawn) = discipline.leaks.figures(ticks);
        let (gets, outstanding) = (sums.hits + sums.made, sums.outstanding());
        PoolStats {
            gets,
            hits: sums.hits,
            creates: sums.creates,
            returns: gets.saturating_sub(outstanding + sums.detached),
            outstanding,
            high_water: sums.high_water,
            idle: sums.idle,
            idle_bytes: sums.idle * self.slot_bytes() as u64,
            exchanges: sums.exchanges,
            contended: read(&figures.busy) + sums.drops.contended,
            max_live: self.counts().then_some(self.bounds.live_max as u64),
            exhausted: read(&figures.exhausted),
            shards: sums.shards,
            suspects,
            withdrawn,
            ticks: ticks as u64,
            mode: control.mode(),
            reason: control.why(),
            drops: sums.drops,
        }
    }

    /// The sums of the whole pool. `None` unless it `waits`, when somebody is at work on what is to
    /// be read.
    pub(crate) fn sums(&self, waits: bool) -> Option<Sums> {
        let (depot, shards) = (&self.changing.depot, &self.changing.shards);
        let mut sums = Sums::default();
        {
            let depot = if waits {
                depot.lock()
            } else {
                depot.try_lock()?
            };
            sums.idle = depot.count() as u64;
            (sums.hits, sums.exchanges) = depot.figures();
        }
        let figures = self.figures();
        sums.made = read(&figures.misses);
        let mut counted = Tallied::default();
        {
            let shards = if waits {
                lock(shards)
            } else {
                try_lock(shards)?
            };
            sums.shards = shards.len() as u64;
            for shard in shards.iter() {
                let (shard_idle, shard_gets) = shard.figures();
                sums.idle += shard_idle as u64;
                sums.hits += shard_gets as u64;
                counted.add(shard.tally());
            }
        }
        sums.hits = sums.hits.saturating_sub(read(&figures.refused));
        sums.made += counted.made;
        sums.drops = self.drops(counted);
        sums.creates = sums.made + read(&figures.prefilled);
        (sums.adopted, sums.detached) = (read(&figures.adopted), read(&figures.detached));
        sums.given_up = read(&figures.given_up) + counted.given_up;
        sums.high_water = self.note_high_water((sums.outstanding() + sums.idle) as usize) as u64;
        Some(sums)
    }

    /// Drops by reason, with those that shards count.
    fn drops(&self, counted: Tallied) -> PoolDrops {
        let dropped = |reason: Drops| read(&self.figures().drops[reason as usize]);
        PoolDrops {
            full: dropped(Drops::Full) + counted.full,
            discarded: dropped(Drops::Discarded) + counted.discarded,
            oversize: dropped(Drops::Oversize),
            invalid: dropped(Drops::Invalid),
            poisoned: dropped(Drops::Poisoned),
            contended: dropped(Drops::Contended),
            trimmed: dropped(Drops::Trimmed),
            aged: dropped(Drops::Aged),
            pressed: dropped(Drops::Pressed),
            retired: dropped(Drops::Retired),
            bypassed: dropped(Drops::Bypassed) + counted.bypassed,
        }
    }
}
