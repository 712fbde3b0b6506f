//! [`ArenaBox`]: a value in an arena that is dropped with its handle.
//!
//! I1: the pointer is to a live value that only this box reaches, in memory that outlives `'a`.
//!     Dropping the value in place is all that its end takes.
//! I2: an `ArenaBoxValue` is made in `coerce` alone. What a function without captures can give back
//!     for one is therefore that one, or no other: a part, or another value at the same address,
//!     has no such type.
//! There is no `Pin<ArenaBox>`: forgetting the box frees the memory at the next reset, undropped.

use core::borrow::{Borrow, BorrowMut};
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// Owns a value that lies in an arena; dropping the box drops the value. As wide as a pointer to
/// the value; for trait objects and slices see [`ArenaBox::coerce`].
///
/// ```
/// let arena = flagstone::Arena::new();
/// let mut name = arena.alloc_box(String::from("dropped with the handle"));
/// name.push('!');
/// let name: String = flagstone::ArenaBox::into_inner(name);
/// assert!(name.ends_with('!'));
/// ```
pub struct ArenaBox<'a, T: ?Sized> {
    value: NonNull<T>,
    /// Covariant, as `Box` is: nobody else reaches the value (I1), so a shorter-lived one may take
    /// its place. That `T` is owned the destructor says.
    memory: PhantomData<&'a T>,
}

/// A value as [`ArenaBox::coerce`] shows it: a reference to it can be widened, and that is all.
#[repr(transparent)]
#[allow(missing_debug_implementations, reason = "nobody ever has one to show")]
pub struct ArenaBoxValue<T: ?Sized>(T);

// SAFETY: I1; the box is the only way to the value, as with `Box`. The arena is not touched by it.
unsafe impl<T: ?Sized + Send> Send for ArenaBox<'_, T> {}
// SAFETY: I1; a shared box gives shared access to the value only.
unsafe impl<T: ?Sized + Sync> Sync for ArenaBox<'_, T> {}

impl<'a, T> ArenaBox<'a, T> {
    /// Moves the value out of the arena. Its memory stays used until the arena's reset.
    pub fn into_inner(this: Self) -> T {
        let this = ManuallyDrop::new(this);
        // SAFETY: I1; the box is not dropped, so the value is moved out exactly once.
        unsafe { this.value.read() }
    }
}

impl<'a, T: ?Sized> ArenaBox<'a, T> {
    /// Gives up the drop: a plain reference to a value that is never dropped.
    pub fn leak(this: Self) -> &'a mut T {
        let this = ManuallyDrop::new(this);
        // SAFETY: I1; the box is gone, so the reference is the only one, for as long as `'a`.
        unsafe { &mut *this.value.as_ptr() }
    }

    /// Makes it a box of a trait object or a slice: `wide` is always `|value| value`, which the
    /// compiler coerces as it would any reference. The standard library's own boxes do that by
    /// themselves, which is not open to others.
    ///
    /// ```
    /// use flagstone::{Arena, ArenaBox};
    /// use std::fmt::Display;
    /// let arena = Arena::new();
    /// let parts: [ArenaBox<dyn Display>; 2] = [
    ///     ArenaBox::coerce(arena.alloc_box(String::from("one")), |value| value),
    ///     ArenaBox::coerce(arena.alloc_box(2), |value| value),
    /// ];
    /// assert_eq!(format!("{}, {}", parts[0], parts[1]), "one, 2");
    /// let names = arena.alloc_box([String::from("a"), String::from("b")]);
    /// let names: ArenaBox<[String]> = ArenaBox::coerce(names, |names| names);
    /// assert_eq!(names.len(), 2);
    /// ```
    pub fn coerce<U: ?Sized>(
        this: Self,
        wide: fn(&mut ArenaBoxValue<T>) -> &mut ArenaBoxValue<U>,
    ) -> ArenaBox<'a, U> {
        let value: *mut T = ManuallyDrop::new(this).value.as_ptr();
        // SAFETY: I1; `ArenaBoxValue` is laid out as what it holds.
        let wide: *mut ArenaBoxValue<U> = wide(unsafe { &mut *(value as *mut ArenaBoxValue<T>) });
        // SAFETY: the very value, whole, that nobody else reaches (I1, I2).
        unsafe { ArenaBox::new(NonNull::new_unchecked(wide as *mut U)) }
    }

    /// # Safety
    /// `value` is alive, reached by nobody else, and its memory outlives `'a`.
    pub(crate) unsafe fn new(value: NonNull<T>) -> Self {
        ArenaBox {
            value,
            memory: PhantomData,
        }
    }
}

impl<T: ?Sized> Drop for ArenaBox<'_, T> {
    fn drop(&mut self) {
        // SAFETY: I1; nobody reaches the value after this.
        unsafe { self.value.drop_in_place() };
    }
}

impl<T: ?Sized> Deref for ArenaBox<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: I1.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for ArenaBox<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: I1.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ArenaBox<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for ArenaBox<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized> AsRef<T> for ArenaBox<'_, T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: ?Sized> AsMut<T> for ArenaBox<'_, T> {
    fn as_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: ?Sized> Borrow<T> for ArenaBox<'_, T> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T: ?Sized> BorrowMut<T> for ArenaBox<'_, T> {
    fn borrow_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: ?Sized + PartialEq> PartialEq for ArenaBox<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: ?Sized + Eq> Eq for ArenaBox<'_, T> {}

impl<T: ?Sized + PartialOrd> PartialOrd for ArenaBox<'_, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (**self).partial_cmp(&**other)
    }
}

impl<T: ?Sized + Ord> Ord for ArenaBox<'_, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl<T: ?Sized + Hash> Hash for ArenaBox<'_, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}
