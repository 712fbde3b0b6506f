//! The shapes of pool use that are measured against Go's `sync.Pool`, for our side of it.
//!
//! The twin of `benches/go`, whose head says what is timed: same shapes, same counts, same
//! checksums, one process per sample. One, overflow, starvation, tick and expensive follow the
//! questions that the benchmarks of Go's `sync` package ask; held and travel are ours.
//!
//! The pools are [`Kept`]: our `Pool` as it comes, and the Rust model of `sync.Pool` for machines
//! without Go. Neither resets an object, as `sync.Pool` does not. The model has no shape `tick`:
//! its tick drops the objects itself, where Go's stops the world for a moment and leaves them to
//! the collector, so what it takes says nothing about Go.
//!
//! Length: one shape per use of a pool, each with its contenders.

use std::ops::DerefMut;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Barrier, RwLock};
use std::time::{Duration, Instant};

use flagstone::{Keep, Pool, Pooled, Recycle};

use crate::sync_pool_model::SyncPool;

/// What the pools keep: 64 bytes.
#[derive(Debug)]
pub struct Object([u64; 8]);

impl Recycle for Object {
    #[inline(always)]
    fn recycle(&mut self) -> Keep {
        Keep::Yes
    }
}

fn new_object() -> Object {
    Object([0; 8])
}

/// A pool of objects.
trait Kept: Sync {
    /// One that is out.
    type Out<'p>: DerefMut<Target = Object> + Send
    where
        Self: 'p;

    fn get(&self) -> Self::Out<'_>;
    fn put<'p>(&'p self, out: Self::Out<'p>);
    /// The end of an object that does not come back.
    fn lose(out: Self::Out<'_>);
    /// What a collection is to Go's pool; nothing where that needs the pool alone.
    fn tick(&self);
    /// How many there were.
    fn ticks(&self) -> u64;
}

impl Kept for Pool<Object> {
    type Out<'p> = Pooled<'p, Object>;

    #[inline(always)]
    fn get(&self) -> Pooled<'_, Object> {
        Pool::get(self)
    }

    #[inline(always)]
    fn put<'p>(&'p self, out: Pooled<'p, Object>) {
        drop(out);
    }

    #[inline(always)]
    fn lose(out: Pooled<'_, Object>) {
        out.discard();
    }

    fn tick(&self) {
        Pool::tick(self);
    }

    fn ticks(&self) -> u64 {
        self.stats().ticks
    }
}

impl Kept for SyncPool<Object> {
    type Out<'p> = Box<Object>;

    #[inline(always)]
    fn get(&self) -> Box<Object> {
        SyncPool::get(self)
    }

    #[inline(always)]
    fn put(&self, out: Box<Object>) {
        SyncPool::put(self, out);
    }

    #[inline(always)]
    fn lose(out: Box<Object>) {
        drop(out);
    }

    fn tick(&self) {}

    fn ticks(&self) -> u64 {
        0
    }
}

/// The model for `expensive`, with a collector: nobody is in the pool during a tick.
struct Collected {
    pool: RwLock<SyncPool<Object>>,
    ticks: AtomicU64,
}

/// Marks what the pool has just made: the millisecond passes outside, as a tick in Go does not wait
/// for it either.
const UNMADE: Object = Object([u64::MAX; 8]);

impl Collected {
    fn new() -> Collected {
        Collected {
            pool: RwLock::new(SyncPool::new(|| UNMADE)),
            ticks: AtomicU64::new(0),
        }
    }
}

impl Kept for Collected {
    type Out<'p> = Box<Object>;

    fn get(&self) -> Box<Object> {
        let mut out = self.pool.read().expect("no panic").get();
        if out.0 == UNMADE.0 {
            *out = expensive_object();
        }
        out
    }

    fn put(&self, out: Box<Object>) {
        self.pool.read().expect("no panic").put(out);
    }

    fn lose(out: Box<Object>) {
        drop(out);
    }

    fn tick(&self) {
        self.pool.write().expect("no panic").gc();
        self.ticks.fetch_add(1, Ordering::Relaxed);
    }

    fn ticks(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }
}

/// One figure of one run: nanoseconds per operation of a thread unless the row says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The row of the table it belongs to.
    pub row: String,
    /// Threads that took part.
    pub threads: usize,
    /// The figure.
    pub value: f64,
    /// Must be the same in both languages.
    pub checksum: u64,
}

impl Figure {
    fn new(row: &str, threads: usize, value: f64, checksum: u64) -> Figure {
        Figure {
            row: row.to_owned(),
            threads,
            value,
            checksum,
        }
    }

    /// Reads a line of either program.
    pub fn from_line(line: &str) -> Option<Figure> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [row, threads, value, checksum] = words.as_slice() else {
            return None;
        };
        Some(Figure {
            row: (*row).to_owned(),
            threads: threads.parse().ok()?,
            value: value.parse().ok()?,
            checksum: checksum.parse().ok()?,
        })
    }

    /// The line that `from_line` reads.
    pub fn to_line(&self) -> String {
        let Figure {
            row,
            threads,
            value,
            checksum,
        } = self;
        format!("{row} {threads} {value:.4} {checksum}")
    }
}

/// Runs a shape with our pool.
///
/// # Panics
/// When there is no such shape.
pub fn run(shape: &str, threads: usize, operations: usize) -> Vec<Figure> {
    match shape {
        "expensive" => expensive(&Pool::new(expensive_object), threads, operations),
        "tick" => tick(threads, operations),
        _ => run_with(&Pool::new(new_object), shape, threads, operations),
    }
}

/// Runs a shape with the model of `sync.Pool`; no figure for `tick`, see the module.
///
/// # Panics
/// When there is no such shape.
pub fn run_model(shape: &str, threads: usize, operations: usize) -> Vec<Figure> {
    match shape {
        "expensive" => expensive(&Collected::new(), threads, operations),
        "tick" => Vec::new(),
        _ => run_with(&SyncPool::new(new_object), shape, threads, operations),
    }
}

fn run_with<P: Kept>(pool: &P, shape: &str, threads: usize, operations: usize) -> Vec<Figure> {
    let alike = |one: fn(&P) -> Work<'_>| timed(operations, (0..threads).map(|_| one(pool)));
    let (value, checksum) = match shape {
        "one" => alike(one),
        "held" => alike(held),
        "overflow" => alike(overflow),
        "starvation" => alike(starvation),
        "travel" => travel(pool, operations),
        _ => panic!("no shape {shape:?}"),
    };
    vec![Figure::new(shape, threads, value, checksum)]
}

/// What a thread does so many times; returns a checksum.
type Work<'p> = Box<dyn FnMut(usize) -> u64 + Send + 'p>;

/// Runs each work in a thread and returns nanoseconds per operation of a thread: from the moment
/// the first begins to the moment the last has ended.
fn timed<'p>(operations: usize, works: impl ExactSizeIterator<Item = Work<'p>>) -> (f64, u64) {
    let barrier = &Barrier::new(works.len());
    std::thread::scope(|scope| {
        let start = |mut work: Work<'p>| {
            scope.spawn(move || {
                work(operations / 4);
                barrier.wait();
                let begin = Instant::now();
                let sum = work(operations);
                (begin, Instant::now(), sum)
            })
        };
        let workers: Vec<_> = works.map(start).collect();
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"));
        let all = joined.reduce(|(begin, end, sum), one| {
            (begin.min(one.0), end.max(one.1), sum.wrapping_add(one.2))
        });
        let (begin, end, sum) = all.expect("at least one thread");
        let elapsed = end.duration_since(begin);
        (elapsed.as_nanos() as f64 / operations as f64, sum)
    })
}

/// One in, one out.
fn one<P: Kept>(pool: &P) -> Work<'_> {
    Box::new(move |operations| {
        let mut sum = 0_u64;
        for index in 0..operations {
            let mut out = pool.get();
            out.0[0] = index as u64;
            sum = sum.wrapping_add(out.0[0]);
            pool.put(out);
        }
        sum
    })
}

/// Gets `count` objects into `out`, marked with `batch`.
#[inline(always)]
fn get_batch<'p, P: Kept>(
    pool: &'p P,
    out: &mut Vec<P::Out<'p>>,
    count: usize,
    batch: usize,
) -> u64 {
    let mut sum = 0_u64;
    for _ in 0..count {
        let mut taken = pool.get();
        taken.0[0] = batch as u64;
        sum = sum.wrapping_add(taken.0[0]);
        out.push(taken);
    }
    sum
}

/// 64 objects are out at once, then all come back.
fn held<P: Kept>(pool: &P) -> Work<'_> {
    const COUNT: usize = 64;
    let mut out = Vec::with_capacity(COUNT);
    Box::new(move |operations| {
        let mut sum = 0_u64;
        for batch in 0..operations / COUNT {
            sum = sum.wrapping_add(get_batch(pool, &mut out, COUNT, batch));
            out.drain(..).for_each(|taken| pool.put(taken));
        }
        sum
    })
}

/// 100 objects go in, then 100 come out.
fn overflow<P: Kept>(pool: &P) -> Work<'_> {
    const COUNT: usize = 100;
    let mut out = Vec::with_capacity(COUNT);
    get_batch(pool, &mut out, COUNT, 0);
    Box::new(move |operations| {
        let mut sum = 0_u64;
        for batch in 0..operations / COUNT {
            out.drain(..).for_each(|taken| pool.put(taken));
            sum = sum.wrapping_add(get_batch(pool, &mut out, COUNT, batch));
        }
        sum
    })
}

/// Of every 100 objects got, 33 never come back, so that new ones must be made. An operation is one
/// object got, and put back or lost.
fn starvation<P: Kept>(pool: &P) -> Work<'_> {
    const COUNT: usize = 100;
    const RETURNED: usize = 67;
    let mut out = Vec::with_capacity(COUNT);
    Box::new(move |operations| {
        let mut sum = 0_u64;
        for batch in 0..operations / COUNT {
            sum = sum.wrapping_add(get_batch(pool, &mut out, COUNT, batch));
            out.drain(..RETURNED).for_each(|taken| pool.put(taken));
            out.drain(..).for_each(P::lose);
        }
        sum
    })
}

/// One thread gets objects and another puts them back, 500 at a time through a channel, so that
/// the pool and not the channel is measured. Up to four batches are on their way.
fn travel<P: Kept>(pool: &P, operations: usize) -> (f64, u64) {
    const BATCH: usize = 500;
    const BATCHES: usize = 4;
    let (send_full, full) = sync_channel::<Vec<P::Out<'_>>>(BATCHES);
    let (send_empty, empty) = sync_channel(BATCHES);
    for _ in 0..BATCHES {
        send_empty
            .send(Vec::with_capacity(BATCH))
            .expect("a receiver");
    }
    let producer: Work<'_> = Box::new(move |operations| {
        for batch in 0..operations / BATCH {
            let mut out = empty.recv().expect("a consumer");
            get_batch(pool, &mut out, BATCH, batch);
            send_full.send(out).expect("a consumer");
        }
        0
    });
    let consumer: Work<'_> = Box::new(move |operations| {
        let mut sum = 0_u64;
        for _ in 0..operations / BATCH {
            let mut out = full.recv().expect("a producer");
            for taken in out.drain(..) {
                sum = sum.wrapping_add(taken.0[0]);
                pool.put(taken);
            }
            // At the very end the producer may be gone.
            let _ = send_empty.send(out);
        }
        sum
    });
    timed(operations, [producer, consumer].into_iter())
}

static EXPENSIVE_MADE: AtomicU64 = AtomicU64::new(0);

fn expensive_object() -> Object {
    EXPENSIVE_MADE.fetch_add(1, Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(1));
    new_object()
}

/// An object takes a millisecond to make, 100 are out per thread, and each get makes 32 KiB of
/// garbage. A tick for every 8 MiB of it, as often as Go's collector comes. Without a warm-up:
/// filling the pool is in it. Further figures are objects made, and ticks, per 1000 gets.
fn expensive<P: Kept>(pool: &P, threads: usize, operations: usize) -> Vec<Figure> {
    const COUNT: usize = 100;
    const GARBAGE_BYTES: usize = 32 << 10;
    const TICK_GETS: usize = (8 << 20) / GARBAGE_BYTES;
    let work = || {
        let mut sum = 0_u64;
        let mut out = Vec::with_capacity(COUNT);
        for index in 0..operations {
            sum = sum.wrapping_add(get_batch(pool, &mut out, 1, index / COUNT));
            let mut garbage = vec![0_u8; GARBAGE_BYTES];
            garbage[0] = index as u8;
            std::hint::black_box(&garbage);
            if out.len() == COUNT {
                out.drain(..).for_each(|taken| pool.put(taken));
            }
            if index % TICK_GETS == 0 {
                pool.tick();
            }
        }
        sum
    };
    let begin = Instant::now();
    let sum = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"));
        joined.fold(0, u64::wrapping_add)
    });
    let value = begin.elapsed().as_nanos() as f64 / operations as f64;
    let per_1000 = |count: u64| count as f64 * 1000.0 / (operations * threads) as f64;
    let made = per_1000(EXPENSIVE_MADE.load(Ordering::Relaxed));
    vec![
        Figure::new("expensive", threads, value, sum),
        Figure::new("expensive-made", threads, made, 0),
        Figure::new("expensive-ticks", threads, per_1000(pool.ticks()), 0),
    ]
}

/// Idle objects in the pool of the tick.
const TICK_IDLE: usize = 100_000;

/// A tick with 100,000 idle objects, `operations` times over; the pool is filled up again before
/// each, and most of what is in it was not needed since the tick before, so that the tick drops it.
/// The user meanwhile: see [`TickUser::run`]. Figures: `tick`, the longest time between two looks
/// at the clock, of those that touch the tick, and `tick-call`, how long the tick took.
fn tick(threads: usize, operations: usize) -> Vec<Figure> {
    let user = TickUser::new();
    let pool = &user.pool;
    let mut waits = Vec::new();
    let mut calls = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| user.run());
        for _ in 0..operations {
            pool.prefill(TICK_IDLE);
            pool.tick();
            pool.prefill(TICK_IDLE);
            user.enter();
            // What the user waited until it knew was the scheduler's doing.
            user.longest.store(0, Ordering::Relaxed);
            let begin = Instant::now();
            pool.tick();
            calls.push(begin.elapsed().as_nanos() as f64);
            user.enter();
            waits.push(user.longest.load(Ordering::Relaxed) as f64);
        }
        user.ended.store(true, Ordering::Relaxed);
    });
    let waits = spread("tick", threads, waits);
    waits
        .into_iter()
        .chain(spread("tick-call", threads, calls))
        .collect()
}

/// The lowest figure, as a busy machine only adds to them, and under the row's name with an ending
/// the mean, the median and the 95th percentile, picked as Go's own benchmarks do.
fn spread(row: &str, threads: usize, mut figures: Vec<f64>) -> [Figure; 4] {
    figures.sort_by(f64::total_cmp);
    let mean = figures.iter().sum::<f64>() / figures.len() as f64;
    let at = |percent: usize| figures[figures.len() * percent / 100];
    let named = |ending: &str, figure| Figure::new(&format!("{row}{ending}"), threads, figure, 0);
    [
        named("", figures[0]),
        named("-mean", mean),
        named("-p50", at(50)),
        named("-p95", at(95)),
    ]
}

/// Who uses the pool while it ticks.
struct TickUser {
    pool: Pool<Object>,
    /// Odd during a tick.
    phase: AtomicU64,
    /// The phase that the user knows of.
    known: AtomicU64,
    ended: AtomicBool,
    longest: AtomicU64,
}

impl TickUser {
    fn new() -> TickUser {
        TickUser {
            pool: Pool::builder(new_object).idle(0..=2 * TICK_IDLE).build(),
            phase: AtomicU64::new(0),
            known: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            longest: AtomicU64::new(0),
        }
    }

    /// Begins the next phase, and waits until the user knows.
    fn enter(&self) {
        // All of these are SeqCst: what is timed lies between them.
        let phase = self.phase.fetch_add(1, Ordering::SeqCst) + 1;
        while self.known.load(Ordering::SeqCst) != phase {
            std::thread::yield_now();
        }
    }

    /// Gets 200 objects, more than its magazines hold, and puts them back, over and over, and looks
    /// at the clock after each.
    fn run(&self) {
        const COUNT: usize = 200;
        let mut out = Vec::with_capacity(COUNT);
        let mut last = Instant::now();
        let (mut seen, mut known) = (0, 0);
        let mut look = || {
            let now = Instant::now();
            let gap = now.duration_since(last).as_nanos() as u64;
            last = now;
            let phase = self.phase.load(Ordering::SeqCst);
            if phase % 2 == 1 || phase != known {
                self.longest.fetch_max(gap, Ordering::Relaxed);
            }
            // Known from the second look on: this thread may have slept through the tick between
            // the clock and the phase, which only the next gap shows.
            if phase == seen && phase != known {
                known = phase;
                self.known.store(phase, Ordering::SeqCst);
            }
            seen = phase;
        };
        while !self.ended.load(Ordering::Relaxed) {
            for index in 0..COUNT {
                get_batch(&self.pool, &mut out, 1, index);
                look();
            }
            for taken in out.drain(..) {
                drop(taken);
                look();
            }
        }
    }
}
