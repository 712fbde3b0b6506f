//! Single values: what serde reads by itself, and what holds exactly one or a fixed number of
//! others. All of it lies in the value itself, but for references and boxes.

use core::fmt;
use core::marker::PhantomData;

use ::serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::adapters::serde::{ArenaSeed, DeserializeIn};
use crate::arena::{Arena, ArenaBox};

/// Types that need no arena and whose lists have no way of their own.
macro_rules! read_by_serde {
    ($($value:ty)*) => {$(
        impl<'de, 'a, const MIN_ALIGN: usize> DeserializeIn<'de, 'a, MIN_ALIGN> for $value {
            #[inline]
            fn deserialize_in<D: Deserializer<'de>>(
                deserializer: D,
                _: &'a Arena<MIN_ALIGN>,
            ) -> Result<Self, D::Error> {
                <$value>::deserialize(deserializer)
            }
        }
    )*};
}

read_by_serde!(() bool char f32 f64 i8 i16 i32 i64 i128 isize u16 u32 u64 u128 usize);

/// A value read by its own `Deserialize`: the way for types of other crates. Feature `serde`.
///
/// ```
/// use flagstone::{Arena, ViaSerde};
/// use std::net::Ipv4Addr;
///
/// let arena = Arena::new();
/// let mut json = serde_json::Deserializer::from_str(r#"["127.0.0.1", "10.0.0.1"]"#);
/// let hosts: &[ViaSerde<Ipv4Addr>] = arena.deserialize(&mut json)?;
/// assert!(hosts[0].0.is_loopback());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViaSerde<T>(pub T);

impl<'de, 'a, T, const MIN_ALIGN: usize> DeserializeIn<'de, 'a, MIN_ALIGN> for ViaSerde<T>
where
    T: Deserialize<'de>,
{
    fn deserialize_in<D: Deserializer<'de>>(
        deserializer: D,
        _: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(ViaSerde)
    }
}

read_in!(['de; T] &'a mut T, |deserializer, arena| {
    let value = T::deserialize_in(deserializer, arena)?;
    arena.try_alloc(value).map_err(D::Error::custom)
});

read_in!(['de; T] &'a T, |deserializer, arena| {
    <&'a mut T>::deserialize_in(deserializer, arena).map(|value| &*value)
});

read_in!(['de; T] ArenaBox<'a, T>, |deserializer, arena| {
    let value = T::deserialize_in(deserializer, arena)?;
    arena.try_alloc_box(value).map_err(D::Error::custom)
});

impl<'de, 'a, T, const MIN_ALIGN: usize> DeserializeIn<'de, 'a, MIN_ALIGN> for Option<T>
where
    T: DeserializeIn<'de, 'a, MIN_ALIGN>,
{
    fn deserialize_in<D: Deserializer<'de>>(
        deserializer: D,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_option(Parts::<Self, MIN_ALIGN>::new(arena))
    }

    fn missing_in<E: Error>(_: &'static str, _: &'a Arena<MIN_ALIGN>) -> Result<Self, E> {
        Ok(None)
    }
}

/// Visits a value `T` that is made of others.
struct Parts<'a, T, const MIN_ALIGN: usize> {
    arena: &'a Arena<MIN_ALIGN>,
    value: PhantomData<fn() -> T>,
}

impl<'a, T, const MIN_ALIGN: usize> Parts<'a, T, MIN_ALIGN> {
    fn new(arena: &'a Arena<MIN_ALIGN>) -> Self {
        let value = PhantomData;
        Parts { arena, value }
    }
}

impl<'de, 'a, T, const MIN_ALIGN: usize> Visitor<'de> for Parts<'a, Option<T>, MIN_ALIGN>
where
    T: DeserializeIn<'de, 'a, MIN_ALIGN>,
{
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

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        T::deserialize_in(deserializer, self.arena).map(Some)
    }
}

impl<'de, 'a, T, const N: usize, const MIN_ALIGN: usize> DeserializeIn<'de, 'a, MIN_ALIGN>
    for [T; N]
where
    T: DeserializeIn<'de, 'a, MIN_ALIGN>,
{
    fn deserialize_in<D: Deserializer<'de>>(
        deserializer: D,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(N, Parts::<Self, MIN_ALIGN>::new(arena))
    }
}

impl<'de, 'a, T, const N: usize, const MIN_ALIGN: usize> Visitor<'de>
    for Parts<'a, [T; N], MIN_ALIGN>
where
    T: DeserializeIn<'de, 'a, MIN_ALIGN>,
{
    type Value = [T; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of length {N}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<[T; N], A::Error> {
        let mut values = [const { None }; N];
        for (index, value) in values.iter_mut().enumerate() {
            *value = seq.next_element_seed(ArenaSeed::new(self.arena))?;
            if value.is_none() {
                return Err(A::Error::invalid_length(index, &self));
            }
        }
        Ok(values.map(|value| value.expect("every element was read")))
    }
}

macro_rules! read_tuple {
    ($len:literal $($index:literal $part:ident)*) => {
        impl<'de, 'a, $($part,)* const MIN_ALIGN: usize> DeserializeIn<'de, 'a, MIN_ALIGN>
            for ($($part,)*)
        where
            $($part: DeserializeIn<'de, 'a, MIN_ALIGN>,)*
        {
            fn deserialize_in<Input: Deserializer<'de>>(
                deserializer: Input,
                arena: &'a Arena<MIN_ALIGN>,
            ) -> Result<Self, Input::Error> {
                deserializer.deserialize_tuple($len, Parts::<Self, MIN_ALIGN>::new(arena))
            }
        }

        impl<'de, 'a, $($part,)* const MIN_ALIGN: usize> Visitor<'de>
            for Parts<'a, ($($part,)*), MIN_ALIGN>
        where
            $($part: DeserializeIn<'de, 'a, MIN_ALIGN>,)*
        {
            type Value = ($($part,)*);

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!("a tuple of ", $len, " values"))
            }

            fn visit_seq<Seq: SeqAccess<'de>>(
                self,
                mut seq: Seq,
            ) -> Result<Self::Value, Seq::Error> {
                Ok(($(
                    seq.next_element_seed(ArenaSeed::<$part, MIN_ALIGN>::new(self.arena))?
                        .ok_or_else(|| Seq::Error::invalid_length($index, &self))?,
                )*))
            }
        }
    };
}

read_tuple!(1 0 A);
read_tuple!(2 0 A 1 B);
read_tuple!(3 0 A 1 B 2 C);
read_tuple!(4 0 A 1 B 2 C 3 D);
read_tuple!(5 0 A 1 B 2 C 3 D 4 E);
read_tuple!(6 0 A 1 B 2 C 3 D 4 E 5 F);
read_tuple!(7 0 A 1 B 2 C 3 D 4 E 5 F 6 G);
read_tuple!(8 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H);
read_tuple!(9 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I);
read_tuple!(10 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J);
read_tuple!(11 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K);
read_tuple!(12 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K 11 L);
