//! When a pool pools: the choices, and the reasons why it does or does not.
//!
//! Owns the words for them. Who decides for [`Mode::Auto`] is in `judge.rs`.
#![forbid(unsafe_code)]

use crate::pool::exchange::route::Route;

/// When a pool uses the objects it gets back; by [`PoolBuilder::mode`](crate::PoolBuilder::mode),
/// or [`Pool::set_mode`](crate::Pool::set_mode) at run time.
///
/// ```
/// use flagstone::{Mode, Pool};
/// let pool: Pool<String> = Pool::builder(String::new).mode(Mode::Never).build();
/// drop(pool.get());
/// assert_eq!(pool.stats().idle, 0);
/// pool.set_mode(Mode::Always);
/// drop(pool.get());
/// assert_eq!(pool.stats().idle, 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Measures on slow paths how many objects are used again and what that saves, and bypasses the
    /// pool while it does not pay: gets create and puts drop, without a recycle.
    /// [`Pool::advice`](crate::Pool::advice) tells what it found. Until a create was measured it
    /// asks for a reuse of 18, 12 or 7 % (of objects below 64 bytes, to 2 KiB, and above, as
    /// `size_of` says). A bypassed get and put still take some 25 ns beside the user's own calls
    /// ([`Advice::bypass_ns`](crate::Advice::bypass_ns)): where a pool stays bypassed, do without.
    #[default]
    Auto,
    /// Pools.
    Always,
    /// Creates at each get and drops at each put: the switch that turns a pool off.
    Never,
    /// This many percent of the gets use the pool (above 100: all) and the others bypass it, for a
    /// roll-out by degrees. The objects of the latter are dropped when they come back.
    Share(u8),
}

/// Why a pool is pooling or not, in [`PoolStats`](crate::PoolStats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModeReason {
    /// [`Mode::Auto`] has not seen enough: it pools.
    #[default]
    NoDataYet,
    /// The mode says so.
    Asked,
    /// Reuse pays.
    ReusePays,
    /// Too few objects are used again: bypassed.
    TooFewHits,
    /// A recycle takes longer than a create and a drop: bypassed.
    CostlyRecycle,
    /// Bypassed before, opened to see whether that is still right.
    Probing,
}

const AUTO: usize = 0;
const ALWAYS: usize = 1;
const NEVER: usize = 2;
/// And the percent.
const SHARE: usize = 3;

impl Mode {
    /// The way that gets go in this mode, at first.
    pub(crate) fn route(self) -> Route {
        match self {
            Mode::Auto | Mode::Always => Route::Pool,
            Mode::Never => Route::Bypass,
            Mode::Share(percent) => Route::Share(percent.min(100)),
        }
    }

    /// As a word, for `of_word`.
    pub(crate) fn word(self) -> usize {
        match self {
            Mode::Auto => AUTO,
            Mode::Always => ALWAYS,
            Mode::Never => NEVER,
            Mode::Share(percent) => SHARE + usize::from(percent.min(100)),
        }
    }

    pub(crate) fn of_word(word: usize) -> Mode {
        match word {
            AUTO => Mode::Auto,
            ALWAYS => Mode::Always,
            NEVER => Mode::Never,
            share => Mode::Share((share - SHARE) as u8),
        }
    }
}

impl ModeReason {
    /// In the order of their numbers.
    pub(crate) const ALL: [ModeReason; 6] = [
        ModeReason::NoDataYet,
        ModeReason::Asked,
        ModeReason::ReusePays,
        ModeReason::TooFewHits,
        ModeReason::CostlyRecycle,
        ModeReason::Probing,
    ];
}
