//! Room.

pub(crate) mod blocks;
pub(crate) mod counters;
pub(crate) mod depot;
pub(crate) mod id;
pub(crate) mod magazine;
pub(crate) mod shard;
pub(crate) mod vacant;
