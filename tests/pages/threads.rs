//! Many threads on one `Pages`: takes, releases, trims, limits and growth at once. Contents stay
//! intact, no page is handed out twice, and the figures come back to nothing.

use std::alloc::Layout;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flagstone::pages::{MmapSource, PageSource, Pages, Reservation};
use flagstone::{AllocError, Arena, FreeError, Heap};

use crate::common::random::Random;
use crate::common::threads::Over;

const THREADS: usize = 8;
/// Rounds of each test: enough that each race fixed so far showed in most runs.
const ROUNDS: usize = 60;

fn leaked() -> &'static Pages {
    Box::leak(Box::new(Pages::new(&MmapSource)))
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// A block with the word that was written into each of its words.
struct Block {
    ptr: NonNull<u8>,
    layout: Layout,
    mark: u64,
}

impl Block {
    fn take(heap: &Heap, size: usize, mark: u64) -> Result<Block, AllocError> {
        let layout = layout(size);
        let ptr = heap.allocate(layout)?.cast::<u8>();
        let block = Block { ptr, layout, mark };
        for word in block.words() {
            // SAFETY: the words lie in the block, which is ours.
            unsafe { word.write(mark) };
        }
        Ok(block)
    }

    /// One word per 512 bytes: every page is touched several times.
    fn words(&self) -> impl Iterator<Item = *mut u64> + '_ {
        (0..self.layout.size() / 8)
            .step_by(64)
            // SAFETY: inside the block, and aligned to 8.
            .map(|word| unsafe { self.ptr.as_ptr().cast::<u64>().add(word) })
    }

    fn give(self, heap: &Heap) {
        for word in self.words() {
            // SAFETY: written by `take`.
            assert_eq!(unsafe { word.read() }, self.mark, "{:?}", self.layout);
        }
        // SAFETY: live until here, allocated with this layout.
        unsafe { heap.deallocate(self.ptr, self.layout) };
    }
}

/// Sizes that reach pieces, slabs of every length, large blocks and mappings of their own.
fn size(random: &mut Random) -> usize {
    match random.below(10) {
        0..=3 => 16 + random.below(1000),
        4..=5 => 1 << (10 + random.below(6)),
        6..=7 => (40 + random.below(200)) << 10,
        8 => (300 + random.below(700)) << 10,
        _ => (1100 + random.below(1000)) << 10,
    }
}

/// An arena that comes and goes, with values that must stay intact. Returns how often it was
/// refused.
fn bump(pages: &'static Pages, random: &mut Random, mark: u64) -> usize {
    let arena = Arena::builder().pages(pages).build().unwrap();
    let mut refused = 0;
    let mut held = Vec::new();
    for _ in 0..40 {
        match arena.try_alloc_slice_fill_copy(random.below(20_000), mark) {
            Ok(words) => held.push(words),
            Err(AllocError::PagesLimit { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(
        held.iter()
            .flat_map(|words| words.iter())
            .all(|word| *word == mark)
    );
    refused
}

/// One thread's work: heaps that come and go, each with blocks that must stay intact. Returns how
/// often it was refused.
fn churn(pages: &'static Pages, seed: u64) -> usize {
    let mut random = Random::new(seed);
    let mut refused = 0;
    for round in 0..ROUNDS {
        refused += bump(pages, &mut random, seed << 32 | round as u64);
        let heap = Heap::builder().pages(pages).build().unwrap();
        let mut held = Vec::new();
        for step in 0..40 {
            let mark = seed << 48 | (round as u64) << 16 | step;
            match Block::take(&heap, size(&mut random), mark) {
                Ok(block) => held.push(block),
                Err(AllocError::PagesLimit { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
            if held.len() > 12 {
                let at = random.below(held.len());
                held.swap_remove(at).give(&heap);
            }
        }
        // Every other heap is dropped with its blocks, the rest gives them back first.
        if round % 2 == 0 {
            held.into_iter().for_each(|block| block.give(&heap));
            assert_eq!(heap.stats().allocated, 0);
        }
    }
    refused
}

/// Threads under a small limit, while two others return unused pages and move the limit.
#[test]
fn eight_threads_under_a_limit_that_moves() {
    let pages = leaked();
    let limits = [Some(6 << 20), Some(24 << 20), None, Some(1 << 20)];
    pages.set_limit(limits[0]);
    let done = Over::default();
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut turn = 0;
                while !done.is_over() {
                    pages.trim();
                    pages.set_limit(limits[turn % limits.len()]);
                    turn += 1;
                    thread::yield_now();
                }
            });
        }
        let workers: Vec<_> = (0..THREADS as u64)
            .map(|seed| {
                let refused = &refused;
                scope.spawn(move || refused.fetch_add(churn(pages, seed + 1), Ordering::Relaxed))
            })
            .collect();
        let _end = done.at_end();
        for worker in workers {
            worker.join().unwrap();
        }
    });
    println!("refused {} times; {}", refused.into_inner(), pages.stats());
    assert_eq!(pages.stats().active, 0);
    pages.trim();
    assert_eq!(
        pages.stats().charged,
        0,
        "every unit was purged once, and discharged once"
    );
    // The limit works as before: nothing of the budget was lost.
    pages.set_limit(Some(4 << 20));
    let heap = Heap::builder().pages(pages).build().unwrap();
    let blocks = (0..)
        .map_while(|_| heap.allocate(layout(1 << 20)).ok())
        .count();
    assert_eq!(blocks, 4);
}

/// Several threads return the same unused pages at once: each page is discharged once.
#[test]
fn trims_at_once_discharge_once() {
    let pages = leaked();
    let heap = Heap::builder().pages(pages).build().unwrap();
    let live = heap.allocate(layout(64 << 10)).unwrap();
    let done = Over::default();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.is_over() {
                    pages.trim();
                }
            });
        }
        let _end = done.at_end();
        for _ in 0..ROUNDS * 1000 {
            let block = heap.allocate(layout(1 << 20)).unwrap();
            // SAFETY: live, of this layout.
            unsafe { heap.deallocate(block.cast(), layout(1 << 20)) };
            pages.trim();
        }
    });
    pages.trim();
    let stats = pages.stats();
    assert_eq!((stats.active, stats.charged), (live.len(), live.len()));
}

/// Threads that all find nothing at once: no address is handed out twice, and one of them makes the
/// large reservation (a second one, which would drop what is left of the first, shows as address
/// space).
#[test]
fn many_grow_a_fresh_pages_at_once() {
    /// Blocks of 1 MiB per thread: a segment holds three, so a segment for each thread holds all.
    const BLOCKS: u64 = 2;
    /// The large reservation (16 segments and one to align), a small one (1 and 1) for each thread
    /// that came while it was being made, half as many again that lost theirs to others, and the
    /// table's blocks. A second large one has 33 segments.
    const MAPPED_MAX: usize = (17 + 3 * THREADS) * (4 << 20) + (1 << 20);
    for _ in 0..ROUNDS * 4 {
        let pages = leaked();
        let barrier = Barrier::new(THREADS);
        let (heaps, addresses): (Vec<Heap>, Vec<_>) = thread::scope(|scope| {
            let workers: Vec<_> = (0..THREADS as u64)
                .map(|seed| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        let heap = Heap::builder().pages(pages).build().unwrap();
                        barrier.wait();
                        let blocks: Vec<_> = (0..BLOCKS)
                            .map(|step| Block::take(&heap, 1 << 20, seed << 8 | step).unwrap())
                            .collect();
                        barrier.wait();
                        let mut addresses = Vec::new();
                        for block in blocks {
                            addresses.push(block.ptr.addr().get());
                            // Checks the mark, which another owner would have overwritten.
                            block.give(&heap);
                        }
                        (heap, addresses)
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap())
                .collect()
        });
        drop(heaps);
        let mut addresses = addresses.concat();
        addresses.sort_unstable();
        let count = addresses.len();
        addresses.dedup();
        assert_eq!(addresses.len(), count, "handed out twice");
        assert!(pages.stats().mapped <= MAPPED_MAX, "{}", pages.stats());
        assert_eq!(pages.stats().active, 0);
        pages.trim();
        assert_eq!(pages.stats().charged, 0);
    }
}

/// `try_free` accepts any pointer: also one into another heap's memory that comes and goes at the
/// same time, on another thread. Nothing but the registry and the owner's word may be read of it.
#[test]
fn pointers_of_a_busy_heap_are_foreign() {
    let pages = leaked();
    let sizes = [48, 3000, 100 << 10, 2 << 20];
    let addresses = [const { AtomicUsize::new(0) }; 4];
    let (done, barrier) = (Over::default(), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let heap = Heap::builder().pages(pages).build().unwrap();
            let own: Vec<_> = sizes
                .iter()
                .map(|size| heap.allocate(layout(*size)).unwrap())
                .collect();
            // From now on this heap takes nothing, so no address that the other publishes is its.
            barrier.wait();
            while !done.is_over() {
                for (address, size) in addresses.iter().zip(sizes) {
                    let address = address.load(Ordering::Relaxed);
                    let Some(ptr) = NonNull::new(ptr::with_exposed_provenance_mut(address)) else {
                        continue;
                    };
                    // SAFETY: `try_free` accepts any pointer that is not a live block of its heap.
                    let result = unsafe { heap.try_free(ptr, layout(size)) };
                    assert_eq!(result, Err(FreeError::Foreign));
                }
            }
            for (block, size) in own.into_iter().zip(sizes) {
                // SAFETY: live, of this layout.
                unsafe { heap.try_free(block.cast(), layout(size)).unwrap() };
            }
        });
        let _end = done.at_end();
        barrier.wait();
        for _ in 0..ROUNDS * 100 {
            // Slabs come and go with their heap.
            let heap = Heap::builder().pages(pages).build().unwrap();
            for (address, size) in addresses.iter().zip(sizes) {
                let block = heap.allocate(layout(size)).unwrap().cast::<u8>();
                address.store(block.as_ptr().expose_provenance(), Ordering::Relaxed);
                // SAFETY: live, of this layout.
                unsafe { heap.deallocate(block, layout(size)) };
            }
        }
    });
    assert_eq!(pages.stats().active, 0);
}

unsafe extern "C" {
    safe fn fork() -> i32;
    safe fn _exit(status: i32) -> !;
    safe fn alarm(seconds: u32) -> u32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
}

/// A source whose first large reservation takes until it is told to go on.
#[derive(Debug)]
struct Slow {
    held: Barrier,
    go: Barrier,
    /// Reservations of several segments asked for so far.
    large: AtomicUsize,
    /// Reservations of one segment, and room to align it.
    small: AtomicUsize,
}

// SAFETY: hands out what `MmapSource` hands out.
unsafe impl PageSource for Slow {
    fn reserve(&self, bytes: usize) -> Option<Reservation> {
        match bytes {
            // The table of segments.
            0..0x10_0000 => {}
            0x10_0000..=0x80_0000 => {
                self.small.fetch_add(1, Ordering::Relaxed);
            }
            _ if self.large.fetch_add(1, Ordering::Relaxed) == 0 => {
                self.held.wait();
                self.go.wait();
            }
            _ => {}
        }
        MmapSource.reserve(bytes)
    }
}

/// Takes so many blocks, of which three fit into a segment; how many were refused.
fn refused_of(pages: &'static Pages, count: usize) -> usize {
    let heap = Heap::builder().pages(pages).build().unwrap();
    let blocks = (0..count).map(|_| heap.allocate(layout(1 << 20)));
    blocks.filter(Result::is_err).count()
}

/// Whoever makes a large reservation holds the pages' ticket. Nobody waits for it, and a child that
/// was forked meanwhile, where the holder does not go on, takes it over: else it would make a small
/// reservation for every segment from then on.
#[test]
fn a_forked_child_takes_over_the_ticket_for_growing() {
    let source: &Slow = Box::leak(Box::new(Slow {
        held: Barrier::new(2),
        go: Barrier::new(2),
        large: AtomicUsize::new(0),
        small: AtomicUsize::new(0),
    }));
    let pages: &Pages = Box::leak(Box::new(Pages::new(source)));
    let status = thread::scope(|scope| {
        let holder = scope.spawn(|| refused_of(pages, 1));
        source.held.wait();
        let pid = fork();
        if pid == 0 {
            alarm(600);
            // A panic would end the only thread, and so the child, with success.
            let refused = catch_unwind(AssertUnwindSafe(|| refused_of(pages, 100))).unwrap_or(1);
            let large = source.large.load(Ordering::Relaxed);
            let well = refused == 0 && source.small.load(Ordering::Relaxed) == 0 && large == 3;
            _exit(if well { 0 } else { 3 });
        }
        let mut status = -1;
        // SAFETY: an out pointer.
        assert_eq!(unsafe { waitpid(pid, &raw mut status, 0) }, pid);
        // Here the holder is still at it; others do without.
        let refused = refused_of(pages, 4);
        let small = source.small.load(Ordering::Relaxed);
        source.go.wait();
        assert_eq!((refused, small, holder.join().unwrap()), (0, 2, 0));
        status
    });
    assert_eq!(status, 0, "the child made small reservations");
}
