//! sh6 and sh8: a ladder of sizes in a ring of live blocks.
//!
//! Every call climbs sixty sizes from 1 to 1000 bytes, small ones more often; when the ring of
//! blocks is full, its newest half is freed in reverse order or its oldest half in order, by turns.
//! In sh8 every fourth half is freed by another thread.

use std::collections::VecDeque;

use super::Input;
use super::block::Block;
use super::in_threads;
use super::queue::Queue;

/// Ten times the published calls.
const CALLS: usize = 100_000;
const STEPS: usize = 60;
const SIZE_MAX: usize = 1000;
/// Blocks in the ring: more than any allocator's thread cache of one size, less than a megabyte.
const RING: usize = 4000;

/// Halves under way to a thread. Whoever finds no room frees its half itself: else a thread that
/// the system holds up would make the other's peak.
const MAIL: usize = 8;

struct Ring<'a> {
    live: VecDeque<Block>,
    halves: usize,
    sum: u64,
    away: Option<&'a Queue<Vec<Block>>>,
}

impl Ring<'_> {
    fn push(&mut self, block: Block) {
        if self.live.len() == RING {
            self.free_half();
        }
        self.live.push_back(block);
    }

    fn free_half(&mut self) {
        self.halves += 1;
        let half = RING / 2;
        match self.away {
            Some(queue) if self.halves.is_multiple_of(4) => {
                let refused = queue.try_send(self.live.drain(..half).collect());
                let tags = refused.into_iter().flatten().map(Block::free);
                self.sum = tags.fold(self.sum, u64::wrapping_add);
            }
            _ if self.halves.is_multiple_of(2) => self.sum_of(|live| live.pop_front(), half),
            _ => self.sum_of(|live| live.pop_back(), half),
        }
    }

    fn sum_of(&mut self, take: fn(&mut VecDeque<Block>) -> Option<Block>, count: usize) {
        for _ in 0..count {
            let tag = take(&mut self.live).map_or(0, Block::free);
            self.sum = self.sum.wrapping_add(tag);
        }
    }
}

fn climb(away: Option<&Queue<Vec<Block>>>, mut every_call: impl FnMut()) -> u64 {
    let mut ring = Ring {
        live: VecDeque::with_capacity(RING),
        halves: 0,
        sum: 0,
        away,
    };
    for call in 0..CALLS {
        for step in 0..STEPS {
            // Sizes grow with the square of the step; the lower half comes twice.
            let size = 1 + step * step * (SIZE_MAX - 1) / ((STEPS - 1) * (STEPS - 1));
            let times = 1 + usize::from(step < STEPS / 2);
            for _ in 0..times {
                ring.push(Block::new(
                    size,
                    8.min(size.next_power_of_two()),
                    call as u64,
                ));
            }
        }
        every_call();
    }
    let left = ring.live.len();
    ring.sum_of(|live| live.pop_front(), left);
    ring.sum
}

/// sh6: every thread frees its own blocks.
pub fn six(input: &Input) -> u64 {
    in_threads(input.threads, |_| climb(None, || {}))
}

/// sh8: threads in a ring free for one another.
pub fn eight(input: &Input) -> u64 {
    let mail: Vec<_> = (0..input.threads).map(|_| Queue::new(MAIL, 1)).collect();
    let free = |queue: &Queue<Vec<Block>>| {
        let halves = std::iter::from_fn(|| queue.try_receive());
        halves.flatten().map(Block::free).fold(0, u64::wrapping_add)
    };
    let sum = in_threads(input.threads, |thread| {
        let mut sum = 0_u64;
        let next = &mail[(thread + 1) % mail.len()];
        let own = climb(Some(next), || sum = sum.wrapping_add(free(&mail[thread])));
        own.wrapping_add(sum)
    });
    mail.iter().map(free).fold(sum, u64::wrapping_add)
}
