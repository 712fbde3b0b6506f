//! Instructions per call, arena against arenas: `cargo run --release --bin counts`.

fn main() {
    flagstone_benches::counts::main();
}
