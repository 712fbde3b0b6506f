//! A few huge requests among many small ones, after golang/go#23199:
//! `cargo run --release --bin oversize [-- --rounds N]`.
//!
//! Ten requests are at work at a time, each with a buffer. One in 1,000 writes 16 MiB (the issue's
//! 256 MiB, scaled down), the others 1 KiB. A pool that keeps what it gets back holds ten huge
//! buffers in the end, of which small requests use a sixteen-thousandth; a policy for size drops
//! them, and the next huge request pays for growing again.
//!
//! Every contender is a process of its own, in turns; figures are medians of the rounds. Times are
//! nanoseconds per request: the mean of all, and the median over runs of 100, which is that of the
//! small ones, as most runs have no huge one in them. Memory is resident KiB above the start,
//! without pages of files: the mean during requests, the peak, when all buffers are back, and after
//! a trim. How many buffers were made and how many were refused for their size stands beside.

use std::collections::VecDeque;
use std::hint::black_box;
use std::ops::DerefMut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use flagstone::{Oversize, Pool};
use flagstone_benches::Random;
use flagstone_benches::processes::run_or_compare;
use flagstone_benches::resident::{resident_kib, status_kib};

const HUGE_BYTES: usize = 16 << 20;
const SMALL_BYTES: usize = 1 << 10;
/// One request in so many is huge.
const HUGE_ONE_IN: usize = 1000;
/// Requests at work at a time.
const AT_WORK: usize = 10;
/// Some 30 huge ones, by the generator's choice; and `Oversize::Calibrated` looks at its figures
/// every 4,096.
const REQUESTS: usize = 30_000;
/// Time and memory are looked at after so many requests: often enough to meet huge ones at work,
/// and one run in ten or so has a huge one in it.
const LOOK_EVERY: usize = 100;

const CONTENDERS: [&str; 5] = [
    "no pool, system malloc",
    "Pool without a policy",
    "Oversize::HardCap(64 KiB)",
    "Oversize::Utilisation",
    "Oversize::Calibrated",
];

const COLUMNS: [&str; 8] = [
    "ns", "small", "mean KiB", "peak", "all back", "trimmed", "made", "refused",
];

fn main() {
    let title = format!("{REQUESTS} requests");
    run_or_compare(&title, &COLUMNS, &CONTENDERS, run);
}

static MADE: AtomicUsize = AtomicUsize::new(0);

fn buffer() -> Vec<u8> {
    MADE.fetch_add(1, Ordering::Relaxed);
    Vec::with_capacity(SMALL_BYTES)
}

fn run(contender: &str) {
    let policy = match contender {
        "no pool, system malloc" => return measure(|| Box::new(buffer()), || (), || 0),
        "Pool without a policy" => {
            let pool: Pool<Vec<u8>> = Pool::new(buffer);
            return measure(|| pool.get(), || trim(&pool), || 0);
        }
        "Oversize::HardCap(64 KiB)" => Oversize::HardCap(64 << 10),
        "Oversize::Utilisation" => Oversize::Utilisation,
        "Oversize::Calibrated" => Oversize::Calibrated,
        _ => panic!("no contender {contender:?}"),
    };
    let pool = Pool::builder(buffer).oversize(policy).build();
    let refused = || pool.stats().drops.oversize;
    measure(|| pool.get(), || trim(&pool), refused);
}

/// Everything that can be given back.
fn trim<T, R>(pool: &Pool<T, R>) {
    pool.trim(0);
    flagstone::pages::Pages::global().trim();
}

/// Serves all requests twice, once for the times and once for the memory, and prints the figures.
fn measure<G>(get: impl Fn() -> G, trim: impl FnOnce(), refused: impl FnOnce() -> u64)
where
    G: DerefMut<Target = Vec<u8>>,
{
    let (before, start) = (resident_kib(), status_kib("VmRSS:"));
    let mut runs = Vec::with_capacity(REQUESTS / LOOK_EVERY);
    let begin = Instant::now();
    let mut last = begin;
    serve(&get, || {
        let now = Instant::now();
        runs.push(now.duration_since(last).as_nanos() as usize / LOOK_EVERY);
        last = now;
    });
    let nanos = begin.elapsed().as_nanos() as usize / REQUESTS;
    runs.sort_unstable();
    let small = runs[runs.len() / 2];
    let (mut sum, mut looks) = (0, 0);
    serve(&get, || {
        sum += resident_kib().saturating_sub(before);
        looks += 1;
    });
    let back = resident_kib().saturating_sub(before);
    trim();
    let trimmed = resident_kib().saturating_sub(before);
    let peak = status_kib("VmHWM:").saturating_sub(start);
    println!(
        "{nanos} {small} {} {peak} {back} {trimmed} {} {}",
        sum / looks,
        MADE.load(Ordering::Relaxed),
        refused()
    );
}

/// Serves all requests, and calls `look` now and then.
fn serve<G>(get: impl Fn() -> G, mut look: impl FnMut())
where
    G: DerefMut<Target = Vec<u8>>,
{
    let mut random = Random::new(3);
    let mut at_work = VecDeque::with_capacity(AT_WORK);
    for index in 1..=REQUESTS {
        // The oldest is done, and its buffer goes back, before the next one comes.
        if at_work.len() == AT_WORK {
            at_work.pop_front();
        }
        let mut buffer = get();
        let huge = random.below(HUGE_ONE_IN) == 0;
        buffer.resize(if huge { HUGE_BYTES } else { SMALL_BYTES }, 1);
        black_box(&mut *buffer);
        at_work.push_back(buffer);
        if index % LOOK_EVERY == 0 {
            look();
        }
    }
}
