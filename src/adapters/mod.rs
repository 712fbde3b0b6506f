//! Thin glue to other crates' traits. Nothing below knows of it.

#[cfg(any(feature = "allocator-api2-02", feature = "allocator-api2-04"))]
mod allocator_api2;
#[cfg(feature = "hashbrown")]
mod hash_map;
#[cfg(feature = "serde")]
pub(crate) mod serde;

#[cfg(feature = "hashbrown")]
pub use hash_map::ArenaHashMap;
