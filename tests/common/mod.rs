//! What several test binaries share. `workload/` is included by those that run a whole program.

#![allow(dead_code, reason = "each binary uses its part")]

pub(crate) mod child;
#[cfg(unix)]
pub(crate) mod crime;
#[cfg(feature = "std")]
pub(crate) mod steady;
