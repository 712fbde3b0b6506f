//! The table behind a slab's keys: an entry per key with a generation, and an exact bitmap of the
//! entries in use.
//!
//! The bits of a raw slab say what the slab has given out, not what holds a value, so they never
//! drive iteration; this bitmap does. The table holds addresses; it never touches the values.
//!
//! * I1: bit i of `used` is set exactly while entry i has a value; its generation is odd then.
//! * I2: a generation grows by one at each insert and remove and never comes back: an entry whose
//!   generation would wrap is retired.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use crate::base::error::AllocError;

/// Names a value in a [`Slab`](crate::Slab). Eight bytes, `Option<Key>` too. Once the value is
/// removed the key finds nothing, also when its place is used again.
///
/// A key used with another slab than the one it came from finds nothing or some other value there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    index: u32,
    /// Odd, hence never zero.
    generation: core::num::NonZeroU32,
}

#[derive(Debug)]
struct Entry {
    /// The slot's address while used.
    slot: usize,
    generation: u32,
}

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct KeyTable {
    entries: Vec<Entry>,
    used: Vec<u64>,
    free: Vec<u32>,
    len: usize,
}

impl KeyTable {
    pub(crate) const fn new() -> KeyTable {
        KeyTable {
            entries: Vec::new(),
            used: Vec::new(),
            free: Vec::new(),
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes room for one more entry.
    pub(crate) fn reserve(&mut self) -> Result<(), AllocError> {
        if !self.free.is_empty() {
            return Ok(());
        }
        let full = self.entries.len() == u32::MAX as usize;
        // `free` must have room for every entry, so that removing never allocates.
        let wanted = self.entries.len() + 1 - self.free.len();
        let reserved = !full
            && self.entries.try_reserve(1).is_ok()
            && self.used.try_reserve(1).is_ok()
            && self.free.try_reserve(wanted).is_ok();
        let bytes = size_of::<Entry>() * wanted;
        if reserved {
            Ok(())
        } else {
            Err(AllocError::SourceExhausted { bytes })
        }
    }

    /// Enters a slot. Room was reserved.
    pub(crate) fn insert(&mut self, slot: usize) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry {
                slot: 0,
                generation: 0,
            });
            if self.used.len() * 64 < self.entries.len() {
                self.used.push(0);
            }
            self.entries.len() as u32 - 1
        });
        let entry = &mut self.entries[index as usize];
        entry.slot = slot;
        entry.generation += 1;
        self.used[index as usize / 64] |= 1 << (index % 64);
        self.len += 1;
        // An even generation became odd, so it is not zero.
        let generation = core::num::NonZeroU32::MIN.saturating_add(entry.generation - 1);
        Key { index, generation }
    }

    /// The slot of a key whose value is still there.
    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<usize> {
        let entry = self.entries.get(key.index as usize)?;
        // A used entry's generation is odd and a key's too, so equality says used.
        (entry.generation == key.generation.get()).then_some(entry.slot)
    }

    /// Takes a key out; its slot is the caller's.
    pub(crate) fn remove(&mut self, key: Key) -> Option<usize> {
        let slot = self.get(key)?;
        self.clear(key.index as usize);
        Some(slot)
    }

    fn clear(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        self.used[index / 64] &= !(1 << (index % 64));
        self.len -= 1;
        match entry.generation.checked_add(1) {
            Some(next) => {
                entry.generation = next;
                self.free.push(index as u32);
            }
            // Retired (I2): 0 is even, so no key matches, and it is not put on the free list.
            None => entry.generation = 0,
        }
    }

    /// The first used entry at or after `from`: its number and slot.
    pub(crate) fn next(&self, from: usize) -> Option<(usize, usize)> {
        let mut word_index = from / 64;
        let mut bits = self.used.get(word_index)? & (u64::MAX << (from % 64));
        while bits == 0 {
            word_index += 1;
            bits = *self.used.get(word_index)?;
        }
        let index = word_index * 64 + bits.trailing_zeros() as usize;
        Some((index, self.entries[index].slot))
    }

    /// Takes any used entry out; its slot is the caller's.
    pub(crate) fn pop(&mut self) -> Option<usize> {
        let (index, slot) = self.next(0)?;
        self.clear(index);
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_whose_generation_is_used_up_is_retired() {
        let mut table = KeyTable::new();
        table.reserve().unwrap();
        let first = table.insert(16);
        table.entries[0].generation = u32::MAX;
        let last = Key {
            index: 0,
            generation: core::num::NonZeroU32::MAX,
        };
        assert_eq!(table.remove(last), Some(16));
        assert_eq!(table.get(first), None);
        table.reserve().unwrap();
        assert_eq!(table.insert(32).index, 1);
    }
}
