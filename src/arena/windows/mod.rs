//! The erased arena: chunks, windows and the state over them. Knows neither types nor the minimum
//! alignment of a handle.
//!
//! From the bottom up: `bumping` (arithmetic), `copying`, `chunk` (spans, headers, windows),
//! `owned` (values the arena drops), `state` (everything slow) with `keeping` (resets),
//! `reserving`, `resizing`, `refilling`, `refusal`, and `lending` (windows that come back).

pub(crate) mod bumping;
pub(crate) mod chunk;
pub(crate) mod copying;
pub(crate) mod keeping;
pub(crate) mod lending;
pub(crate) mod owned;
mod refilling;
pub(crate) mod refusal;
mod reserving;
mod resizing;
pub(crate) mod state;
pub(crate) mod stats;
