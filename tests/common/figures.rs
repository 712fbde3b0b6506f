//! `flagstone::stats().allocated` where it must be exact, and where it is a bound. In a process of
//! its own: the figure is the process's.

use std::alloc::{Layout, alloc, dealloc};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const THREADS: usize = 4;
/// Blocks that each thread leaves to be freed by another.
const COUNT: usize = 1000;
/// And blocks that it frees itself.
const OWN: usize = 100;
/// The sizes it takes in turn, and the bytes of their slots or spans.
const SIZES: [(usize, usize); 3] = [(100, 112), (1000, 1024), (20_000, 20_480)];
/// One more of each of these.
const SPANS: [(usize, usize); 2] = [(100 << 10, 128 << 10), (3 << 20, 3 << 20)];

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// Addresses and sizes of blocks, in memory that is not counted meanwhile.
type Blocks = Vec<(usize, usize)>;

fn take(blocks: &mut Blocks, size: usize) {
    assert!(blocks.len() < blocks.capacity());
    // SAFETY: the size is not zero.
    let block = unsafe { alloc(layout(size)) };
    assert!(!block.is_null());
    blocks.push((block.expose_provenance(), size));
}

fn free(blocks: &mut Blocks, count: usize) {
    for (address, size) in blocks.drain(..count) {
        // SAFETY: taken by `take`, freed once.
        unsafe { dealloc(std::ptr::with_exposed_provenance_mut(address), layout(size)) };
    }
}

/// A thread that starts, takes and frees, waits around each, and returns what it left.
fn taker(barrier: &Arc<Barrier>, mut blocks: Blocks) -> JoinHandle<Blocks> {
    let barrier = barrier.clone();
    thread::spawn(move || {
        barrier.wait();
        barrier.wait();
        for number in 0..OWN + COUNT {
            take(&mut blocks, SIZES[number % SIZES.len()].0);
        }
        // The first ones, so that `SIZES` are left evenly.
        free(&mut blocks, OWN);
        SPANS.iter().for_each(|(size, _)| take(&mut blocks, *size));
        barrier.wait();
        barrier.wait();
        blocks
    })
}

fn allocated() -> usize {
    flagstone::stats().allocated
}

/// Waits until the harness's thread, the process's first, waits for this test: while it is running,
/// or ready to run and not yet served, it may still allocate.
#[cfg(target_os = "linux")]
fn harness_waits() {
    let of = |path: &str| std::fs::read_to_string(path).unwrap();
    let first = std::process::id();
    let number = |stat: &str| stat.split(' ').next().unwrap().parse::<u32>().unwrap();
    if number(&of("/proc/thread-self/stat")) == first {
        return;
    }
    let path = format!("/proc/self/task/{first}/stat");
    // After the name, which is in brackets.
    let is_asleep = |stat: &str| stat.rsplit_once(") ").unwrap().1.starts_with('S');
    while !is_asleep(&of(&path)) {
        thread::yield_now();
    }
}

#[cfg(not(target_os = "linux"))]
fn harness_waits() {}

/// The figure once the test's harness has started this test and waits.
fn settled() -> usize {
    harness_waits();
    flagstone::trim();
    let mut before = allocated();
    loop {
        thread::sleep(Duration::from_millis(50));
        match allocated() {
            now if now == before => return now,
            now => before = now,
        }
    }
}

/// `cached_max` is what another running thread may hold in stacks and cached words.
pub(crate) fn check(cached_max: usize) {
    let barrier = Arc::new(Barrier::new(THREADS + 1));
    let room = || Blocks::with_capacity(OWN + COUNT + SPANS.len());
    let threads: Vec<_> = (0..THREADS).map(|_| taker(&barrier, room())).collect();
    barrier.wait();
    let before = settled();
    barrier.wait();
    barrier.wait();

    let of_slots = |number: usize| SIZES[number % SIZES.len()].1;
    let of_spans: usize = SPANS.iter().map(|(_, bytes)| bytes).sum();
    let each = (OWN..OWN + COUNT).map(of_slots).sum::<usize>() + of_spans;
    let live = before + THREADS * each;
    let now = allocated();
    assert!(
        (live..=live + THREADS * cached_max).contains(&now),
        "{live} live, {now} counted, {cached_max} cached at most by each"
    );

    barrier.wait();
    let mut left: Vec<Blocks> = Vec::with_capacity(THREADS);
    left.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
    // From here on nobody else is there: exact.
    let base = allocated();
    // The threads' own records are gone: some hundred bytes each.
    assert!(
        (live - THREADS * 1024..=live).contains(&base),
        "{live} live, {base} counted"
    );
    for (number, blocks) in left.iter_mut().enumerate() {
        free(blocks, COUNT + SPANS.len());
        assert_eq!(base - allocated(), (number + 1) * each);
    }
    flagstone::trim();
    assert_eq!(base - allocated(), THREADS * each);
}
