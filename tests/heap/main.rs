//! `Heap`, and `Flagstone` as a handle, from outside.

#[cfg(not(miri))]
#[path = "../common/mod.rs"]
mod common;

#[cfg(all(unix, feature = "std", not(miri)))]
mod crimes;
#[cfg(all(unix, feature = "std", feature = "allocator-api2-02", not(miri)))]
mod handle;
mod promised;
mod provenance;
#[cfg(all(feature = "std", not(miri)))]
mod refusals;
mod sizes;
