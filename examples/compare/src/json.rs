//! JSON, read by serde_json, generic over what is built.
//!
//! Every contender of the comparison must read the same text with the same code, so that only the
//! memory differs: serde_json knows the grammar and nothing about memory; a [`Builder`] knows
//! memory and nothing about the grammar.
//!
//! - I1: nesting is bounded (serde_json stops at 128), so neither the reader nor a tree's walk or
//!   drop can overflow the stack.
//! - I2: text reaches the builder as a slice, of the input or, with escapes, of serde_json's own
//!   buffer, which is all that reading allocates. The builder copies.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Receives the document's parts and puts them into memory its own way.
pub(crate) trait Builder {
    /// A finished value of any kind.
    type Value;
    /// A finished string, also a member's name.
    type Text;
    /// An array under construction.
    type List;
    /// An object under construction.
    type Map;

    fn null(&mut self) -> Self::Value;
    fn bool(&mut self, value: bool) -> Self::Value;
    fn number(&mut self, value: f64) -> Self::Value;
    /// Copies `text`: it lives only until the call returns.
    fn text(&mut self, text: &str) -> Self::Text;
    fn text_value(&mut self, text: Self::Text) -> Self::Value;
    fn list(&mut self) -> Self::List;
    fn list_push(&mut self, list: &mut Self::List, value: Self::Value);
    fn list_value(&mut self, list: Self::List) -> Self::Value;
    fn map(&mut self) -> Self::Map;
    fn map_push(&mut self, map: &mut Self::Map, name: Self::Text, value: Self::Value);
    fn map_value(&mut self, map: Self::Map) -> Self::Value;
}

/// Reads one document.
pub(crate) fn parse<B: Builder>(text: &str, builder: &mut B) -> serde_json::Result<B::Value> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Part(builder).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads a value.
struct Part<'b, B>(&'b mut B);

impl<'de, B: Builder> DeserializeSeed<'de> for Part<'_, B> {
    type Value = B::Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<B::Value, D::Error> {
        reader.deserialize_any(self)
    }
}

/// Reads a member's name.
struct Name<'b, B>(&'b mut B);

impl<'de, B: Builder> DeserializeSeed<'de> for Name<'_, B> {
    type Value = B::Text;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<B::Text, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<B: Builder> Visitor<'_> for Name<'_, B> {
    type Value = B::Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, text: &str) -> Result<B::Text, E> {
        Ok(self.0.text(text))
    }
}

impl<'de, B: Builder> Visitor<'de> for Part<'_, B> {
    type Value = B::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<B::Value, E> {
        Ok(self.0.null())
    }

    fn visit_bool<E>(self, value: bool) -> Result<B::Value, E> {
        Ok(self.0.bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<B::Value, E> {
        Ok(self.0.number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<B::Value, E> {
        Ok(self.0.number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<B::Value, E> {
        Ok(self.0.number(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<B::Value, E> {
        let text = self.0.text(text);
        Ok(self.0.text_value(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<B::Value, A::Error> {
        let mut list = self.0.list();
        while let Some(value) = values.next_element_seed(Part(self.0))? {
            self.0.list_push(&mut list, value);
        }
        Ok(self.0.list_value(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<B::Value, A::Error> {
        let mut map = self.0.map();
        while let Some(name) = members.next_key_seed(Name(self.0))? {
            let value = members.next_value_seed(Part(self.0))?;
            self.0.map_push(&mut map, name, value);
        }
        Ok(self.0.map_value(map))
    }
}
