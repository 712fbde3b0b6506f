//! What one file under `src/` defines and imports.
//!
//! Owns the only parsing of items the tidy test does: `mod`, `use` trees, the names of items, the
//! heads of `impl` blocks and the methods in them. It knows one file at a time and no rule.
//!
//! - I1: what stands under `#[cfg(test)]` is left out before anything is read.
//!
//! Approximations: a `use` inside a function binds its name in the whole module, and an item that a
//! macro writes has no name here.

use std::ops::Range;

use crate::source::{Source, Token, group_end, names};

/// One file under `src/`.
pub(crate) struct File<'a> {
    pub(crate) source: &'a Source,
    /// Path under `src/`.
    pub(crate) path: &'a str,
    /// Without tests (I1).
    pub(crate) tokens: Vec<Token<'a>>,
    /// The file's module first, then those written inside it, inner ones after outer ones.
    scopes: Vec<(Range<usize>, String)>,
    /// What is neither `use`, `mod` nor `impl`.
    pub(crate) items: Vec<Item>,
    pub(crate) uses: Vec<Use>,
    pub(crate) impls: Vec<Impl>,
    /// Methods that the file's traits declare.
    pub(crate) trait_methods: Vec<String>,
}

/// Something with a name.
pub(crate) struct Item {
    /// Path of the module it stands in: `pool::exchange`; the root's is empty.
    pub(crate) module: String,
    pub(crate) name: String,
    /// For `type Name = path…;`, that path.
    pub(crate) alias: Vec<String>,
    /// Whether a `struct`, `enum`, `union` or `trait`.
    pub(crate) is_type: bool,
}

/// One path of a `use`.
#[derive(Clone)]
pub(crate) struct Use {
    pub(crate) at: usize,
    pub(crate) path: Vec<String>,
    /// What it is called here; `None` for `*`.
    pub(crate) name: Option<String>,
    /// Whether `pub`, to whatever extent.
    pub(crate) exported: bool,
}

/// An `impl` block.
pub(crate) struct Impl {
    pub(crate) at: usize,
    /// Path of the type; empty where it is none (`[T]`, a macro's `$name`).
    pub(crate) target: Vec<String>,
    pub(crate) of_trait: bool,
    pub(crate) methods: Vec<String>,
    /// Path of what its `type Target` is: where `Deref` leads.
    pub(crate) leads_to: Vec<String>,
    /// Offsets of the block with its braces.
    pub(crate) body: Range<usize>,
}

impl<'a> File<'a> {
    /// Reads a file; `None` if it is not under `src/`.
    pub(crate) fn new(source: &'a Source) -> Option<File<'a>> {
        let path = source.path.strip_prefix("src/")?;
        let tokens = without_tests(source.tokens());
        let module = module_of(path);
        let mut file = File {
            source,
            path,
            scopes: vec![(0..source.text.len(), module.clone())],
            items: Vec::new(),
            uses: uses_in(&tokens),
            impls: Vec::new(),
            trait_methods: Vec::new(),
            tokens: Vec::new(),
        };
        file.read_items(&tokens, &module);
        file.tokens = tokens;
        Some(file)
    }

    fn read_items(&mut self, tokens: &[Token<'a>], module: &str) {
        let text = |i: usize| tokens.get(i).map_or("", |token| token.text);
        let mut i = 0;
        while i < tokens.len() {
            let word = text(i);
            i = match word {
                "#" => group_end(tokens, i + 1 + usize::from(text(i + 1) == "!")),
                "mod" if text(i + 2) == "{" => {
                    let end = group_end(tokens, i + 2);
                    let inner = join(module, text(i + 1));
                    let range = tokens[i].at..tokens[end - 1].at;
                    self.scopes.push((range, inner.clone()));
                    self.read_items(&tokens[i + 3..end - 1], &inner);
                    end
                }
                "mod" | "use" => item_end(tokens, i),
                "impl" => self.read_impl(tokens, i),
                "macro_rules" => {
                    self.define(word, module, text(i + 2), Vec::new());
                    group_end(tokens, i + 3)
                }
                "extern" if text(i + 1) == "crate" => item_end(tokens, i),
                "const" if ["fn", "unsafe", "extern", "async"].contains(&text(i + 1)) => i + 1,
                "struct" | "enum" | "union" | "trait" | "type" | "static" | "const" | "fn" => {
                    let name = text(i + 1 + usize::from(text(i + 1) == "mut"));
                    let end = item_end(tokens, i);
                    let alias = match word {
                        "type" => aliased(&tokens[i..end]),
                        _ => Vec::new(),
                    };
                    self.define(word, module, name, alias);
                    if word == "trait" {
                        self.trait_methods.extend(methods_in(&tokens[i..end]));
                    }
                    end
                }
                "{" | "(" | "[" => group_end(tokens, i),
                _ => i + 1,
            };
        }
    }

    fn define(&mut self, word: &str, module: &str, name: &str, alias: Vec<String>) {
        self.items.push(Item {
            module: module.to_owned(),
            name: name.to_owned(),
            alias,
            is_type: ["struct", "enum", "union", "trait"].contains(&word),
        });
    }

    /// Reads the `impl` at `start` and says where it ends.
    fn read_impl(&mut self, tokens: &[Token], start: usize) -> usize {
        let text = |i: usize| tokens.get(i).map_or("", |token| token.text);
        let mut head = start + 1;
        if text(head) == "<" {
            head = angles_end(tokens, head);
        }
        let (mut of_trait, mut i) = (false, head);
        while i < tokens.len() && text(i) != "{" && text(i) != "where" {
            i = match text(i) {
                "for" if text(i + 1) != "<" => {
                    of_trait = true;
                    head = i + 1;
                    i + 1
                }
                "<" => angles_end(tokens, i),
                "(" | "[" => group_end(tokens, i),
                _ => i + 1,
            };
        }
        let target = path_at(&tokens[head..i]);
        while i < tokens.len() && text(i) != "{" {
            i += 1;
        }
        let end = group_end(tokens, i.min(tokens.len() - 1));
        self.impls.push(Impl {
            at: tokens[start].at,
            target,
            of_trait,
            methods: methods_in(&tokens[i..end]),
            leads_to: target_in(&tokens[i..end]),
            body: tokens[i.min(tokens.len() - 1)].at..tokens[end - 1].at,
        });
        end
    }

    /// Paths of the modules in it.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(|(_, module)| module.as_str())
    }

    /// Whether the file may pass names on without depending on them: `mod.rs` and `lib.rs`.
    pub(crate) fn is_contents(&self) -> bool {
        self.path == "lib.rs" || self.path.ends_with("/mod.rs")
    }

    /// The folder, without a slash at its end.
    pub(crate) fn folder(&self) -> &str {
        folder(self.path)
    }

    /// Every word outside of `use` lines that may name an item: no field or method, no part of a
    /// path but its first.
    pub(crate) fn names_said(&self) -> impl Iterator<Item = &str> {
        let mut in_use = false;
        let mut before = "";
        self.tokens
            .iter()
            .enumerate()
            .filter_map(move |(i, token)| {
                in_use = (in_use || begins_use(&self.tokens[i..])) && token.text != ";";
                let part = [".", "::", "fn", "mod"].contains(&before);
                before = token.text;
                (!in_use && !part && names(token.text)).then_some(token.text)
            })
    }

    /// Path of the module around an offset.
    pub(crate) fn scope_at(&self, at: usize) -> &str {
        let around = self.scopes.iter().rev();
        let mut around = around.filter(|(range, _)| range.contains(&at));
        around.next().map_or("", |(_, module)| module)
    }
}

/// The folder of a path, without a slash at its end.
pub(crate) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Path of a file's module.
fn module_of(path: &str) -> String {
    let stem = path.trim_end_matches(".rs");
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    match stem {
        "lib" => String::new(),
        _ => stem.replace('/', "::"),
    }
}

/// Path of what is called `name` in a module.
pub(crate) fn join(module: &str, name: &str) -> String {
    match module {
        "" => name.to_owned(),
        _ => format!("{module}::{name}"),
    }
}

/// Leaves out each `#[cfg(test)]` and the item, field or statement under it (I1).
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        if is_test_attribute(&tokens[i..]) {
            while tokens.get(i).is_some_and(|token| token.text == "#") {
                i = group_end(&tokens, i + 1);
            }
            let listed = !tokens
                .get(i)
                .is_some_and(|token| ITEMS.contains(&token.text));
            i = ended_by(&tokens, i, listed);
        } else {
            kept.push(tokens[i]);
            i += 1;
        }
    }
    kept
}

/// What an item begins with.
const ITEMS: [&str; 16] = [
    "pub", "fn", "mod", "use", "impl", "struct", "enum", "union", "const", "static", "unsafe",
    "type", "trait", "extern", "async", "let",
];

fn is_test_attribute(tokens: &[Token]) -> bool {
    let starts = |words: &[&str]| {
        let texts = tokens.iter().map(|token| token.text);
        texts.take(words.len()).eq(words.iter().copied())
    };
    starts(&["#", "[", "cfg", "(", "test", ")"])
        || starts(&["#", "[", "cfg", "(", "all", "(", "test", ","])
}

fn item_end(tokens: &[Token], start: usize) -> usize {
    ended_by(tokens, start, false)
}

/// Index after the item at `start`: after its `;` or its block; a listed one ends at its comma too.
fn ended_by(tokens: &[Token], start: usize, listed: bool) -> usize {
    let mut i = start;
    while i < tokens.len() {
        match tokens[i].text {
            ";" => return i + 1,
            "," if listed => return i + 1,
            "{" if tokens[start].text != "use" => return group_end(tokens, i),
            "(" | "[" | "{" => i = group_end(tokens, i),
            ")" | "]" | "}" => return i,
            _ => i += 1,
        }
    }
    i
}

/// Whether an import begins here; `use<'a>` in a type captures lifetimes.
fn begins_use(tokens: &[Token]) -> bool {
    tokens[0].text == "use" && tokens.get(1).is_some_and(|next| next.text != "<")
}

fn uses_in(tokens: &[Token]) -> Vec<Use> {
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        if begins_use(&tokens[i..]) {
            let before = i.checked_sub(1).map_or("", |before| tokens[before].text);
            let end = item_end(tokens, i);
            let start = found.len();
            expand(&tokens[i + 1..end], &[], &mut found);
            for one in &mut found[start..] {
                one.at = token.at;
                one.exported = ["pub", ")"].contains(&before);
            }
        }
    }
    found
}

/// The paths of a `use` tree, each after `prefix`.
fn expand(tokens: &[Token], prefix: &[String], found: &mut Vec<Use>) {
    let mut path = prefix.to_vec();
    let mut name = None;
    let mut glob = false;
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i].text {
            "{" => {
                let end = group_end(tokens, i);
                let mut start = i + 1;
                while start < end - 1 {
                    let stop = ended_by_comma(tokens, start, end - 1);
                    expand(&tokens[start..stop], &path, found);
                    start = stop + 1;
                }
                return;
            }
            "*" => glob = true,
            "as" => {
                name = tokens.get(i + 1).map(|token| token.text.to_owned());
                break;
            }
            "self" if !path.is_empty() => {}
            word if names(word) => path.push(word.to_owned()),
            _ => {}
        }
        i += 1;
    }
    if !path.is_empty() {
        found.push(Use {
            at: 0,
            name: name.or_else(|| path.last().filter(|_| !glob).cloned()),
            path,
            exported: false,
        });
    }
}

fn ended_by_comma(tokens: &[Token], start: usize, end: usize) -> usize {
    let mut i = start;
    while i < end && tokens[i].text != "," {
        i = match tokens[i].text {
            "{" => group_end(tokens, i),
            _ => i + 1,
        };
    }
    i
}

/// Index after the `>` that closes the `<` at `open`.
pub(crate) fn angles_end(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    let mut i = open;
    while i < tokens.len() {
        match tokens[i].text {
            "<" => depth += 1,
            ">" => depth -= 1,
            "(" | "[" | "{" => {
                i = group_end(tokens, i);
                continue;
            }
            _ => {}
        }
        i += 1;
        if depth == 0 {
            break;
        }
    }
    i
}

/// Every path of two names or more in the code, outside of `use` lines.
pub(crate) fn paths_in(file: &File) -> Vec<(usize, Vec<String>)> {
    let tokens = &file.tokens;
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text);
    let mut found = Vec::new();
    let mut in_use = false;
    let mut i = 0;
    while i < tokens.len() {
        in_use = (in_use || begins_use(&tokens[i..])) && text(i) != ";";
        let before = i.checked_sub(1).map_or("", &text);
        let exported = before == "$" && text(i) == "crate";
        // A part of a longer path, a field, or how far `pub(in path)` reaches.
        let part = ["::", ".", "'"].contains(&before) || (before == "in" && text(i - 2) == "(");
        if in_use || part || (before == "$" && !exported) || !names(text(i)) || text(i + 1) != "::"
        {
            i += 1;
            continue;
        }
        let (at, mut path) = (tokens[i].at, vec![text(i).to_owned()]);
        while text(i + 1) == "::" && names(text(i + 2)) {
            path.push(text(i + 2).to_owned());
            i += 2;
        }
        // What an exported macro writes stands in other crates, which see the root.
        let from_root = exported && path.len() == 2;
        if path.len() > 1 && !from_root {
            found.push((at, path));
        }
        i += 1;
    }
    found
}

/// The path that a type begins with, behind `&'a mut dyn` and the like; empty if it begins
/// otherwise.
pub(crate) fn path_at(tokens: &[Token]) -> Vec<String> {
    let mut path = Vec::new();
    let mut rest = tokens.iter().map(|token| token.text).peekable();
    while let Some(text) = rest.next() {
        match text {
            "&" | "*" | "const" | "dyn" | "mut" | "::" => {}
            "'" => {
                rest.next();
            }
            _ if names(text) => {
                path.push(text.to_owned());
                if rest.peek() != Some(&"::") {
                    break;
                }
            }
            _ => break,
        }
    }
    path
}

/// The path on the right side of `type Name<…> = path…;`.
fn aliased(tokens: &[Token]) -> Vec<String> {
    let equals = tokens.iter().position(|token| token.text == "=");
    equals.map_or(Vec::new(), |at| path_at(&tokens[at + 1..]))
}

/// The path in `type Target = path;`, empty if there is none.
fn target_in(tokens: &[Token]) -> Vec<String> {
    let is_target = |pair: &[Token]| pair[0].text == "type" && pair[1].text == "Target";
    let target = tokens.windows(2).position(is_target);
    target.map_or(Vec::new(), |at| aliased(&tokens[at..]))
}

/// Names of the functions in the first block of `tokens`, not of those inside them.
fn methods_in(tokens: &[Token]) -> Vec<String> {
    let Some(open) = tokens.iter().position(|token| token.text == "{") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut i = open + 1;
    while i + 1 < tokens.len() {
        i = match tokens[i].text {
            "{" | "(" | "[" => group_end(tokens, i),
            "fn" if names(tokens[i + 1].text) => {
                found.push(tokens[i + 1].text.to_owned());
                i + 2
            }
            _ => i + 1,
        };
    }
    found
}
