//! Scopes entered from a shared arena: [`Claim`], which the compiler checks, and [`Checkpoint`],
//! which it does not.
//!
//! I1: the arena in a claim is never reached by value or by `&mut` from outside: whoever could swap
//!     it with another would have memory of one arena outlive it in the other. Claim and parent
//!     travel together, so swapping claims of one lifetime is harmless.
//! I2: the parent is borrowed for as long as the claim lives, so it does not move and is not reset.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

use crate::arena::handle::Arena;
use crate::arena::scope::Scope;
use crate::arena::windows::lending::Savepoint;

/// A scope that is entered from `&Arena`, also while collections borrow the arena: an arena of its
/// own that starts in the rest of the other's chunk. What was made in it is gone when it is
/// dropped; the memory goes back to the other arena, whose limit holds for both.
///
/// The other arena stays usable meanwhile, through a chunk of its own, and several claims of one
/// arena may be open at once and end in any order. A claim that is forgotten costs what it holds:
/// the rest of that chunk until the reset, and the chunks it took beyond it for good.
///
/// ```
/// use flagstone::{Arena, ArenaVec};
/// let arena = Arena::new();
/// let mut lengths = ArenaVec::new_in(&arena);
/// for word in ["one", "two", "three"] {
///     let scratch = arena.claim();
///     let doubled = scratch.alloc_fmt(format_args!("{word}{word}"));
///     lengths.push(doubled.len());
/// }
/// assert_eq!(lengths[..], [6, 6, 10]);
/// assert!(arena.used_bytes() < 64);
/// ```
/// What is made in it cannot leave it:
/// ```compile_fail,E0597
/// let arena = flagstone::Arena::new();
/// let text = { let scratch = arena.claim(); scratch.alloc_str("out") };
/// ```
#[must_use = "a claim that is not used ends at once"]
pub struct Claim<'a, const MIN_ALIGN: usize = 8> {
    arena: Arena<MIN_ALIGN>,
    parent: PhantomData<&'a Arena<MIN_ALIGN>>,
}

/// What [`Arena::rewind`] comes back to; comes from [`Arena::checkpoint`].
#[derive(Debug)]
pub struct Checkpoint(Savepoint);

impl<const MIN_ALIGN: usize> Arena<MIN_ALIGN> {
    /// A scope that ends when it is dropped: see [`Claim`]. For a closure instead of a guard, and
    /// a third of the cost, see [`Arena::scope`].
    #[inline]
    pub fn claim(&self) -> Claim<'_, MIN_ALIGN> {
        Claim {
            arena: Arena::from_state(self.state.lend()),
            parent: PhantomData,
        }
    }

    /// Remembers what is allocated so far, for [`Arena::rewind`]. Collections made before do not
    /// grow in place from here on, until the arena is rewound or reset.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.state.save_unguarded())
    }

    /// Frees everything made since the checkpoint, after dropping the values of
    /// [`Arena::alloc_owned`] among it, newest first. For machines whose scopes do not follow the
    /// program's text; where they do, [`Arena::claim`] and [`Arena::scope`] are checked.
    ///
    /// ```
    /// let arena = flagstone::Arena::new();
    /// let kept = arena.alloc(1);
    /// let checkpoint = arena.checkpoint();
    /// arena.alloc([0; 100]);
    /// // SAFETY: the array is not used any more.
    /// unsafe { arena.rewind(checkpoint) };
    /// assert_eq!((*kept, arena.used_bytes()), (1, 8));
    /// ```
    ///
    /// # Safety
    /// The checkpoint is of this arena, which has not been reset since, nor rewound to an earlier
    /// checkpoint. Nothing made since is used any more, also not by the drops that run here, which
    /// make nothing in the arena either. No session and no claim of the arena is open, nor was one
    /// when the checkpoint was made; a scope that was open then still is, and one that was not is
    /// not.
    ///
    /// # Panics
    /// When the drop of an owned value does. Everything else is done all the same.
    pub unsafe fn rewind(&self, checkpoint: Checkpoint) {
        // SAFETY: the caller's promise.
        unsafe { self.state.rewind(&checkpoint.0) };
    }
}

impl<const MIN_ALIGN: usize> Claim<'_, MIN_ALIGN> {
    /// Frees everything made in this claim, as [`Arena::reset`] does.
    ///
    /// # Panics
    /// When the drop of an owned value does. The other values are dropped all the same.
    pub fn reset(&mut self) {
        self.arena.reset();
    }

    /// A scope within this one: see [`Arena::scope`].
    ///
    /// # Panics
    /// When `body` or the drop of an owned value does.
    pub fn scope<R>(&mut self, body: impl for<'t> FnOnce(Scope<'t, MIN_ALIGN>) -> R) -> R {
        self.arena.scope(body)
    }
}

/// What ends is the arena inside. That this is here tells the compiler that the parent is needed
/// until then, not only until the last use.
impl<const MIN_ALIGN: usize> Drop for Claim<'_, MIN_ALIGN> {
    fn drop(&mut self) {}
}

impl<const MIN_ALIGN: usize> Deref for Claim<'_, MIN_ALIGN> {
    type Target = Arena<MIN_ALIGN>;

    #[inline]
    fn deref(&self) -> &Arena<MIN_ALIGN> {
        &self.arena
    }
}

impl<const MIN_ALIGN: usize> fmt::Debug for Claim<'_, MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.arena).finish()
    }
}
