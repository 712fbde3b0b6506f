//! The objects of the streams: a number, a state that a recycle resets, and code that misbehaves.
//!
//! Owns what an object does when it is recycled or dropped; what is known of it is the ledger's.

use std::fmt;
use std::sync::Arc;

use flagstone::{Capacity, Keep, Recycle};

use super::acts::Mischief;
use super::settings::BYTES_MAX;
use super::world::World;

/// How an object lies in memory.
pub(super) trait Shape: Default + Send + Sync + 'static {}

/// Like most.
#[derive(Default)]
pub(super) struct Plain;

/// Aligned so far that the pool finds no room beside the object.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Wide;

impl Shape for Plain {}
impl Shape for Wide {}

/// See the module.
pub(super) struct Object<S> {
    pub(super) number: u64,
    /// It was used since it was reset.
    pub(super) dirty: bool,
    /// It is not worth keeping.
    pub(super) spoilt: bool,
    /// What it says it holds. A reset keeps it, as that of a buffer does.
    pub(super) bytes: usize,
    pub(super) on_recycle: Option<Mischief>,
    pub(super) on_drop: Option<Mischief>,
    /// `None` for an object whose guard was forgotten, so that nothing leaks with it.
    world: Option<Arc<World>>,
    _shape: S,
}

impl<S: Shape> Object<S> {
    pub(super) fn new(number: u64, world: &Arc<World>) -> Object<S> {
        Object {
            number,
            dirty: false,
            spoilt: false,
            bytes: 0,
            on_recycle: None,
            on_drop: None,
            world: Some(Arc::clone(world)),
            _shape: S::default(),
        }
    }

    /// What a recycle does.
    pub(super) fn reset(&mut self) -> Keep {
        let world = self.world.as_ref().expect("it was not forgotten");
        // Before the reset: an object whose recycle panics must not come back as it is.
        if let Some(mischief) = self.on_recycle.take() {
            world.misbehave(Some(mischief));
        }
        self.dirty = false;
        world.was_reset(self.number);
        if self.spoilt {
            Keep::Discard
        } else {
            Keep::Yes
        }
    }

    pub(super) fn is_small(&self) -> bool {
        self.bytes <= BYTES_MAX
    }
}

impl<S> Object<S> {
    /// Owns nothing any more: its guard is about to be forgotten.
    pub(super) fn cut_loose(&mut self) {
        self.world = None;
    }
}

impl<S: Shape> Recycle for Object<S> {
    fn recycle(&mut self) -> Keep {
        self.reset()
    }
}

impl<S> Capacity for Object<S> {
    fn capacity_bytes(&self) -> usize {
        self.bytes
    }

    fn used_bytes(&self) -> usize {
        // Some use little of what they hold.
        if self.number % 3 == 0 { self.bytes } else { 1 }
    }
}

impl<S> Drop for Object<S> {
    fn drop(&mut self) {
        let world = self
            .world
            .take()
            .expect("a forgotten object is not dropped");
        world.was_dropped(self.number);
        let mischief = self.on_drop.take();
        world.misbehave(mischief);
    }
}

impl<S> fmt::Debug for Object<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "object {}", self.number)
    }
}
