//! General allocation: one [`Heap`] for one thread at a time, and the process's heap over the same
//! parts.
//!
//! `bins.rs` serves sizes up to 32 KiB, `large.rs` and `resize.rs` what is longer or changes its
//! length, `check.rs` is [`Check::Full`](crate::Check::Full). `process/` has what threads share.

mod bins;
mod builder;
mod check;
mod large;
mod map;
#[cfg(all(unix, feature = "std"))]
mod process;
mod resize;
mod single;
mod stats;

pub use builder::HeapBuilder;
pub use map::HeapMap;
#[cfg(all(unix, feature = "std"))]
pub use process::{Flagstone, Stats, last_error, set_limit, stats, trim};
pub use single::Heap;
pub use stats::HeapStats;
