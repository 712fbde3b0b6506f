//! The page source: reservations, segments, spans, and one byte budget over all of them.
//!
//! [`Pages`] hands out *spans*: 4 to 16 KiB pieces of a shared unit, 64 KiB units up to 1 MiB, and
//! mappings of their own above. It knows nothing of slots, chunks or objects. Taking and releasing
//! are compare-and-swap loops on one word; nobody waits for anybody (see `free.rs`).

mod budget;
mod face;
mod free;
mod grow;
mod huge;
mod huge_cache;
pub(crate) mod huge_record;
pub(crate) mod purge;
pub(crate) mod registry;
pub(crate) mod segment;
mod spans;
mod state;
mod system;
mod table;

pub(crate) use face::{Room, span_bytes};
pub(crate) use state::Span;
pub use state::{Pages, PagesStats};
pub use system::source::HeapSource;
#[cfg(feature = "std")]
pub use system::source::MmapSource;
pub use system::source::{PageSource, Reservation};
