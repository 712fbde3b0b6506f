//! `Flagstone` with full checks: the program of `common/workload.rs`, one crime per kind, figures.
//!
//! Each in a process of its own: the quarantine and the figures are the process's.
#![cfg(all(unix, feature = "std", not(miri)))]

mod common;

use std::alloc::{GlobalAlloc, Layout};
use std::thread;

use common::{child, crime, figures, pairs, workload};
use flagstone::{Check, Config, Flagstone};

#[global_allocator]
static GLOBAL: Flagstone = Flagstone::with(Config::new().check(Check::Full));

/// More than wait in the quarantine.
const MANY: usize = 300;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

#[test]
#[ignore = "parts of other tests, which run them in processes of their own"]
fn part() {
    let part = child::part();
    match part.as_str() {
        "program" => program(),
        "figures" => figures::check(0),
        "reuse is delayed" => reuse_is_delayed(),
        "trim" => trim_ends_the_wait(),
        "forks" => forks(),
        "cached" => what_waits_is_had(),
        crime => commit(crime),
    }
}

fn program() {
    flagstone::trim();
    let before = flagstone::stats().active;
    println!("checksum {:#x}", workload::run());
    flagstone::trim();
    let (after, heaps) = (flagstone::stats().active, flagstone::stats().thread_heaps);
    // A heap each, and the slabs that a block std keeps for good pins.
    let bound = before + (1 << 20) + heaps * (20 << 10);
    assert!(after <= bound, "{before} then {after}, {heaps} heaps");
}

#[test]
fn a_program_runs_unchanged() {
    let out = child::succeeds("part", "program");
    let expected = format!("checksum {:#x}\n", workload::CHECKSUM);
    assert!(out.contains(&expected), "{expected}{out}");
}

fn take(size: usize) -> usize {
    // SAFETY: the size is not zero.
    let ptr = unsafe { GLOBAL.alloc(layout(size)) };
    assert!(!ptr.is_null());
    ptr.expose_provenance()
}

/// Frees `size` bytes, once. The callers may commit a crime with it.
fn free(address: usize, size: usize) {
    let ptr = std::ptr::with_exposed_provenance_mut(address);
    // SAFETY: a live block, or else the crime: it must be found before it does harm.
    unsafe { GLOBAL.dealloc(ptr, layout(size)) };
}

fn elsewhere(deed: impl FnOnce() + Send + 'static) {
    thread::spawn(deed).join().unwrap();
}

/// Says where the abort must point at.
fn guilty(address: usize) -> usize {
    crime::guilty(std::ptr::without_provenance::<u8>(address));
    address
}

fn commit(crime: &str) {
    let small = take(64);
    if !free_twice(crime, small) && !other_crime(crime, small) {
        panic!("no such crime: {crime}");
    }
    println!("unpunished");
}

/// Frees of a slot of 64 bytes that come twice; `false` if this is none.
fn free_twice(crime: &str, small: usize) -> bool {
    match crime {
        "double free" => {
            free(guilty(small), 64);
            free(small, 64);
        }
        "double free by another thread" => {
            free(guilty(small), 64);
            elsewhere(move || free(small, 64));
        }
        "both frees elsewhere" => {
            elsewhere(move || free(guilty(small), 64));
            elsewhere(move || free(small, 64));
        }
        "double free at once" => {
            guilty(small);
            let barrier = std::sync::Arc::new(std::sync::Barrier::new(2));
            let threads = [(); 2].map(|()| {
                let barrier = barrier.clone();
                thread::spawn(move || {
                    barrier.wait();
                    free(small, 64);
                })
            });
            for thread in threads {
                thread.join().unwrap();
            }
            push_out();
        }
        "late double free" => {
            // The slot went home to its slab.
            free(guilty(small), 64);
            push_out();
            free(small, 64);
        }
        "late double free by another thread" => {
            free(guilty(small), 64);
            push_out();
            elsewhere(move || free(small, 64));
        }
        "double free of what waits for its owner" => {
            // The slot is in its slab's remote words: the owner waits, and does not look.
            guilty(small);
            elsewhere(move || {
                free(small, 64);
                push_out();
                elsewhere(move || free(small, 64));
            });
        }
        _ => return false,
    }
    true
}

/// `false` if this is none.
fn other_crime(crime: &str, small: usize) -> bool {
    match crime {
        "write after free" => {
            free(guilty(small), 64);
            // SAFETY: none: this is the crime. The memory is still mapped.
            unsafe { std::ptr::with_exposed_provenance_mut::<u8>(small).write(1) };
            push_out();
        }
        "late write after free" => {
            free(guilty(small), 64);
            push_out();
            // SAFETY: as above.
            unsafe { std::ptr::with_exposed_provenance_mut::<u8>(small).write(1) };
            let _: Vec<usize> = (0..MANY).map(|_| take(64)).collect();
        }
        "interior free" => free(guilty(small + 16), 64),
        "foreign free" => {
            static WORDS: [u64; 8] = [7; 8];
            free(guilty(WORDS.as_ptr().expose_provenance()), 64);
        }
        "wrong class" => free(guilty(small), 100),
        "large freed as small" => free(guilty(take(100 << 10)), 64),
        "huge freed as small" => free(guilty(take(3 << 20)), 64),
        "small freed as large" => free(guilty(small), 100 << 10),
        "large double free" => {
            let large = guilty(take(100 << 10));
            free(large, 100 << 10);
            free(large, 100 << 10);
        }
        "huge double free" => {
            let huge = guilty(take(3 << 20));
            free(huge, 3 << 20);
            elsewhere(move || free(huge, 3 << 20));
        }
        _ => return false,
    }
    true
}

/// Fills the quarantine anew, so that what was in it goes home.
fn push_out() {
    for _ in 0..MANY {
        free(take(1000), 1000);
    }
}

#[track_caller]
fn dies(crime: &str, message: &str) {
    crime::dies("part", crime, message);
}

const DOUBLE: &str = "double free";
const FOREIGN: &str = "free of a pointer that is not this owner's";
const CLASS: &str = "free with a layout of another size class";

#[test]
fn double_free() {
    dies("double free", DOUBLE);
    dies("double free by another thread", DOUBLE);
    dies("both frees elsewhere", DOUBLE);
    // Where neither thread sees the other, the slot shows when it leaves the quarantine again.
    for _ in 0..10 {
        dies("double free at once", DOUBLE);
    }
}

#[test]
fn late_double_free() {
    dies("late double free", DOUBLE);
    dies("late double free by another thread", DOUBLE);
    dies("double free of what waits for its owner", DOUBLE);
}

#[test]
fn write_after_free() {
    dies("write after free", "write after free");
    dies("late write after free", "write after free");
}

#[test]
fn interior_free() {
    dies(
        "interior free",
        "free of a pointer into the middle of a slot",
    );
}

#[test]
fn foreign_free() {
    dies("foreign free", FOREIGN);
}

#[test]
fn wrong_class() {
    dies("wrong class", CLASS);
    dies("large freed as small", CLASS);
    dies("huge freed as small", CLASS);
}

/// A span is nobody's after its first free, and a slot is no span.
#[test]
fn large_and_huge_blocks() {
    dies("small freed as large", FOREIGN);
    dies("large double free", DOUBLE);
    dies("huge double free", FOREIGN);
}

/// A freed slot does not come back before as many were freed as the quarantine holds.
fn reuse_is_delayed() {
    let (first, mut freed) = (take(64), 0);
    free(first, 64);
    loop {
        let next = take(64);
        if next == first {
            break;
        }
        free(next, 64);
        freed += 1;
    }
    // The test's harness may free a few itself.
    assert!((230..=256).contains(&freed), "after {freed} frees");
}

#[test]
fn freed_slots_wait() {
    child::succeeds("part", "reuse is delayed");
}

/// What waited is in its slab after a trim, and is found without any further free.
fn trim_ends_the_wait() {
    // Their slab stays, because one of the two does.
    let (_stays, first) = (take(64), take(64));
    free(first, 64);
    flagstone::trim();
    assert!((0..1000).any(|_| take(64) == first));
}

#[test]
fn a_trim_ends_the_quarantine() {
    child::succeeds("part", "trim");
}

/// Nobody caches with full checks, so what running threads hold is exact, too.
#[test]
fn figures_are_exact() {
    child::succeeds("part", "figures");
}

unsafe extern "C" {
    safe fn fork() -> i32;
    safe fn _exit(status: i32) -> !;
    safe fn alarm(seconds: u32) -> u32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
}

/// A child inherits a quarantine full of slots, most of them of threads that are not there.
fn forks() {
    let end = std::sync::atomic::AtomicBool::new(false);
    let work = |number: usize| {
        let blocks: Vec<Vec<u8>> = (0..60).map(|n| vec![1; 1 + n * number]).collect();
        assert!(blocks.iter().flatten().all(|byte| *byte == 1));
    };
    thread::scope(|scope| {
        for number in 0..4 {
            let end = &end;
            scope.spawn(move || {
                while !end.load(std::sync::atomic::Ordering::Relaxed) {
                    work(number);
                }
            });
        }
        for _ in 0..40 {
            let pid = fork();
            if pid == 0 {
                alarm(600);
                (0..20).for_each(work);
                let ended = thread::spawn(move || (0..20).for_each(work)).join().is_ok();
                flagstone::trim();
                _exit(if ended { 0 } else { 3 });
            }
            let mut status = 0;
            // SAFETY: an out pointer.
            let waited = unsafe { waitpid(pid, &raw mut status, 0) };
            assert_eq!((waited, status), (pid, 0));
        }
        end.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn forked_children_go_on() {
    child::succeeds("part", "forks");
}

#[test]
fn what_waits_in_the_quarantine_is_no_reason_to_refuse() {
    child::succeeds("part", "cached");
}

fn what_waits_is_had() {
    const ROOM: usize = 2 << 20;
    let mut held = Vec::with_capacity(ROOM / 512);
    let sizes = [1024, 8 << 10, 32 << 10, 100 << 10, 1 << 20, 1500 << 10];
    flagstone::trim();
    flagstone::set_limit(Some(flagstone::stats().resident + ROOM));
    pairs::every_pair(&pairs::Process, &sizes, &mut held);
}
