//! The workloads with jemalloc as the process's allocator; started by `global`.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

#[global_allocator]
static GLOBAL: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

unsafe extern "C" {
    #[link_name = "_rjem_mallctl"]
    fn control(
        name: *const c_char,
        old: *mut c_void,
        old_bytes: *mut usize,
        new: *mut c_void,
        new_bytes: usize,
    ) -> c_int;
}

fn main() {
    flagstone_benches::under::main(|| {
        command(c"thread.tcache.flush");
        // 4096 is jemalloc's MALLCTL_ARENAS_ALL.
        command(c"arena.4096.purge");
    });
}

fn command(name: &CStr) {
    // SAFETY: a command without values in or out, by its name.
    let result = unsafe { control(name.as_ptr(), null_mut(), null_mut(), null_mut(), 0) };
    assert_eq!(result, 0, "{name:?}");
}
