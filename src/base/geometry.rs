//! The sizes everything is cut to, and the arithmetic on them: integers in, integers out.
//!
//! A *segment* is 4 MiB, aligned to its size, so that one mask leads from any address in it to its
//! head. It is cut into 64 *units* of 64 KiB, one bit each in one `u64`. The first two units are
//! the head. A unit can be split into 16 *pieces* of 4 KiB for owners that hold little.
#![forbid(unsafe_code)]

/// One OS page on the platforms served by mmap: the finest granule that is handed out or purged.
pub(crate) const PAGE_BYTES: usize = 4 << 10;
/// A span's granule. Half would double the shared words per megabyte; double would make a nearly
/// empty slab hold 128 KiB.
pub(crate) const UNIT_BYTES: usize = 64 << 10;
/// 64 units, so that one `u64` says which of them are free.
pub(crate) const SEGMENT_BYTES: usize = UNIT_BYTES * UNITS_PER_SEGMENT;
/// The bits of a word.
pub(crate) const UNITS_PER_SEGMENT: usize = 64;
/// Pages of a unit: the pieces it can be split into, one bit each in a `u16`.
pub(crate) const PAGES_PER_UNIT: usize = UNIT_BYTES / PAGE_BYTES;
/// Pages of a segment.
pub(crate) const PAGES_PER_SEGMENT: usize = SEGMENT_BYTES / PAGE_BYTES;
/// The largest piece of a split unit: a quarter of a unit; above it a whole unit is given.
pub(crate) const PIECE_BYTES_MAX: usize = 16 << 10;
/// The largest span cut from a segment: a quarter of it, so that segments pack; above it a
/// reservation of its own.
pub(crate) const SPAN_BYTES_MAX: usize = 1 << 20;
/// Slots start at multiples of this: 4096 slots in a unit are 64 bitmap words; 8 would need 128.
pub(crate) const SLOT_BYTES_MIN: usize = 16;

const _: () = assert!(SEGMENT_BYTES == 4 << 20);
const _: () = assert!(PIECE_BYTES_MAX * 4 == UNIT_BYTES);

/// `value` rounded up to a multiple of `align`, a power of two; `None` when it does not fit.
pub(crate) const fn align_up(value: usize, align: usize) -> Option<usize> {
    debug_assert!(align.is_power_of_two());
    match value.checked_add(align - 1) {
        Some(sum) => Some(sum & !(align - 1)),
        None => None,
    }
}

/// The start of the segment that `address` lies in.
pub(crate) const fn segment_of(address: usize) -> usize {
    address & !(SEGMENT_BYTES - 1)
}

/// The number of the page of its segment that `address` lies in.
pub(crate) const fn page_index(address: usize) -> usize {
    (address & (SEGMENT_BYTES - 1)) / PAGE_BYTES
}

/// `ceil(2^32 / divisor)`: multiplying by it and shifting right by 32 divides exactly every
/// multiple of `divisor` below 2^32 (the excess per unit of quotient is under one, so the excess in
/// all stays under `offset / 2^32 < 1`).
pub(crate) const fn reciprocal(divisor: u32) -> u32 {
    assert!(divisor > 1);
    (1u64 << 32).div_ceil(divisor as u64) as u32
}

/// `offset / divisor` for a multiple of `divisor`; for other offsets a number whose product with
/// `divisor` differs from `offset`, which is how interior pointers are told.
pub(crate) const fn divide(offset: u32, reciprocal: u32) -> u32 {
    ((offset as u64 * reciprocal as u64) >> 32) as u32
}

/// The lowest start of `count` adjacent one bits in `word`, at a multiple of `align` (both in bits,
/// `align` a power of two), or `None`.
pub(crate) const fn find_run(word: u64, count: u32, align: u32) -> Option<u32> {
    debug_assert!(count >= 1 && count <= 64 && align.is_power_of_two());
    // After the loop bit i is set exactly where bits i..i+count of `word` are set: each round joins
    // two runs of `have` bits into one of `have + step`.
    let mut starts = word;
    let mut have = 1;
    while have < count && starts != 0 {
        let step = if have < count - have {
            have
        } else {
            count - have
        };
        starts &= starts >> step;
        have += step;
    }
    if align > 1 {
        starts &= multiples(align);
    }
    if starts == 0 {
        None
    } else {
        Some(starts.trailing_zeros())
    }
}

/// Every bit at a multiple of `align`.
const fn multiples(align: u32) -> u64 {
    let mut bits = 0u64;
    let mut at = 0;
    while at < 64 {
        bits |= 1 << at;
        at += align;
    }
    bits
}

/// `count` one bits from bit `start` on.
pub(crate) const fn run_mask(start: u32, count: u32) -> u64 {
    debug_assert!(count >= 1 && start + count <= 64);
    (u64::MAX >> (64 - count)) << start
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Random;

    #[test]
    fn reciprocal_divides_every_multiple_and_betrays_the_rest() {
        for divisor in (16..=32_768u32).step_by(16) {
            let factor = reciprocal(divisor);
            for quotient in 0..(512 << 10) / divisor {
                let offset = quotient * divisor;
                assert_eq!(divide(offset, factor), quotient);
                assert_ne!(divide(offset + 1, factor) * divisor, offset + 1);
            }
        }
    }

    #[test]
    fn runs_against_a_naive_search() {
        let mut random = Random::new(1);
        for _ in 0..20_000 {
            let bits = random.next();
            let word = bits | bits.rotate_left(9) & bits.rotate_left(23);
            for count in [1, 2, 3, 7, 16, 33, 64] {
                for align in [1, 2, 16, 32] {
                    let naive = (0..=64 - count)
                        .find(|s| s % align == 0 && (*s..s + count).all(|b| word >> b & 1 == 1));
                    assert_eq!(find_run(word, count, align), naive);
                }
            }
        }
    }
}
