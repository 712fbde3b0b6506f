//! When does reuse pay, and does `Mode::Auto` know it?
//!
//! `cargo run --release --bin reuse_sweep [-- --rounds N --svg FILE --kinds box,vec,map]`
//!
//! Sweeps the share of objects that are used again (the others are discarded by their user) by the
//! kind and cost of an object, each combination in the modes Always, Never and Auto of the same
//! pool, in turns. A row is good when Auto takes at most 1.10 of the better of the other two. For
//! each cost the rate at which Always and Never take the same is found and shown beside the
//! model's: `(m - b) / (A + D - S + m - h)`, with the textbook's `h / (A + D - S)` (see `Advice`).
//!
//! The kinds: `box` is 64 bytes with a create of some 10 ns to a millisecond and a recycle of
//! nothing. Of the others a recycle takes time, and they are swept at fewer points: `vec`, 1 KiB
//! that is cleared; `zeroed`, 64 KiB that are written anew; `map`, a hash map with room for 1,000
//! entries, whose clear goes through all the room. Two break the model's assumptions: `grown` is
//! made empty and grows while it is used, so that its create tells nothing of what reuse saves; of
//! `refused` the recycle does its work and then refuses the object, instead of the user who
//! discards it.
//!
//! Before anything is timed each pool serves so many objects that Auto has decided and its probes
//! are as rare as they get; the tables say how many. Each turn runs on a thread of its own, so that
//! no pool is nearer at hand than another.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::thread;
use std::time::Instant;

use flagstone::{Keep, Mode, Pool, Pooled, RecycleHook};
use flagstone_benches::Random;
use flagstone_benches::interleave::rounds_from_arguments;

/// Percent of the boxes that are used again, and of the other kinds.
const PERCENT: [usize; 11] = [0, 5, 10, 15, 20, 30, 45, 60, 80, 95, 100];
const PERCENT_FEW: [usize; 7] = [0, 5, 15, 30, 60, 95, 100];

const MODES: [Mode; 3] = [Mode::Always, Mode::Never, Mode::Auto];

/// Gets before the first turn. Auto decides after three windows of 64 objects and then probes after
/// 1, 2, 4, and in the end 64 windows: after some 9,000 objects.
const SETTLED: usize = 10_000;

/// The same for what takes a millisecond to make: decided, though not probing as seldom as it will.
/// A probe of such objects costs a thousandth.
const DECIDED: usize = 600;

type Objects<T> = Pool<T, RecycleHook<T>>;
type Guard<'p, T> = Pooled<'p, T, RecycleHook<T>>;

/// A kind of object.
struct Kind<T> {
    name: &'static str,
    /// Steps of work in a create beside its allocation.
    steps: usize,
    create: fn(usize) -> T,
    /// What the user does with it.
    touch: fn(&mut T),
    recycle: fn(&mut T) -> Keep,
    /// The end of one that is not used again.
    lose: fn(Guard<'_, T>),
    /// Pairs of a turn: some milliseconds.
    pairs: usize,
    /// Gets before the first turn.
    settling: usize,
    percents: &'static [usize],
}

impl<T> Kind<T> {
    fn new(
        name: &'static str,
        pairs: usize,
        create: fn(usize) -> T,
        touch: fn(&mut T),
        recycle: fn(&mut T) -> Keep,
    ) -> Kind<T> {
        Kind {
            name,
            steps: 0,
            create,
            touch,
            recycle,
            lose: |object| object.discard(),
            pairs,
            settling: SETTLED,
            percents: &PERCENT_FEW,
        }
    }
}

/// From some 10 ns to a millisecond.
const STEPS: [usize; 6] = [0, 30, 300, 3_000, 30_000, 3_000_000];

fn boxed(steps: usize) -> Kind<Box<[u64; 8]>> {
    let create = |steps| {
        let sum = (0..steps as u64).fold(0, |sum, step| black_box(sum ^ step));
        Box::new([sum; 8])
    };
    let recycle = |object: &mut Box<[u64; 8]>| {
        object[0] = 0;
        Keep::Yes
    };
    Kind {
        steps,
        settling: if steps > 30_000 { DECIDED } else { SETTLED },
        percents: &PERCENT,
        ..Kind::new(
            BOX,
            (50_000 * 20 / (steps + 20)).max(64),
            create,
            |object| object[1] += 1,
            recycle,
        )
    }
}

/// The name of the kind whose costs are swept.
const BOX: &str = "box";

/// What a user writes to a buffer at a time.
const LINE: [u8; 64] = [1; 64];

const BUFFER_BYTES: usize = 1 << 10;

fn cleared(buffer: &mut Vec<u8>) -> Keep {
    buffer.clear();
    Keep::Yes
}

fn vec() -> Kind<Vec<u8>> {
    let create = |_| Vec::with_capacity(BUFFER_BYTES);
    Kind::new("vec", 20_000, create, |buffer| buffer.extend(LINE), cleared)
}

fn zeroed() -> Kind<Vec<u8>> {
    let recycle = |buffer: &mut Vec<u8>| {
        buffer.fill(0);
        Keep::Yes
    };
    let touch = |buffer: &mut Vec<u8>| buffer[..LINE.len()].copy_from_slice(&LINE);
    Kind::new("zeroed", 2_000, |_| vec![0; 64 << 10], touch, recycle)
}

fn map() -> Kind<HashMap<u64, u64>> {
    let touch = |map: &mut HashMap<u64, u64>| map.extend([(1, 1), (2, 2), (3, 3), (4, 4)]);
    let recycle = |map: &mut HashMap<u64, u64>| {
        map.clear();
        Keep::Yes
    };
    Kind::new(
        "map",
        10_000,
        |_| HashMap::with_capacity(1000),
        touch,
        recycle,
    )
}

fn grown() -> Kind<Vec<u8>> {
    let touch = |buffer: &mut Vec<u8>| {
        (0..BUFFER_BYTES / LINE.len()).for_each(|_| buffer.extend(black_box(LINE)));
    };
    Kind::new("grown", 10_000, |_| Vec::new(), touch, cleared)
}

/// A buffer, and whether it may be used again.
type Marked = (Vec<u8>, bool);

fn refused() -> Kind<Marked> {
    let touch = |(buffer, again): &mut Marked| {
        buffer[..LINE.len()].copy_from_slice(&LINE);
        *again = true;
    };
    let recycle = |(buffer, again): &mut Marked| {
        buffer.fill(0);
        if *again { Keep::Yes } else { Keep::Discard }
    };
    let create = |_| (vec![0; BUFFER_BYTES], true);
    Kind {
        lose: |mut object| object.1 = false,
        ..Kind::new("refused", 20_000, create, touch, recycle)
    }
}

fn pool<T: Send + 'static>(kind: &Kind<T>, mode: Mode) -> Objects<T> {
    let (steps, create) = (kind.steps, kind.create);
    Pool::builder_with(move || create(steps))
        .recycle_with(kind.recycle)
        .mode(mode)
        .build()
}

/// Nanoseconds per pair.
fn turn<T: Send>(kind: &Kind<T>, pool: &Objects<T>, percent: usize, pairs: usize) -> f64 {
    let run = || {
        let mut random = Random::new(7);
        // The thread's shard is claimed before.
        drop(pool.get());
        let start = Instant::now();
        for _ in 0..pairs {
            let mut object = pool.get();
            (kind.touch)(&mut object);
            black_box(&*object);
            if random.below(100) >= percent {
                (kind.lose)(object);
            }
        }
        start.elapsed().as_nanos() as f64 / pairs as f64
    };
    thread::scope(|scope| scope.spawn(run).join().expect("no panic"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Medians of the modes for one combination, Auto over the better of the others, and the pool in
/// Auto. The ratio is the median of the rounds': a machine that slows down for a while slows all
/// three of a round down.
fn measure<T: Send + 'static>(
    kind: &Kind<T>,
    percent: usize,
    rounds: usize,
) -> ([f64; 3], f64, Objects<T>) {
    let pools = MODES.map(|mode| pool(kind, mode));
    for pool in &pools {
        turn(kind, pool, percent, kind.settling);
    }
    let mut turns = [const { Vec::new() }; 3];
    for round in 0..rounds {
        // Each is the first in turn.
        for place in 0..MODES.len() {
            let mode = (round + place) % MODES.len();
            turns[mode].push(turn(kind, &pools[mode], percent, kind.pairs));
        }
    }
    let medians = turns.each_ref().map(|turns| median(turns.clone()));
    let better = usize::from(medians[1] < medians[0]);
    let rounds = turns[2].iter().zip(&turns[better]);
    let ratio = median(rounds.map(|(auto, better)| auto / better).collect());
    let [_, _, auto] = pools;
    (medians, ratio, auto)
}

/// The rate, 0 to 1, at which the first of two rows of figures falls below the second.
fn crossing(percents: &[usize], rows: &[[f64; 3]]) -> Option<f64> {
    let gain = |row: &[f64; 3]| row[1] - row[0];
    let after = rows.iter().position(|row| gain(row) > 0.0)?;
    let Some(before) = after.checked_sub(1) else {
        return Some(0.0);
    };
    let (low, high) = (gain(&rows[before]), gain(&rows[after]));
    let (from, to) = (percents[before] as f64, percents[after] as f64);
    Some((from - low / (high - low) * (to - from)) / 100.0)
}

/// What is shown for one cost: nanoseconds of a create and a drop, and rates.
struct Point {
    kind: &'static str,
    nanos: f64,
    measured: Option<f64>,
    model: Option<f64>,
    textbook: f64,
    /// Auto over the better of the others, at most.
    worst: f64,
}

fn sweep<T: Send + 'static>(kind: &Kind<T>, rounds: usize) -> Point {
    println!(
        "\n{}, {} steps; timed after {} gets\n{:>10} {:>8} {:>8} {:>8}  auto/better",
        kind.name, kind.steps, kind.settling, "used again", "always", "never", "auto"
    );
    let mut rows = Vec::new();
    let mut advice = None;
    let mut worst = 0.0_f64;
    for &percent in kind.percents {
        let (medians, ratio, auto) = measure(kind, percent, rounds);
        let [always, never, in_auto] = medians;
        worst = worst.max(ratio);
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
        kind: kind.name,
        nanos,
        measured: crossing(kind.percents, &rows),
        model: advice.break_even,
        textbook: (advice.hit_ns / (nanos - cost(advice.recycle_ns)).max(0.1)).min(1.0),
        worst,
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
        let boxes = points.iter().filter(|point| point.kind == BOX);
        let corners = boxes.filter_map(|point| {
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
            // The boxes are the row that the lines belong to.
            let name = if point.kind == BOX { "" } else { point.kind };
            add(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"#c0392b\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{name}</text>",
                x + 8.0,
                y - 6.0
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

/// The word behind an option of the command line.
fn option(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

fn main() {
    let rounds = rounds_from_arguments();
    let kinds = option("--kinds");
    let wanted = |kind: &str| {
        let kinds = kinds.as_deref();
        kinds.is_none_or(|kinds| kinds.split(',').any(|one| one == kind))
    };
    let mut points = Vec::new();
    if wanted(BOX) {
        points.extend(STEPS.map(|steps| sweep(&boxed(steps), rounds)));
    }
    for buffers in [vec(), zeroed(), grown()] {
        if wanted(buffers.name) {
            points.push(sweep(&buffers, rounds));
        }
    }
    if wanted("map") {
        points.push(sweep(&map(), rounds));
    }
    if wanted("refused") {
        points.push(sweep(&refused(), rounds));
    }
    print_points(&points);
    if let Some(file) = option("--svg") {
        std::fs::write(&file, svg(&points)).expect("a file that can be written");
        println!("drawn in {file}");
    }
}

fn print_points(points: &[Point]) {
    println!("\npays from             create + drop  measured     model  textbook  auto at most");
    let percent =
        |rate: Option<f64>| rate.map_or("-".into(), |rate| format!("{:.1} %", 100.0 * rate));
    for point in points {
        let [measured, model, textbook] =
            [point.measured, point.model, Some(point.textbook)].map(percent);
        let (kind, nanos, worst) = (point.kind, point.nanos, point.worst);
        println!(
            "{kind:<20} {nanos:>11.0} ns {measured:>9} {model:>9} {textbook:>9} {worst:>13.2}"
        );
    }
    let worst = points.iter().map(|point| point.worst).fold(0.0, f64::max);
    println!("\nAuto over the better of Always and Never: at most {worst:.2}");
}
