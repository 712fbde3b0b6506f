//! Strings and bytes: lent by the input where the type allows it and the format does it, else
//! copied, as short as they are.
//!
//! Bytes are also accepted as text and as a list of numbers, since formats without bytes (JSON)
//! have one or the other; text is also accepted as bytes that are UTF-8.

use core::fmt;

use ::serde::de::{Deserializer, Error, Expected, SeqAccess, Unexpected, Visitor};

use crate::adapters::serde::DeserializeIn;
use crate::adapters::serde::lists::List;
use crate::arena::{Arena, ArenaString, ArenaVec};

/// What a visitor came by.
enum Found<Lent, Copied> {
    Lent(Lent),
    Copied(Copied),
}

read_in!(['de: 'a; ] &'a str, |deserializer, arena| {
    Ok(match deserializer.deserialize_str(Text { arena })? {
        Found::Lent(text) => text,
        Found::Copied(text) => text,
    })
});

read_in!(['de; ] &'a mut str, |deserializer, arena| {
    match deserializer.deserialize_str(Text { arena })? {
        Found::Lent(text) => arena.try_alloc_str(text).map_err(D::Error::custom),
        Found::Copied(text) => Ok(text),
    }
});

read_in!(['de; ] ArenaString<'a, MIN_ALIGN>, |deserializer, arena| {
    deserializer.deserialize_str(Growing { arena })
});

/// Visits text that will not grow.
struct Text<'a, const MIN_ALIGN: usize> {
    arena: &'a Arena<MIN_ALIGN>,
}

impl<'de, 'a, const MIN_ALIGN: usize> Visitor<'de> for Text<'a, MIN_ALIGN> {
    type Value = Found<&'de str, &'a mut str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Found::Lent(text))
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        utf8(bytes, &self).map(Found::Lent)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let text = self.arena.try_alloc_str(text).map_err(E::custom)?;
        Ok(Found::Copied(text))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        let text = utf8(bytes, &self)?;
        self.visit_str(text)
    }
}

/// Visits text that may grow.
struct Growing<'a, const MIN_ALIGN: usize> {
    arena: &'a Arena<MIN_ALIGN>,
}

impl<'a, const MIN_ALIGN: usize> Visitor<'_> for Growing<'a, MIN_ALIGN> {
    type Value = ArenaString<'a, MIN_ALIGN>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let mut copied =
            ArenaString::try_with_capacity_in(text.len(), self.arena).map_err(E::custom)?;
        copied.try_push_str(text).map_err(E::custom)?;
        Ok(copied)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        let text = utf8(bytes, &self)?;
        self.visit_str(text)
    }
}

fn utf8<'b, E: Error>(bytes: &'b [u8], visitor: &dyn Expected) -> Result<&'b str, E> {
    core::str::from_utf8(bytes).map_err(|_| E::invalid_value(Unexpected::Bytes(bytes), visitor))
}

impl<'de, 'a, const MIN_ALIGN: usize> DeserializeIn<'de, 'a, MIN_ALIGN> for u8 {
    #[inline]
    fn deserialize_in<D: Deserializer<'de>>(
        deserializer: D,
        _: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, D::Error> {
        ::serde::Deserialize::deserialize(deserializer)
    }

    fn deserialize_list_in<D: Deserializer<'de>>(
        deserializer: D,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<ArenaVec<'a, u8, MIN_ALIGN>, D::Error> {
        match deserializer.deserialize_bytes(Bytes { arena })? {
            Found::Lent(bytes) => copied(bytes, arena),
            Found::Copied(bytes) => Ok(bytes),
        }
    }

    fn deserialize_slice_in<D: Deserializer<'de>>(
        deserializer: D,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<&'a [u8], D::Error>
    where
        'de: 'a,
    {
        Ok(match deserializer.deserialize_bytes(Bytes { arena })? {
            Found::Lent(bytes) => bytes,
            Found::Copied(bytes) => bytes.into_slice(),
        })
    }
}

/// Visits bytes.
struct Bytes<'a, const MIN_ALIGN: usize> {
    arena: &'a Arena<MIN_ALIGN>,
}

impl<'de, 'a, const MIN_ALIGN: usize> Visitor<'de> for Bytes<'a, MIN_ALIGN> {
    type Value = Found<&'de [u8], ArenaVec<'a, u8, MIN_ALIGN>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Found::Lent(bytes))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Found::Lent(text.as_bytes()))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        copied(bytes, self.arena).map(Found::Copied)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.visit_bytes(text.as_bytes())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        List::new(self.arena).visit_seq(seq).map(Found::Copied)
    }
}

fn copied<'a, E: Error, const MIN_ALIGN: usize>(
    bytes: &[u8],
    arena: &'a Arena<MIN_ALIGN>,
) -> Result<ArenaVec<'a, u8, MIN_ALIGN>, E> {
    let mut copied = ArenaVec::try_with_capacity_in(bytes.len(), arena).map_err(E::custom)?;
    copied.try_extend_from_slice(bytes).map_err(E::custom)?;
    Ok(copied)
}
