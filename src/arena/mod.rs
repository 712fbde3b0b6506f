//! The arena: bump allocation over spans, for everything that dies together.
//!
//! Objects are cut off the high end of a chunk, growing buffers and byte strings off the low end;
//! each end's limit is the other end. So a list grows in place while nodes are allocated beside it,
//! strings are packed without disturbing the alignment of objects, and one test serves any layout.
//!
//! From the bottom up: `bumping` (arithmetic), `chunk` (spans, headers, windows), `owned` (values
//! the arena drops), `state` (everything slow) with `keeping` (resets) and `lending` (windows that
//! come back), `handle` ([`Arena`]) with its allocating methods in `typed`, `slices` and `blocks`,
//! then what stands on the handle: `session`, `scope`, `claim`, `buffer`, `arena_box`, `vec` and
//! `string` (each with `_edit` and `_traits`; iterators in `drain`), `thin_vec`.

mod arena_box;
mod blocks;
mod buffer;
mod builder;
mod bumping;
mod chunk;
mod claim;
mod copying;
mod drain;
mod handle;
mod keeping;
mod lending;
mod owned;
#[cfg(doctest)]
mod refusals;
mod scope;
mod session;
mod slices;
mod state;
mod stats;
mod string;
mod string_edit;
mod string_traits;
mod thin_vec;
mod typed;
mod vec;
mod vec_edit;
mod vec_traits;

pub use arena_box::{ArenaBox, ArenaBoxValue};
pub use buffer::BufferArena;
pub use builder::ArenaBuilder;
pub use claim::{Checkpoint, Claim};
pub use drain::{ArenaStringDrain, ArenaVecDrain, ArenaVecIntoIter};
pub use handle::Arena;
pub use scope::Scope;
pub use session::Session;
pub use stats::ArenaStats;
pub use string::ArenaString;
pub use thin_vec::ArenaThinVec;
pub use vec::ArenaVec;
