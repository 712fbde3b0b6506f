//! Threads that have ended when a call returns, exit hooks and all.
//!
//! A scope waits for closures only: the destructors of thread-locals may still run when it ends,
//! and with them what a thread gives back. Whoever looks at exact figures afterwards joins.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Runs `work` on so many threads at a time, each with a number of its own.
pub(crate) fn crowd(count: usize, work: impl Fn(usize) + Sync) {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
    });
}

/// Runs `work` on another thread.
pub(crate) fn elsewhere<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(work).join()).expect("no panic")
}

/// Says that it is over when it is dropped, so that threads end also when a test fails.
#[derive(Default)]
pub(crate) struct Over(AtomicBool);

impl Over {
    pub(crate) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What is dropped at the end of the work that others accompany.
    pub(crate) fn at_end(&self) -> impl Drop + '_ {
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        End(&self.0)
    }
}
