//! Where an `impl` may stand, and which file is only a half of another.
//!
//! A type's inherent `impl`s stand in its own file, in the same folder, or in a folder inside that
//! one: whoever knows the type's place knows where to look for its methods. The table in DESIGN.md
//! lists the files above that add methods to a type, with `extends`.
//!
//! A file is a half if it defines no type or trait, has nothing but `impl`s of one type, and that
//! type's file calls into it: each needs the other, so they are one subject. They are told apart
//! from a core and what stands on it by the direction of the calls. Two halves that fit the budget
//! of one file could be joined any time and are left alone; where they do not fit,
//! length cut them, unless the header says in a sentence what it is about: `//! Subject: …`.

use crate::Finding;
use crate::floors::Floors;
use crate::graph::Graph;
use crate::rules::{FILE_LINES, is_sentence, reason};

/// Inherent `impl`s out of their type's reach.
pub(crate) fn places(floors: &Floors, graph: &Graph) -> Vec<Finding> {
    let files = &graph.tree.files;
    let mut used = Vec::new();
    let mut findings = Vec::new();
    for (index, file) in files.iter().enumerate() {
        for (block, owner) in graph.impls(index) {
            let Some((own, name)) = owner.filter(|_| !block.of_trait) else {
                continue;
            };
            let home = files[*own].folder();
            let inside = file.folder().strip_prefix(home);
            if inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
                continue;
            }
            let extends = floors.extends.iter().find(|(who, folder)| {
                who == file.path && (home == folder || home.starts_with(&format!("{folder}/")))
            });
            match extends {
                Some(line) => used.push(line),
                None => {
                    let what = format!(
                        "impl {name}: {} defines it; stay in {home}/",
                        files[*own].path
                    );
                    findings.push(Finding::new(
                        file.source,
                        file.source.line_of(block.at),
                        what,
                    ));
                }
            }
        }
    }
    let unused = floors.extends.iter().filter(|line| !used.contains(line));
    findings.extend(unused.map(|(who, folder)| {
        Finding::at(
            "DESIGN.md",
            1,
            format!("{who} extends no type of {folder}/"),
        )
    }));
    findings
}

/// Files cut off another for length alone.
pub(crate) fn halves(graph: &Graph) -> Vec<Finding> {
    let files = &graph.tree.files;
    let mut findings = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let mut owners: Vec<_> = graph.impls(index).map(|(_, owner)| owner).collect();
        owners.dedup();
        let [Some((own, name))] = owners[..] else {
            continue;
        };
        let Some(call) = graph.calls.get(&(*own, index)) else {
            continue;
        };
        let lines = |index: usize| files[index].source.text.lines().count();
        let both = lines(index) + lines(*own);
        let subject = reason(file.source, "Subject:").is_some_and(|text| is_sentence(&text));
        if file.items.iter().all(|item| !item.is_type) && both > FILE_LINES && !subject {
            let what = format!(
                "half of {}: nothing but {name}, which {} there; say its `//! Subject: …`",
                files[*own].path, call.what
            );
            findings.push(Finding::new(file.source, 1, what));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house;
    use crate::tree::Tree;

    const TABLE: &str = "```text\nadapters/  traits\npool/  objects\n\n\n```";

    fn misplaced(table: &str, path: &str, text: &str) -> usize {
        let sources = house(&[
            ("pool/mod.rs", "pub struct Top;"),
            (
                "pool/low/a.rs",
                "pub struct A<T>(T); pub trait Tr {} pub type Alias = A<u8>;",
            ),
            (path, text),
        ]);
        let floors = Floors::parse(table).unwrap();
        places(&floors, &Graph::new(Tree::new(&sources))).len()
    }

    #[test]
    fn impl_away_from_its_type_fails() {
        for text in [
            "use crate::pool::low::a::A; impl<T: Fn(u8) -> u8> A<T> where T: Send { fn f() {} }",
            "impl crate::pool::low::a::A<u8> {}",
            "use crate::pool::low::a::Tr; impl dyn Tr + Send {}",
            "use crate::pool::low::a::Tr; impl<'a> dyn Tr + 'a {}",
            "use crate::pool::low::a::A; type Mine = A<u8>; impl Mine {}",
            "use crate::pool::low::a::Alias; impl Alias {}",
            "use crate::pool::low::a::A; unsafe impl Send for A<u8> {} impl A<u8> {}",
        ] {
            assert_eq!(misplaced(TABLE, "pool/b.rs", text), 1, "{text}");
            assert_eq!(misplaced(TABLE, "pool/high/b.rs", text), 1, "{text}");
            assert_eq!(misplaced(TABLE, "pool/low/b.rs", text), 0, "{text}");
            assert_eq!(misplaced(TABLE, "pool/low/deeper/b.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn impls_of_traits_and_of_types_above_the_room_pass() {
        for text in [
            "use crate::pool::low::a::A; impl<T> Clone for A<T> { fn clone() {} }",
            "use crate::pool::low::a::A; impl<F> Drop for A<F> where F: for<'a> Fn(&'a u8) {}",
            "use crate::pool::low::a::A; fn f(a: impl Into<A<u8>>) -> impl Into<A<u8>> {}",
            "impl crate::pool::Top {}",
            "struct B; impl B {} impl<const N: usize> [B; N] {}",
        ] {
            assert_eq!(misplaced(TABLE, "pool/high/b.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn extension_needs_its_line() {
        let text = "use crate::pool::low::a::A; impl A<u8> {}";
        let line = |who: &str| TABLE.replace("\n\n\n", &format!("\n\n{who} extends pool/\n"));
        assert_eq!(misplaced(TABLE, "adapters/s.rs", text), 1);
        assert_eq!(misplaced(&line("adapters/s.rs"), "adapters/s.rs", text), 0);
        assert_eq!(misplaced(&line("adapters/s.rs"), "adapters/s.rs", ""), 1);
    }

    /// A type in a file of `lines` lines whose method is `body`, and `other` beside it.
    fn half(lines: usize, body: &str, other: &str) -> usize {
        let padding = "\n".repeat(lines);
        let own = format!("pub struct A;{padding} impl A {{ fn f(&self) {{ {body} }} }}");
        let sources = house(&[("pool/a.rs", &own), ("pool/b.rs", other)]);
        halves(&Graph::new(Tree::new(&sources))).len()
    }

    #[test]
    fn half_that_its_type_calls_fails() {
        let other =
            "use super::a::A; const N: u8 = 1; impl A { fn g(&self) {} } impl Drop for A {}";
        assert_eq!(half(FILE_LINES, "self.g()", other), 1);
        // What stands on the type is not called by it; what fits one file is not cut for length.
        assert_eq!(half(FILE_LINES, "self.f()", other), 0);
        assert_eq!(half(1, "self.g()", other), 0);
        // A sentence says the subject, a word does not.
        let said = format!("//! Subject: blocks that are too large for a bin.\n{other}");
        assert_eq!(half(FILE_LINES, "self.g()", &said), 0);
        let said = format!("//! Subject: more.\n{other}");
        assert_eq!(half(FILE_LINES, "self.g()", &said), 1);
        // A type of its own makes a subject.
        assert_eq!(
            half(FILE_LINES, "self.g()", &format!("struct B; {other}")),
            0
        );
    }
}
