//! What several test binaries share.

#![allow(dead_code, reason = "each binary uses its part")]

#[cfg(unix)]
pub(crate) mod child;
#[cfg(unix)]
pub(crate) mod crime;
#[cfg(feature = "std")]
pub(crate) mod figures;
pub(crate) mod pairs;
pub(crate) mod random;
#[cfg(feature = "std")]
pub(crate) mod steady;
pub(crate) mod threads;
pub(crate) mod workload;
