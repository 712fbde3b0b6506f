//! Locks that a panic does not spoil.
//!
//! Owns the one way to take a lock. Whoever panics under one has left nothing half done: no code of
//! a user runs there.
#![forbid(unsafe_code)]

use std::sync::{LockResult, Mutex, MutexGuard, PoisonError, TryLockError};

/// What was locked, whatever happened to others who had it.
pub(crate) fn intact<G>(locked: LockResult<G>) -> G {
    locked.unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    intact(mutex.lock())
}

/// Waits for a lock if need be, or tries.
pub(crate) fn lock_or_try<T>(mutex: &Mutex<T>, waits: bool) -> Option<MutexGuard<'_, T>> {
    if waits {
        Some(lock(mutex))
    } else {
        try_lock(mutex)
    }
}

/// A lock, if nobody else has it.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
