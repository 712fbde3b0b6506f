//! Slabs: spans cut into equal slots, and [`Slab<T>`](crate::Slab) on top of them.

pub(crate) mod bin;
mod handles;
mod keys;
pub(crate) mod owner;
pub(crate) mod raw;
pub(crate) mod set;
pub(crate) mod shape;
mod shared;
#[cfg(feature = "std")]
pub(crate) mod slots;
pub(crate) mod spares;
mod typed;

pub use handles::{OwnedSlot, Slot};
pub use keys::Key;
pub use typed::{Iter, Refused, Slab};
