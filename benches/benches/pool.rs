//! Pools by criterion: `cargo bench --bench pool`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flagstone_benches::recycle::row;

fn pool(criterion: &mut Criterion) {
    for (title, threads) in [
        ("pool get+put, one thread", 1),
        ("pool get+put, two threads", 2),
    ] {
        // Two threads start anew in each run: long enough that it does not show.
        let count = if threads == 1 { 10_000 } else { 200_000 };
        let (title, operations, contenders) = row(title, threads, count).into_parts();
        let mut group = criterion.benchmark_group(title);
        group.throughput(Throughput::Elements(operations as u64));
        for (name, mut run) in contenders {
            group.bench_function(name, |bencher| bencher.iter(&mut run));
        }
        group.finish();
    }
}

criterion_group!(benches, pool);
criterion_main!(benches);
