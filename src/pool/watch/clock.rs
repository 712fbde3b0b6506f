//! Time as a pool needs it: coarse for intervals, fine for what one call costs.
//!
//! Owns the moment it counts from. Read on slow paths only, where a reading's 25 ns are few.
#![forbid(unsafe_code)]

use std::sync::OnceLock;
use std::time::Instant;

use crate::base::sync::{AtomicUsize, Ordering};

/// Readings to learn what a reading costs: enough for one that nothing interrupts.
const READINGS: usize = 16;

/// Milliseconds since the first call in the process. Wraps, after 49 days on 32-bit machines, so
/// moments are compared by their difference.
pub(crate) fn millis() -> usize {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as usize
}

/// Measures what lies between its start and its end.
pub(crate) struct Watch(Instant);

impl Watch {
    pub(crate) fn start() -> Watch {
        Watch(Instant::now())
    }

    /// Nanoseconds since the start, less those of the clock.
    pub(crate) fn nanos(&self) -> usize {
        let elapsed = self.0.elapsed().as_nanos().min(u128::from(u32::MAX)) as usize;
        elapsed.saturating_sub(reading())
    }
}

/// Nanoseconds between two readings with nothing between them: the least of a few.
fn reading() -> usize {
    static READING: AtomicUsize = AtomicUsize::new(usize::MAX);
    // Relaxed: a plain number; two threads that measure at once store about the same.
    let known = READING.load(Ordering::Relaxed);
    if known != usize::MAX {
        return known;
    }
    let elapsed = || Instant::now().elapsed().as_nanos() as usize;
    let least = (0..READINGS).map(|_| elapsed()).min().unwrap_or(0);
    READING.store(least, Ordering::Relaxed);
    least
}
