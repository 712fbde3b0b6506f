//! Arena against arenas: `cargo run --release --bin arena [-- --rounds N]`.

use flagstone_benches::bump::{nodes_row, slices, texts, values};
use flagstone_benches::interleave::rounds_from_arguments;

/// Values per reset: 100k of them are a parser's tree of a few megabytes.
const COUNT: usize = 100_000;

fn main() {
    let rounds = rounds_from_arguments();
    flagstone_benches::arena_row!("8 B values", COUNT, |b| values::<1, _>(b, COUNT)).run(rounds);
    flagstone_benches::arena_row!("24 B values", COUNT, |b| values::<3, _>(b, COUNT)).run(rounds);
    flagstone_benches::arena_row!("48 B values", COUNT, |b| values::<6, _>(b, COUNT)).run(rounds);
    flagstone_benches::arena_row!("str of 8 B", COUNT, |b| texts(b, COUNT, 8)).run(rounds);
    flagstone_benches::arena_row!("str of 24 B", COUNT, |b| texts(b, COUNT, 24)).run(rounds);
    flagstone_benches::arena_row!("str of 64 B", COUNT, |b| texts(b, COUNT, 64)).run(rounds);
    flagstone_benches::arena_row!("slice of 4 words", COUNT, |b| slices(b, COUNT, 4)).run(rounds);
    flagstone_benches::arena_row!("slice of 1 KiB", 10_000, |b| slices(b, 10_000, 128)).run(rounds);
    nodes_row("push fresh nodes on a vector", 10_000).run(rounds);
}
