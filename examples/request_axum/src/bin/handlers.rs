//! The handlers without axum and the network: parse, transform, answer, drop.
//!
//! * `cargo run --release --bin handlers -- [rounds]`: nanoseconds, round by round in turns
//! * `… --bin handlers -- count arena|std|owned small|large REPEATS`: one of them alone, for
//!   counting instructions: `valgrind --tool=callgrind --toggle-collect='handlers::work*'`

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use flagstone::ArenaPool;
use request_axum::figures::{percentile, ratio};
use request_axum::{ARENA_BYTES_MAX, arena_route, arenas, sample, std_route};

#[cfg(feature = "flagstone-global")]
#[global_allocator]
static GLOBAL: flagstone::Flagstone = flagstone::Flagstone::new();

const NAMES: [&str; 3] = ["arena", "std", "owned"];
const SIZES: [(&str, usize); 2] = [("small", sample::SMALL), ("large", sample::LARGE)];

/// How long one handler is run at a time: many requests, and short enough for the next one to meet
/// the same machine.
const TURN: Duration = Duration::from_millis(10);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arenas = arenas(ARENA_BYTES_MAX);
    if let [_, name, size, repeats] = &arguments[..] {
        let handler = NAMES
            .iter()
            .position(|known| known == name)
            .expect("a handler");
        let (_, items) = SIZES
            .into_iter()
            .find(|(known, _)| known == size)
            .expect("a size");
        let order = sample::order(items);
        // Twice to warm up, which callgrind is told apart by `REPEATS` + 2 calls.
        for _ in 0..repeats.parse::<u32>().expect("a number") + 2 {
            work(handler, &arenas, &order);
        }
        return;
    }
    let rounds = arguments
        .first()
        .map_or(31, |text| text.parse().expect("a number"));
    println!("| body | handler | ns | to std |\n|---|---|---|---|");
    for (size, items) in SIZES {
        let order = sample::order(items);
        let mut times = NAMES.map(|_| Vec::new());
        for round in 0..=rounds {
            for turn in 0..NAMES.len() {
                let handler = (round + turn) % NAMES.len();
                let ns = time(|| work(handler, &arenas, &order));
                if round > 0 {
                    times[handler].push(ns);
                }
            }
        }
        let std = times[1].clone();
        for (name, mut times) in NAMES.into_iter().zip(times) {
            let to_std = ratio(&times, &std);
            println!(
                "| {size} | {name} | {:.0} | {to_std} |",
                percentile(&mut times, 0.5)
            );
        }
    }
}

/// One request, from its body to the end of its answer. A function of its own, for callgrind.
#[inline(never)]
fn work(handler: usize, arenas: &Arc<ArenaPool>, order: &[u8]) {
    match handler {
        0 => drop(black_box(run(arena_route::answer(
            arenas.get_owned(),
            order,
        )))),
        1 => drop(black_box(run(std_route::answer(order)))),
        _ => drop(black_box(run(std_route::answer_owned(order)))),
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// Nanoseconds of one call.
fn time(mut call: impl FnMut()) -> f64 {
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < TURN {
        call();
        count += 1;
    }
    start.elapsed().as_nanos() as f64 / f64::from(count)
}
