//! A request in an arena by criterion: `cargo bench --bench request`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flagstone_benches::request::row;

fn request(criterion: &mut Criterion) {
    let heap = flagstone::Heap::new();
    let (title, operations, contenders) = row(&heap).into_parts();
    let mut group = criterion.benchmark_group(title);
    group.throughput(Throughput::Elements(operations as u64));
    for (name, mut run) in contenders {
        group.bench_function(name, |bencher| bencher.iter(&mut run));
    }
    group.finish();
}

criterion_group!(benches, request);
criterion_main!(benches);
