//! The workloads with mimalloc (its third version) as the process's allocator; started by
//! `global`.

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

unsafe extern "C" {
    fn mi_collect(force: bool);
}

fn main() {
    // SAFETY: callable at any time.
    flagstone_benches::under::main(|| unsafe { mi_collect(true) });
}
