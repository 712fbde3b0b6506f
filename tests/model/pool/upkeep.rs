//! What trims, ticks, generations, modes and prefills promise.
//!
//! Owns nothing. Numbers are certain only where no code of an object was at work meanwhile, and
//! what is left is certain only where no other thread or handle has a shard.

use std::time::Duration;

use flagstone::{Aging, Mode, PoolStats, Recycler};

use super::What;
use super::acts::calmly;
use super::objects::{Object, Shape};
use super::stream::Model;
use super::world::Event;

impl<S: Shape, R: Recycler<Object<S>> + 'static> Model<'_, '_, S, R> {
    /// Does one of the steps that hand nothing out.
    pub(super) fn keep_up(&mut self, what: What) {
        let (before, idle) = (self.pool.stats(), self.world.ledger().idle());
        let began = self.world.ledger().tick();
        let (pool, world) = (self.pool, &self.world);
        let dropped = calmly(|| match what {
            What::Trim(keep) => Some(pool.trim(keep)),
            What::Clear => {
                pool.clear();
                None
            }
            What::Tick { .. } => Some(pool.tick()),
            What::Generation => Some(world.during(Event::Generation, || pool.new_generation())),
            What::Mode(mode) => {
                world.during(Event::Mode(mode), || pool.set_mode(mode));
                None
            }
            _ => unreachable!("none of those"),
        });
        let after = self.pool.stats();
        let Some(dropped) = dropped else {
            self.ticked_at = None;
            return assert!(self.has_fired());
        };
        if self.has_fired() {
            self.ticked_at = None;
            return;
        }
        let gone = before.idle - after.idle;
        assert_eq!(after.outstanding, before.outstanding);
        if let Some(dropped) = dropped {
            assert_eq!(dropped as u64, gone, "what {what:?} says it dropped");
        }
        match what {
            What::Tick { .. } => self.check_tick([before, after], idle, began),
            What::Trim(keep) if self.is_alone() => assert!(after.idle <= keep as u64),
            What::Clear | What::Generation | What::Mode(Mode::Never) if self.is_alone() => {
                assert_eq!(after.idle, 0);
            }
            _ => {}
        }
    }

    fn check_tick(&mut self, [before, after]: [PoolStats; 2], idle: u64, began: u64) {
        assert!(after.ticks > before.ticks || after.gets == 0);
        let last = self.ticked_at.take();
        if !self.is_alone() || self.is_behind {
            return;
        }
        let idle_min = self.settings.idle_min() as u64;
        assert!(after.idle >= idle.min(idle_min), "the lower number");
        let rotates = match self.settings.aging {
            Aging::Never => {
                assert_eq!(after.idle, before.idle);
                false
            }
            Aging::TwoGeneration => true,
            Aging::Ttl(time) => time == Duration::ZERO,
            _ => false,
        };
        // A get takes a whole magazine out of the depot, which counts as taken then.
        if rotates && idle_min == 0 && last.is_some_and(|(_, gets)| gets == after.gets) {
            let (time, _) = last.expect("looked at just now");
            let has_old = self.world.ledger().has_idle_since_before(time);
            assert!(!has_old, "idle for two ticks");
        }
        self.ticked_at = Some((began, after.gets));
    }

    pub(super) fn prefill(&mut self, count: usize, tries: bool) {
        let before = self.pool.stats();
        let made = calmly(|| {
            if tries {
                self.pool.try_prefill(count).expect("memory")
            } else {
                self.pool.prefill(count)
            }
        });
        let after = self.pool.stats();
        let misses = |stats: PoolStats| stats.gets - stats.hits;
        self.prefilled += (after.creates - before.creates) - (misses(after) - misses(before));
        let Some(made) = made else {
            return assert!(self.has_fired());
        };
        if !self.has_fired() {
            assert!(made as u64 <= (count as u64).saturating_sub(before.idle));
            assert_eq!(after.idle, before.idle + made as u64);
            assert!(after.mode != Mode::Never || made == 0);
        }
    }
}
