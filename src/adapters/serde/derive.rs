//! [`deserialize_in!`](crate::deserialize_in): [`DeserializeIn`](crate::DeserializeIn) for structs
//! and enums, by `macro_rules!`: no dependency and nothing to build before the program.
//!
//! The public macro only takes a declaration apart; `__deserialize_in!` writes the code, in arms
//! that begin with `@`: `@struct` and `@enum` an impl, `@variant` one variant, `@fields` a visitor
//! of named fields (a struct's or a variant's), `@key` the name in the input.
//!
//! I1: items in the generated blocks begin with two underscores, as they share their names' space
//!     with the user's types.

use core::fmt;

use ::serde::de::{DeserializeSeed, Deserializer, Error, Unexpected, Visitor};

/// Declares a struct or an enum and lets it be read into an arena. Feature `serde`.
///
/// Takes structs with named fields and enums of unit, newtype and struct variants (externally
/// tagged, as serde has them), with one lifetime or none: it is the arena's. What is not a Rust
/// name in the input, or another one, is named with `as`. Fields that the input has and the struct
/// does not are skipped; a field that comes twice is an error, and so is one that is missing unless
/// it is an `Option`. Attributes and other derives stay on the declaration.
///
/// ```
/// use flagstone::{Arena, deserialize_in};
///
/// deserialize_in! {
///     /// What the server sends.
///     #[derive(Debug, PartialEq)]
///     pub enum Event<'a> {
///         Closed as "closed",
///         Text(&'a str) as "text",
///         Moved { from: [i32; 2], to: [i32; 2] } as "moved",
///     }
/// }
/// deserialize_in! {
///     #[derive(Debug)]
///     struct Batch<'a> {
///         kind: Option<&'a str> as "type",
///         events: &'a [Event<'a>],
///     }
/// }
///
/// let arena = Arena::new();
/// let batch: Batch = arena.deserialize(&mut serde_json::Deserializer::from_str(
///     r#"{ "events": ["closed", { "moved": { "from": [0, 0], "to": [3, 4] } }], "type": "log" }"#,
/// ))?;
/// assert_eq!(batch.kind, Some("log"));
/// assert_eq!(batch.events[1], Event::Moved { from: [0, 0], to: [3, 4] });
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// The type is read into an [`Arena`](crate::Arena) of the usual minimum alignment; for another
/// one, for type parameters and for other shapes, implement the trait by hand.
#[macro_export]
macro_rules! deserialize_in {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(<$a:lifetime>)? {
            $(
                $(#[$field_meta:meta])*
                $field_vis:vis $field:ident: $value:ty $(as $key:literal)?
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name $(<$a>)? {
            $($(#[$field_meta])* $field_vis $field: $value,)*
        }
        $crate::__deserialize_in!(@struct [$($a)?] $name { $($field [$($key)?])* });
    };
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident $(<$a:lifetime>)? {
            $(
                $(#[$variant_meta:meta])*
                $variant:ident
                $(($inner:ty))?
                $({
                    $(
                        $(#[$field_meta:meta])*
                        $field:ident: $value:ty $(as $field_key:literal)?
                    ),* $(,)?
                })?
                $(as $key:literal)?
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis enum $name $(<$a>)? {
            $(
                $(#[$variant_meta])*
                $variant $(($inner))? $({ $($(#[$field_meta])* $field: $value,)* })?,
            )*
        }
        $crate::__deserialize_in!(@enum [$($a)?] $name {
            $($variant [$($key)?] [$(($inner))? $({ $($field [$($field_key)?])* })?])*
        });
    };
}

/// Writes the code of [`deserialize_in!`](crate::deserialize_in).
#[doc(hidden)]
#[macro_export]
macro_rules! __deserialize_in {
    // The type and its lifetime, from the declaration's head.
    (@$kind:ident [] $name:ident $parts:tt) => {
        $crate::__deserialize_in!(@$kind '__a [$name] $name $parts);
    };
    (@$kind:ident [$a:lifetime] $name:ident $parts:tt) => {
        $crate::__deserialize_in!(@$kind $a [$name<$a>] $name $parts);
    };

    (@struct $a:lifetime [$own:ty] $name:ident $fields:tt) => {
        impl<'__de: $a, $a> $crate::DeserializeIn<'__de, $a> for $own {
            fn deserialize_in<__D: $crate::__serde::Deserializer<'__de>>(
                deserializer: __D,
                arena: &$a $crate::Arena,
            ) -> ::core::result::Result<Self, __D::Error> {
                let name = ::core::stringify!($name);
                $crate::__deserialize_in!(
                    @fields $a [$own] [$name] (deserializer deserialize_struct name) arena $fields
                )
            }
        }
    };

    (@enum $a:lifetime [$own:ty] $name:ident {
        $($variant:ident [$($key:literal)?] [$($parts:tt)?])*
    }) => {
        impl<'__de: $a, $a> $crate::DeserializeIn<'__de, $a> for $own {
            fn deserialize_in<__D: $crate::__serde::Deserializer<'__de>>(
                deserializer: __D,
                arena: &$a $crate::Arena,
            ) -> ::core::result::Result<Self, __D::Error> {
                const __VARIANTS: &[&str] =
                    &[$($crate::__deserialize_in!(@key $variant $($key)?)),*];
                enum __Variant { $($variant),* }
                struct __Visitor<$a>(&$a $crate::Arena);
                impl<'__de: $a, $a> $crate::__serde::de::Visitor<'__de> for __Visitor<$a> {
                    type Value = $own;

                    fn expecting(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.write_str(::core::concat!("enum ", ::core::stringify!($name)))
                    }

                    fn visit_enum<__A: $crate::__serde::de::EnumAccess<'__de>>(
                        self,
                        access: __A,
                    ) -> ::core::result::Result<Self::Value, __A::Error> {
                        use $crate::__serde::de::VariantAccess as _;
                        let names = $crate::__Names::of_variants(__VARIANTS, |name| match name {
                            $($crate::__deserialize_in!(@key $variant $($key)?) => {
                                __Variant::$variant as usize
                            })*
                            _ => __VARIANTS.len(),
                        });
                        let (index, access) = access.variant_seed(names)?;
                        let arena = self.0;
                        $(
                            if index == __Variant::$variant as usize {
                                return $crate::__deserialize_in!(
                                    @variant $a [$own] $name $variant access arena $($parts)?
                                );
                            }
                        )*
                        ::core::unreachable!("a name of the list was found")
                    }
                }
                let name = ::core::stringify!($name);
                deserializer.deserialize_enum(name, __VARIANTS, __Visitor(arena))
            }
        }
    };

    (@variant $a:lifetime [$own:ty] $name:ident $variant:ident $access:ident $arena:ident) => {
        $access.unit_variant().map(|()| $name::$variant)
    };
    (@variant
        $a:lifetime [$own:ty] $name:ident $variant:ident $access:ident $arena:ident ($inner:ty)
    ) => {
        $access
            .newtype_variant_seed($crate::ArenaSeed::<$inner>::new($arena))
            .map($name::$variant)
    };
    (@variant
        $a:lifetime [$own:ty] $name:ident $variant:ident $access:ident $arena:ident $fields:tt
    ) => {
        $crate::__deserialize_in!(
            @fields $a [$own] [$name::$variant] ($access struct_variant) $arena $fields
        )
    };

    // Reads `Name { fields }` or `Name::Variant { fields }` by `source.method(before, …)`.
    (@fields
        $a:lifetime [$own:ty] [$name:ident $(:: $variant:ident)?]
        ($source:ident $method:ident $($before:ident)?) $arena:ident
        { $($field:ident [$($key:literal)?])* }
    ) => {{
        const __FIELDS: &[&str] = &[$($crate::__deserialize_in!(@key $field $($key)?)),*];
        #[allow(non_camel_case_types)]
        enum __Field { $($field),* }
        struct __Fields<$a>(&$a $crate::Arena);
        impl<'__de: $a, $a> $crate::__serde::de::Visitor<'__de> for __Fields<$a> {
            type Value = $own;

            fn expecting(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(::core::concat!(
                    "fields of ",
                    ::core::stringify!($name)
                    $(, "::", ::core::stringify!($variant))?
                ))
            }

            #[allow(unused_mut, unused_variables)]
            fn visit_seq<__A: $crate::__serde::de::SeqAccess<'__de>>(
                self,
                mut seq: __A,
            ) -> ::core::result::Result<Self::Value, __A::Error> {
                use $crate::__serde::de::Error as _;
                ::core::result::Result::Ok($name$(::$variant)? {$(
                    $field: match seq.next_element_seed($crate::ArenaSeed::new(self.0))? {
                        ::core::option::Option::Some(value) => value,
                        ::core::option::Option::None => {
                            let index = __Field::$field as usize;
                            return ::core::result::Result::Err(
                                __A::Error::invalid_length(index, &self),
                            );
                        }
                    },
                )*})
            }

            fn visit_map<__A: $crate::__serde::de::MapAccess<'__de>>(
                self,
                mut map: __A,
            ) -> ::core::result::Result<Self::Value, __A::Error> {
                use $crate::__serde::de::Error as _;
                $(let mut $field = ::core::option::Option::None;)*
                let names = $crate::__Names::of_fields(__FIELDS, |name| match name {
                    $($crate::__deserialize_in!(@key $field $($key)?) => {
                        __Field::$field as usize
                    })*
                    _ => __FIELDS.len(),
                });
                while let ::core::option::Option::Some(index) = map.next_key_seed(names)? {
                    $(
                        if index == __Field::$field as usize {
                            if $field.is_some() {
                                return ::core::result::Result::Err(
                                    __A::Error::duplicate_field(__FIELDS[index]),
                                );
                            }
                            let seed = $crate::ArenaSeed::new(self.0);
                            $field = ::core::option::Option::Some(map.next_value_seed(seed)?);
                            continue;
                        }
                    )*
                    map.next_value::<$crate::__serde::de::IgnoredAny>()?;
                }
                ::core::result::Result::Ok($name$(::$variant)? {$(
                    $field: match $field {
                        ::core::option::Option::Some(value) => value,
                        ::core::option::Option::None => {
                            let name = __FIELDS[__Field::$field as usize];
                            $crate::DeserializeIn::missing_in(name, self.0)?
                        }
                    },
                )*})
            }
        }
        $source.$method($($before,)? __FIELDS, __Fields($arena))
    }};

    (@key $name:ident) => {
        ::core::stringify!($name)
    };
    (@key $name:ident $key:literal) => {
        $key
    };
}

/// Reads the name of a field or variant as its index in a list, an unknown field's as the list's
/// length.
///
/// `find` does the same for text, as a `match` whose strings the compiler knows: walking the list
/// took one instruction in seven when short structs were read from JSON.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Names<F> {
    list: &'static [&'static str],
    find: F,
    may_be_unknown: bool,
}

impl<F: Fn(&str) -> usize> Names<F> {
    /// Fields: an unknown one is skipped.
    #[inline]
    pub const fn of_fields(list: &'static [&'static str], find: F) -> Names<F> {
        let may_be_unknown = true;
        Names {
            list,
            find,
            may_be_unknown,
        }
    }

    /// Variants: an unknown one is an error.
    #[inline]
    pub const fn of_variants(list: &'static [&'static str], find: F) -> Names<F> {
        let may_be_unknown = false;
        Names {
            list,
            find,
            may_be_unknown,
        }
    }
}

impl<F> fmt::Debug for Names<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Names").field(&self.list).finish()
    }
}

impl<'de, F: Fn(&str) -> usize> DeserializeSeed<'de> for Names<F> {
    type Value = usize;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<F: Fn(&str) -> usize> Visitor<'_> for Names<F> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of {} names, or its index", self.list.len())
    }

    fn visit_u64<E: Error>(self, index: u64) -> Result<usize, E> {
        match usize::try_from(index) {
            Ok(index) if index < self.list.len() => Ok(index),
            _ if self.may_be_unknown => Ok(self.list.len()),
            _ => Err(E::invalid_value(Unexpected::Unsigned(index), &self)),
        }
    }

    #[inline]
    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        let index = (self.find)(name);
        if index == self.list.len() && !self.may_be_unknown {
            return Err(E::unknown_variant(name, self.list));
        }
        Ok(index)
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<usize, E> {
        match core::str::from_utf8(name) {
            Ok(name) => self.visit_str(name),
            Err(_) if self.may_be_unknown => Ok(self.list.len()),
            Err(_) => Err(E::invalid_value(Unexpected::Bytes(name), &self)),
        }
    }
}
