//! The workloads with flagstone as the process's allocator; started by `global`.

#[global_allocator]
static GLOBAL: flagstone::Flagstone = flagstone::Flagstone::new();

fn main() {
    flagstone_benches::under::main(|| {
        flagstone::trim();
    });
}
