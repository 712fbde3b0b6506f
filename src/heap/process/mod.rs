//! The process's heap: bins for each thread, slabs that any thread may free into.
//!
//! `thread.rs` is one thread's share, `heaps.rs` says which thread has which, `remote.rs` is the
//! protocol between them. `steps.rs` is what a thread heap does on its slow path, `blocks.rs` and
//! `spans.rs` what an operation does with the calling thread's. [`Flagstone`] is `global.rs` and,
//! as a handle, `handle.rs`.

mod blocks;
mod choices;
mod global;
mod handle;
mod heaps;
mod idle;
mod remote;
mod spans;
mod stats;
mod steps;
mod thread;

pub use blocks::last_error;
pub use global::{Flagstone, set_limit, trim};
pub use stats::{Stats, stats};
