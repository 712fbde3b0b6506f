//! Streams over [`Heap`]: no overlap, contents intact, zeroed is zero, what comes back is reusable.
//!
//! The oracle is a list of live blocks and a set of ranges. Blocks are filled with a pattern of
//! their own over all of the length that the heap returned, and looked at again before each free,
//! grow and shrink.

use std::alloc::Layout;
use std::ptr::NonNull;

use flagstone::Heap;

use super::{pattern, ranges::Ranges};

/// Blocks at once: more than any stack holds, few enough to hit the same ones again.
const LIVE_MAX: usize = if cfg!(miri) { 60 } else { 1500 };
/// Up to this length every byte of a block is looked at. An interpreter looks at the ends.
const DENSE_BYTES_MAX: usize = if cfg!(miri) { 32 } else { 4096 };
/// Bytes at once, so that a stream of large blocks stays a small process.
const LIVE_BYTES_MAX: usize = 48 << 20;

/// One step.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Takes a block.
    Allocate {
        /// What for.
        layout: Layout,
        /// Through `allocate_zeroed`.
        zeroed: bool,
    },
    /// Takes many blocks of one layout, so that stacks, words and slabs run out.
    Burst {
        /// What for.
        layout: Layout,
        /// How many.
        count: usize,
    },
    /// Frees a live block.
    Free {
        /// Which one, modulo the live ones.
        which: usize,
        /// Through `try_free`.
        checked: bool,
    },
    /// Grows or shrinks a live block.
    Resize {
        /// Which one, modulo the live ones.
        which: usize,
        /// To how many bytes.
        size: usize,
    },
    /// Frees half of the live blocks in one go, so that slabs become empty.
    FreeHalf {
        /// The odd ones or the even ones.
        odd: bool,
    },
    /// Gives memory back to the operating system.
    Trim,
}

impl Op {
    /// Any three integers are a step; more than half of the kinds allocate or free small blocks.
    pub fn from_raw(kind: u8, a: u32, b: u32) -> Op {
        match kind {
            0..=109 => Op::Allocate {
                layout: layout_from(a, b),
                zeroed: kind % 4 == 0,
            },
            110..=219 => Op::Free {
                which: a as usize,
                checked: kind % 4 == 0,
            },
            220..=246 => Op::Resize {
                which: a as usize,
                size: size_from(b),
            },
            247..=249 => Op::Burst {
                // Small ones: a burst of large blocks would only hit the model's own limit.
                layout: layout_from(a & !0xFF, b & 0xF07F),
                count: (b >> 16) as usize % if cfg!(miri) { 40 } else { 400 },
            },
            250..=253 => Op::FreeHalf { odd: kind % 2 == 0 },
            254..=255 => Op::Trim,
        }
    }
}

/// Sizes near the places where something changes: class boundaries, units, spans, segments.
fn size_from(raw: u32) -> usize {
    let low = (raw >> 8) as usize;
    match raw as u8 {
        0..=159 => low % 1025,
        160..=219 => {
            // A quarter step of some doubling, one byte more or less: every class boundary.
            let base = 64_usize << (low % 10);
            base + base / 4 * (low >> 8 & 3) + (low >> 16 & 3) - 1
        }
        220..=239 => low % (32 << 10),
        240..=250 => (32 << 10) + low % (96 << 10),
        251..=252 => (64 << 10) * (1 + low % 16) + (low >> 8 & 2) - 1,
        253 => (1 << 20) + low % (256 << 10),
        254 => (4 << 20) + (low & 2) - 1,
        255 => 0,
    }
}

fn layout_from(a: u32, b: u32) -> Layout {
    let align = match b as u8 {
        0..=199 => 1 << (b % 5),
        200..=254 => 1 << (b >> 8 & 15).min(12),
        255 => 64 << 10,
    };
    Layout::from_size_align(size_from(a), align).expect("a small layout")
}

struct Block {
    start: NonNull<u8>,
    layout: Layout,
    /// What the heap said it returned; all of it is ours to use.
    len: usize,
    tag: u64,
}

/// Offsets that are written and read: all of a small block, the ends and every page of a large one.
fn offsets(len: usize) -> impl Iterator<Item = usize> {
    let all = if len <= DENSE_BYTES_MAX { len } else { 16 };
    let pages = (all..len).step_by(4096);
    (0..all).chain(pages).chain((len - all.min(len))..len)
}

impl Block {
    fn fill(&self) {
        for offset in offsets(self.len) {
            // SAFETY: the heap gave `len` bytes at `start`, and the model frees them only once.
            unsafe { self.start.add(offset).write(pattern(self.tag, offset)) };
        }
    }

    /// Looks at the offsets that were filled for `filled` bytes and lie below `len`.
    fn check(&self, filled: usize, len: usize) {
        for offset in offsets(filled).filter(|offset| *offset < len) {
            // SAFETY: within `len`, written by `fill` or carried over by a resize.
            let byte = unsafe { self.start.add(offset).read() };
            let whole = (self.start, self.layout);
            assert_eq!(
                byte,
                pattern(self.tag, offset),
                "byte {offset} of {whole:?} changed"
            );
        }
    }
}

struct Model<'h> {
    heap: &'h Heap,
    blocks: Vec<Block>,
    ranges: Ranges,
    live_bytes: usize,
    next_tag: u64,
}

impl Model<'_> {
    fn apply(&mut self, op: Op) {
        match op {
            Op::Allocate { layout, zeroed } => self.allocate(layout, zeroed),
            Op::Burst { layout, count } => {
                for _ in 0..count {
                    self.allocate(layout, false);
                }
            }
            Op::Free { which, checked } => self.free(which, checked),
            Op::Resize { which, size } => self.resize(which, size),
            Op::FreeHalf { odd } => {
                for index in (0..self.blocks.len()).rev() {
                    if (index % 2 == 1) == odd {
                        self.free(index, false);
                    }
                }
            }
            Op::Trim => {
                self.heap.trim();
            }
        }
    }

    fn allocate(&mut self, layout: Layout, zeroed: bool) {
        let full = self.live_bytes + layout.size() > LIVE_BYTES_MAX;
        if self.blocks.len() >= LIVE_MAX || full {
            return;
        }
        let block = match zeroed {
            true => self.heap.allocate_zeroed(layout),
            false => self.heap.allocate(layout),
        };
        let block = block.expect("memory");
        if zeroed {
            let seen = if cfg!(miri) {
                layout.size().min(64)
            } else {
                layout.size()
            };
            for offset in 0..seen {
                // SAFETY: within the block, which the heap says is zeroed.
                let byte = unsafe { block.cast::<u8>().add(offset).read() };
                assert_eq!(byte, 0, "byte {offset} of zeroed {layout:?}");
            }
        }
        self.adopt(block, layout);
    }

    /// Checks a block that the heap just returned, fills it, and keeps it.
    fn adopt(&mut self, block: NonNull<[u8]>, layout: Layout) {
        let (start, len) = (block.cast::<u8>(), block.len());
        assert!(len >= layout.size(), "{len} bytes for {layout:?}");
        assert_eq!(
            start.as_ptr() as usize % layout.align(),
            0,
            "{start:?} for {layout:?}"
        );
        self.ranges.insert(start.as_ptr() as usize, len);
        self.next_tag += 1;
        let block = Block {
            start,
            layout,
            len,
            tag: self.next_tag,
        };
        block.fill();
        self.live_bytes += len;
        self.blocks.push(block);
    }

    fn release(&mut self, which: usize) -> Option<Block> {
        if self.blocks.is_empty() {
            return None;
        }
        let block = self.blocks.swap_remove(which % self.blocks.len());
        block.check(block.len, block.len);
        self.ranges.remove(block.start.as_ptr() as usize);
        self.live_bytes -= block.len;
        Some(block)
    }

    fn free(&mut self, which: usize, checked: bool) {
        let Some(block) = self.release(which) else {
            return;
        };
        if checked {
            // SAFETY: a live block, with the layout it was taken or resized with.
            unsafe { self.heap.try_free(block.start, block.layout) }.expect("a live block");
        } else {
            // SAFETY: as above.
            unsafe { self.heap.deallocate(block.start, block.layout) };
        }
    }

    fn resize(&mut self, which: usize, size: usize) {
        let Some(mut block) = self.release(which) else {
            return;
        };
        let layout = Layout::from_size_align(size, block.layout.align()).expect("a small layout");
        let resized = if size >= block.layout.size() {
            // SAFETY: a live block with its layout; the new one is not smaller.
            unsafe { self.heap.grow(block.start, block.layout, layout) }
        } else {
            // SAFETY: a live block with its layout; the new one is smaller.
            unsafe { self.heap.shrink(block.start, block.layout, layout) }
        };
        let resized = resized.expect("memory");
        let (filled, kept) = (block.len, block.layout.size().min(size));
        block.start = resized.cast();
        block.check(filled, kept);
        self.adopt(resized, layout);
    }
}

/// Runs a stream on a heap of its own and frees what is left.
pub fn run(ops: impl IntoIterator<Item = Op>) {
    let heap = Heap::new();
    run_on(&heap, ops);
}

/// Runs a stream on `heap` and frees what is left.
pub fn run_on(heap: &Heap, ops: impl IntoIterator<Item = Op>) {
    let mut model = Model {
        heap,
        blocks: Vec::new(),
        ranges: Ranges::default(),
        live_bytes: 0,
        next_tag: 0,
    };
    for op in ops {
        model.apply(op);
    }
    while !model.blocks.is_empty() {
        model.free(0, false);
    }
}
