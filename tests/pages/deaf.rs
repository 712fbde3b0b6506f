//! A system that says that it returned pages, and did not (qemu-user before 7.1, some filters).

use std::alloc::Layout;
use std::ptr::NonNull;

use flagstone::Heap;
use flagstone::pages::Pages;

use crate::common::child;

/// From now on `madvise` answers that it is done, and does nothing.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn deafen() {
    /// An instruction of a socket filter.
    #[repr(C)]
    struct Step(u16, u8, u8, u32);
    #[repr(C)]
    struct Program {
        len: u16,
        steps: *const Step,
    }
    unsafe extern "C" {
        fn prctl(option: i32, a: usize, b: usize, c: usize, d: usize) -> i32;
    }
    const NO_NEW_PRIVILEGES: i32 = 38;
    const SECCOMP: i32 = 22;
    const MADVISE: u32 = if cfg!(target_arch = "x86_64") {
        28
    } else {
        233
    };
    let steps = [
        // The call's number; if it is this one, error 0, else let it pass.
        Step(0x20, 0, 0, 0),
        Step(0x15, 0, 1, MADVISE),
        Step(0x06, 0, 0, 0x0005_0000),
        Step(0x06, 0, 0, 0x7FFF_0000),
    ];
    let program = Program {
        len: 4,
        steps: steps.as_ptr(),
    };
    let program = (&raw const program).expose_provenance();
    // SAFETY: a filter of four steps, which the system copies.
    let set = unsafe {
        (
            prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0),
            prctl(SECCOMP, 2, program, 0, 0),
        )
    };
    assert_eq!(set, (0, 0));
}

/// How many of some blocks that must be zeroed are not, after as many were written, freed and
/// trimmed.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn dirty_blocks(heap: &Heap, size: usize) -> usize {
    let layout = Layout::from_size_align(size, 8).unwrap();
    let count = (4 << 20) / size;
    let written: Vec<_> = (0..count).map(|_| heap.allocate(layout).unwrap()).collect();
    for block in written {
        // SAFETY: a block of ours, freed once.
        unsafe {
            block.cast::<u8>().write_bytes(0xAB, size);
            heap.deallocate(block.cast(), layout);
        }
    }
    heap.trim();
    let zeroed = (0..count).map(|_| heap.allocate_zeroed(layout).unwrap());
    let zeroed: Vec<_> = zeroed.collect();
    let is_dirty = |block: &NonNull<[u8]>| {
        // SAFETY: a block of ours, initialised.
        unsafe { block.as_ref() }.iter().any(|byte| *byte != 0)
    };
    let dirty = zeroed.iter().filter(|block| is_dirty(block)).count();
    for block in zeroed {
        // SAFETY: a block of ours, freed once.
        unsafe { heap.deallocate(block.cast(), layout) };
    }
    dirty
}

/// What reads as zero is known by looking, and not by what the system says. In a process of its
/// own, which stays as it is from then on.
#[test]
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn a_system_that_lies_about_pages_is_not_believed() {
    child::succeeds("deaf::part", "deaf");
}

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#[test]
#[ignore = "a part of another test, which runs it in a process of its own"]
fn part() {
    assert_eq!(child::part(), "deaf");
    let heap = Heap::new();
    let sizes = [1000, 100_000, 3 << 20];
    // Also after it was found honest.
    assert_eq!(sizes.map(|size| dirty_blocks(&heap, size)), [0; 3]);
    deafen();
    assert_eq!(sizes.map(|size| dirty_blocks(&heap, size)), [0; 3]);
    // Nothing was returned, so all of it still counts.
    assert!(Pages::global().stats().charged >= 4 << 20);
}
