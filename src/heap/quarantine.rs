//! [`Check::Full`](crate::Check::Full) for the process's heap: exact checks at every free, and the
//! quarantine that freed slots wait in.
//!
//! There is one quarantine for the process, because any thread may free a slot again. It is a ring
//! of atomics: a free swaps its slot in and takes home the one that was there, which may be of
//! anybody's slab.
//!
//! * I1: a slot in the ring is dead, filled with `FREED`, and in no bitmap, so it pins its slab.
//! * I2: who swaps a slot out is the only one to hand it on.
//! * I3: a free looks at the ring before it enters it. Had it looked afterwards, two frees at once
//!   would always meet; but a slot that waited its turn, was handed out and freed again in the
//!   meantime would look just the same.

use crate::base::error::FreeError;
use crate::base::size_class::{CLASS_BYTES, class_of};
use crate::base::sync::{AtomicUsize, Ordering};
use crate::base::trap::misuse;
use crate::heap::check::{QUARANTINE, fill, hand_on};
use crate::heap::thread::{HUGE_OWNER, ThreadHeap};
use crate::heap::{SHAPE_TABLE, choices};
use crate::pages::registry;
use crate::slab::bin::message;
use crate::slab::owner::SlabOwner;
use crate::slab::raw::SlabHead;

/// Freed slots, as many as a single heap has: a free walks all of them, and they pin 8 MiB at most.
static RING: [AtomicUsize; QUARANTINE] = [const { AtomicUsize::new(0) }; QUARANTINE];
/// How many slots ever entered.
static ENTERED: AtomicUsize = AtomicUsize::new(0);

impl ThreadHeap {
    /// Checks, fills and delays a freed slot. On the slow path.
    pub(super) fn free_checked(&self, class: usize, address: usize) {
        let found = self.locate(address, &SHAPE_TABLE[class]);
        let found = found.map_err(|error| {
            if registry::is_huge_of(address, HUGE_OWNER) {
                FreeError::WrongClass
            } else {
                error
            }
        });
        let (slab, index) = found.unwrap_or_else(|error| misuse(message(error), address));
        let waits = |entry: &AtomicUsize| entry.load(Ordering::Relaxed) == address;
        if slab.holds(index) || slab.holds_remote(index) || RING.iter().any(waits) {
            misuse(message(FreeError::DoubleFree), address);
        }
        let bytes = CLASS_BYTES[class] as usize;
        fill(address, bytes);
        // Now, not when it leaves: what waits is not live.
        self.count_given(bytes);
        // Relaxed: a number, nothing else.
        let at = ENTERED.fetch_add(1, Ordering::Relaxed) % QUARANTINE;
        // Release: whoever takes the slot out sees it filled. Acquire: pairs with that.
        let old = RING[at].swap(address, Ordering::AcqRel);
        if old != 0 {
            self.release_checked(old);
        }
    }

    /// Hands every slot that waits to its slab. On the slow path.
    pub(super) fn drain_quarantine(&self) {
        if !choices::is_full() {
            return;
        }
        for entry in &RING {
            // Acquire: pairs with the Release above.
            let address = entry.swap(0, Ordering::Acquire);
            if address != 0 {
                self.release_checked(address);
            }
        }
    }

    /// Hands a slot that was in the ring to its slab.
    fn release_checked(&self, address: usize) {
        // SAFETY: the slot pins its record (I1).
        let slab = unsafe { SlabHead::of(address) };
        let Some(class) = slab.and_then(|slab| class_of(slab.slot_bytes(), 1)) else {
            // It was in the ring twice, and went home before.
            misuse(message(FreeError::DoubleFree), address)
        };
        hand_on(self.bin(class), self, &SHAPE_TABLE[class], address);
    }
}
