//! Room.

pub(crate) mod arena_pool;
pub(crate) mod asking;
pub(crate) mod builder;
pub(crate) mod guards;
pub(crate) mod local;
pub(crate) mod overhead;
pub(crate) mod pool;
pub(crate) mod upkeep;
