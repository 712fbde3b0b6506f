//! Room.

pub(crate) mod advice;
pub(crate) mod aging;
pub(crate) mod clock;
pub(crate) mod cost;
pub(crate) mod discipline;
pub(crate) mod health;
pub(crate) mod leaks;
pub(crate) mod mode;
pub(crate) mod oversize;
pub(crate) mod stats;
