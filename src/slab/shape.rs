//! How slots of one size are cut into slabs, and how many of them a stack caches.
//!
//! Numbers only: a shape is a constant of each size class and each slot type.
#![forbid(unsafe_code)]

use crate::base::geometry::{
    PAGE_BYTES, PIECE_BYTES_MAX, SLOT_BYTES_MIN, SPAN_BYTES_MAX, UNIT_BYTES, reciprocal,
};

/// Largest slot: a span's maximum. Larger values belong in a box of their own.
pub(crate) const SLOT_BYTES_MAX: usize = SPAN_BYTES_MAX;
/// Largest alignment of a slot: a unit's.
pub(crate) const SLOT_ALIGN_MAX: usize = UNIT_BYTES;

/// How slots of one size are cut and cached. A constant for each size class and each slot type.
#[derive(Debug)]
pub(crate) struct SlotShape {
    pub(crate) slot_bytes: u32,
    /// What to divide by it with.
    pub(crate) reciprocal: u32,
    /// The first slab of an owner, so that small owners stay small.
    pub(crate) first_bytes: u32,
    /// What slabs grow to, by doubling.
    pub(crate) span_bytes: u32,
    /// Longest stack, in slots.
    pub(crate) stack_max: u32,
}

/// A stack of small slots holds at most this many bytes: twice as much would double what idle
/// owners strand, half as much would halve the distance between flushes.
const STACK_BYTES: u32 = 8 << 10;
/// But at most this many slots: their addresses take 2 KiB then.
const STACK_MOST: u32 = 256;
/// Slots above 256 B get stacks of this many entries all the same: with three entries almost
/// every operation of a random mix went the slow way (churn of 10k mixed sizes: 39 ns; with 16
/// entries 12, with 32 a tenth less).
const STACK_LEAST: u32 = 32;
/// But not beyond this many bytes. What all stacks of an owner may hold together is bounded
/// again, by `STACKS_BYTES_MAX` in `set.rs`.
const STACK_BYTES_MAX: u32 = 128 << 10;

impl SlotShape {
    /// The shape for slots of at least `size` bytes at `align`. The size is rounded up to a
    /// multiple of the alignment and of 16.
    ///
    /// # Panics
    /// At compile time when used in a constant: for more than 1 MiB, or an alignment above 4 KiB
    /// that slots of a piece would not have.
    pub(crate) const fn new(size: usize, align: usize) -> SlotShape {
        let step = if align > SLOT_BYTES_MIN {
            align
        } else {
            SLOT_BYTES_MIN
        };
        let size = if size == 0 { 1 } else { size };
        assert!(size <= SPAN_BYTES_MAX && align <= UNIT_BYTES);
        let slot = size.next_multiple_of(step);
        let first = if slot <= PAGE_BYTES / 4 && align <= PAGE_BYTES {
            PAGE_BYTES
        } else if slot <= PIECE_BYTES_MAX / 4 && align <= PIECE_BYTES_MAX {
            PIECE_BYTES_MAX
        } else {
            slot.next_multiple_of(UNIT_BYTES)
        };
        // One unit for small slots; for larger ones as many as make 16 slots, at most 8 (or what
        // one slot needs).
        let wanted = (slot * 16).next_multiple_of(UNIT_BYTES);
        let most = if first > 8 * UNIT_BYTES {
            first
        } else {
            8 * UNIT_BYTES
        };
        let span = if wanted < most { wanted } else { most };
        let most = STACK_BYTES_MAX / slot as u32;
        let least = if most < STACK_LEAST {
            most
        } else {
            STACK_LEAST
        };
        let entries = STACK_BYTES / slot as u32;
        let entries = if entries > STACK_MOST {
            STACK_MOST
        } else {
            entries
        };
        let entries = if entries < least { least } else { entries };
        SlotShape {
            slot_bytes: slot as u32,
            reciprocal: reciprocal(slot as u32),
            first_bytes: first as u32,
            span_bytes: span as u32,
            stack_max: if entries < 2 { 2 } else { entries },
        }
    }

    /// Bytes of a slab after so many doublings: the first one's, doubled, but no more than
    /// `span_bytes`, and nothing between a piece and a unit.
    pub(crate) fn slab_bytes(&self, doublings: u8) -> usize {
        let bytes = (self.first_bytes as usize) << doublings;
        let bytes = if bytes > PIECE_BYTES_MAX {
            bytes.next_multiple_of(UNIT_BYTES)
        } else {
            bytes
        };
        bytes.min(self.span_bytes as usize)
    }
}
