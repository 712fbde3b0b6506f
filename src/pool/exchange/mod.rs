//! Room.

pub(crate) mod events;
pub(crate) mod figures;
pub(crate) mod leases;
pub(crate) mod live;
pub(crate) mod seats;
pub(crate) mod store;
pub(crate) mod trimming;
