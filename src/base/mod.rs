//! The ground floor: integers, bits, words and errors. Nothing here touches memory it does not own.

pub(crate) mod bitmap;
pub(crate) mod config;
pub(crate) mod error;
pub(crate) mod geometry;
pub(crate) mod size_class;
pub(crate) mod sync;
pub(crate) mod trap;
