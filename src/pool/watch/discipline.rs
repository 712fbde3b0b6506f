//! What a pool does beside handing out and taking back: its choices, and those who see to them.
//!
//! Owns the parts that only slow paths touch.
#![forbid(unsafe_code)]

use core::time::Duration;

use crate::pool::watch::aging::{Aging, Intervals};
use crate::pool::watch::health::Steadiness;
use crate::pool::watch::leaks::{LeakCheck, Leaks, SUSPECT_AFTER};
use crate::pool::watch::mode::{Control, Mode};

/// The choices of a pool's builder that are no bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choices {
    pub(crate) aging: Aging,
    pub(crate) tick_every: Option<Duration>,
    pub(crate) mode: Mode,
    /// `None` for the default one, which a feature changes.
    pub(crate) leak_check: Option<LeakCheck>,
    pub(crate) leak_after: Duration,
    /// Objects are validated when they are handed out.
    pub(crate) validates_gets: bool,
}

impl Choices {
    pub(crate) const DEFAULT: Choices = Choices {
        aging: Aging::LowWater,
        tick_every: None,
        mode: Mode::Auto,
        leak_check: None,
        leak_after: SUSPECT_AFTER,
        validates_gets: false,
    };
}

/// Apart from what every operation reads: 128 bytes are two lines, which processors fetch together.
#[repr(align(128))]
#[derive(Debug)]
pub(crate) struct Discipline {
    pub(crate) control: Control,
    pub(crate) intervals: Intervals,
    pub(crate) leaks: Leaks,
    pub(crate) steadiness: Steadiness,
}

impl Discipline {
    pub(crate) fn new(choices: Choices) -> Discipline {
        let Choices {
            aging,
            tick_every,
            mode,
            leak_check,
            leak_after,
            validates_gets: _,
        } = choices;
        Discipline {
            control: Control::new(mode),
            intervals: Intervals::new(aging, tick_every),
            leaks: Leaks::new(leak_check.unwrap_or_default(), leak_after),
            steadiness: Steadiness::new(),
        }
    }
}
