//! What the scenarios share: ways to do one thing, run in turns, and a table of what they took.
//!
//! - I1: in each round every way does the same operations once, in turns, so that drift of the
//!   machine hits all alike; the times are medians, the ratio is the median of the rounds' ratios.
//! - I2: allocations and memory are counted apart, from a cold start, in one run of their own.
//! - I3: all ways return the same checksum, so that nobody is fast by leaving work out.

use std::time::Instant;

use flagstone::pages::Pages;

use crate::count;
use crate::figures::{Bytes, Count, Nanos};

/// How long to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// For figures.
    Full,
    /// To see that it works.
    Quick,
}

/// What a way does: so many operations, and a checksum of what came out.
pub(crate) type Run<'a> = Box<dyn FnMut(usize) -> u64 + 'a>;

/// One way to do the work: its name, and how to begin from nothing.
pub(crate) type Way<'a> = (&'static str, Box<dyn Fn() -> Run<'a> + 'a>);

/// A [`Way`].
pub(crate) fn way<'a>(name: &'static str, begin: impl Fn() -> Run<'a> + 'a) -> Way<'a> {
    (name, Box::new(begin))
}

/// Enough for a stable median; the quartiles still have seven samples beyond them.
const ROUNDS: usize = 31;

/// Runs all ways and prints the table. The ratio is to the first one.
///
/// # Panics
/// When two ways did other work.
pub(crate) fn compare(title: &str, effort: Effort, operations: usize, ways: &[Way<'_>]) {
    let (rounds, operations) = match effort {
        Effort::Full => (ROUNDS, operations),
        Effort::Quick => (3, operations.div_ceil(50)),
    };
    let memory: Vec<_> = ways.iter().map(|way| count_one(way, operations)).collect();
    let mut runs: Vec<Run<'_>> = ways.iter().map(|(_, begin)| begin()).collect();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); ways.len()];
    for round in 0..=rounds {
        let mut expected = None;
        for (index, run) in runs.iter_mut().enumerate() {
            let start = Instant::now();
            let sum = run(operations);
            let nanoseconds = start.elapsed().as_nanos() as f64 / operations as f64;
            let name = ways[index].0;
            assert_eq!(sum, *expected.get_or_insert(sum), "{name} did other work");
            // Round 0 warms up.
            if round > 0 {
                times[index].push(nanoseconds);
            }
        }
    }
    println!("\n{title}");
    println!(
        "  {:<28} {:>10} {:>7} {:>14} {:>12}",
        "", "each", "ratio", "allocations", "memory"
    );
    for (index, (name, _)) in ways.iter().enumerate() {
        let by_round = times[index].iter().zip(&times[0]).map(|(a, b)| a / b);
        let ratio = median(by_round.collect());
        let each = Nanos(median(times[index].clone())).to_string();
        let (allocations, bytes) = memory[index];
        let allocations = Count(allocations).to_string();
        println!(
            "  {name:<28} {each:>10} {ratio:>7.2} {allocations:>14} {:>12}",
            Bytes(bytes).to_string()
        );
    }
}

/// Allocations per operation, and the most bytes held at once: those asked of the system's
/// allocator, and the pages that the pool has at the end.
fn count_one((_, begin): &Way<'_>, operations: usize) -> (f64, u64) {
    let pages = || Pages::global().stats().active as u64;
    let before = pages();
    count::start();
    let mut run = begin();
    run(operations);
    let counts = count::counts();
    count::stop();
    let bytes = counts.peak_bytes + pages().saturating_sub(before);
    (counts.calls as f64 / operations as f64, bytes)
}

/// The middle one.
pub(crate) fn median(figures: Vec<f64>) -> f64 {
    quantile(figures, 0.5)
}

/// The figure that this share of all does not pass.
pub(crate) fn quantile(mut figures: Vec<f64>, share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[((figures.len() - 1) as f64 * share).round() as usize]
}
