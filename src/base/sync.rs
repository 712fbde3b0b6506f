//! The one place where atomics are imported, so that a model checker can be swapped in here.
#![forbid(unsafe_code)]

#[cfg(target_has_atomic = "64")]
pub(crate) use core::sync::atomic::AtomicU64;
#[cfg(feature = "alloc")]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU16};
pub(crate) use core::sync::atomic::{AtomicUsize, Ordering};
