//! What calls take, in the mean.
//!
//! Owns the means. What follows from them is decided in `watch/`.
#![forbid(unsafe_code)]

use crate::base::sync::{AtomicUsize, Ordering};

/// Means are kept in sixteenths of a nanosecond: the cheapest calls take less than one.
const FINE: usize = 16;

/// Samples of which the least counts: the first calls meet cold caches and fresh pages.
const COLD: usize = 3;

/// Weight of a new sample at the end: a call that becomes twice as dear shows after some twenty.
const MEMORY: usize = 32;

/// A sample counts at most this many times the mean, and at least so many nanoseconds: a thread
/// that lost its processor in the middle of a call says nothing about the call.
const CLIP: usize = 8;
const CLIP_FLOOR: usize = 100 * FINE;

/// The mean of what a call takes. Racing updates may lose a sample.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    mean: AtomicUsize,
    samples: AtomicUsize,
}

impl Meter {
    /// Adds a sample.
    pub(crate) fn add(&self, nanos: usize) {
        // Relaxed: a mean orders nothing.
        let samples = self.samples.load(Ordering::Relaxed);
        let mean = self.mean.load(Ordering::Relaxed);
        let value = nanos.saturating_mul(FINE).min(usize::MAX / 2);
        let next = if samples == 0 {
            value
        } else if samples < COLD {
            value.min(mean)
        } else {
            let value = value.min(mean.saturating_mul(CLIP).max(CLIP_FLOOR));
            let weight = (samples - COLD + 2).min(MEMORY);
            mean - mean / weight + value / weight
        };
        self.mean.store(next, Ordering::Relaxed);
        self.samples
            .store(samples.saturating_add(1), Ordering::Relaxed);
    }

    /// Nanoseconds; `None` before the first sample.
    pub(crate) fn nanos(&self) -> Option<f64> {
        let known = self.samples() > 0;
        known.then(|| self.mean.load(Ordering::Relaxed) as f64 / FINE as f64)
    }

    pub(crate) fn samples(&self) -> usize {
        self.samples.load(Ordering::Relaxed)
    }
}

/// The meters of one pool.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    pub(crate) create: Meter,
    pub(crate) drop: Meter,
    pub(crate) recycle: Meter,
    /// A get beyond the magazines, without the create.
    pub(crate) get: Meter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meter_follows_and_ignores_what_stands_out() {
        let meter = Meter::default();
        assert_eq!(meter.nanos(), None);
        meter.add(9000);
        for _ in 0..100 {
            meter.add(50);
        }
        let mean = meter.nanos().expect("samples");
        assert!((49.0..55.0).contains(&mean), "{mean}");
        meter.add(5_000_000);
        assert!(meter.nanos().expect("samples") < 70.0);
        for _ in 0..200 {
            meter.add(400);
        }
        let mean = meter.nanos().expect("samples");
        assert!((380.0..401.0).contains(&mean), "{mean}");
    }
}
