//! A JSON document parsed into a tree: in arenas, and as `serde_json::Value` in boxes.
//!
//! One reader, the one of `examples/compare`, reads for everybody, so that only the memory
//! differs: it copies every string once, appends to lists as their parts arrive, and asks the
//! allocator for nothing else. The trees have the same shape but for the objects of
//! `serde_json::Value`, which are its own sorted maps. The walk looks at every node and at both
//! ends of every string; the checksum does not depend on the order of an object's members.

#[path = "../../examples/compare/src/json.rs"]
mod json;

use serde_json::{Map, Number};

use crate::bump::{Growing, List};
use json::Builder;

/// A tree whose parts lie in an arena.
#[derive(Clone, Copy)]
enum Tree<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(&'a str),
    List(&'a [Tree<'a>]),
    Map(&'a [(&'a str, Tree<'a>)]),
}

/// Builds a [`Tree`].
struct InArena<'a, B>(&'a B);

impl<'a, B: Growing> Builder for InArena<'a, B> {
    type Value = Tree<'a>;
    type Text = &'a str;
    type List = B::List<'a, Tree<'a>>;
    type Map = B::List<'a, (&'a str, Tree<'a>)>;

    fn null(&mut self) -> Tree<'a> {
        Tree::Null
    }

    fn bool(&mut self, value: bool) -> Tree<'a> {
        Tree::Bool(value)
    }

    fn number(&mut self, value: f64) -> Tree<'a> {
        Tree::Number(value)
    }

    fn text(&mut self, text: &str) -> &'a str {
        self.0.text(text)
    }

    fn text_value(&mut self, text: &'a str) -> Tree<'a> {
        Tree::Text(text)
    }

    fn list(&mut self) -> Self::List {
        self.0.list()
    }

    fn list_push(&mut self, list: &mut Self::List, value: Tree<'a>) {
        list.add(value);
    }

    fn list_value(&mut self, list: Self::List) -> Tree<'a> {
        Tree::List(list.freeze())
    }

    fn map(&mut self) -> Self::Map {
        self.0.list()
    }

    fn map_push(&mut self, map: &mut Self::Map, name: &'a str, value: Tree<'a>) {
        map.add((name, value));
    }

    fn map_value(&mut self, map: Self::Map) -> Tree<'a> {
        Tree::Map(map.freeze())
    }
}

/// Builds a `serde_json::Value`.
struct InBoxes;

impl Builder for InBoxes {
    type Value = serde_json::Value;
    type Text = String;
    type List = Vec<serde_json::Value>;
    type Map = Map<String, serde_json::Value>;

    fn null(&mut self) -> serde_json::Value {
        serde_json::Value::Null
    }

    fn bool(&mut self, value: bool) -> serde_json::Value {
        serde_json::Value::Bool(value)
    }

    fn number(&mut self, value: f64) -> serde_json::Value {
        let number = Number::from_f64(value);
        number.map_or(serde_json::Value::Null, serde_json::Value::Number)
    }

    fn text(&mut self, text: &str) -> String {
        text.to_owned()
    }

    fn text_value(&mut self, text: String) -> serde_json::Value {
        serde_json::Value::String(text)
    }

    fn list(&mut self) -> Self::List {
        Vec::new()
    }

    fn list_push(&mut self, list: &mut Self::List, value: serde_json::Value) {
        list.push(value);
    }

    fn list_value(&mut self, list: Self::List) -> serde_json::Value {
        serde_json::Value::Array(list)
    }

    fn map(&mut self) -> Self::Map {
        Map::new()
    }

    fn map_push(&mut self, map: &mut Self::Map, name: String, value: serde_json::Value) {
        map.insert(name, value);
    }

    fn map_value(&mut self, map: Self::Map) -> serde_json::Value {
        serde_json::Value::Object(map)
    }
}

/// Builds nothing but the checksum.
struct InNothing;

impl Builder for InNothing {
    type Value = u64;
    type Text = u64;
    type List = u64;
    type Map = u64;

    fn null(&mut self) -> u64 {
        NULL
    }

    fn bool(&mut self, value: bool) -> u64 {
        sum_of_bool(value)
    }

    fn number(&mut self, value: f64) -> u64 {
        value.to_bits()
    }

    fn text(&mut self, text: &str) -> u64 {
        sum_of_text(text)
    }

    fn text_value(&mut self, text: u64) -> u64 {
        text
    }

    fn list(&mut self) -> u64 {
        LIST
    }

    fn list_push(&mut self, list: &mut u64, value: u64) {
        *list = mixed(*list, value);
    }

    fn list_value(&mut self, list: u64) -> u64 {
        list
    }

    fn map(&mut self) -> u64 {
        MAP
    }

    fn map_push(&mut self, map: &mut u64, name: u64, value: u64) {
        *map = map.wrapping_add(mixed(name, value));
    }

    fn map_value(&mut self, map: u64) -> u64 {
        map
    }
}

/// Parses the document into an arena, walks the tree and resets the arena.
///
/// # Panics
/// When the text is no JSON.
pub fn in_arena<B: Growing>(bump: &mut B, text: &str) -> u64 {
    let sum = {
        let tree = json::parse(text, &mut InArena(&*bump));
        sum_of_tree(&tree.expect("JSON"))
    };
    bump.clear();
    sum
}

/// Parses the document into a `serde_json::Value`, walks and drops it.
///
/// # Panics
/// When the text is no JSON.
pub fn in_boxes(text: &str) -> u64 {
    let tree = json::parse(text, &mut InBoxes);
    sum_of_value(&tree.expect("JSON"))
}

/// Reads the document and sums it up without a tree: how low the others could go.
///
/// # Panics
/// When the text is no JSON.
pub fn in_nothing(text: &str) -> u64 {
    let sum = json::parse(text, &mut InNothing);
    sum.expect("JSON")
}

/// What the checksum of a value without parts is, and where that of its parts begins.
const NULL: u64 = 1;
const LIST: u64 = 5;
const MAP: u64 = 7;

fn sum_of_bool(value: bool) -> u64 {
    2 + u64::from(value)
}

fn mixed(sum: u64, word: u64) -> u64 {
    (sum ^ word)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(29)
}

fn sum_of_text(text: &str) -> u64 {
    let ends = text.as_bytes().first().zip(text.as_bytes().last());
    let ends = ends.map_or(0, |(first, last)| u64::from(*first) << 8 | u64::from(*last));
    mixed(ends, text.len() as u64)
}

fn sum_of_tree(tree: &Tree<'_>) -> u64 {
    match tree {
        Tree::Null => NULL,
        Tree::Bool(value) => sum_of_bool(*value),
        Tree::Number(value) => value.to_bits(),
        Tree::Text(text) => sum_of_text(text),
        Tree::List(list) => list
            .iter()
            .fold(LIST, |sum, value| mixed(sum, sum_of_tree(value))),
        Tree::Map(map) => map
            .iter()
            .map(|(name, value)| mixed(sum_of_text(name), sum_of_tree(value)))
            .fold(MAP, u64::wrapping_add),
    }
}

fn sum_of_value(value: &serde_json::Value) -> u64 {
    match value {
        serde_json::Value::Null => NULL,
        serde_json::Value::Bool(value) => sum_of_bool(*value),
        serde_json::Value::Number(value) => value.as_f64().map_or(0, f64::to_bits),
        serde_json::Value::String(text) => sum_of_text(text),
        serde_json::Value::Array(list) => list
            .iter()
            .fold(LIST, |sum, value| mixed(sum, sum_of_value(value))),
        serde_json::Value::Object(map) => map
            .iter()
            .map(|(name, value)| mixed(sum_of_text(name), sum_of_value(value)))
            .fold(MAP, u64::wrapping_add),
    }
}
