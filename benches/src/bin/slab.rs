//! Slab against slabs: `cargo run --release --bin slab [-- --rounds N]`.

use flagstone_benches::interleave::rounds_from_arguments;
use flagstone_benches::keyed::{blind_pair_row, churn_row, keyed_row, owned_row, pair_row};

fn main() {
    let rounds = rounds_from_arguments();
    pair_row(200_000).run(rounds);
    blind_pair_row(200_000).run(rounds);
    churn_row(50_000).run(rounds);
    keyed_row(1_000).run(rounds);
    keyed_row(50_000).run(rounds);
    owned_row(200_000).run(rounds);
}
