//! The ground floor: integers, bits, words and errors. Nothing here touches memory it does not own.

#[cfg(target_has_atomic = "64")]
pub(crate) mod bitmap;
pub(crate) mod config;
pub(crate) mod error;
#[cfg(feature = "alloc")]
pub(crate) mod geometry;
#[cfg(feature = "std")]
pub(crate) mod lock;
#[cfg(feature = "alloc")]
pub(crate) mod size_class;
pub(crate) mod sync;
#[cfg(feature = "alloc")]
pub(crate) mod trap;
#[cfg(feature = "alloc")]
pub(crate) mod underway;

#[cfg(all(test, feature = "alloc"))]
#[path = "../../tests/common/random.rs"]
pub(crate) mod random;
