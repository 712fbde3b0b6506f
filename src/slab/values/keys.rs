//! The table behind a slab's keys: an entry per key with its slot and a version.
//!
//! The bits of a raw slab say what the slab has given out, not what holds a value, so they never
//! drive iteration; the versions do. The table holds addresses; it never touches the values. An
//! entry keeps its slot when its value is removed, so that the next insert asks nobody for one.
//!
//! * I1: an entry's version is odd exactly while its slot holds a value.
//! * I2: a version grows by one at each insert and remove and never comes back: an entry whose
//!   version would wrap is retired, and its slot with it, once in 2^31 uses of one entry.
//! * I3: entries without a value that are not retired are in one of two lists linked through
//!   `next`: those in `parked` have a slot, those in `bare` have none.
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
    version: core::num::NonZeroU32,
}

/// No entry: an index that no table reaches, as it is not below any number of entries.
const NONE: u32 = u32::MAX;

/// 16 bytes, so that a look-up touches one line.
#[derive(Debug)]
struct Entry {
    /// The slot's address, 0 for none.
    slot: usize,
    version: u32,
    /// The next entry of the list that this one is in.
    next: u32,
}

const _: () = assert!(usize::BITS != 64 || size_of::<Entry>() == 16);

/// See the module's header.
#[derive(Debug)]
pub(crate) struct KeyTable {
    entries: Vec<Entry>,
    parked: u32,
    bare: u32,
    len: usize,
}

impl KeyTable {
    pub(crate) const fn new() -> KeyTable {
        KeyTable {
            entries: Vec::new(),
            parked: NONE,
            bare: NONE,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes room for one more entry.
    pub(crate) fn reserve(&mut self) -> Result<(), AllocError> {
        let full = self.entries.len() == NONE as usize;
        if self.bare != NONE || (!full && self.entries.try_reserve(1).is_ok()) {
            return Ok(());
        }
        let bytes = size_of::<Entry>() * (self.entries.len() + 1);
        Err(AllocError::SourceExhausted { bytes })
    }

    /// Enters the value that the caller puts in the slot returned, if an entry has one parked.
    #[inline(always)]
    pub(crate) fn insert_parked(&mut self) -> Option<(Key, usize)> {
        let index = self.parked;
        let entry = self.entries.get_mut(index as usize)?;
        self.parked = entry.next;
        self.len += 1;
        Some((entry.occupy(index), entry.slot))
    }

    /// Enters a slot. Room was reserved.
    pub(crate) fn insert(&mut self, slot: usize) -> Key {
        let index = match self.entries.get(self.bare as usize) {
            Some(entry) => core::mem::replace(&mut self.bare, entry.next),
            None => {
                self.entries.push(Entry {
                    slot: 0,
                    version: 0,
                    next: NONE,
                });
                self.entries.len() as u32 - 1
            }
        };
        self.len += 1;
        let entry = &mut self.entries[index as usize];
        entry.slot = slot;
        entry.occupy(index)
    }

    /// The slot of a key whose value is still there.
    #[inline(always)]
    pub(crate) fn get(&self, key: Key) -> Option<usize> {
        let entry = self.entries.get(key.index as usize)?;
        // A used entry's version is odd and a key's too, so equality says used.
        (entry.version == key.version.get()).then_some(entry.slot)
    }

    /// Takes a key out. The value in its slot is the caller's, to be moved out before the table is
    /// used again; the slot stays with the entry.
    #[inline(always)]
    pub(crate) fn remove(&mut self, key: Key) -> Option<usize> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.version != key.version.get() {
            return None;
        }
        self.len -= 1;
        entry.version = entry.version.wrapping_add(1);
        // Otherwise retired (I2): 0 is even, so no key matches, and it is in no list.
        if entry.version != 0 {
            entry.next = self.parked;
            self.parked = key.index;
        }
        Some(entry.slot)
    }

    /// Takes a slot without a value from an entry; it is the caller's.
    pub(crate) fn unpark(&mut self) -> Option<usize> {
        let entry = self.entries.get_mut(self.parked as usize)?;
        let index = core::mem::replace(&mut self.parked, entry.next);
        entry.next = core::mem::replace(&mut self.bare, index);
        Some(core::mem::take(&mut entry.slot))
    }

    /// The first used entry at or after `from`: its number and slot.
    pub(crate) fn next(&self, from: usize) -> Option<(usize, usize)> {
        let rest = self.entries.get(from..)?;
        let step = rest.iter().position(Entry::is_used)?;
        Some((from + step, rest[step].slot))
    }

    /// Takes a used entry out, with all that lie behind it: the way a table ends. Its slot is the
    /// caller's.
    pub(crate) fn pop(&mut self) -> Option<usize> {
        (self.parked, self.bare) = (NONE, NONE);
        loop {
            let entry = self.entries.pop()?;
            if entry.is_used() {
                self.len -= 1;
                return Some(entry.slot);
            }
        }
    }
}

impl Entry {
    fn is_used(&self) -> bool {
        self.version % 2 == 1
    }

    /// The key of the value that comes into the entry, whose number is `index`.
    #[inline(always)]
    fn occupy(&mut self, index: u32) -> Key {
        // Even, so this adds one.
        let version = core::num::NonZeroU32::MIN | self.version;
        self.version = version.get();
        Key { index, version }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_whose_version_is_used_up_is_retired() {
        let mut table = KeyTable::new();
        table.reserve().unwrap();
        let first = table.insert(16);
        table.entries[0].version = u32::MAX;
        let last = Key {
            index: 0,
            version: core::num::NonZeroU32::MAX,
        };
        assert_eq!(table.remove(last), Some(16));
        assert_eq!(table.get(first), None);
        assert!(table.insert_parked().is_none() && table.unpark().is_none());
        table.reserve().unwrap();
        assert_eq!(table.insert(32).index, 1);
    }

    #[test]
    fn a_removed_entry_keeps_its_slot_until_it_is_unparked() {
        let mut table = KeyTable::new();
        let keys = [16, 32, 48].map(|slot| {
            table.reserve().unwrap();
            table.insert(slot)
        });
        assert_eq!(table.remove(keys[1]), Some(32));
        assert_eq!(table.remove(keys[1]), None);
        let (again, slot) = table.insert_parked().unwrap();
        assert_eq!((again.index, slot, table.len()), (1, 32, 3));
        assert_ne!(again, keys[1]);
        assert_eq!(table.remove(again), Some(32));
        assert_eq!(table.unpark(), Some(32));
        assert!(table.unpark().is_none() && table.insert_parked().is_none());
        assert_eq!(table.insert(64).index, 1, "the bare entry is used again");
        assert_eq!(table.next(1), Some((1, 64)));
        assert_eq!(
            [table.pop(), table.pop(), table.pop()],
            [Some(48), Some(64), Some(16)]
        );
        assert_eq!((table.pop(), table.len()), (None, 0));
    }
}
