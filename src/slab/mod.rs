//! Slabs: spans cut into equal slots, and [`Slab<T>`](crate::Slab) on top of them.

pub(crate) mod bin;
mod holes;
pub(crate) mod owner;
pub(crate) mod raw;
pub(crate) mod set;
pub(crate) mod shape;
#[cfg(feature = "std")]
pub(crate) mod slots;
pub(crate) mod spares;
mod values;

pub use values::{Iter, Key, OwnedSlot, Refused, Slab, Slot};
