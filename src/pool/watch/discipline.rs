//! What a pool does beside handing out and taking back: its choices, and those who see to them.
//!
//! Owns those choices, and the parts that only slow paths touch.
#![forbid(unsafe_code)]

use core::time::Duration;

use crate::pool::exchange::route::RouteWord;
use crate::pool::watch::aging::{Aging, Intervals};
use crate::pool::watch::cost::Overheads;
use crate::pool::watch::health::Steadiness;
use crate::pool::watch::judge::Judge;
use crate::pool::watch::leaks::{LeakCheck, Leaks, SUSPECT_AFTER};
use crate::pool::watch::mode::Mode;

/// The choices of a pool's builder that are no bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choices {
    pub(crate) aging: Aging,
    pub(crate) tick_every: Option<Duration>,
    pub(crate) mode: Mode,
    /// `None` for the default one, which a feature changes.
    pub(crate) leak_check: Option<LeakCheck>,
    pub(crate) leak_after: Duration,
}

impl Choices {
    pub(crate) const DEFAULT: Choices = Choices {
        aging: Aging::LowWater,
        tick_every: None,
        mode: Mode::Auto,
        leak_check: None,
        leak_after: SUSPECT_AFTER,
    };

    pub(crate) fn leak_check(&self) -> LeakCheck {
        self.leak_check.unwrap_or_default()
    }
}

/// Apart from what every operation reads: 128 bytes are two lines, which processors fetch together.
#[repr(align(128))]
#[derive(Debug)]
pub(crate) struct Discipline {
    pub(crate) judge: Judge,
    pub(crate) intervals: Intervals,
    pub(crate) leaks: Leaks,
    pub(crate) steadiness: Steadiness,
}

impl Discipline {
    /// Of a pool with this route, which its mode sets.
    pub(crate) fn new(
        choices: &Choices,
        route: &RouteWord,
        overheads: fn() -> Overheads,
    ) -> Discipline {
        Discipline {
            judge: Judge::new(choices.mode, route, overheads),
            intervals: Intervals::new(choices.aging, choices.tick_every),
            leaks: Leaks::new(choices.leak_check(), choices.leak_after),
            steadiness: Steadiness::new(),
        }
    }
}
