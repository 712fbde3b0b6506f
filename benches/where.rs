//! What `cargo bench` at the root says: the benches are a package of their own, so that the crate's
//! tree stays free of its peers.

fn main() {
    println!(
        "The benches are a package of their own, in benches/ (see benches/README.md):\n\n    \
         cd benches\n    \
         cargo bench                       # criterion, per function\n    \
         cargo run --release --bin heap    # against peers, by turns (arena, pool, slab, request)\n\n\
         What was measured, with the command of each figure, is in PERF.md."
    );
}
