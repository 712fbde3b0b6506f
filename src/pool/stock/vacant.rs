//! Slots without a value on their way between the slot source and the shards.
//!
//! Owns nothing. A shard takes a few slots at a time and keeps those whose values it dropped, so
//! that an object made or dropped by its user needs no lock, and that what one thread makes lies
//! together.
//!
//! I1: a batch is no more than a page of slots, so a shard that takes one holds no page that the
//! first object would not have taken. It keeps up to two: with room for one alone, whoever makes
//! and drops a few more than that by turns would take and give a whole batch each time.
//! I2: no lock is taken while another one is held (`store.rs`, I4).

use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::base::geometry::PAGE_BYTES;
use crate::pool::exchange::store::{Store, lock};
use crate::pool::stock::magazine::{
    Chain, MAGAZINE_ENTRIES, MAGAZINE_SLOTS, NO_OBJECTS, OwnedMagazine,
};
use crate::pool::stock::shard::Shard;

/// Slots of a batch (I1).
pub(crate) fn batch_slots(slot_bytes: usize) -> usize {
    (PAGE_BYTES / slot_bytes).min(MAGAZINE_SLOTS)
}

/// Slots that a shard keeps (I1).
fn kept_slots(batch: usize) -> usize {
    (2 * batch).min(MAGAZINE_SLOTS)
}

impl Store {
    /// A slot of uninitialised memory.
    ///
    /// # Safety
    /// The caller holds the lease of `shard`, which is one of this store's.
    pub(crate) unsafe fn take_slot(
        &self,
        shard: Option<&Shard>,
    ) -> Result<NonNull<u8>, AllocError> {
        let Some(shard) = shard else {
            return lock(&self.changing.slots).take();
        };
        // SAFETY: the lease, by the caller.
        match unsafe { shard.pop_vacant() } {
            Some(slot) => Ok(slot),
            // SAFETY: as above.
            None => unsafe { self.take_batch(shard) },
        }
    }

    /// # Safety
    /// As [`take_slot`](Self::take_slot).
    #[cold]
    unsafe fn take_batch(&self, shard: &Shard) -> Result<NonNull<u8>, AllocError> {
        let batch = self.batch_slots;
        // SAFETY: the lease, by the caller, here and below.
        let magazine = match unsafe { shard.replace_vacant(None) } {
            None if batch > 1 => OwnedMagazine::try_new(),
            kept => kept,
        };
        let mut slots = lock(&self.changing.slots);
        let first = slots.take();
        let Some(mut magazine) = magazine else {
            return first;
        };
        if first.is_ok() {
            while magazine.len() + 1 < batch {
                // What a limit cuts short is as good as it is.
                let Ok(slot) = slots.take() else { break };
                magazine.push(slot, NO_OBJECTS);
            }
        }
        drop(slots);
        // SAFETY: as above.
        let _none = unsafe { shard.replace_vacant(Some(magazine)) };
        first
    }

    /// Gives a slot's memory back.
    ///
    /// # Safety
    /// The slot is this store's, holds no value any more and is in no magazine; the caller holds
    /// the lease of `shard`, which is one of this store's.
    pub(crate) unsafe fn give_slot(&self, shard: Option<&Shard>, slot: NonNull<u8>) {
        // SAFETY: as ours, here and below.
        unsafe {
            if let Some(shard) = shard {
                let most = kept_slots(self.batch_slots);
                if shard.push_vacant(slot, most) {
                    return;
                }
                if let Some(full) = shard.replace_vacant(None) {
                    let half = self.shrink_magazine(full, most / 2);
                    let _none = shard.replace_vacant(Some(half));
                }
            }
            lock(&self.changing.slots).give(slot);
        }
    }

    /// Gives the memory of the slots in a magazine back, but for the warmest `keep`.
    ///
    /// # Safety
    /// They are this store's and hold no values.
    unsafe fn shrink_magazine(&self, mut magazine: OwnedMagazine, keep: usize) -> OwnedMagazine {
        let mut slots = [NonNull::dangling(); MAGAZINE_ENTRIES];
        let mut count = 0;
        while let Some(slot) = magazine.pop() {
            slots[count] = slot;
            count += 1;
        }
        let (kept, given) = slots[..count].split_at(keep.min(count));
        for slot in kept.iter().rev() {
            magazine.push(*slot, NO_OBJECTS);
        }
        let mut addresses = [0; MAGAZINE_ENTRIES];
        for (address, slot) in addresses.iter_mut().zip(given) {
            *address = slot.addr().get();
        }
        // SAFETY: by the caller.
        unsafe { lock(&self.changing.slots).give_all(&addresses[..given.len()]) };
        magazine
    }

    /// Gives the memory of all slots in a chain back.
    ///
    /// # Safety
    /// They are this store's and hold no values.
    pub(crate) unsafe fn give_chain(&self, mut vacant: Chain) {
        while let Some(magazine) = vacant.pop_magazine() {
            // SAFETY: by the caller.
            drop(unsafe { self.shrink_magazine(magazine, 0) });
        }
    }
}
