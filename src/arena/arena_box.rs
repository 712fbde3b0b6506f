//! [`ArenaBox`]: a value in an arena that is dropped with its handle.
//!
//! I1: the pointer is to a live value that only this box reaches, in memory that outlives `'a`.
//! There is no `Pin<ArenaBox>`: forgetting the box frees the memory at the next reset, undropped.

use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// Owns a value that lies in an arena; dropping the box drops the value. One pointer wide.
///
/// ```
/// let arena = flagstone::Arena::new();
/// let mut name = arena.alloc_box(String::from("dropped with the handle"));
/// name.push('!');
/// let name: String = flagstone::ArenaBox::into_inner(name);
/// assert!(name.ends_with('!'));
/// ```
pub struct ArenaBox<'a, T> {
    value: NonNull<T>,
    /// Covariant, as `Box` is: nobody else reaches the value (I1), so a shorter-lived one may take
    /// its place. That `T` is owned the destructor says.
    memory: PhantomData<&'a T>,
}

// SAFETY: I1; the box is the only way to the value, as with `Box`. The arena is not touched by it.
unsafe impl<T: Send> Send for ArenaBox<'_, T> {}
// SAFETY: I1; a shared box gives shared access to the value only.
unsafe impl<T: Sync> Sync for ArenaBox<'_, T> {}

impl<'a, T> ArenaBox<'a, T> {
    /// # Safety
    /// `value` is alive, reached by nobody else, and its memory outlives `'a`.
    pub(crate) unsafe fn new(value: NonNull<T>) -> Self {
        ArenaBox {
            value,
            memory: PhantomData,
        }
    }

    /// Moves the value out of the arena. Its memory stays used until the arena's reset.
    pub fn into_inner(this: Self) -> T {
        let this = ManuallyDrop::new(this);
        // SAFETY: I1; the box is not dropped, so the value is moved out exactly once.
        unsafe { this.value.read() }
    }

    /// Gives up the drop: a plain reference to a value that is never dropped.
    pub fn leak(this: Self) -> &'a mut T {
        let this = ManuallyDrop::new(this);
        // SAFETY: I1; the box is gone, so the reference is the only one, for as long as `'a`.
        unsafe { &mut *this.value.as_ptr() }
    }
}

impl<T> Drop for ArenaBox<'_, T> {
    fn drop(&mut self) {
        // SAFETY: I1; nobody reaches the value after this.
        unsafe { self.value.drop_in_place() };
    }
}

impl<T> Deref for ArenaBox<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: I1.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for ArenaBox<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: I1.
        unsafe { self.value.as_mut() }
    }
}

impl<T: fmt::Debug> fmt::Debug for ArenaBox<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for ArenaBox<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
