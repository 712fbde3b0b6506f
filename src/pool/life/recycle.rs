//! What happens to an object between two users: the [`Recycle`] trait and who implements it.
//!
//! Owns no state but a hook of the user. Statically dispatched: a guard knows at compile time
//! whether its object recycles itself ([`RecycleTrait`]) or by a hook ([`RecycleHook`]).
#![forbid(unsafe_code)]

use core::fmt;
use core::hash::BuildHasher;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// Whether a pool may hand an object out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keep {
    /// Keep it for the next get.
    Yes,
    /// Drop it: it has grown too large, or it is broken.
    Discard,
}

/// Makes an object as good as new. A pool calls this when a guard is dropped, so that secrets and
/// memory go early and `get` stays short.
///
/// The collections of `std` are cleared and keep their capacity, whatever it is; bound it with a
/// type of your own or [`recycle_with`](crate::PoolBuilder::recycle_with), and decide on capacity,
/// never on length.
///
/// A panic in `recycle` drops the object. `recycle` may use the pool.
///
/// ```
/// use flagstone::{Keep, Pool, Recycle};
/// struct Parser { stack: Vec<u32> }
/// impl Recycle for Parser {
///     fn recycle(&mut self) -> Keep {
///         self.stack.clear();
///         if self.stack.capacity() > 1 << 16 { Keep::Discard } else { Keep::Yes }
///     }
/// }
/// let pool: Pool<Parser> = Pool::new(|| Parser { stack: Vec::new() });
/// pool.get().stack.reserve(1 << 17);
/// assert_eq!(pool.stats().drops.discarded, 1);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how to recycle it",
    note = "implement `flagstone::Recycle`, or build the pool with \
            `Pool::builder(…).recycle_with(|object| …)`"
)]
pub trait Recycle {
    /// Resets `self`, or says that it is not worth keeping.
    fn recycle(&mut self) -> Keep;
}

impl<T> Recycle for Vec<T> {
    #[inline]
    fn recycle(&mut self) -> Keep {
        self.clear();
        Keep::Yes
    }
}

impl Recycle for String {
    #[inline]
    fn recycle(&mut self) -> Keep {
        self.clear();
        Keep::Yes
    }
}

impl<T> Recycle for VecDeque<T> {
    #[inline]
    fn recycle(&mut self) -> Keep {
        self.clear();
        Keep::Yes
    }
}

impl<K, V, S: BuildHasher> Recycle for HashMap<K, V, S> {
    fn recycle(&mut self) -> Keep {
        self.clear();
        Keep::Yes
    }
}

impl<T, S: BuildHasher> Recycle for HashSet<T, S> {
    fn recycle(&mut self) -> Keep {
        self.clear();
        Keep::Yes
    }
}

/// A `BTreeMap` frees its nodes when it is cleared, so there is little to gain from pooling one.
impl<K, V> Recycle for BTreeMap<K, V> {
    fn recycle(&mut self) -> Keep {
        self.clear();
        Keep::Yes
    }
}

/// Recycles every element; one that is to be discarded takes the array with it.
impl<T: Recycle, const N: usize> Recycle for [T; N] {
    fn recycle(&mut self) -> Keep {
        let mut keep = Keep::Yes;
        for element in self {
            if element.recycle() == Keep::Discard {
                keep = Keep::Discard;
            }
        }
        keep
    }
}

impl<T: Recycle + ?Sized> Recycle for Box<T> {
    #[inline]
    fn recycle(&mut self) -> Keep {
        (**self).recycle()
    }
}

/// Keeps the largest chunk, as `Bump::reset` does.
#[cfg(feature = "bumpalo")]
impl Recycle for bumpalo::Bump {
    fn recycle(&mut self) -> Keep {
        self.reset();
        Keep::Yes
    }
}

/// How a pool recycles its objects: [`RecycleTrait`] or [`RecycleHook`]. Sealed.
pub trait Recycler<T>: sealed::Sealed + Send + Sync {
    /// Recycles `object`, with the state that `find` finds if there is one.
    #[doc(hidden)]
    fn recycle<'r>(find: impl FnOnce() -> &'r Self, object: &mut T) -> Outcome
    where
        Self: 'r;
}

/// What a recycler found.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// As good as new.
    Keep,
    /// Its own verdict.
    Discard,
    /// The pool's policy.
    Oversize,
    /// The pool's validation.
    Invalid,
}

impl From<Keep> for Outcome {
    #[inline(always)]
    fn from(keep: Keep) -> Outcome {
        match keep {
            Keep::Yes => Outcome::Keep,
            Keep::Discard => Outcome::Discard,
        }
    }
}

mod sealed {
    /// Keeps the guards' drop ours.
    pub trait Sealed {}
}

/// The objects of a pool recycle themselves, through [`Recycle`]. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecycleTrait(());

impl RecycleTrait {
    pub(crate) const fn new() -> RecycleTrait {
        RecycleTrait(())
    }
}

impl sealed::Sealed for RecycleTrait {}

impl<T: Recycle> Recycler<T> for RecycleTrait {
    #[inline(always)]
    fn recycle<'r>(_find: impl FnOnce() -> &'r Self, object: &mut T) -> Outcome {
        object.recycle().into()
    }
}

/// The objects of a pool are recycled by a function of the user, for types of other crates.
///
/// ```
/// use flagstone::{Keep, Pool, RecycleHook};
/// use std::path::PathBuf;
/// struct Server { paths: Pool<PathBuf, RecycleHook<PathBuf>> }
/// let paths = Pool::builder(PathBuf::new)
///     .recycle_with(|path| { path.clear(); Keep::Yes })
///     .build();
/// let server = Server { paths };
/// server.paths.get().push("etc");
/// assert_eq!(server.paths.get().as_os_str(), "");
/// ```
pub struct RecycleHook<T>(Box<dyn Fn(&mut T) -> Outcome + Send + Sync>);

impl<T> RecycleHook<T> {
    pub(crate) fn new(hook: impl Fn(&mut T) -> Keep + Send + Sync + 'static) -> RecycleHook<T> {
        RecycleHook(Box::new(move |object| hook(object).into()))
    }

    /// Recycles by `recycler`, unless `refuses` finds a reason not to.
    pub(crate) fn over<R>(
        recycler: R,
        refuses: impl Fn(&T) -> Option<Outcome> + Send + Sync + 'static,
    ) -> RecycleHook<T>
    where
        R: Recycler<T> + 'static,
    {
        RecycleHook(Box::new(move |object| match refuses(object) {
            Some(outcome) => outcome,
            None => R::recycle(|| &recycler, object),
        }))
    }
}

impl<T> sealed::Sealed for RecycleHook<T> {}

impl<T> Recycler<T> for RecycleHook<T> {
    #[inline]
    fn recycle<'r>(find: impl FnOnce() -> &'r Self, object: &mut T) -> Outcome
    where
        T: 'r,
    {
        (find().0)(object)
    }
}

impl<T> fmt::Debug for RecycleHook<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecycleHook")
    }
}
