//! The words of the comparison: a *work* is done by several *arms*, each in its own *way*.
//!
//! - I1: [`Way::run`] returns a checksum that depends on the iterations alone, so that all arms of
//!   a work must agree, and an arm that skips work is found out.
//! - I2: an arm allocates nothing that lasts before its first run, so that arms beside it in the
//!   same process cost it nothing.
//!
//! It does not measure and does not print.

use crate::count;
use std::sync::atomic::{AtomicU64, Ordering};

/// One way to do a work.
pub(crate) trait Way {
    /// Does the work so many times and returns the checksum (I1).
    fn run(&mut self, iterations: u64) -> u64;

    /// How many of its `get`s found a recycled object, where that can be said.
    fn hits(&self) -> Option<Hits> {
        None
    }
}

/// A pool's figures since it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hits {
    pub(crate) gets: u64,
    pub(crate) creates: u64,
}

impl Hits {
    /// Share of gets served by an object that existed already, 0 to 1.
    pub(crate) fn rate(&self) -> f64 {
        1.0 - self.creates as f64 / self.gets.max(1) as f64
    }
}

/// Who made what an arm uses; decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// The standard library: what ratios refer to. The first arm of every work.
    Std,
    /// This crate.
    Flagstone,
    /// Somebody else, or a few lines by hand.
    Other,
    /// Nobody: the loop keeps its objects itself. Not a way to work, but what the rest costs.
    Floor,
}

/// A contender in a work.
pub(crate) struct Arm<'d> {
    /// Names the arm on the command line of a probe.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) maker: Maker,
    /// It cannot free one object, only all of them at an iteration's end.
    pub(crate) in_batches: bool,
    pub(crate) way: Box<dyn Way + 'd>,
}

impl<'d> Arm<'d> {
    pub(crate) fn new(
        id: &'static str,
        title: &'static str,
        maker: Maker,
        way: impl Way + 'd,
    ) -> Arm<'d> {
        Arm {
            id,
            title,
            maker,
            in_batches: false,
            way: Box::new(way),
        }
    }

    /// Marks an arm that frees all at once and is therefore judged apart.
    pub(crate) fn in_batches(self) -> Arm<'d> {
        Arm {
            in_batches: true,
            ..self
        }
    }
}

/// What all arms do, and in what their time is given.
pub(crate) struct Work<'d> {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What one iteration does, in a sentence or two.
    pub(crate) description: String,
    /// The thing that times and allocations are given per: "document", "object", "buffer".
    pub(crate) unit: &'static str,
    /// What pools keep here, in the plural: "these buffers".
    pub(crate) objects: &'static str,
    pub(crate) units_per_iteration: u64,
    /// The first one is the standard library's.
    pub(crate) arms: Vec<Arm<'d>>,
    /// Contenders that cannot do this work, or only in part, and why; remarks on the rest.
    pub(crate) remarks: Vec<&'static str>,
}

static PAGES_PEAK_BYTES: AtomicU64 = AtomicU64::new(0);

/// Called by every arm when it holds most: notes flagstone's own pages, which the counting
/// allocator cannot see. Does nothing in timed rounds.
#[inline]
pub(crate) fn holding_most() {
    if count::is_on() {
        note_pages();
    }
}

#[cold]
fn note_pages() {
    let active = flagstone::pages::Pages::global().stats().active as u64;
    PAGES_PEAK_BYTES.fetch_max(active, Ordering::Relaxed);
}

/// The most bytes of pages that flagstone's types owned at once, as far as noted.
pub(crate) fn pages_peak_bytes() -> u64 {
    PAGES_PEAK_BYTES.load(Ordering::Relaxed)
}
