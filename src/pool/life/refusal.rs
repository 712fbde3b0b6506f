//! Why a get has no object.
//!
//! Owns the public word for it, which knows the error of a `create` that may fail.
#![forbid(unsafe_code)]

use core::convert::Infallible;
use core::fmt;

use std::error::Error;

use crate::base::error::AllocError;

/// Why [`Pool::try_get_with`](crate::Pool::try_get_with) has no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetError<E> {
    /// The function that was to make one answered so.
    Create(E),
    /// That many objects are out, all of [`max_live`](crate::PoolBuilder::max_live).
    MaxLive(usize),
    /// There is no memory for a slot.
    Memory(AllocError),
}

/// Why, when the pool's own function makes the objects.
pub(crate) type Refusal = GetError<Infallible>;

impl Refusal {
    /// The limit that left no memory, when nothing is counted.
    pub(crate) fn memory(self) -> AllocError {
        match self {
            GetError::Create(never) => match never {},
            GetError::Memory(error) => error,
            GetError::MaxLive(_) => unreachable!("no guard was asked for"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for GetError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GetError::Create(error) => write!(f, "no object could be made: {error}"),
            GetError::MaxLive(max) => write!(f, "all {max} objects of the pool are out"),
            GetError::Memory(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for GetError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            GetError::Create(error) => Some(error),
            GetError::MaxLive(_) => None,
            GetError::Memory(error) => Some(error),
        }
    }
}
