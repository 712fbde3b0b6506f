//! Timing: arms interleaved round by round, medians, checksums compared every round.
//!
//! - I1: in each round every arm runs once, with the same number of iterations, in an order that
//!   rotates, so that drift and neighbours hit all arms alike.
//! - I2: before the clock starts an arm runs once unclocked, so that it finds the caches as its own
//!   last request left them, not as the other arms did.
//! - I3: a sample during which the system gave the processor to somebody else is taken again, and
//!   in the end left out: long samples would be hit more often than short ones, and the slower arm
//!   look slower than it is.
//! - I4: the iterations are chosen once, from a warm-up of all arms, to make samples of
//!   [`SAMPLE_SECONDS`]; the rounds, to fill the time given. Up to a pass over all arms of a third
//!   of a second those are 31 and more; a larger document gets fewer, at least [`ROUNDS_MIN`].
//! - I5: figures are medians with their quartiles; a mean would follow the machine's hiccups.
//!
//! It does not know what the arms do.

use std::fmt;
use std::time::{Duration, Instant};

use crate::count;
use crate::work::{Arm, Work};

/// More do not move the median any further. Odd, like all numbers of rounds here: the median is a
/// sample.
const ROUNDS_MAX: u32 = 501;

/// How long the slowest arm runs at a time, at most, while one iteration is shorter: less than a
/// scheduler's time slice of about 3 ms, so that every arm can have samples without interruption
/// even while others want the processor. A tenth would leave too few iterations in each.
const SAMPLE_SECONDS: f64 = 0.002;

/// How often a sample is tried before an interrupted one is taken. On a quiet machine the first
/// one does; with three others at the processor, four find a free slice nearly always.
const TRIES: u32 = 4;

/// Below this a median is no better than its worst neighbour.
const ROUNDS_MIN: u32 = 5;

/// Rounds of a quick run, which tests the program and measures nothing.
const ROUNDS_QUICK: u32 = 3;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) time: Duration,
    pub(crate) quick: bool,
}

/// One arm's time per unit, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Timing {
    pub(crate) median_ns: f64,
    pub(crate) quartile_low_ns: f64,
    pub(crate) quartile_high_ns: f64,
    /// Hardly a sample was without interruption, so that the time is longer than the work.
    pub(crate) disturbed: bool,
}

impl Timing {
    /// Of the samples without interruption, unless hardly any was without.
    fn of(samples: &[Sample], units: f64) -> Timing {
        let quiet = samples.iter().filter(|sample| !sample.interrupted).count();
        let take_all = quiet < samples.len().div_ceil(4);
        let taken = samples
            .iter()
            .filter(|sample| take_all || !sample.interrupted);
        let mut seconds: Vec<f64> = taken.map(|sample| sample.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let at = |quarters: usize| seconds[(seconds.len() - 1) * quarters / 4];
        let per_unit_ns = |seconds: f64| seconds * 1e9 / units;
        Timing {
            median_ns: per_unit_ns(at(2)),
            quartile_low_ns: per_unit_ns(at(1)),
            quartile_high_ns: per_unit_ns(at(3)),
            disturbed: take_all && at(2) < LONG_SECONDS,
        }
    }

    /// Half the distance between the quartiles as a share of the median.
    pub(crate) fn spread(&self) -> f64 {
        (self.quartile_high_ns - self.quartile_low_ns) / 2.0 / self.median_ns
    }
}

/// A sample this long is interrupted on the quietest machine, and hardly the longer for it.
const LONG_SECONDS: f64 = 0.05;

/// What [`measure`] found; `timings` in the order of the arms.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) timings: Vec<Timing>,
    pub(crate) rounds: u32,
    pub(crate) iterations: u64,
}

/// Two arms did not do the same work: a fault of this program, or of a contender.
#[derive(Debug)]
pub(crate) struct Mismatch {
    work: &'static str,
    first: (&'static str, u64),
    other: (&'static str, u64),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { work, first, other } = self;
        write!(
            f,
            "{work}: the checksums differ: {:016x} by {}, {:016x} by {}",
            first.1, first.0, other.1, other.0
        )
    }
}

/// Measures all arms of `work`; `progress` is told the share done, 0 to 1, and the arm at work.
pub(crate) fn measure(
    work: &mut Work<'_>,
    budget: Budget,
    progress: &mut dyn FnMut(f64, &str),
) -> Result<Measured, Mismatch> {
    progress(0.0, "warming up");
    let Plan {
        rounds,
        iterations,
        warm,
    } = plan(budget, &warm_up(work)?);
    let arm_count = work.arms.len();
    let mut samples: Vec<Vec<Sample>> = work.arms.iter().map(|_| Vec::new()).collect();
    let units = (iterations * work.units_per_iteration) as f64;
    for round in 0..rounds {
        let mut sums = vec![0; arm_count];
        for step in 0..arm_count {
            let index = (step + round as usize) % arm_count;
            let arm = &mut work.arms[index];
            let done = round as usize * arm_count + step;
            progress(
                done as f64 / (rounds as usize * arm_count) as f64,
                arm.title,
            );
            let sample = take(arm, warm, iterations);
            sums[index] = sample.sum;
            samples[index].push(sample);
        }
        agree(work.id, &work.arms, &sums)?;
    }
    let timings = samples
        .iter()
        .map(|samples| Timing::of(samples, units))
        .collect();
    Ok(Measured {
        timings,
        rounds,
        iterations,
    })
}

/// One arm's turn in one round.
struct Sample {
    seconds: f64,
    sum: u64,
    interrupted: bool,
}

/// Takes a sample (I2, I3).
fn take(arm: &mut Arm<'_>, warm: u64, iterations: u64) -> Sample {
    let mut attempt = || {
        let before = count::interruptions();
        arm.way.run(warm);
        let start = Instant::now();
        let sum = arm.way.run(iterations);
        let seconds = start.elapsed().as_secs_f64();
        Sample {
            seconds,
            sum,
            interrupted: count::interruptions() != before,
        }
    };
    let mut sample = attempt();
    for _ in 1..TRIES {
        if !sample.interrupted || sample.seconds > LONG_SECONDS {
            break;
        }
        sample = attempt();
    }
    sample
}

/// Runs every arm a few times and returns the shortest time of each, in seconds.
fn warm_up(work: &mut Work<'_>) -> Result<Vec<f64>, Mismatch> {
    let mut shortest = vec![f64::INFINITY; work.arms.len()];
    for _ in 0..TRIES {
        let mut sums = Vec::new();
        for (arm, shortest) in work.arms.iter_mut().zip(&mut shortest) {
            let start = Instant::now();
            sums.push(arm.way.run(1));
            *shortest = shortest.min(start.elapsed().as_secs_f64());
        }
        agree(work.id, &work.arms, &sums)?;
        if shortest.iter().any(|seconds| *seconds > LONG_SECONDS) {
            break;
        }
    }
    Ok(shortest)
}

fn agree(work: &'static str, arms: &[Arm<'_>], sums: &[u64]) -> Result<(), Mismatch> {
    match sums.iter().position(|sum| *sum != sums[0]) {
        None => Ok(()),
        Some(other) => Err(Mismatch {
            work,
            first: (arms[0].title, sums[0]),
            other: (arms[other].title, sums[other]),
        }),
    }
}

/// How often everything is done.
struct Plan {
    rounds: u32,
    /// Per arm and round, on the clock.
    iterations: u64,
    /// Before them, off the clock (I2).
    warm: u64,
}

/// The plan for a work whose arms take so many seconds for one iteration each.
fn plan(budget: Budget, seconds: &[f64]) -> Plan {
    if budget.quick {
        return Plan {
            rounds: ROUNDS_QUICK,
            iterations: 1,
            warm: 0,
        };
    }
    let slowest = seconds
        .iter()
        .fold(1e-7, |slowest: f64, one| slowest.max(*one));
    let pass: f64 = seconds.iter().sum();
    let iterations = (SAMPLE_SECONDS / slowest).max(1.0) as u64;
    // Longer than that, an iteration replaces whatever the caches held.
    let warm = u64::from(slowest < LONG_SECONDS);
    let round = pass.max(1e-7) * (iterations + warm) as f64;
    let fitting = (budget.time.as_secs_f64() / round) as u32 | 1;
    let rounds = fitting.clamp(ROUNDS_MIN, ROUNDS_MAX);
    Plan {
        rounds,
        iterations,
        warm,
    }
}
