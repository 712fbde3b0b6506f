//! What the programs `under_…` do: one workload under one allocator, then one line of figures.
//!
//! Such a program is started by `global` with a workload's name, a number of threads, and the path
//! of a JSON document. Its line is `checksum nanoseconds start peak settled`, memory in KiB: what
//! was resident at most; and before the work, and after everything was freed and trimmed, what of
//! that is no file's (the pages of the program that a workload is the first to run stay, and are
//! not the allocator's).

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use crate::workloads::{Input, Reads, WORKLOADS};

/// The crate's own sources, for the workload that parses them.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../src");

/// Runs what the command line names; `trim` asks the allocator to give back what it can.
///
/// # Panics
/// On a command line that `global` would not write.
pub fn main(trim: fn()) {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name, threads, file] = arguments.as_slice() else {
        panic!("usage: under_… WORKLOAD THREADS JSON-FILE; `global` starts it");
    };
    let workload = WORKLOADS.iter().find(|workload| workload.name == name);
    let workload = workload.unwrap_or_else(|| panic!("no workload {name:?}"));
    let mut input = Input {
        threads: threads.parse().expect("a number of threads"),
        ..Input::default()
    };
    match workload.reads {
        Reads::Nothing => {}
        Reads::Json => input.text = fs::read_to_string(file).expect("a JSON document"),
        Reads::Sources => sources(SOURCES, &mut input.sources),
    }
    let before = anonymous();
    let start = Instant::now();
    let checksum = (workload.run)(&input);
    let nanoseconds = start.elapsed().as_nanos();
    let peak = figure("/proc/self/status", "VmHWM:");
    trim();
    let settled = anonymous();
    println!("{checksum} {nanoseconds} {before} {peak} {settled}");
}

fn sources(folder: impl AsRef<Path>, texts: &mut Vec<String>) {
    let entries = fs::read_dir(folder).expect("the crate's sources");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            sources(path, texts);
        } else {
            texts.push(fs::read_to_string(path).expect("a source file"));
        }
    }
}

/// Resident memory that is no file's now, in KiB. The kernel sums `smaps_rollup` up from the pages;
/// the figure in `status` lags behind by up to some dozens of pages for each processor.
fn anonymous() -> u64 {
    match figure("/proc/self/smaps_rollup", "Anonymous:") {
        0 => figure("/proc/self/status", "RssAnon:"),
        kibibytes => kibibytes,
    }
}

/// A figure of one of this process's files; 0 where the system has none. Allocates nothing.
fn figure(path: &str, name: &str) -> u64 {
    let mut text = [0_u8; 4096];
    let read = File::open(path).and_then(|mut file| file.read(&mut text));
    let text = std::str::from_utf8(&text[..read.unwrap_or(0)]).unwrap_or("");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
