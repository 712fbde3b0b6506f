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
fn part_of_a_child() {
    match child::part().as_deref() {
        Some("program") => {
            let before = settled();
            println!("checksum {:#x}", workload::run());
            let after = settled();
            // What is kept once per process, such as std's table of waiting threads.
            assert!(after <= before + (64 << 10), "{before} then {after}");
        }
        // Three magazines of 256, 32 and 6 slots at most, and a word of each size.
        Some("figures") => figures::check((256 + 64) * 112 + (32 + 64) * 1024 + 70 * 20_480),
        _ => {}
    }
}

/// Bytes of live blocks.
fn settled() -> usize {
    flagstone::trim();
    flagstone::stats().allocated
}

#[track_caller]
fn succeeds(part: &str) -> String {
    let output = child::run("part_of_a_child", part, "ulimit -c 0;");
    let (out, err) = (child::text(&output.stdout), child::text(&output.stderr));
    assert!(
        output.status.success(),
        "{part}: {}\n{out}\n{err}",
        output.status
    );
    out
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
