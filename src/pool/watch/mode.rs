//! Whether a pool pools: the choices, and the judge of [`Mode::Auto`].
//!
//! Owns the route that gets take, and what the judge remembers. Knows no objects: `review` is told
//! the sums and answers what is to change, and its caller does it.
//!
//! The judge sees windows of `WINDOW` objects that were used again or lost. Its hit rate is that of
//! *objects*: an object that is out, or waits, is neither hit nor lost yet, so a program that takes
//! a thousand objects and keeps them is not taken for one that never uses any again. While the pool
//! is bypassed nothing is used again, so the judge opens it for a window from time to time, each
//! time after twice as long.
//!
//! I1: the judge's lock is a leaf and only tried: nobody waits, a window that is missed comes
//! again.
#![forbid(unsafe_code)]

use std::sync::{Mutex, PoisonError, TryLockError};

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::face::overhead;
use crate::pool::watch::cost::{Costs, Meter, Meters};

/// Objects of a window, and slow paths of a thread between two reviews: the rate's error is some 6
/// points then, and three windows in a row agree. A shorter one would flap, a longer one notice
/// late.
pub(crate) const WINDOW: usize = 64;

/// Windows in a row that must say that reuse does not pay.
const STRIKES: u32 = 3;

/// Windows between two probes double up to 2^this: a probe in 64 windows costs a sixty-fourth of
/// what pooling costs more, and a change is noticed after some four thousand gets.
const BACKOFF_MAX: u32 = 6;

/// A pool that paid for so many windows in a row is reviewed only after so many more, each time.
const SETTLED_WINDOWS: u32 = 16;
const SETTLED_REST: usize = 7;

/// Bypassing must be cheaper by a twentieth before it begins, and pooling likewise: between the two
/// either is within 10 % of the better.
const MARGIN: f64 = 1.05;

/// When a pool uses the objects it gets back; by [`PoolBuilder::mode`](crate::PoolBuilder::mode),
/// or
/// [`Pool::set_mode`](crate::Pool::set_mode) at run time.
///
/// ```
/// use flagstone::{Mode, Pool};
/// let pool: Pool<String> = Pool::builder(String::new).mode(Mode::Never).build();
/// drop(pool.get());
/// assert_eq!(pool.stats().idle, 0);
/// pool.set_mode(Mode::Always);
/// drop(pool.get());
/// assert_eq!(pool.stats().idle, 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Measures on slow paths how many objects are used again and what that saves, and bypasses the
    /// pool while it does not pay: gets create and puts drop, without a recycle.
    /// [`Pool::advice`](crate::Pool::advice) tells what it found. Until a create was measured it
    /// asks for a reuse of 18, 12 or 7 % (of objects below 64 bytes, to 2 KiB, and above, as
    /// `size_of` says). A bypassed get and put still take some 25 ns beside the user's own calls
    /// ([`Advice::bypass_ns`](crate::Advice::bypass_ns)): where a pool stays bypassed, do without.
    #[default]
    Auto,
    /// Pools.
    Always,
    /// Creates at each get and drops at each put: the switch that turns a pool off.
    Never,
    /// This many percent of the gets use the pool (above 100: all) and the others bypass it, for a
    /// roll-out by degrees. The objects of the latter are dropped when they come back.
    Share(u8),
}

/// Why a pool is pooling or not, in [`PoolStats`](crate::PoolStats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModeReason {
    /// [`Mode::Auto`] has not seen enough: it pools.
    #[default]
    NoDataYet,
    /// The mode says so.
    Asked,
    /// Reuse pays.
    ReusePays,
    /// Too few objects are used again: bypassed.
    TooFewHits,
    /// A recycle takes longer than a create and a drop: bypassed.
    CostlyRecycle,
    /// Bypassed before, opened to see whether that is still right.
    Probing,
}

/// Which way gets go. One word, for slow paths to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Pool,
    Bypass,
    Share(u8),
}

/// What a review asks its caller to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The route is `Bypass` from now on: idle objects are to be dropped, and all threads told.
    Closed,
    /// The route is `Pool` from now on.
    Opened,
}

/// Sums since the pool's first use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Gets that an idle object served.
    pub(crate) hits: u64,
    /// Objects that came back and were dropped, or were taken for good: creates that reuse did not
    /// save. Those dropped for age or memory are not in it.
    pub(crate) losses: u64,
    /// Those of them that were recycled first.
    pub(crate) in_vain: u64,
}

impl Totals {
    /// Part of the objects that were used again; `None` before the first.
    pub(crate) fn hit_rate(&self) -> Option<f64> {
        let objects = self.hits + self.losses;
        (objects > 0).then(|| self.hits as f64 / objects as f64)
    }

    /// Part of the losses that were recycled first.
    fn in_vain(&self) -> f64 {
        let losses = self.losses.max(self.in_vain).max(1);
        self.in_vain as f64 / losses as f64
    }
}

#[derive(Debug)]
struct Judge {
    since: Totals,
    hit_rate: Option<f64>,
    strikes: u32,
    backoff: u32,
    windows_left: u32,
    /// Windows since the route last became `Pool`.
    pooled_windows: u32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Control {
    mode: AtomicUsize,
    route: AtomicUsize,
    why: AtomicUsize,
    /// Windows until the next review.
    rest: AtomicUsize,
    pub(crate) meters: Meters,
    judge: Mutex<Judge>,
}

const AUTO: usize = 0;
const ALWAYS: usize = 1;
const NEVER: usize = 2;
/// And the percent.
const SHARE: usize = 3;

const REASONS: [ModeReason; 6] = [
    ModeReason::NoDataYet,
    ModeReason::Asked,
    ModeReason::ReusePays,
    ModeReason::TooFewHits,
    ModeReason::CostlyRecycle,
    ModeReason::Probing,
];

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

impl Control {
    pub(crate) fn new(mode: Mode) -> Control {
        let control = Control {
            mode: AtomicUsize::new(AUTO),
            route: AtomicUsize::new(ALWAYS),
            why: AtomicUsize::new(0),
            rest: AtomicUsize::new(0),
            meters: Meters::new(),
            judge: Mutex::new(Judge {
                since: Totals::default(),
                hit_rate: None,
                strikes: 0,
                backoff: 0,
                windows_left: 0,
                pooled_windows: 0,
            }),
        };
        control.set_mode(mode);
        control
    }

    /// The mode asked for.
    pub(crate) fn mode(&self) -> Mode {
        // Relaxed, like all words here: each stands for itself.
        match self.mode.load(Ordering::Relaxed) {
            AUTO => Mode::Auto,
            ALWAYS => Mode::Always,
            NEVER => Mode::Never,
            share => Mode::Share((share - SHARE) as u8),
        }
    }

    pub(crate) fn route(&self) -> Route {
        match self.route.load(Ordering::Relaxed) {
            ALWAYS => Route::Pool,
            NEVER => Route::Bypass,
            share => Route::Share((share - SHARE) as u8),
        }
    }

    pub(crate) fn why(&self) -> ModeReason {
        REASONS[self.why.load(Ordering::Relaxed)]
    }

    /// Whether the route may change by itself.
    pub(crate) fn is_auto(&self) -> bool {
        self.mode.load(Ordering::Relaxed) == AUTO
    }

    /// Takes a mode on; what its caller is to do for that.
    pub(crate) fn set_mode(&self, mode: Mode) -> Turn {
        let mut judge = self.judge.lock().unwrap_or_else(PoisonError::into_inner);
        (judge.strikes, judge.backoff, judge.pooled_windows) = (0, 0, 0);
        judge.hit_rate = None;
        self.rest.store(0, Ordering::Relaxed);
        let (mode, route, why) = match mode {
            Mode::Auto => (AUTO, ALWAYS, ModeReason::NoDataYet),
            Mode::Always => (ALWAYS, ALWAYS, ModeReason::Asked),
            Mode::Never => (NEVER, NEVER, ModeReason::Asked),
            Mode::Share(percent) => {
                let share = SHARE + usize::from(percent.min(100));
                (share, share, ModeReason::Asked)
            }
        };
        self.mode.store(mode, Ordering::Relaxed);
        self.turn(route, why)
    }

    fn turn(&self, route: usize, why: ModeReason) -> Turn {
        self.route.store(route, Ordering::Relaxed);
        let why = REASONS.iter().position(|reason| *reason == why);
        self.why.store(why.unwrap_or(0), Ordering::Relaxed);
        match route {
            NEVER => Turn::Closed,
            _ => Turn::Opened,
        }
    }

    /// The measured costs, in a pool with these sums. What was not measured yet counts as nothing,
    /// so it is not a reason.
    pub(crate) fn costs(&self, totals: Totals) -> Costs {
        let meters = &self.meters;
        Costs {
            create: meters.create.nanos().unwrap_or(0.0),
            drop: meters.drop.nanos().unwrap_or(0.0),
            recycle: meters.recycle.nanos().unwrap_or(0.0),
            in_vain: totals.in_vain(),
            own: overhead::measured(),
        }
    }

    /// Whether objects are to come by the slow path until the judge has decided: a recycle seems to
    /// take so long that not even objects that are always used again are worth it, or a probe is
    /// on. Otherwise an object that one thread gets and puts all the time would never be looked at.
    pub(crate) fn wants_to_see(&self) -> bool {
        let nanos = |meter: &Meter| meter.nanos().unwrap_or(0.0);
        let meters = &self.meters;
        // The pool's own part makes up for what is less than this, and need not be known for it.
        let dear = nanos(&meters.recycle) > nanos(&meters.create) + nanos(&meters.drop);
        if !self.is_auto() || !(dear || self.is_probing()) {
            return false;
        }
        // Of objects that are always used again.
        let costs = self.costs(Totals::default());
        self.is_probing() || costs.pooled(1.0) > MARGIN * costs.bypassed()
    }

    /// Whether the pool is open for a probe.
    pub(crate) fn is_probing(&self) -> bool {
        self.why() == ModeReason::Probing
    }

    /// The hit rate of the last windows, if there was one.
    pub(crate) fn hit_rate(&self) -> Option<f64> {
        let judge = self.judge.lock().unwrap_or_else(PoisonError::into_inner);
        judge.hit_rate
    }

    /// Whether the window that is over needs no review: gathering the figures takes as long as ten
    /// misses.
    pub(crate) fn rests(&self) -> bool {
        let rest = self.rest.load(Ordering::Relaxed);
        if rest > 0 {
            self.rest.store(rest - 1, Ordering::Relaxed);
        }
        rest > 0
    }

    /// Looks at a window. `object_bytes` are those of one object.
    pub(crate) fn review(&self, totals: Totals, object_bytes: usize) -> Option<Turn> {
        if !self.is_auto() {
            self.rest.store(SETTLED_REST, Ordering::Relaxed);
            return None;
        }
        // Measured before the lock: it takes a while the first time, on a pool that is not `Auto`.
        let costs = (self.meters.create.samples() > 0).then(|| self.costs(totals));
        self.judge(totals, object_bytes, costs)
    }

    /// As `review`, by these costs, if they are known.
    fn judge(&self, totals: Totals, object_bytes: usize, costs: Option<Costs>) -> Option<Turn> {
        let mut judge = match self.judge.try_lock() {
            Ok(judge) => judge,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        match self.route() {
            Route::Bypass => self.review_bypassed(&mut judge, totals, costs),
            _ => self.review_pooled(&mut judge, totals, object_bytes, costs),
        }
    }

    fn review_pooled(
        &self,
        judge: &mut Judge,
        totals: Totals,
        object_bytes: usize,
        costs: Option<Costs>,
    ) -> Option<Turn> {
        let hits = totals.hits.saturating_sub(judge.since.hits);
        // What was taken for good may come back, so losses may shrink.
        let losses = totals.losses.saturating_sub(judge.since.losses);
        if hits + losses < WINDOW as u64 {
            return None;
        }
        judge.since = totals;
        let rate = hits as f64 / (hits + losses) as f64;
        judge.hit_rate = Some(rate);
        judge.pooled_windows = judge.pooled_windows.saturating_add(1);
        let probing = self.is_probing();
        // To stay it is enough not to be worse by the margin; to come back it must be better by it.
        let margin = if probing { 1.0 / MARGIN } else { MARGIN };
        let pays = match costs {
            Some(costs) => costs.pooled(rate) <= margin * costs.bypassed(),
            None => rate >= prior(object_bytes),
        };
        if pays {
            judge.strikes = 0;
            // A pool that stays open for as long as it was closed starts over.
            if judge.pooled_windows > 1 << BACKOFF_MAX {
                judge.backoff = 0;
            }
            if judge.pooled_windows > SETTLED_WINDOWS {
                self.rest.store(SETTLED_REST, Ordering::Relaxed);
            }
            self.turn(ALWAYS, ModeReason::ReusePays);
            return None;
        }
        (judge.strikes, judge.pooled_windows) = (judge.strikes + 1, 0);
        if probing || judge.strikes >= STRIKES {
            return Some(self.close(judge, costs));
        }
        None
    }

    fn close(&self, judge: &mut Judge, costs: Option<Costs>) -> Turn {
        self.rest.store(0, Ordering::Relaxed);
        judge.strikes = 0;
        judge.windows_left = 1 << judge.backoff;
        judge.backoff = (judge.backoff + 1).min(BACKOFF_MAX);
        let never = costs.is_some_and(|costs| costs.break_even().is_none());
        let why = if never {
            ModeReason::CostlyRecycle
        } else {
            ModeReason::TooFewHits
        };
        self.turn(NEVER, why)
    }

    fn review_bypassed(
        &self,
        judge: &mut Judge,
        totals: Totals,
        costs: Option<Costs>,
    ) -> Option<Turn> {
        // Drops may be measured only now, and show that a recycle is not so dear after all.
        let rate = judge.hit_rate.unwrap_or(0.0);
        let reverts = self.why() == ModeReason::CostlyRecycle
            && costs.is_some_and(|costs| costs.pooled(rate) * MARGIN < costs.bypassed());
        judge.windows_left = judge.windows_left.saturating_sub(1);
        if !reverts && judge.windows_left > 0 {
            // There is nothing to see before the next probe.
            self.rest
                .store(judge.windows_left as usize - 1, Ordering::Relaxed);
            judge.windows_left = 1;
            return None;
        }
        (judge.since, judge.pooled_windows) = (totals, 0);
        let why = if reverts {
            ModeReason::ReusePays
        } else {
            ModeReason::Probing
        };
        Some(self.turn(ALWAYS, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::watch::cost::Overheads;

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

    /// A pool, its totals so far, and windows of some hit rate.
    struct Case(Control, Totals);

    impl Case {
        fn new() -> Case {
            Case(Control::new(Mode::Auto), Totals::default())
        }

        fn window(&mut self, percent: u64, costs: Option<Costs>) -> Option<Turn> {
            let Case(control, totals) = self;
            totals.hits += percent;
            totals.losses += 100 - percent;
            control.judge(*totals, 100, costs)
        }

        fn close(&mut self) {
            let turns = [0; 3].map(|percent| self.window(percent, Some(CHEAP)));
            assert_eq!(turns, [None, None, Some(Turn::Closed)]);
        }

        /// Windows past the pool until it opens; nothing is used again then.
        fn closed_for(&mut self) -> usize {
            let Case(control, totals) = self;
            let mut windows = 1;
            loop {
                if !control.rests() && control.judge(*totals, 100, Some(CHEAP)).is_some() {
                    return windows;
                }
                windows += 1;
            }
        }
    }

    #[test]
    fn three_windows_in_a_row_close_the_pool() {
        let mut case = Case::new();
        assert_eq!(case.window(10, Some(CHEAP)), None);
        assert_eq!(case.window(10, Some(CHEAP)), None);
        assert_eq!(
            case.window(40, Some(CHEAP)),
            None,
            "one that pays begins anew"
        );
        assert_eq!(case.window(10, Some(CHEAP)), None);
        assert_eq!(case.window(10, Some(CHEAP)), None);
        assert_eq!(case.0.route(), Route::Pool);
        assert_eq!(case.window(10, Some(CHEAP)), Some(Turn::Closed));
        assert_eq!(
            (case.0.route(), case.0.why()),
            (Route::Bypass, ModeReason::TooFewHits)
        );
        assert_eq!(case.0.hit_rate(), Some(0.1));
    }

    #[test]
    fn objects_that_are_out_say_nothing() {
        let mut case = Case::new();
        for _ in 0..10 {
            assert_eq!(case.0.judge(case.1, 100, Some(CHEAP)), None);
        }
        assert_eq!(case.0.why(), ModeReason::NoDataYet);
        // Few of them neither.
        case.1.losses = WINDOW as u64 - 1;
        (0..10).for_each(|_| assert_eq!(case.0.judge(case.1, 100, Some(CHEAP)), None));
        // What was lost may come back.
        case.1.losses = 0;
        assert_eq!(case.0.judge(case.1, 100, Some(CHEAP)), None);
    }

    #[test]
    fn probes_come_after_twice_as_long_each_time_and_open_the_pool() {
        let mut case = Case::new();
        case.close();
        let mut waits = Vec::new();
        for _ in 0..9 {
            waits.push(case.closed_for());
            assert_eq!(
                (case.0.route(), case.0.why()),
                (Route::Pool, ModeReason::Probing)
            );
            assert_eq!(
                case.window(19, Some(CHEAP)),
                Some(Turn::Closed),
                "one window"
            );
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        case.closed_for();
        assert_eq!(
            case.window(21, Some(CHEAP)),
            Some(Turn::Closed),
            "by too little"
        );
        case.closed_for();
        assert_eq!(case.window(60, Some(CHEAP)), None);
        assert_eq!(
            (case.0.route(), case.0.why()),
            (Route::Pool, ModeReason::ReusePays)
        );
        // It closes by three windows again, and the next probe is as far as before.
        case.close();
        assert_eq!(case.closed_for(), 64);
        // Unless it was open for long.
        (0..80).for_each(|_| assert_eq!(case.window(60, Some(CHEAP)), None));
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
        (0..2).for_each(|_| assert_eq!(case.window(100, Some(drop_unknown)), None));
        assert_eq!(case.window(100, Some(drop_unknown)), Some(Turn::Closed));
        assert_eq!(case.0.why(), ModeReason::CostlyRecycle);
        let drop_known = Costs {
            drop: 200.0,
            ..drop_unknown
        };
        let turn = case.0.judge(case.1, 100, Some(drop_known));
        assert_eq!(
            (turn, case.0.why()),
            (Some(Turn::Opened), ModeReason::ReusePays)
        );
    }

    #[test]
    fn floors_by_size_hold_until_something_is_measured() {
        for (bytes, floor) in [(24, 18), (63, 18), (64, 12), (2048, 12), (2049, 7)] {
            for (percent, closes) in [(floor - 1, true), (floor, false)] {
                let Case(control, mut totals) = Case::new();
                let mut turn = None;
                for _ in 0..3 {
                    totals.hits += percent;
                    totals.losses += 100 - percent;
                    turn = control.judge(totals, bytes, None);
                }
                assert_eq!(turn.is_some(), closes, "{bytes} bytes, {percent} %");
            }
        }
    }

    #[test]
    fn who_asks_is_not_judged() {
        for mode in [Mode::Always, Mode::Never, Mode::Share(5)] {
            let control = Control::new(mode);
            let totals = Totals {
                hits: 0,
                losses: 1000,
                in_vain: 0,
            };
            assert_eq!((control.review(totals, 100), control.mode()), (None, mode));
            assert_eq!(control.why(), ModeReason::Asked);
        }
    }
}
