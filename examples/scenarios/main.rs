//! Five uses of a pool as services have them, each against no pool, with figures of your machine.
//!
//! `cargo run --release --example scenarios [-- NAME] [--quick]`
//!
//! - `http`: response buffers of a server
//! - `log`: lines that a thread of its own writes; what the caller waits
//! - `json`: scratch structures of a parser
//! - `workers`: tasks made ahead, given back by other threads
//! - `decoder`: the bad case, 5 % reuse of something cheap, where no pool is the better one
//!
//! Each file shows the code one would write and stands for itself; `measure.rs` does the timing.
//! `--quick` runs everything a few times, to test the program: its figures mean nothing.

#![allow(clippy::print_stdout)]

#[allow(dead_code, reason = "compare uses the rest of it")]
#[path = "../compare/src/count.rs"]
mod count;
mod decoder;
#[allow(dead_code, reason = "compare uses the rest of it")]
#[path = "../compare/src/figures.rs"]
mod figures;
mod http;
mod json;
mod log;
mod measure;
mod workers;

use std::process::ExitCode;

use crate::measure::Effort;

#[global_allocator]
static GLOBAL: count::Counting = count::Counting;

/// A name on the command line, and what it runs.
type Scenario = (&'static str, fn(Effort));

const SCENARIOS: [Scenario; 5] = [
    ("http", http::run),
    ("log", log::run),
    ("json", json::run),
    ("workers", workers::run),
    ("decoder", decoder::run),
];

fn main() -> ExitCode {
    let mut effort = Effort::Full;
    let mut wanted = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => effort = Effort::Quick,
            name if SCENARIOS.iter().any(|(known, _)| *known == name) => wanted = Some(argument),
            other => {
                eprintln!("scenarios: no scenario {other:?}: http, log, json, workers, decoder");
                return ExitCode::from(2);
            }
        }
    }
    for (name, run) in SCENARIOS {
        if wanted.as_deref().is_none_or(|wanted| wanted == name) {
            run(effort);
        }
    }
    ExitCode::SUCCESS
}
