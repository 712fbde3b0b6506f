//! Leases given up so far in the process: while their number stands still there is no point in
//! looking for a shard that has become free.
//!
//! Owns that number.
#![forbid(unsafe_code)]

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::stock::shard::Shard;

static RELEASES: AtomicUsize = AtomicUsize::new(0);

/// How many leases have been given up so far.
pub(crate) fn releases() -> usize {
    // Acquire: pairs with `release`, so that the shards given up are seen as free.
    RELEASES.load(Ordering::Acquire)
}

/// Gives up a lease and tells those who wait for one.
pub(crate) fn release(shard: &Shard) {
    shard.release();
    // Release: pairs with `releases`.
    RELEASES.fetch_add(1, Ordering::Release);
}
