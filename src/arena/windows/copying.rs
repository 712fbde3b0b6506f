//! Copies into fresh blocks: short ones inline, since most strings and slices are a few words and a
//! call of `memcpy` costs more than moving those; the next larger ones in the direction in which
//! their end of the window moves, so that the hardware sees one stream of writes.
//!
//! I1: a copy of `n` bytes in two moves of `m`, `m <= n <= 2 * m`, one from the start and one that
//!     ends with the last byte: they overlap in the middle, where both write the same.

use crate::arena::windows::chunk::End;

/// Above this many bytes the call of `memcpy` is worth it: eight moves of 16 bytes, the widest that
/// every target has.
const INLINE_BYTES_MAX: usize = 128;
/// Above this many bytes one block is a stream by itself, as prefetchers stop at a page's end.
const STREAM_BYTES_MAX: usize = 4 << 10;
/// Bytes per step of a descending copy: a cache line.
const LINE_BYTES: usize = 64;

const _: () = assert!(LINE_BYTES <= INLINE_BYTES_MAX);

/// Copies `len` values that are plain bits into a block of an end of a window.
///
/// # Safety
/// `from` is readable and `to` writable for `len` values, aligned, and they do not overlap.
#[inline(always)]
pub(crate) unsafe fn copy<T: Copy>(from: *const T, to: *mut T, len: usize, end: End) {
    let bytes = len * size_of::<T>();
    if size_of::<T>() == 0 {
        return;
    }
    // SAFETY: the caller's promise, counted in bytes.
    unsafe {
        if bytes > INLINE_BYTES_MAX {
            match end {
                End::Up => to.copy_from_nonoverlapping(from, len),
                End::Down => long_descending(from.cast(), to.cast(), bytes),
            }
        } else {
            short::<T>(from.cast(), to.cast(), bytes);
        }
    }
}

/// # Safety
/// As for [`copy`], in bytes, at most [`INLINE_BYTES_MAX`] of them and a multiple of `T`'s size.
#[inline(always)]
unsafe fn short<T>(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise; every move lies within the first `bytes` bytes (I1).
    unsafe {
        if bytes <= 16 {
            if bytes >= 8 {
                both_ends::<8>(from, to, bytes);
            } else if size_of::<T>() % 8 == 0 {
                // No bytes at all.
            } else if bytes >= 4 {
                both_ends::<4>(from, to, bytes);
            } else if bytes == 1 {
                to.copy_from_nonoverlapping(from, 1);
            } else if bytes > 0 {
                both_ends::<2>(from, to, bytes);
            }
        } else if bytes <= 32 {
            both_ends::<16>(from, to, bytes);
        } else if bytes <= 64 {
            both_ends::<32>(from, to, bytes);
        } else {
            both_ends::<64>(from, to, bytes);
        }
    }
}

/// Copies `bytes` bytes in two moves (I1).
///
/// # Safety
/// As for [`copy`], in bytes; `M <= bytes <= 2 * M`.
#[inline(always)]
unsafe fn both_ends<const M: usize>(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise. Copies are untyped, so that bytes without a value stay so.
    unsafe {
        to.copy_from_nonoverlapping(from, M);
        let rest = bytes - M;
        to.add(rest).copy_from_nonoverlapping(from.add(rest), M);
    }
}

/// Copies more than [`INLINE_BYTES_MAX`] bytes, the last ones first.
///
/// # Safety
/// As for [`copy`], in bytes.
#[inline(never)]
unsafe fn long_descending(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise; every step lies within the first `bytes` bytes, and the last
    // one copies the first line, of which a part may be there already.
    unsafe {
        if bytes > STREAM_BYTES_MAX {
            to.copy_from_nonoverlapping(from, bytes);
            return;
        }
        let mut rest = bytes;
        while rest > LINE_BYTES {
            rest -= LINE_BYTES;
            to.add(rest)
                .copy_from_nonoverlapping(from.add(rest), LINE_BYTES);
        }
        to.copy_from_nonoverlapping(from, LINE_BYTES);
    }
}
