//! Slabs: spans cut into equal slots, and [`Slab<T>`](crate::Slab) on top of them.

pub(crate) mod bin;
pub(crate) mod raw;
pub(crate) mod set;
pub(crate) mod slots;
