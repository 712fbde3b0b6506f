//! When does reuse pay, and does `Mode::Auto` know it?
//!
//! `cargo run --release --bin reuse_sweep [-- --rounds N --svg FILE]`
//!
//! Sweeps the share of objects that are used again (the others are discarded by their user) by the
//! cost of an object, each combination in the modes Always, Never and Auto of the same pool, in
//! turns. A row is good when Auto takes at most 1.10 of the better of the other two. For each cost
//! the rate at which Always and Never take the same is found and drawn beside the model's:
//! `(m - b) / (A + D - S + m - h)`, with the textbook's `h / (A + D - S)` (see `Advice`).
//!
//! Each turn runs on a thread of its own, so that no pool is nearer at hand than another.

use std::fmt::Write as _;
use std::hint::black_box;
use std::thread;
use std::time::Instant;

use flagstone::{Keep, Mode, Pool, RecycleHook};
use flagstone_benches::Random;
use flagstone_benches::interleave::rounds_from_arguments;

/// Steps of work in a create beside its allocation: from some 10 ns to a millisecond.
const STEPS: [usize; 6] = [0, 30, 300, 3_000, 30_000, 3_000_000];

/// Percent of the objects that are used again.
const PERCENT: [usize; 11] = [0, 5, 10, 15, 20, 30, 45, 60, 80, 95, 100];

const MODES: [Mode; 3] = [Mode::Always, Mode::Never, Mode::Auto];

/// Pairs of a turn, fewer of dear objects: a turn is some milliseconds.
const PAIRS: usize = 50_000;

/// Pairs before the first turn: Auto decides after three windows of 64 objects, and probes.
const WARM: usize = 600;

type Object = Box<[u64; 8]>;
type Objects = Pool<Object, RecycleHook<Object>>;

fn pool(steps: usize, mode: Mode) -> Objects {
    Pool::builder_with(move || {
        let sum = (0..steps as u64).fold(0, |sum, step| black_box(sum ^ step));
        Box::new([sum; 8])
    })
    .recycle_with(|object| {
        object[0] = 0;
        Keep::Yes
    })
    .mode(mode)
    .build()
}

/// Nanoseconds per pair.
fn turn(pool: &Objects, percent: usize, pairs: usize) -> f64 {
    let run = || {
        let mut random = Random::new(7);
        // The thread's shard is claimed before.
        drop(pool.get());
        let start = Instant::now();
        for _ in 0..pairs {
            let mut object = pool.get();
            object[1] += 1;
            black_box(&*object);
            if random.below(100) >= percent {
                object.discard();
            }
        }
        start.elapsed().as_nanos() as f64 / pairs as f64
    };
    thread::scope(|scope| scope.spawn(run).join().expect("no panic"))
}

/// Medians of the modes for one combination, and the pool in Auto.
fn measure(steps: usize, percent: usize, rounds: usize) -> ([f64; 3], Objects) {
    let pools = MODES.map(|mode| pool(steps, mode));
    let pairs = (PAIRS * 20 / (steps + 20)).max(64);
    for pool in &pools {
        turn(pool, percent, pairs.max(WARM));
    }
    let mut turns = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        for (pool, turns) in pools.iter().zip(&mut turns) {
            turns.push(turn(pool, percent, pairs));
        }
    }
    let medians = turns.map(|mut turns| {
        turns.sort_by(f64::total_cmp);
        turns[turns.len() / 2]
    });
    let [_, _, auto] = pools;
    (medians, auto)
}

/// The rate, 0 to 1, at which the first of two rows of figures falls below the second.
fn crossing(rows: &[[f64; 3]]) -> Option<f64> {
    let gain = |row: &[f64; 3]| row[1] - row[0];
    let after = rows.iter().position(|row| gain(row) > 0.0)?;
    let Some(before) = after.checked_sub(1) else {
        return Some(0.0);
    };
    let (low, high) = (gain(&rows[before]), gain(&rows[after]));
    let (from, to) = (PERCENT[before] as f64, PERCENT[after] as f64);
    Some((from - low / (high - low) * (to - from)) / 100.0)
}

/// What is drawn for one cost: nanoseconds of a create and a drop, and rates.
struct Point {
    nanos: f64,
    measured: Option<f64>,
    model: Option<f64>,
    textbook: f64,
}

fn sweep(steps: usize, rounds: usize, worst: &mut f64) -> Point {
    println!("\nused again   always    never     auto  auto/better");
    let mut rows = Vec::new();
    let mut advice = None;
    for percent in PERCENT {
        let (medians, auto) = measure(steps, percent, rounds);
        let [always, never, in_auto] = medians;
        let ratio = in_auto / always.min(never);
        *worst = worst.max(ratio);
        let reason = auto.stats().reason;
        println!(
            "{percent:>8} % {always:>8.1} {never:>8.1} {in_auto:>8.1} {ratio:>8.2}  {reason:?}"
        );
        rows.push(medians);
        // Where drops of used objects were seen as well.
        if percent == 60 {
            advice = Some(auto.advice());
        }
    }
    let advice = advice.expect("60 is one of them");
    println!("{advice}");
    let cost = |nanos: Option<f64>| nanos.unwrap_or(0.0);
    let nanos = cost(advice.create_ns) + cost(advice.drop_ns);
    Point {
        nanos,
        measured: crossing(&rows),
        model: advice.break_even,
        textbook: (advice.hit_ns / (nanos - cost(advice.recycle_ns)).max(0.1)).min(1.0),
    }
}

/// The picture's size, and the margin for its words.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const MARGIN: f64 = 60.0;

/// Where a cost and a rate lie: costs by their logarithm from 1 ns to 10 ms.
fn place(nanos: f64, rate: f64) -> (f64, f64) {
    let across = nanos.max(1.0).log10() / 7.0;
    let up = rate.clamp(0.0, 0.5) / 0.5;
    let (width, height) = (WIDTH - 2.0 * MARGIN, HEIGHT - 2.0 * MARGIN);
    (MARGIN + across * width, HEIGHT - MARGIN - up * height)
}

fn svg(points: &[Point]) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut add = |text: std::fmt::Arguments<'_>| writeln!(out, "{text}").expect("a string");
    for percent in (0..=50).step_by(10) {
        let ((left, y), (right, _)) = (place(1.0, percent as f64 / 100.0), place(1e7, 0.0));
        add(format_args!(
            "<path d=\"M{left:.1} {y:.1}H{right:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{percent} %</text>",
            left - 8.0,
            y + 4.0
        ));
    }
    for (nanos, label) in [(1.0, "1 ns"), (1e3, "1 µs"), (1e6, "1 ms")] {
        let (x, y) = place(nanos, 0.0);
        add(format_args!(
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            y + 18.0
        ));
    }
    let line = |rate: &dyn Fn(&Point) -> Option<f64>| {
        let corners = points.iter().filter_map(|point| {
            let (x, y) = place(point.nanos, rate(point)?);
            Some(format!("{x:.1},{y:.1}"))
        });
        corners.collect::<Vec<_>>().join(" ")
    };
    let (model, textbook) = (
        line(&|point| point.model),
        line(&|point| Some(point.textbook)),
    );
    add(format_args!(
        "<polyline points=\"{model}\" fill=\"none\" stroke=\"#1f6f8b\" stroke-width=\"2\"/>\n\
         <polyline points=\"{textbook}\" fill=\"none\" stroke=\"#999\" stroke-dasharray=\"5 4\"/>"
    ));
    for point in points {
        if let Some(rate) = point.measured {
            let (x, y) = place(point.nanos, rate);
            add(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"#c0392b\"/>"
            ));
        }
    }
    add(format_args!(
        "<text x=\"{MARGIN}\" y=\"24\">Share of objects used again from which on a pool pays, by \
         the cost of a create and a drop</text>\n\
         <text x=\"{MARGIN}\" y=\"42\"><tspan fill=\"#c0392b\">● measured</tspan> \
         <tspan fill=\"#1f6f8b\">— (m − b) / (A + D − S + m − h)</tspan> \
         <tspan fill=\"#777\">- - h / (A + D − S)</tspan></text>\n</svg>"
    ));
    out
}

fn main() {
    let rounds = rounds_from_arguments();
    let mut worst = 0.0;
    let points: Vec<_> = STEPS.map(|steps| sweep(steps, rounds, &mut worst)).into();
    println!("\n  create + drop   measured      model   textbook");
    for point in &points {
        let percent =
            |rate: Option<f64>| rate.map_or("-".into(), |rate| format!("{:.1} %", 100.0 * rate));
        let (measured, model) = (percent(point.measured), percent(point.model));
        let (nanos, textbook) = (point.nanos, percent(Some(point.textbook)));
        println!("{nanos:>12.0} ns {measured:>10} {model:>10} {textbook:>10}");
    }
    println!("\nAuto over the better of Always and Never: at most {worst:.2}");
    let mut arguments = std::env::args()
        .skip_while(|argument| argument != "--svg")
        .skip(1);
    if let Some(file) = arguments.next() {
        std::fs::write(&file, svg(&points)).expect("a file that can be written");
        println!("drawn in {file}");
    }
}
