//! Vectors and strings in an arena. They have no destructor, so trees of them can lie there too.
//!
//! `raw_vec` is the values in their buffer; `vec` and `string` are those and an arena, each with
//! `_edit` and `_traits`; `thin_vec` leaves the arena out; `drain` has the iterators, `freezing`
//! what an arena collects and freezes at once.

mod drain;
mod freezing;
mod raw_vec;
mod string;
mod string_edit;
mod string_traits;
mod thin_vec;
mod vec;
mod vec_edit;
mod vec_traits;

pub use drain::{ArenaStringDrain, ArenaVecDrain, ArenaVecIntoIter};
pub use string::ArenaString;
pub use thin_vec::ArenaThinVec;
pub use vec::ArenaVec;
