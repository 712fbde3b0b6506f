//! More objects out than a pool keeps, and the memory that takes:
//! `cargo run --release --bin held [-- --rounds N]`.

use flagstone_benches::held;
use flagstone_benches::interleave::rounds_from_arguments;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // So it is called by itself.
    if let [_, contender] = arguments.as_slice() {
        return held::show_memory(contender);
    }
    held::row().run(rounds_from_arguments());
    held::print_memory(&arguments[0]);
}
