//! The size classes: 16-byte steps to 128, then four per doubling up to 32 KiB, 40 in all.
//!
//! Four per doubling waste at most 20 % of a slot above 64 B and about 8 % on average; eight would
//! halve that and pin twice as many partly filled slabs. The class of a constant layout folds at
//! compile time. A (size, align) pair maps to one class alone, so frees need no look-up:
//! I1: the slot size of `class_of(size, align)` is at least `size` and a multiple of `align`.
#![forbid(unsafe_code)]

use crate::base::geometry::SLOT_BYTES_MIN;

/// Number of classes.
pub(crate) const CLASS_COUNT: usize = LINEAR_COUNT + 4 * DOUBLINGS;
/// Largest size served from slabs, in bytes; above it whole spans are handed out.
pub(crate) const CLASS_BYTES_MAX: usize = 32 << 10;
/// Classes of the linear part: 16, 32, … 128.
const LINEAR_COUNT: usize = 8;
const LINEAR_BYTES_MAX: usize = LINEAR_COUNT * SLOT_BYTES_MIN;
/// From 128 B to 32 KiB.
const DOUBLINGS: usize = 8;

/// Slot size of each class, in bytes.
pub(crate) const CLASS_BYTES: [u32; CLASS_COUNT] = {
    let mut table = [0; CLASS_COUNT];
    let mut class = 0;
    while class < CLASS_COUNT {
        table[class] = if class < LINEAR_COUNT {
            (class + 1) * SLOT_BYTES_MIN
        } else {
            let doubling = (class - LINEAR_COUNT) / 4;
            let quarter = (class - LINEAR_COUNT) % 4 + 1;
            (LINEAR_BYTES_MAX << doubling) + (LINEAR_BYTES_MAX << doubling) / 4 * quarter
        } as u32;
        class += 1;
    }
    table
};

/// Sizes whose class is looked up: a table of four cache lines, where the arithmetic takes a dozen
/// instructions.
const TABLE_BYTES_MAX: usize = 4096;

/// The class of each multiple of 16 up to `TABLE_BYTES_MAX`.
const TABLE: [u8; TABLE_BYTES_MAX / SLOT_BYTES_MIN + 1] = {
    let mut table = [0; TABLE_BYTES_MAX / SLOT_BYTES_MIN + 1];
    let mut class = 0;
    let mut step = 1;
    while step < table.len() {
        if step * SLOT_BYTES_MIN > CLASS_BYTES[class] as usize {
            class += 1;
        }
        table[step] = class as u8;
        step += 1;
    }
    table
};

/// The class that serves `size` bytes at `align`, or `None` when a span must.
///
/// Over-aligned requests are rounded up to a multiple of their alignment first; every class that a
/// multiple of a power of two maps to is itself a multiple of it (asserted below).
#[inline(always)]
pub(crate) const fn class_of(size: usize, align: usize) -> Option<usize> {
    let size = if align <= SLOT_BYTES_MIN {
        size
    } else if size <= CLASS_BYTES_MAX && align <= CLASS_BYTES_MAX {
        (size + align - 1) & !(align - 1)
    } else {
        return None;
    };
    if size <= TABLE_BYTES_MAX {
        Some(TABLE[size.div_ceil(SLOT_BYTES_MIN)] as usize)
    } else if size <= CLASS_BYTES_MAX {
        let last = size - 1;
        // The two bits below the leading one say which quarter of the doubling.
        let log2 = (usize::BITS - 1 - last.leading_zeros()) as usize;
        Some(LINEAR_COUNT + (log2 - 7) * 4 + ((last >> (log2 - 2)) & 3))
    } else {
        None
    }
}

const _: () = assert!(CLASS_BYTES[0] == 16 && CLASS_BYTES[7] == 128 && CLASS_BYTES[8] == 160);
const _: () = assert!(CLASS_BYTES[CLASS_COUNT - 1] as usize == CLASS_BYTES_MAX);
/// Waste bounds: the smallest size of each class wastes at most 20 % of the slot from 64 B up
/// (below that the 16-byte step is the bound).
const _: () = {
    let mut class = 1;
    while class < CLASS_COUNT {
        let slot = CLASS_BYTES[class] as usize;
        let smallest = CLASS_BYTES[class - 1] as usize + 1;
        assert!(slot - smallest < SLOT_BYTES_MIN || (slot - smallest) * 5 < slot);
        assert!(matches!(class_of(slot, 1), Some(found) if found == class));
        assert!(matches!(class_of(smallest, 1), Some(found) if found == class));
        class += 1;
    }
};
/// I1 for alignments: checked at every class boundary.
const _: () = {
    let mut align = 32;
    while align <= CLASS_BYTES_MAX {
        let mut class = 0;
        while class < CLASS_COUNT {
            if let Some(found) = class_of(CLASS_BYTES[class] as usize, align) {
                assert!(CLASS_BYTES[found] as usize % align == 0);
            }
            class += 1;
        }
        align *= 2;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_and_alignment_fits_its_class_and_no_smaller_one() {
        for align in (0..=15).map(|log2| 1usize << log2) {
            for size in 1..=CLASS_BYTES_MAX {
                let Some(class) = class_of(size, align) else {
                    assert!(size.next_multiple_of(align) > CLASS_BYTES_MAX);
                    continue;
                };
                let slot = CLASS_BYTES[class] as usize;
                assert!(slot >= size && slot % align.min(slot) == 0 && slot % align == 0);
                let fits = |bytes: u32| bytes as usize >= size && bytes as usize % align == 0;
                let best = CLASS_BYTES.iter().position(|bytes| fits(*bytes)).unwrap();
                // Rounding first may pass over a smaller class that happens to be a multiple; it
                // never does, which keeps the function and the table in step.
                assert_eq!(class, best, "size {size} align {align}");
            }
        }
    }
}
