//! Ids: numbers that nothing had before and nothing will have again.
//!
//! Owns the count of them. Pools, generations and events take theirs from one sequence, so any two
//! can be told apart, and of two the later one is the larger.
#![forbid(unsafe_code)]

use crate::base::sync::{AtomicUsize, Ordering};

/// The id of nothing.
pub(crate) const NO_ID: usize = 0;

/// Distance of ids: the marks of a note fit between two (`life/note.rs`).
pub(crate) const ID_STEP: usize = 8;

static LAST: AtomicUsize = AtomicUsize::new(NO_ID);

/// The next id. When there are none left (after 2^28 on a 32-bit machine) it is [`NO_ID`]: a pool
/// that asks for one then no longer serves anybody by a seat, and uses nothing again.
pub(crate) fn next_id() -> usize {
    // Relaxed: only uniqueness and growth matter.
    let next = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
        (last < usize::MAX / 2).then_some(last + ID_STEP)
    });
    next.map_or(NO_ID, |last| last + ID_STEP)
}
