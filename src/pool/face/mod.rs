//! What users hold: pools, their builder, guards and handles, and the pool of arenas, the only file
//! of this floor that knows arenas.

pub(crate) mod arena_pool;
pub(crate) mod asking;
pub(crate) mod builder;
pub(crate) mod guards;
pub(crate) mod local;
pub(crate) mod overhead;
pub(crate) mod pool;
