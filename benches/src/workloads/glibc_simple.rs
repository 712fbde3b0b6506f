//! glibc-simple: a few blocks of one size, half freed in order, half in reverse.
//!
//! 25, 100, 400 and 1600 blocks of 16, 32 and 64 bytes, one after the other.

use super::Input;
use super::block::Block;
use super::in_threads;

/// Blocks per number and size, so that all of them weigh the same.
const BLOCKS: usize = 4_800_000;

fn pass(held: &mut Vec<Block>, count: usize, size: usize) -> u64 {
    let mut sum = 0_u64;
    held.extend((0..count as u64).map(|tag| Block::new(size, 8, tag)));
    let newest = held.split_off(count / 2);
    for block in held.drain(..) {
        sum = sum.wrapping_mul(31).wrapping_add(block.free());
    }
    for block in newest.into_iter().rev() {
        sum = sum.wrapping_mul(31).wrapping_add(block.free());
    }
    sum
}

/// The same in `input.threads` threads.
pub fn run(input: &Input) -> u64 {
    in_threads(input.threads, |_| {
        let mut held = Vec::with_capacity(1600);
        let mut sum = 0_u64;
        for size in [16, 32, 64] {
            for count in [25, 100, 400, 1600] {
                for _ in 0..BLOCKS / count {
                    sum = sum.wrapping_add(pass(&mut held, count, size));
                }
            }
        }
        sum
    })
}
