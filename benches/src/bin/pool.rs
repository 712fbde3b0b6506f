//! Pool against pools: `cargo run --release --bin pool [-- --rounds N]`.

use flagstone_benches::held;
use flagstone_benches::interleave::rounds_from_arguments;
use flagstone_benches::recycle::row;
use flagstone_benches::travel::{crowd_row, migrate_row, travel_row};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // So it is called by itself, see `held`.
    if let [_, contender] = arguments.as_slice() {
        return held::show_memory(contender);
    }
    let rounds = rounds_from_arguments();
    row("get+put, one thread", 1, 200_000).run(rounds);
    // Long runs: starting two threads must not show.
    row("get+put, two threads", 2, 1_000_000).run(rounds);
    travel_row("producer to consumer, by 512", 500).run(rounds);
    crowd_row("2 producers to 2 consumers, by 512", 500).run(rounds);
    migrate_row("2 threads, tasks end on either", 200_000).run(rounds);
    held::row().run(rounds);
    held::print_memory(&arguments[0]);
}
