//! What `cargo bench` at the root says: the benches are a package of their own, so that the crate's
//! tree stays free of its peers.

const TEXT: &str = "\
The benches are a package of their own, in benches/ (see benches/README.md):

    cd benches
    cargo bench                       # criterion, per function
    cargo run --release --bin heap    # against peers, by turns (arena, pool, slab, request)

What was measured, with the command of each figure, is in PERF.md.";

fn main() {
    println!("{TEXT}");
}
