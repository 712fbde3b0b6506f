//! Which addresses lie in a segment.
//!
//! One bit per 4 MiB of address space says whether a segment of any [`Pages`](crate::pages::Pages)
//! lies there. Masking an arbitrary pointer and reading what lies there would read foreign or
//! unmapped memory.
//!
//! The bits are a static array: the system commits its pages as they are touched (one page covers
//! 128 GiB), it needs no set-up and cannot fail.

use crate::base::geometry::SEGMENT_BYTES;
use crate::base::sync::{AtomicU64, Ordering};

/// Bits of an address that user space can have: 47 on x86-64, 48 on other 64-bit machines.
const ADDRESS_BITS: u32 = if usize::BITS == 32 {
    32
} else if cfg!(target_arch = "x86_64") {
    47
} else {
    48
};
const SEGMENT_COUNT: usize = ((1u64 << ADDRESS_BITS) / SEGMENT_BYTES as u64) as usize;

static SEGMENTS: [AtomicU64; SEGMENT_COUNT / 64] =
    [const { AtomicU64::new(0) }; SEGMENT_COUNT / 64];

/// Whether the map covers `base`; a segment elsewhere must not be used.
pub(crate) fn is_in_reach(base: usize) -> bool {
    base / SEGMENT_BYTES < SEGMENT_COUNT
}

/// Registers the segment at `base`, which is in reach.
pub(crate) fn insert_segment(base: usize) {
    let number = base / SEGMENT_BYTES;
    // Release: pairs with the Acquire in `is_segment`, so that who sees the bit sees the head.
    SEGMENTS[number / 64].fetch_or(1 << (number % 64), Ordering::Release);
}

/// Whether `address` lies in a segment.
pub(crate) fn is_segment(address: usize) -> bool {
    let number = address / SEGMENT_BYTES;
    // Acquire: pairs with `insert_segment`.
    SEGMENTS
        .get(number / 64)
        .is_some_and(|word| word.load(Ordering::Acquire) >> (number % 64) & 1 == 1)
}
