//! [`Check::Full`](crate::Check::Full): every free checked exactly, freed memory filled and
//! verified, reuse delayed. The free functions serve every heap, what is of [`Heap`] is its own:
//! the process's heap has its quarantine in `quarantine.rs`.
//!
//! * I1: every free slot in a word that was ever taken is filled with `FREED`; slots never taken
//!   are not (their pages stay untouched).
//! * I2: a heap's quarantine is a ring of the newest freed slots, in the storage that stacks
//!   would use; `storage[0]` counts all that ever entered.

use crate::base::config::Check;
use crate::base::error::FreeError;
use crate::base::size_class::{CLASS_BYTES, class_of};
use crate::base::trap::misuse;
use crate::heap::{Heap, SHAPE_TABLE};
use crate::pages::Span;
use crate::slab::bin::{Bin, message};
use crate::slab::owner::SlabOwner;
use crate::slab::raw::{SlabHead, slot_at};
use crate::slab::shape::SlotShape;

/// What freed memory is filled with: odd, not ASCII, and not a plausible address.
const FREED: u8 = 0xF5;
/// Freed slots that wait before they can be handed out again, in a heap or in the whole process.
/// The check for a double free walks them, so a longer ring makes each free slower in proportion,
/// and a shorter one hands a slot out again before a late write shows.
pub(super) const QUARANTINE: usize = 256;

/// After a refill that took `address`: gives the rest of its word back, and verifies that nobody
/// wrote to the slot since it was freed.
pub(super) fn keep_one(bin: &Bin, owner: &impl SlabOwner, shape: &SlotShape, address: usize) {
    let slot_bytes = shape.slot_bytes as usize;
    let untouched = bin.word_is_untouched();
    // All at once: one by one, each would look for its slab.
    let (mut rest, mut count) = ([0; 64], 0);
    while let Some(slot) = bin.pop_word(slot_bytes) {
        if untouched {
            fill(slot, slot_bytes);
        }
        rest[count] = slot;
        count += 1;
    }
    bin.give(owner, shape, &rest[..count]);
    if !untouched {
        verify(address, slot_bytes);
    }
}

/// Hands a slot that waited to its slab.
pub(super) fn hand_on(bin: &Bin, owner: &impl SlabOwner, shape: &SlotShape, address: usize) {
    verify(address, shape.slot_bytes as usize);
    bin.give(owner, shape, &[address]);
}

impl Heap {
    /// Checks, fills and delays a freed slot.
    pub(super) fn free_checked(&self, class: usize, address: usize) {
        let found = self.set.locate(address, &SHAPE_TABLE[class]);
        let located = found.map_err(|error| self.huge_error(address, error));
        let (slab, index) = located.unwrap_or_else(|error| misuse(message(error), address));
        if self.bins[class].holds(slab, index) || self.is_quarantined(address) {
            misuse(message(FreeError::DoubleFree), address);
        }
        fill(address, CLASS_BYTES[class] as usize);
        let storage = self.storage();
        if storage.is_null() {
            self.release_checked(address);
            return;
        }
        // SAFETY: the storage has room for the count and the ring, and is used by nothing else
        // with full checks (I2).
        let old = unsafe {
            let count = storage.read();
            storage.write(count + 1);
            storage.add(1 + count % QUARANTINE).replace(address)
        };
        if old != 0 {
            self.release_checked(old);
        }
    }

    /// Hands a slot from the quarantine to its slab.
    fn release_checked(&self, address: usize) {
        let slab = SlabHead::of_owner(address, self.set.owner());
        let Some(class) = slab.and_then(|slab| class_of(slab.slot_bytes(), 1)) else {
            misuse("internal: a quarantined slot without a slab", address)
        };
        hand_on(&self.bins[class], &self.set, &SHAPE_TABLE[class], address);
    }

    /// Whether the slot waits in the quarantine.
    pub(super) fn is_quarantined(&self, address: usize) -> bool {
        self.quarantine().contains(&address)
    }

    /// Bytes of the slots that wait.
    pub(super) fn quarantined_bytes(&self) -> usize {
        let bytes = |slot: &usize| self.slot_bytes_of(*slot);
        self.quarantine().iter().map(bytes).sum()
    }

    /// Bytes of the slot at `address`; 0 if none of this heap's is there.
    fn slot_bytes_of(&self, address: usize) -> usize {
        SlabHead::of_owner(address, self.set.owner()).map_or(0, SlabHead::slot_bytes)
    }

    fn quarantine(&self) -> &[usize] {
        let storage = self.stacks.get();
        if self.check != Check::Full || storage.is_null() {
            return &[];
        }
        // SAFETY: the ring lies in the storage, cleared when claimed, and is not
        // written while the slice is used.
        unsafe {
            let count = storage.read().min(QUARANTINE);
            core::slice::from_raw_parts(storage.add(1), count)
        }
    }

    /// Hands every waiting slot to its slab.
    pub(super) fn drain_quarantine(&self) {
        let storage = self.stacks.get();
        if self.quarantine().is_empty() {
            return;
        }
        for index in 0..self.quarantine().len() {
            // SAFETY: inside the ring.
            let address = unsafe { storage.add(1 + index).replace(0) };
            self.release_checked(address);
        }
        // SAFETY: the count is the storage's first word.
        unsafe { storage.write(0) };
    }
}

/// Empties the ring in a storage just claimed.
pub(super) fn clear_quarantine(storage: &Span) {
    let words = 1 + QUARANTINE;
    // SAFETY: the storage is ours, fresh, and longer than this.
    unsafe { storage.ptr.cast::<usize>().write_bytes(0, words) };
}

/// Fills a dead slot.
pub(super) fn fill(address: usize, bytes: usize) {
    // SAFETY: callers own the slot and it holds nothing.
    unsafe { slot_at(address).write_bytes(FREED, bytes) };
}

/// Aborts if a dead slot was written to.
fn verify(address: usize, bytes: usize) {
    // SAFETY: callers own the slot; all of it was filled.
    let slot = unsafe { core::slice::from_raw_parts(slot_at(address).as_ptr(), bytes) };
    if let Some(at) = slot.iter().position(|byte| *byte != FREED) {
        misuse("write after free", address + at);
    }
}
