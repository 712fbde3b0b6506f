//! Heap's blocks by criterion: `cargo bench --bench heap`.

use std::alloc::System;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use flagstone::Heap;
use flagstone_benches::blocks::{Batch, Blocks, Churn, Global, Mixed, One, Pair, Work};

type Group<'a> = BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn arm<W: Work, B: Blocks>(group: &mut Group<'_>, name: &str, work: &W, blocks: &B) {
    let mut work = work.clone();
    group.bench_function(name, |bencher| bencher.iter(|| work.run(blocks)));
    work.finish(blocks);
}

fn row<W: Work>(criterion: &mut Criterion, title: &str, operations: usize, work: W) {
    let mut group = criterion.benchmark_group(title);
    group.throughput(Throughput::Elements(operations as u64));
    arm(&mut group, "flagstone Heap", &work, &Heap::new());
    arm(&mut group, "system malloc", &work, &Global(System));
    arm(&mut group, "mimalloc", &work, &Global(mimalloc::MiMalloc));
    arm(
        &mut group,
        "jemalloc",
        &work,
        &Global(tikv_jemallocator::Jemalloc),
    );
    group.finish();
}

fn heap(criterion: &mut Criterion) {
    let count = 10_000;
    row(criterion, "heap pair 16 B", count, Pair::<16> { count });
    row(criterion, "heap pair 64 B", count, Pair::<64> { count });
    row(criterion, "heap pair 1 KiB", count, Pair::<1024> { count });
    let batch = Batch::<64>::shuffled(count);
    row(criterion, "heap batch random free 64 B", count, batch);
    let (live, steps) = (10_000, 100_000);
    let churn = Churn::new(live, steps, One::<64>);
    row(criterion, "heap churn 64 B", steps, churn);
    let churn = Churn::new(live, steps, Mixed::new(16, 4 << 10));
    row(criterion, "heap churn 16 B-4 KiB", steps, churn);
}

criterion_group!(benches, heap);
criterion_main!(benches);
