//! The one place where atomics are imported, so that a model checker can be swapped in here.
#![forbid(unsafe_code)]

pub(crate) use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, AtomicUsize};
pub(crate) use core::sync::atomic::{AtomicPtr, Ordering};
