//! [`ArenaHashMap`]: hashbrown's map over an arena, without a destructor.
//!
//! I1: keys, values and hasher need no drop. So not dropping the map loses nothing but its table,
//!     which ends with the arena; and a map taken out of here (`DerefMut` lends it, and
//!     `into_inner` gives it away) is an ordinary one, whose drop gives its table back.
//!
//! What an arena's memory demands of a collection is in its type, `HashMap<…, &'a Arena>`; nothing
//! here is unsafe.
#![forbid(unsafe_code)]

use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::mem::{ManuallyDrop, needs_drop};
use core::ops::{Deref, DerefMut};

use hashbrown::{DefaultHashBuilder, HashMap, TryReserveError, hash_map};

use crate::arena::Arena;
use crate::base::error::AllocError;
use crate::base::trap::or_refuse;

/// A hash map in an arena, over [`hashbrown::HashMap`], which it dereferences to. It has no
/// destructor, so it can lie in an arena itself; keys, values or a hasher that need drop are a
/// compile error. A table that grows leaves the old one behind until the arena is reset, so a
/// capacity to start with saves memory.
///
/// ```
/// use flagstone::{Arena, ArenaHashMap};
/// struct Scope<'a> { names: ArenaHashMap<'a, &'a str, u32> }
/// let arena = Arena::new();
/// let scope: &mut Scope = arena.alloc(Scope { names: ArenaHashMap::new_in(&arena) });
/// scope.names.insert(arena.alloc_str("one"), 1);
/// *scope.names.entry("two").or_insert(1) += 1;
/// assert_eq!((scope.names["one"], scope.names.get("two")), (1, Some(&2)));
/// ```
///
/// ```compile_fail
/// let arena = flagstone::Arena::new();
/// flagstone::ArenaHashMap::<u32, String>::new_in(&arena);
/// ```
pub struct ArenaHashMap<'a, K, V, S = DefaultHashBuilder, const MIN_ALIGN: usize = 8> {
    map: ManuallyDrop<HashMap<K, V, S, &'a Arena<MIN_ALIGN>>>,
}

impl<'a, K, V, const MIN_ALIGN: usize> ArenaHashMap<'a, K, V, DefaultHashBuilder, MIN_ALIGN> {
    /// An empty map. Allocates nothing.
    pub fn new_in(arena: &'a Arena<MIN_ALIGN>) -> Self {
        Self::with_hasher_in(DefaultHashBuilder::default(), arena)
    }
}

impl<'a, K, V, S, const MIN_ALIGN: usize> ArenaHashMap<'a, K, V, S, MIN_ALIGN> {
    /// An empty map that hashes with `hasher`. Allocates nothing.
    pub fn with_hasher_in(hasher: S, arena: &'a Arena<MIN_ALIGN>) -> Self {
        const {
            assert!(
                !needs_drop::<K>() && !needs_drop::<V>() && !needs_drop::<S>(),
                "keys, values and hashers of an arena's map are not dropped: none may need it"
            );
        }
        ArenaHashMap {
            map: ManuallyDrop::new(HashMap::with_hasher_in(hasher, arena)),
        }
    }

    /// The map itself, which gives its table back to the arena when it is dropped.
    pub fn into_inner(self) -> HashMap<K, V, S, &'a Arena<MIN_ALIGN>> {
        ManuallyDrop::into_inner(self.map)
    }

    /// The arena the map grows in.
    pub fn arena(&self) -> &'a Arena<MIN_ALIGN> {
        self.map.allocator()
    }
}

impl<'a, K: Eq + Hash, V, const MIN_ALIGN: usize>
    ArenaHashMap<'a, K, V, DefaultHashBuilder, MIN_ALIGN>
{
    /// An empty map with room for `capacity` entries.
    ///
    /// # Panics
    /// When [`ArenaHashMap::try_with_capacity_in`] would return an error.
    pub fn with_capacity_in(capacity: usize, arena: &'a Arena<MIN_ALIGN>) -> Self {
        or_refuse(Self::try_with_capacity_in(capacity, arena))
    }

    /// An empty map with room for `capacity` entries.
    ///
    /// # Errors
    /// The limit that was hit, or that the size is too large for any.
    pub fn try_with_capacity_in(
        capacity: usize,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, AllocError> {
        let mut map = Self::new_in(arena);
        map.try_reserve(capacity)?;
        Ok(map)
    }

    /// A map of the pairs that an iterator yields; of equal keys the last value counts. The
    /// iterator may allocate in the same arena.
    ///
    /// # Panics
    /// When the iterator does, or [`ArenaHashMap::try_from_iter_in`] would return an error.
    pub fn from_iter_in(
        pairs: impl IntoIterator<Item = (K, V)>,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Self {
        or_refuse(Self::try_from_iter_in(pairs, arena))
    }

    /// A map of the pairs that an iterator yields; of equal keys the last value counts.
    ///
    /// ```
    /// use flagstone::{Arena, ArenaHashMap};
    /// let arena = Arena::new();
    /// let squares: ArenaHashMap<u32, u32> =
    ///     ArenaHashMap::try_from_iter_in((0..9).map(|n| (n, n * n)), &arena)?;
    /// assert_eq!(squares[&7], 49);
    /// # Ok::<(), flagstone::AllocError>(())
    /// ```
    ///
    /// # Errors
    /// The limit that was hit; the pairs so far are gone then.
    ///
    /// # Panics
    /// When the iterator does.
    pub fn try_from_iter_in(
        pairs: impl IntoIterator<Item = (K, V)>,
        arena: &'a Arena<MIN_ALIGN>,
    ) -> Result<Self, AllocError> {
        let mut map = Self::new_in(arena);
        map.try_extend(pairs)?;
        Ok(map)
    }
}

impl<K: Eq + Hash, V, S: BuildHasher, const MIN_ALIGN: usize> ArenaHashMap<'_, K, V, S, MIN_ALIGN> {
    /// Makes room for `additional` more entries: `insert` and `entry` of so many cannot fail then.
    ///
    /// # Errors
    /// The limit that was hit, or that the size is too large for any; nothing changes then.
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), AllocError> {
        let reserved = self.map.try_reserve(additional);
        reserved.map_err(|error| match error {
            TryReserveError::CapacityOverflow => AllocError::LayoutTooLarge,
            // hashbrown does not hand on why; asked the same, the arena answers the same.
            TryReserveError::AllocError { layout } => match self.arena().allocate(layout) {
                Err(error) => error,
                Ok(_) => AllocError::LayoutTooLarge,
            },
        })
    }

    /// Inserts the pairs that an iterator yields. The iterator may allocate in the same arena.
    ///
    /// # Errors
    /// The limit that was hit; the pairs before it are kept.
    ///
    /// # Panics
    /// When the iterator does.
    pub fn try_extend(
        &mut self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), AllocError> {
        let pairs = pairs.into_iter();
        // Half of what is announced if there are entries, as many keys may be there already.
        let announced = pairs.size_hint().0;
        let more = if self.map.is_empty() {
            announced
        } else {
            announced.div_ceil(2)
        };
        self.try_reserve(more)?;
        for (key, value) in pairs {
            self.try_reserve(1)?;
            self.map.insert(key, value);
        }
        Ok(())
    }
}

impl<'a, K, V, S, const MIN_ALIGN: usize> Deref for ArenaHashMap<'a, K, V, S, MIN_ALIGN> {
    type Target = HashMap<K, V, S, &'a Arena<MIN_ALIGN>>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.map
    }
}

impl<K, V, S, const MIN_ALIGN: usize> DerefMut for ArenaHashMap<'_, K, V, S, MIN_ALIGN> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.map
    }
}

impl<K: Eq + Hash, V, S: BuildHasher, const MIN_ALIGN: usize> Extend<(K, V)>
    for ArenaHashMap<'_, K, V, S, MIN_ALIGN>
{
    /// # Panics
    /// When the iterator does, or [`ArenaHashMap::try_extend`] would return an error.
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        or_refuse(self.try_extend(pairs));
    }
}

impl<K: Eq + Hash, V: PartialEq, S: BuildHasher, const MIN_ALIGN: usize> PartialEq
    for ArenaHashMap<'_, K, V, S, MIN_ALIGN>
{
    fn eq(&self, other: &Self) -> bool {
        *self.map == *other.map
    }
}

impl<K: Eq + Hash, V: Eq, S: BuildHasher, const MIN_ALIGN: usize> Eq
    for ArenaHashMap<'_, K, V, S, MIN_ALIGN>
{
}

impl<K: fmt::Debug, V: fmt::Debug, S, const MIN_ALIGN: usize> fmt::Debug
    for ArenaHashMap<'_, K, V, S, MIN_ALIGN>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (*self.map).fmt(f)
    }
}

impl<'a, K, V, S, const MIN_ALIGN: usize> IntoIterator for ArenaHashMap<'a, K, V, S, MIN_ALIGN> {
    type Item = (K, V);
    type IntoIter = hash_map::IntoIter<K, V, &'a Arena<MIN_ALIGN>>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_inner().into_iter()
    }
}

impl<'m, K, V, S, const MIN_ALIGN: usize> IntoIterator
    for &'m ArenaHashMap<'_, K, V, S, MIN_ALIGN>
{
    type Item = (&'m K, &'m V);
    type IntoIter = hash_map::Iter<'m, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.map.iter()
    }
}

impl<'m, K, V, S, const MIN_ALIGN: usize> IntoIterator
    for &'m mut ArenaHashMap<'_, K, V, S, MIN_ALIGN>
{
    type Item = (&'m K, &'m mut V);
    type IntoIter = hash_map::IterMut<'m, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.map.iter_mut()
    }
}
