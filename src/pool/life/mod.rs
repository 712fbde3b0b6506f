//! Where slots are values: they are made, handed out, recycled and dropped. Code of the user runs
//! here, with nothing locked or borrowed.

pub(crate) mod care;
pub(crate) mod filling;
pub(crate) mod getting;
pub(crate) mod note;
pub(crate) mod pool_core;
pub(crate) mod recycle;
pub(crate) mod refusal;
pub(crate) mod returning;
pub(crate) mod wards;
