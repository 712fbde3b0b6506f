//! The workloads with rpmalloc as the process's allocator; started by `global`. Its binding has
//! no call that gives memory back.

#[global_allocator]
static GLOBAL: rpmalloc::RpMalloc = rpmalloc::RpMalloc;

fn main() {
    flagstone_benches::under::main(|| {});
}
