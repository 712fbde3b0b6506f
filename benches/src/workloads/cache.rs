//! cache-scratch and cache-thrash: do two threads get bytes of one cache line?
//!
//! A one-byte object is written many times, then freed and allocated anew. In cache-scratch the
//! first object of each thread was allocated by the main thread, side by side, and a thread's free
//! must not make the line its own (passive sharing); in cache-thrash each allocates for itself
//! (active sharing). Published parameters `T 1000 1 2000000`, a fifth of the writes.

use super::Input;
use super::block::Block;
use super::in_threads;
use std::sync::Mutex;

const ROUNDS: usize = 400;
const WRITES: usize = 500_000;

fn work(mut block: Block) -> u64 {
    let mut sum = 0_u64;
    for round in 0..ROUNDS as u64 {
        block.hammer(WRITES);
        sum = sum.wrapping_add(block.free());
        block = Block::new(1, 1, round);
    }
    sum
}

/// The first objects come from the main thread.
pub fn scratch(input: &Input) -> u64 {
    let firsts: Vec<_> = (0..input.threads)
        .map(|tag| Mutex::new(Some(Block::new(1, 1, tag as u64))))
        .collect();
    in_threads(input.threads, |thread| {
        let first = firsts[thread].lock().expect("a place").take();
        work(first.expect("one for each thread"))
    })
}

/// Every thread allocates for itself.
pub fn thrash(input: &Input) -> u64 {
    in_threads(input.threads, |thread| {
        work(Block::new(1, 1, thread as u64))
    })
}
