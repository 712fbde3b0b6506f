//! Pool against pools: `cargo run --release --bin pool [-- --rounds N]`.

use flagstone_benches::interleave::rounds_from_arguments;
use flagstone_benches::recycle::row;
use flagstone_benches::travel::travel_row;

fn main() {
    let rounds = rounds_from_arguments();
    row("get+put, one thread", 1, 200_000).run(rounds);
    // Long runs: starting two threads must not show.
    row("get+put, two threads", 2, 1_000_000).run(rounds);
    travel_row("producer to consumer, by 512", 500).run(rounds);
}
