//! The command line: what it accepts, and what it says about itself.
//!
//! It does not open files.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::probe;

pub(crate) const USAGE: &str = "\
Compares ways to use memory on a real JSON document: std, flagstone, bumpalo, and a model of Go's
sync.Pool, in three uses: a request, a hot loop of small objects, and a reuse loop.

Usage: cargo run --release --example compare [-- OPTIONS] [FILE.json]

  FILE.json      the document; without one, the output of `cargo metadata` of this project
  --html PATH    where to write the page (default: flagstone-compare.html in cargo's target folder,
                 or in the current one)
  --quick        a few iterations only: tests the program, measures nothing
  -h, --help     this text

Prints tables and writes one HTML page. Takes about half a minute. Exit codes: 0 done, 1 the page
could not be written or two ways disagreed, 2 the command line or the document is unfit.
";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Compare(Options),
    /// Hidden: the memory of one arm, see `probe.rs`.
    Probe {
        target: String,
        quick: bool,
    },
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) file: Option<PathBuf>,
    pub(crate) html: Option<PathBuf>,
    pub(crate) quick: bool,
}

/// Reads the arguments behind the program's name.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Task, String> {
    let mut options = Options::default();
    let mut arguments = arguments;
    let mut only_files = false;
    let mut probe_target = None;
    while let Some(argument) = arguments.next() {
        let flag = if only_files { None } else { argument.to_str() };
        match flag {
            Some("-h" | "--help") => return Ok(Task::Help),
            Some("--quick") => options.quick = true,
            Some("--html") => {
                let path = arguments.next().ok_or("--html needs a path behind it")?;
                options.html = Some(path.into());
            }
            Some("--") => only_files = true,
            Some(probe::FLAG) => {
                let target = arguments
                    .next()
                    .and_then(|target| target.into_string().ok());
                probe_target = Some(target.ok_or("a probe needs a name")?);
            }
            Some(unknown) if unknown.starts_with('-') && unknown.len() > 1 => {
                return Err(format!("unknown option {unknown}; see --help"));
            }
            _ if options.file.is_some() => {
                let second = argument.to_string_lossy();
                return Err(format!("one document at a time; {second} is a second one"));
            }
            _ => options.file = Some(argument.into()),
        }
    }
    Ok(match probe_target {
        Some(target) => Task::Probe {
            target,
            quick: options.quick,
        },
        None => Task::Compare(options),
    })
}
