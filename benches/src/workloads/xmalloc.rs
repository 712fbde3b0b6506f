//! xmalloc: some threads only allocate, as many others only free.
//!
//! Batches of 4096 blocks of 64 bytes through a queue of at most 100 batches; `threads` is the
//! number of producers. Published parameters `-w T -t 5 -s 64`; a fixed number of batches instead
//! of five seconds.

use std::thread;

use super::Input;
use super::block::Block;
use super::queue::Queue;

const BATCH: usize = 4096;
const QUEUE: usize = 100;
/// Of every producer: sixty times what the queue holds, so that it is full and empty many times.
const BATCHES: usize = 6000;

/// `input.threads` producers and as many consumers.
pub fn run(input: &Input) -> u64 {
    let queue = Queue::new(QUEUE, input.threads);
    let queue = &queue;
    thread::scope(|scope| {
        for producer in 0..input.threads {
            scope.spawn(move || {
                for batch in 0..BATCHES {
                    let tag = (producer + batch) as u64;
                    let blocks = (0..BATCH as u64).map(|block| Block::new(64, 8, tag ^ block));
                    queue.send(blocks.collect::<Vec<_>>());
                }
                queue.end();
            });
        }
        let consumers = (0..input.threads).map(|_| {
            scope.spawn(move || {
                let mut sum = 0_u64;
                while let Some(batch) = queue.receive() {
                    sum = batch
                        .into_iter()
                        .map(Block::free)
                        .fold(sum, u64::wrapping_add);
                }
                sum
            })
        });
        let consumers: Vec<_> = consumers.collect();
        let sums = consumers
            .into_iter()
            .map(|thread| thread.join().expect("a consumer"));
        sums.fold(0, u64::wrapping_add)
    })
}
