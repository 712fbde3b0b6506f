//! The house rules, checked by `cargo test`.
//!
//! Reads the project's own files and fails with one line per breach: the floors of DESIGN.md
//! against the `use crate::…` lines, and the rules on length, unsafe code, dead files, markers and
//! configuration. A layering rule that no machine checks is soon a picture of the past.
//!
//! The rules are in `rules.rs` and `floors.rs`, each with a snippet that breaks it.

// It reads the project's folder, which the interpreter's isolation does not allow.
#![cfg(not(miri))]

mod floors;
mod rules;
mod source;

use std::fmt;
use std::fs;
use std::path::Path;

use floors::Floors;
use source::Source;

/// One breach of one rule.
struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(source: &Source, line: usize, what: impl Into<String>) -> Finding {
        Finding::at(&source.path, line, what)
    }

    fn at(path: &str, line: usize, what: impl Into<String>) -> Finding {
        Finding {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Folders with Rust in them. The last two are not in a published package.
const FOLDERS: [&str; 5] = ["src", "tests", "examples", "benches", "fuzz"];

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every `.rs` file below `folder`, in the order of their paths.
fn read_sources(folder: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        let Ok(entries) = fs::read_dir(project().join(&folder)) else {
            continue;
        };
        for entry in entries {
            let name = entry.expect("a readable folder").file_name();
            let name = name.to_str().expect("file names are UTF-8");
            let path = format!("{folder}/{name}");
            if project().join(&path).is_dir() {
                // Build outputs are not the project's.
                if name != "target" {
                    pending.push(path);
                }
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(project().join(&path)).expect("source is UTF-8");
                sources.push(Source::new(&path, &text));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn report(findings: Vec<Finding>) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} breaches of the house rules:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

#[test]
fn floors_of_design_hold() {
    let design = fs::read_to_string(project().join("DESIGN.md")).expect("DESIGN.md is there");
    let floors = Floors::parse(&design).expect("a table of floors");
    let sources = read_sources("src");
    let mut findings: Vec<_> = sources
        .iter()
        .flat_map(|source| floors.imports(source))
        .collect();
    findings.extend(floors.safe_files_forbid(&sources));
    findings.extend(floors.folders_match(&sources));
    report(findings);
}

#[test]
fn house_rules_hold() {
    let sources: Vec<_> = FOLDERS
        .iter()
        .flat_map(|folder| read_sources(folder))
        .collect();
    assert!(sources.len() > 10, "the project's files were not found");
    let pairs = sources
        .iter()
        .flat_map(|source| rules::FILE_RULES.map(|rule| rule(source)));
    report(pairs.flatten().collect());
}

/// Names in backticks of a text that read like a test's: at least three words.
fn tests_named_in(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |name: &&str| {
        name.matches('_').count() >= 2
            && name
                .chars()
                .all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    text.split('`').skip(1).step_by(2).filter(is_name)
}

/// The table of what went wrong elsewhere names tests; one that was renamed or lost shows here.
#[test]
fn tests_that_design_names_exist() {
    let design = fs::read_to_string(project().join("DESIGN.md")).expect("DESIGN.md is there");
    let (_, table) = design
        .split_once("### What went wrong elsewhere")
        .expect("the table");
    let (table, _) = table.split_once("\n## ").expect("a section after it");
    let sources = read_sources("tests");
    let exists = |name: &&str| {
        let start = format!("fn {name}(");
        sources.iter().any(|source| source.text.contains(&start))
    };
    let names: Vec<_> = tests_named_in(table).collect();
    assert!(names.len() > 20, "the table names its tests: {names:?}");
    let lost: Vec<_> = names.into_iter().filter(|name| !exists(name)).collect();
    assert!(lost.is_empty(), "no such tests: {lost:?}");
}

#[test]
fn every_source_file_is_reachable() {
    report(rules::dead_files(&read_sources("src")));
}
