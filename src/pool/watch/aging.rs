//! When idle objects grow old: the choices, and the intervals' clock.
//!
//! Owns when the last tick and the last rotation were: what is idle becomes old then, and what was
//! old goes. How that is done is in `exchange/trimming.rs`.
#![forbid(unsafe_code)]

use core::time::Duration;

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::exchange::events::Event;
use crate::pool::watch::clock;

/// Milliseconds of an interval unless told otherwise: a batch every few seconds keeps its objects,
/// a burst is forgotten within a minute. Slow paths look at the clock, so an idle pool has no ticks
/// but those it is given.
pub(crate) const TICK_MILLIS: usize = 10_000;

/// How a pool forgets objects that nobody needs, at each [`tick`](crate::Pool::tick); from
/// [`PoolBuilder::aging`](crate::PoolBuilder::aging).
///
/// Ticks come from the program, or by themselves: a get that leaves its thread's magazines may
/// begin one when the interval of [`PoolBuilder::tick_every`](crate::PoolBuilder::tick_every) is
/// over. What running threads have in their magazines takes part at each thread's next get.
///
/// ```
/// use flagstone::{Aging, Pool};
/// let pool: Pool<Vec<u8>> = Pool::builder(Vec::new).aging(Aging::TwoGeneration).build();
/// pool.get().push(1);
/// assert_eq!((pool.tick(), pool.stats().idle), (0, 1), "it survives one");
/// assert_eq!((pool.tick(), pool.stats().idle), (1, 0), "and not two");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Aging {
    /// Three quarters of what nobody needed are dropped: of the fewest objects that the depot held
    /// at any moment since the last tick. Of a running thread's two magazines the colder one goes
    /// to the depot, the other stays. The working set stays whatever the interval, and a burst is
    /// forgotten in a few. After jemalloc's thread caches.
    #[default]
    LowWater,
    /// An object that nobody took between two ticks is dropped at the second, as Go's `sync.Pool`
    /// does at its collections; its two generations are those of Go, old and young by ticks, and
    /// have nothing to do with [`Pool::new_generation`](crate::Pool::new_generation). What another
    /// thread puts back between a tick and its next get counts as put back before the tick. Below
    /// the working set too, but for [`PoolBuilder::idle`](crate::PoolBuilder::idle)'s lower end.
    TwoGeneration,
    /// An object is dropped when it was idle for this long, by the first tick after that, at the
    /// latest by the one after twice as long: as with [`TwoGeneration`](Self::TwoGeneration), but
    /// after this time and not at each tick. Without ticks, or while its thread makes no get, it
    /// stays.
    Ttl(Duration),
    /// Objects stay until a trim, up to the higher end of `idle`.
    Never,
}

/// The intervals of one pool.
#[derive(Debug)]
pub(crate) struct Intervals {
    aging: Aging,
    every_millis: usize,
    /// When the last tick was, and the last rotation.
    ticked: AtomicUsize,
    rotated: AtomicUsize,
    /// Ticks so far.
    count: AtomicUsize,
}

impl Intervals {
    pub(crate) fn new(aging: Aging, every: Option<Duration>) -> Intervals {
        let millis = |duration: Duration| duration.as_millis().min(1 << 30) as usize;
        let every_millis = match (every, aging) {
            (Some(every), _) => millis(every),
            (None, Aging::Ttl(ttl)) => millis(ttl),
            (None, _) => TICK_MILLIS,
        };
        let now = clock::millis();
        Intervals {
            aging,
            every_millis: every_millis.max(1),
            ticked: AtomicUsize::new(now),
            rotated: AtomicUsize::new(now),
            count: AtomicUsize::new(0),
        }
    }

    /// Whether an automatic tick is due. Answers `true` to one caller per interval.
    pub(crate) fn is_due(&self) -> bool {
        // Relaxed throughout: who wins the exchange ticks; nothing else hangs on it.
        let (last, now) = (self.ticked.load(Ordering::Relaxed), clock::millis());
        let (set, seen) = (Ordering::Relaxed, Ordering::Relaxed);
        now.wrapping_sub(last) >= self.every_millis
            && self.ticked.compare_exchange(last, now, set, seen).is_ok()
    }

    /// Notes a tick; the event that it is, if it does anything.
    pub(crate) fn step(&self) -> Option<Event> {
        self.ticked.store(clock::millis(), Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        match self.aging {
            Aging::LowWater => Some(Event::Tick),
            Aging::TwoGeneration => Some(Event::Rotate),
            Aging::Ttl(ttl) => {
                // Before the clock: otherwise another tick's moment may lie ahead of it. Acquire
                // keeps them in that order.
                let last = self.rotated.load(Ordering::Acquire);
                let now = clock::millis();
                if u128::from(now.wrapping_sub(last) as u64) < ttl.as_millis() {
                    return None;
                }
                // Of two ticks at once one does it: what became old a moment ago is not dropped.
                let (set, seen) = (Ordering::Relaxed, Ordering::Relaxed);
                let rotated = self.rotated.compare_exchange(last, now, set, seen);
                rotated.is_ok().then_some(Event::Rotate)
            }
            Aging::Never => None,
        }
    }

    /// Ticks so far.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ticks_at_once_rotate_once() {
        const ROUNDS: usize = 20;
        let ttl = Duration::from_millis(2);
        let intervals = Intervals::new(Aging::Ttl(ttl), None);
        let begun = std::time::Instant::now();
        let rotates = || {
            let until = ttl * ROUNDS as u32;
            let mut count = 0;
            while begun.elapsed() < until {
                count += usize::from(intervals.step() == Some(Event::Rotate));
            }
            count
        };
        let count: usize = std::thread::scope(|scope| {
            let all = [(); 4].map(|()| scope.spawn(rotates));
            all.map(|one| one.join().expect("no panic")).iter().sum()
        });
        let most = begun.elapsed().as_millis() / ttl.as_millis() + 1;
        assert!(count as u128 <= most, "{count} of {most}");
    }
}
