//! A log: the caller formats a line into a buffer and hands it on; a thread of its own writes.
//!
//! Between them is a ring of 256 buffers (a bounded channel). What counts is what the caller waits,
//! above all at worst: without a pool, the buffers are made by one thread and freed by another,
//! which is where allocators take locks or fetch memory back. From the pool, whole magazines of
//! used buffers travel back to the caller's thread.

use std::cell::RefCell;
use std::fmt::Write;
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use flagstone::Pool;

use crate::figures::Nanos;
use crate::measure::{Effort, compare, quantile, way};

const RING: usize = 256;
/// Bytes a line usually has; both ways start with that much.
const LINE_BYTES: usize = 256;
/// Lines that come at once, as a request writes them.
const BURST: usize = 100;

fn new_line() -> String {
    String::with_capacity(LINE_BYTES)
}

/// Logs so many lines; `waited` takes what each call took, in nanoseconds.
fn log<L>(lines: usize, waited: &RefCell<Vec<f64>>, get: impl Fn() -> L) -> u64
where
    L: DerefMut<Target = String> + Send,
{
    let (ring, receiver) = sync_channel::<L>(RING);
    std::thread::scope(|scope| {
        // The writer: copies lines together and would write a block at a time to its file.
        let writer = scope.spawn(move || {
            let mut block = Vec::with_capacity(64 << 10);
            let mut written = 0;
            for line in receiver {
                if block.len() + line.len() > block.capacity() {
                    written += std::hint::black_box(&block).len();
                    block.clear();
                }
                block.extend_from_slice(line.as_bytes());
            }
            (written + block.len()) as u64
        });
        let mut waited = waited.borrow_mut();
        for number in 0..lines {
            let start = Instant::now();
            let mut line = get();
            let _ = write!(line, "2026-01-31T12:00:00Z INFO request={number:08} ");
            let _ = writeln!(
                line,
                "path=/stones/{} status=200 us={}",
                number % 97,
                number % 1009
            );
            ring.send(line).expect("a writer");
            waited.push(start.elapsed().as_nanos() as f64);
            if number % BURST == BURST - 1 {
                // The request is over; the writer catches up.
                std::thread::yield_now();
            }
        }
        drop(ring);
        writer.join().expect("no panic")
    })
}

pub(crate) fn run(effort: Effort) {
    // Room for all: growing while the clock runs would show.
    let waits = || RefCell::new(Vec::<f64>::with_capacity(2_000_000));
    let (waited_without, waited_with) = (waits(), waits());
    let without = || -> Box<dyn FnMut(usize) -> u64> {
        Box::new(|lines| log(lines, &waited_without, || Box::new(new_line())))
    };
    let with = || -> Box<dyn FnMut(usize) -> u64> {
        let pool: Arc<Pool<String>> = Arc::new(Pool::builder(new_line).name("lines").build());
        // As many as the ring holds, and the two at work: no line waits for the allocator.
        pool.prefill(RING + 2);
        let waited = &waited_with;
        Box::new(move |lines| log(lines, waited, || pool.get()))
    };
    compare(
        "Log: a line through a ring to the thread that writes it",
        effort,
        20_000,
        &[way("no pool", without), way("flagstone Pool", with)],
    );
    for (name, waited) in [
        ("no pool", &waited_without),
        ("flagstone Pool", &waited_with),
    ] {
        let at = |share| Nanos(quantile(waited.borrow().clone(), share));
        let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
        println!("  {name:<28} the caller waits {p50} (p50), {p99} (p99), {p999} (p99.9)");
    }
}
