//! How slots pass between threads: a pool's store, the leases and seats by which threads find a
//! shard of it, and the events they hear of. Erased: no code of the user runs here.

pub(crate) mod bounds;
pub(crate) mod events;
pub(crate) mod leases;
pub(crate) mod live;
pub(crate) mod releases;
pub(crate) mod route;
pub(crate) mod seats;
pub(crate) mod store;
pub(crate) mod sums;
pub(crate) mod trimming;
