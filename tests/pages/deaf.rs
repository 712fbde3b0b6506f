//! A system that says that it returned pages, and did not (qemu-user before 7.1, some filters), and
//! one that refuses to (`mlockall`, other filters).
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use std::alloc::{GlobalAlloc, Layout};
use std::collections::HashSet;
use std::ptr::NonNull;
use std::thread;

use flagstone::pages::Pages;
use flagstone::{Flagstone, Heap};

use crate::common::child;

/// `EINVAL`: what locked pages are answered with.
const REFUSED: u32 = 22;

/// From now on `madvise` does nothing, and answers with this error, or with 0 that it is done.
fn deafen(error: u32) {
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
        // The call's number; if it is this one, the error, else let it pass.
        Step(0x20, 0, 0, 0),
        Step(0x15, 0, 1, MADVISE),
        Step(0x06, 0, 0, 0x0005_0000 | error),
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

fn bytes_at(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// How many of some blocks that must be zeroed are not, after as many were written, and freed but
/// for one in `survivors`, and the heap was trimmed.
fn dirty_blocks(heap: &Heap, size: usize, survivors: usize) -> usize {
    let layout = bytes_at(size);
    let count = (4 << 20) / size;
    let written: Vec<_> = (0..count).map(|_| heap.allocate(layout).unwrap()).collect();
    let free = |block: NonNull<[u8]>| {
        // SAFETY: a block of ours, freed once.
        unsafe { heap.deallocate(block.cast(), layout) };
    };
    let mut kept = Vec::new();
    for (index, block) in written.into_iter().enumerate() {
        // SAFETY: a block of ours.
        unsafe { block.cast::<u8>().write_bytes(0xAB, size) };
        if index % survivors == 1 {
            kept.push(block);
        } else {
            free(block);
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
    for block in zeroed.into_iter().chain(kept) {
        free(block);
    }
    dirty
}

/// Segments of the process that were full, empty and trimmed serve again, and what other threads
/// free of them comes back once.
fn segments_serve_again() {
    const SIZE: usize = 48;
    const COUNT: usize = 200_000;
    let take = || -> Vec<usize> {
        let layout = bytes_at(SIZE);
        (0..COUNT)
            // SAFETY: no block of no bytes.
            .map(|_| unsafe { Flagstone::new().alloc(layout) }.expose_provenance())
            .collect()
    };
    let give = |blocks: Vec<usize>| {
        for address in blocks {
            let block = std::ptr::with_exposed_provenance_mut(address);
            // SAFETY: of `take`, freed once.
            unsafe { Flagstone::new().dealloc(block, bytes_at(SIZE)) };
        }
    };
    for _ in 0..3 {
        give(take());
        flagstone::trim();
    }
    for _ in 0..2 {
        let blocks = take();
        // A slot that was handed out twice counts once.
        assert_eq!(blocks.iter().collect::<HashSet<_>>().len(), COUNT);
        let given = thread::spawn(move || give(blocks));
        given.join().expect("the thread that frees");
    }
    give(take());
}

/// A huge block that cannot be cut, and may not move for want of room, keeps what it holds.
fn what_is_not_cut_is_as_it_was() {
    let pages = Pages::global();
    let heap = Heap::builder().limit_bytes(12 << 20).build().unwrap();
    let (long, short) = (bytes_at(10 << 20), bytes_at(4 << 20));
    let block = heap.allocate(long).unwrap().cast::<u8>();
    // SAFETY: a block of ours; shrunk, and freed by what it is then.
    unsafe {
        block.write_bytes(0xCD, long.size());
        let shrunk = heap.shrink(block, long, short);
        let (block, now) = match &shrunk {
            Ok(block) => (block.cast::<u8>(), short),
            Err(_) => (block, long),
        };
        let bytes = std::slice::from_raw_parts(block.as_ptr(), now.size());
        assert!(bytes.iter().all(|byte| *byte == 0xCD), "{shrunk:?}");
        heap.deallocate(block, now);
    }
    pages.trim();
}

fn all_is_well() {
    let heap = Heap::new();
    for size in [1000, 4096, 100_000, 3 << 20] {
        assert_eq!(dirty_blocks(&heap, size, usize::MAX), 0, "{size}");
        assert_eq!(dirty_blocks(&heap, size, 20), 0, "{size} with survivors");
    }
    segments_serve_again();
    what_is_not_cut_is_as_it_was();
}

/// What reads as zero is known by looking, and not by what the system says. In a process of its
/// own, which stays as it is from then on.
#[test]
fn a_system_that_lies_about_pages_is_not_believed() {
    child::succeeds("deaf::part", "lies");
}

/// Nothing is lost, nor written, where pages do not go back.
#[test]
fn a_system_that_refuses_to_return_pages_leaves_all_as_it_was() {
    child::succeeds("deaf::part", "refuses");
}

#[test]
#[ignore = "a part of other tests, which run it in a process of its own"]
fn part() {
    // Also after it was found honest.
    all_is_well();
    let error = match child::part().as_str() {
        "lies" => 0,
        "refuses" => REFUSED,
        other => panic!("no part {other}"),
    };
    deafen(error);
    all_is_well();
    // Nothing was returned, so all of it still counts.
    assert!(Pages::global().stats().charged >= 4 << 20);
}
