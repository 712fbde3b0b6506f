//! The house rules that one file, or the list of files, can break by itself.
//!
//! Owns one function per rule; each takes what it judges and returns what it found. None of them
//! knows the floors or reads the disk. Every rule has a test below on a snippet that breaks it.

use std::collections::HashSet;

use crate::Finding;
use crate::source::{Function, Source};

/// A reader keeps about this much of one file in mind. A longer one says in its header why it is
/// one subject: `//! Length: …`.
pub(crate) const FILE_LINES: usize = 500;
/// With a reason: what is longer than this has another subject in it, whatever the reason says.
pub(crate) const FILE_LINES_MAX: usize = 700;
/// One function on one screen of a laptop, twice the length that needs no scrolling at all.
pub(crate) const FUNCTION_LINES_MAX: usize = 70;
/// rustfmt's own width; it does not hold comments to it, so this test does.
pub(crate) const COLUMNS_MAX: usize = 100;

/// Every rule that looks at one file.
pub(crate) const FILE_RULES: [fn(&Source) -> Vec<Finding>; 10] = [
    header,
    file_length,
    halves_by_their_word,
    line_length,
    function_length,
    unsafe_is_argued,
    markers,
    commented_out_code,
    no_cfg_in_functions,
    contents_only,
];

/// The file begins with its `//!` design.
fn header(source: &Source) -> Vec<Finding> {
    let first = source.text.lines().find(|line| !line.trim().is_empty());
    match first {
        Some(line) if line.starts_with("//!") => Vec::new(),
        _ => vec![Finding::new(
            source,
            1,
            "does not begin with its `//!` design",
        )],
    }
}

/// At most 500 lines, or up to 700 with a reason; and no reason where none is needed.
fn file_length(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    let what = match (lines, reason(source, "Length:")) {
        (..=FILE_LINES, None) => return Vec::new(),
        (..=FILE_LINES, Some(_)) => "`//! Length:` in a file that is not too long".to_owned(),
        (..=FILE_LINES_MAX, Some(reason)) if is_sentence(&reason) => return Vec::new(),
        (..=FILE_LINES_MAX, Some(_)) => "`//! Length:` is not one sentence".to_owned(),
        (..=FILE_LINES_MAX, None) => {
            format!(
                "{lines} lines; above {FILE_LINES} say in `//! Length: …` why it is one subject"
            )
        }
        _ => format!("{lines} lines; a file has at most {FILE_LINES_MAX}"),
    };
    vec![Finding::new(source, lines, what)]
}

/// The paragraph of the header that begins with `word`, without that word.
pub(crate) fn reason(source: &Source, word: &str) -> Option<String> {
    let mut lines = source.header().skip_while(|line| !line.starts_with(word));
    let first = lines.next()?.trim_start_matches(word).trim().to_owned();
    let rest = lines.take_while(|line| !line.is_empty());
    Some(rest.fold(first, |text, line| text + " " + line))
}

/// One sentence with a full stop, and of more than a few words.
pub(crate) fn is_sentence(text: &str) -> bool {
    text.ends_with('.') && !text.contains(". ") && text.split_whitespace().count() >= 5
}

/// A file of the library has something of its own. `impls.rs` looks for halves that do not say so.
fn halves_by_their_word(source: &Source) -> Vec<Finding> {
    let header = source.header().collect::<Vec<_>>().join(" ").to_lowercase();
    let said = ["owns nothing", "other half"].iter();
    let said = said.filter(|words| source.path.starts_with("src/") && header.contains(**words));
    said.map(|words| Finding::new(source, 1, format!("\"{words}\": a file cut off another")))
        .collect()
}

fn line_length(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().enumerate();
    let long = lines.filter(|(_, line)| line.chars().count() > COLUMNS_MAX);
    long.map(|(index, _)| Finding::new(source, index + 1, "longer than 100 columns"))
        .collect()
}

fn function_length(source: &Source) -> Vec<Finding> {
    let long = |function: &Function| function.line_count > FUNCTION_LINES_MAX;
    let functions = source.functions().into_iter().filter(long);
    let findings = functions.map(
        |Function {
             name,
             line,
             line_count,
             ..
         }| {
            let what = format!("fn {name}: {line_count} lines; at most {FUNCTION_LINES_MAX}");
            Finding::new(source, line, what)
        },
    );
    findings.collect()
}

/// `unsafe {` and `unsafe impl` have a comment with `SAFETY:` just above the statement.
fn unsafe_is_argued(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (offset, word) in source.words() {
        let next = source.code_after(offset + word.len());
        let claims = next.starts_with('{') || next.starts_with("impl");
        let line = source.line_of(offset);
        if word == "unsafe" && claims && !safety_above(source, line) {
            findings.push(Finding::new(
                source,
                line,
                "unsafe without `// SAFETY:` just above",
            ));
        }
    }
    findings
}

fn safety_above(source: &Source, line: usize) -> bool {
    let codes: Vec<&str> = source.code.lines().collect();
    let comments: Vec<&str> = source.comments.lines().collect();
    for above in (0..line - 1).rev() {
        let (code, comment) = (codes[above].trim(), comments[above].trim());
        let statement_goes_on = !code.is_empty() && !code.ends_with([';', '{', '}', ',']);
        match (code.is_empty(), comment.contains("SAFETY:")) {
            (true, true) => return true,
            (true, false) if comment.is_empty() => return false,
            (false, _) if !statement_goes_on => return false,
            _ => {}
        }
    }
    false
}

/// Marks of unfinished work. The words are spelled apart so that this file passes its own rule.
fn markers(source: &Source) -> Vec<Finding> {
    let unfinished = "FIX|ME TO|DO XX|X TBD";
    let in_comments = unfinished.replace('|', "");
    let in_code = ["dbg!", "todo!", "unimplemented!"];
    let mut findings = Vec::new();
    for (index, (code, comment)) in source.code.lines().zip(source.comments.lines()).enumerate() {
        let words = comment.split(|c: char| !c.is_alphanumeric());
        for word in words.filter(|word| !word.is_empty()) {
            if in_comments.split(' ').any(|marker| marker == word) {
                let what = format!("{word} in a comment");
                findings.push(Finding::new(source, index + 1, what));
            }
        }
        for marker in in_code.iter().filter(|marker| code.contains(**marker)) {
            findings.push(Finding::new(source, index + 1, format!("{marker} left in")));
        }
    }
    findings
}

fn commented_out_code(source: &Source) -> Vec<Finding> {
    let comments = source.comments.lines().enumerate();
    let dead = comments.filter(|(_, comment)| {
        let comment = comment.trim();
        let plain = comment
            .strip_prefix("//")
            .filter(|rest| !rest.starts_with(['/', '!']));
        plain.is_some_and(|rest| reads_as_code(rest.trim()))
    });
    dead.map(|(index, _)| Finding::new(source, index + 1, "commented-out code"))
        .collect()
}

/// Whether the text of a comment is a statement or the head of a block rather than a sentence.
fn reads_as_code(text: &str) -> bool {
    let begins = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    let items = [
        "fn ", "pub ", "impl ", "if ", "for ", "while ", "loop ", "match ", "unsafe ",
    ];
    let statement = text.strip_suffix(';').is_some_and(|statement| {
        let call = statement.ends_with(')') && !statement.split('(').next().unwrap().contains(' ');
        let bound = begins(&["let ", "const ", "static "]) && statement.contains(" = ");
        let assigned = statement
            .split_once(" = ")
            .is_some_and(|(left, _)| !left.contains(' '));
        call || bound || assigned || begins(&["return ", "use crate::", "use std::", "use core::"])
    });
    let block = text.ends_with('{') && begins(&items);
    statement || block || begins(&["#[", "#!["]) || ["{", "}", "});", "};"].contains(&text)
}

/// Configuration is a value: inside a body `if cfg!(…)` or a constant, never `#[cfg]`.
fn no_cfg_in_functions(source: &Source) -> Vec<Finding> {
    let attributes = source.code.match_indices("#[cfg");
    let functions = source.functions();
    let inside = attributes.filter(|(offset, _)| functions.iter().any(|f| f.body.contains(offset)));
    inside
        .map(|(offset, _)| Finding::new(source, source.line_of(offset), "#[cfg] inside a function"))
        .collect()
}

/// lib.rs is a table of contents.
fn contents_only(source: &Source) -> Vec<Finding> {
    if source.path != "src/lib.rs" {
        return Vec::new();
    }
    let logic = [
        "fn",
        "impl",
        "trait",
        "enum",
        "static",
        "let",
        "macro_rules",
        "unsafe",
    ];
    let words = source
        .words()
        .into_iter()
        .filter(|(_, word)| logic.contains(word));
    words
        .map(|(offset, word)| {
            Finding::new(
                source,
                source.line_of(offset),
                format!("`{word}`: logic in lib.rs"),
            )
        })
        .collect()
}

/// Files under `src/` that no `mod` reaches from lib.rs.
pub(crate) fn dead_files(sources: &[Source]) -> Vec<Finding> {
    let mut reached = HashSet::from(["src/lib.rs".to_owned()]);
    let mut pending = vec!["src/lib.rs".to_owned()];
    while let Some(path) = pending.pop() {
        let Some(source) = sources.iter().find(|source| source.path == path) else {
            continue;
        };
        let known = |path: &String| sources.iter().any(|source| source.path == *path);
        for child in modules_of(source).into_iter().filter(known) {
            if reached.insert(child.clone()) {
                pending.push(child);
            }
        }
    }
    let in_src = sources
        .iter()
        .filter(|source| source.path.starts_with("src/"));
    let dead = in_src.filter(|source| !reached.contains(&source.path));
    dead.map(|source| Finding::new(source, 1, "no `mod` reaches this file"))
        .collect()
}

/// Files beside a folder of their name: what has parts is `name/main.rs` or `name/mod.rs`.
pub(crate) fn beside_a_folder(sources: &[Source]) -> Vec<Finding> {
    let has_folder = |source: &&Source| {
        let folder = format!("{}/", source.path.trim_end_matches(".rs"));
        sources.iter().any(|other| other.path.starts_with(&folder))
    };
    let beside = sources.iter().filter(has_folder);
    beside
        .map(|source| Finding::new(source, 1, "stands beside a folder of its name"))
        .collect()
}

/// The paths that the `mod name;` lines of a file may stand for.
fn modules_of(source: &Source) -> Vec<String> {
    let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let stem = file.trim_end_matches(".rs");
    let own_folder = match stem {
        "lib" | "mod" => folder.to_owned(),
        _ => format!("{folder}/{stem}"),
    };
    let words = source.words();
    let declared = words.windows(2).filter(|pair| {
        pair[0].1 == "mod"
            && source
                .code_after(pair[1].0 + pair[1].1.len())
                .starts_with(';')
    });
    let both = declared.flat_map(|pair| {
        let name = pair[1].1;
        [
            format!("{own_folder}/{name}.rs"),
            format!("{own_folder}/{name}/mod.rs"),
        ]
    });
    both.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&Source) -> Vec<Finding>, text: &str) -> usize {
        rule(&Source::new("src/heap/a.rs", text)).len()
    }

    #[test]
    fn missing_header_fails() {
        assert_eq!(check(header, "\n//! Design.\n"), 0);
        assert_eq!(check(header, "// Design.\nfn f() {}\n"), 1);
        assert_eq!(check(header, ""), 1);
    }

    #[test]
    fn long_file_without_a_reason_fails() {
        let file = |header: &str, lines: usize| {
            let text = format!("{header}{}", "\n".repeat(lines - header.lines().count()));
            check(file_length, &text)
        };
        let reason = "//! Design.\n//!\n//! Length: the table\n//! is one state machine.\n";
        assert_eq!(file("", FILE_LINES), 0);
        assert_eq!(file("", FILE_LINES + 1), 1);
        assert_eq!(file(reason, FILE_LINES), 1);
        assert_eq!(file(reason, FILE_LINES + 1), 0);
        assert_eq!(file(reason, FILE_LINES_MAX), 0);
        assert_eq!(file(reason, FILE_LINES_MAX + 1), 1);
        for bad in [
            "",
            "long",
            "a. It is one subject.",
            "Two good sentences here. One too many.",
        ] {
            assert_eq!(
                file(&format!("//! Length: {bad}\n"), FILE_LINES + 1),
                1,
                "{bad}"
            );
        }
    }

    #[test]
    fn half_by_its_word_fails() {
        assert_eq!(check(halves_by_their_word, "//! Owns the\n//! bits.\n"), 0);
        assert_eq!(
            check(halves_by_their_word, "//! Owns\n//! nothing of its own.\n"),
            1
        );
        assert_eq!(
            check(halves_by_their_word, "//! The other half of `a.rs`.\n"),
            1
        );
        let elsewhere = Source::new("tests/a.rs", "//! Owns nothing.\n");
        assert_eq!(halves_by_their_word(&elsewhere).len(), 0);
    }

    #[test]
    fn long_line_and_function_fail() {
        assert_eq!(check(line_length, &"é".repeat(COLUMNS_MAX)), 0);
        assert_eq!(check(line_length, &"e".repeat(COLUMNS_MAX + 1)), 1);
        let body = |lines: usize| format!("fn f() {{{}}}\n", "\n".repeat(lines - 1));
        assert_eq!(check(function_length, &body(FUNCTION_LINES_MAX)), 0);
        assert_eq!(check(function_length, &body(FUNCTION_LINES_MAX + 1)), 1);
    }

    #[test]
    fn unsafe_without_reason_fails() {
        let good =
            "// SAFETY: I1, upheld by take:\n// a second line.\nlet a =\n    unsafe { f() };\n";
        assert_eq!(check(unsafe_is_argued, good), 0);
        assert_eq!(
            check(unsafe_is_argued, "unsafe fn f() {}\nunsafe trait T {}\n"),
            0
        );
        assert_eq!(check(unsafe_is_argued, "let a = unsafe { f() };\n"), 1);
        assert_eq!(check(unsafe_is_argued, "unsafe impl Send for T {}\n"), 1);
        assert_eq!(
            check(unsafe_is_argued, "// SAFETY: I1.\n\nunsafe { f() }\n"),
            1
        );
        assert_eq!(
            check(
                unsafe_is_argued,
                "// SAFETY: I1.\nlet a = 1;\nunsafe { f() }\n"
            ),
            1
        );
        assert_eq!(
            check(unsafe_is_argued, "// safe, believe me\nunsafe { f() }\n"),
            1
        );
    }

    #[test]
    fn marker_of_unfinished_work_fails() {
        assert_eq!(check(markers, concat!("// TO", "DO: later\n")), 1);
        assert_eq!(check(markers, concat!("let a = 1; // FIX", "ME\n")), 1);
        assert_eq!(check(markers, "dbg!(a);\n"), 1);
        assert_eq!(check(markers, "// an escape \\uXXXX\n"), 0);
        assert_eq!(check(markers, "let s = \"dbg!(a)\"; // all done\n"), 0);
    }

    #[test]
    fn commented_out_code_fails() {
        let dead = [
            "// let a = f();",
            "// self.flush(1);",
            "// count = 0;",
            "// if full {",
            "// }",
            "// #[inline]",
            "// use crate::base::bitmap::Bitmap;",
        ];
        for line in dead {
            assert_eq!(check(commented_out_code, line), 1, "{line}");
        }
        let prose = [
            "// let the owner see it (I3);",
            "// for each slot: one bit;",
            "/// let a = f();",
            "//! heap.trim();",
            "// the sum a = b + c holds.",
        ];
        for line in prose {
            assert_eq!(check(commented_out_code, line), 0, "{line}");
        }
    }

    #[test]
    fn cfg_inside_a_function_fails() {
        assert_eq!(
            check(
                no_cfg_in_functions,
                "#[cfg(unix)]\nfn f() { if cfg!(unix) {} }\n"
            ),
            0
        );
        assert_eq!(
            check(
                no_cfg_in_functions,
                "fn f() {\n    #[cfg(unix)]\n    g();\n}\n"
            ),
            1
        );
    }

    #[test]
    fn logic_in_lib_fails() {
        let lib = |text: &str| contents_only(&Source::new("src/lib.rs", text)).len();
        assert_eq!(
            lib("//! fn in docs.\nmod heap;\npub use crate::heap::heap::Heap;\n"),
            0
        );
        assert_eq!(lib("pub fn stats() {}\n"), 1);
        assert_eq!(lib("impl T {}\n"), 1);
    }

    #[test]
    fn file_that_no_mod_reaches_fails() {
        let mut sources = vec![
            Source::new("src/lib.rs", "mod heap;\n"),
            Source::new("src/heap/mod.rs", "mod a;\n// mod c;\n"),
            Source::new("src/heap/a.rs", "mod b;\n"),
            Source::new("src/heap/a/b.rs", ""),
        ];
        assert_eq!(dead_files(&sources).len(), 0);
        sources.push(Source::new("src/heap/c.rs", ""));
        assert_eq!(dead_files(&sources).len(), 1);
    }

    #[test]
    fn file_beside_its_folder_fails() {
        let mut sources = vec![
            Source::new("tests/pool/main.rs", ""),
            Source::new("tests/pool/aging.rs", ""),
            Source::new("tests/pool_memory.rs", ""),
        ];
        assert_eq!(beside_a_folder(&sources).len(), 0);
        sources.push(Source::new("tests/pool.rs", ""));
        assert_eq!(beside_a_folder(&sources).len(), 1);
    }
}
