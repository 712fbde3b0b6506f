//! Where slots lie: in magazines, in shards, in the depot, and without a value; and what is counted
//! and measured there. Slots are erased. Knows no pools.

pub(crate) mod blocks;
pub(crate) mod counters;
pub(crate) mod depot;
pub(crate) mod drops;
pub(crate) mod id;
pub(crate) mod magazine;
pub(crate) mod meters;
pub(crate) mod shard;
pub(crate) mod shard_ref;
pub(crate) mod vacant;
