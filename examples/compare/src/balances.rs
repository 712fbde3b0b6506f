//! Which loops stand behind each break-even figure.
//!
//! - I1: in the hot loop and the reuse loop they are the table's own rows: std, the floor, the
//!   pool. In the request the tree outweighs a pool's nanoseconds a hundred thousand times, so
//!   arenas are timed in a loop of their own, with one small allocation each: the least that an
//!   arena costs to make, so that H* comes out rather too high than too low.
//! - I2: the share of hits is the arm's own, from the timed rounds.
//!
//! The formula is in `break_even.rs`.

use std::hint::black_box;

use flagstone::{Arena, ArenaPool};

use crate::break_even::{Balance, Loops};
use crate::figures::Percent;
use crate::harness::{Measured, Timing};
use crate::work::{Arm, Maker, Way, Work};

/// What the rows of `work` say about its pools.
pub(crate) fn of_rows(work: &Work<'_>, measured: &Measured) -> Vec<Balance> {
    let Some(floor) = work.arms.iter().position(|arm| arm.maker == Maker::Floor) else {
        return Vec::new();
    };
    let median_ns = |index: usize| measured.timings[index].median_ns;
    let balance = |(index, arm): (usize, &Arm<'_>)| {
        let hit_rate = arm.way.hits()?.rate();
        let pooled_ns = median_ns(index);
        let loops = Loops {
            std_ns: median_ns(0),
            floor_ns: median_ns(floor),
            pooled_ns,
            hit_rate,
        };
        Some(Balance::new(arm.title, work.objects, loops, hit_rate))
    };
    work.arms.iter().enumerate().filter_map(balance).collect()
}

/// What the loops of [`arenas`] say about the request's pool of arenas.
pub(crate) fn of_arenas(
    request: &Work<'_>,
    measured: &Measured,
    paired: &Measured,
) -> Option<Balance> {
    let row = |id: &str| request.arms.iter().position(|arm| arm.id == id);
    let (arena, fresh) = (row("arena")?, row("fresh")?);
    let [new, held, pooled] = &paired.timings[..] else {
        return None;
    };
    let loops = Loops {
        std_ns: new.median_ns,
        floor_ns: held.median_ns,
        pooled_ns: pooled.median_ns,
        // One at a time: all but the first get find the arena.
        hit_rate: 1.0,
    };
    let hit_rate = request.arms[arena].way.hits()?.rate();
    let note = whole_requests(&measured.timings[arena], &measured.timings[fresh]);
    let balance = Balance::new("ArenaPool", request.objects, loops, hit_rate);
    Some(Balance { note, ..balance })
}

/// What pooling the arena did to whole requests.
fn whole_requests(pooled: &Timing, fresh: &Timing) -> String {
    let faster = fresh.median_ns / pooled.median_ns - 1.0;
    let percent = Percent(faster.abs());
    if faster.abs() < pooled.spread().max(fresh.spread()) {
        "Whole requests do not show it: the tree outweighs the arena.".into()
    } else if faster > 0.0 {
        format!("Whole requests take {percent} more with a new arena each time.")
    } else {
        format!("Yet whole requests take {percent} less with a new arena each time.")
    }
}

/// Repetitions per iteration: the warm-up needs something long enough to time.
const PAIRS: u64 = 1000;

/// One round trip, again and again.
struct Pairs<F>(F);

impl<F: FnMut()> Way for Pairs<F> {
    fn run(&mut self, iterations: u64) -> u64 {
        for _ in 0..iterations * PAIRS {
            self.0();
        }
        iterations
    }
}

/// An arena and one small allocation in it: made each time, held, from a pool.
pub(crate) fn arenas() -> Work<'static> {
    fn pair(id: &'static str, pair: impl FnMut() + 'static) -> Arm<'static> {
        Arm::new(id, id, Maker::Other, Pairs(pair))
    }
    let touch = |arena: &Arena| {
        black_box(arena.alloc(7u64));
    };
    let mut held = Arena::new();
    let pool = ArenaPool::new();
    Work {
        id: "arenas",
        title: "Arenas",
        description: String::new(),
        unit: "arena",
        objects: "arenas",
        units_per_iteration: PAIRS,
        arms: vec![
            pair("new each time", move || touch(&Arena::new())),
            pair("held", move || {
                touch(&held);
                held.reset();
            }),
            pair("pooled", move || touch(&pool.get())),
        ],
        remarks: Vec::new(),
    }
}
