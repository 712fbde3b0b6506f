//! Room.

pub(crate) mod note;
pub(crate) mod pool_core;
pub(crate) mod recycle;
pub(crate) mod returning;
pub(crate) mod wards;
