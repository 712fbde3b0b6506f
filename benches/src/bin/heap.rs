//! Heap against allocators of blocks: `cargo run --release --bin heap [-- --rounds N]`.
//!
//! The row is here and not beside the work, in the library, for rpmalloc's sake: its C library
//! defines `pthread_create`, which begins and ends a heap of its own in each thread. In the library
//! it would do so in every program that starts one, whatever that measures; and now and then a run
//! of 10,000 threads ended in it with a segmentation fault.

use std::alloc::System;

use flagstone::Heap;
use flagstone_benches::blocks::{Batch, Blocks, Churn, Global, Grow, Mixed, One, Pair, Work};
use flagstone_benches::interleave::{Row, rounds_from_arguments};

fn main() {
    let rounds = rounds_from_arguments();
    let heap = Heap::new();
    let count = 200_000;
    row("pair 16 B", count, Pair::<16> { count }, &heap).run(rounds);
    row("pair 64 B", count, Pair::<64> { count }, &heap).run(rounds);
    row("pair 256 B", count, Pair::<256> { count }, &heap).run(rounds);
    row("pair 1 KiB", count, Pair::<1024> { count }, &heap).run(rounds);

    let many = 100_000;
    let batch = Batch::<64>::in_order(many);
    row("100k batch in order, 64 B", many, batch, &heap).run(rounds);
    let batch = Batch::<64>::shuffled(many);
    row("100k batch random free, 64 B", many, batch, &heap).run(rounds);
    let batch = Batch::<256>::shuffled(many);
    row("100k batch random free, 256 B", many, batch, &heap).run(rounds);

    let (live, steps) = (10_000, 200_000);
    let churn = Churn::new(live, steps, One::<64>);
    row("churn of 10k live, 64 B", steps, churn, &heap).run(rounds);
    let churn = Churn::new(live, steps, One::<256>);
    row("churn of 10k live, 256 B", steps, churn, &heap).run(rounds);
    let churn = Churn::new(live, steps, Mixed::new(16, 4 << 10));
    row("churn of 10k live, 16 B-4 KiB", steps, churn, &heap).run(rounds);
    let churn = Churn::new(1_000, 50_000, Mixed::new(8 << 10, 32 << 10));
    row("churn of 1k live, 8-32 KiB", 50_000, churn, &heap).run(rounds);

    let grow = Grow {
        to: 1 << 20,
        count: 20,
    };
    row("grow 64 B to 1 MiB", 20, grow, &heap).run(rounds);
}

/// The row of one piece of work with every allocator in it.
fn row<'a, W: Work + 'a>(title: &str, operations: usize, work: W, heap: &'a Heap) -> Row<'a> {
    fn by<'a, W: Work + 'a>(work: &W, blocks: impl Blocks + 'a) -> impl FnMut() -> u64 + 'a {
        let mut work = work.clone();
        move || work.run(&blocks)
    }
    let mut own = work.clone();
    let mut row = Row::new(title, operations);
    row.ours("flagstone Heap", move || own.run(heap));
    row.peer("system malloc", by(&work, Global(System)));
    row.peer("mimalloc", by(&work, Global(mimalloc::MiMalloc)));
    row.peer("jemalloc", by(&work, Global(tikv_jemallocator::Jemalloc)));
    row.peer("snmalloc", by(&work, Global(snmalloc_rs::SnMalloc)));
    row.peer("rpmalloc", by(&work, Global(rpmalloc::RpMalloc)));
    row
}
