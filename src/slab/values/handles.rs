//! The handles of a [`Slab<T>`](crate::Slab): one pointer each, dropped with their value.
//!
//! A [`Slot`] gives its slot back on the slab's own thread, an [`OwnedSlot`] through the core's
//! remote list from any (see `slab_core.rs`). Either does so also when the value's drop panics.

use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::slab::raw::{owner_of, slot_at};
use crate::slab::values::slab::Slab;
use crate::slab::values::slab_core::{SlabCore, give_remote};

/// A value in a [`Slab`]: one pointer, dropped with the handle.
#[must_use = "the value is dropped with its handle"]
pub struct Slot<'slab, T> {
    pub(super) value: NonNull<T>,
    /// Not `Send`: `&Slab` is not.
    pub(super) slab: PhantomData<(&'slab Slab<T>, T)>,
}

impl<T> Slot<'_, T> {
    /// Takes the value out.
    pub fn into_inner(slot: Self) -> T {
        let slot = ManuallyDrop::new(slot);
        // SAFETY: the handle owns the value and is not dropped any more.
        unsafe {
            let value = slot.value.read();
            give_local::<T>(slot.value);
            value
        }
    }
}

/// Gives a slot back on the slab's own thread.
///
/// # Safety
/// The slot is the caller's, holds no value any more, and the slab is borrowed.
#[inline(always)]
unsafe fn give_local<T>(slot: NonNull<T>) {
    // SAFETY: the slot lies in a slab of the core, which lives while its `Slab` is borrowed.
    let core = unsafe { &*owner_of(slot.cast()).cast::<SlabCore>() };
    // SAFETY: the caller's promise.
    unsafe { core.push(slot.addr().get()) };
}

impl<T> Drop for Slot<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        /// Gives the slot back also when the value's drop panics.
        struct Give<T>(NonNull<T>);
        impl<T> Drop for Give<T> {
            #[inline(always)]
            fn drop(&mut self) {
                // SAFETY: made below for a slot whose value is dropped by then.
                unsafe { give_local(self.0) };
            }
        }
        let give = Give(self.value);
        // SAFETY: the handle owns the value.
        unsafe { give.0.drop_in_place() };
    }
}

/// A value in a [`Slab`] whose handle is `'static`: it keeps the slab's memory alive and may be
/// dropped on any thread. Made by [`Slab::alloc_owned`].
#[must_use = "the value is dropped with its handle"]
pub struct OwnedSlot<T> {
    pub(super) value: NonNull<T>,
    pub(super) owns: PhantomData<T>,
}

// SAFETY: the handle owns its value like a box; giving the slot back touches atomics only.
unsafe impl<T: Send> Send for OwnedSlot<T> {}
// SAFETY: a shared handle gives `&T` and nothing else.
unsafe impl<T: Sync> Sync for OwnedSlot<T> {}

impl<T> OwnedSlot<T> {
    /// Takes the value out.
    pub fn into_inner(slot: Self) -> T {
        let slot = ManuallyDrop::new(slot);
        // SAFETY: the handle owns the value and is not dropped any more.
        unsafe {
            let value = slot.value.read();
            give_owned(slot.value);
            value
        }
    }
}

/// Gives a slot back from any thread.
///
/// # Safety
/// The slot is the caller's, was placed by an owned handle, and holds no value any more.
#[inline(always)]
unsafe fn give_owned<T>(slot: NonNull<T>) {
    // SAFETY: the slot lies in a slab of the core, which lives at least until it comes back (I3 of
    // `slab_core.rs`). Its address gets the segment's provenance.
    unsafe { give_remote(owner_of(slot.cast()).cast(), slot_at(slot.addr().get())) };
}

impl<T> Drop for OwnedSlot<T> {
    #[inline]
    fn drop(&mut self) {
        /// Gives the slot back also when the value's drop panics.
        struct Give<T>(NonNull<T>);
        impl<T> Drop for Give<T> {
            #[inline(always)]
            fn drop(&mut self) {
                // SAFETY: made below for a slot whose value is dropped by then.
                unsafe { give_owned(self.0) };
            }
        }
        let _give = Give(self.value);
        // SAFETY: the handle owns the value.
        unsafe { self.value.drop_in_place() };
    }
}

impl<T> Deref for Slot<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the handle owns the value.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for Slot<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the handle owns the value, and is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Deref for OwnedSlot<T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the handle owns the value.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for OwnedSlot<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the handle owns the value, and is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Slot<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T: fmt::Debug> fmt::Debug for OwnedSlot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}
