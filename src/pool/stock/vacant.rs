//! Slots without a value: where they come from, and on their way to the shards and back.
//!
//! Owns a pool's slot source and its lock. A shard takes a few slots at a time and keeps those
//! whose values it dropped, so that an object made or dropped by its user needs no lock, and that
//! what one thread makes lies together.
//!
//! I1: a batch is no more than a page of slots, so a shard that takes one holds no page that the
//! first object would not have taken. It keeps up to two: with room for one alone, whoever makes
//! and drops a few more than that by turns would take and give a whole batch each time.
//! I2: a magazine is made before the lock is taken, which so stays a leaf (`store.rs`, I4).

use core::alloc::Layout;
use core::ptr::NonNull;

use std::sync::Mutex;

use crate::base::error::AllocError;
use crate::base::geometry::PAGE_BYTES;
use crate::base::lock::lock;
use crate::pages::Pages;
use crate::pool::stock::magazine::{
    Chain, MAGAZINE_ENTRIES, MAGAZINE_SLOTS, NO_OBJECTS, OwnedMagazine,
};
use crate::pool::stock::shard::Shard;
use crate::slab::slots::SlotSource;

/// See the module.
pub(crate) struct VacantSlots {
    source: Mutex<SlotSource>,
    /// Slots of a batch, and slots that a shard keeps (I1).
    batch: usize,
    kept: usize,
}

impl VacantSlots {
    pub(crate) fn new(pages: &'static Pages, slot: Layout) -> VacantSlots {
        let batch = (PAGE_BYTES / slot.size()).min(MAGAZINE_SLOTS);
        VacantSlots {
            source: Mutex::new(SlotSource::new(Some(pages), slot)),
            batch,
            kept: (2 * batch).min(MAGAZINE_SLOTS),
        }
    }

    /// Says what `owner_of` answers for these slots. Before the first slot is taken.
    pub(crate) fn set_owner(&self, owner: *const ()) {
        lock(&self.source).set_owner(owner);
    }

    /// Gives empty slabs back to the pages.
    pub(crate) fn trim(&self) {
        lock(&self.source).trim();
    }

    /// A slot of uninitialised memory.
    ///
    /// # Safety
    /// The caller holds the lease of `shard`, of the same pool.
    pub(crate) unsafe fn take(&self, shard: Option<&Shard>) -> Result<NonNull<u8>, AllocError> {
        let Some(shard) = shard else {
            return lock(&self.source).take();
        };
        // SAFETY: the lease, by the caller.
        match unsafe { shard.pop_vacant() } {
            Some(slot) => Ok(slot),
            // SAFETY: as above.
            None => unsafe { self.take_batch(shard) },
        }
    }

    /// # Safety
    /// As [`take`](Self::take).
    #[cold]
    unsafe fn take_batch(&self, shard: &Shard) -> Result<NonNull<u8>, AllocError> {
        let batch = self.batch;
        // SAFETY: the lease, by the caller, here and below.
        let magazine = match unsafe { shard.replace_vacant(None) } {
            None if batch > 1 => OwnedMagazine::try_new(),
            kept => kept,
        };
        let mut slots = lock(&self.source);
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
    /// The slot came from here, holds no value any more and is in no magazine; the caller holds the
    /// lease of `shard`, of the same pool.
    pub(crate) unsafe fn give(&self, shard: Option<&Shard>, slot: NonNull<u8>) {
        // SAFETY: as ours, here and below.
        unsafe {
            if let Some(shard) = shard {
                if shard.push_vacant(slot, self.kept) {
                    return;
                }
                if let Some(full) = shard.replace_vacant(None) {
                    let half = self.shrink(full, self.kept / 2);
                    let _none = shard.replace_vacant(Some(half));
                }
            }
            lock(&self.source).give(slot);
        }
    }

    /// Gives the memory of the slots in a magazine back, but for the warmest `keep`.
    ///
    /// # Safety
    /// They came from here and hold no values.
    unsafe fn shrink(&self, mut magazine: OwnedMagazine, keep: usize) -> OwnedMagazine {
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
        unsafe { lock(&self.source).give_all(&addresses[..given.len()]) };
        magazine
    }

    /// Gives the memory of all slots in a chain back.
    ///
    /// # Safety
    /// They came from here and hold no values.
    pub(crate) unsafe fn give_chain(&self, mut vacant: Chain) {
        while let Some(magazine) = vacant.pop_magazine() {
            // SAFETY: by the caller.
            drop(unsafe { self.shrink(magazine, 0) });
        }
    }
}
