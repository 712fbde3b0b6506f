//! Pools whose figures do not depend on how fast the machine is.

use std::time::Duration;

use flagstone::{Mode, PoolBuilder};

/// A pool that ticks only when it is told to.
pub(crate) fn still<T, R>(builder: PoolBuilder<T, R>) -> PoolBuilder<T, R> {
    builder.tick_every(Duration::from_secs(24 * 3600))
}

/// A pool whose figures do not depend on how fast this machine is just now: it measures nothing,
/// and ticks only when it is told to.
pub(crate) fn steady<T, R>(builder: PoolBuilder<T, R>) -> PoolBuilder<T, R> {
    still(builder).mode(Mode::Always)
}
