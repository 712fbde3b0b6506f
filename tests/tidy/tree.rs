//! The modules under `src/`, and which file a path names.
//!
//! Owns the way from a path to the file that defines what it names. It knows what `items.rs` read
//! from the files, and no rule.
//!
//! - I1: a path is followed through re-exports to the file that defines its item. A `mod.rs` that
//!   only passes a name on is no station of the way, because contents are not a dependency; any
//!   other file that passes it on is one.
//! - I2: a name that cannot be followed counts as the file's that was asked for it, so that what
//!   the parser does not see (a macro's items) is an import all the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::Owner;
use crate::items::{File, Use, join};
use crate::source::Source;

/// Re-exports followed before a path is given up: longer chains are circles.
const STEPS_MAX: usize = 8;

/// The modules of all files.
pub(crate) struct Tree<'a> {
    pub(crate) files: Vec<File<'a>>,
    /// By path from the root: `pool::exchange`; the root's is empty.
    modules: BTreeMap<String, Module>,
}

#[derive(Default)]
struct Module {
    file: usize,
    /// With the path that a `type` stands for; an empty one for everything else.
    items: BTreeMap<String, Vec<String>>,
    uses: Vec<Use>,
}

/// Where a path leads.
pub(crate) struct Found {
    pub(crate) file: usize,
    /// The item's own name; `None` for a module, and for what is not known (I2).
    pub(crate) item: Option<String>,
    /// The module, if the path names one.
    pub(crate) module: Option<String>,
    /// What follows the item in the path: a method, a variant.
    pub(crate) rest: Vec<String>,
    /// Files that pass the name on (I1).
    pub(crate) via: Vec<usize>,
    /// Whether the file only passes on what another crate defines.
    pub(crate) foreign: bool,
}

impl<'a> Tree<'a> {
    /// Reads those of `sources` that lie under `src/`.
    pub(crate) fn new(sources: &'a [Source]) -> Tree<'a> {
        let files: Vec<File> = sources.iter().filter_map(File::new).collect();
        let mut modules: BTreeMap<String, Module> = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            for module in file.modules() {
                modules.entry(module.to_owned()).or_default().file = index;
            }
            for item in &file.items {
                let items = &mut modules.get_mut(&item.module).expect("its module").items;
                items.insert(item.name.clone(), item.alias.clone());
            }
            for found in &file.uses {
                let module = modules
                    .get_mut(file.scope_at(found.at))
                    .expect("its module");
                module.uses.push(found.clone());
            }
        }
        Tree { files, modules }
    }

    /// Where `path` leads from the offset `at` of a file; `None` if out of the crate.
    pub(crate) fn resolve(&self, file: usize, at: usize, path: &[String]) -> Option<Found> {
        self.resolve_in(self.files[file].scope_at(at), path, STEPS_MAX)
    }

    fn resolve_in(&self, module: &str, path: &[String], steps: usize) -> Option<Found> {
        let mut from = module;
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (from, rest) = ("", &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    from = from.rsplit_once("::").map_or("", |(parent, _)| parent);
                    rest = &rest[1..];
                }
            }
            name if !self.has(module, name, steps) => return None,
            _ => {}
        }
        self.walk(from, rest, steps)
    }

    fn walk(&self, at: &str, path: &[String], steps: usize) -> Option<Found> {
        let steps = steps.checked_sub(1)?;
        let module = self.modules.get(at)?;
        let found = |item: Option<String>, rest: &[String]| Found {
            file: module.file,
            module: (item.is_none() && rest.is_empty()).then(|| at.to_owned()),
            item,
            rest: rest.to_vec(),
            via: Vec::new(),
            foreign: false,
        };
        let Some((name, rest)) = path.split_first() else {
            return Some(found(None, path));
        };
        if self.modules.contains_key(&join(at, name)) {
            return self.walk(&join(at, name), rest, steps);
        }
        match module.items.get(name) {
            Some(target) if !target.is_empty() => {
                let whole = [target, rest].concat();
                let aliased = self.resolve_in(at, &whole, steps);
                let is_item = |found: &Found| found.item.is_some();
                return aliased
                    .filter(is_item)
                    .map(|next| self.passed_on(next, module))
                    .or_else(|| Some(found(Some(name.clone()), rest)));
            }
            Some(_) => return Some(found(Some(name.clone()), rest)),
            None => {}
        }
        let bound = |found: &&Use| found.name.as_ref() == Some(name);
        if let Some(import) = module.uses.iter().find(bound) {
            let whole = [&import.path, rest].concat();
            let next = self.resolve_in(at, &whole, steps);
            return Some(match next {
                Some(next) => self.passed_on(next, module),
                None => Found {
                    foreign: true,
                    ..found(Some(name.clone()), rest)
                },
            });
        }
        for glob in self.globs_of(at, steps) {
            if self.has(&glob, name, steps) {
                let next = self.walk(&glob, path, steps)?;
                return Some(self.passed_on(next, module));
            }
        }
        Some(found(None, path))
    }

    /// Adds `module`'s file to the way, unless it is contents (I1).
    fn passed_on(&self, mut found: Found, module: &Module) -> Found {
        let contents = self.files.get(module.file).is_none_or(File::is_contents);
        if !contents && module.file != found.file {
            found.via.push(module.file);
        }
        found
    }

    fn globs_of(&self, at: &str, steps: usize) -> Vec<String> {
        let uses = self.modules.get(at).map_or(&[][..], |module| &module.uses);
        let globs = uses.iter().filter(|found| found.name.is_none());
        let modules = globs.filter_map(|glob| self.resolve_in(at, &glob.path, steps)?.module);
        modules.filter(|module| module != at).collect()
    }

    fn has(&self, at: &str, name: &str, steps: usize) -> bool {
        let Some(steps) = steps.checked_sub(1) else {
            return false;
        };
        let Some(module) = self.modules.get(at) else {
            return false;
        };
        let named = |found: &Use| found.name.as_deref() == Some(name);
        self.modules.contains_key(&join(at, name))
            || module.items.contains_key(name)
            || module.uses.iter().any(named)
            || (self.globs_of(at, steps).iter()).any(|glob| self.has(glob, name, steps))
    }

    /// Where the words of a file lead that a glob of `module` brings in.
    pub(crate) fn through_glob(&self, file: usize, module: &str) -> Vec<Found> {
        let words: BTreeSet<&str> = self.files[file].names_said().collect();
        let known = words
            .into_iter()
            .filter(|word| self.has(module, word, STEPS_MAX));
        let found = known.filter_map(|word| self.walk(module, &[word.to_owned()], STEPS_MAX));
        found.collect()
    }

    /// The type that `target` names: its file and its name there.
    pub(crate) fn owner(&self, file: usize, at: usize, target: &[String]) -> Option<Owner> {
        let found = self
            .resolve(file, at, target)
            .filter(|found| !found.foreign)?;
        let unknown = found.rest.into_iter().next();
        Some((found.file, found.item.or(unknown)?))
    }
}
