//! The workloads with dlmalloc, the pure-Rust port, as the process's allocator; started by
//! `global`. One lock for all threads; no call of its global form gives memory back.

#[global_allocator]
static GLOBAL: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() {
    flagstone_benches::under::main(|| {});
}
