//! What a pool decides: told sums and times, it answers whether to pool, when to forget, whom to
//! suspect, and what to tell the user. Owns the public words for that. Touches no slot.

pub(crate) mod advice;
pub(crate) mod aging;
pub(crate) mod clock;
pub(crate) mod cost;
pub(crate) mod discipline;
pub(crate) mod health;
pub(crate) mod judge;
pub(crate) mod leaks;
pub(crate) mod mode;
pub(crate) mod oversize;
pub(crate) mod stats;
