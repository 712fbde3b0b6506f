//! rptest: large and small, aligned and not, freed in scattered order and by other threads.
//!
//! 1000 blocks live per thread, 8 to 16000 bytes with probability falling in a line, alignments 1,
//! 8 and 16. A loop replaces 1000 of them, a hundred at a time with a stride through the places;
//! every second loop hands a batch of a hundred to the next thread, which frees it. Published
//! parameters `T 0 1 2 500 1000 100 8 16000`, eight times as many loops.

use super::Input;
use super::block::Block;
use super::in_threads;
use super::queue::Queue;
use crate::Random;

const LIVE: usize = 1000;
const BATCH: usize = 100;
/// Eight times the published loops.
const LOOPS: usize = 4000;
/// Batches under way to a thread. Whoever finds no room frees its batch itself: else a thread that
/// the system holds up would make the other's peak.
const MAIL: usize = 8;
const SIZE_MIN: usize = 8;
const SIZE_MAX: usize = 16_000;
/// Prime, so that the stride reaches every place.
const STRIDE: usize = 367;

fn block(random: &mut Random) -> Block {
    let range = SIZE_MAX - SIZE_MIN;
    // The smaller of two even draws falls in a line from the smallest size to the largest.
    let size = SIZE_MIN + random.below(range).min(random.below(range));
    let align = [1, 8, 16][random.below(3)];
    Block::new(size, align, random.word())
}

fn live(thread: usize, mail: &[Queue<Vec<Block>>]) -> u64 {
    let mut random = Random::new(thread as u64);
    let mut held: Vec<_> = (0..LIVE).map(|_| Some(block(&mut random))).collect();
    let mut sum = 0_u64;
    let mut place = 0;
    for round in 0..LOOPS {
        for _ in 0..LIVE / BATCH {
            let first = place;
            for _ in 0..BATCH {
                place = (place + STRIDE) % LIVE;
                let tag = held[place].take().map_or(0, Block::free);
                sum = sum.wrapping_add(tag);
            }
            place = first;
            for _ in 0..BATCH {
                place = (place + STRIDE) % LIVE;
                held[place] = Some(block(&mut random));
            }
        }
        if round % 2 == 1 && mail.len() > 1 {
            let batch: Vec<_> = (0..BATCH).map(|_| block(&mut random)).collect();
            let refused = mail[(thread + 1) % mail.len()].try_send(batch);
            let tags = refused.into_iter().flatten().map(Block::free);
            sum = tags.fold(sum, u64::wrapping_add);
        }
        while let Some(batch) = mail[thread].try_receive() {
            sum = batch
                .into_iter()
                .map(Block::free)
                .fold(sum, u64::wrapping_add);
        }
    }
    let left = held.into_iter().flatten().map(Block::free);
    left.fold(sum, u64::wrapping_add)
}

/// `input.threads` threads in a ring.
pub fn run(input: &Input) -> u64 {
    let mail: Vec<_> = (0..input.threads).map(|_| Queue::new(MAIL, 1)).collect();
    let sum = in_threads(input.threads, |thread| live(thread, &mail));
    // What came after its receiver had ended.
    let late = mail
        .iter()
        .flat_map(|queue| std::iter::from_fn(|| queue.try_receive()));
    late.flatten().map(Block::free).fold(sum, u64::wrapping_add)
}
