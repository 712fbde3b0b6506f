//! Which way gets go: through the pool or past it.
//!
//! Owns the word that slow paths read. What it says is decided in `watch/`.
#![forbid(unsafe_code)]

use crate::base::sync::{AtomicUsize, Ordering};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Pool,
    Bypass,
    /// This many percent of the gets use the pool.
    Share(u8),
}

const POOL: usize = 0;
const BYPASS: usize = 1;
/// And the percent.
const SHARE: usize = 2;

/// A pool's route.
#[derive(Debug, Default)]
pub(crate) struct RouteWord(AtomicUsize);

impl RouteWord {
    pub(crate) fn get(&self) -> Route {
        // Relaxed, here and below: the word stands for itself.
        match self.0.load(Ordering::Relaxed) {
            POOL => Route::Pool,
            BYPASS => Route::Bypass,
            share => Route::Share((share - SHARE) as u8),
        }
    }

    pub(crate) fn set(&self, route: Route) {
        let word = match route {
            Route::Pool => POOL,
            Route::Bypass => BYPASS,
            Route::Share(percent) => SHARE + usize::from(percent),
        };
        self.0.store(word, Ordering::Relaxed);
    }
}
