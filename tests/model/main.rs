//! Random operation streams over Heap, Arena, Slab and Pool against naive oracles, and every small
//! size at every alignment.
//!
//! The streams' operations and oracles are in `model/`, which the fuzz targets share. Seeds are
//! fixed, so a failure repeats; the failing seed is in the test's output.

#![cfg(feature = "allocator-api2-02")]
#![allow(
    unreachable_pub,
    reason = "the fuzz package shares the streams as a library"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "mod.rs"]
mod streams;

use std::alloc::Layout;

use common::random::Random;
use flagstone::Heap;

/// Streams per type. An interpreter is a thousand times slower.
const SEEDS: u64 = if cfg!(miri) { 1 } else { 8 };
/// Steps per stream: enough that slabs fill, empty and are reused several times.
const STEPS: usize = if cfg!(miri) { 150 } else { 10_000 };

/// Three integers per step from a fixed start.
fn stream<Op>(seed: u64, from_raw: fn(u8, u32, u32) -> Op) -> impl Iterator<Item = Op> {
    println!("seed {seed}");
    let mut random = Random::new(seed);
    (0..STEPS).map(move |_| {
        let (kind, operands) = (random.next(), random.next());
        from_raw((kind >> 56) as u8, (operands >> 32) as u32, operands as u32)
    })
}

#[test]
fn heap_streams() {
    (0..SEEDS).for_each(|seed| streams::heap::run(stream(seed, streams::heap::Op::from_raw)));
}

#[test]
#[cfg_attr(miri, ignore = "minutes there, and the streams reach the same code")]
fn one_heap_serves_many_streams() {
    let heap = Heap::new();
    for seed in 0..SEEDS {
        streams::heap::run_on(&heap, stream(seed + 1000, streams::heap::Op::from_raw));
    }
}

#[test]
fn arena_streams() {
    (0..SEEDS).for_each(|seed| streams::arena::run(stream(seed, streams::arena::Op::from_raw)));
}

#[test]
fn slab_streams() {
    (0..SEEDS).for_each(|seed| streams::slab::run(stream(seed, streams::slab::Op::from_raw)));
}

#[test]
fn pool_streams() {
    // A stream has a pool of other settings every thousand steps or so.
    (0..4 * SEEDS).for_each(|seed| streams::pool::run(stream(seed, streams::pool::Op::from_raw)));
}

/// All sizes to 4096 at all alignments to 4096; then around every class boundary, unit and segment.
fn layouts() -> Vec<Layout> {
    let step = if cfg!(miri) { 997 } else { 1 };
    let aligns = || (0..=12).map(|log2| 1_usize << log2);
    let mut sizes: Vec<(usize, usize)> = (0..=4096)
        .step_by(step)
        .flat_map(|size| aligns().map(move |align| (size, align)))
        .collect();
    let doublings = (7..23).map(|log2| 1_usize << log2);
    let boundaries =
        doublings.flat_map(|base| (0..4).map(move |quarter| base + base / 4 * quarter));
    let around = boundaries.flat_map(|size| [size - 1, size, size + 1]);
    let around: Vec<usize> = around
        .filter(|size| !cfg!(miri) || *size < 100_000)
        .collect();
    sizes.extend(
        around
            .iter()
            .flat_map(|&size| [(size, 1), (size, 16), (size, 4096)]),
    );
    let layout = |(size, align)| Layout::from_size_align(size, align).expect("a small layout");
    sizes.into_iter().map(layout).collect()
}

#[test]
#[cfg_attr(miri, ignore = "minutes there, and the streams reach the same code")]
fn heap_serves_every_size_at_every_alignment() {
    let heap = Heap::new();
    // In groups, so that many are live at once and no group reaches the model's own byte limit.
    let (small, large): (Vec<_>, Vec<_>) = layouts()
        .into_iter()
        .partition(|layout| layout.size() <= 64 << 10);
    for group in small.chunks(256).chain(large.chunks(4)) {
        let ops = group.iter().map(|&layout| streams::heap::Op::Allocate {
            layout,
            zeroed: false,
        });
        streams::heap::run_on(&heap, ops);
        // The second time every block is one that came back: not zero unless it says so.
        let ops = group.iter().map(|&layout| streams::heap::Op::Allocate {
            layout,
            zeroed: true,
        });
        streams::heap::run_on(&heap, ops);
    }
}

#[test]
fn arena_serves_every_size_at_every_alignment() {
    for group in layouts().chunks(256) {
        streams::arena::run_layouts(group.iter().copied());
    }
}
