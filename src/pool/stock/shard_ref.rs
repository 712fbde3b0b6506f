//! Counted references to a shard, so that neither the pool nor the thread that leased it has to
//! outlive the other.
//!
//! Owns the block that a shard lies in, allocated where a refusal can be told.
//!
//! I1: `references` of a shard is the number of its [`ShardRef`]s; the last one frees it.

use core::alloc::Layout;
use core::fmt;
use core::ops::Deref;
use core::ptr::{self, NonNull};

use std::alloc::{alloc, dealloc};

use crate::base::sync::Ordering;
use crate::pool::stock::shard::Shard;

/// See the module. The pool has one, and whoever leased the shard.
pub(crate) struct ShardRef(NonNull<Shard>);

// SAFETY: a reference count with Release and Acquire around the freeing; shards are `Sync`.
unsafe impl Send for ShardRef {}
// SAFETY: as above.
unsafe impl Sync for ShardRef {}

impl ShardRef {
    /// A free shard for magazines of `capacity` slots, or `None` without memory.
    pub(crate) fn try_new(capacity: usize) -> Option<ShardRef> {
        let shard = Shard::try_new(capacity)?;
        // SAFETY: the layout of a `Shard` is not zero-sized.
        let block = NonNull::new(unsafe { alloc(Layout::new::<Shard>()) })?.cast::<Shard>();
        // SAFETY: the block is fresh, aligned and large enough.
        unsafe { block.write(shard) };
        Some(ShardRef(block))
    }

    /// The address, good for as long as any reference lives.
    pub(crate) fn as_ptr(&self) -> NonNull<Shard> {
        self.0
    }
}

impl Clone for ShardRef {
    fn clone(&self) -> ShardRef {
        // Relaxed: the new reference is made from one that keeps the shard alive.
        self.references.fetch_add(1, Ordering::Relaxed);
        ShardRef(self.0)
    }
}

impl Deref for ShardRef {
    type Target = Shard;

    fn deref(&self) -> &Shard {
        // SAFETY: a reference keeps the shard alive (I1).
        unsafe { self.0.as_ref() }
    }
}

impl Drop for ShardRef {
    fn drop(&mut self) {
        // AcqRel: the last one sees what all others did before it frees the shard.
        if self.references.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        // SAFETY: this was the last reference (I1), so the shard is exclusively ours; the block
        // came from `alloc` with this layout.
        unsafe {
            ptr::drop_in_place(self.0.as_ptr());
            dealloc(self.0.as_ptr().cast(), Layout::new::<Shard>());
        }
    }
}

impl fmt::Debug for ShardRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
