//! Guards of every kind, and what the ledger is told when they end, in whatever way.
//!
//! Owns the guards. One that belongs to a handle keeps the handle alive.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use flagstone::{LocalHandle, LocalPooled, OwnedPooled, Pooled, Recycler};

use super::objects::{Object, Shape};
use super::world::World;

/// A guard that tells the ledger when it ends, also when a panic ends it.
pub(super) struct Taken<S: Shape, G: DerefMut<Target = Object<S>>> {
    guard: Option<G>,
    number: u64,
    world: Arc<World>,
}

impl<S: Shape, G: DerefMut<Target = Object<S>>> Taken<S, G> {
    pub(super) fn new(guard: G, world: &Arc<World>) -> Taken<S, G> {
        Taken {
            number: guard.number,
            guard: Some(guard),
            world: Arc::clone(world),
        }
    }

    /// The guard alone, for who sees to the ledger. Its object is the one it had at first.
    pub(super) fn into_guard(mut self) -> G {
        let guard = self.guard.take().expect("it is there until now");
        assert_eq!(guard.number, self.number, "two objects in one place");
        guard
    }

    pub(super) fn object(&mut self) -> &mut Object<S> {
        self.guard.as_mut().expect("it is there until the end")
    }
}

impl<S: Shape, G: DerefMut<Target = Object<S>>> Drop for Taken<S, G> {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take() {
            self.world.comes_back(self.number, &guard);
            drop(guard);
        }
    }
}

/// Guards that an object's code, or another thread, got and left.
pub(super) type Kept<S, R> = Mutex<Vec<Taken<S, OwnedPooled<Object<S>, R>>>>;

/// A guard of a handle, with a share of it.
pub(super) struct Local<'p, S: Shape, R: Recycler<Object<S>>> {
    /// Before `handle`, which it needs to go back: fields drop in order.
    guard: LocalPooled<'p, Object<S>, R>,
    handle: Rc<LocalHandle<'p, Object<S>, R>>,
}

impl<'p, S: Shape, R: Recycler<Object<S>>> Local<'p, S, R> {
    /// Gets one through a handle.
    pub(super) fn try_get(
        handle: &Rc<LocalHandle<'p, Object<S>, R>>,
        tries: bool,
    ) -> Option<Local<'p, S, R>> {
        // SAFETY: the handle does not move, and lives as long as the guard, which has a share of it
        // and drops before that.
        let lent: &'p LocalHandle<'p, Object<S>, R> = unsafe { &*Rc::as_ptr(handle) };
        let guard = if tries { lent.try_get()? } else { lent.get() };
        let handle = Rc::clone(handle);
        Some(Local { guard, handle })
    }

    fn forget(self) {
        let Local { guard, handle } = self;
        std::mem::forget(guard);
        drop(handle);
    }
}

impl<S: Shape, R: Recycler<Object<S>>> Deref for Local<'_, S, R> {
    type Target = Object<S>;

    fn deref(&self) -> &Object<S> {
        &self.guard
    }
}

impl<S: Shape, R: Recycler<Object<S>>> DerefMut for Local<'_, S, R> {
    fn deref_mut(&mut self) -> &mut Object<S> {
        &mut self.guard
    }
}

/// A guard that may go to another thread.
pub(super) enum Portable<'p, S: Shape, R: Recycler<Object<S>>> {
    Borrowed(Taken<S, Pooled<'p, Object<S>, R>>),
    Owned(Taken<S, OwnedPooled<Object<S>, R>>),
}

/// Any guard.
pub(super) enum Held<'p, S: Shape, R: Recycler<Object<S>>> {
    Portable(Portable<'p, S, R>),
    Local(Taken<S, Local<'p, S, R>>),
}

impl<S: Shape, R: Recycler<Object<S>>> Held<'_, S, R> {
    pub(super) fn object(&mut self) -> &mut Object<S> {
        match self {
            Held::Portable(Portable::Borrowed(guard)) => guard.object(),
            Held::Portable(Portable::Owned(guard)) => guard.object(),
            Held::Local(guard) => guard.object(),
        }
    }

    pub(super) fn detach(self, world: &World) -> Object<S> {
        match self {
            Held::Portable(Portable::Borrowed(guard)) => world.detach(guard, Pooled::detach),
            Held::Portable(Portable::Owned(guard)) => world.detach(guard, OwnedPooled::detach),
            Held::Local(guard) => world.detach(guard, |local| local.guard.detach()),
        }
    }

    /// A planned panic of the object's drop passes through.
    pub(super) fn discard(self, world: &World) {
        match self {
            Held::Portable(Portable::Borrowed(guard)) => world.discard(guard, Pooled::discard),
            Held::Portable(Portable::Owned(guard)) => world.discard(guard, OwnedPooled::discard),
            Held::Local(guard) => world.discard(guard, |local| local.guard.discard()),
        }
    }

    /// Forgets the guard; `false` when that would leak the pool, and gives it back then.
    pub(super) fn forget(mut self) -> bool {
        if matches!(self, Held::Portable(Portable::Owned(_))) {
            return false;
        }
        self.object().cut_loose();
        match self {
            Held::Portable(Portable::Borrowed(guard)) => std::mem::forget(guard.into_guard()),
            Held::Local(guard) => guard.into_guard().forget(),
            Held::Portable(Portable::Owned(_)) => unreachable!("looked at above"),
        }
        true
    }
}
