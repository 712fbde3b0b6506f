//! Resident memory of the heap's workloads: `cargo run --release --bin memory`.
//!
//! Every contender runs in a process of its own, so that nobody stands on another's pages. Peak is
//! the process's own high-water mark, settled is what is resident after everything was freed (and
//! trimmed where the contender has a call for it); both above the state before the work.

use std::alloc::System;
use std::process::Command;

use flagstone::Heap;
use flagstone_benches::blocks::{Batch, Blocks, Churn, Global, Mixed, Work};
use flagstone_benches::resident::status_kib;

const CONTENDERS: [&str; 6] = [
    "flagstone Heap",
    "system malloc",
    "mimalloc",
    "jemalloc",
    "snmalloc",
    "rpmalloc",
];
const WORKS: [&str; 2] = [
    "100k batch random free, 64 B",
    "churn of 10k live, 16 B-4 KiB",
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.as_slice() {
        [_, contender, work] => run(contender, work),
        _ => spawn_all(&arguments[0]),
    }
}

fn spawn_all(program: &str) {
    for work in WORKS {
        println!("\n{work:<34} {:>12} {:>12}", "peak KiB", "settled KiB");
        for contender in CONTENDERS {
            let output = Command::new(program).args([contender, work]).output();
            let output = output.expect("this program runs again");
            assert!(output.status.success(), "{contender} failed in {work}");
            print!(
                "  {contender:<32} {}",
                String::from_utf8_lossy(&output.stdout)
            );
        }
    }
}

fn run(contender: &str, work: &str) {
    match contender {
        "flagstone Heap" => {
            let heap = Heap::new();
            measure(&heap, work, || {
                heap.trim();
            });
        }
        "system malloc" => measure(&Global(System), work, || {}),
        "mimalloc" => measure(&Global(mimalloc::MiMalloc), work, || {}),
        "jemalloc" => measure(&Global(tikv_jemallocator::Jemalloc), work, || {}),
        "snmalloc" => measure(&Global(snmalloc_rs::SnMalloc), work, || {}),
        "rpmalloc" => measure(&Global(rpmalloc::RpMalloc), work, || {}),
        _ => panic!("no contender {contender:?}"),
    }
}

fn measure<B: Blocks>(blocks: &B, work: &str, trim: impl FnOnce()) {
    // The work's own lists are made, and their pages touched, before the first figure is taken.
    let mut batch = Batch::<64>::shuffled(100_000);
    let mut churn = Churn::new(10_000, 200_000, Mixed::new(16, 4 << 10));
    let before = status_kib("VmRSS:");
    match work {
        work if work == WORKS[0] => batch.run(blocks),
        work if work == WORKS[1] => churn.run(blocks),
        _ => panic!("no work {work:?}"),
    };
    churn.finish(blocks);
    trim();
    let (peak, after) = (status_kib("VmHWM:"), status_kib("VmRSS:"));
    println!(
        "{:>12} {:>12}",
        peak.saturating_sub(before),
        after.saturating_sub(before)
    );
}
