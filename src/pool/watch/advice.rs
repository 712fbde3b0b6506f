//! [`Advice`]: whether a pool pays, in words and figures.
//!
//! Owns plain values. What they tell of is measured in `stock/meters.rs` and decided in `judge.rs`;
//! the model is `cost.rs`'s.
#![forbid(unsafe_code)]

use core::fmt;

use crate::pool::stock::meters::Meters;
use crate::pool::watch::cost::Costs;
use crate::pool::watch::mode::{Mode, ModeReason};

/// What to do about a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Too little is known: nothing was created, or no object was used again or dropped yet.
    #[default]
    Unknown,
    /// Reuse saves time.
    Pool,
    /// Creating each time is faster.
    Bypass,
    /// It makes no difference: less than a twentieth either way.
    Either,
}

/// Whether reuse pays, from [`Pool::advice`](crate::Pool::advice). All costs are in nanoseconds,
/// means of sampled slow paths, and `None` before the first sample.
///
/// ```
/// use flagstone::{Pool, Verdict};
/// let pool: Pool<Vec<u8>> = Pool::new(|| Vec::with_capacity(1 << 20));
/// for _ in 0..1000 {
///     let mut two = [pool.get(), pool.get()];
///     two[0].push(1);
/// }
/// let advice = pool.advice();
/// assert!(advice.hit_rate > 0.9);
/// println!("{advice}");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Advice {
    /// What the figures say, whatever the mode.
    pub verdict: Verdict,
    /// The mode of the pool.
    pub mode: Mode,
    /// Why the pool does what it does.
    pub reason: ModeReason,
    /// Part of the objects that were used again rather than dropped or taken for good, 0 to 1: of
    /// the last 64 and more that [`Mode::Auto`] looked at, or of all so far. 0 before the first.
    pub hit_rate: f64,
    /// The hit rate from which on the pool pays; `None` when it never does, or nothing is known.
    pub break_even: Option<f64>,
    /// A call of `create`.
    pub create_ns: Option<f64>,
    /// A drop.
    pub drop_ns: Option<f64>,
    /// A recycle.
    pub recycle_ns: Option<f64>,
    /// What the pool takes for a get and a put when an object is used again; and, below, when one
    /// is created and dropped, and when the pool is bypassed.
    pub hit_ns: f64,
    /// See `hit_ns`.
    pub miss_ns: f64,
    /// See `hit_ns`.
    pub bypass_ns: f64,
    /// What a get and its put take in the pool, the user's calls included.
    pub pooled_ns: f64,
    /// What they take past it.
    pub bypassed_ns: f64,
    /// Creates that were measured.
    pub samples: u64,
}

/// Differences below this are none: what the measurements err by.
const EITHER: f64 = 1.05;

impl Advice {
    pub(crate) fn new(
        (mode, reason): (Mode, ModeReason),
        meters: &Meters,
        costs: &Costs,
        hit_rate: Option<f64>,
    ) -> Advice {
        let known = meters.create.samples() > 0;
        let rate = hit_rate.unwrap_or(0.0);
        let (pooled, bypassed) = (costs.pooled(rate), costs.bypassed());
        let verdict = match (known, hit_rate) {
            (false, _) | (_, None) => Verdict::Unknown,
            _ if pooled * EITHER < bypassed => Verdict::Pool,
            _ if bypassed * EITHER < pooled => Verdict::Bypass,
            _ => Verdict::Either,
        };
        Advice {
            verdict,
            mode,
            reason,
            hit_rate: rate,
            break_even: costs.break_even().filter(|_| known),
            create_ns: meters.create.nanos(),
            drop_ns: meters.drop.nanos(),
            recycle_ns: meters.recycle.nanos(),
            hit_ns: costs.own.hit,
            miss_ns: costs.own.miss,
            bypass_ns: costs.own.bypass,
            pooled_ns: pooled,
            bypassed_ns: bypassed,
            samples: meters.create.samples() as u64,
        }
    }
}

/// A cost, or that it is not known.
struct Nanos(Option<f64>);

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(nanos) => write!(f, "{nanos:.0} ns"),
            None => f.write_str("unknown"),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.hit_rate;
        let (pooled, bypassed) = (self.pooled_ns, self.bypassed_ns);
        let words = match self.verdict {
            Verdict::Unknown => {
                return write!(f, "too early to tell: no object was used again or dropped");
            }
            Verdict::Pool => "keep it: reuse pays",
            Verdict::Bypass => "do without it: reuse does not pay",
            Verdict::Either => "it makes no difference",
        };
        writeln!(f, "{words}")?;
        writeln!(
            f,
            "{percent:.1} % of the objects were used again; a get and its put take {pooled:.0} ns \
             in the pool, {bypassed:.0} ns past it"
        )?;
        match self.break_even {
            Some(rate) => writeln!(f, "it pays from {:.1} % on", 100.0 * rate)?,
            None => writeln!(f, "at no rate would it pay")?,
        }
        writeln!(
            f,
            "create {}, drop {}, recycle {}; the pool itself: {:.0} ns a hit, {:.0} ns a miss, \
             {:.0} ns bypassed ({} samples)",
            Nanos(self.create_ns),
            Nanos(self.drop_ns),
            Nanos(self.recycle_ns),
            self.hit_ns,
            self.miss_ns,
            self.bypass_ns,
            self.samples
        )?;
        let now = match self.reason {
            ModeReason::NoDataYet => "pooling until there are figures",
            ModeReason::Asked => "as asked",
            ModeReason::ReusePays => "pooling, as reuse pays",
            ModeReason::TooFewHits => "bypassed, as too few objects were used again",
            ModeReason::CostlyRecycle => "bypassed, as a recycle takes longer than a new object",
            ModeReason::Probing => "pooling to see whether it pays again",
        };
        write!(f, "mode {:?}: {now}", self.mode)
    }
}
