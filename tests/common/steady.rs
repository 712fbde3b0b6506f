//! Pools whose figures do not depend on how fast the machine is, and threads that have ended.

use std::thread;
use std::time::Duration;

use flagstone::{Mode, PoolBuilder};

/// A pool whose figures do not depend on how fast this machine is just now: it measures nothing,
/// and ticks only when it is told to.
pub(crate) fn steady<T, R>(builder: PoolBuilder<T, R>) -> PoolBuilder<T, R> {
    let day = Duration::from_secs(24 * 3600);
    builder.mode(Mode::Always).tick_every(day)
}

/// Does `work` on `count` threads at once, and waits until each has ended. The end of a scope alone
/// does not wait for exit hooks, which give up what a thread had.
pub(crate) fn on_threads(count: usize, work: impl Fn() + Sync) {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(&work)).collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
    });
}
