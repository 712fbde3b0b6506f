//! The workloads with snmalloc as the process's allocator; started by `global`. It has no call
//! that gives memory back.

#[global_allocator]
static GLOBAL: snmalloc_rs::SnMalloc = snmalloc_rs::SnMalloc;

fn main() {
    flagstone_benches::under::main(|| {});
}
