//! [`Check::Full`](crate::Check::Full): every free checked exactly, freed memory filled and
//! verified, reuse delayed. One quarantine for each heap, and one for the process, where any thread
//! may free a slot again.
//!
//! * I1: every free slot in a word that was ever taken is filled with `FREED`; slots never taken
//!   are not (their pages stay untouched).
//! * I2: a slot in a quarantine is dead, filled, and in no bitmap, so it pins its slab.
//! * I3: who swaps a slot out of a quarantine is the only one to hand it on.
//! * I4: a free looks at the quarantine before it enters it. Had it looked afterwards, two frees at
//!   once would always meet; but a slot that waited its turn, was handed out and freed again in the
//!   meantime would look just the same.

use crate::base::error::FreeError;
use crate::base::size_class::{CLASS_BYTES, class_of};
use crate::base::sync::{AtomicUsize, Ordering};
use crate::base::trap::misuse;
use crate::heap::bins::{Bins, SHAPE_TABLE, STACK_ROOM_BYTES};
use crate::pages::registry::huge_table;
use crate::slab::bin::{Bin, message};
use crate::slab::owner::SlabOwner;
use crate::slab::raw::slot_at;
use crate::slab::shape::SlotShape;

/// What freed memory is filled with: odd, not ASCII, and not a plausible address.
const FREED: u8 = 0xF5;
/// Freed slots that wait before they can be handed out again, in a heap or in the whole process.
/// The check for a double free walks them, so a longer ring makes each free slower in proportion,
/// and a shorter one hands a slot out again before a late write shows. They pin 8 MiB at most.
const RING_SLOTS: usize = 256;

/// The ring of the slots that were freed last. All zero when it is empty. A heap's lies in the room
/// that its stacks would use (`bins.rs`, I2).
pub(crate) struct Quarantine {
    /// How many slots ever entered.
    entered: AtomicUsize,
    ring: [AtomicUsize; RING_SLOTS],
}

const _: () = assert!(size_of::<Quarantine>() <= STACK_ROOM_BYTES);

impl Quarantine {
    pub(crate) const fn new() -> Quarantine {
        Quarantine {
            entered: AtomicUsize::new(0),
            ring: [const { AtomicUsize::new(0) }; RING_SLOTS],
        }
    }

    /// The slots that wait, and zeroes.
    pub(crate) fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        self.ring.iter().map(|entry| entry.load(Ordering::Relaxed))
    }

    pub(crate) fn holds(&self, address: usize) -> bool {
        self.slots().any(|slot| slot == address)
    }

    /// Swaps a filled slot in. Returns the one that waited there, or 0.
    fn enter(&self, address: usize) -> usize {
        // Relaxed: a number, nothing else.
        let at = self.entered.fetch_add(1, Ordering::Relaxed) % RING_SLOTS;
        // Release: whoever takes the slot out sees it filled. Acquire: pairs with that.
        self.ring[at].swap(address, Ordering::AcqRel)
    }

    /// Hands every slot that waits to its slab.
    pub(crate) fn drain(&self, bins: &Bins, owner: &impl SlabOwner) {
        for entry in &self.ring {
            // Acquire: pairs with the Release in `enter`.
            hand_on(bins, owner, entry.swap(0, Ordering::Acquire));
        }
    }
}

/// Checks, fills and delays a freed slot of the class. Without a quarantine it goes home at once.
/// `huge_owner` is what the table of huge blocks calls the owner.
pub(crate) fn free_checked(
    bins: &Bins,
    owner: &impl SlabOwner,
    (quarantine, huge_owner): (Option<&Quarantine>, usize),
    class: usize,
    address: usize,
) {
    let found = owner.locate(address, &SHAPE_TABLE[class]);
    let found = found.map_err(|error| small_error(address, huge_owner, error));
    let (slab, index) = found.unwrap_or_else(|error| misuse(message(error), address));
    if owner.holds(slab, index) || quarantine.is_some_and(|ring| ring.holds(address)) {
        misuse(message(FreeError::DoubleFree), address);
    }
    fill(address, CLASS_BYTES[class] as usize);
    hand_on(
        bins,
        owner,
        match quarantine {
            Some(ring) => ring.enter(address),
            None => address,
        },
    );
}

/// What is wrong with a pointer that no slab of the owner holds, given a small layout.
pub(crate) fn small_error(address: usize, huge_owner: usize, error: FreeError) -> FreeError {
    // The record of another's block may go away while we look, so it is not read.
    if huge_table::is_owned_by(address, huge_owner) {
        FreeError::WrongClass
    } else {
        error
    }
}

/// Hands a slot that waited to its slab; 0 is none.
fn hand_on(bins: &Bins, owner: &impl SlabOwner, address: usize) {
    if address == 0 {
        return;
    }
    // The slot pins its record (I2).
    let Some(class) = owner
        .find(address)
        .and_then(|slab| class_of(slab.slot_bytes(), 1))
    else {
        // It was in the ring twice, and went home before.
        misuse(message(FreeError::DoubleFree), address)
    };
    let shape = &SHAPE_TABLE[class];
    verify(address, shape.slot_bytes as usize);
    bins.bin(class).give(owner, shape, &[address]);
}

/// After a refill that took `address`: gives the rest of its word back, and verifies that nobody
/// wrote to the slot since it was freed.
pub(crate) fn keep_one(bin: &Bin, owner: &impl SlabOwner, shape: &SlotShape, address: usize) {
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

/// Fills a dead slot.
pub(crate) fn fill(address: usize, bytes: usize) {
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
