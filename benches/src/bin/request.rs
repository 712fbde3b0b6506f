//! A request in an arena against arenas and boxes:
//! `cargo run --release --bin request [-- --rounds N]`.

use flagstone_benches::interleave::rounds_from_arguments;

fn main() {
    let heap = flagstone::Heap::new();
    flagstone_benches::request::row(&heap).run(rounds_from_arguments());
}
