//! A pool and 10,000 short threads: `cargo run --release --bin threads [-- --rounds N]`.
//!
//! Threads live 50 at a time. Each gets a few buffers of 4 KiB at once, writes to them, puts them
//! back, and that a few times; then it ends, and the next batch begins. So it is seen what a thread
//! costs a pool at its begin and its end, and whether the objects of threads that are gone find
//! their way to those that come. `thread_local` drops its objects with its thread. Most of the time
//! is the system's, for starting a thread: `the threads alone` use a buffer on their stack.
//!
//! Every contender is a process of its own, in turns; the figures are medians of the rounds. Memory
//! is resident KiB above the start, without pages of files: when all threads are gone, and when
//! everything that can be given back was asked for. That of the threads alone is what the system
//! keeps of their stacks.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crossbeam_queue::ArrayQueue;
use flagstone::Pool;
use flagstone_benches::processes::run_or_compare;
use flagstone_benches::resident::resident_kib;

const THREADS: usize = 10_000;
/// Threads that live at a time: a busy server's, and far from any limit.
const BATCH: usize = 50;
/// Objects a thread has at a time, and how often.
const OBJECTS: usize = 4;
const TIMES: usize = 8;
const BUFFER_BYTES: usize = 4096;

const CONTENDERS: [&str; 7] = [
    "flagstone Pool",
    "regex-automata Pool",
    "object-pool",
    "crossbeam ArrayQueue of boxes",
    "thread_local by hand",
    "no pool, system malloc",
    "the threads alone",
];

/// What is printed: microseconds per thread, objects created, KiB after, KiB after a trim.
const COLUMNS: [&str; 4] = ["us/thread", "created", "after", "trimmed"];

fn main() {
    let title = format!("{THREADS} threads");
    run_or_compare(&title, &COLUMNS, &CONTENDERS, run);
}

static CREATED: AtomicUsize = AtomicUsize::new(0);

fn buffer() -> Vec<u8> {
    CREATED.fetch_add(1, Ordering::Relaxed);
    Vec::with_capacity(BUFFER_BYTES)
}

fn run(contender: &str) {
    let nothing = || ();
    match contender {
        "flagstone Pool" => {
            let pool: Pool<Vec<u8>> = Pool::new(buffer);
            threads(
                || hold(|| pool.get()),
                || {
                    pool.trim(0);
                    flagstone::pages::Pages::global().trim();
                },
            );
        }
        "regex-automata Pool" => {
            let pool = regex_automata::util::pool::Pool::new(buffer as fn() -> Vec<u8>);
            threads(|| hold(|| pool.get()), nothing);
        }
        "object-pool" => {
            let pool = object_pool::Pool::new(BATCH * OBJECTS, buffer);
            threads(|| hold(|| pool.pull(buffer)), nothing);
        }
        "crossbeam ArrayQueue of boxes" => {
            let queue = ArrayQueue::new(BATCH * OBJECTS);
            let take = || queue.pop().unwrap_or_else(|| Box::new(buffer()));
            let keep = |buffer| drop(queue.push(buffer));
            threads(|| by_hand(take, keep), nothing);
        }
        "thread_local by hand" => {
            let take = || KEPT.with_borrow_mut(Vec::pop);
            let take = || take().unwrap_or_else(|| Box::new(buffer()));
            let keep = |buffer| KEPT.with_borrow_mut(|kept| kept.push(buffer));
            threads(|| by_hand(take, keep), nothing);
        }
        "no pool, system malloc" => threads(|| hold(|| Box::new(buffer())), nothing),
        "the threads alone" => threads(alone, nothing),
        _ => panic!("no contender {contender:?}"),
    }
}

thread_local! {
    #[expect(clippy::vec_box, reason = "a pool hands out one pointer, and so does this")]
    static KEPT: RefCell<Vec<Box<Vec<u8>>>> = const { RefCell::new(Vec::new()) };
}

/// Runs all threads and prints the figures.
fn threads(work: impl Fn() + Sync, trim: impl FnOnce()) {
    let before = resident_kib();
    let begin = Instant::now();
    (0..THREADS / BATCH).for_each(|_| batch(&work));
    let nanos = begin.elapsed().as_nanos() as f64 / THREADS as f64;
    let after = resident_kib();
    trim();
    let above = |now: usize| now.saturating_sub(before);
    let created = CREATED.load(Ordering::Relaxed);
    println!(
        "{:.1} {created} {} {}",
        nanos / 1e3,
        above(after),
        above(resident_kib())
    );
}

fn batch(work: &(impl Fn() + Sync)) {
    thread::scope(|scope| {
        for _ in 0..BATCH {
            scope.spawn(work);
        }
    });
}

/// Writes to a buffer that may have something in it.
fn fill(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.extend([1; 64]);
    black_box(buffer);
}

/// A thread's work, with guards that put back by themselves.
fn hold<G: std::ops::DerefMut<Target = Vec<u8>>>(get: impl Fn() -> G) {
    for _ in 0..TIMES {
        let mut out: [G; OBJECTS] = std::array::from_fn(|_| get());
        out.iter_mut().for_each(|buffer| fill(buffer));
    }
}

/// The same without guards.
fn by_hand(take: impl Fn() -> Box<Vec<u8>>, keep: impl Fn(Box<Vec<u8>>)) {
    for _ in 0..TIMES {
        let mut out: [Box<Vec<u8>>; OBJECTS] = std::array::from_fn(|_| take());
        out.iter_mut().for_each(|buffer| fill(buffer));
        out.into_iter().for_each(&keep);
    }
}

/// Without anything from the heap.
fn alone() {
    for _ in 0..TIMES {
        black_box([[1_u8; 64]; OBJECTS]);
    }
}
