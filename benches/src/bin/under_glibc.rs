//! The workloads with the system's allocator as the process's; started by `global`.

use std::alloc::System;

#[global_allocator]
static GLOBAL: System = System;

unsafe extern "C" {
    fn malloc_trim(pad: usize) -> i32;
}

fn main() {
    // SAFETY: callable at any time; it keeps no bytes at the top.
    flagstone_benches::under::main(|| unsafe {
        malloc_trim(0);
    });
}
