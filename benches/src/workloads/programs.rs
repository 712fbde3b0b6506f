//! Real programs: what libraries that everybody uses do with the allocator.
//!
//! With two threads both do all of the work, on data of their own.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;

use regex::Regex;
use serde_json::Value;

use super::Input;
use super::in_threads;
use crate::Random;

/// JSON read per thread: a quarter of a second at four hundred megabytes a second.
const JSON_BYTES: usize = 100 << 20;
/// Strings in a map: some ten megabytes, more than the last cache.
const STRINGS: usize = 100_000;
const MAP_REPEATS: usize = 5;
const REGEX_REPEATS: usize = 60;
const SYN_REPEATS: usize = 12;

/// Of the kinds that programs have: plain words, classes, repeats, alternatives, Unicode.
const PATTERNS: [&str; 20] = [
    r"^\d{4}-\d{2}-\d{2}$",
    r"(?i)error|warning|fatal",
    r"[A-Za-z_][A-Za-z0-9_]*",
    r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z-]+))?",
    r"^([^:/?#]+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?",
    r"\b[\w.+-]+@[\w-]+\.[\w.-]+\b",
    r"(?P<key>\w+)\s*=\s*(?P<value>[^;]+);",
    r"\p{Lu}\p{Ll}+",
    r"(?m)^\s*(pub\s+)?fn\s+(\w+)",
    r"^(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$",
    r"a{1,50}b{1,50}",
    r"(foo|bar|baz|quux)+",
    r"[^\x00-\x7F]+",
    r"#[0-9a-fA-F]{6}\b",
    r#""(?:[^"\\]|\\.)*""#,
    r"(?s)/\*.*?\*/",
    r"\s+$",
    r"(?x) (\w+) \s+ (\w+) \s+ (\w+)",
    r"Mon|Tue|Wed|Thu|Fri|Sat|Sun",
    r"[а-яА-Я]{2,}",
];

/// Parses a document to a tree and drops it, again and again.
pub fn json(input: &Input) -> u64 {
    let repeats = (JSON_BYTES / input.text.len().max(1)).max(1);
    in_threads(input.threads, |_| {
        let mut sum = 0_u64;
        for _ in 0..repeats {
            let tree: Value = serde_json::from_str(&input.text).expect("JSON");
            sum = sum.wrapping_add(weight(&tree));
        }
        sum
    })
}

fn weight(tree: &Value) -> u64 {
    match tree {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => text.len() as u64,
        Value::Array(values) => values.iter().map(weight).sum(),
        Value::Object(fields) => {
            let pairs = fields.iter();
            pairs
                .map(|(key, value)| key.len() as u64 + weight(value))
                .sum()
        }
    }
}

fn string(random: &mut Random) -> String {
    let len = 8 + random.below(33);
    (0..len)
        .map(|_| (b'a' + random.below(26) as u8) as char)
        .collect()
}

/// Fills a map with strings, looks some up, removes every other, and drops the rest.
fn with_map<M: Default>(
    input: &Input,
    insert: fn(&mut M, String, String),
    get: fn(&M, &str) -> Option<usize>,
    remove: fn(&mut M, &str) -> Option<String>,
) -> u64 {
    in_threads(input.threads, |thread| {
        let mut random = Random::new(thread as u64);
        let mut sum = 0_u64;
        for _ in 0..MAP_REPEATS {
            let (mut map, mut keys) = (M::default(), Vec::new());
            for _ in 0..STRINGS {
                let key = string(&mut random);
                keys.push(key.clone());
                insert(&mut map, key, string(&mut random));
            }
            for pair in keys.chunks(2) {
                sum = sum.wrapping_add(get(&map, &pair[0]).unwrap_or(0) as u64);
                let removed = remove(&mut map, &pair[0]);
                sum = sum.wrapping_add(removed.map_or(0, |value| value.len() as u64));
            }
        }
        sum
    })
}

/// A `BTreeMap` of strings.
pub fn btree_map(input: &Input) -> u64 {
    with_map::<BTreeMap<String, String>>(
        input,
        |map, key, value| drop(map.insert(key, value)),
        |map, key| map.get(key).map(String::len),
        |map, key| map.remove(key),
    )
}

/// A `HashMap` of strings, with a hasher that starts the same in every process.
pub fn hash_map(input: &Input) -> u64 {
    with_map::<HashMap<String, String, BuildHasherDefault<DefaultHasher>>>(
        input,
        |map, key, value| drop(map.insert(key, value)),
        |map, key| map.get(key).map(String::len),
        |map, key| map.remove(key),
    )
}

/// Compiles many expressions and uses each once.
pub fn regex(input: &Input) -> u64 {
    let text = "Fri 2026-11-20 warning: fn main() { key = value; } mail@example.org 10.0.0.1";
    in_threads(input.threads, |_| {
        let mut sum = 0_u64;
        for _ in 0..REGEX_REPEATS {
            let compiled = PATTERNS.map(|pattern| Regex::new(pattern).expect("an expression"));
            let found = compiled
                .iter()
                .map(|regex| regex.find_iter(text).count() as u64);
            sum = sum.wrapping_add(found.sum());
        }
        sum
    })
}

/// Parses the crate's own source files.
pub fn syn(input: &Input) -> u64 {
    in_threads(input.threads, |_| {
        let mut sum = 0_u64;
        for _ in 0..SYN_REPEATS {
            let files = input
                .sources
                .iter()
                .map(|text| syn::parse_file(text).expect("Rust"));
            let files: Vec<_> = files.collect();
            sum = files
                .iter()
                .fold(sum, |sum, file| sum + file.items.len() as u64);
        }
        sum
    })
}
