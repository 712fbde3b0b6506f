//! Slab against slabs: `cargo run --release --bin slab [-- --rounds N]`.

use flagstone_benches::interleave::rounds_from_arguments;
use flagstone_benches::keyed::{keyed_row, pair_row};

fn main() {
    let rounds = rounds_from_arguments();
    pair_row(200_000).run(rounds);
    keyed_row(1_000).run(rounds);
    keyed_row(50_000).run(rounds);
}
