//! What reuse costs and what it saves.
//!
//! Owns the model. Knows neither pools nor objects; `judge.rs` decides by it, `advice.rs` tells of
//! it.
//!
//! Per get and put, in nanoseconds: `A` a create, `D` a drop, `S` a recycle; of the pool itself `h`
//! a hit, `m` a miss and the loss of an object, `b` a bypassed pair; `H` the share of objects that
//! are used again, `r` that of the others that were recycled before they were refused. Pooled:
//! `H * (h + S) + (1 - H) * (m + A + D + r * S)`. Bypassed: `b + A + D`. Without such they are
//! equal at `H = (m - b) / (A + D - S + m - h)`: the textbook's `T / (A + D - S)`, where a miss
//! costs what a hit costs and a bypass nothing.
#![forbid(unsafe_code)]

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

/// What the model is told.
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
}
