//! [`Scope`]: an arena whose allocations end with a closure.
//!
//! I1: a scope is not the guard: the guard sits in `Arena::scope`'s frame, out of the reach of
//!     `mem::swap` and `mem::forget`. A scope only lends the arena, shared.
//! I2: an arena that is a claim's never leaves its thread, also not by `&mut`: its slow steps use
//!     the root's lists. Here alone is such a `&mut` in reach of others.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

use crate::arena::handle::Arena;
use crate::arena::windows::lending::Savepoint;

/// The arena inside [`Arena::scope`]: dereferences to [`Arena`], so it allocates everything an
/// arena does. It cannot be reset.
///
/// ```
/// use flagstone::{Arena, ArenaVec};
/// let mut arena = Arena::new();
/// let sum = arena.scope(|inner| {
///     let mut squares = ArenaVec::new_in(&inner);
///     squares.extend((0..4u32).map(|n| n * n));
///     squares.iter().sum::<u32>()
/// });
/// assert_eq!((sum, arena.used_bytes()), (14, 0));
/// ```
pub struct Scope<'s, const MIN_ALIGN: usize = 8> {
    arena: &'s mut Arena<MIN_ALIGN>,
    /// Invariant, so that scopes of two arenas are never of one type.
    region: PhantomData<fn(&'s ()) -> &'s ()>,
    /// Stays on its thread, though `&mut Arena` need not: the arena may be a claim's (I2).
    thread: PhantomData<&'s Arena<MIN_ALIGN>>,
}

impl<const MIN_ALIGN: usize> Arena<MIN_ALIGN> {
    /// Runs `body` with a [`Scope`]: what is allocated through it is gone after, also when `body`
    /// panics, and owned values made in it are dropped.
    ///
    /// ```
    /// let mut arena = flagstone::Arena::new();
    /// let sum: u64 = arena.scope(|mut outer| {
    ///     let one = *outer.alloc(1);
    ///     one + outer.scope(|inner| *inner.alloc(2))
    /// });
    /// assert_eq!((sum, arena.used_bytes()), (3, 0));
    /// ```
    /// Nothing of it can leave:
    /// ```compile_fail
    /// let mut arena = flagstone::Arena::new();
    /// let n = arena.scope(|inner| inner.alloc(1));
    /// ```
    ///
    /// # Panics
    /// When `body` or the drop of an owned value does.
    pub fn scope<R>(&mut self, body: impl for<'s> FnOnce(Scope<'s, MIN_ALIGN>) -> R) -> R {
        struct Rewind<'a, const M: usize> {
            arena: &'a mut Arena<M>,
            savepoint: Savepoint,
        }
        impl<const M: usize> Drop for Rewind<'_, M> {
            fn drop(&mut self) {
                // SAFETY: of this arena, which only `body` had since; what it made there cannot
                // leave it; its sessions and claims borrowed the scope, which has ended.
                unsafe { self.arena.state.rewind(&self.savepoint) };
            }
        }
        let savepoint = self.state.save();
        let rewind = Rewind {
            arena: self,
            savepoint,
        };
        body(Scope::new(&mut *rewind.arena))
    }
}

impl<'s, const MIN_ALIGN: usize> Scope<'s, MIN_ALIGN> {
    pub(crate) fn new(arena: &'s mut Arena<MIN_ALIGN>) -> Self {
        Scope {
            arena,
            region: PhantomData,
            thread: PhantomData,
        }
    }

    /// A scope within this one: see [`Arena::scope`].
    ///
    /// # Panics
    /// When `body` or the drop of an owned value does.
    pub fn scope<R>(&mut self, body: impl for<'t> FnOnce(Scope<'t, MIN_ALIGN>) -> R) -> R {
        self.arena.scope(body)
    }
}

impl<const MIN_ALIGN: usize> Deref for Scope<'_, MIN_ALIGN> {
    type Target = Arena<MIN_ALIGN>;

    fn deref(&self) -> &Arena<MIN_ALIGN> {
        self.arena
    }
}

impl<const MIN_ALIGN: usize> fmt::Debug for Scope<'_, MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scope").field(&self.arena).finish()
    }
}
