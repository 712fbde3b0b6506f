//! What a thread that sleeps can keep from others: the sum of the bounds that the bins keep.
//!
//! Numbers only: constants that follow from the shapes of the classes.
#![forbid(unsafe_code)]

use crate::base::size_class::CLASS_COUNT;
use crate::heap::bins::{SHAPES, STACK_ROOM_BYTES};
use crate::heap::process::global::Flagstone;
use crate::heap::process::thread::ThreadHeap;
use crate::slab::bin::STACK_FIRST;
use crate::slab::set::STACKS_BYTES_MAX;
use crate::slab::shape::SlotShape;
use crate::slab::spares::SPARES_BYTES_MAX;

/// A thread's heap, which stays until the process ends and serves one thread after the other, and
/// the room for its stacks and the large blocks that it keeps, which stay until `trim`.
const HEAP_BYTES: usize = size_of::<ThreadHeap>() + STACK_ROOM_BYTES + SPARES_BYTES_MAX;

impl Flagstone {
    /// Bytes of slots that a thread caches at most, in stacks and cached words: 6.2 MiB. Each
    /// class has some; a thread that uses few classes caches little.
    pub const CACHED_BYTES_MAX: usize = {
        let (mut sum, mut class) = (STACKS_BYTES_MAX, 0);
        while class < CLASS_COUNT {
            sum += cached_bytes(&SHAPES[class]);
            class += 1;
        }
        sum
    };

    /// Bytes of memory that a sleeping thread, which has freed what it allocated, can keep from
    /// others: 148 MiB, where it used more than that of every class and freed it in the worst
    /// order, so that each cached slot is the last one taken of its slab. A thread never holds more
    /// than it used; one that calls [`trim`](crate::trim) before it sleeps holds 4 KiB,
    /// and so does one that ended.
    ///
    /// Not counted is what others free into slabs that the thread was allocating from: it waits
    /// there until the thread frees, allocates or ends.
    pub const IDLE_BYTES_MAX: usize = {
        let (mut sum, mut class) = (HEAP_BYTES, 0);
        while class < CLASS_COUNT {
            sum += pinned_bytes(&SHAPES[class]);
            class += 1;
        }
        sum
    };
}

/// Slots of a class that a bin caches before its stack is lengthened.
const fn cached_bytes(shape: &SlotShape) -> usize {
    let per_slab = (shape.span_bytes / shape.slot_bytes) as usize;
    let stack = min(STACK_FIRST, shape.stack_max as usize);
    (stack + min(64, per_slab)) * shape.slot_bytes as usize
}

/// The slabs of a class that a bin keeps from going back: one for each slot of the stack, the
/// cached word's, and an empty one.
const fn pinned_bytes(shape: &SlotShape) -> usize {
    (shape.stack_max as usize + 2) * shape.span_bytes as usize
}

const fn min(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

// The figures of the documentation.
const _: () = assert!(size_of::<ThreadHeap>() == 4 << 10);
const _: () = assert!(Flagstone::CACHED_BYTES_MAX <= (62 << 20) / 10);
const _: () = assert!(Flagstone::IDLE_BYTES_MAX >> 20 == 148);
