//! The house rules, checked by `cargo test`.
//!
//! Reads the project's own files and fails with one line per breach. A layering rule that no
//! machine checks is soon a picture of the past. Each rule stands with snippets that break it and
//! that do not.
//!
//! - `rules.rs`: what one file or a list of files can break: length, unsafe code, dead files,
//!   markers
//! - `floors.rs`, `rooms.rs`: the table of DESIGN.md, between folders and inside them
//! - `circles.rs`, `impls.rs`: files that need each other, and where an `impl` may stand
//! - `words.rs`: the glossary of DESIGN.md
//! - `source.rs`, `items.rs`, `tree.rs`, `calls.rs`, `graph.rs`: from text to what depends on what

// It reads the project's folder, which the interpreter's isolation does not allow.
#![cfg(not(miri))]

mod calls;
mod circles;
mod floors;
mod graph;
mod impls;
mod items;
mod rooms;
mod rules;
mod source;
mod tree;
mod words;

use std::fmt;
use std::fs;
use std::path::Path;

use floors::Floors;
use graph::Graph;
use source::Source;
use tree::Tree;

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

/// Files under `src/` made of path and text, for the snippets that break a rule. The contents of
/// their folders come after them.
fn house(files: &[(&str, &str)]) -> Vec<Source> {
    let mut texts: Vec<(String, &str)> = Vec::new();
    let mut add = |path: String, text| {
        if texts.iter().all(|(known, _)| *known != path) {
            texts.push((path, text));
        }
    };
    for (path, text) in files {
        add(format!("src/{path}"), text);
    }
    for (path, _) in files {
        for (slash, _) in path.match_indices('/') {
            add(format!("src/{}/mod.rs", &path[..slash]), "");
        }
    }
    add("src/lib.rs".to_owned(), "");
    let source = |(path, text): (String, &str)| Source::new(&path, text);
    texts.into_iter().map(source).collect()
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

fn design() -> String {
    fs::read_to_string(project().join("DESIGN.md")).expect("DESIGN.md is there")
}

fn floors_of_design() -> Floors {
    Floors::parse(&design()).expect("a table of floors")
}

#[test]
fn floors_of_design_hold() {
    let floors = floors_of_design();
    let sources = read_sources("src");
    let mut findings: Vec<_> = sources
        .iter()
        .flat_map(|source| floors.imports(source))
        .collect();
    findings.extend(floors.safe_files_forbid(&sources));
    findings.extend(floors.named_files_exist(&sources));
    findings.extend(floors.folders_match(&sources));
    report(findings);
}

#[test]
fn rooms_of_design_hold() {
    let floors = floors_of_design();
    let sources = read_sources("src");
    let mut findings = rooms::order(&floors, &Graph::new(Tree::new(&sources)));
    findings.extend(rooms::folders_match(&floors, &sources));
    report(findings);
}

#[test]
fn circles_are_small() {
    let sources = read_sources("src");
    report(circles::circles(&Graph::new(Tree::new(&sources))));
}

#[test]
fn impls_stand_with_their_types() {
    let sources = read_sources("src");
    let graph = Graph::new(Tree::new(&sources));
    report(impls::places(&floors_of_design(), &graph));
}

#[test]
fn no_file_is_a_half() {
    let sources = read_sources("src");
    report(impls::halves(&Graph::new(Tree::new(&sources))));
}

#[test]
fn words_are_defined_once() {
    report(words::glossary(&design(), &read_sources("src")));
}

#[test]
fn words_stay_in_their_place() {
    report(read_sources("src").iter().flat_map(words::places).collect());
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

#[test]
fn every_source_file_is_reachable() {
    report(rules::dead_files(&read_sources("src")));
}

#[test]
fn no_file_stands_beside_its_folder() {
    let sources = ["src", "tests"].map(read_sources).concat();
    report(rules::beside_a_folder(&sources));
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
    let map = fs::read_to_string(project().join("tests/README.md")).expect("the map of the tests");
    let heading = "What went wrong elsewhere";
    let mut table = map
        .lines()
        .skip_while(|line| !(line.starts_with('#') && line.contains(heading)));
    table.next().expect("the table");
    let table = table.take_while(|line| !line.starts_with("# ") && !line.starts_with("## "));
    let table: Vec<_> = table.collect();
    let sources = read_sources("tests");
    let exists = |name: &&str| {
        let start = format!("fn {name}(");
        sources.iter().any(|source| source.text.contains(&start))
    };
    let names: Vec<_> = table.iter().flat_map(|line| tests_named_in(line)).collect();
    assert!(names.len() > 20, "the table names its tests: {names:?}");
    let lost: Vec<_> = names.into_iter().filter(|name| !exists(name)).collect();
    assert!(lost.is_empty(), "no such tests: {lost:?}");
}
