//! Thin glue to other crates' traits. Nothing below knows of it.

#[cfg(any(feature = "allocator-api2-02", feature = "allocator-api2-04"))]
mod allocator_api2;
#[cfg(feature = "serde")]
pub(crate) mod serde;
