//! The arena's types written by serde: as what they hold.

use ::serde::ser::{Serialize, Serializer};

use crate::adapters::serde::{ArenaEntries, ViaSerde};
use crate::arena::{ArenaBox, ArenaString, ArenaVec};

impl<T: Serialize, const MIN_ALIGN: usize> Serialize for ArenaVec<'_, T, MIN_ALIGN> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl<const MIN_ALIGN: usize> Serialize for ArenaString<'_, MIN_ALIGN> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_str().serialize(serializer)
    }
}

impl<T: Serialize> Serialize for ArenaBox<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

/// A map again.
impl<K: Serialize, V: Serialize> Serialize for ArenaEntries<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(key, value)| (key, value)))
    }
}

impl<T: Serialize> Serialize for ViaSerde<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
