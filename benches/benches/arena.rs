//! Arenas by criterion: `cargo bench --bench arena`.

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use flagstone::Arena;
use flagstone_benches::bump::{Bumper, nodes, texts, values};

type Group<'a> = BenchmarkGroup<'a, criterion::measurement::WallTime>;

/// Values per reset.
const COUNT: usize = 10_000;

fn arm<B: Bumper>(group: &mut Group<'_>, name: &str, work: impl Fn(&mut B) -> u64) {
    let mut bump = B::empty();
    group.bench_function(name, |bencher| bencher.iter(|| work(&mut bump)));
}

fn arena(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("arena 24 B values");
    group.throughput(Throughput::Elements(COUNT as u64));
    arm(&mut group, "flagstone Arena", |bump: &mut Arena| {
        values::<3, _>(bump, COUNT)
    });
    arm(&mut group, "bumpalo", |bump: &mut bumpalo::Bump| {
        values::<3, _>(bump, COUNT)
    });
    arm(
        &mut group,
        "bumpalo, min align 8",
        |b: &mut bumpalo::Bump<8>| values::<3, _>(b, COUNT),
    );
    group.finish();

    let mut group = criterion.benchmark_group("arena str of 24 B");
    group.throughput(Throughput::Elements(COUNT as u64));
    arm(&mut group, "flagstone Arena", |bump: &mut Arena| {
        texts(bump, COUNT, 24)
    });
    arm(&mut group, "bumpalo", |bump: &mut bumpalo::Bump| {
        texts(bump, COUNT, 24)
    });
    group.finish();

    let mut group = criterion.benchmark_group("arena nodes on a growing vector");
    group.throughput(Throughput::Elements(COUNT as u64));
    arm(&mut group, "flagstone Arena", |bump: &mut Arena| {
        nodes(bump, COUNT)
    });
    arm(&mut group, "bumpalo", |bump: &mut bumpalo::Bump| {
        nodes(bump, COUNT)
    });
    group.finish();
}

criterion_group!(benches, arena);
criterion_main!(benches);
