//! `base/sync.rs` for the code of the crate that the models run as it stands: loom's atomics, which
//! also notice who touches one that is gone.
//!
//! `WEAKEN=gain` makes every Acquire of that code relaxed, `WEAKEN=yield` every Release and
//! `WEAKEN=last` every AcqRel.

use loom::cell::UnsafeCell;
use loom::sync::atomic;
pub(crate) use loom::sync::atomic::Ordering;

use crate::ordering;

fn weaken(order: Ordering) -> Ordering {
    match order {
        Ordering::Acquire => ordering("gain", order),
        Ordering::Release => ordering("yield", order),
        Ordering::AcqRel => ordering("last", order),
        _ => order,
    }
}

/// Read by whoever uses the atomic, written when that is dropped: loom reports a use that is not
/// ordered before the drop.
#[derive(Debug)]
struct Alive(UnsafeCell<()>);

impl Alive {
    fn new() -> Alive {
        Alive(UnsafeCell::new(()))
    }

    fn look(&self) {
        self.0.with(|_| ());
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.with_mut(|_| ());
    }
}

#[derive(Debug)]
pub(crate) struct AtomicUsize(atomic::AtomicUsize, Alive);

impl Default for AtomicUsize {
    fn default() -> AtomicUsize {
        AtomicUsize::new(0)
    }
}

impl AtomicUsize {
    pub(crate) fn new(value: usize) -> AtomicUsize {
        AtomicUsize(atomic::AtomicUsize::new(value), Alive::new())
    }

    pub(crate) fn load(&self, order: Ordering) -> usize {
        self.1.look();
        self.0.load(weaken(order))
    }

    pub(crate) fn store(&self, value: usize, order: Ordering) {
        self.1.look();
        self.0.store(value, weaken(order));
    }

    pub(crate) fn swap(&self, value: usize, order: Ordering) -> usize {
        self.1.look();
        self.0.swap(value, weaken(order))
    }

    pub(crate) fn fetch_add(&self, value: usize, order: Ordering) -> usize {
        self.1.look();
        self.0.fetch_add(value, weaken(order))
    }

    pub(crate) fn fetch_max(&self, value: usize, order: Ordering) -> usize {
        self.1.look();
        self.0.fetch_max(value, weaken(order))
    }

    pub(crate) fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
        self.1.look();
        self.0.fetch_sub(value, weaken(order))
    }

    pub(crate) fn compare_exchange(
        &self,
        current: usize,
        new: usize,
        success: Ordering,
        failure: Ordering,
    ) -> Result<usize, usize> {
        self.1.look();
        self.0
            .compare_exchange(current, new, weaken(success), weaken(failure))
    }
}

pub(crate) struct AtomicPtr<T>(atomic::AtomicPtr<T>, Alive);

impl<T> AtomicPtr<T> {
    pub(crate) fn new(value: *mut T) -> AtomicPtr<T> {
        AtomicPtr(atomic::AtomicPtr::new(value), Alive::new())
    }

    pub(crate) fn load(&self, order: Ordering) -> *mut T {
        self.1.look();
        self.0.load(weaken(order))
    }

    pub(crate) fn store(&self, value: *mut T, order: Ordering) {
        self.1.look();
        self.0.store(value, weaken(order));
    }
}
