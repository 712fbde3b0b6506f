//! serde: values read straight into an arena, and the arena's own types written.
//!
//! Owns the trait [`DeserializeIn`], the seed that plugs it into formats, and in the files beside:
//! `scalars` (single values), `text` (strings and bytes), `lists` (lists and maps), `derive` (the
//! macro for structs and enums), `serialize`.
//!
//! I1: a length that the input states reserves a bounded number of bytes (`lists`), and reserving
//!     that is refused is no error: a lying length cannot make a document fail.
//! I2: a refused allocation becomes the format's error, with the text of the `AllocError`. Nothing
//!     panics, and the arena stays usable: what was read so far stays in it until its reset.
//!
//! Knows no format.

/// `DeserializeIn` for a type, by the expression that reads it. Its `parts` have it, too.
macro_rules! read_in {
    (
        [$input:lifetime $(: $bound:lifetime)?; $($parts:ident),*] $value:ty,
        |$deserializer:ident, $arena:ident| $read:expr
    ) => {
        impl<$input $(: $bound)?, 'a, $($parts,)* const MIN_ALIGN: usize>
            DeserializeIn<'de, 'a, MIN_ALIGN> for $value
        where
            $($parts: DeserializeIn<'de, 'a, MIN_ALIGN>,)*
        {
            #[inline]
            fn deserialize_in<D: Deserializer<'de>>(
                $deserializer: D,
                $arena: &'a Arena<MIN_ALIGN>,
            ) -> Result<Self, D::Error> {
                $read
            }
        }
    };
}

mod derive;
mod lists;
mod scalars;
mod serialize;
mod text;

use core::fmt;
use core::marker::PhantomData;

use ::serde::de::{DeserializeSeed, Deserializer, Error};

pub use crate::adapters::serde::derive::Names;
pub use crate::adapters::serde::lists::ArenaEntries;
pub use crate::adapters::serde::scalars::ViaSerde;

use crate::arena::{Arena, ArenaVec};

/// A value that is deserialized with an arena at hand: what it points to lies there, or in the
/// input. Started by [`Arena::deserialize`]. Feature `serde`.
///
/// | type | read as | where it lies |
/// |---|---|---|
/// | numbers, `bool`, `char`, `()` | themselves | in the value |
/// | `&'a str`, `&'a [u8]` | text, bytes | in the input if the format can lend it, else the arena |
/// | `&'a mut str`, [`ArenaString`](crate::ArenaString) | text | copied into the arena |
/// | `&'a mut [u8]`, `ArenaVec<u8>` | bytes | copied into the arena |
/// | `&'a [T]`, `&'a mut [T]`, [`ArenaVec`] | a list | in the arena |
/// | `&'a T`, `&'a mut T`, [`ArenaBox`](crate::ArenaBox) | a `T` | in the arena |
/// | [`ArenaEntries`] | a map | in the arena, as a list of pairs |
/// | `Option`, tuples to 12, `[T; N]` | as serde has them | in the value |
/// | [`ViaSerde<T>`](ViaSerde) | by `T`'s own `Deserialize` | where `T` puts it |
/// | structs and enums | [`deserialize_in!`](crate::deserialize_in) | in the value |
///
/// `'de` is the life of the input, `'a` of the arena's borrow. Whatever may borrow from the input
/// needs `'de: 'a`. If the input goes away first, copy it into the arena before: one copy
/// of the whole is faster than one per string.
/// ```
/// use flagstone::Arena;
///
/// let arena = Arena::new();
/// let names: &[&str] = {
///     let received = String::from(r#"["one", "two"]"#);
///     let text: &str = arena.alloc_str(&received);
///     arena.deserialize(&mut serde_json::Deserializer::from_str(text))?
/// };
/// assert_eq!(names, ["one", "two"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # By hand
/// ```
/// use flagstone::{Arena, DeserializeIn};
/// use serde::de::{Deserializer, Error};
///
/// /// A name in lower case.
/// struct Slug<'a>(&'a str);
///
/// impl<'de, 'a, const MIN_ALIGN: usize> DeserializeIn<'de, 'a, MIN_ALIGN> for Slug<'a> {
///     fn deserialize_in<D: Deserializer<'de>>(
///         deserializer: D,
///         arena: &'a Arena<MIN_ALIGN>,
///     ) -> Result<Self, D::Error> {
///         let text: &'a mut str = arena.deserialize(deserializer)?;
///         if text.is_empty() {
///             return Err(D::Error::custom("a slug is empty"));
///         }
///         text.make_ascii_lowercase();
///         Ok(Slug(text))
///     }
/// }
///
/// let arena = Arena::new();
/// let Slug(slug) = arena.deserialize(&mut serde_json::Deserializer::from_str("\"Tea\""))?;
/// assert_eq!(slug, "tea");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Hostile input
/// A length that the input states reserves at most 4 KiB before elements have come; limit the arena
/// ([`ArenaBuilder::limit_bytes`](crate::ArenaBuilder::limit_bytes)) to bound the whole. Types that
/// contain themselves are read by recursion, as deep as the format allows: serde_json stops at a
/// depth of 128 unless told otherwise.
pub trait DeserializeIn<'de, 'a, const MIN_ALIGN: usize = 8>: Sized {
    /// Reads one value.
    ///
    /// # Errors
    /// The format's, and [`AllocError`](crate::AllocError) as a custom error of the format. What
    /// was read until then stays in the arena until its reset.
    fn deserialize_in<D: Deserializer<'de>>(
        deserializer: D,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, D::Error>;

    /// The value of a struct's field that the input lacks: `None` for an `Option`.
    ///
    /// # Errors
    /// That the field is missing, unless the type has a value for that.
    fn missing_in<E: Error>(field: &'static str, _: &'a Arena<MIN_ALIGN>) -> Result<Self, E> {
        Err(E::missing_field(field))
    }

    /// A list of these, to be changed. Only bytes have a way of their own.
    #[doc(hidden)]
    fn deserialize_list_in<D: Deserializer<'de>>(
        deserializer: D,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<ArenaVec<'a, Self, MIN_ALIGN>, D::Error> {
        deserializer.deserialize_seq(lists::List::new(arena))
    }

    /// A list of these, to be looked at. Only bytes have a way of their own.
    #[doc(hidden)]
    fn deserialize_slice_in<D: Deserializer<'de>>(
        deserializer: D,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<&'a [Self], D::Error>
    where
        'de: 'a,
    {
        Ok(Self::deserialize_list_in(deserializer, arena)?.into_slice())
    }
}

impl<const MIN_ALIGN: usize> Arena<MIN_ALIGN> {
    /// Reads a value from any format of serde, straight into the arena. Feature `serde`.
    ///
    /// ```
    /// use flagstone::{Arena, deserialize_in};
    ///
    /// deserialize_in! {
    ///     struct Order<'a> {
    ///         customer: &'a str,
    ///         lines: &'a [Line<'a>],
    ///         note: Option<&'a str>,
    ///     }
    /// }
    /// deserialize_in! {
    ///     struct Line<'a> { item: &'a str, count: u32 }
    /// }
    ///
    /// let text = r#"{ "customer": "Ada", "lines": [{ "item": "tea", "count": 2 }] }"#;
    /// let arena = Arena::new();
    /// let mut json = serde_json::Deserializer::from_str(text);
    /// let order: Order = arena.deserialize(&mut json)?;
    /// json.end()?;
    /// assert_eq!((order.customer, order.lines[0].count, order.note), ("Ada", 2, None));
    /// assert!(!arena.contains(order.customer), "it is a piece of the input");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    /// What it borrows cannot outlive the input:
    /// ```compile_fail,E0597
    /// let arena = flagstone::Arena::new();
    /// let name: &str = {
    ///     let text = String::from("\"Ada\"");
    ///     arena.deserialize(&mut serde_json::Deserializer::from_str(&text)).unwrap()
    /// };
    /// assert_eq!(name, "Ada");
    /// ```
    ///
    /// # Errors
    /// As for [`DeserializeIn::deserialize_in`].
    #[inline]
    pub fn deserialize<'de, 'a, T, D>(&'a self, deserializer: D) -> Result<T, D::Error>
    where
        T: DeserializeIn<'de, 'a, MIN_ALIGN>,
        D: Deserializer<'de>,
    {
        T::deserialize_in(deserializer, self)
    }
}

/// A [`DeserializeIn`] as serde's `DeserializeSeed`: for the elements and entries that a visitor of
/// your own reads, and for formats that take a seed. Feature `serde`.
///
/// ```
/// use flagstone::{Arena, ArenaSeed};
/// use serde::de::{DeserializeSeed, MapAccess, value::MapDeserializer};
///
/// let arena = Arena::new();
/// let mut map = MapDeserializer::<_, serde_json::Error>::new([("one", 1)].into_iter());
/// let entry: Option<(&str, u64)> =
///     map.next_entry_seed(ArenaSeed::new(&arena), ArenaSeed::new(&arena))?;
/// assert_eq!(entry, Some(("one", 1)));
/// # Ok::<(), serde_json::Error>(())
/// ```
pub struct ArenaSeed<'a, T, const MIN_ALIGN: usize = 8> {
    arena: &'a Arena<MIN_ALIGN>,
    value: PhantomData<fn() -> T>,
}

impl<'a, T, const MIN_ALIGN: usize> ArenaSeed<'a, T, MIN_ALIGN> {
    /// A seed that reads a `T` into `arena`.
    #[inline]
    pub const fn new(arena: &'a Arena<MIN_ALIGN>) -> Self {
        ArenaSeed {
            arena,
            value: PhantomData,
        }
    }
}

impl<'de, 'a, T, const MIN_ALIGN: usize> DeserializeSeed<'de> for ArenaSeed<'a, T, MIN_ALIGN>
where
    T: DeserializeIn<'de, 'a, MIN_ALIGN>,
{
    type Value = T;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize_in(deserializer, self.arena)
    }
}

impl<T, const MIN_ALIGN: usize> Clone for ArenaSeed<'_, T, MIN_ALIGN> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, const MIN_ALIGN: usize> Copy for ArenaSeed<'_, T, MIN_ALIGN> {}

impl<T, const MIN_ALIGN: usize> fmt::Debug for ArenaSeed<'_, T, MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaSeed")
            .field("value", &core::any::type_name::<T>())
            .finish_non_exhaustive()
    }
}
