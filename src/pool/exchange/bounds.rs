//! The bounds of a pool, and how they are divided among magazines and shards.
//!
//! Owns the arithmetic, and the number of processors, which it asks for once.
#![forbid(unsafe_code)]

use core::ops::RangeInclusive;

use std::thread;

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::stock::magazine::MAGAZINE_SLOTS;

/// Idle objects a pool keeps unless told otherwise: what 16 threads keep in full shards, and the
/// same again in the depot. A burst beyond that is rare enough to be built anew.
const IDLE_MAX: usize = 4096;

/// Bytes of idle objects a pool keeps unless told otherwise: the count above for objects of up to
/// 16 KiB. Twice as much is what a small container has in all.
const IDLE_BYTES: usize = 64 << 20;

/// Idle objects that even a pool of the largest keeps unless told otherwise: one for each of a few
/// threads and some in the depot.
const IDLE_FLOOR: usize = 16;

/// Bytes of objects in one magazine at most, so that an idle thread strands no more than half a
/// MiB: up to 4 KiB the magazine is full length, objects of 1 MiB come one by one.
const MAGAZINE_BYTES: usize = 256 << 10;

/// Shards that a pool may have on a machine with few processors: threads outnumber those there, and
/// a shard costs some 700 bytes.
const SHARDS_FLOOR: usize = 16;

/// Shards for each processor: worker threads come to one or two, and the rest wait for something.
const SHARDS_PER_PROCESSOR: usize = 4;

/// The bounds of a pool, fixed when it is built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Ticks keep this many idle objects.
    pub(crate) idle_min: usize,
    /// Idle objects at most (`store.rs`, I2).
    pub(crate) idle_max: usize,
    /// Guards at a time; `usize::MAX` for no bound.
    pub(crate) live_max: usize,
    /// Slots of one magazine.
    pub(crate) magazine_slots: usize,
    /// Shards at most.
    pub(crate) shards_max: usize,
}

impl Bounds {
    /// Of a pool of `T`. It may say nothing of what is to be idle.
    pub(crate) fn of<T>(idle: Option<&RangeInclusive<usize>>, live_max: usize) -> Bounds {
        let bytes = size_of::<T>().max(1);
        let default_max = (IDLE_BYTES / bytes).clamp(IDLE_FLOOR, IDLE_MAX);
        let (idle_min, idle_max) = match idle {
            Some(range) => (*range.start(), *range.end()),
            None => (0, default_max),
        };
        let by_bytes = (MAGAZINE_BYTES / bytes).clamp(1, MAGAZINE_SLOTS);
        let (magazine_slots, shards_max) = divide(idle_max, by_bytes, processors());
        Bounds {
            idle_min: idle_min.min(idle_max),
            idle_max,
            live_max,
            magazine_slots,
            shards_max,
        }
    }

    /// Whether guards are counted.
    pub(crate) fn counts_guards(&self) -> bool {
        self.live_max != usize::MAX
    }
}

/// Slots a shard holds at most: two magazines and the warmest slot.
pub(crate) const fn shard_slots(magazine_slots: usize) -> usize {
    2 * magazine_slots + 1
}

/// How half of what may be idle is divided: slots of a magazine, at most `by_bytes` and so few that
/// there is a shard for each processor, and how many shards there are then.
fn divide(idle_max: usize, by_bytes: usize, processors: usize) -> (usize, usize) {
    let for_shards = idle_max / 2;
    // Two magazines and the warmest slot (`shard_slots`).
    let by_idle = (for_shards / processors).saturating_sub(1) / 2;
    let magazine_slots = by_bytes.min(by_idle.max(1));
    let shards_max = for_shards / shard_slots(magazine_slots);
    let shards_useful = SHARDS_FLOOR.max(SHARDS_PER_PROCESSOR * processors);
    (magazine_slots, shards_max.min(shards_useful))
}

/// Processors the process may use, asked once: the answer takes some 10 us of reading files.
fn processors() -> usize {
    static PROCESSORS: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: a plain number; two threads that ask at once store the same one.
    let known = PROCESSORS.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    let asked = thread::available_parallelism().map_or(1, usize::from);
    PROCESSORS.store(asked, Ordering::Relaxed);
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_processor_gets_a_shard_where_the_bound_has_room_for_them() {
        for processors in [1, 2, 3, 4, 16, 64, 192] {
            for idle_max in [0, 1, 5, 6, 16, 64, 100, 256, 1000, 4096, 100_000] {
                let (slots, shards) = divide(idle_max, MAGAZINE_SLOTS, processors);
                let asked = (idle_max, processors);
                assert!(shards * shard_slots(slots) <= idle_max / 2, "{asked:?}");
                let fits = idle_max / 2 >= processors * shard_slots(1);
                assert!(!fits || shards >= processors, "{asked:?}");
            }
        }
        assert_eq!(divide(4096, MAGAZINE_SLOTS, 2), (MAGAZINE_SLOTS, 16));
    }
}
