//! alloc-test: random objects live and die, the young ones faster.
//!
//! 2^18 places shared out among the threads; a place is chosen by the Pareto rule (80 % of the
//! steps go to 20 % of the places, and so on within these); an occupied place is freed, an empty
//! one filled with 8 bytes to 1 KiB, each doubling half as likely as the one before. All of an
//! object is written. A tenth of the published hundred million steps.

use super::Input;
use super::block::Block;
use super::in_threads;
use crate::Random;

const PLACES: usize = 1 << 18;
const STEPS: usize = 10_000_000;

fn pareto(random: &mut Random, places: usize) -> usize {
    let (mut start, mut len) = (0, places);
    // Six levels, as published: the last part is a few places.
    for _ in 0..6 {
        let fifth = (len / 5).max(1);
        if random.below(5) == 0 {
            start += fifth;
            len = (len - fifth).max(1);
            break;
        }
        len = fifth;
    }
    (start + random.below(len)).min(places - 1)
}

fn size(random: &mut Random) -> usize {
    let base = 8 << random.word().trailing_zeros().min(6);
    base + random.below(base)
}

/// `input.threads` threads, each with its own places.
pub fn run(input: &Input) -> u64 {
    let places = PLACES / input.threads;
    in_threads(input.threads, |thread| {
        let mut random = Random::new(thread as u64);
        let mut held: Vec<Option<Block>> = (0..places).map(|_| None).collect();
        let mut sum = 0_u64;
        for step in 0..STEPS {
            let place = &mut held[pareto(&mut random, places)];
            match place.take() {
                Some(block) => sum = sum.wrapping_mul(31).wrapping_add(block.free()),
                None => *place = Some(Block::filled(size(&mut random), 8, step as u64)),
            }
        }
        sum
    })
}
