//! Lists and maps: read into a vector that grows in place at the arena's low end, then frozen.
//!
//! I1: the length that the input states decides only what is reserved before the first element, at
//!     most [`RESERVED_BYTES_MAX`]; the elements that come decide the rest.

use core::borrow::Borrow;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

use ::serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::adapters::serde::{ArenaSeed, DeserializeIn};
use crate::arena::{Arena, ArenaVec};

/// What a stated length may reserve: an arena's first chunk. A vector grows in place anyway, so
/// more would save little; a document that nests lies 128 deep makes half a megabyte of it.
const RESERVED_BYTES_MAX: usize = 4 << 10;

read_in!(['de; T] ArenaVec<'a, T, MIN_ALIGN>, |deserializer, arena| {
    T::deserialize_list_in(deserializer, arena)
});

read_in!(['de; T] &'a mut [T], |deserializer, arena| {
    T::deserialize_list_in(deserializer, arena).map(ArenaVec::into_slice)
});

read_in!(['de: 'a; T] &'a [T], |deserializer, arena| {
    T::deserialize_slice_in(deserializer, arena)
});

/// A map as the list of its entries, in the input's order, with keys that come twice twice: for
/// maps that are walked, or small enough to be searched. Feature `serde`.
///
/// ```
/// use flagstone::{Arena, ArenaEntries};
///
/// let arena = Arena::new();
/// let mut json = serde_json::Deserializer::from_str(r#"{ "tea": 2, "jam": 1 }"#);
/// let counts: ArenaEntries<&str, u32> = arena.deserialize(&mut json)?;
/// assert_eq!(counts.get("jam"), Some(&1));
/// assert_eq!(counts[0], ("tea", 2));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArenaEntries<'a, K, V>(pub &'a [(K, V)]);

impl<'a, K, V> ArenaEntries<'a, K, V> {
    /// The value of the last entry with this key. Looks at every entry until it is found.
    pub fn get<Q: Eq + ?Sized>(&self, key: &Q) -> Option<&'a V>
    where
        K: Borrow<Q>,
    {
        let found = self.0.iter().rfind(|(own, _)| own.borrow() == key);
        found.map(|(_, value)| value)
    }
}

impl<K, V> Deref for ArenaEntries<'_, K, V> {
    type Target = [(K, V)];

    fn deref(&self) -> &[(K, V)] {
        self.0
    }
}

read_in!(['de; K, V] ArenaEntries<'a, K, V>, |deserializer, arena| {
    let entries = deserializer.deserialize_map(Map(List::new(arena)))?;
    Ok(ArenaEntries(entries.into_slice()))
});

/// Visits a list of `T`s.
pub(crate) struct List<'a, T, const MIN_ALIGN: usize> {
    arena: &'a Arena<MIN_ALIGN>,
    element: PhantomData<fn() -> T>,
}

impl<'a, T, const MIN_ALIGN: usize> List<'a, T, MIN_ALIGN> {
    pub(crate) fn new(arena: &'a Arena<MIN_ALIGN>) -> Self {
        let element = PhantomData;
        List { arena, element }
    }

    /// An empty vector with what room there is for `stated` values within the bound (I1).
    fn start(&self, stated: Option<usize>) -> ArenaVec<'a, T, MIN_ALIGN> {
        let most = RESERVED_BYTES_MAX / size_of::<T>().max(1);
        let reserved = stated.unwrap_or(0).min(most);
        ArenaVec::try_with_capacity_in(reserved, self.arena)
            .unwrap_or_else(|_| ArenaVec::new_in(self.arena))
    }
}

impl<'de, 'a, T, const MIN_ALIGN: usize> Visitor<'de> for List<'a, T, MIN_ALIGN>
where
    T: DeserializeIn<'de, 'a, MIN_ALIGN>,
{
    type Value = ArenaVec<'a, T, MIN_ALIGN>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = self.start(seq.size_hint());
        while let Some(value) = seq.next_element_seed(ArenaSeed::new(self.arena))? {
            list.try_push(value).map_err(A::Error::custom)?;
        }
        Ok(list)
    }
}

/// Visits a map.
struct Map<'a, K, V, const MIN_ALIGN: usize>(List<'a, (K, V), MIN_ALIGN>);

impl<'de, 'a, K, V, const MIN_ALIGN: usize> Visitor<'de> for Map<'a, K, V, MIN_ALIGN>
where
    K: DeserializeIn<'de, 'a, MIN_ALIGN>,
    V: DeserializeIn<'de, 'a, MIN_ALIGN>,
{
    type Value = ArenaVec<'a, (K, V), MIN_ALIGN>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let List { arena, .. } = self.0;
        let mut list = self.0.start(map.size_hint());
        while let Some(entry) = map.next_entry_seed(ArenaSeed::new(arena), ArenaSeed::new(arena))? {
            list.try_push(entry).map_err(A::Error::custom)?;
        }
        Ok(list)
    }
}
