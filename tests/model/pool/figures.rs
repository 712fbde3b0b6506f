//! What the pool says about itself, against the ledger.
//!
//! Owns the identities that `PoolStats` documents. Asked only between two steps, when no other
//! thread is inside the pool, so every figure is exact.

use flagstone::{LeakCheck, Mode, ModeReason, PoolStats, Recycler};

use super::objects::{Object, Shape};
use super::stream::Model;

/// Figures that never fall.
fn rising(stats: &PoolStats) -> [u64; 19] {
    let drops = &stats.drops;
    [
        stats.gets,
        stats.hits,
        stats.creates,
        stats.returns,
        stats.high_water,
        stats.exchanges,
        stats.shards,
        stats.withdrawn,
        stats.ticks,
        drops.full,
        drops.discarded,
        drops.oversize,
        drops.invalid,
        drops.poisoned,
        drops.trimmed,
        drops.aged,
        drops.retired,
        drops.bypassed,
        drops.total(),
    ]
}

impl<S: Shape, R: Recycler<Object<S>> + 'static> Model<'_, '_, S, R> {
    /// Compares the figures.
    pub(super) fn check(&mut self) {
        let stats = self.pool.stats();
        let ledger = self.world.ledger();
        let held = (self.held.len() + self.forgotten.len()) as u64;
        assert_eq!(ledger.out, held);
        assert_eq!(stats.outstanding, held);
        assert_eq!(stats.idle + stats.outstanding, ledger.there(), "{stats}");
        let idle_max = self.settings.idle_max() as u64;
        assert!(stats.idle <= idle_max, "{} of {idle_max}", stats.idle);
        let size = size_of::<Object<S>>() as u64;
        assert!(stats.idle_bytes >= stats.idle * size);

        assert_eq!(stats.gets, ledger.gets, "{stats}");
        assert_eq!(stats.creates, ledger.creates);
        assert_eq!(stats.returns, ledger.returns);
        assert_eq!(stats.returns + held + ledger.detached, ledger.gets);
        let made_for_gets = stats.creates - self.prefilled;
        assert_eq!(stats.gets, stats.hits + made_for_gets, "{stats}");
        let gone = stats.drops.total() + ledger.detached;
        let came = stats.creates + ledger.puts;
        assert_eq!(came, stats.idle + held + gone, "{stats}");

        assert!(stats.high_water >= stats.idle + held);
        assert!(stats.high_water <= ledger.peak);
        assert_eq!(stats.exhausted, ledger.exhausted);
        assert_eq!((stats.contended, stats.drops.contended), (0, 0), "alone");
        assert_eq!(stats.mode, ledger.mode);
        let is_judged = matches!(stats.mode, Mode::Auto);
        assert!(!is_judged || stats.reason != ModeReason::Asked);
        assert!(is_judged || stats.gets == 0 || stats.reason == ModeReason::Asked);
        drop(ledger);
        for (before, after) in rising(&self.last).into_iter().zip(rising(&stats)) {
            assert!(before <= after, "{} then {stats}", self.last);
        }
        self.check_suspects(&stats);
        self.last = stats;
    }

    fn check_suspects(&self, stats: &PoolStats) {
        let held = self.held.iter().map(|holding| holding.ticks);
        let all = held.chain(self.forgotten.iter().copied());
        let certain = |ticks: &Option<u64>| ticks.is_some_and(|ticks| stats.ticks >= ticks + 2);
        let (least, most) = match self.settings.leak_check {
            LeakCheck::Off => (0, 0),
            LeakCheck::Every => {
                let unknown = all.clone().filter(Option::is_none).count();
                let least = all.filter(certain).count();
                (least, least + unknown)
            }
            _ => (0, all.count()),
        };
        let expected = least as u64..=most as u64;
        assert!(expected.contains(&stats.suspects), "{expected:?}: {stats}");
        assert!(stats.withdrawn <= self.reported);
    }

    /// Asks for everything else.
    pub(super) fn look(&mut self) {
        let suspects = self.pool.leak_suspects();
        self.reported += suspects.len() as u64;
        assert!(suspects.len() as u64 <= self.pool.stats().suspects);
        assert!(self.pool.leak_suspects().is_empty(), "each is told once");
        let said = format!("{:?} {:?}", self.pool, suspects.first());
        assert!(said.contains("streams"));
        drop(self.pool.advice().to_string() + &self.pool.health().to_string());
        self.check();
    }
}
