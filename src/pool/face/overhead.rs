//! What the pool itself takes, measured once per process on a pool of numbers.
//!
//! Owns the figures. Some 40 us the first time, on a slow path.
#![forbid(unsafe_code)]

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::face::pool::Pool;
use crate::pool::life::pool_core::{Create, Plan};
use crate::pool::life::recycle::{Keep, RecycleHook};
use crate::pool::watch::clock::Watch;
use crate::pool::watch::cost::Overheads;
use crate::pool::watch::mode::Mode;

/// Pairs of a run: the clock's error is a fiftieth of a pair then.
const PAIRS: usize = 64;

/// Runs of which the least counts: the first meets cold code, and another thread may come between.
const RUNS: usize = 5;

type Numbers = Pool<u64, RecycleHook<u64>>;

/// Nanoseconds of a pair that `work` does, on a pool that this thread has used for as long before.
fn pair(pool: &Numbers, work: fn(&Numbers)) -> f64 {
    let run = || (0..PAIRS).for_each(|_| work(pool));
    run();
    let watch = Watch::start();
    run();
    watch.nanos() as f64 / PAIRS as f64
}

/// Who asked first is at it; the others do with the defaults meanwhile.
const MEASURING: usize = 1;
const MEASURED: usize = 2;

/// Until there are measured ones: those of the machine this was written on.
const DEFAULTS: Overheads = Overheads {
    hit: 3.0,
    miss: 26.0,
    bypass: 24.0,
};

/// The figures. Nobody waits for them, not even an allocator that runs inside of the measuring.
pub(crate) fn measured() -> Overheads {
    static STATE: AtomicUsize = AtomicUsize::new(0);
    /// In sixteenths of a nanosecond.
    static FIGURES: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
    // Acquire and Release: the figures are seen whole.
    let state = STATE.load(Ordering::Acquire);
    if state == MEASURED {
        let read = |index: usize| FIGURES[index].load(Ordering::Relaxed) as f64 / 16.0;
        return Overheads {
            hit: read(0),
            miss: read(1),
            bypass: read(2),
        };
    }
    let (taken, seen) = (Ordering::Relaxed, Ordering::Relaxed);
    let mine = STATE.compare_exchange(0, MEASURING, taken, seen).is_ok();
    // The interpreter's clock knows nothing of costs.
    if !mine || cfg!(miri) {
        return DEFAULTS;
    }
    let Some(figures) = measure() else {
        // Another time: there was no memory.
        STATE.store(0, Ordering::Relaxed);
        return DEFAULTS;
    };
    let all = [figures.hit, figures.miss, figures.bypass];
    for (figure, nanos) in FIGURES.iter().zip(all) {
        figure.store((nanos * 16.0) as usize, Ordering::Relaxed);
    }
    STATE.store(MEASURED, Ordering::Release);
    figures
}

/// Uses no pool but its own, which are never in [`Mode::Auto`]. They take turns: what slows the
/// machine down for a while must not make a miss seem cheaper than a bypass.
fn measure() -> Option<Overheads> {
    let pool = |mode| {
        let recycler = RecycleHook::new(|_| Keep::Yes);
        let mut plan = Plan::new(Create::Plain(|| 0), recycler, || DEFAULTS);
        plan.choices.mode = mode;
        Numbers::from_plan(plan)
    };
    let pools = [Mode::Always, Mode::Always, Mode::Never].map(pool);
    let [hits, misses, bypassed] = &pools;
    let mut least = [f64::INFINITY; 3];
    for _ in 0..RUNS {
        let run = [
            pair(hits, |pool| drop(pool.try_get())),
            pair(misses, |pool| {
                if let Some(guard) = pool.try_get() {
                    guard.discard();
                }
            }),
            pair(bypassed, |pool| drop(pool.try_get())),
        ];
        for (least, nanos) in least.iter_mut().zip(run) {
            *least = least.min(nanos);
        }
    }
    let served = |pool: &Numbers| pool.stats().gets == (2 * RUNS * PAIRS) as u64;
    let [hit, miss, bypass] = least;
    pools
        .iter()
        .all(served)
        .then_some(Overheads { hit, miss, bypass })
}
