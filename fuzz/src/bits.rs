//! The bitmap against a plain list of booleans.

use arbitrary::Arbitrary;

use crate::base::bitmap;
use crate::base::geometry::{align_up, divide, find_run, reciprocal, run_mask};
use crate::base::sync::AtomicU64;

/// One step.
#[derive(Arbitrary, Debug)]
pub enum Op {
    /// Starts anew with this many set bits.
    Fill(u16),
    /// Takes a word at or after this one.
    Take(u8),
    /// Gives one taken bit back.
    Give(u16),
    /// Looks for adjacent set bits in a word.
    Run(u64, u8, u8),
    /// Divides by a slot size.
    Divide(u16, u32),
    /// Rounds up.
    Round(usize, u8),
}

/// Runs a stream.
pub fn run(ops: Vec<Op>) {
    let words: Vec<AtomicU64> = (0..64).map(|_| AtomicU64::new(0)).collect();
    let mut oracle = vec![false; 64 * 64];
    for op in ops {
        match op {
            Op::Fill(bits) => {
                let bits = usize::from(bits) % (oracle.len() + 1);
                bitmap::fill(&words, bits);
                oracle
                    .iter_mut()
                    .enumerate()
                    .for_each(|(bit, set)| *set = bit < bits);
            }
            Op::Take(from) => {
                let from = usize::from(from) % 64;
                let taken = bitmap::take_word(&words, from);
                let first = oracle.iter().skip(from * 64).position(|set| *set);
                assert_eq!(taken.map(|taken| taken.0), first.map(|bit| from + bit / 64));
                if let Some((index, word)) = taken {
                    for bit in 0..64 {
                        let was = std::mem::take(&mut oracle[index * 64 + bit]);
                        assert_eq!(word >> bit & 1 == 1, was);
                    }
                }
            }
            Op::Give(bit) => {
                let bit = usize::from(bit) % oracle.len();
                let mask = 1 << (bit % 64);
                let before = bitmap::give_mask(&words, bit / 64, mask);
                assert_eq!(before != 0, std::mem::replace(&mut oracle[bit], true));
            }
            other => arithmetic(other),
        }
        for bit in (0..oracle.len()).step_by(61) {
            assert_eq!(bitmap::is_set(&words, bit), oracle[bit]);
        }
    }
}

fn arithmetic(op: Op) {
    match op {
        Op::Run(word, count, align) => {
            let (count, align) = (u32::from(count) % 64 + 1, 1 << (align % 7));
            let all_set = |start: &u32| (*start..start + count).all(|bit| word >> bit & 1 == 1);
            let naive = (0..=64 - count)
                .filter(|start| start % align == 0)
                .find(all_set);
            assert_eq!(find_run(word, count, align), naive);
            if let Some(start) = naive {
                assert_eq!(word & run_mask(start, count), run_mask(start, count));
            }
        }
        Op::Divide(sixteenths, offset) => {
            // Slot sizes are multiples of 16 up to 32 KiB, offsets lie within 512 KiB of slab.
            let divisor = 16 * (u32::from(sixteenths) % 2048 + 1);
            let offset = offset % (512 << 10);
            let quotient = divide(offset, reciprocal(divisor));
            assert_eq!(quotient * divisor == offset, offset % divisor == 0);
        }
        Op::Round(value, log2) => {
            let align = 1_usize << (log2 % 23);
            let naive = value.checked_next_multiple_of(align);
            assert_eq!(align_up(value, align), naive);
        }
        _ => {}
    }
}
