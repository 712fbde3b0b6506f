//! larson: a server whose threads come and go.
//!
//! Every thread owns 5000 blocks of 8 to 1000 bytes and replaces a random one again and again;
//! after 100 times 5000 replacements it ends, and a new thread inherits its blocks. Published
//! parameters `5 8 1000 5000 100 4141 T`; a fixed number of generations instead of five seconds.

use std::thread;

use super::Input;
use super::block::Block;
use crate::Random;

const SLOTS: usize = 5000;
const ROUNDS: usize = 100;
/// Threads that inherit from one another: half a second under a slow allocator.
const GENERATIONS: usize = 50;

struct Estate {
    slots: Vec<Option<Block>>,
    random: Random,
    sum: u64,
}

impl Estate {
    fn new(seed: u64) -> Estate {
        let mut random = Random::new(seed);
        let slots = (0..SLOTS).map(|_| Some(block(&mut random))).collect();
        Estate {
            slots,
            random,
            sum: 0,
        }
    }

    fn live(mut self) -> Estate {
        for _ in 0..SLOTS * ROUNDS {
            let victim = self.random.below(SLOTS);
            // The server frees before it allocates.
            let tag = self.slots[victim].take().map_or(0, Block::free);
            self.sum = self.sum.wrapping_mul(31).wrapping_add(tag);
            self.slots[victim] = Some(block(&mut self.random));
        }
        self
    }
}

fn block(random: &mut Random) -> Block {
    let size = 8 + random.below(992);
    Block::new(size, 8, random.word())
}

/// `input.threads` lines of inheritance.
pub fn run(input: &Input) -> u64 {
    let lines = (0..input.threads).map(|line| {
        thread::spawn(move || {
            let mut estate = Estate::new(4141 + line as u64);
            for _ in 0..GENERATIONS {
                let heir = thread::spawn(move || estate.live());
                estate = heir.join().expect("a generation");
            }
            estate.sum
        })
    });
    let lines: Vec<_> = lines.collect();
    lines
        .into_iter()
        .map(|line| line.join().expect("a line"))
        .fold(0, u64::wrapping_add)
}
