//! Allocators of blocks, each called directly, and the work they are measured by.
//!
//! Peers are called through their own `GlobalAlloc` values, so the process keeps its allocator and
//! all of them can take turns in it. A `Heap` belongs to one thread and the peers serve any: the
//! tables compare them because a hot loop can use either, and say which is which by name.

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::ptr::NonNull;

use flagstone::Heap;

use crate::Random;

/// Takes and gives blocks.
pub trait Blocks {
    /// A block for `layout`, uninitialised.
    fn take(&self, layout: Layout) -> NonNull<u8>;

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` came from `take(layout)` of the same value and is not used again.
    unsafe fn give(&self, block: NonNull<u8>, layout: Layout);

    /// Enlarges a block, moving it if need be.
    ///
    /// # Safety
    /// As for [`Blocks::give`]; `size` is larger than `layout.size()`.
    unsafe fn grow(&self, block: NonNull<u8>, layout: Layout, size: usize) -> NonNull<u8>;
}

/// A peer, called through its `GlobalAlloc`.
#[derive(Clone, Copy, Debug)]
pub struct Global<A>(pub A);

impl<A: GlobalAlloc> Blocks for Global<A> {
    #[inline(always)]
    fn take(&self, layout: Layout) -> NonNull<u8> {
        // SAFETY: no workload asks for a layout of size zero.
        NonNull::new(unsafe { self.0.alloc(layout) }).expect("memory")
    }

    #[inline(always)]
    unsafe fn give(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise is the one that `dealloc` asks for.
        unsafe { self.0.dealloc(block.as_ptr(), layout) }
    }

    unsafe fn grow(&self, block: NonNull<u8>, layout: Layout, size: usize) -> NonNull<u8> {
        // SAFETY: the caller's promise is the one that `realloc` asks for.
        NonNull::new(unsafe { self.0.realloc(block.as_ptr(), layout, size) }).expect("memory")
    }
}

impl Blocks for Heap {
    #[inline(always)]
    fn take(&self, layout: Layout) -> NonNull<u8> {
        self.allocate(layout).expect("memory").cast()
    }

    #[inline(always)]
    unsafe fn give(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise is the one that `deallocate` asks for.
        unsafe { self.deallocate(block, layout) }
    }

    unsafe fn grow(&self, block: NonNull<u8>, layout: Layout, size: usize) -> NonNull<u8> {
        let new_layout = Layout::from_size_align(size, layout.align()).expect("a layout");
        // SAFETY: the caller's promise is the one that `grow` asks for.
        unsafe { self.grow(block, layout, new_layout) }
            .expect("memory")
            .cast()
    }
}

/// A piece of work that any allocator can do.
pub trait Work: Clone {
    /// Does it once and returns a checksum of what was read from the blocks.
    fn run<B: Blocks>(&mut self, blocks: &B) -> u64;

    /// Gives back what it holds between two runs.
    fn finish<B: Blocks>(&mut self, _: &B) {}
}

/// Writes what a user would: all of a small object, the first and last word of a large one.
#[inline(always)]
fn fill(block: NonNull<u8>, size: usize, tag: u64) {
    let start = block.as_ptr();
    // SAFETY: the block has `size` bytes, at least 16, and belongs to the caller.
    unsafe {
        if size <= 64 {
            start.write_bytes(tag as u8, size);
        }
        start.cast::<u64>().write_unaligned(tag);
        start.add(size - 8).cast::<u64>().write_unaligned(tag);
    }
}

/// Reads back what [`fill`] wrote.
#[inline(always)]
fn read(block: NonNull<u8>, size: usize) -> u64 {
    // SAFETY: `fill` wrote the last eight of the block's `size` bytes.
    unsafe { block.as_ptr().add(size - 8).cast::<u64>().read_unaligned() }
}

/// One object at a time: take, write, read, give.
#[derive(Clone, Debug)]
pub struct Pair<const SIZE: usize> {
    /// Pairs per run.
    pub count: usize,
}

impl<const SIZE: usize> Work for Pair<SIZE> {
    fn run<B: Blocks>(&mut self, blocks: &B) -> u64 {
        let layout = const { layout_of(SIZE) };
        let mut sum = 0_u64;
        for tag in 0..self.count as u64 {
            let block = black_box(blocks.take(layout));
            fill(block, SIZE, tag);
            sum = sum.wrapping_add(read(block, SIZE));
            // SAFETY: taken above with the same layout.
            unsafe { blocks.give(block, layout) };
        }
        sum
    }
}

/// Takes many, then gives them all back in the order of `order`.
#[derive(Clone, Debug)]
pub struct Batch<const SIZE: usize> {
    order: Vec<u32>,
    held: Vec<NonNull<u8>>,
}

impl<const SIZE: usize> Batch<SIZE> {
    /// Gives back in the order of taking.
    pub fn in_order(count: usize) -> Self {
        // Filled once, so that its own pages are resident before the first figure is taken.
        Batch {
            order: (0..count as u32).collect(),
            held: vec![NonNull::dangling(); count],
        }
    }

    /// Gives back in a shuffled order.
    pub fn shuffled(count: usize) -> Self {
        let mut batch = Self::in_order(count);
        let mut random = Random::new(1);
        for index in (1..count).rev() {
            batch.order.swap(index, random.below(index + 1));
        }
        batch
    }
}

impl<const SIZE: usize> Work for Batch<SIZE> {
    fn run<B: Blocks>(&mut self, blocks: &B) -> u64 {
        let layout = const { layout_of(SIZE) };
        self.held.clear();
        for tag in 0..self.order.len() as u64 {
            let block = blocks.take(layout);
            fill(block, SIZE, tag);
            self.held.push(block);
        }
        let mut sum = 0_u64;
        for &index in &self.order {
            let block = self.held[index as usize];
            sum = sum.wrapping_mul(31).wrapping_add(read(block, SIZE));
            // SAFETY: taken above with the same layout; `order` names each block once.
            unsafe { blocks.give(block, layout) };
        }
        sum
    }
}

/// A steady number of live objects; each step replaces a random one. They stay from one run to the
/// next, so that a run is steps and nothing else.
#[derive(Clone, Debug)]
pub struct Churn<Sizes> {
    live: usize,
    steps: usize,
    sizes: Sizes,
    random: Random,
    held: Vec<(NonNull<u8>, usize)>,
    next: usize,
}

/// The layout of the object that a step makes.
pub trait Sizes: Clone {
    /// For step number `step`.
    fn at(&self, step: usize) -> Layout;
}

/// One size, known to the compiler.
#[derive(Clone, Debug)]
pub struct One<const SIZE: usize>;

impl<const SIZE: usize> Sizes for One<SIZE> {
    #[inline(always)]
    fn at(&self, _: usize) -> Layout {
        const { layout_of(SIZE) }
    }
}

/// Sizes spread evenly over the doublings of a range.
#[derive(Clone, Debug)]
pub struct Mixed(Vec<Layout>);

impl Mixed {
    /// From `from` to `to` bytes, powers of two.
    pub fn new(from: usize, to: usize) -> Self {
        let mut random = Random::new(2);
        let doublings = (to / from).ilog2() as usize;
        // 4096 sizes: enough that no pattern shows, few enough to stay in the second cache.
        let sizes = (0..4096).map(|_| {
            let base = from << random.below(doublings.max(1));
            layout_of(base + random.below(base + 1))
        });
        Mixed(sizes.collect())
    }
}

impl Sizes for Mixed {
    #[inline(always)]
    fn at(&self, step: usize) -> Layout {
        self.0[step % 4096]
    }
}

impl<S: Sizes> Churn<S> {
    /// `steps` replacements per run among `live` objects.
    pub fn new(live: usize, steps: usize, sizes: S) -> Self {
        Churn {
            live,
            steps,
            sizes,
            random: Random::new(3),
            held: Vec::with_capacity(live),
            next: 0,
        }
    }

    #[inline(always)]
    fn take<B: Blocks>(&mut self, blocks: &B) -> (NonNull<u8>, usize) {
        let (step, layout) = (self.next, self.sizes.at(self.next));
        self.next += 1;
        let block = blocks.take(layout);
        fill(block, layout.size(), step as u64);
        (block, step)
    }
}

impl<S: Sizes> Work for Churn<S> {
    fn run<B: Blocks>(&mut self, blocks: &B) -> u64 {
        while self.held.len() < self.live {
            let made = self.take(blocks);
            self.held.push(made);
        }
        let mut sum = 0_u64;
        for _ in 0..self.steps {
            let place = self.random.below(self.live);
            let (block, step) = self.held[place];
            let layout = self.sizes.at(step);
            sum = sum
                .wrapping_mul(31)
                .wrapping_add(read(block, layout.size()));
            // SAFETY: taken at `step` with that step's layout, and replaced in the list below.
            unsafe { blocks.give(block, layout) };
            self.held[place] = self.take(blocks);
        }
        sum
    }

    fn finish<B: Blocks>(&mut self, blocks: &B) {
        for (block, step) in self.held.drain(..) {
            // SAFETY: taken at `step` with that step's layout; the list forgets it.
            unsafe { blocks.give(block, self.sizes.at(step)) };
        }
    }
}

/// A buffer that doubles from 64 bytes to `to` bytes, as a growing vector does.
#[derive(Clone, Debug)]
pub struct Grow {
    /// Last size in bytes.
    pub to: usize,
    /// Buffers per run.
    pub count: usize,
}

impl Work for Grow {
    fn run<B: Blocks>(&mut self, blocks: &B) -> u64 {
        let mut sum = 0_u64;
        for tag in 0..self.count as u64 {
            let mut layout = layout_of(64);
            let mut block = blocks.take(layout);
            fill(block, layout.size(), tag);
            while layout.size() < self.to {
                let size = layout.size() * 2;
                // SAFETY: taken, or grown, with `layout`.
                block = unsafe { blocks.grow(block, layout, size) };
                // SAFETY: growing keeps the bytes that `fill` wrote first.
                sum = sum.wrapping_add(unsafe { block.cast::<u64>().read_unaligned() });
                layout = layout_of(size);
                fill(block, size, tag);
            }
            // SAFETY: grown to `layout`.
            unsafe { blocks.give(block, layout) };
        }
        sum
    }
}

const fn layout_of(size: usize) -> Layout {
    match Layout::from_size_align(size, 8) {
        Ok(layout) => layout,
        Err(_) => panic!("a size within isize::MAX"),
    }
}
