//! What reuse costs and what it saves: meters of the user's calls, and the model over them.
//!
//! Owns sums. Knows neither pools nor objects; `mode.rs` decides by it, `advice.rs` tells of it.
//!
//! Per get and put, in nanoseconds: `A` a create, `D` a drop, `S` a recycle; of the pool itself `h`
//! a hit, `m` a miss and the loss of an object, `b` a bypassed pair; `H` the share of objects that
//! are used again, `r` that of the others that were recycled before they were refused. Pooled:
//! `H * (h + S) + (1 - H) * (m + A + D + r * S)`. Bypassed: `b + A + D`. Without such they are
//! equal at `H = (m - b) / (A + D - S + m - h)`: the textbook's `T / (A + D - S)`, where a miss
//! costs what a hit costs and a bypass nothing.
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
#[derive(Debug)]
pub(crate) struct Meter {
    mean: AtomicUsize,
    samples: AtomicUsize,
}

impl Meter {
    pub(crate) const fn new() -> Meter {
        Meter {
            mean: AtomicUsize::new(0),
            samples: AtomicUsize::new(0),
        }
    }

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
#[derive(Debug)]
pub(crate) struct Meters {
    pub(crate) create: Meter,
    pub(crate) drop: Meter,
    pub(crate) recycle: Meter,
    /// A get beyond the magazines, without the create.
    pub(crate) get: Meter,
}

impl Meters {
    pub(crate) const fn new() -> Meters {
        Meters {
            create: Meter::new(),
            drop: Meter::new(),
            recycle: Meter::new(),
            get: Meter::new(),
        }
    }
}

/// What the pool itself takes for a get and its put, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Overheads {
    /// An idle object is found, and comes back.
    pub(crate) hit: f64,
    /// None is found, and the new one does not come back.
    pub(crate) miss: f64,
    /// The pool is bypassed.
    pub(crate) bypass: f64,
}

/// The figures of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Costs {
    pub(crate) create: f64,
    pub(crate) drop: f64,
    pub(crate) recycle: f64,
    /// Share of the lost objects that were recycled in vain, 0 to 1.
    pub(crate) in_vain: f64,
    pub(crate) own: Overheads,
}

impl Costs {
    /// A pooled pair at a hit rate.
    pub(crate) fn pooled(&self, hit_rate: f64) -> f64 {
        let hit = self.own.hit + self.recycle;
        let miss = self.own.miss + self.create + self.drop + self.in_vain * self.recycle;
        hit_rate * hit + (1.0 - hit_rate) * miss
    }

    /// A bypassed pair.
    pub(crate) fn bypassed(&self) -> f64 {
        self.own.bypass + self.create + self.drop
    }

    /// The hit rate from which on the pool pays; `None` where it never does.
    pub(crate) fn break_even(&self) -> Option<f64> {
        let gain = self.pooled(0.0) - self.pooled(1.0);
        let rate = (self.pooled(0.0) - self.bypassed()) / gain;
        (gain > 0.0 && rate <= 1.0).then(|| rate.max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn textbook_is_a_special_case() {
        let own = Overheads {
            hit: 3.0,
            miss: 3.0,
            bypass: 0.0,
        };
        let costs = Costs {
            create: 20.0,
            drop: 8.0,
            recycle: 3.0,
            in_vain: 0.0,
            own,
        };
        let rate = costs.break_even().expect("it pays");
        assert!((rate - 3.0 / (20.0 + 8.0 - 3.0)).abs() < 1e-9);
        assert!((costs.pooled(rate) - costs.bypassed()).abs() < 1e-9);
        let dear = Costs {
            recycle: 40.0,
            ..costs
        };
        assert_eq!(dear.break_even(), None);
        // All that is lost was recycled first: it pays from later on.
        let refused = Costs {
            in_vain: 1.0,
            ..costs
        };
        let rate = refused.break_even().expect("it pays");
        assert!((rate - (3.0 + 3.0) / (20.0 + 8.0)).abs() < 1e-9);
    }

    #[test]
    fn meter_follows_and_ignores_what_stands_out() {
        let meter = Meter::new();
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
