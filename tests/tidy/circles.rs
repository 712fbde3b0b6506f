//! No circle of files above three.
//!
//! Files that need each other, on whatever way round, are read as one. Two or three of them are a
//! subject told in parts; more are a knot. Imports and hidden calls count alike (`graph.rs`).

use std::collections::BTreeSet;

use crate::Finding;
use crate::graph::{Edges, Graph, reached};

/// A type, its parts and what both give out is three; a fourth file can take one of them below.
pub(crate) const CIRCLE_FILES_MAX: usize = 3;

/// Each circle that is too large, with its edges: first those whose cut alone leaves least of it.
pub(crate) fn circles(graph: &Graph) -> Vec<Finding> {
    let large = |circle: &BTreeSet<usize>| circle.len() > CIRCLE_FILES_MAX;
    let circles = circles_of(&graph.edges).into_iter().filter(large);
    circles.map(|circle| finding(graph, &circle)).collect()
}

/// The sets of two or more files that reach each other.
pub(crate) fn circles_of(edges: &Edges) -> Vec<BTreeSet<usize>> {
    let reached = reached(edges);
    let mut circles = Vec::new();
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    for (file, theirs) in &reached {
        if theirs.contains(file) && !seen.contains(file) {
            let back = |other: &&usize| reached.get(other).is_some_and(|set| set.contains(file));
            let circle: BTreeSet<usize> = theirs.iter().filter(back).copied().collect();
            seen.extend(&circle);
            circles.push(circle);
        }
    }
    circles
}

fn finding(graph: &Graph, circle: &BTreeSet<usize>) -> Finding {
    let path = |file: usize| graph.tree.files[file].path;
    let mut edges: Edges = graph.edges.clone();
    edges.retain(|(from, to), _| circle.contains(from) && circle.contains(to));
    let without = |key: &(usize, usize)| {
        let mut rest = edges.clone();
        rest.remove(key);
        let sizes = circles_of(&rest).into_iter().map(|left| left.len());
        sizes.max().unwrap_or(1)
    };
    let mut cuts: Vec<_> = edges
        .iter()
        .map(|(key, edge)| (without(key), key, edge))
        .collect();
    cuts.sort_by_key(|(left, key, _)| (*left, **key));
    let names: Vec<_> = circle.iter().map(|&file| path(file)).collect();
    let mut what = format!(
        "{} files import each other in a circle; at most {CIRCLE_FILES_MAX} may: {}",
        circle.len(),
        names.join(", ")
    );
    for (left, (from, to), edge) in &cuts {
        let (from, to) = (path(*from), path(*to));
        what += &format!("\n    {from}:{} {} ({to})", edge.line, edge.what);
        what += &match *left {
            1 => "; without it none is left".to_owned(),
            left if left < circle.len() => format!("; without it {left} are left"),
            _ => String::new(),
        };
    }
    let (_, (first, _), edge) = cuts[0];
    Finding::new(graph.tree.files[*first].source, edge.line, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house;
    use crate::tree::Tree;

    fn found(files: &[(&str, &str)]) -> Vec<Finding> {
        let sources = house(files);
        circles(&Graph::new(Tree::new(&sources)))
    }

    #[test]
    fn circle_of_four_fails() {
        let mut files = [
            ("pool/a.rs", "use super::b::B; pub struct A;"),
            ("pool/b.rs", "use crate::pool::c::C; pub struct B;"),
            ("pool/c.rs", "pub struct C; fn f() { super::d::f() }"),
            ("pool/d.rs", "use super::{a::A, b::B}; pub fn f() {}"),
            ("pool/e.rs", "use super::a::A;"),
        ];
        let circle = found(&files);
        assert_eq!(circle.len(), 1);
        let what = circle[0].what.split_once('\n').unwrap();
        assert!(
            what.0
                .ends_with("pool/a.rs, pool/b.rs, pool/c.rs, pool/d.rs"),
            "{}",
            what.0
        );
        // The first edge is one that leaves least of the circle.
        assert!(
            what.1
                .starts_with("    pool/b.rs:1 use crate::pool::c::C (pool/c.rs)"),
            "{}",
            what.1
        );
        assert!(
            what.1.ends_with("pool/d.rs:1 use super::b::B (pool/b.rs)"),
            "{}",
            what.1
        );
        files[3].1 = "use super::b::B; pub fn f() {}";
        assert_eq!(found(&files).len(), 0);
    }

    #[test]
    fn hidden_call_closes_a_circle() {
        let circle = |call: &str| {
            let own = format!("pub struct A; impl A {{ fn f(&self) {{ {call} }} }}");
            let files = [
                ("pool/a.rs", own.as_str()),
                ("pool/b.rs", "use super::a::A; pub struct B;"),
                ("pool/c.rs", "use super::b::B; pub struct C;"),
                (
                    "pool/d.rs",
                    "use super::{a::A, c::C}; impl A { fn give(&self) {} }",
                ),
            ];
            found(&files).len()
        };
        assert_eq!(circle("self.give()"), 1);
        assert_eq!(circle("self.f()"), 0);
    }

    #[test]
    fn contents_close_no_circle() {
        let contents = "mod a; mod b; mod c; pub use {a::A, b::B, c::C};";
        let files = [
            ("pool/mod.rs", contents),
            ("pool/a.rs", "pub struct A;"),
            ("pool/b.rs", "use crate::pool::A; pub struct B;"),
            ("pool/c.rs", "use crate::pool::{A, B}; pub struct C;"),
        ];
        assert_eq!(found(&files).len(), 0);
    }
}
