//! How many guards a bounded pool has out, and who waits for one of them to come back.
//!
//! Owns the count. Knows neither objects nor slots.
//!
//! I1: `word` is the number of guards out, and the bit `WAITED` while somebody may be waiting. It
//! is one word, so that a guard's end cannot miss who came just before it.
//! I2: `WAITED` is set and cleared under the lock of `waiters`, whose value is the number of
//! threads that wait. A thread that sets it keeps the lock until it waits, so who finds the bit set
//! and takes the lock finds it waiting.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::base::lock::{intact, lock};
use crate::base::sync::{AtomicUsize, Ordering};

/// Somebody waits. Guards never come to that many: each has an address.
const WAITED: usize = 1 << (usize::BITS - 1);

/// See the module.
#[derive(Default)]
pub(crate) struct Live {
    word: AtomicUsize,
    waiters: Mutex<usize>,
    ended: Condvar,
}

impl Live {
    /// Counts a guard; `false` when `max` are out.
    pub(crate) fn begin(&self, max: usize) -> bool {
        // Relaxed, here and below: the word bounds, it publishes nothing; what a guard did to its
        // object is passed on by whoever passes the object.
        let order = (Ordering::Relaxed, Ordering::Relaxed);
        let counted = self.word.fetch_update(order.0, order.1, |word| {
            (word & !WAITED < max).then(|| word + 1)
        });
        counted.is_ok()
    }

    /// Counts a guard's end, and wakes one who waits for it.
    pub(crate) fn end(&self) {
        let before = self.word.fetch_sub(1, Ordering::Relaxed);
        if before & WAITED != 0 {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        // Whoever set the bit waits by the time the lock is ours (I2).
        drop(lock(&self.waiters));
        self.ended.notify_one();
    }

    /// As [`begin`](Self::begin), after waiting for at most `timeout` if need be.
    #[cold]
    pub(crate) fn wait(&self, max: usize, timeout: Duration) -> bool {
        // None: later than any clock goes.
        let deadline = Instant::now().checked_add(timeout);
        let order = (Ordering::Relaxed, Ordering::Relaxed);
        let mut waiters = lock(&self.waiters);
        loop {
            let found = self.word.fetch_update(order.0, order.1, |word| {
                let is_free = word & !WAITED < max;
                Some(if is_free { word + 1 } else { word | WAITED })
            });
            // `fetch_update` always succeeds with a function that always answers.
            let word = found.unwrap_or_else(|word| word);
            let counted = word & !WAITED < max;
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if counted || left == Some(Duration::ZERO) {
                if *waiters == 0 {
                    self.word.fetch_and(!WAITED, Ordering::Relaxed);
                }
                return counted;
            }
            *waiters += 1;
            waiters = match left {
                Some(left) => intact(self.ended.wait_timeout(waiters, left)).0,
                None => intact(self.ended.wait(waiters)),
            };
            *waiters -= 1;
        }
    }
}
