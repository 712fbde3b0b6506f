//! The document's tree: one shape for every contender.
//!
//! - I1: [`Value`] is the same enum in every arm; a [`Family`] only says which string and which
//!   list type stands in it. Objects are lists of members in document order.
//! - I2: [`checksum`] visits every node and every byte of every string, in document order, so that
//!   equal checksums mean equal trees and no arm can skip its reads.
//!
//! It does not know who builds a tree or where its memory comes from.

use std::fmt;
use std::ops::Deref;

use crate::figures::Count;

/// Which types a tree is made of.
pub(crate) trait Family: Sized {
    type Text: AsRef<[u8]>;
    type List: Deref<Target = [Value<Self>]>;
    type Map: Deref<Target = [Member<Self>]>;
}

/// One node.
pub(crate) enum Value<F: Family> {
    Null,
    Bool(bool),
    Number(f64),
    Text(F::Text),
    List(F::List),
    Map(F::Map),
}

/// A member of an object: its name and its value.
pub(crate) struct Member<F: Family> {
    pub(crate) name: F::Text,
    pub(crate) value: Value<F>,
}

/// Owned by the process's allocator: what `serde_json::Value` and most hand-written trees do.
pub(crate) struct Owned;

impl Family for Owned {
    type Text = String;
    type List = Vec<Value<Owned>>;
    type Map = Vec<Member<Owned>>;
}

/// Owned through an `allocator_api2` allocator, in that crate's `Vec`.
pub(crate) struct InAllocator<A>(std::marker::PhantomData<A>);

impl<A: allocator_api2::alloc::Allocator> Family for InAllocator<A> {
    type Text = allocator_api2::vec::Vec<u8, A>;
    type List = allocator_api2::vec::Vec<Value<InAllocator<A>>, A>;
    type Map = allocator_api2::vec::Vec<Member<InAllocator<A>>, A>;
}

/// Borrowed from a bump arena, ours or bumpalo's: nothing in it needs dropping.
pub(crate) struct Borrowed<'a>(std::marker::PhantomData<&'a ()>);

impl<'a> Family for Borrowed<'a> {
    type Text = &'a str;
    type List = &'a [Value<Borrowed<'a>>];
    type Map = &'a [Member<Borrowed<'a>>];
}

/// Folds the whole tree into 64 bits.
pub(crate) fn checksum<F: Family>(value: &Value<F>) -> u64 {
    let mut sum = Sum(0x9E37_79B9_7F4A_7C15);
    sum.value(value);
    sum.0
}

/// A multiplicative hash: two cycles a word, so that the walk does not hide the allocator.
struct Sum(u64);

impl Sum {
    #[inline]
    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word)
            .wrapping_mul(0xD6E8_FEB8_6659_FD93)
            .rotate_left(29);
    }

    #[inline]
    fn text(&mut self, text: &[u8]) {
        self.word(text.len() as u64);
        let chunks = text.chunks_exact(8);
        let rest = chunks.remainder();
        for chunk in chunks {
            self.word(u64::from_le_bytes(
                chunk.try_into().expect("chunks of eight"),
            ));
        }
        self.word(
            rest.iter()
                .fold(0, |word, &byte| word << 8 | u64::from(byte)),
        );
    }

    fn value<F: Family>(&mut self, value: &Value<F>) {
        match value {
            Value::Null => self.word(1),
            Value::Bool(value) => self.word(2 + u64::from(*value)),
            Value::Number(value) => self.word(value.to_bits()),
            Value::Text(text) => self.text(text.as_ref()),
            Value::List(list) => {
                self.word(list.len() as u64 | 1 << 32);
                list.iter().for_each(|value| self.value(value));
            }
            Value::Map(map) => {
                self.word(map.len() as u64 | 1 << 33);
                for member in map.iter() {
                    self.text(member.name.as_ref());
                    self.value(&member.value);
                }
            }
        }
    }
}

/// What a document consists of, for its description in the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) maps: usize,
    pub(crate) lists: usize,
    /// String values; names are counted as members.
    pub(crate) texts: usize,
    pub(crate) members: usize,
    /// Numbers, booleans, nulls.
    pub(crate) scalars: usize,
}

impl Census {
    pub(crate) fn of<F: Family>(value: &Value<F>) -> Census {
        let mut census = Census::default();
        census.add(value);
        census
    }

    fn add<F: Family>(&mut self, value: &Value<F>) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => self.scalars += 1,
            Value::Text(_) => self.texts += 1,
            Value::List(list) => {
                self.lists += 1;
                list.iter().for_each(|value| self.add(value));
            }
            Value::Map(map) => {
                self.maps += 1;
                self.members += map.len();
                map.iter().for_each(|member| self.add(&member.value));
            }
        }
    }
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [maps, members, lists, texts, scalars] = [
            self.maps,
            self.members,
            self.lists,
            self.texts,
            self.scalars,
        ]
        .map(|count| Count(count as f64));
        write!(
            f,
            "{maps} objects with {members} members, {lists} arrays, {texts} strings, \
             {scalars} numbers and other scalars"
        )
    }
}
