//! Which objects are of the present generation, where no note can say so.
//!
//! Owns addresses: of what was created since the last generation began. An object that is not on
//! the roster is older. Nothing is kept before the first generation, and no address is taken off:
//! what is created in a slot later is of the same generation or of a later one.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
struct Enrolled {
    generation: usize,
    addresses: HashSet<usize>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Roster(Mutex<Enrolled>);

impl Roster {
    /// Notes what was created in `generation`.
    pub(crate) fn enrol(&self, address: usize, generation: usize) {
        if generation == 0 {
            return;
        }
        let mut enrolled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if enrolled.generation < generation {
            enrolled.addresses.clear();
            enrolled.generation = generation;
        }
        if enrolled.generation == generation {
            enrolled.addresses.insert(address);
        }
    }

    /// Whether an object is of `generation`, the present one.
    pub(crate) fn has(&self, address: usize, generation: usize) -> bool {
        if generation == 0 {
            return true;
        }
        let enrolled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        enrolled.generation == generation && enrolled.addresses.contains(&address)
    }
}
