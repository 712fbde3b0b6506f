//! Many threads that free what others allocated: contents, realloc, exhaustion, memory bounds.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crate::common::threads::crowd;
use crate::{GLOBAL, Random, settled, turn};

/// Cells through which blocks wander; each holds a block's address, or 0.
pub(crate) struct Cells(Vec<AtomicUsize>);

/// A block that says how long it is and whose every further byte follows from that.
pub(crate) struct Block(usize);

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

impl Block {
    /// `None` when memory is refused.
    pub(crate) fn new(size: usize) -> Option<Block> {
        // SAFETY: the size is not zero.
        let ptr = unsafe { GLOBAL.alloc(layout(size.max(16))) };
        (!ptr.is_null()).then(|| Block::fill(ptr, size.max(16)))
    }

    fn fill(ptr: *mut u8, size: usize) -> Block {
        // SAFETY: a live block of this size, aligned to 8, of ours alone.
        unsafe {
            ptr.cast::<usize>().write(size);
            ptr.add(8).write_bytes(size as u8 ^ 0x5A, size - 8);
        }
        Block(ptr.expose_provenance())
    }

    fn ptr(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.0)
    }

    fn checked_size(&self, most: usize) -> usize {
        // SAFETY: a live block of ours starts with its size.
        let size = unsafe { self.ptr().cast::<usize>().read() };
        assert!((16..1 << 23).contains(&size), "a size of {size:#x}");
        let seen = size.min(most) - 8;
        // SAFETY: as long as it says, or at least `most`, and written by `fill`.
        let bytes = unsafe { std::slice::from_raw_parts(self.ptr().add(8), seen) };
        assert!(bytes.iter().all(|byte| *byte == size as u8 ^ 0x5A));
        size
    }

    pub(crate) fn free(self) {
        let size = self.checked_size(usize::MAX);
        // SAFETY: a live block of this layout, given up here.
        unsafe { GLOBAL.dealloc(self.ptr(), layout(size)) };
    }

    /// As it was when memory is refused.
    fn resize(self, size: usize) -> Block {
        let old = self.checked_size(usize::MAX);
        // SAFETY: a live block of this layout; the new size is not zero.
        let moved = unsafe { GLOBAL.realloc(self.ptr(), layout(old), size) };
        if moved.is_null() {
            return self;
        }
        Block(moved.expose_provenance()).checked_size(size);
        Block::fill(moved, size)
    }
}

impl Cells {
    pub(crate) fn new(count: usize) -> Cells {
        Cells((0..count).map(|_| AtomicUsize::new(0)).collect())
    }

    /// Puts a block where another may have been, which it returns.
    fn exchange(&self, at: u64, block: Option<Block>) -> Option<Block> {
        let address = block.map_or(0, |block| block.0);
        let old = self.0[at as usize % self.0.len()].swap(address, Ordering::AcqRel);
        (old != 0).then_some(Block(old))
    }

    /// One step: a new block for some cell; what was there grows or shrinks and moves on, or ends.
    pub(crate) fn step(&self, random: &mut Random) {
        let size = match random.next() % 64 {
            0 => 40_000 + random.next() as usize % 200_000,
            1..4 => random.next() as usize % 20_000,
            _ => random.next() as usize % 600,
        };
        let Some(old) = self.exchange(random.next(), Block::new(size)) else {
            return;
        };
        if random.next() % 4 == 0 {
            let size = 16 + random.next() as usize % (1 << (random.next() % 17));
            let other = self.exchange(random.next(), Some(old.resize(size)));
            other.into_iter().for_each(Block::free);
        } else {
            old.free();
        }
    }

    pub(crate) fn clear(&self) {
        for at in 0..self.0.len() as u64 {
            self.exchange(at, None).into_iter().for_each(Block::free);
        }
    }
}

/// Runs in a process of its own: another test's thread that waits for its turn could have adopted
/// the heap of one that ended here, and would hold what it has.
pub(crate) fn storm() {
    let before = settled();
    let cells = Cells::new(3000);
    crowd(128, |number| {
        let mut random = Random::new(number as u64);
        (0..4000).for_each(|_| cells.step(&mut random));
    });
    cells.clear();
    drop(cells);
    let heaps = flagstone::stats().thread_heaps;
    // A heap and its stacks; everything else is back.
    let bound = before + (1 << 20) + heaps * (20 << 10);
    let after = settled();
    assert!(after <= bound, "{before} then {after}, {heaps} heaps");
}

/// Threads come and go, so that heaps change hands with full inboxes.
#[test]
fn short_threads_that_adopt_each_others_heaps() {
    let _turn = turn();
    let cells = Cells::new(2000);
    thread::scope(|scope| {
        for number in 0..6 {
            let cells = &cells;
            scope.spawn(move || {
                for round in 0..60 {
                    let seed = (number * 60 + round) * 7 + 1;
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            let mut random = Random::new(seed);
                            (0..500).for_each(|_| cells.step(&mut random));
                        });
                    });
                }
            });
        }
    });
    cells.clear();
}

/// Refused means null: nobody aborts, nothing in use is damaged, and all goes on afterwards. In a
/// process of its own: the harness may start another test's thread, which takes refusal for fatal.
pub(crate) fn exhaustion() {
    let (cells, refused) = (Cells::new(20_000), AtomicUsize::new(0));
    let (limited, end) = (Barrier::new(9), AtomicBool::new(false));
    thread::scope(|scope| {
        for number in 0..8 {
            let (cells, refused, limited, end) = (&cells, &refused, &limited, &end);
            scope.spawn(move || {
                let mut random = Random::new(number + 77);
                limited.wait();
                while !end.load(Ordering::Relaxed) {
                    let size = 16 + random.next() as usize % 9000;
                    let block = Block::new(size);
                    if block.is_none() {
                        let error = flagstone::last_error();
                        let named = matches!(error, Some(flagstone::AllocError::PagesLimit { .. }));
                        assert!(named, "{error:?}");
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                    let old = cells.exchange(random.next(), block);
                    old.into_iter().for_each(Block::free);
                }
                limited.wait();
                assert!(Block::new(9000).map(Block::free).is_some());
            });
        }
        // Nobody but the eight allocates until the limit is gone.
        flagstone::set_limit(Some(flagstone::stats().resident + (16 << 20)));
        limited.wait();
        // However long it takes: whoever hangs dies.
        while refused.load(Ordering::Relaxed) < 2000 {
            thread::sleep(Duration::from_millis(1));
        }
        end.store(true, Ordering::Relaxed);
        flagstone::set_limit(None);
        limited.wait();
    });
    cells.clear();
}

/// Ended threads leave slabs with holes behind. Once the rest of the slots is freed too, the memory
/// serves others, without anybody asking for it.
#[test]
fn what_ended_threads_leave_behind_is_used_again() {
    let _turn = turn();
    let before = settled();
    let make = |seed: u64| {
        let mut random = Random::new(seed);
        let all: Vec<Box<[u8; 240]>> = (0..40_000).map(|_| Box::new([7; 240])).collect();
        all.into_iter()
            .filter(|_| random.next() % 4 != 0)
            .collect::<Vec<_>>()
    };
    let mut peak = 0;
    for round in 0..8 {
        let threads: Vec<_> = (1..=4)
            .map(|n| thread::spawn(move || make(n + round * 4)))
            .collect();
        let kept: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        drop(kept);
        // And the same amount by this thread, several times.
        for _ in 0..4 {
            drop([make(99), make(98), make(97), make(96)]);
        }
        peak = peak.max(flagstone::stats().active);
    }
    let used = 4 * 40_000 * 256;
    println!("{before} before, {used} used at once, {peak} at most after all was freed");
    assert!(peak < before + used / 2, "{before}, {used}, {peak}");
}

/// Somebody who trims all the time must not make each new thread start with a heap of its own.
#[test]
fn trimming_beside_starting_threads_makes_no_heaps() {
    let _turn = turn();
    crowd(64, |_| drop(Box::new(5)));
    let (before, end) = (
        flagstone::stats().thread_heaps,
        Arc::new(AtomicBool::new(false)),
    );
    let trimmer = {
        let end = end.clone();
        thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                flagstone::trim();
            }
        })
    };
    for _ in 0..2000 {
        let blocks = thread::spawn(|| (0..50).map(|n| vec![n; n]).collect::<Vec<_>>());
        drop(blocks.join().unwrap());
    }
    end.store(true, Ordering::Relaxed);
    trimmer.join().unwrap();
    let after = flagstone::stats().thread_heaps;
    println!("{before} then {after} heaps");
    assert!(after <= before + 8, "{before} then {after} heaps");
}
