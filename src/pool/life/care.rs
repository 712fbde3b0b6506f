//! What is done beside getting and putting: catching up with events, trims, ticks, generations and
//! modes, and what a pool says about itself.
//!
//! Owns the order of each: tell all threads, take out what is in reach, drop it, give pages back.
//!
//! I1: a thread that begins one catches up first and leaves its seats, so that it hears of its own
//! event like everybody.

use crate::pool::exchange::events::Event;
use crate::pool::exchange::leases::{self, Way};
use crate::pool::exchange::seats;
use crate::pool::exchange::trimming::Excess;
use crate::pool::life::pool_core::PoolCore;
use crate::pool::stock::drops::Drops;
use crate::pool::stock::shard::Shard;
use crate::pool::watch::advice::Advice;
use crate::pool::watch::discipline::Discipline;
use crate::pool::watch::health::{self, Health, Signs};
use crate::pool::watch::judge::{LAP, Turn};
use crate::pool::watch::leaks::LeakSuspect;
use crate::pool::watch::mode::Mode;
use crate::pool::watch::stats::PoolStats;

impl<T, R> PoolCore<T, R> {
    /// This thread's shard, after it caught up with what happened since its last visit, and with
    /// the budget of the pages. Drops what is too much then, while nothing is borrowed.
    pub(crate) fn attend(&self, way: Way<'_>) -> Option<&Shard> {
        if self.store.is_pressed() {
            self.end_trim(self.store.answer_pressure());
        }
        if let Some(shard) = way.settled(&self.store) {
            return Some(shard);
        }
        let shard = way.shard(&self.store)?;
        // SAFETY: `Way::shard` answers with a shard this thread has leased.
        let surplus = unsafe { self.store.catch_up_if_need_be(shard) };
        // Before any value is dropped: the user's code finds a seat that tells what is there, and
        // what it does to that seat stands.
        // SAFETY: as above.
        unsafe { way.sit(&self.store, shard) };
        if let Some(surplus) = surplus {
            self.end_trim(surplus);
        }
        Some(shard)
    }

    /// Counts a get beyond the magazines; each so many look around.
    pub(crate) fn visit(&self, shard: Option<&Shard>) -> usize {
        let visit = self.store.counters().on_visit(shard);
        if visit % LAP == LAP - 1 {
            self.look_around();
        }
        visit
    }

    /// Begins a tick that is due, and lets the judge look at the sums.
    #[cold]
    fn look_around(&self) {
        let Discipline {
            judge, intervals, ..
        } = &self.discipline;
        if intervals.is_due() {
            self.tick(false);
        }
        if judge.rests() {
            return;
        }
        let Some(sums) = self.store.sums(false) else {
            return;
        };
        let turn = judge.review(&self.store, &sums, size_of::<T>());
        if turn == Some(Turn::Closed) {
            self.trim(0, Drops::Trimmed);
        }
    }

    /// Drops idle values beyond `keep`, and tells all threads to do so; values dropped.
    pub(crate) fn trim(&self, keep: usize, reason: Drops) -> usize {
        let (shard, missed) = self.leased_shard();
        // SAFETY: leased by this thread.
        let surplus = unsafe { self.store.trim(shard, keep, reason) };
        self.end_trim_after(missed, surplus)
    }

    /// Begins a generation; values dropped.
    pub(crate) fn new_generation(&self) -> usize {
        // First: who hears of the trim notes what it builds as of the new one (`events.rs`, I1).
        self.store.events.begin_generation();
        self.trim(0, Drops::Retired)
    }

    /// Drops what was found, and gives pages back; values dropped.
    fn end_trim(&self, excess: Excess) -> usize {
        let dropped = self.surplus(excess).drop_all();
        self.store.trim_slots();
        dropped
    }

    /// Ends an interval; values dropped. Unless it `waits`, what a busy lock hides is left out.
    pub(crate) fn tick(&self, waits: bool) -> usize {
        let event = self.discipline.intervals.step();
        if let Some(sums) = self.store.sums(waits) {
            self.discipline.steadiness.tick(sums.creates);
        }
        let (shard, missed) = self.leased_shard();
        // SAFETY: as in `trim`.
        let old = event.map(|event| unsafe { self.store.tick(shard, event, waits) });
        let old = old.unwrap_or_else(Excess::none);
        self.end_trim_after(missed, old)
    }

    /// As `end_trim`, and drops what was missed, which a panic does not keep.
    fn end_trim_after(&self, missed: Option<Excess>, surplus: Excess) -> usize {
        let mut missed = self.surplus(missed.unwrap_or_else(Excess::none));
        let dropped = self.end_trim(surplus);
        dropped + missed.drop_all()
    }

    /// The shard that this thread has leased, if it has, after it caught up, and what is to be
    /// dropped for that: at the end of what is about to begin, which a panic must not cut short.
    /// Without a seat, so that this thread hears of it at once.
    fn leased_shard(&self) -> (Option<&Shard>, Option<Excess>) {
        let Some(shard) = leases::leased_shard(&self.store) else {
            return (None, None);
        };
        seats::unseat(shard);
        // SAFETY: leased by this thread.
        (Some(shard), unsafe {
            self.store.catch_up_if_need_be(shard)
        })
    }

    /// Takes a mode on.
    pub(crate) fn set_mode(&self, mode: Mode) {
        match self.discipline.judge.set_mode(mode, &self.store.route) {
            Turn::Closed => drop(self.trim(0, Drops::Trimmed)),
            // Seats that let gets through may do so no longer: every thread's next one looks.
            Turn::Opened => drop(self.store.events.announce(Event::Tick)),
        }
    }

    /// Whether reuse pays.
    pub(crate) fn advice(&self) -> Advice {
        let (judge, meters) = (&self.discipline.judge, self.store.meters());
        let sums = self.store.sums(true).unwrap_or_default();
        let rate = judge.hit_rate().or_else(|| sums.hit_rate());
        let now = (judge.mode(), judge.why());
        Advice::new(now, meters, &judge.costs(meters, sums.in_vain()), rate)
    }

    /// What was counted.
    pub(crate) fn stats(&self) -> PoolStats {
        PoolStats::of(&self.store, &self.discipline)
    }

    /// How the pool is.
    pub(crate) fn health(&self) -> Health {
        let stats = self.stats();
        health::assess(Signs {
            gets: stats.gets,
            returns: stats.returns,
            exchanges: stats.exchanges,
            get_nanos: self.store.meters().get.nanos(),
            creates_drift: self.discipline.steadiness.drift(),
            survivors: stats.suspects,
        })
    }

    /// The objects that are out for long and were not reported yet.
    pub(crate) fn leak_suspects(&self) -> Vec<LeakSuspect> {
        let Discipline {
            leaks, intervals, ..
        } = &self.discipline;
        leaks.report(intervals.count())
    }
}
