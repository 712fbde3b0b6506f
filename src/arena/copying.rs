//! Copies into fresh blocks: short ones inline, since most strings and slices are a few words and a
//! call of `memcpy` costs more than moving those.
//!
//! I1: a copy of `n` bytes in two moves of `m`, `m <= n <= 2 * m`, one from the start and one that
//!     ends with the last byte: they overlap in the middle, where both write the same.

/// Above this many bytes the call of `memcpy` is worth it: eight moves of 16 bytes, the widest that
/// every target has.
const INLINE_BYTES_MAX: usize = 128;

/// Copies `len` values that are plain bits.
///
/// # Safety
/// `from` is readable and `to` writable for `len` values, aligned, and they do not overlap.
#[inline(always)]
pub(crate) unsafe fn copy<T: Copy>(from: *const T, to: *mut T, len: usize) {
    let bytes = len * size_of::<T>();
    if size_of::<T>() == 0 {
        return;
    }
    // SAFETY: the caller's promise, counted in bytes.
    unsafe {
        if bytes > INLINE_BYTES_MAX {
            to.copy_from_nonoverlapping(from, len);
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
        if bytes >= 16 {
            if bytes <= 32 {
                both_ends::<16>(from, to, bytes);
            } else if bytes <= 64 {
                both_ends::<32>(from, to, bytes);
            } else {
                both_ends::<64>(from, to, bytes);
            }
        } else if bytes >= 8 {
            both_ends::<8>(from, to, bytes);
        } else if size_of::<T>() % 8 == 0 {
            // No bytes at all.
        } else if bytes >= 4 {
            both_ends::<4>(from, to, bytes);
        } else if bytes >= 2 {
            both_ends::<2>(from, to, bytes);
        } else if bytes == 1 {
            to.copy_from_nonoverlapping(from, 1);
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
