//! The floors: which folder under `src/` may name which.
//!
//! The table is read from DESIGN.md, so the document and the code cannot drift apart. In the fenced
//! block that holds it, a line is one of
//! - `folder/   words`: a floor; the first one is the highest, each may use those after it;
//! - `folder/ uses a/ b/`: narrows what that folder may use to this list;
//! - `folder/file.rs uses a/`: adds to what that one file may use;
//! - `folder/ rooms: . < a < b`: the folders in it, each of which may use those to its left; `.`
//!   is the folder's own files, which stand left of all if it is not said (`rooms.rs`);
//! - `folder/file.rs extends a/`: the file may hold `impl`s of types that `a/` defines
//!   (`impls.rs`);
//! - `folder/file.rs forbids unsafe`: the file carries `#![forbid(unsafe_code)]`.
//!
//! A file may be in a room: `folder/room/file.rs`.

use crate::Finding;
use crate::source::Source;

/// The parsed table.
pub(crate) struct Floors {
    /// Folder names, highest first.
    pub(crate) order: Vec<String>,
    uses: Vec<(String, Vec<String>)>,
    /// Paths under `src/` that forbid unsafe code.
    pub(crate) safe_files: Vec<String>,
    /// Folders without a slash at their end, each with its rooms, lowest first.
    pub(crate) rooms: Vec<(String, Vec<String>)>,
    /// Paths under `src/`, each with the folder whose types it extends.
    pub(crate) extends: Vec<(String, String)>,
}

impl Floors {
    /// Reads the first fenced block of `design` that has floors in it.
    pub(crate) fn parse(design: &str) -> Result<Floors, String> {
        let blocks = design.split("```").skip(1).step_by(2);
        for block in blocks {
            let floors = Floors::parse_block(block);
            if floors.order.len() > 1 {
                floors.check()?;
                return Ok(floors);
            }
        }
        Err("DESIGN.md has no fenced block with the floors".to_owned())
    }

    fn parse_block(block: &str) -> Floors {
        let mut floors = Floors {
            order: Vec::new(),
            uses: Vec::new(),
            safe_files: Vec::new(),
            rooms: Vec::new(),
            extends: Vec::new(),
        };
        for line in block.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [who, "uses", whom @ ..] => {
                    let whom = whom.iter().map(|name| bare(name)).collect();
                    floors.uses.push(((*who).to_owned(), whom));
                }
                [folder, "rooms:", names @ ..] => {
                    let names = names.iter().filter(|name| **name != "<");
                    let rooms = names.map(|name| bare(name)).collect();
                    floors.rooms.push((bare(folder), rooms));
                }
                [file, "extends", folder] => {
                    floors.extends.push(((*file).to_owned(), bare(folder)));
                }
                [file, "forbids", "unsafe"] => floors.safe_files.push((*file).to_owned()),
                [folder, _, ..] if folder.ends_with('/') => floors.order.push(bare(folder)),
                _ => {}
            }
        }
        floors
    }

    /// The extra rules may narrow the table, never turn it upside down.
    fn check(&self) -> Result<(), String> {
        for (who, whom) in &self.uses {
            let floor = self
                .height(folder_of(who))
                .ok_or(format!("{who} is on no floor"))?;
            for name in whom {
                let below = self.height(name).ok_or(format!("{name}/ is no floor"))?;
                if below <= floor {
                    return Err(format!(
                        "DESIGN.md lets {who} use {name}/, which is not below it"
                    ));
                }
            }
        }
        Ok(())
    }

    fn height(&self, folder: &str) -> Option<usize> {
        self.order.iter().position(|name| name == folder)
    }

    fn rule(&self, who: &str) -> Option<&Vec<String>> {
        self.uses
            .iter()
            .find(|(name, _)| name == who)
            .map(|(_, whom)| whom)
    }

    /// Whether the file at `path` (under `src/`) may name `target`.
    fn allows(&self, path: &str, target: &str) -> bool {
        let folder = folder_of(path);
        let listed = |whom: &Vec<String>| whom.iter().any(|name| name == target);
        if folder == target || self.rule(path).is_some_and(listed) {
            return true;
        }
        match self.rule(&format!("{folder}/")) {
            Some(whom) => listed(whom),
            None => self.height(folder) < self.height(target),
        }
    }

    /// Upward imports, imports from the crate's root, and `super::super`.
    pub(crate) fn imports(&self, source: &Source) -> Vec<Finding> {
        let Some(path) = source.path.strip_prefix("src/") else {
            return Vec::new();
        };
        if !path.contains('/') {
            return Vec::new();
        }
        let modules = source.inline_modules();
        let mut findings = Vec::new();
        for (offset, word) in source.words() {
            let Some(next) = source.code_after(offset + word.len()).strip_prefix("::") else {
                continue;
            };
            let target: String = next
                .trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let inline = modules.iter().any(|module| module.contains(&offset));
            let at_folder_root = path.ends_with("/mod.rs") && path.matches('/').count() == 1;
            // What an exported macro writes stands in other crates, which see the root.
            let exported = source.code[..offset].ends_with('$');
            let what = match word {
                "crate" if exported && self.height(&target).is_none() => continue,
                "crate" if self.height(&target).is_none() => {
                    "import from the crate's root; name the folder it is in".to_owned()
                }
                "crate" if !self.allows(path, &target) => {
                    format!(
                        "{}/ may not use {target}/ (DESIGN.md, floors)",
                        folder_of(path)
                    )
                }
                "super" if target == "super" => "`super::super`; say `crate::folder`".to_owned(),
                "super" if at_folder_root && !inline => {
                    "`super` reaches the crate's root; say `crate::folder`".to_owned()
                }
                _ => continue,
            };
            findings.push(Finding::new(source, source.line_of(offset), what));
        }
        findings
    }

    /// The files that the table gives more than others are there.
    pub(crate) fn named_files_exist(&self, sources: &[Source]) -> Vec<Finding> {
        let using = self.uses.iter().map(|(who, _)| who);
        let named = using.chain(self.extends.iter().map(|(who, _)| who));
        let files = named.filter(|who| who.ends_with(".rs"));
        let lost = files.filter(|who| {
            let path = format!("src/{who}");
            sources.iter().all(|source| source.path != path)
        });
        lost.map(|who| Finding::at("DESIGN.md", 1, format!("src/{who} is not there")))
            .collect()
    }

    /// The files the table names as safe carry the attribute that makes the compiler check it.
    pub(crate) fn safe_files_forbid(&self, sources: &[Source]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for file in &self.safe_files {
            let path = format!("src/{file}");
            match sources.iter().find(|source| source.path == path) {
                Some(source) if source.code.contains("#![forbid(unsafe_code)]") => {}
                Some(source) => {
                    findings.push(Finding::new(source, 1, "lacks #![forbid(unsafe_code)]"));
                }
                None => findings.push(Finding::at(&path, 1, "named in DESIGN.md, not in src/")),
            }
        }
        findings
    }

    /// Every folder is a floor, every floor is a folder, and only lib.rs lives outside them.
    pub(crate) fn folders_match(&self, sources: &[Source]) -> Vec<Finding> {
        let paths = sources
            .iter()
            .filter_map(|source| source.path.strip_prefix("src/"));
        let mut findings = Vec::new();
        for path in paths.clone() {
            if path != "lib.rs" && self.height(folder_of(path)).is_none() {
                let path = format!("src/{path}");
                findings.push(Finding::at(&path, 1, "is on no floor of DESIGN.md"));
            }
        }
        for floor in &self.order {
            if !paths.clone().any(|path| folder_of(path) == floor) {
                findings.push(Finding::at(
                    "DESIGN.md",
                    1,
                    format!("{floor}/ is not in src/"),
                ));
            }
        }
        findings
    }
}

fn bare(name: &str) -> String {
    name.trim_end_matches([',', '/']).to_owned()
}

/// First component of a path; empty for a file that is in no folder.
fn folder_of(path: &str) -> &str {
    path.split_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "words\n```text\n\
        pool/    objects\narena/   bumps\nheap/    blocks\npages/   spans\nbase/    numbers\n\n\
        arena/ uses pages/ base/\npool/ uses pages/, base/\npool/arena_pool.rs uses arena/\n\
        base/bitmap.rs forbids unsafe\n```\n";

    fn count(path: &str, text: &str) -> usize {
        Floors::parse(TABLE)
            .unwrap()
            .imports(&Source::new(path, text))
            .len()
    }

    #[test]
    fn table_is_read_highest_first() {
        let floors = Floors::parse(TABLE).unwrap();
        assert_eq!(floors.order, ["pool", "arena", "heap", "pages", "base"]);
        assert_eq!(floors.safe_files, ["base/bitmap.rs"]);
    }

    #[test]
    fn table_that_contradicts_itself_is_refused() {
        assert!(Floors::parse(&TABLE.replace("pool/ uses", "base/ uses")).is_err());
        assert!(Floors::parse(&TABLE.replace("arena/ uses pages/", "arena/ uses attic/")).is_err());
        assert!(Floors::parse("no table").is_err());
    }

    #[test]
    fn downward_and_own_imports_pass() {
        assert_eq!(
            count(
                "src/heap/a.rs",
                "use crate::pages::span::Span;\nuse crate::heap::b::B;"
            ),
            0
        );
        assert_eq!(
            count("src/pool/arena_pool.rs", "use crate::arena::core::Arena;"),
            0
        );
        assert_eq!(
            count(
                "src/heap/a.rs",
                "// use crate::pool::x;\nlet s = \"crate::pool::x\";"
            ),
            0
        );
        assert_eq!(count("src/lib.rs", "pub use crate::pool::pool::Pool;"), 0);
    }

    #[test]
    fn upward_import_fails() {
        assert_eq!(count("src/base/a.rs", "use crate::heap::block::Block;"), 1);
        assert_eq!(count("src/heap/a.rs", "fn f() { crate::pool::x::y(); }"), 1);
    }

    #[test]
    fn narrowed_import_fails() {
        assert_eq!(count("src/arena/a.rs", "use crate::heap::block::Block;"), 1);
        assert_eq!(
            count("src/pool/pool.rs", "use crate::arena::core::Arena;"),
            1
        );
    }

    #[test]
    fn root_import_and_double_super_fail() {
        assert_eq!(count("src/heap/a.rs", "use crate::Heap;"), 1);
        assert_eq!(count("src/heap/a.rs", "use crate::{pages::span::Span};"), 1);
        assert_eq!(count("src/heap/a.rs", "mod t { use super::super::x; }"), 1);
        assert_eq!(count("src/heap/mod.rs", "use super::pages;"), 1);
        assert_eq!(count("src/heap/mod.rs", "mod tests { use super::*; }"), 0);
    }

    #[test]
    fn exported_macros_see_the_root_and_no_higher_floor() {
        assert_eq!(count("src/heap/a.rs", "macro { $crate::Heap }"), 0);
        assert_eq!(count("src/heap/a.rs", "macro { $crate::pool::x }"), 1);
    }

    #[test]
    fn safe_file_without_the_attribute_fails() {
        let floors = Floors::parse(TABLE).unwrap();
        let bad = [Source::new("src/base/bitmap.rs", "//! # forbid\n")];
        let good = [Source::new(
            "src/base/bitmap.rs",
            "//! Bits.\n#![forbid(unsafe_code)]\n",
        )];
        assert_eq!(floors.safe_files_forbid(&bad).len(), 1);
        assert_eq!(floors.safe_files_forbid(&[]).len(), 1);
        assert_eq!(floors.safe_files_forbid(&good).len(), 0);
    }

    #[test]
    fn file_of_the_table_that_is_gone_fails() {
        let floors = Floors::parse(TABLE).unwrap();
        let there = [Source::new("src/pool/arena_pool.rs", "")];
        assert_eq!(floors.named_files_exist(&there).len(), 0);
        assert_eq!(floors.named_files_exist(&[]).len(), 1);
    }

    #[test]
    fn file_in_a_room_may_use_what_its_line_says() {
        let table = TABLE.replace("pool/arena_pool.rs", "pool/face/arena_pool.rs");
        let floors = Floors::parse(&table).unwrap();
        let count = |path: &str| {
            let source = Source::new(path, "use crate::arena::core::Arena;");
            floors.imports(&source).len()
        };
        assert_eq!(count("src/pool/face/arena_pool.rs"), 0);
        assert_eq!(count("src/pool/face/pool.rs"), 1);
        assert_eq!(count("src/pool/arena_pool.rs"), 1);
    }

    #[test]
    fn folder_off_the_table_fails() {
        let floors = Floors::parse(TABLE).unwrap();
        let houses = [
            "pool/a.rs",
            "arena/a.rs",
            "heap/a.rs",
            "pages/a.rs",
            "base/a.rs",
            "lib.rs",
        ];
        let mut sources: Vec<_> = houses
            .iter()
            .map(|path| Source::new(&format!("src/{path}"), ""))
            .collect();
        assert_eq!(floors.folders_match(&sources).len(), 0);
        sources.push(Source::new("src/attic/a.rs", ""));
        sources.push(Source::new("src/loose.rs", ""));
        sources.remove(0);
        assert_eq!(floors.folders_match(&sources).len(), 3);
    }
}
