//! The object of most tests: notices when it is handed out twice or dirty, counts those alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use flagstone::{Aging, Keep, Pool, PoolBuilder, Recycle};

pub(crate) use crate::common::steady::{steady, still};
use crate::common::threads::Over;

/// Turns of a loop: fewer under the interpreter.
pub(crate) fn turns(count: usize) -> usize {
    if cfg!(miri) {
        (count / 10_000).clamp(10, 200)
    } else {
        count
    }
}

/// How objects grow old while a test runs, and whether a thread ticks all the time meanwhile.
pub(crate) const AGINGS: [(Aging, bool); 3] = [
    (Aging::LowWater, false),
    (Aging::LowWater, true),
    (Aging::TwoGeneration, true),
];

/// Does some work while another thread ticks the pool, if one `ticks`. The work is to yield now and
/// then: on a machine with few processors a tick comes between two slices of time otherwise.
pub(crate) fn ticking<T: Send>(pool: &Pool<T>, ticks: bool, work: impl FnOnce()) {
    let over = Over::default();
    thread::scope(|scope| {
        let end = over.at_end();
        let ticker = scope.spawn(|| {
            while ticks && {
                pool.tick();
                thread::yield_now();
                !over.is_over()
            } {}
        });
        work();
        drop(end);
        ticker.join().expect("no panic");
    });
}

/// An object that knows whether somebody has it, and counts those alive.
pub(crate) struct Canary {
    pub(crate) taken: AtomicBool,
    dirty: bool,
    alive: Arc<AtomicUsize>,
}

impl Canary {
    pub(crate) fn pool(alive: &Arc<AtomicUsize>) -> PoolBuilder<Canary> {
        let alive = Arc::clone(alive);
        Pool::builder_with(move || Canary::new(&alive))
    }

    pub(crate) fn new(alive: &Arc<AtomicUsize>) -> Canary {
        alive.fetch_add(1, Ordering::Relaxed);
        Canary {
            taken: AtomicBool::new(false),
            dirty: false,
            alive: Arc::clone(alive),
        }
    }

    /// To be called once per get.
    pub(crate) fn take(&mut self) {
        assert!(
            !self.taken.swap(true, Ordering::Relaxed),
            "handed out twice"
        );
        assert!(!self.dirty, "handed out without being recycled");
        self.dirty = true;
    }
}

impl Recycle for Canary {
    fn recycle(&mut self) -> Keep {
        self.taken.store(false, Ordering::Relaxed);
        self.dirty = false;
        Keep::Yes
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}
