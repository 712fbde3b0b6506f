//! Orders, read from JSON straight into an arena: texts are borrowed from the body where it has no
//! escapes, lists and unescaped texts lie in the arena.

use std::fmt;
use std::marker::PhantomData;

use flagstone::{Arena, ArenaVec};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::order::Refusal;

/// Reads an order.
pub fn order<'a>(arena: &'a Arena, body: &'a [u8]) -> Result<Order<'a>, Refusal> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let order = Order::read(&mut json, arena)?;
    json.end()?;
    Ok(order)
}

/// A value that is read with an arena at hand.
trait Read<'a>: Sized {
    fn read<D: Deserializer<'a>>(input: D, arena: &'a Arena) -> Result<Self, D::Error>;

    fn missing<E: Error>(field: &'static str) -> Result<Self, E> {
        Err(E::missing_field(field))
    }
}

struct Seed<'a, T>(&'a Arena, PhantomData<T>);

impl<'a, T: Read<'a>> DeserializeSeed<'a> for Seed<'a, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'a>>(self, input: D) -> Result<T, D::Error> {
        T::read(input, self.0)
    }
}

impl<'a> Read<'a> for u32 {
    fn read<D: Deserializer<'a>>(input: D, _: &'a Arena) -> Result<u32, D::Error> {
        u32::deserialize(input)
    }
}

impl<'a> Read<'a> for u64 {
    fn read<D: Deserializer<'a>>(input: D, _: &'a Arena) -> Result<u64, D::Error> {
        u64::deserialize(input)
    }
}

impl<'a> Read<'a> for &'a str {
    fn read<D: Deserializer<'a>>(input: D, arena: &'a Arena) -> Result<&'a str, D::Error> {
        struct Text<'a>(&'a Arena);
        impl<'a> Visitor<'a> for Text<'a> {
            type Value = &'a str;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<&'a str, E> {
                Ok(text)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<&'a str, E> {
                let text = self.0.try_alloc_str(text).map_err(E::custom)?;
                Ok(text)
            }
        }
        input.deserialize_str(Text(arena))
    }
}

impl<'a, T: Read<'a>> Read<'a> for Option<T> {
    fn read<D: Deserializer<'a>>(input: D, arena: &'a Arena) -> Result<Option<T>, D::Error> {
        struct Maybe<'a, T>(Seed<'a, T>);
        impl<'a, T: Read<'a>> Visitor<'a> for Maybe<'a, T> {
            type Value = Option<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an optional value")
            }
            fn visit_none<E: Error>(self) -> Result<Option<T>, E> {
                Ok(None)
            }
            fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
                Ok(None)
            }
            fn visit_some<D: Deserializer<'a>>(self, input: D) -> Result<Option<T>, D::Error> {
                self.0.deserialize(input).map(Some)
            }
        }
        input.deserialize_option(Maybe(Seed(arena, PhantomData)))
    }

    fn missing<E: Error>(_: &'static str) -> Result<Option<T>, E> {
        Ok(None)
    }
}

impl<'a, T: Read<'a> + 'a> Read<'a> for &'a [T] {
    fn read<D: Deserializer<'a>>(input: D, arena: &'a Arena) -> Result<&'a [T], D::Error> {
        struct List<'a, T>(ArenaVec<'a, T>);
        impl<'a, T: Read<'a> + 'a> Visitor<'a> for List<'a, T> {
            type Value = &'a [T];
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<&'a [T], A::Error> {
                let mut list = self.0;
                while let Some(value) = seq.next_element_seed(Seed(list.arena(), PhantomData))? {
                    list.try_push(value).map_err(A::Error::custom)?;
                }
                Ok(list.into_slice())
            }
        }
        input.deserialize_seq(List(ArenaVec::new_in(arena)))
    }
}

/// Defines a struct and how it is read.
macro_rules! record {
    (
        $(#[$attributes:meta])*
        pub struct $name:ident<'a> { $(pub $field:ident: $type:ty,)* }
    ) => {
        $(#[$attributes])*
        pub struct $name<'a> { $(pub $field: $type,)* }

        impl<'a> Read<'a> for $name<'a> {
            fn read<D: Deserializer<'a>>(input: D, arena: &'a Arena) -> Result<Self, D::Error> {
                #[derive(serde::Deserialize)]
                #[serde(field_identifier, rename_all = "snake_case")]
                #[allow(non_camel_case_types)]
                enum Field { $($field,)* #[serde(other)] Unknown }

                struct Fields<'a>(&'a Arena);
                impl<'a> Visitor<'a> for Fields<'a> {
                    type Value = $name<'a>;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(stringify!($name))
                    }
                    fn visit_map<A: MapAccess<'a>>(
                        self,
                        mut map: A,
                    ) -> Result<$name<'a>, A::Error> {
                        $(let mut $field: Option<$type> = None;)*
                        while let Some(field) = map.next_key()? {
                            match field {
                                $(Field::$field => {
                                    if $field.is_some() {
                                        return Err(A::Error::duplicate_field(stringify!($field)));
                                    }
                                    $field = Some(map.next_value_seed(Seed(self.0, PhantomData))?);
                                })*
                                Field::Unknown => drop(map.next_value::<IgnoredAny>()?),
                            }
                        }
                        Ok($name {
                            $($field: match $field {
                                Some(value) => value,
                                None => <$type>::missing(stringify!($field))?,
                            },)*
                        })
                    }
                }
                let fields = &[$(stringify!($field)),*];
                input.deserialize_struct(stringify!($name), fields, Fields(arena))
            }
        }
    };
}

record! {
    pub struct Order<'a> {
        pub customer: &'a str,
        pub items: &'a [Item<'a>],
    }
}

record! {
    pub struct Item<'a> {
        pub sku: &'a str,
        pub name: &'a str,
        pub category: &'a str,
        pub quantity: u32,
        pub unit_cents: u64,
        pub note: Option<&'a str>,
        pub tags: &'a [&'a str],
    }
}
