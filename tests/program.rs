//! A real program as a child process with `Flagstone` as its allocator.
#![cfg(all(unix, feature = "std", not(miri)))]

mod common;
#[path = "common/workload/figures.rs"]
mod figures;
#[path = "common/workload/mod.rs"]
mod workload;

use common::child;
use flagstone::Flagstone;

#[global_allocator]
static GLOBAL: Flagstone = Flagstone::new();

/// Runs in the child only.
#[test]
#[ignore = "a child's part"]
fn part_of_a_child() {
    match child::part().as_str() {
        "program" => {
            let before = settled();
            println!("checksum {:#x}", workload::run());
            let after = settled();
            // What is kept once per process, such as std's table of waiting threads.
            assert!(after <= before + (64 << 10), "{before} then {after}");
        }
        // Three stacks of 256, 32 and 6 slots at most, and a word of each size.
        "figures" => figures::check((256 + 64) * 112 + (32 + 64) * 1024 + 70 * 20_480),
        part => panic!("no such part: {part}"),
    }
}

/// Bytes of live blocks.
fn settled() -> usize {
    flagstone::trim();
    flagstone::stats().allocated
}

#[track_caller]
fn succeeds(part: &str) -> String {
    child::succeeds("part_of_a_child", part)
}

#[test]
fn a_program_runs_unchanged() {
    let out = succeeds("program");
    let expected = format!("checksum {:#x}\n", workload::CHECKSUM);
    assert!(out.contains(&expected), "{expected}{out}");
}

#[test]
fn figures_are_exact_where_nobody_else_runs() {
    succeeds("figures");
}
