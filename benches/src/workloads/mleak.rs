//! mleak: ten thousand threads that live for a moment.
//!
//! Ten threads at a time, a thousand times; each allocates 128 bytes, exchanges them for what lies
//! in a shared place, frees that, and ends. What a thread's end leaves behind shows in the settled
//! memory.

use std::sync::Mutex;
use std::thread;

use super::Input;
use super::block::Block;

const AT_ONCE: usize = 10;
const ROUNDS: usize = 1000;

/// Ten threads at a time, whatever `input.threads` says.
pub fn run(_: &Input) -> u64 {
    let place = Mutex::new(None);
    let (sum, place) = (Mutex::new(0_u64), &place);
    for round in 0..ROUNDS {
        thread::scope(|scope| {
            for index in 0..AT_ONCE {
                let (tag, sum) = ((round + index) as u64, &sum);
                scope.spawn(move || {
                    let own = Block::new(128, 8, tag);
                    let other: Option<Block> = place.lock().expect("a place").replace(own);
                    *sum.lock().expect("a sum") += other.map_or(0, Block::free);
                });
            }
        });
    }
    let last = place.lock().expect("a place").take();
    sum.into_inner().expect("a sum") + last.map_or(0, Block::free)
}
