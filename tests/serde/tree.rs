//! A dynamic tree, written by hand as a user would, against serde_json's.

use std::fmt;

use flagstone::{Arena, ArenaEntries, DeserializeIn};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::common::random::Random;
use crate::{arena, read};

/// Any JSON value.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(&'a str),
    List(&'a [Value<'a>]),
    Map(ArenaEntries<'a, &'a str, Value<'a>>),
}

impl<'de: 'a, 'a> DeserializeIn<'de, 'a> for Value<'a> {
    fn deserialize_in<D: Deserializer<'de>>(
        deserializer: D,
        arena: &'a Arena,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor { arena })
    }
}

struct ValueVisitor<'a> {
    arena: &'a Arena,
}

impl<'de: 'a, 'a> Visitor<'de> for ValueVisitor<'a> {
    type Value = Value<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'a>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value<'a>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value<'a>, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value<'a>, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value<'a>, E> {
        Ok(Value::Number(value))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Value<'a>, E> {
        Ok(Value::Text(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'a>, E> {
        let text = self.arena.try_alloc_str(text).map_err(E::custom)?;
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Value<'a>, A::Error> {
        let list = self.arena.deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value<'a>, A::Error> {
        let entries = self.arena.deserialize(MapAccessDeserializer::new(map))?;
        Ok(Value::Map(entries))
    }
}

/// A random document; below a depth of 6 only leaves, so that it ends.
fn generate(random: &mut Random, depth: usize) -> serde_json::Value {
    let leaves = 6;
    let kind = random.below(if depth < 6 { leaves + 3 } else { leaves });
    match kind {
        0 => serde_json::Value::Null,
        1 => (random.below(2) == 0).into(),
        2 => (random.below(1 << 31) as i64 - (1 << 29)).into(),
        3 => (random.below(1 << 31) as f64 / 16.0).into(),
        4 => "plain text".into(),
        5 => format!("\"{}\n\u{1F3D7}\"", random.below(1 << 31)).into(),
        6 => {
            let entry = |_| {
                (
                    format!("key{}\t", random.below(1 << 31)),
                    generate(random, depth + 1),
                )
            };
            let count = 5;
            (0..count).map(entry).collect()
        }
        _ => {
            let count = random.below(12);
            (0..count).map(|_| generate(random, depth + 1)).collect()
        }
    }
}

fn same(ours: &Value, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Null, theirs) => theirs.is_null(),
        (Value::Bool(ours), theirs) => theirs.as_bool() == Some(*ours),
        (Value::Number(ours), theirs) => theirs.as_f64() == Some(*ours),
        (Value::Text(ours), theirs) => theirs.as_str() == Some(*ours),
        (Value::List(ours), serde_json::Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b))
        }
        (Value::Map(ours), serde_json::Value::Object(theirs)) => {
            let found = |(key, theirs): (&String, _)| {
                ours.get(key.as_str())
                    .is_some_and(|ours| same(ours, theirs))
            };
            ours.len() == theirs.len() && theirs.iter().all(found)
        }
        _ => false,
    }
}

#[test]
fn random_documents_read_as_serde_json_reads_them() {
    let mut random = Random::new(1);
    let mut nodes = 0;
    let mut arena = arena();
    for _ in 0..if cfg!(miri) { 5 } else { 300 } {
        let theirs = generate(&mut random, 0);
        let text = theirs.to_string();
        nodes += text.len();
        let ours: Value = read(&arena, &text).unwrap();
        assert!(same(&ours, &theirs), "{text}\n{ours:?}");
        arena.reset();
    }
    assert!(
        nodes > 10_000 || cfg!(miri),
        "the generator made only {nodes} bytes"
    );
}

/// Every document that is cut off is an error, and what was read before it does no harm.
#[test]
fn documents_cut_off_anywhere_are_errors() {
    let text = r#"{"a":[1,-2.5,"x","\u00e9\n",null,{"b":[[],[true]]}],"c":{"d":"\\"}}"#;
    let mut arena = arena();
    for len in 0..text.len() {
        let before = &*arena.alloc_str("before");
        assert!(read::<Value>(&arena, &text[..len]).is_err(), "{len}");
        let after = read::<Value>(&arena, text).unwrap();
        let theirs = serde_json::from_str(text).unwrap();
        assert!(same(&after, &theirs) && before == "before");
        arena.reset();
    }
}

#[test]
fn depth_is_the_format_s_to_bound() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let arena = arena();
    assert!(read::<Value>(&arena, &nested(127)).is_ok());
    let error = read::<Value>(&arena, &nested(100_000)).unwrap_err();
    assert!(error.to_string().contains("recursion limit"), "{error}");
}
