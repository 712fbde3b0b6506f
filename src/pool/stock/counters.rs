//! What a shard counts beside its gets: sums that one thread at a time adds to.
//!
//! Owns the sums. Plain increments: the shard's holder is the only writer, others read.
#![forbid(unsafe_code)]

use crate::base::sync::{AtomicUsize, Ordering};

/// Counts one more, by the only one who writes: no update is lost. Returns how many there were.
#[inline(always)]
pub(crate) fn count(figure: &AtomicUsize) -> usize {
    // Relaxed, like all here: sums order nothing.
    let so_far = figure.load(Ordering::Relaxed);
    figure.store(so_far.wrapping_add(1), Ordering::Relaxed);
    so_far
}

/// See the module.
pub(crate) struct Tally {
    /// Objects made for gets.
    pub(crate) made: AtomicUsize,
    /// Objects dropped for want of room, because the pool was bypassed, and because they were
    /// discarded.
    pub(crate) full: AtomicUsize,
    pub(crate) bypassed: AtomicUsize,
    pub(crate) discarded: AtomicUsize,
    /// Objects that their users discarded.
    pub(crate) given_up: AtomicUsize,
    /// Gets beyond the magazines.
    pub(crate) visits: AtomicUsize,
}

/// The sums of several shards.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tallied {
    pub(crate) made: u64,
    pub(crate) full: u64,
    pub(crate) bypassed: u64,
    pub(crate) discarded: u64,
    pub(crate) given_up: u64,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        Tally {
            made: AtomicUsize::new(0),
            full: AtomicUsize::new(0),
            bypassed: AtomicUsize::new(0),
            discarded: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
            visits: AtomicUsize::new(0),
        }
    }
}

impl Tallied {
    pub(crate) fn add(&mut self, tally: &Tally) {
        let read = |figure: &AtomicUsize| figure.load(Ordering::Relaxed) as u64;
        self.made += read(&tally.made);
        self.full += read(&tally.full);
        self.bypassed += read(&tally.bypassed);
        self.discarded += read(&tally.discarded);
        self.given_up += read(&tally.given_up);
    }
}
