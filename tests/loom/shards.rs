//! Leases on a pool's shards: `src/pool/stock/shard.rs` and `magazine.rs` as they stand, between
//! threads that use a shard, leave it, take it over, empty it and drop the pool.
//!
//! What the models check: a slot is handed to one thread at a time, who sees what its last user
//! wrote (`Object`); no slot is lost; nobody touches a shard that was freed (`sync.rs`); a shard
//! that was given up is found by who looks for one. Around the shards stands a small pool: a locked
//! list of them, and the count of releases by which threads know that looking again is worth it
//! (`releases.rs`, `Store::lease_shard`).
//!
//! Beside the orderings of the code (`sync.rs`), `WEAKEN=late` (the count of releases is read after
//! the shards were looked at) turns a model red. The ordering of that count cannot be weakened to
//! effect here: loom's updates always read the last value.
//!
//! Functions stay out of line because the stacks of loom's threads are small.

use core::ptr::NonNull;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::pool::stock::magazine::Chain;
use crate::pool::stock::shard::Shard;
use crate::pool::stock::shard_ref::ShardRef;
use crate::weakened;

/// What a slot of the models is: a word that each user writes.
struct Object(UnsafeCell<usize>);

impl Object {
    #[inline(never)]
    fn slot() -> NonNull<u8> {
        NonNull::from(Box::leak(Box::new(Object(UnsafeCell::new(0))))).cast()
    }

    /// Uses the object of a slot, as one who was handed it.
    #[inline(never)]
    fn work(slot: NonNull<u8>) {
        // SAFETY: made by `slot`, freed by `free`.
        let object = unsafe { slot.cast::<Object>().as_ref() };
        // SAFETY: ours alone; loom reports a second user.
        object.0.with_mut(|word| unsafe { *word += 1 });
    }

    #[inline(never)]
    fn free(slot: NonNull<u8>) {
        Object::work(slot);
        // SAFETY: made by `slot`, and nobody else's.
        drop(unsafe { Box::from_raw(slot.cast::<Object>().as_ptr()) });
    }
}

/// The part of a `Store` that knows shards.
struct Pool {
    shards: Mutex<Vec<ShardRef>>,
    shards_max: usize,
    releases: AtomicUsize,
    leased_out_at: AtomicUsize,
    /// Objects there must be when the pool is dropped.
    objects: usize,
}

impl Pool {
    fn new(shards_max: usize, objects: usize) -> Arc<Pool> {
        Arc::new(Pool {
            shards: Mutex::new(Vec::new()),
            shards_max,
            releases: AtomicUsize::new(0),
            leased_out_at: AtomicUsize::new(usize::MAX),
            objects,
        })
    }

    fn releases(&self) -> usize {
        self.releases.load(Ordering::Acquire)
    }

    /// `Store::lease_shard`; an uncontended lock.
    #[inline(never)]
    fn lease(&self) -> Option<ShardRef> {
        let seen = self.releases();
        if self.leased_out_at.load(Ordering::Relaxed) == seen {
            return None;
        }
        let mut shards = self.shards.lock().unwrap();
        if let Some(free) = shards.iter().find(|shard| shard.try_lease()) {
            return Some(free.clone());
        }
        if shards.len() >= self.shards_max {
            let seen = if weakened("late") {
                self.releases()
            } else {
                seen
            };
            self.leased_out_at.store(seen, Ordering::Relaxed);
            return None;
        }
        let shard = ShardRef::try_new(1).unwrap();
        assert!(shard.try_lease());
        shards.push(shard.clone());
        Some(shard)
    }

    /// `releases::release`.
    fn release(&self, shard: &Shard) {
        shard.release();
        self.releases.fetch_add(1, Ordering::Release);
    }

    /// Takes what free shards hold (`Store::collect`).
    #[inline(never)]
    fn unload_free(&self) -> Chain {
        let mut found = Chain::new();
        for shard in self.shards.lock().unwrap().iter() {
            if shard.try_lease() {
                // SAFETY: leased just now.
                unsafe { shard.unload(&mut found, &mut Chain::new()) };
                self.release(shard);
            }
        }
        found
    }
}

impl Drop for Pool {
    /// `Store::close`.
    #[inline(never)]
    fn drop(&mut self) {
        let mut all = Chain::new();
        for shard in self.shards.get_mut().unwrap().drain(..) {
            // SAFETY: the last reference to the pool.
            unsafe { shard.close(&mut all) };
        }
        assert_eq!(all.count(), self.objects, "lost, or there twice");
        free_all(all);
    }
}

#[inline(never)]
fn free_all(mut all: Chain) {
    while let Some((slot, _)) = all.pop() {
        Object::free(slot);
    }
}

/// Puts an object into a leased shard, or takes one out of it and puts it back.
#[inline(never)]
fn use_shard(shard: &Shard, fresh: Option<NonNull<u8>>) {
    // SAFETY: leased by the caller.
    unsafe {
        if let Some(slot) = fresh.or_else(|| shard.pop_either()) {
            Object::work(slot);
            assert!(shard.push_either(slot));
        }
    }
}

/// A thread's exit hook gives its lease up while the pool is dropped, by either of them: the hook
/// knows the shard, not the pool.
#[test]
fn a_thread_that_ends_against_the_drop_of_its_pool() {
    loom::model(|| {
        let pool = Pool::new(1, 1);
        let other = {
            let pool = pool.clone();
            thread::spawn(move || {
                let shard = pool.lease().unwrap();
                use_shard(&shard, Some(Object::slot()));
                drop(pool);
                shard.release();
            })
        };
        drop(pool);
        other.join().unwrap();
    });
}

/// A thread ends; another takes its shard over with what is in it, or makes its own.
#[test]
fn a_shard_passes_to_the_next_thread() {
    loom::model(|| {
        let pool = Pool::new(2, 2);
        let other = {
            let pool = pool.clone();
            thread::spawn(move || {
                let shard = pool.lease().unwrap();
                use_shard(&shard, Some(Object::slot()));
                pool.release(&shard);
            })
        };
        let shard = pool.lease().unwrap();
        use_shard(&shard, None);
        use_shard(&shard, Some(Object::slot()));
        pool.release(&shard);
        other.join().unwrap();
    });
}

/// Two handles come and go, each with a shard of its own, while a third thread empties what is free
/// and drops it: a trim, or a scavenger.
#[test]
fn handles_come_and_go_while_free_shards_are_emptied() {
    loom::model(|| {
        let pool = Pool::new(2, 0);
        let freed = Arc::new(AtomicUsize::new(0));
        let handle = {
            let pool = pool.clone();
            move || {
                let shard = pool.lease().unwrap();
                use_shard(&shard, Some(Object::slot()));
                pool.release(&shard);
            }
        };
        handle();
        let other = thread::spawn(handle);
        let take = || {
            let found = pool.unload_free();
            freed.fetch_add(found.count(), Ordering::Relaxed);
            free_all(found);
        };
        take();
        other.join().unwrap();
        take();
        assert_eq!(freed.load(Ordering::Relaxed), 2);
    });
}

/// A lease that failed is not repeated until somebody gave one up; that is never missed.
#[test]
fn who_waits_for_a_shard_hears_of_one_that_became_free() {
    loom::model(|| {
        let pool = Pool::new(1, 0);
        let shard = pool.lease().unwrap();
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.lease().is_some())
        };
        pool.release(&shard);
        if !other.join().unwrap() {
            assert!(pool.lease().is_some(), "free, and nobody looks");
        }
    });
}
