//! The pools there are: every choice of the builder, drawn from one number.
//!
//! Owns which choices are drawn how often. A pool whose every operation is looked at is slow and
//! leaves its shards alone, so fewer than half are of that kind.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use flagstone::{Aging, LeakCheck, Mode, Oversize, Pool, PoolBuilder};

use super::objects::{Object, Shape};
use super::world::World;

/// Bytes that an object may hold in a pool that refuses large ones.
pub(super) const BYTES_MAX: usize = 10_000;

/// How objects are recycled, and which are refused.
#[derive(Clone, Copy, Debug)]
pub(super) enum Recycling {
    Trait,
    Hook,
    HardCap,
    Utilisation,
    Calibrated,
    ValidatePut,
}

impl Recycling {
    pub(super) fn policy(self) -> Option<Oversize> {
        match self {
            Recycling::HardCap => Some(Oversize::HardCap(BYTES_MAX)),
            Recycling::Utilisation => Some(Oversize::Utilisation),
            Recycling::Calibrated => Some(Oversize::Calibrated),
            Recycling::Trait | Recycling::Hook | Recycling::ValidatePut => None,
        }
    }

    /// Whether what holds more than [`BYTES_MAX`] is refused.
    pub(super) fn refuses_large(self) -> bool {
        matches!(self, Recycling::HardCap | Recycling::ValidatePut)
    }
}

/// How a pool goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Guards first, then handles, then the pool.
    GuardsFirst,
    /// Handles before the guards.
    HandlesFirst,
    /// Guards that keep the pool alive are the last.
    OwnedLast,
}

/// One pool's choices.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) idle: Option<RangeInclusive<usize>>,
    pub(super) live_max: Option<usize>,
    pub(super) aging: Aging,
    tick_every: Option<Duration>,
    pub(super) mode: Mode,
    pub(super) leak_check: LeakCheck,
    pub(super) validates: bool,
    pub(super) recycling: Recycling,
    /// Objects are aligned so that no note fits behind them.
    pub(super) wide: bool,
    pub(super) ending: Ending,
    /// There are handles, and other threads, which have shards of their own.
    pub(super) company: bool,
}

/// A number that choices are drawn from.
struct Draw(u32);

impl Draw {
    fn among<T: Clone>(&mut self, choices: &[T]) -> T {
        let count = choices.len() as u32;
        let choice = choices[(self.0 % count) as usize].clone();
        self.0 /= count;
        choice
    }
}

impl Settings {
    pub(super) fn from_raw(raw: u32) -> Settings {
        let mut draw = Draw(raw);
        let milli = Duration::from_millis(1);
        Settings {
            idle: draw.among(&[
                None,
                None,
                None,
                Some(0..=0),
                Some(0..=1),
                Some(1..=3),
                Some(0..=12),
                Some(5..=40),
                Some(0..=64),
                Some(10..=100),
                Some(0..=300),
                Some(50..=500),
            ]),
            live_max: draw.among(&[None, None, None, None, None, Some(1), Some(7), Some(150)]),
            aging: draw.among(&[
                Aging::LowWater,
                Aging::TwoGeneration,
                Aging::TwoGeneration,
                Aging::Ttl(Duration::ZERO),
                Aging::Ttl(milli),
                Aging::Never,
            ]),
            tick_every: draw.among(&[None, Some(milli), Some(Duration::from_secs(3600))]),
            mode: draw.among(&[
                Mode::Always,
                Mode::Always,
                Mode::Always,
                Mode::Always,
                Mode::Auto,
                Mode::Share(80),
                Mode::Never,
            ]),
            leak_check: draw.among(&[
                LeakCheck::Sampled,
                LeakCheck::Sampled,
                LeakCheck::Off,
                LeakCheck::Off,
                LeakCheck::Every,
            ]),
            validates: draw.among(&[false, false, false, false, true]),
            recycling: draw.among(&[
                Recycling::Trait,
                Recycling::Trait,
                Recycling::Hook,
                Recycling::HardCap,
                Recycling::Utilisation,
                Recycling::Calibrated,
                Recycling::ValidatePut,
            ]),
            wide: draw.among(&[false, false, true]),
            ending: draw.among(&[Ending::GuardsFirst, Ending::HandlesFirst, Ending::OwnedLast]),
            company: draw.among(&[true, true, true, false]),
        }
    }

    /// A builder with these choices but for the recycling.
    pub(super) fn builder<S: Shape>(&self, world: &Arc<World>) -> PoolBuilder<Object<S>> {
        let maker = Arc::clone(world);
        let mut builder = Pool::builder_with(move || maker.create())
            .aging(self.aging)
            .mode(self.mode)
            .leak_check(self.leak_check)
            .leak_after(Duration::ZERO)
            .name("streams");
        if let Some(idle) = &self.idle {
            builder = builder.idle(idle.clone());
        }
        if let Some(live_max) = self.live_max {
            builder = builder.max_live(live_max);
        }
        if let Some(interval) = self.tick_every {
            builder = builder.tick_every(interval);
        }
        if self.validates {
            let judge = Arc::clone(world);
            builder = builder.validate_get(move |object| judge.validate(object));
        }
        builder
    }

    /// Idle objects at most, as the builder's documentation has it.
    pub(super) fn idle_max(&self) -> usize {
        self.idle.as_ref().map_or(4096, |idle| *idle.end())
    }

    pub(super) fn idle_min(&self) -> usize {
        self.idle.as_ref().map_or(0, |idle| *idle.start())
    }
}

/// A mode to change to.
pub(super) fn mode(raw: u32) -> Mode {
    match raw % 8 {
        0 | 1 => Mode::Auto,
        2..=4 => Mode::Always,
        5 => Mode::Never,
        6 => Mode::Share(0),
        _ => Mode::Share((raw >> 8) as u8 % 101),
    }
}
