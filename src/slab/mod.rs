//! Slabs: spans cut into equal slots, and [`Slab<T>`](crate::Slab) on top of them.

pub(crate) mod bin;
mod keys;
pub(crate) mod raw;
pub(crate) mod set;
pub(crate) mod slots;
mod typed;

pub use keys::Key;
pub use typed::{Iter, OwnedSlot, Refused, Slab, Slot};
