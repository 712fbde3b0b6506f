//! Which file under `src/` depends on which.
//!
//! Owns the edges that the rules on circles, rooms and halves look at: imports, which it finds, and
//! the calls that `calls.rs` finds. It knows no rule.
//!
//! - I1: an import is an edge to the file that defines the name, however it is reached: by `use`,
//!   by a path in the code, by a glob, through re-exports (`tree.rs`).
//! - I2: what a `mod.rs` re-exports is an edge only if its own code says the name, too: contents
//!   may name everything.
//! - I3: lib.rs has no edges; another rule sees to it that it is contents and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use crate::calls::{Call, possible_calls};
use crate::items::{Impl, paths_in};
use crate::tree::{Found, Tree};

/// Why one file depends on another.
#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) line: usize,
    /// The import or the call.
    pub(crate) what: String,
}

/// Edges by the indexes of both files.
pub(crate) type Edges = BTreeMap<(usize, usize), Edge>;

/// All edges.
pub(crate) struct Graph<'a> {
    pub(crate) tree: Tree<'a>,
    /// The first reason found for each, imports before calls.
    pub(crate) edges: Edges,
    /// Those that calls make, whether or not there is an import, too.
    pub(crate) calls: Edges,
    /// The type of each `impl`, by file and in the order of `File::impls`.
    owners: Vec<Vec<Option<Owner>>>,
}

/// A type: the file that defines it and its name there.
pub(crate) type Owner = (usize, String);

impl<'a> Graph<'a> {
    pub(crate) fn new(tree: Tree<'a>) -> Graph<'a> {
        let mut graph = Graph {
            edges: BTreeMap::new(),
            calls: BTreeMap::new(),
            owners: Vec::new(),
            tree,
        };
        for (index, file) in graph.tree.files.iter().enumerate() {
            let owner = |block: &Impl| graph.tree.owner(index, block.at, &block.target);
            graph.owners.push(file.impls.iter().map(owner).collect());
        }
        for index in 0..graph.tree.files.len() {
            if graph.tree.files[index].path != "lib.rs" {
                graph.read_uses(index);
                graph.read_paths(index);
            }
        }
        graph.read_calls();
        graph
    }

    /// The `impl`s of a file, each with the type it belongs to.
    pub(crate) fn impls(&self, file: usize) -> impl Iterator<Item = (&Impl, Option<&Owner>)> {
        let owners = self.owners[file].iter().map(Option::as_ref);
        self.tree.files[file].impls.iter().zip(owners)
    }

    /// The type whose `impl` is around an offset.
    pub(crate) fn around(&self, file: usize, at: usize) -> Option<&Owner> {
        let mut around = self
            .impls(file)
            .filter(|(block, _)| block.body.contains(&at));
        around.next()?.1
    }

    fn add(&mut self, from: usize, at: usize, found: &Found, what: &str) {
        let line = self.tree.files[from].source.line_of(at);
        for to in found.via.iter().copied().chain([found.file]) {
            // A module of contents, or what it passes on of another crate, is nothing of its own.
            let nothing = found.module.is_some() || found.foreign;
            let contents = nothing && self.tree.files[to].is_contents();
            if to != from && !contents {
                self.edges.entry((from, to)).or_insert_with(|| Edge {
                    line,
                    what: what.to_owned(),
                });
            }
        }
    }

    fn read_uses(&mut self, index: usize) {
        let file = &self.tree.files[index];
        let said: BTreeSet<&str> = file.names_said().collect();
        let passed_on = |name: &Option<String>| {
            file.is_contents()
                && name
                    .as_ref()
                    .is_some_and(|name| !said.contains(name.as_str()))
        };
        let mut all = Vec::new();
        for import in &file.uses {
            if import.exported && passed_on(&import.name) {
                continue;
            }
            let Some(found) = self.tree.resolve(index, import.at, &import.path) else {
                continue;
            };
            let path = import.path.join("::");
            match (&import.name, &found.module) {
                (None, Some(module)) => {
                    let what = format!("use {path}::*");
                    let each = self.tree.through_glob(index, module);
                    all.extend(
                        each.into_iter()
                            .map(|found| (import.at, found, what.clone())),
                    );
                }
                _ => all.push((import.at, found, format!("use {path}"))),
            }
        }
        for (at, found, what) in all {
            self.add(index, at, &found, &what);
        }
    }

    fn read_paths(&mut self, index: usize) {
        for (at, path) in paths_in(&self.tree.files[index]) {
            if let Some(found) = self.tree.resolve(index, at, &path) {
                self.add(index, at, &found, &path.join("::"));
            }
        }
    }

    /// Takes a call in if the caller can have a value of the type: if it reaches the type's file by
    /// the edges found so far.
    fn read_calls(&mut self) {
        let mut pending = possible_calls(self);
        loop {
            let reached = reached(&self.edges);
            let reaches = |from: usize, to: usize| {
                from == to || reached.get(&from).is_some_and(|set| set.contains(&to))
            };
            let (calls, later) = pending
                .into_iter()
                .partition::<Vec<Call>, _>(|call| reaches(call.from, call.owner));
            let known = self.edges.len();
            for Call { from, to, edge, .. } in calls {
                self.calls.entry((from, to)).or_insert(edge.clone());
                self.edges.entry((from, to)).or_insert(edge);
            }
            if self.edges.len() == known {
                break;
            }
            pending = later;
        }
    }
}

/// The files that each file reaches.
pub(crate) fn reached(edges: &Edges) -> BTreeMap<usize, BTreeSet<usize>> {
    let mut next: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &(from, to) in edges.keys() {
        next.entry(from).or_default().push(to);
    }
    let reach = |start: usize| {
        let mut reached = BTreeSet::new();
        let mut pending = vec![start];
        while let Some(file) = pending.pop() {
            for &to in next.get(&file).into_iter().flatten() {
                if reached.insert(to) {
                    pending.push(to);
                }
            }
        }
        reached
    };
    next.keys().map(|&file| (file, reach(file))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house;

    /// The edges between files, each as `from > to`.
    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let sources = house(files);
        let graph = Graph::new(Tree::new(&sources));
        let path = |file: usize| graph.tree.files[file].path;
        let keys = graph.edges.keys();
        keys.map(|&(from, to)| format!("{} > {}", path(from), path(to)))
            .collect()
    }

    /// The edges of a file beside two others and a folder of contents.
    fn edges_of(text: &str) -> Vec<String> {
        let all = edges(&[
            ("lib.rs", "mod pool;"),
            (
                "pool/mod.rs",
                "mod a; mod b; mod c; mod room; pub use b::B; pub(crate) use room::R;",
            ),
            ("pool/a.rs", text),
            ("pool/b.rs", "pub struct B; pub(crate) fn f() {}"),
            (
                "pool/c.rs",
                "pub(crate) use crate::pool::b::B as Other; pub(crate) use core::fmt;",
            ),
            ("pool/room/mod.rs", "mod r; pub(crate) use r::*;"),
            ("pool/room/r.rs", "pub(crate) struct R;"),
        ]);
        let mine = all
            .iter()
            .filter_map(|edge| edge.strip_prefix("pool/a.rs > pool/"));
        mine.map(str::to_owned).collect()
    }

    #[test]
    fn imports_are_followed_to_the_file_that_defines() {
        assert_eq!(edges_of("use crate::pool::b::B;"), ["b.rs"]);
        assert_eq!(edges_of("use crate::pool::B;"), ["b.rs"]);
        assert_eq!(
            edges_of("use super::{self, room::R, b::{self, B as Q}};"),
            ["b.rs", "room/r.rs"]
        );
        assert_eq!(edges_of("use super::R;"), ["room/r.rs"]);
        assert_eq!(edges_of("use super::c::Other;"), ["b.rs", "c.rs"]);
        assert_eq!(edges_of("use super::c::fmt;"), ["c.rs"]);
        assert_eq!(edges_of("use super::*; fn f(b: B) {}"), ["b.rs"]);
        assert_eq!(edges_of("fn f() { crate::pool::b::f() }"), ["b.rs"]);
        assert_eq!(
            edges_of("use crate::pool; fn f() { pool::room::r::written() }"),
            ["room/r.rs"]
        );
        assert_eq!(
            edges_of("mod inner { fn f() { super::super::b::f() } }"),
            ["b.rs"]
        );
    }

    #[test]
    fn tests_comments_and_other_crates_are_no_imports() {
        let tests = "#[cfg(test)]\nmod tests { use super::super::b::B; }";
        for text in [
            tests,
            "#[cfg(all(test, not(miri)))] use super::b::B;",
            "struct S { #[cfg(test)] b: super::b::B, c: u8 }",
            "// use super::b::B;",
            "use std::collections::B; pub(in crate::pool) struct S;",
            "macro_rules! m { () => { $crate::B } }",
        ] {
            assert_eq!(edges_of(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn contents_are_edges_only_where_the_file_says_them() {
        let files = |own: &str| {
            let own = format!("mod a; pub use a::A; {own}");
            edges(&[
                ("pool/mod.rs", &own),
                ("pool/a.rs", "pub struct A; use super::Own;"),
            ])
        };
        assert_eq!(
            files("pub struct Own; fn f(x: Own) { x.A }"),
            ["pool/a.rs > pool/mod.rs"]
        );
        assert_eq!(files("pub struct Own(A);").len(), 2);
    }
}
