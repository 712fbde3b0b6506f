//! The judge of [`Mode::Auto`]: whether a pool pools.
//!
//! Owns what it remembers of the past. Knows no objects: `review` is told the sums and what calls
//! take, turns the pool's route and answers what its caller has to do then.
//!
//! The judge sees laps of `LAP` objects that were used again or lost. Its hit rate is that of
//! *objects*: an object that is out, or waits, is neither hit nor lost yet, so a program that takes
//! a thousand objects and keeps them is not taken for one that never uses any again. While the pool
//! is bypassed nothing is used again, so the judge opens it for a lap from time to time, each
//! time after twice as long.
//!
//! I1: the lock of `past` is a leaf. A review only tries it, because it is part of a get or put: a
//! lap that is missed comes again. Who sets the mode or asks for the hit rate waits for it.
//! I2: mode, route and reason change under that lock alone.
#![forbid(unsafe_code)]

use std::sync::Mutex;

use crate::base::lock::{lock, try_lock};
use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::exchange::route::{Route, RouteWord};
use crate::pool::exchange::store::Store;
use crate::pool::exchange::sums::PoolSums;
use crate::pool::stock::meters::{Meter, Meters};
use crate::pool::watch::cost::{Costs, Overheads};
use crate::pool::watch::mode::{Mode, ModeReason};

/// Objects of a lap, and slow paths of a thread between two reviews: the rate's error is some 6
/// points then, and three laps in a row agree. A shorter one would flap, a longer one notice
/// late.
pub(crate) const LAP: usize = 64;

/// Laps in a row that must say that reuse does not pay.
const STRIKES: u32 = 3;

/// Laps between two probes double up to 2^this: a probe in 64 laps costs a sixty-fourth of
/// what pooling costs more, and a change is noticed after some four thousand gets.
const BACKOFF_MAX: u32 = 6;

/// A pool that paid for so many laps in a row is reviewed only after so many more, each time.
const SETTLED_LAPS: u32 = 16;
const SETTLED_REST: usize = 7;

/// Bypassing must be cheaper by a twentieth before it begins, and pooling likewise: between the two
/// either is within 10 % of the better.
const MARGIN: f64 = 1.05;

/// What a review asks its caller to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The route is `Bypass` from now on: idle objects are to be dropped, and all threads told.
    Closed,
    /// The route is another one from now on.
    Opened,
}

#[derive(Debug, Default)]
struct Past {
    /// Objects used again and lost, before this lap.
    since: (u64, u64),
    hit_rate: Option<f64>,
    strikes: u32,
    backoff: u32,
    windows_left: u32,
    /// Laps since the route last became `Pool`.
    pooled_windows: u32,
}

/// What it looks at: the pool's route, the objects used again and lost since its first use, and the
/// costs, if they are known.
struct Lap<'s> {
    route: &'s RouteWord,
    hits: u64,
    losses: u64,
    object_bytes: usize,
    costs: Option<Costs>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Judge {
    /// A [`Mode`] and a [`ModeReason`], as words. Relaxed, like all here: each stands for itself.
    mode: AtomicUsize,
    why: AtomicUsize,
    /// Laps until the next review.
    rest: AtomicUsize,
    /// Finds out what the pool itself takes.
    overheads: fn() -> Overheads,
    past: Mutex<Past>,
}

/// The hit rate that pooling needs as long as no create was measured (objects may all come by
/// [`put`](crate::Pool::put)), by the bytes of an object: what the textbook's model gives for
/// creates and drops of 17, 25 and 43 ns, as small, middling and large blocks take, and a hit of 3.
fn prior(object_bytes: usize) -> f64 {
    match object_bytes {
        0..64 => 0.18,
        64..=2048 => 0.12,
        _ => 0.07,
    }
}

impl Judge {
    /// Of a pool in this mode, whose route it sets.
    pub(crate) fn new(mode: Mode, route: &RouteWord, overheads: fn() -> Overheads) -> Judge {
        let judge = Judge {
            mode: AtomicUsize::new(mode.word()),
            why: AtomicUsize::new(0),
            rest: AtomicUsize::new(0),
            overheads,
            past: Mutex::default(),
        };
        judge.set_mode(mode, route);
        judge
    }

    /// The mode asked for.
    pub(crate) fn mode(&self) -> Mode {
        Mode::of_word(self.mode.load(Ordering::Relaxed))
    }

    pub(crate) fn why(&self) -> ModeReason {
        ModeReason::ALL[self.why.load(Ordering::Relaxed)]
    }

    /// Whether the route may change by itself.
    pub(crate) fn is_auto(&self) -> bool {
        self.mode() == Mode::Auto
    }

    /// Takes a mode on; what its caller is to do for that.
    pub(crate) fn set_mode(&self, mode: Mode, route: &RouteWord) -> Turn {
        let mut past = lock(&self.past);
        (past.strikes, past.backoff, past.pooled_windows) = (0, 0, 0);
        past.hit_rate = None;
        self.rest.store(0, Ordering::Relaxed);
        let why = match mode {
            Mode::Auto => ModeReason::NoDataYet,
            _ => ModeReason::Asked,
        };
        self.mode.store(mode.word(), Ordering::Relaxed);
        self.turn(route, mode.route(), why)
    }

    fn turn(&self, route: &RouteWord, to: Route, why: ModeReason) -> Turn {
        route.set(to);
        self.why.store(why as usize, Ordering::Relaxed);
        match to {
            Route::Bypass => Turn::Closed,
            _ => Turn::Opened,
        }
    }

    /// The measured costs, where this part of the lost objects were recycled in vain. What was not
    /// measured yet counts as nothing, so it is not a reason.
    pub(crate) fn costs(&self, meters: &Meters, in_vain: f64) -> Costs {
        Costs {
            create: meters.create.nanos().unwrap_or(0.0),
            drop: meters.drop.nanos().unwrap_or(0.0),
            recycle: meters.recycle.nanos().unwrap_or(0.0),
            in_vain,
            own: (self.overheads)(),
        }
    }

    /// Whether objects are to come by the slow path until the judge has decided: a recycle seems to
    /// take so long that not even objects that are always used again are worth it, or a probe is
    /// on. Otherwise an object that one thread gets and puts all the time would never be looked at.
    pub(crate) fn wants_to_see(&self, meters: &Meters) -> bool {
        let nanos = |meter: &Meter| meter.nanos().unwrap_or(0.0);
        // The pool's own part makes up for what is less than this, and need not be known for it.
        let dear = nanos(&meters.recycle) > nanos(&meters.create) + nanos(&meters.drop);
        if !self.is_auto() || !(dear || self.is_probing()) {
            return false;
        }
        // Of objects that are always used again.
        let costs = self.costs(meters, 0.0);
        self.is_probing() || costs.pooled(1.0) > MARGIN * costs.bypassed()
    }

    /// Whether the pool is open for a probe.
    pub(crate) fn is_probing(&self) -> bool {
        self.why() == ModeReason::Probing
    }

    /// The hit rate of the last laps, if there was one.
    pub(crate) fn hit_rate(&self) -> Option<f64> {
        lock(&self.past).hit_rate
    }

    /// Whether the lap that is over needs no review: gathering the sums takes as long as ten
    /// misses.
    pub(crate) fn rests(&self) -> bool {
        let rest = self.rest.load(Ordering::Relaxed);
        if rest > 0 {
            self.rest.store(rest - 1, Ordering::Relaxed);
        }
        rest > 0
    }

    /// Looks at a lap. `object_bytes` are those of one object.
    pub(crate) fn review(
        &self,
        store: &Store,
        sums: &PoolSums,
        object_bytes: usize,
    ) -> Option<Turn> {
        if !self.is_auto() {
            self.rest.store(SETTLED_REST, Ordering::Relaxed);
            return None;
        }
        let measured = store.meters().create.samples() > 0;
        self.decide(&Lap {
            route: &store.route,
            hits: sums.hits,
            losses: sums.losses(),
            object_bytes,
            // Before the lock: to measure the overheads takes a while, the first time.
            costs: measured.then(|| self.costs(store.meters(), sums.in_vain())),
        })
    }

    fn decide(&self, lap: &Lap<'_>) -> Option<Turn> {
        // The mode may have changed since the review began (I2).
        let mut past = try_lock(&self.past).filter(|_| self.is_auto())?;
        match lap.route.get() {
            Route::Bypass => self.decide_bypassed(&mut past, lap),
            _ => self.decide_pooled(&mut past, lap),
        }
    }

    fn decide_pooled(&self, past: &mut Past, lap: &Lap<'_>) -> Option<Turn> {
        let (hits, losses) = past.since;
        let hits = lap.hits.saturating_sub(hits);
        // What was taken for good may come back, so losses may shrink.
        let losses = lap.losses.saturating_sub(losses);
        if hits + losses < LAP as u64 {
            return None;
        }
        past.since = (lap.hits, lap.losses);
        let rate = hits as f64 / (hits + losses) as f64;
        past.hit_rate = Some(rate);
        past.pooled_windows = past.pooled_windows.saturating_add(1);
        let probing = self.is_probing();
        // To stay it is enough not to be worse by the margin; to come back it must be better by it.
        let margin = if probing { 1.0 / MARGIN } else { MARGIN };
        let pays = match lap.costs {
            Some(costs) => costs.pooled(rate) <= margin * costs.bypassed(),
            None => rate >= prior(lap.object_bytes),
        };
        if pays {
            past.strikes = 0;
            // A pool that stays open for as long as it was closed starts over.
            if past.pooled_windows > 1 << BACKOFF_MAX {
                past.backoff = 0;
            }
            if past.pooled_windows > SETTLED_LAPS {
                self.rest.store(SETTLED_REST, Ordering::Relaxed);
            }
            self.turn(lap.route, Route::Pool, ModeReason::ReusePays);
            return None;
        }
        (past.strikes, past.pooled_windows) = (past.strikes + 1, 0);
        if probing || past.strikes >= STRIKES {
            return Some(self.close(past, lap));
        }
        None
    }

    fn close(&self, past: &mut Past, lap: &Lap<'_>) -> Turn {
        self.rest.store(0, Ordering::Relaxed);
        past.strikes = 0;
        past.windows_left = 1 << past.backoff;
        past.backoff = (past.backoff + 1).min(BACKOFF_MAX);
        let never = lap.costs.is_some_and(|costs| costs.break_even().is_none());
        let why = if never {
            ModeReason::CostlyRecycle
        } else {
            ModeReason::TooFewHits
        };
        self.turn(lap.route, Route::Bypass, why)
    }

    fn decide_bypassed(&self, past: &mut Past, lap: &Lap<'_>) -> Option<Turn> {
        // Drops may be measured only now, and show that a recycle is not so dear after all.
        let rate = past.hit_rate.unwrap_or(0.0);
        let reverts = self.why() == ModeReason::CostlyRecycle
            && lap
                .costs
                .is_some_and(|costs| costs.pooled(rate) * MARGIN < costs.bypassed());
        past.windows_left = past.windows_left.saturating_sub(1);
        if !reverts && past.windows_left > 0 {
            // There is nothing to see before the next probe.
            self.rest
                .store(past.windows_left as usize - 1, Ordering::Relaxed);
            past.windows_left = 1;
            return None;
        }
        past.since = (lap.hits, lap.losses);
        past.pooled_windows = 0;
        let why = if reverts {
            ModeReason::ReusePays
        } else {
            ModeReason::Probing
        };
        Some(self.turn(lap.route, Route::Pool, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pool that pays from 20 % on: (30 - 20) / (25 + 30 - 5).
    const CHEAP: Costs = Costs {
        create: 20.0,
        drop: 7.0,
        recycle: 2.0,
        in_vain: 0.0,
        own: Overheads {
            hit: 5.0,
            miss: 30.0,
            bypass: 20.0,
        },
    };

    /// A judge, the route, objects used again and lost so far, and the bytes of one.
    struct Case(Judge, RouteWord, [u64; 2], usize);

    impl Case {
        fn new() -> Case {
            let route = RouteWord::default();
            let judge = Judge::new(Mode::Auto, &route, || CHEAP.own);
            Case(judge, route, [0; 2], 100)
        }

        fn decide(&self, costs: Option<Costs>) -> Option<Turn> {
            let Case(judge, route, [hits, losses], object_bytes) = self;
            judge.decide(&Lap {
                route,
                hits: *hits,
                losses: *losses,
                object_bytes: *object_bytes,
                costs,
            })
        }

        fn says(&self) -> (Route, ModeReason) {
            (self.1.get(), self.0.why())
        }

        /// One of some hit rate.
        fn lap(&mut self, percent: u64) -> Option<Turn> {
            self.window_at(percent, Some(CHEAP))
        }

        fn window_at(&mut self, percent: u64, costs: Option<Costs>) -> Option<Turn> {
            let Case(.., [hits, losses], _) = self;
            (*hits, *losses) = (*hits + percent, *losses + 100 - percent);
            self.decide(costs)
        }

        fn close(&mut self) {
            let turns = [0; 3].map(|percent| self.lap(percent));
            assert_eq!(turns, [None, None, Some(Turn::Closed)]);
        }

        /// Laps past the pool until it opens; nothing is used again then.
        fn closed_for(&mut self) -> usize {
            let mut laps = 1;
            loop {
                if !self.0.rests() && self.decide(Some(CHEAP)).is_some() {
                    return laps;
                }
                laps += 1;
            }
        }
    }

    #[test]
    fn three_windows_in_a_row_close_the_pool() {
        let mut case = Case::new();
        assert_eq!(case.lap(10), None);
        assert_eq!(case.lap(10), None);
        assert_eq!(case.lap(40), None, "one that pays begins anew");
        assert_eq!(case.lap(10), None);
        assert_eq!(case.lap(10), None);
        assert_eq!(case.1.get(), Route::Pool);
        assert_eq!(case.lap(10), Some(Turn::Closed));
        assert_eq!(case.says(), (Route::Bypass, ModeReason::TooFewHits));
        assert_eq!(case.0.hit_rate(), Some(0.1));
    }

    #[test]
    fn objects_that_are_out_say_nothing() {
        let mut case = Case::new();
        for _ in 0..10 {
            assert_eq!(case.decide(Some(CHEAP)), None);
        }
        assert_eq!(case.0.why(), ModeReason::NoDataYet);
        // Few of them neither.
        case.2[1] = LAP as u64 - 1;
        (0..10).for_each(|_| assert_eq!(case.decide(Some(CHEAP)), None));
        // What was lost may come back.
        case.2[1] = 0;
        assert_eq!(case.decide(Some(CHEAP)), None);
    }

    #[test]
    fn probes_come_after_twice_as_long_each_time_and_open_the_pool() {
        let mut case = Case::new();
        case.close();
        let mut waits = Vec::new();
        for _ in 0..9 {
            waits.push(case.closed_for());
            assert_eq!(case.says(), (Route::Pool, ModeReason::Probing));
            assert_eq!(case.lap(19), Some(Turn::Closed), "one lap");
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        case.closed_for();
        assert_eq!(case.lap(21), Some(Turn::Closed), "by too little");
        case.closed_for();
        assert_eq!(case.lap(60), None);
        assert_eq!(case.says(), (Route::Pool, ModeReason::ReusePays));
        // It closes by three laps again, and the next probe is as far as before.
        case.close();
        assert_eq!(case.closed_for(), 64);
        // Unless it was open for long.
        (0..80).for_each(|_| assert_eq!(case.lap(60), None));
        case.close();
        assert_eq!(case.closed_for(), 1);
    }

    #[test]
    fn a_recycle_that_only_seemed_dear_is_forgiven() {
        let drop_unknown = Costs {
            drop: 0.0,
            recycle: 90.0,
            ..CHEAP
        };
        let mut case = Case::new();
        (0..2).for_each(|_| assert_eq!(case.window_at(100, Some(drop_unknown)), None));
        assert_eq!(case.window_at(100, Some(drop_unknown)), Some(Turn::Closed));
        assert_eq!(case.0.why(), ModeReason::CostlyRecycle);
        let drop_known = Costs {
            drop: 200.0,
            ..drop_unknown
        };
        let turn = case.decide(Some(drop_known));
        assert_eq!(
            (turn, case.0.why()),
            (Some(Turn::Opened), ModeReason::ReusePays)
        );
    }

    #[test]
    fn floors_by_size_hold_until_something_is_measured() {
        for (bytes, floor) in [(24, 18), (63, 18), (64, 12), (2048, 12), (2049, 7)] {
            for (percent, closes) in [(floor - 1, true), (floor, false)] {
                let mut case = Case::new();
                case.3 = bytes;
                let turn = [(); 3].map(|()| case.window_at(percent, None))[2];
                assert_eq!(turn.is_some(), closes, "{bytes} bytes, {percent} %");
            }
        }
    }

    #[test]
    fn who_asks_is_not_judged() {
        for mode in [Mode::Always, Mode::Never, Mode::Share(5)] {
            let mut case = Case::new();
            case.0.set_mode(mode, &case.1);
            let route = case.1.get();
            (0..5).for_each(|_| assert_eq!(case.lap(0), None));
            assert_eq!((case.0.mode(), case.1.get()), (mode, route));
            assert_eq!(case.0.why(), ModeReason::Asked);
        }
    }
}
