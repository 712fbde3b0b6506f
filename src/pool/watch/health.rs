//! [`Health`]: whether a pool behaves as a pool should.
//!
//! Owns the limits, and the running mean of creates per second. All other numbers are told.
#![forbid(unsafe_code)]

use core::fmt;

use std::sync::Mutex;

use crate::base::lock::{lock, try_lock};
use crate::pool::watch::clock;

/// Gets before a rate means something: below, what is out just now would count as not returned.
const GETS_MIN: u64 = 128;

/// Objects that came back, as a share of those handed out. Less is a leak, or a pool whose objects
/// are taken for good.
const RETURNS_MIN: f64 = 0.9;

/// Creates in an interval before their rate means something: the error of a count of 400 is a
/// twentieth, a third of the limit below.
const CREATES_MIN: u64 = 400;

/// Creates per second may be off their mean by this part.
const UNSTEADY: f64 = 0.15;

/// Nanoseconds of a sampled get beyond the magazines, without the create. An exchange takes some
/// 40; five times as much is waiting for others.
const GET_NANOS_MAX: f64 = 200.0;

/// Exchanges of magazines per get. Full magazines that travel take one in 32; more often means that
/// magazines are short, or that many threads have none.
const EXCHANGES_MAX: f64 = 1.0 / 16.0;

/// Weight of an interval in the mean of creates per second.
const WEIGHT: f64 = 0.25;

/// How a pool is, from [`Pool::health`](crate::Pool::health).
///
/// ```
/// use flagstone::{Health, Pool};
/// let pool: Pool<Vec<u8>> = Pool::new(Vec::new);
/// for _ in 0..1000 {
///     drop(pool.get().detach());
/// }
/// let Health::Degraded(reasons) = pool.health() else { panic!("nothing came back") };
/// assert_eq!(reasons.return_ratio, Some(0.0));
/// println!("{}", pool.health());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Health {
    /// Nothing is wrong, or there were fewer than 128 gets so far.
    #[default]
    Ok,
    /// Something is.
    Degraded(HealthReasons),
}

/// What is wrong with a pool; `None`, or 0, is what is not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HealthReasons {
    /// Objects that came back per object handed out since the first use, under 0.9: they leak, are
    /// taken for good, or many are out just now.
    pub return_ratio: Option<f64>,
    /// Creates per second over the mean of the intervals before, from tick to tick and from 400
    /// creates on, off by more than 15 %: the load changed, or objects get lost.
    pub creates_drift: Option<f64>,
    /// Nanoseconds of a get beyond the magazines, without the create, above 200: threads wait for
    /// each other.
    pub get_ns: Option<f64>,
    /// Exchanges with the depot per get, above a sixteenth: magazines are short, or threads have
    /// none; a larger [`idle`](crate::PoolBuilder::idle) helps.
    pub exchange_rate: Option<f64>,
    /// Objects out for so long that they are suspects; see
    /// [`Pool::leak_suspects`](crate::Pool::leak_suspects).
    pub survivors: u64,
}

/// What `assess` looks at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signs {
    pub(crate) gets: u64,
    pub(crate) returns: u64,
    pub(crate) exchanges: u64,
    pub(crate) get_nanos: Option<f64>,
    pub(crate) creates_drift: Option<f64>,
    pub(crate) survivors: u64,
}

pub(crate) fn assess(signs: Signs) -> Health {
    let Signs { gets, returns, .. } = signs;
    let enough = gets >= GETS_MIN;
    let per_get = |count: u64| enough.then(|| count as f64 / gets as f64);
    let reasons = HealthReasons {
        return_ratio: per_get(returns).filter(|ratio| *ratio < RETURNS_MIN),
        creates_drift: signs.creates_drift,
        get_ns: signs
            .get_nanos
            .filter(|nanos| enough && *nanos > GET_NANOS_MAX),
        exchange_rate: per_get(signs.exchanges).filter(|rate| *rate > EXCHANGES_MAX),
        survivors: signs.survivors,
    };
    if reasons == HealthReasons::default() {
        Health::Ok
    } else {
        Health::Degraded(reasons)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Health::Degraded(reasons) = self else {
            return f.write_str("ok");
        };
        f.write_str("degraded:")?;
        if let Some(ratio) = reasons.return_ratio {
            write!(f, " {:.1} % of the objects came back;", 100.0 * ratio)?;
        }
        if let Some(drift) = reasons.creates_drift {
            write!(f, " {drift:.2} times the usual creates per second;")?;
        }
        if let Some(nanos) = reasons.get_ns {
            write!(f, " a get beyond the magazines takes {nanos:.0} ns;")?;
        }
        if let Some(rate) = reasons.exchange_rate {
            write!(f, " {rate:.2} exchanges per get;")?;
        }
        if reasons.survivors > 0 {
            write!(f, " {} objects are out for long;", reasons.survivors)?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Pace {
    since_millis: usize,
    since_creates: u64,
    mean: Option<f64>,
    drift: Option<f64>,
}

/// Creates per second, from tick to tick.
#[derive(Debug)]
pub(crate) struct Steadiness(Mutex<Pace>);

impl Steadiness {
    pub(crate) fn new() -> Steadiness {
        Steadiness(Mutex::new(Pace {
            since_millis: clock::millis(),
            since_creates: 0,
            mean: None,
            drift: None,
        }))
    }

    /// Ends an interval. While somebody is at it the interval goes on: nobody waits.
    pub(crate) fn tick(&self, creates: u64) {
        self.tick_at(clock::millis(), creates);
    }

    fn tick_at(&self, now: usize, creates: u64) {
        let Some(mut pace) = try_lock(&self.0) else {
            return;
        };
        let made = creates.wrapping_sub(pace.since_creates);
        let millis = now.wrapping_sub(pace.since_millis);
        if millis == 0 {
            return;
        }
        (pace.since_millis, pace.since_creates) = (now, creates);
        let rate = 1000.0 * made as f64 / millis as f64;
        let Some(mean) = pace.mean else {
            pace.mean = (made >= CREATES_MIN).then_some(rate);
            return;
        };
        let usual = mean * millis as f64 / 1000.0;
        let counts = made >= CREATES_MIN || usual >= CREATES_MIN as f64;
        let drift = rate / mean;
        pace.drift = (counts && (drift - 1.0).abs() > UNSTEADY).then_some(drift);
        pace.mean = Some(mean + WEIGHT * (rate - mean));
    }

    /// Creates per second over their mean, when that is off.
    pub(crate) fn drift(&self) -> Option<f64> {
        lock(&self.0).drift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_is_a_reason_and_none_is_none() {
        let well = Signs {
            gets: 1000,
            returns: 995,
            exchanges: 30,
            get_nanos: Some(60.0),
            creates_drift: None,
            survivors: 0,
        };
        assert_eq!(assess(well), Health::Ok);
        let reasons = |signs| match assess(signs) {
            Health::Degraded(reasons) => reasons,
            Health::Ok => panic!("{signs:?}"),
        };
        let returns = 890;
        assert_eq!(reasons(Signs { returns, ..well }).return_ratio, Some(0.89));
        let exchanges = 100;
        assert_eq!(
            reasons(Signs { exchanges, ..well }).exchange_rate,
            Some(0.1)
        );
        let get_nanos = Some(250.0);
        assert_eq!(reasons(Signs { get_nanos, ..well }).get_ns, Some(250.0));
        let survivors = 2;
        assert_eq!(reasons(Signs { survivors, ..well }).survivors, 2);
        let creates_drift = Some(1.5);
        let drifts = Signs {
            creates_drift,
            ..well
        };
        assert_eq!(reasons(drifts).creates_drift, Some(1.5));
        assert!(assess(drifts).to_string().contains("1.50 times"));
        let few = Signs {
            gets: 100,
            returns: 0,
            ..well
        };
        assert_eq!(assess(few), Health::Ok);
    }

    #[test]
    fn creates_per_second_drift_from_tick_to_tick() {
        let steadiness = Steadiness::new();
        let start = clock::millis();
        let tick = |second: usize, creates| steadiness.tick_at(start + 1000 * second, creates);
        tick(1, 10_000);
        assert_eq!(steadiness.drift(), None, "the first is the mean");
        tick(2, 10_100);
        let drift = steadiness.drift().expect("a hundredth of the creates");
        assert!(drift < 0.5, "{drift}");
        tick(3, 10_100 + 1_000_000);
        let drift = steadiness.drift().expect("a hundred times the creates");
        assert!(drift > 5.0, "{drift}");
    }
}
