//! Arena against arenas: `cargo run --release --bin arena [-- --rounds N]`.
//!
//! The loops are a dozen instructions long, and one that happens to end across two cache lines
//! takes half as long again, whosever it is. Where a ratio matters, let all of them begin a line:
//! `RUSTFLAGS=-Cllvm-args=-align-loops=64 cargo run --release --bin arena`.

use flagstone_benches::bump::{formats, nodes_row, pairs, slices, texts, values_row};
use flagstone_benches::interleave::rounds_from_arguments;
use flagstone_benches::{arena_row, formatting_row, growing_row};

/// Values per reset: 100k of them are a parser's tree of a few megabytes, which is more than the
/// second cache holds.
const COUNT: usize = 100_000;
/// As many as stay in the second cache.
const COUNT_NEAR: usize = 10_000;

fn main() {
    let rounds = rounds_from_arguments();
    for count in [COUNT, COUNT_NEAR] {
        values_row::<1>(count).run(rounds);
        values_row::<3>(count).run(rounds);
        values_row::<6>(count).run(rounds);
    }
    for len in [1, 8, 16, 24, 64] {
        arena_row!(format!("str of {len} B"), COUNT, |bump| texts(
            bump, COUNT, len
        ))
        .run(rounds);
    }
    arena_row!("slice of 4 words", COUNT, |bump| slices(bump, COUNT, 4)).run(rounds);
    arena_row!("slice of 1 KiB", COUNT_NEAR, |bump| slices(
        bump, COUNT_NEAR, 128
    ))
    .run(rounds);
    nodes_row(COUNT_NEAR).run(rounds);
    growing_row!("two growing vectors", COUNT_NEAR, |bump| pairs(
        bump, COUNT_NEAR
    ))
    .run(rounds);
    formatting_row!("fmt of a short line", COUNT_NEAR, |bump| formats(
        bump, COUNT_NEAR
    ))
    .run(rounds);
}
