//! Values whose `Drop` the arena runs: a stack of links, each lying in front of its value.
//!
//! I1: every link in a list lies in a block of the arena, in front of a value that is alive and
//!     `'static + Send`; it is unlinked before its value is dropped, so that no value is dropped
//!     twice, whatever panics.
//! I2: links are made with the provenance of the whole block.

use core::cell::Cell;
use core::ptr::NonNull;

/// The head of a block that holds an owned value.
#[derive(Debug)]
pub(crate) struct Link {
    older: Option<NonNull<Link>>,
    /// Drops the value behind a link of the type this function was made for.
    drop: unsafe fn(NonNull<Link>),
}

/// A block for an owned value.
#[repr(C)]
pub(crate) struct Owned<T> {
    link: Link,
    value: T,
}

/// A stack of owned values, newest first.
#[derive(Debug)]
pub(crate) struct OwnedList(Cell<Option<NonNull<Link>>>);

impl OwnedList {
    pub(crate) const fn new() -> OwnedList {
        OwnedList(Cell::new(None))
    }

    /// Writes `value` into `block` and makes it the newest of the list. Runs no user code.
    ///
    /// # Safety
    /// `block` is an exclusive block for an `Owned<T>` with provenance over all of it, and stays
    /// one until the value is dropped through this list.
    pub(crate) unsafe fn push<T: 'static + Send>(
        &self,
        block: NonNull<Owned<T>>,
        value: T,
    ) -> NonNull<T> {
        let link = Link {
            older: self.0.get(),
            drop: drop_value::<T>,
        };
        // SAFETY: the caller's promise.
        unsafe {
            block.write(Owned { link, value });
            self.0.set(Some(block.cast()));
            NonNull::new_unchecked(&raw mut (*block.as_ptr()).value)
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }

    /// The same list, to come back to with [`OwnedList::drop_until`].
    pub(crate) fn copy(&self) -> OwnedList {
        OwnedList(Cell::new(self.0.get()))
    }

    /// Drops the values made since `savepoint` was copied from this list, newest first. When a drop
    /// panics the others are dropped all the same; a second panic aborts, as everywhere.
    pub(crate) fn drop_until(&self, savepoint: &OwnedList) {
        struct Rest<'a>(&'a OwnedList, &'a OwnedList);
        impl Drop for Rest<'_> {
            fn drop(&mut self) {
                while self.0.drop_newest(self.1) {}
            }
        }
        let rest = Rest(self, savepoint);
        while rest.0.drop_newest(rest.1) {}
    }

    /// Unlinks and drops the newest value, unless the list has come down to `savepoint`.
    fn drop_newest(&self, savepoint: &OwnedList) -> bool {
        if self.0.get() == savepoint.0.get() {
            return false;
        }
        let Some(link) = self.0.get() else {
            return false;
        };
        // SAFETY: I1 and I2; the value is unlinked first and nobody refers to it any more, because
        // the arena is borrowed exclusively.
        unsafe {
            let Link { older, drop } = link.read();
            self.0.set(older);
            drop(link);
        }
        true
    }
}

/// Drops the value behind `link`.
///
/// # Safety
/// `link` heads an `Owned<T>` whose value is alive and never used again.
unsafe fn drop_value<T>(link: NonNull<Link>) {
    // SAFETY: the caller's promise; the pointer reaches the whole block (I2).
    unsafe { (&raw mut (*link.cast::<Owned<T>>().as_ptr()).value).drop_in_place() };
}
