//! The arithmetic of the arena: where a block lands, and how large the next chunk is. Integers in,
//! integers out; nothing here can be unsafe.
//!
//! A window is a pair `lo <= hi` of addresses with `hi - lo <= isize::MAX`; the bytes between them
//! are free. Objects are cut off at `hi`, buffers and byte strings at `lo`.
//!
//! I1: whatever is returned lies inside the window, is aligned, and leaves a window.
//! I2: sizes obey `Layout`'s rule: `size + align - 1 <= isize::MAX`. Under it no case overflows.
#![forbid(unsafe_code)]

/// No window reaches below this address: spans start at multiples of it, and the empty window lies
/// on it. So subtracting less than this from `hi` never wraps.
pub(crate) const LOWEST_ADDRESS: usize = 4 << 10;
/// The first chunk: one OS page, so that an arena that holds one small object costs one page.
/// Half would be no smaller in resident memory; double would double the cost of idle arenas.
pub(crate) const CHUNK_BYTES_MIN: usize = 4 << 10;
/// Chunks stop growing here: a quarter of a segment, so that segments pack; doubling further would
/// save nothing (one slow step in 10^4 allocations) and waste up to half of what is taken.
pub(crate) const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Above a quarter of a chunk a request gets a span of its own: then at most a quarter of a chunk
/// is abandoned when a request does not fit. At half it would be half; at an eighth ordinary
/// requests of the small first chunks would each cost a span.
const OWN_SPAN_DIVISOR: usize = 4;
/// Spans above 16 KiB are whole units of 64 KiB, so a step of 32 KiB would waste half of one.
const PIECE_BYTES_MAX: usize = 16 << 10;
const UNIT_BYTES: usize = 64 << 10;
/// A buffer of bytes starts with 8: two thirds of all short strings fit; 4 would regrow for most.
const BUFFER_BYTES_FIRST: usize = 8;
/// A buffer of larger elements starts with 4, as nearly every list that is not empty has a few.
const BUFFER_ELEMENTS_FIRST: usize = 4;

const _: () = assert!(CHUNK_BYTES_MIN.is_power_of_two() && CHUNK_BYTES_MAX.is_power_of_two());
const _: () = assert!(PIECE_BYTES_MAX < UNIT_BYTES && UNIT_BYTES < CHUNK_BYTES_MAX);

/// Where a block of `size` bytes at `align` lands below `hi`, which is the new `hi`; `None` when it
/// does not fit. `hi` must be a multiple of `MIN_ALIGN`, and so is the result.
///
/// One signed test serves every layout: the true value of `new - lo` is `(hi - lo)` minus at most
/// 2^63 (the size rounded up), so it never leaves the range of `isize`.
#[inline(always)]
pub(crate) const fn down<const MIN_ALIGN: usize>(
    lo: usize,
    hi: usize,
    size: usize,
    align: usize,
) -> Option<usize> {
    let new = if align <= MIN_ALIGN {
        hi.wrapping_sub(size.wrapping_add(MIN_ALIGN - 1) & !(MIN_ALIGN - 1))
    } else {
        let unaligned = hi.wrapping_sub(size);
        unaligned.wrapping_sub(unaligned & (align - 1))
    };
    if (new.wrapping_sub(lo) as isize) < 0 {
        None
    } else {
        Some(new)
    }
}

/// Whether [`down_small`] serves this layout.
pub(crate) const fn is_small<const MIN_ALIGN: usize>(size: usize, align: usize) -> bool {
    let unit = if align > MIN_ALIGN { align } else { MIN_ALIGN };
    size < LOWEST_ADDRESS && unit < LOWEST_ADDRESS && size + unit <= LOWEST_ADDRESS
}

/// [`down`] for a layout known to be small (see [`is_small`]) in a window that lies above
/// [`LOWEST_ADDRESS`]: comparing addresses is one instruction less than comparing their distance.
#[inline(always)]
pub(crate) const fn down_small<const MIN_ALIGN: usize>(
    lo: usize,
    hi: usize,
    size: usize,
    align: usize,
) -> Option<usize> {
    debug_assert!(is_small::<MIN_ALIGN>(size, align) && hi >= LOWEST_ADDRESS);
    let new = if align <= MIN_ALIGN {
        hi.wrapping_sub(size.wrapping_add(MIN_ALIGN - 1) & !(MIN_ALIGN - 1))
    } else {
        let unaligned = hi.wrapping_sub(size);
        unaligned.wrapping_sub(unaligned & (align - 1))
    };
    if new < lo { None } else { Some(new) }
}

/// Where a block of `size` bytes at `align` starts above `lo`; `None` when it does not fit. The new
/// `lo` is the result plus `size`: the low end is packed, whatever the minimum alignment.
///
/// One signed test as in [`down`]: the block ends at most `isize::MAX` above `lo` (I2), so the true
/// value of `hi - end` never leaves the range of `isize`.
#[inline(always)]
pub(crate) const fn up(lo: usize, hi: usize, size: usize, align: usize) -> Option<usize> {
    let start = lo.wrapping_add(align - 1) & align.wrapping_neg();
    let end = start.wrapping_add(size);
    if (hi.wrapping_sub(end) as isize) < 0 {
        None
    } else {
        Some(start)
    }
}

/// [`up`] for bytes, which need no padding: the new `lo`. Not a case of the other, whose sum lets
/// the compiler take a size apart that the caller computed, and compute it a second time.
#[inline(always)]
pub(crate) const fn up_packed(lo: usize, hi: usize, size: usize) -> Option<usize> {
    if size > hi - lo {
        None
    } else {
        Some(lo + size)
    }
}

/// Whether an address is a multiple of `align`, a power of two. (The compiler does not know that it
/// is one, and divides.)
#[inline(always)]
pub(crate) const fn is_aligned(address: usize, align: usize) -> bool {
    address & (align - 1) == 0
}

/// Whether a block of `size > 0` bytes at `start` is the last one of the low end.
#[inline(always)]
pub(crate) const fn is_last(start: usize, size: usize, lo: usize) -> bool {
    start.wrapping_add(size) == lo
}

/// The bytes of the next regular chunk of an arena that holds `capacity_bytes`: 4, 8, 16, 64, 128,
/// 256, 512 KiB, then always 1 MiB. Spans of their own are part of `capacity_bytes`, so that they
/// count towards the doubling.
pub(crate) const fn chunk_bytes_next(capacity_bytes: usize) -> usize {
    if capacity_bytes >= CHUNK_BYTES_MAX {
        return CHUNK_BYTES_MAX;
    }
    let step = (capacity_bytes + 1).next_power_of_two();
    if step <= CHUNK_BYTES_MIN {
        CHUNK_BYTES_MIN
    } else if step > PIECE_BYTES_MAX && step < UNIT_BYTES {
        UNIT_BYTES
    } else {
        step
    }
}

/// The bytes of one chunk in place of `round_bytes` of several, which a reset may keep
/// `keep_bytes` of: the span that holds as many, or else the largest that may be kept; 0 for none.
pub(crate) const fn merged_bytes(round_bytes: usize, keep_bytes: usize) -> usize {
    let span = if round_bytes <= PIECE_BYTES_MAX {
        round_bytes.next_power_of_two()
    } else {
        round_bytes.next_multiple_of(UNIT_BYTES)
    };
    if span <= keep_bytes {
        span
    } else if keep_bytes >= UNIT_BYTES {
        keep_bytes - keep_bytes % UNIT_BYTES
    } else if keep_bytes >= PIECE_BYTES_MAX {
        PIECE_BYTES_MAX
    } else if keep_bytes >= CHUNK_BYTES_MIN {
        (keep_bytes / 2 + 1).next_power_of_two()
    } else {
        0
    }
}

/// Whether a request of `size` bytes is too large for a regular chunk of `chunk_bytes`.
pub(crate) const fn gets_own_span(size: usize, chunk_bytes: usize) -> bool {
    size > chunk_bytes / OWN_SPAN_DIVISOR
}

/// The capacity in elements after growing a buffer of `capacity` elements of `element_bytes > 0`
/// to hold `needed`: at least double, so that pushing is constant on average.
///
/// A buffer that cannot stay where it is (something came behind it, often another buffer that
/// grows) quadruples. It leaves its old places behind, so growing by k takes k / ln k times the
/// final length on average, room and leftovers together: 2.9 for 2 and for 4, hardly less for 3.
/// Of the two 4 copies a third as much, and most of what it takes was never touched.
pub(crate) const fn buffer_capacity(
    capacity: usize,
    needed: usize,
    element_bytes: usize,
    stays: bool,
) -> usize {
    let first = if element_bytes == 1 {
        BUFFER_BYTES_FIRST
    } else {
        BUFFER_ELEMENTS_FIRST
    };
    let quadruple_bytes = capacity.saturating_mul(element_bytes).saturating_mul(4);
    let factor = if stays || gets_own_span(quadruple_bytes, CHUNK_BYTES_MAX) {
        2
    } else {
        4
    };
    let larger = capacity.saturating_mul(factor);
    let least = if larger > first { larger } else { first };
    if needed > least { needed } else { least }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::base::random::Random;

    fn check_down<const M: usize>(lo: usize, room: usize, size: usize, align: usize) {
        let hi = (lo + room) & !(M - 1);
        if hi < lo {
            return;
        }
        // The oracle counts in 128 bits, where nothing wraps.
        let unit = align.max(M) as i128;
        let expected = (hi as i128 - size as i128).div_euclid(unit) * unit;
        let expected = (expected >= lo as i128).then_some(expected as usize);
        assert_eq!(
            down::<M>(lo, hi, size, align),
            expected,
            "{lo} {hi} {size} {align} {M}"
        );
    }

    fn check_up(lo: usize, hi: usize, size: usize, align: usize) {
        let start = (lo as u128).next_multiple_of(align as u128);
        let expected = (start + size as u128 <= hi as u128).then_some(start as usize);
        assert_eq!(
            up(lo, hi, size, align),
            expected,
            "{lo} {hi} {size} {align}"
        );
        if align == 1 {
            let end = expected.map(|start| start + size);
            assert_eq!(up_packed(lo, hi, size), end, "{lo} {hi} {size}");
        }
    }

    fn check(lo: usize, room: usize, size: usize, align: usize) {
        if size > isize::MAX as usize - (align - 1) || lo.checked_add(room).is_none() {
            return;
        }
        check_down::<1>(lo, room, size, align);
        check_down::<2>(lo, room, size, align);
        check_down::<4>(lo, room, size, align);
        check_down::<8>(lo, room, size, align);
        check_down::<16>(lo, room, size, align);
        check_up(lo, lo + room, size, align);
    }

    #[test]
    fn every_small_case_agrees_with_wide_arithmetic() {
        for lo in [16, 17, 4096, 4097] {
            for room in 0..40 {
                for size in 0..48 {
                    for shift in 0..6 {
                        check(lo, room, size, 1 << shift);
                    }
                }
            }
        }
    }

    #[test]
    fn random_and_extreme_cases_agree_with_wide_arithmetic() {
        let mut random = Random::new(7);
        let edge = isize::MAX as usize;
        for _ in 0..if cfg!(miri) { 500 } else { 200_000 } {
            let align = 1usize << (random.below(23));
            let size = match random.below(4) {
                0 => random.below(64),
                1 => random.below(1 << 21),
                2 => edge - (align - 1) - random.below(40),
                _ => edge / 2 + random.below(1000),
            };
            let lo = match random.below(4) {
                0 => 16,
                1 => random.below(1 << 44) + 16,
                2 => edge - random.below(4096),
                _ => usize::MAX - (2 << 20) - random.below(4096),
            };
            let room = match random.below(3) {
                0 => 0,
                1 => random.below(4096),
                _ => random.below(1 << 20),
            };
            check(lo, room, size, align);
        }
    }

    #[test]
    fn chunks_double_from_a_page_to_a_mebibyte() {
        let mut total = 0;
        let mut steps = Vec::new();
        for _ in 0..10 {
            let step = chunk_bytes_next(total);
            total += step;
            steps.push(step >> 10);
        }
        assert_eq!(steps, [4, 8, 16, 64, 128, 256, 512, 1024, 1024, 1024]);
        assert!(!gets_own_span(1024, 4096) && gets_own_span(1025, 4096));
    }

    #[test]
    fn merged_chunks_are_spans_within_what_may_be_kept() {
        let kib = |n: usize| n << 10;
        for (round, keep, merged) in [
            (12, 1000, 16),
            (28, 1000, 64),
            (92, 1000, 128),
            (92, 100, 64),
            (92, 63, 16),
            (92, 15, 8),
            (92, 8, 8),
            (92, 7, 4),
            (92, 3, 0),
        ] {
            assert_eq!(
                merged_bytes(kib(round), kib(keep)),
                kib(merged),
                "{round} {keep}"
            );
        }
    }

    #[test]
    fn buffers_at_least_double() {
        assert_eq!(buffer_capacity(0, 1, 1, true), 8);
        assert_eq!(buffer_capacity(0, 1, 24, true), 4);
        assert_eq!(buffer_capacity(4, 5, 24, true), 8);
        assert_eq!(buffer_capacity(4, 5, 24, false), 16);
        assert_eq!(buffer_capacity(4, 100, 24, false), 100);
        assert_eq!(
            buffer_capacity(16 << 10, 1 + (16 << 10), 8, false),
            32 << 10
        );
        let max = usize::MAX;
        assert_eq!(buffer_capacity(max - 1, max, 8, true), max);
        assert_eq!(buffer_capacity(max - 1, max, 8, false), max);
    }
}
