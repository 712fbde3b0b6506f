//! Where pages come from: the operating system's mappings and clock, or blocks of a heap.

#[cfg_attr(
    not(feature = "std"),
    allow(dead_code, reason = "nothing maps without std")
)]
pub(super) mod map;
pub(super) mod source;
