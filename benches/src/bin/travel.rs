//! Pools whose objects come back on other threads:
//! `cargo run --release --bin travel [-- --rounds N]`.

use flagstone_benches::interleave::rounds_from_arguments;
use flagstone_benches::travel::{crowd_row, migrate_row};

fn main() {
    let rounds = rounds_from_arguments();
    crowd_row("2 producers to 2 consumers, by 512", 500).run(rounds);
    migrate_row("2 threads, tasks end on either", 200_000).run(rounds);
}
