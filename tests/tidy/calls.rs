//! The calls that no import shows: of methods whose `impl` stands in another file than their type.
//!
//! Owns the guess what a method is called on. It knows types by their names only, so it is exact
//! where the code says the type and an approximation elsewhere:
//! - `self.name(…)`, also through a `Deref` to another type, `Self::name` and `Type::name` are
//!   exact;
//! - `x.name(…)` is taken for a method of each type that the file, or else any file, gives to an
//!   `x` (`x: Type`: a field, a parameter, a binding), and `f(…).name(…)` for one of each type
//!   that some `fn f` returns, if one of these types, or what its `Deref` leads to, has the method;
//! - any other call counts for a type `T` if no other type or trait of the crate has a method of
//!   that name. If several have, it counts where the file imports or defines `T` or stands in its
//!   folder. It never counts if common types of `std` have such a method (`STD_METHODS`).
//!
//! A call counts at all only where the caller can have a `T` (`graph.rs`).

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Edge, Graph, Owner};
use crate::items::{File, angles_end, path_at, paths_in};
use crate::source::{Token, group_end, names};
use crate::tree::Found;

/// Names of which a call on something unknown is more likely one of `std`.
const STD_METHODS: &str = "append as_mut_ptr as_mut_slice as_ptr as_ref as_slice as_str capacity \
    clear clone cmp contains copy_from_slice count dedup drain entries eq extend fill filter find \
    finish first flush fmt get get_mut index insert into_iter is_empty iter iter_mut join last len \
    load lock map next parse pop position push push_str read remove replace reserve resize retain \
    rev set shrink_to_fit sort split split_at split_off store sum swap swap_remove take then \
    truncate try_lock try_reserve update with write zip";

/// Types of `std` that are called through as if they were what they hold.
const WRAPPERS: &str = "Arc Box Cell ManuallyDrop MaybeUninit Mutex MutexGuard NonNull OnceLock \
    Option Pin Rc Ref RefCell RefMut Result UnsafeCell";

/// A call that may be one of a split `impl`.
pub(crate) struct Call {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// The file of the type that the method belongs to.
    pub(crate) owner: usize,
    pub(crate) edge: Edge,
}

/// A method's name at a place.
struct Said<'a> {
    at: usize,
    name: &'a str,
    on: On<'a>,
}

enum On<'a> {
    /// `self.name(` or `Self::name`.
    Own,
    /// `path::name`.
    Path(Vec<String>),
    /// `x.name(`
    Name(&'a str),
    /// `f(…).name(`
    Result(&'a str),
    Unknown,
}

/// What `name: Type` says of each name, and `fn name() -> Type` of each `name()`; `None` for a
/// type of another crate.
type Typed = BTreeMap<String, BTreeSet<Option<Owner>>>;

struct Methods<'a> {
    /// By name: the types with an inherent method, and the files of the `impl`s that have it.
    inherent: BTreeMap<&'a str, BTreeMap<&'a Owner, BTreeSet<usize>>>,
    /// By name: the types that have a method; `None` for a trait.
    holders: BTreeMap<&'a str, BTreeSet<Option<&'a Owner>>>,
    /// Types with a `Deref` to another type of the crate.
    leads_to: BTreeMap<&'a Owner, Owner>,
}

impl Methods<'_> {
    /// The type that a method is found on from `owner`, through one `Deref` if need be.
    fn found_on<'b>(&'b self, owner: &'b Owner, name: &str) -> Option<&'b Owner> {
        let next = self.leads_to.get(owner);
        let mut types = [Some(owner), next].into_iter().flatten();
        types.find(|own| self.holders[name].contains(&Some(*own)))
    }
}

/// Every call of a method in an inherent `impl` that stands in another file than its type.
pub(crate) fn possible_calls(graph: &Graph) -> Vec<Call> {
    let methods = methods_of(graph);
    let files = &graph.tree.files;
    let typed: Vec<Typed> = (0..files.len())
        .map(|file| typed_names(graph, file))
        .collect();
    let mut anywhere = Typed::new();
    for (name, types) in typed.iter().flatten() {
        anywhere
            .entry(name.clone())
            .or_default()
            .extend(types.iter().cloned());
    }
    let mut possible = Vec::new();
    for (from, file) in files.iter().enumerate() {
        for said in methods_said(file) {
            let Some(owners) = methods.inherent.get(said.name) else {
                continue;
            };
            let exact = receivers(graph, from, &said, &methods, [&typed[from], &anywhere]);
            let unique = methods.holders[said.name].len() == 1;
            let common = STD_METHODS.split_whitespace().any(|name| name == said.name);
            for (&owner, at) in owners {
                let counts = match &exact {
                    Some(exact) => exact.contains(owner),
                    None => !common && (unique || is_near(graph, from, said.at, owner)),
                };
                // Where the type's own file has the method too, that one may be meant.
                if counts && !at.contains(&from) && !at.contains(&owner.0) {
                    let edge = Edge {
                        line: file.source.line_of(said.at),
                        what: format!("calls {}::{}", owner.1, said.name),
                    };
                    possible.extend(at.iter().map(|&to| Call {
                        from,
                        to,
                        owner: owner.0,
                        edge: edge.clone(),
                    }));
                }
            }
        }
    }
    possible
}

fn methods_of<'a>(graph: &'a Graph) -> Methods<'a> {
    let mut methods = Methods {
        inherent: BTreeMap::new(),
        holders: BTreeMap::new(),
        leads_to: BTreeMap::new(),
    };
    for (index, file) in graph.tree.files.iter().enumerate() {
        for (block, owner) in graph.impls(index) {
            let target = graph.tree.owner(index, block.at, &block.leads_to);
            methods.leads_to.extend(owner.zip(target));
            for name in &block.methods {
                methods.holders.entry(name).or_default().insert(owner);
                if let Some(owner) = owner.filter(|_| !block.of_trait) {
                    let of = methods.inherent.entry(name).or_default();
                    of.entry(owner).or_default().insert(index);
                }
            }
        }
        for name in &file.trait_methods {
            methods.holders.entry(name).or_default().insert(None);
        }
    }
    methods
}

/// The types a method is called on, where the code says them.
fn receivers(
    graph: &Graph,
    file: usize,
    said: &Said,
    methods: &Methods,
    typed: [&Typed; 2],
) -> Option<BTreeSet<Owner>> {
    let key = match &said.on {
        On::Unknown => return None,
        On::Own => {
            let own = graph.around(file, said.at)?;
            let own = methods.found_on(own, said.name)?;
            return Some(BTreeSet::from([own.clone()]));
        }
        On::Path(path) => {
            let found = graph.tree.resolve(file, said.at, path);
            let owner = found.and_then(|found| Some((found.file, found.item?)));
            return Some(owner.into_iter().collect());
        }
        On::Name(name) => (*name).to_owned(),
        On::Result(name) => format!("{name}()"),
    };
    let all = || typed.iter().filter_map(|typed| typed.get(&key));
    let found_on = |types: &BTreeSet<Option<Owner>>| -> BTreeSet<Owner> {
        let on = |own| methods.found_on(own, said.name).cloned();
        types.iter().flatten().filter_map(on).collect()
    };
    let foreign = || {
        all()
            .next()
            .is_some_and(|types| types.iter().all(Option::is_none))
    };
    let several = methods.holders[said.name].len() > 1;
    let found = all().map(found_on).find(|types| !types.is_empty());
    found.or_else(|| (several && foreign()).then(BTreeSet::new))
}

fn is_near(graph: &Graph, file: usize, at: usize, owner: &Owner) -> bool {
    let folder = |file: usize| graph.tree.files[file].folder();
    let named = graph.tree.resolve(file, at, std::slice::from_ref(&owner.1));
    let is_it = |found: Found| found.file == owner.0 && found.item.as_ref() == Some(&owner.1);
    folder(file) == folder(owner.0) || named.is_some_and(is_it)
}

fn methods_said<'a>(file: &'a File) -> Vec<Said<'a>> {
    let tokens = &file.tokens;
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text);
    let mut all = Vec::new();
    for i in 3..tokens.len() {
        let Token { at, text: name } = tokens[i];
        let on = text(i - 2);
        let on = match text(i - 1) {
            _ if !names(name) => continue,
            "." if !["(", "::"].contains(&text(i + 1)) => continue,
            "." if on == "self" && text(i - 3) != "." => On::Own,
            "." if names(on) => On::Name(on),
            "." => called_before(&tokens[..i - 1]).map_or(On::Unknown, On::Result),
            "::" if on == "Self" => On::Own,
            _ => continue,
        };
        all.push(Said { at, name, on });
    }
    for (at, mut path) in paths_in(file) {
        let first = tokens.partition_point(|token| token.at < at);
        let name = text(first + 2 * (path.len() - 1));
        path.pop();
        let on = On::Path(path);
        all.push(Said { at, name, on });
    }
    all
}

/// The `f` of tokens that end in `f(…)` or `f(…)?`.
fn called_before<'a>(tokens: &[Token<'a>]) -> Option<&'a str> {
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate().rev() {
        match token.text {
            ")" => depth += 1,
            "(" if depth == 1 => return Some(tokens[i.checked_sub(1)?].text),
            "(" => depth -= 1,
            "?" => {}
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn typed_names(graph: &Graph, file: usize) -> Typed {
    let tokens = &graph.tree.files[file].tokens;
    let mut typed = Typed::new();
    for i in 1..tokens.len() {
        let Token { at, text: name } = tokens[i];
        let after = tokens.get(i + 1).map_or("", |token| token.text);
        let named = match tokens[i - 1].text {
            "fn" => returned(&tokens[i + 1..]).map(|start| (format!("{name}()"), i + 1 + start)),
            _ if after == ":" && names(name) => Some((name.to_owned(), i + 2)),
            _ => None,
        };
        let Some((name, start)) = named else {
            continue;
        };
        let path = unwrapped(&tokens[start..]);
        let is_type = |name: &String| name.starts_with(char::is_uppercase);
        let owner = if path == ["Self"] {
            graph.around(file, at).cloned()
        } else {
            graph.tree.owner(file, at, &path)
        };
        if owner.is_some() || path.iter().any(is_type) {
            typed.entry(name).or_default().insert(owner);
        }
    }
    typed
}

/// Where the type begins that a function returns whose generics or parameters `tokens` begin with.
fn returned(tokens: &[Token]) -> Option<usize> {
    let generic = tokens.first()?.text == "<";
    let open = if generic { angles_end(tokens, 0) } else { 0 };
    let after = group_end(tokens, open);
    (tokens.get(after)?.text == "->").then_some(after + 1)
}

/// The path of the type that `tokens` begin with, taken out of its wrappers.
fn unwrapped(mut tokens: &[Token]) -> Vec<String> {
    loop {
        let path = path_at(tokens);
        let wraps = |last: &String| WRAPPERS.split_whitespace().any(|name| name == last);
        let inside = tokens.iter().position(|token| token.text == "<");
        match inside.filter(|_| path.last().is_some_and(wraps)) {
            Some(open) => tokens = &tokens[open + 1..],
            None => return path,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::Graph;
    use crate::house;
    use crate::tree::Tree;

    /// Whether `text`, in `pool/user.rs`, calls into the `impl` of `Store` in `pool/give.rs`.
    fn calls(text: &str) -> bool {
        let sources = house(&[
            (
                "pool/store.rs",
                "pub struct Store; pub fn store() -> Option<Store> {}",
            ),
            (
                "pool/give.rs",
                "use super::store::Store; impl Store { fn give(&self) {} fn trim(&self) {} \
                 fn map(&self) {} }",
            ),
            (
                "depot/far.rs",
                "pub struct Far; impl Far { fn trim(&self) {} }",
            ),
            ("room/user.rs", text),
        ]);
        let graph = Graph::new(Tree::new(&sources));
        graph.calls.contains_key(&(3, 1))
    }

    #[test]
    fn call_into_a_split_impl_is_an_edge() {
        let import = "use crate::pool::store::Store;";
        for call in [
            "impl Store { fn f(&self) { self.give() } }",
            "impl Store { fn f(&self) { Self::give(self) } }",
            "struct G; impl Deref for G { type Target = Store; } \
             impl G { fn f(&self) { self.map() } }",
            "fn f() { Store::give(x) }",
            "fn f(g: fn(&Store)) { f(Store::map) }",
            "fn f() { x.give() }",
            "fn f(x: &Store) { x.map() }",
            "struct S { x: Arc<Store> } fn f(s: S) { s.x.map() }",
            "fn f() { x[0].trim() }",
            "fn f() { store()?.map() }",
        ] {
            assert!(calls(&format!("{import} {call}")), "{call}");
        }
    }

    #[test]
    fn call_of_another_type_is_none() {
        for call in [
            // Nothing here can be a store.
            "fn f() { x.give() }",
            // Several types have it, and this file names another one.
            "use crate::pool::store::store; fn f() { x.trim() }",
            "use crate::pool::store::Store; use crate::depot::far::Far; fn f(x: Far) { x.trim() }",
            // What std has, of something unknown.
            "use crate::pool::store::Store; fn f() { x.map() }",
            "use crate::pool::store::Store; fn f(x: Vec<u8>) { x.map() }",
            "use crate::pool::store::Store; fn f() { Vec::give(x); crate::pool::give(x) }",
            // A field of that name.
            "use crate::pool::store::Store; fn f() { x.give }",
        ] {
            assert!(!calls(call), "{call}");
        }
    }
}
