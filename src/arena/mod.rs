//! The arena: bump allocation over spans, for everything that dies together.
//!
//! Objects are cut off the high end of a chunk, growing buffers and byte strings off the low end;
//! each end's limit is the other end. So a list grows in place while nodes are allocated beside it,
//! strings are packed without disturbing the alignment of objects, and one test serves any layout.
//!
//! `windows/` is the erased arena, `handle` is [`Arena`], with its allocating methods in `values`,
//! `slices` and `blocks`. Then comes what stands on the handle: `session`, `scope`, `claim`,
//! `buffer`, `builder`, `arena_box`, and `collections/`.

mod arena_box;
mod blocks;
mod buffer;
mod builder;
mod claim;
mod collections;
mod handle;
mod scope;
mod session;
mod slices;
mod values;
mod windows;

pub use arena_box::{ArenaBox, ArenaBoxValue};
pub use buffer::BufferArena;
pub use builder::ArenaBuilder;
pub use claim::{Checkpoint, Claim};
pub use collections::{
    ArenaString, ArenaStringDrain, ArenaThinVec, ArenaVec, ArenaVecDrain, ArenaVecIntoIter,
};
pub use handle::Arena;
pub use scope::Scope;
pub use session::Session;
pub use windows::stats::ArenaStats;
