//! [`Slab<T>`](crate::Slab): many values of one type, over one bin of a raw slab.
//!
//! `slab.rs` is what a user holds, `slab_core.rs` what it shares with its owned handles, erased;
//! `keys.rs` says which slots hold keyed values; `handles.rs` gives slots back.

mod handles;
mod keys;
mod slab;
mod slab_core;

pub use handles::{OwnedSlot, Slot};
pub use keys::Key;
pub use slab::{Iter, Refused, Slab};
