//! Words of 64 bits where a set bit means "free". Knows bits, nothing else.
//!
//! The words are atomics written by one owner at a time (relaxed load and store, no read-modify-
//! write), because other threads may read them for figures. Whole words are taken and given; single
//! bits are never. bitvec gives the reading view of a copied snapshot ([`snapshot`]); on the hot
//! path raw words are 2 to 10 times faster, and bitvec's aliased writes do not pass Rust's borrow
//! models.
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
use core::ops::Range;

use bitvec::prelude::{BitArray, Lsb0};

use crate::base::sync::{AtomicU64, Ordering};

/// `WORDS * 64` bits for one writer at a time, a set bit meaning "free": what slabs track their
/// slots with, for use on its own. Needs neither an allocator nor an operating system.
///
/// ```
/// use flagstone::Bitmap;
/// let mut bitmap: Bitmap<2> = Bitmap::filled(100);
/// assert_eq!(bitmap.take(), Some(0));
/// assert_eq!(bitmap.take_word(), Some((0, u64::MAX - 1))); // the rest of the first word
/// assert!(bitmap.give(7));
/// assert!(!bitmap.give(7), "it is free already");
/// assert_eq!(bitmap.to_bits().iter_ones().next(), Some(7));
/// assert_eq!(bitmap.count(), 37);
/// ```
#[derive(Debug)]
pub struct Bitmap<const WORDS: usize> {
    words: [AtomicU64; WORDS],
    bits: usize,
}

impl<const WORDS: usize> Bitmap<WORDS> {
    /// The first `bits` bits set, the others not part of the bitmap.
    ///
    /// # Panics
    /// If `bits` is more than `WORDS * 64`.
    pub fn filled(bits: usize) -> Self {
        assert!(
            bits <= WORDS * 64,
            "flagstone: a bitmap of {WORDS} words has no {bits} bits"
        );
        let bitmap = Bitmap {
            words: [const { AtomicU64::new(0) }; WORDS],
            bits,
        };
        fill(&bitmap.words, bits);
        bitmap
    }

    /// Takes the lowest set bit.
    pub fn take(&mut self) -> Option<usize> {
        let (index, word) = take_word(&self.words, 0)?;
        self.words[index].store(word & (word - 1), Ordering::Relaxed);
        Some(index * 64 + word.trailing_zeros() as usize)
    }

    /// Takes the first word that has a set bit, whole: its index and its bits.
    pub fn take_word(&mut self) -> Option<(usize, u64)> {
        take_word(&self.words, 0)
    }

    /// Sets a bit. `false` if it was set, which is how a double free shows.
    ///
    /// # Panics
    /// If the bitmap has no such bit.
    pub fn give(&mut self, bit: usize) -> bool {
        assert!(
            bit < self.bits,
            "flagstone: bit {bit} of a bitmap of {} bits",
            self.bits
        );
        give_mask(&self.words, bit / 64, 1 << (bit % 64)) == 0
    }

    /// Number of set bits.
    pub fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.load(Ordering::Relaxed).count_ones() as usize)
            .sum()
    }

    /// A copy for bitvec to read.
    pub fn to_bits(&self) -> BitArray<[u64; WORDS], Lsb0>
    where
        [u64; WORDS]: bitvec::view::BitViewSized,
    {
        BitArray::new(core::array::from_fn(|index| {
            self.words[index].load(Ordering::Relaxed)
        }))
    }
}

/// Number of `u64` words that hold `bits` bits.
#[cfg(feature = "alloc")]
pub(crate) const fn words_for(bits: usize) -> usize {
    bits.div_ceil(64)
}

/// Sets the first `bits` bits and clears the rest.
pub(crate) fn fill(words: &[AtomicU64], bits: usize) {
    for (index, word) in words.iter().enumerate() {
        let left = bits.saturating_sub(index * 64);
        let value = if left >= 64 {
            u64::MAX
        } else {
            (1 << left) - 1
        };
        word.store(value, Ordering::Relaxed);
    }
}

/// Takes the first word at or after `from` that has a set bit: clears it and returns its index and
/// former value.
pub(crate) fn take_word(words: &[AtomicU64], from: usize) -> Option<(usize, u64)> {
    for (index, word) in words.iter().enumerate().skip(from) {
        let value = word.load(Ordering::Relaxed);
        if value != 0 {
            word.store(0, Ordering::Relaxed);
            return Some((index, value));
        }
    }
    None
}

/// Sets the bits of `mask` in `words[index]`. Returns the bits that were set before: a caller that
/// gives back what it owned expects 0.
pub(crate) fn give_mask(words: &[AtomicU64], index: usize, mask: u64) -> u64 {
    let before = words[index].load(Ordering::Relaxed);
    words[index].store(before | mask, Ordering::Relaxed);
    before & mask
}

/// Whether every bit of `range` is set.
#[cfg(feature = "alloc")]
pub(crate) fn all_set(words: &[AtomicU64], range: Range<usize>) -> bool {
    let mut at = range.start;
    while at < range.end {
        let count = (64 - at % 64).min(range.end - at);
        let mask = (u64::MAX >> (64 - count)) << (at % 64);
        if words[at / 64].load(Ordering::Relaxed) & mask != mask {
            return false;
        }
        at += count;
    }
    true
}

/// Whether `bit` is set.
#[cfg(feature = "alloc")]
pub(crate) fn is_set(words: &[AtomicU64], bit: usize) -> bool {
    words[bit / 64].load(Ordering::Relaxed) >> (bit % 64) & 1 == 1
}

/// A copy of the words, for bitvec to read: `BitSlice::<u64, Lsb0>::from_slice(&snapshot)`.
#[cfg(feature = "alloc")]
pub(crate) fn snapshot(words: &[AtomicU64]) -> alloc::vec::Vec<u64> {
    words
        .iter()
        .map(|word| word.load(Ordering::Relaxed))
        .collect()
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;
    use crate::base::random::Random;
    use bitvec::prelude::{BitSlice, BitVec, Lsb0};

    /// A random stream of takes and gives, with bitvec as the oracle of every step.
    #[test]
    fn against_bitvec() {
        let mut random = Random::new(7);
        for bits in [1, 5, 63, 64, 65, 255, 256, 4096] {
            let words: alloc::vec::Vec<AtomicU64> =
                (0..words_for(bits)).map(|_| AtomicU64::new(0)).collect();
            fill(&words, bits);
            let mut oracle: BitVec<u64, Lsb0> = BitVec::repeat(true, bits);
            let mut held: alloc::vec::Vec<usize> = alloc::vec::Vec::new();
            for _ in 0..2000 {
                if random.below(2) == 0 {
                    let from = random.below(words.len());
                    let first = oracle[from * 64..].first_one().map(|bit| (bit / 64) + from);
                    let taken = take_word(&words, from);
                    assert_eq!(taken.map(|(index, _)| index), first);
                    if let Some((index, mut word)) = taken {
                        while word != 0 {
                            let bit = index * 64 + word.trailing_zeros() as usize;
                            assert!(oracle.replace(bit, false));
                            held.push(bit);
                            word &= word - 1;
                        }
                    }
                } else if !held.is_empty() {
                    let bit = held.swap_remove(random.below(held.len()));
                    assert!(!is_set(&words, bit));
                    assert_eq!(give_mask(&words, bit / 64, 1 << (bit % 64)), 0);
                    assert_ne!(
                        give_mask(&words, bit / 64, 1 << (bit % 64)),
                        0,
                        "double give shows"
                    );
                    oracle.set(bit, true);
                }
                let copy = snapshot(&words);
                assert_eq!(
                    &BitSlice::<u64, Lsb0>::from_slice(&copy)[..bits],
                    &oracle[..]
                );
            }
        }
    }
}
