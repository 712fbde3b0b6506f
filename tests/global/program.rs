//! A real program as a child process with `Flagstone` as its allocator.

use crate::common::{child, figures, workload};
use crate::turn;

#[test]
#[ignore = "parts of other tests, which run them in processes of their own"]
fn part() {
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

#[test]
fn a_program_runs_unchanged() {
    let _turn = turn();
    let out = child::succeeds("program::part", "program");
    let expected = format!("checksum {:#x}\n", workload::CHECKSUM);
    assert!(out.contains(&expected), "{expected}{out}");
}

#[test]
fn figures_are_exact_where_nobody_else_runs() {
    let _turn = turn();
    child::succeeds("program::part", "figures");
}
