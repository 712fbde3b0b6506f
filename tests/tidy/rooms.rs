//! The rooms: the folders inside a floor, and the order in which they may use each other.
//!
//! Owns what the lines `folder/ rooms: …` of the table mean (`floors.rs` reads them). An import or
//! a hidden call from a room to one on its right is a breach, whichever way the name takes. The
//! folder's `mod.rs` is its table of contents and may name all.

use std::collections::BTreeMap;

use crate::Finding;
use crate::floors::Floors;
use crate::graph::Graph;
use crate::items::folder;
use crate::source::Source;

/// A folder of a dozen files is still read as a list; with its `mod.rs` and one to grow it is 14.
pub(crate) const FOLDER_FILES_MAX: usize = 14;

/// Uses of a room on the right.
pub(crate) fn order(floors: &Floors, graph: &Graph) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (folder, rooms) in &floors.rooms {
        let contents = format!("{folder}/mod.rs");
        for ((from, to), edge) in &graph.edges {
            let (from, to) = (&graph.tree.files[*from], &graph.tree.files[*to]);
            let both = room_of(folder, from.path).zip(room_of(folder, to.path));
            let Some((left, right)) = both.filter(|_| from.path != contents) else {
                continue;
            };
            let heights = height(rooms, left).zip(height(rooms, right));
            if heights.is_some_and(|(own, other)| own < other) {
                let name = |room| match room {
                    "." => format!("{folder}/"),
                    _ => format!("{folder}/{room}/"),
                };
                let what = format!(
                    "{} may not use {} (DESIGN.md, rooms): {} ({})",
                    name(left),
                    name(right),
                    edge.what,
                    to.path
                );
                findings.push(Finding::new(from.source, edge.line, what));
            }
        }
    }
    findings
}

/// The room in `folder` that a path is in: `.` for the folder itself.
fn room_of<'a>(folder: &str, path: &'a str) -> Option<&'a str> {
    let inside = path.strip_prefix(folder)?.strip_prefix('/')?;
    Some(inside.split_once('/').map_or(".", |(room, _)| room))
}

fn height(rooms: &[String], room: &str) -> Option<usize> {
    let position = rooms.iter().position(|name| name == room);
    // One lower than every room, where the line does not place it.
    let own = room == "." && position.is_none();
    if own {
        Some(0)
    } else {
        position.map(|at| at + 1)
    }
}

/// Every folder in a floor is a room of the table, every room a folder, and none has too many
/// files.
pub(crate) fn folders_match(floors: &Floors, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut files: BTreeMap<&str, usize> = BTreeMap::new();
    for source in sources {
        if let Some(path) = source.path.strip_prefix("src/") {
            *files.entry(folder(path)).or_default() += 1;
        }
    }
    let listed = |inside: &str, room: &str| {
        let mut lines = floors.rooms.iter().filter(|(folder, _)| folder == inside);
        lines.any(|(_, rooms)| rooms.iter().any(|name| name == room))
    };
    for (&path, &count) in &files {
        let at = format!("src/{path}");
        if let Some((inside, room)) = path.rsplit_once('/').filter(|(i, r)| !listed(i, r)) {
            let what = format!("{room}/ is no room of {inside}/ in DESIGN.md");
            findings.push(Finding::at(&at, 1, what));
        }
        if count > FOLDER_FILES_MAX {
            let what = format!("{count} files; put those of one subject into a room of their own");
            findings.push(Finding::at(&at, 1, what));
        }
    }
    for (inside, rooms) in &floors.rooms {
        for room in rooms.iter().filter(|room| *room != ".") {
            let path = format!("{inside}/{room}");
            if !files.contains_key(path.as_str()) {
                let what = format!("{path}/ is not in src/");
                findings.push(Finding::at("DESIGN.md", 1, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house;
    use crate::tree::Tree;

    fn floors(lines: &str) -> Floors {
        let table = format!("```text\npool/  objects\nheap/  blocks\n\n{lines}\n```");
        Floors::parse(&table).unwrap()
    }

    const POOL: &str = "pool/ rooms: low < high";

    fn broken(lines: &str, from: &str, text: &str) -> usize {
        let sources = house(&[
            ("pool/mod.rs", "pub(crate) use high::h::H;"),
            ("pool/own.rs", "pub struct Own; impl Own { fn call() {} }"),
            ("pool/low/l.rs", "pub struct L;"),
            (
                "pool/high/h.rs",
                "pub struct H; use crate::pool::own::Own; impl Own { fn up(&self) {} }",
            ),
            (from, text),
        ]);
        order(&floors(lines), &Graph::new(Tree::new(&sources))).len()
    }

    #[test]
    fn use_of_a_room_on_the_right_fails() {
        assert_eq!(
            broken(POOL, "pool/low/x.rs", "use crate::pool::high::h::H;"),
            1
        );
        assert_eq!(broken(POOL, "pool/low/x.rs", "use crate::pool::H;"), 1);
        assert_eq!(
            broken(
                POOL,
                "pool/low/x.rs",
                "fn f(o: crate::pool::own::Own) { o.up() }"
            ),
            1
        );
        assert_eq!(broken(POOL, "pool/x.rs", "use super::low::l::L;"), 1);
        assert_eq!(
            broken("pool/ rooms: low < . < high", "pool/x.rs", "use super::H;"),
            1
        );
    }

    #[test]
    fn use_of_a_room_on_the_left_passes() {
        assert_eq!(
            broken(POOL, "pool/high/x.rs", "use crate::pool::low::l::L;"),
            0
        );
        assert_eq!(
            broken(
                POOL,
                "pool/high/x.rs",
                "use super::h::H; use crate::pool::own::Own;"
            ),
            0
        );
        assert_eq!(
            broken(
                "pool/ rooms: low < . < high",
                "pool/x.rs",
                "use super::low::l::L;"
            ),
            0
        );
        assert_eq!(
            broken(
                POOL,
                "pool/mod.rs",
                "use high::h::H; use low::l::L; fn f(h: H, l: L) {}"
            ),
            0
        );
        assert_eq!(broken(POOL, "heap/x.rs", "use crate::pool::high::h::H;"), 0);
    }

    #[test]
    fn room_off_the_table_fails() {
        let count = |lines: &str, paths: &[&str]| {
            let files: Vec<_> = paths.iter().map(|path| (*path, "")).collect();
            folders_match(&floors(lines), &house(&files)).len()
        };
        let paths = ["pool/mod.rs", "pool/low/mod.rs", "pool/high/a.rs", "lib.rs"];
        assert_eq!(count(POOL, &paths), 0);
        assert_eq!(count("", &paths), 2);
        assert_eq!(count(POOL, &paths[..2]), 1);
        assert_eq!(
            count(POOL, &[&paths[..], &["pool/high/attic/a.rs"]].concat()),
            1
        );
        let lines = format!("{POOL}\npool/high/ rooms: attic");
        assert_eq!(
            count(&lines, &[&paths[..], &["pool/high/attic/a.rs"]].concat()),
            0
        );
    }

    #[test]
    fn folder_of_too_many_files_fails() {
        let count = |files: usize| {
            // `mod.rs` is one of them.
            let paths: Vec<_> = (1..files)
                .map(|index| format!("heap/a{index}.rs"))
                .collect();
            let files: Vec<_> = paths.iter().map(|path| (path.as_str(), "")).collect();
            folders_match(&floors(""), &house(&files)).len()
        };
        assert_eq!(count(FOLDER_FILES_MAX), 0);
        assert_eq!(count(FOLDER_FILES_MAX + 1), 1);
    }
}
