//! malloc-large: twenty live blocks of 5 to 25 MiB, replaced at random.
//!
//! A tenth of the published two thousand replacements; one byte of every 4 KiB is written, so that
//! pages from the operating system are paid for.

use super::Input;
use super::block::Block;
use crate::Random;

const LIVE: usize = 20;
const STEPS: usize = 200;

/// One thread.
pub fn run(_: &Input) -> u64 {
    let mut random = Random::new(1);
    let mut held: Vec<Option<Block>> = (0..LIVE).map(|_| None).collect();
    let mut sum = 0_u64;
    for step in 0..STEPS {
        let place = random.below(LIVE);
        sum = sum
            .wrapping_mul(31)
            .wrapping_add(held[place].take().map_or(0, Block::free));
        let size = (5 << 20) + random.below(20 << 20);
        held[place] = Some(Block::paged(size, 8, step as u64));
    }
    let left = held.into_iter().flatten().map(Block::free);
    left.fold(sum, u64::wrapping_add)
}
