//! `cargo run --release -p compare [FILE.json]`: is it worth it, on your own data?
//!
//! Three uses of memory as a server has them, each done in every way at hand, on a real document:
//! a *request* (parse, walk, drop), a *hot loop* of small objects, a *reuse loop* of buffers. It
//! prints a table and a verdict per use and writes one HTML page.
//!
//! How the parts fit:
//!
//! ```text
//! main        what happens in which order
//! cli, document, progress, machine, figures
//! request, hot_loop, reuse        the three works and their arms
//!   json, tree, builders          one reader (serde_json), one tree, a builder per arm
//!   sync_pool_model               Go's sync.Pool
//!   balances                      which loops stand behind a break-even figure
//! work, harness, probe, count     arms; their time; their memory, in processes of their own
//! break_even, report, page, chart what the figures say, as text and as HTML
//! ```
//!
//! - I1: time and memory are measured apart; nothing is counted while the clock runs.
//! - I2: what is wrong with the input is said in one line on standard error, with exit code 2.

#![allow(clippy::print_stdout)]

mod balances;
mod break_even;
mod builders;
mod chart;
mod cli;
mod count;
mod document;
mod figures;
mod harness;
mod hot_loop;
mod json;
mod machine;
mod page;
mod probe;
mod progress;
mod report;
mod request;
mod reuse;
mod sync_pool_model;
mod tree;
mod work;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{Options, Task};
use crate::document::Document;
use crate::harness::{Budget, Measured};
use crate::page::PagePath;
use crate::progress::Progress;
use crate::report::{Report, Row, Section};
use crate::work::Work;

#[global_allocator]
static GLOBAL: count::Counting = count::Counting;

/// Seconds of timing per use. Together with the pairs and the memory probes a run takes about half
/// a minute; half of that would let one hiccup of the machine fill a round.
const SECONDS: [(&str, u64); 3] = [("request", 12), ("hot-loop", 8), ("reuse", 6)];

/// Seconds for the small loops behind the arenas' break-even figure.
const ARENAS_SECONDS: u64 = 1;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { message, code }) => {
            // A file's name may hold line breaks; the message is one line all the same.
            let message = message.replace(['\n', '\r'], " ");
            let _ = writeln!(std::io::stderr(), "compare: {message}");
            ExitCode::from(code)
        }
    }
}

/// Why the program stopped, in one line.
struct Failure {
    message: String,
    code: u8,
}

/// The command line or the document is unfit.
fn unfit(message: String) -> Failure {
    Failure { message, code: 2 }
}

/// The run itself failed.
fn failed(message: String) -> Failure {
    Failure { message, code: 1 }
}

fn run() -> Result<(), Failure> {
    let options = match cli::parse(std::env::args_os().skip(1)).map_err(unfit)? {
        Task::Help => return print(cli::USAGE),
        Task::Probe { target, quick } => {
            let line = probe::answer(&target, quick, works).map_err(unfit)?;
            return print(&format!("{line}\n"));
        }
        Task::Compare(options) => options,
    };
    let document = match &options.file {
        Some(path) => Document::from_file(path),
        None => Document::from_cargo(),
    };
    let document = document.map_err(unfit)?;
    let path = PagePath::choose(options.html.as_deref()).map_err(unfit)?;
    let report = compare(&document, &options)?;
    print(&report.to_text())?;
    path.write(&page::render(&report)).map_err(failed)?;
    print(&format!("page: {}\n", path.shown()))
}

/// Writes to standard output. Whoever closed it does not want the rest.
fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(failed(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

fn works(document: &Document) -> Vec<Work<'_>> {
    vec![
        request::work(document),
        hot_loop::work(),
        reuse::work(document),
    ]
}

fn compare(document: &Document, options: &Options) -> Result<Report, Failure> {
    let mut progress = Progress::new();
    let mut sections = Vec::new();
    let works = works(document);
    for (work, (id, seconds)) in works.into_iter().zip(SECONDS) {
        debug_assert_eq!(work.id, id);
        let time = Duration::from_secs(seconds);
        let budget = Budget {
            time,
            quick: options.quick,
        };
        sections.push(section(work, document, budget, &mut progress)?);
    }
    progress.finish();
    let unoptimised = "Built without optimisation: these figures mean nothing. Use --release.";
    let hasty = "A quick run: these figures mean nothing.";
    Ok(Report {
        document: document.name.clone(),
        sections,
        machine: machine::description(),
        command: machine::command(),
        date: machine::date(),
        warning: match (cfg!(debug_assertions), options.quick) {
            (true, _) => Some(unoptimised),
            (_, true) => Some(hasty),
            _ => None,
        },
    })
}

/// Measures one use: time, break-even, memory.
fn section(
    mut work: Work<'_>,
    document: &Document,
    budget: Budget,
    progress: &mut Progress,
) -> Result<Section, Failure> {
    let total_seconds: u64 = SECONDS.iter().map(|(_, seconds)| seconds).sum();
    let share = budget.time.as_secs_f64() / total_seconds as f64;
    let mut timed = |work: &mut Work<'_>, budget: Budget, share: f64| {
        progress.phase(format!("{}, time", work.id), share);
        harness::measure(work, budget, &mut |done, detail| {
            progress.show(done, detail)
        })
    };
    let measured = timed(&mut work, budget, share * 0.7).map_err(to_failure)?;
    let mut balances = balances::of_rows(&work, &measured);
    if work.id == "request" {
        let arenas_budget = Budget {
            time: Duration::from_secs(ARENAS_SECONDS),
            ..budget
        };
        let paired = timed(&mut balances::arenas(), arenas_budget, share * 0.1);
        balances.extend(balances::of_arenas(
            &work,
            &measured,
            &paired.map_err(to_failure)?,
        ));
    }
    progress.phase(format!("{}, memory", work.id), share * 0.2);
    let rows = rows(&work, &measured, document, budget.quick, progress);
    Ok(Section {
        id: work.id,
        title: work.title,
        description: work.description,
        unit: work.unit,
        rows,
        remarks: work.remarks,
        balances,
        rounds: measured.rounds,
        iterations: measured.iterations,
    })
}

fn to_failure(mismatch: harness::Mismatch) -> Failure {
    failed(mismatch.to_string())
}

fn rows(
    work: &Work<'_>,
    measured: &Measured,
    document: &Document,
    quick: bool,
    progress: &mut Progress,
) -> Vec<Row> {
    let std_ns = measured.timings[0].median_ns;
    let arms = work.arms.iter().zip(&measured.timings).enumerate();
    let row = arms.map(|(index, (arm, timing))| {
        progress.show(index as f64 / work.arms.len() as f64, arm.title);
        Row {
            title: arm.title,
            maker: arm.maker,
            in_batches: arm.in_batches,
            timing: *timing,
            ratio: timing.median_ns / std_ns,
            memory: probe::ask(work.id, arm.id, quick, document),
        }
    });
    row.collect()
}
