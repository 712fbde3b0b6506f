//! Random streams of operations against an oracle.

use super::*;

/// A block the oracle believes to be alive: address, layout, and the byte it is filled with.
#[derive(Clone, Copy)]
struct Live {
    ptr: NonNull<u8>,
    layout: Layout,
    fill: u8,
    /// Came from the trait's methods, so it may grow, shrink and end.
    resizable: bool,
}

struct Oracle {
    live: Vec<Live>,
    random: u64,
}

impl Oracle {
    fn next(&mut self, below: usize) -> usize {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % below
    }

    fn layout(&mut self) -> Layout {
        let size = match self.next(20) {
            0 => 0,
            1..=12 => self.next(64),
            13..=17 => self.next(1500),
            18 => self.next(if cfg!(miri) { 3000 } else { 10_000 }),
            _ => self.next(if cfg!(miri) { 6000 } else { 300_000 }),
        };
        let align = 1 << [0, 0, 1, 2, 3, 3, 4, 5, 6, 12][self.next(10)];
        Layout::from_size_align(size, align).unwrap()
    }

    /// Fills the block, checks it against all others, remembers it.
    fn add(&mut self, ptr: NonNull<u8>, layout: Layout, resizable: bool) {
        let start = ptr.addr().get();
        assert_eq!(start % layout.align(), 0);
        for other in self
            .live
            .iter()
            .filter(|o| o.layout.size() > 0 && layout.size() > 0)
        {
            let from = other.ptr.addr().get();
            let apart = start + layout.size() <= from || from + other.layout.size() <= start;
            assert!(apart, "overlap");
        }
        let fill = self.next(256) as u8;
        // SAFETY: a block of so many bytes, as the checks above suggest.
        unsafe { ptr.write_bytes(fill, layout.size()) };
        self.live.push(Live {
            ptr,
            layout,
            fill,
            resizable,
        });
    }

    fn check(&self, block: &Live, bytes: usize) {
        // SAFETY: a live block, filled by `add`.
        let bytes = unsafe { core::slice::from_raw_parts(block.ptr.as_ptr(), bytes) };
        assert!(
            bytes.iter().all(|byte| *byte == block.fill),
            "contents changed"
        );
    }

    fn resize<const M: usize>(&mut self, arena: &Arena<M>, index: usize, layout: Layout) {
        let block = self.live.swap_remove(index);
        let kept = block.layout.size().min(layout.size());
        // SAFETY: a live block with its layout, which is replaced by what comes back.
        let resized = unsafe {
            if layout.size() >= block.layout.size() {
                arena.grow(block.ptr, block.layout, layout).unwrap()
            } else {
                arena.shrink(block.ptr, block.layout, layout).unwrap()
            }
        };
        assert_eq!(resized.len(), layout.size());
        let ptr = resized.cast();
        self.check(&Live { ptr, ..block }, kept);
        self.add(ptr, layout, true);
    }

    fn step<const M: usize>(&mut self, arena: &Arena<M>) {
        let layout = self.layout();
        let picked = (!self.live.is_empty()).then(|| self.next(self.live.len()));
        let resizable = picked.filter(|index| self.live[*index].resizable);
        match (self.next(12), resizable) {
            (0 | 1, _) => {
                let value = arena.alloc([1u8; 24]);
                self.add(
                    NonNull::from(value).cast(),
                    Layout::new::<[u8; 24]>(),
                    false,
                );
            }
            (2, _) => {
                let value = arena.alloc(1u64);
                self.add(NonNull::from(value).cast(), Layout::new::<u64>(), false);
            }
            (3, _) => {
                let slice = arena.alloc_slice_fill_copy(layout.size() / 2, 1u16);
                let layout = Layout::for_value(slice);
                self.add(NonNull::from(slice).cast(), layout, false);
            }
            (4, _) => {
                let slice = arena.alloc_slice_copy(&vec![1u8; layout.size()]);
                let layout = Layout::for_value(slice);
                self.add(NonNull::from(slice).cast(), layout, false);
            }
            (5, _) => {
                let mut session = arena.session();
                for _ in 0..self.next(20) {
                    let value = session.alloc([1u32; 3]);
                    self.add(
                        NonNull::from(value).cast(),
                        Layout::new::<[u32; 3]>(),
                        false,
                    );
                }
                if self.next(10) == 0 {
                    std::mem::forget(session);
                }
            }
            (6, _) => {
                assert!(arena.alloc_try_with(|| Err::<[u64; 9], ()>(())).is_err());
            }
            (7..=8, Some(index)) => {
                let block = self.live.swap_remove(index);
                self.check(&block, block.layout.size());
                // SAFETY: a live block with its layout, which is not used again.
                unsafe { arena.deallocate(block.ptr, block.layout) };
            }
            (9 | 10, Some(index)) => self.resize(arena, index, layout),
            _ => {
                let block = arena.allocate(layout).unwrap();
                self.add(block.cast(), layout, true);
            }
        }
    }

    fn check_all(&self) {
        self.live
            .iter()
            .for_each(|block| self.check(block, block.layout.size()));
    }

    fn run<const M: usize>(&mut self, mut arena: Arena<M>, rounds: usize, steps: usize) {
        for _ in 0..rounds {
            for _ in 0..steps {
                self.step(&arena);
                if self.next(40) == 0 {
                    let outer = self.live.len();
                    // Blocks of the outer scope stay as they are inside the inner one.
                    let frozen: Vec<bool> = self.live.iter().map(|b| b.resizable).collect();
                    self.live.iter_mut().for_each(|b| b.resizable = false);
                    arena.scope(|inner| (0..15).for_each(|_| self.step(&inner)));
                    self.check_all();
                    self.live.truncate(outer);
                    self.live
                        .iter_mut()
                        .zip(frozen)
                        .for_each(|(b, f)| b.resizable = f);
                }
            }
            let used: usize = self.live.iter().map(|b| b.layout.size()).sum();
            assert!(arena.used_bytes() >= used && arena.capacity_bytes() >= arena.used_bytes());
            let full = self.live.iter().filter(|b| b.layout.size() > 0);
            full.for_each(|block| assert!(arena.contains(block.ptr.as_ptr())));
            self.check_all();
            self.live.clear();
            arena.reset();
            assert_eq!(arena.used_bytes(), 0);
            if self.next(3) == 0 {
                arena.trim();
                assert_eq!(arena.capacity_bytes(), 0);
            }
        }
    }
}

#[test]
fn random_streams_against_an_oracle() {
    let (seeds, rounds, steps) = if cfg!(miri) { (1, 2, 40) } else { (12, 6, 500) };
    for random in 0..seeds {
        let keep = [0, 64 << 10, usize::MAX][random as usize % 3];
        let build = Arena::builder().pages(&PAGES).keep_bytes(keep);
        Oracle {
            live: Vec::new(),
            random,
        }
        .run(build.build().unwrap(), rounds, steps);
        let mut oracle = Oracle {
            live: Vec::new(),
            random,
        };
        oracle.run(build.build_with_min_align::<1>().unwrap(), rounds, steps);
        let mut oracle = Oracle {
            live: Vec::new(),
            random,
        };
        oracle.run(build.build_with_min_align::<16>().unwrap(), rounds, steps);
    }
}
