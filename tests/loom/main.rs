//! The remote-free protocol of `src/heap/process/remote.rs` as a model that loom runs through every
//! order of steps. `RUSTFLAGS="--cfg loom" cargo test --release --test loom`
//!
//! One slab of two slots, an owner and up to two threads that free. What the model checks:
//! * nobody touches the slab after it was recycled (`alive`: freers look, the recycler writes, and
//!   loom reports accesses that are not ordered);
//! * who hands a slot out again sees what its last user wrote (`payload`);
//! * no slot is lost: when all threads are done, one more look finds every slot exactly once;
//! * a slab has one owner at a time (`local` is a plain cell).
//!
//! The orderings are those of the code, named, so that each can be weakened here to see a test turn
//! red: `WEAKEN=release`, `WEAKEN=acquire`, `WEAKEN=disown`, `WEAKEN=adopt`, `WEAKEN=early` (bits
//! before the notice), `WEAKEN=silent` (no notice), `WEAKEN=quiet` (recycled while noticed),
//! `WEAKEN=inbox` and `WEAKEN=end` (the link of a notice), `WEAKEN=donate` (a slab that a thread
//! without a heap gives away unannounced), `WEAKEN=leave` (a heap changes hands), `WEAKEN=push` and
//! `WEAKEN=count` (the orphan stack, and its defence against ABA) each fail.
//!
//! `loom/shards.rs` has the models of the pool's leases, `loom/events.rs` those of its events,
//! `loom/owned.rs` those of a slab's owned handles, with weakenings of their own.
//!
//! Length: one protocol, its world and its models; each reads the other.
#![cfg(loom)]

mod events;
mod owned;
mod shards;
mod sync;

/// What the files of the pool below find at `crate::base`.
mod base {
    pub(crate) use crate::sync;
}

/// The code of the crate itself, over loom's atomics.
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/pool"]
mod pool {
    /// Room for magazines.
    pub(crate) mod blocks {
        use core::ptr::NonNull;
        use std::alloc::{Layout, alloc, dealloc};

        pub(crate) const BLOCK: Layout = Layout::new::<[usize; 67]>();

        pub(crate) fn take() -> Option<NonNull<u8>> {
            // SAFETY: a block has a size.
            NonNull::new(unsafe { alloc(BLOCK) })
        }

        /// # Safety
        /// `block` came from `take` and nobody uses it.
        pub(crate) unsafe fn give(block: NonNull<u8>) {
            // SAFETY: by the caller.
            unsafe { dealloc(block.as_ptr(), BLOCK) };
        }
    }
    #[path = "stock/counters.rs"]
    pub(crate) mod counters;
    #[path = "stock/drops.rs"]
    pub(crate) mod drops;
    #[path = "exchange/events.rs"]
    pub(crate) mod events;
    /// Ids are unique and grow; how they are counted is not modelled.
    pub(crate) mod id {
        pub(crate) const NO_ID: usize = 0;
        pub(crate) fn next_id() -> usize {
            use std::sync::atomic::{AtomicUsize, Ordering};
            static LAST: AtomicUsize = AtomicUsize::new(NO_ID);
            LAST.fetch_add(8, Ordering::Relaxed) + 8
        }
    }
    #[path = "stock/magazine.rs"]
    pub(crate) mod magazine;
    #[path = "stock/shard.rs"]
    pub(crate) mod shard;
    #[path = "stock/shard_ref.rs"]
    pub(crate) mod shard_ref;

    /// Where those files look for each other.
    pub(crate) mod exchange {
        pub(crate) use super::events;
    }
    pub(crate) mod stock {
        pub(crate) use super::{blocks, counters, drops, id, magazine, shard, shard_ref};
    }
}

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

const NOTICED: usize = 1;
/// What a thread without a heap has for an address.
const NO_HEAP: usize = NOTICED;
/// Heaps' addresses.
const OWNER: usize = 2;
const OTHER: usize = 4;
const BOTH: usize = 0b11;

fn weakened(what: &str) -> bool {
    std::env::var("WEAKEN").is_ok_and(|value| value == what)
}

/// The ordering, unless this run weakens it.
fn ordering(what: &str, strong: Ordering) -> Ordering {
    if weakened(what) {
        Ordering::Relaxed
    } else {
        strong
    }
}

struct Slab {
    owner: AtomicUsize,
    remote: AtomicUsize,
    /// Free slots, the owner's.
    local: UnsafeCell<usize>,
    /// The inbox's link: written with a notice, read by the owner.
    link: UnsafeCell<usize>,
    /// Read by everyone who touches the slab, written when it is recycled.
    alive: UnsafeCell<bool>,
    payload: [UnsafeCell<u32>; 2],
}

struct World {
    slab: Slab,
    /// Whether the slab is in the inbox of `OWNER`, of `OTHER`.
    inbox: [AtomicUsize; 2],
}

impl World {
    fn new(free: usize) -> Arc<World> {
        Arc::new(World {
            slab: Slab {
                owner: AtomicUsize::new(OWNER),
                remote: AtomicUsize::new(0),
                local: UnsafeCell::new(free),
                link: UnsafeCell::new(0),
                alive: UnsafeCell::new(true),
                payload: [UnsafeCell::new(0), UnsafeCell::new(0)],
            },
            inbox: [AtomicUsize::new(0), AtomicUsize::new(0)],
        })
    }

    fn inbox_of(&self, heap: usize) -> &AtomicUsize {
        &self.inbox[heap / 4]
    }

    /// `remote::keeps`: frees `slot` as the thread that holds heap `me`.
    fn free(&self, me: usize, slot: usize) {
        self.free_or_donate(me, me, slot);
    }

    /// `remote::free_without_heap`.
    fn free_without_heap(&self, heir: usize, slot: usize) {
        let noticed = if weakened("donate") { 0 } else { NOTICED };
        self.free_or_donate(NO_HEAP, heir | noticed, slot);
    }

    fn free_or_donate(&self, me: usize, heir: usize, slot: usize) {
        // SAFETY: the slot is live and ours; loom reports a second user.
        self.slab.payload[slot].with_mut(|payload| unsafe { *payload += 1 });
        let mask = 1 << slot;
        if weakened("early") {
            self.slab.remote.fetch_or(mask, Ordering::Release);
            self.notify(me, heir);
            return;
        }
        if !weakened("silent") && !self.notify(me, heir) && me != NO_HEAP {
            self.give_local(mask);
            return;
        }
        self.touch();
        self.slab
            .remote
            .fetch_or(mask, ordering("release", Ordering::Release));
    }

    /// `remote::notify`: `false` if the slab is `me`'s.
    fn notify(&self, me: usize, heir: usize) -> bool {
        self.touch();
        let word = &self.slab.owner;
        let mut seen = word.load(ordering("adopt", Ordering::Acquire));
        loop {
            if seen & !NOTICED == me {
                return false;
            }
            if seen & NOTICED != 0 {
                return true;
            }
            let wanted = if seen == 0 { heir } else { seen | NOTICED };
            let order = ordering("adopt", Ordering::AcqRel);
            let failure = ordering("adopt", Ordering::Acquire);
            match word.compare_exchange(seen, wanted, order, failure) {
                Ok(_) if wanted & NOTICED == 0 => return false,
                Ok(_) => {
                    self.touch();
                    // SAFETY: the winner's alone; loom reports a second one.
                    self.slab.link.with_mut(|link| unsafe { *link = wanted });
                    self.inbox_of(wanted & !NOTICED)
                        .fetch_add(1, ordering("inbox", Ordering::Release));
                    return true;
                }
                Err(now) => seen = now,
            }
        }
    }

    fn touch(&self) {
        // SAFETY: loom reports an unordered write.
        let alive = self.slab.alive.with(|alive| unsafe { *alive });
        assert!(alive, "touched after recycling");
    }

    fn give_local(&self, mask: usize) {
        // SAFETY: the owner's; loom reports a second one.
        self.slab.local.with_mut(|local| unsafe {
            assert_eq!(*local & mask, 0, "a slot came back twice");
            *local |= mask;
        });
    }

    /// `empty_inbox` and a look (`collect`), by the owner. Whether the slab is in its partial list.
    fn slow_path(&self, me: usize) {
        self.empty_inbox(me);
        self.collect();
    }

    fn is_in_inbox(&self, heap: usize) -> bool {
        self.inbox_of(heap).load(Ordering::Acquire) != 0
    }

    /// `ThreadHeap::empty_inbox`. Whether the slab was in it.
    fn empty_inbox(&self, me: usize) -> bool {
        let inbox = self.inbox_of(me);
        if inbox.swap(0, ordering("inbox", Ordering::Acquire)) == 0 {
            return false;
        }
        self.touch();
        // SAFETY: the owner's until the notice ends; loom reports who writes meanwhile.
        let link = self.slab.link.with(|link| unsafe { *link });
        assert_eq!(link, me | NOTICED);
        assert_eq!(self.slab.owner.load(Ordering::Relaxed), me | NOTICED);
        let order = ordering("end", Ordering::Release);
        self.slab.owner.store(me, order);
        true
    }

    fn collect(&self) {
        let mask = self
            .slab
            .remote
            .swap(0, ordering("acquire", Ordering::Acquire));
        self.give_local(mask);
    }

    /// Recycles the slab if every slot is back.
    fn recycle(&self, me: usize) -> bool {
        // SAFETY: the owner's; loom reports a second one.
        let all = self.slab.local.with(|local| unsafe { *local == BOTH });
        // A slab with a notice pending is in the inbox: it is recycled after that is dealt with.
        let quiet = self.slab.owner.load(Ordering::Relaxed) == me || weakened("quiet");
        if !all || !quiet {
            return false;
        }
        // SAFETY: nobody else may touch the slab; loom reports who does.
        self.slab.alive.with_mut(|alive| unsafe { *alive = false });
        for payload in &self.slab.payload {
            // SAFETY: as above.
            payload.with_mut(|payload| unsafe { *payload = 0 });
        }
        true
    }
}

/// Two threads free a slot each while the owner looks and would recycle.
#[test]
fn two_remote_frees_against_a_recycling_owner() {
    loom::model(|| {
        let world = World::new(0);
        let freers: Vec<_> = (0..2)
            .map(|slot| {
                let world = world.clone();
                thread::spawn(move || world.free(OTHER, slot))
            })
            .collect();
        // A look at the partial list may come before the inbox is emptied.
        let collected = world
            .slab
            .remote
            .swap(0, ordering("acquire", Ordering::Acquire));
        world.give_local(collected);
        let recycled = world.recycle(OWNER) || {
            world.slow_path(OWNER);
            world.recycle(OWNER)
        };
        for freer in freers {
            freer.join().unwrap();
        }
        if recycled {
            assert_eq!(
                world.inbox_of(OWNER).load(Ordering::Acquire),
                0,
                "recycled in an inbox"
            );
        } else {
            // Nothing is lost: the notice is in the inbox, or the slab in the partial list.
            world.slow_path(OWNER);
            assert!(world.recycle(OWNER), "a slot was lost");
        }
    });
}

/// The owner has taken the last free slot and gives the slab up, while another thread frees one.
#[test]
fn disowning_against_a_remote_free() {
    loom::model(|| {
        let world = World::new(0);
        let freer = {
            let world = world.clone();
            thread::spawn(move || world.free(OTHER, 0))
        };
        // `used_up`: a last look, then give it up unless there is a notice.
        let collected = world.slab.remote.swap(0, Ordering::Acquire);
        world.give_local(collected);
        let kept = collected != 0 || {
            let order = ordering("disown", Ordering::Release);
            let given = world
                .slab
                .owner
                .compare_exchange(OWNER, 0, order, Ordering::Relaxed);
            given.is_err()
        };
        freer.join().unwrap();
        let owner = world.slab.owner.load(Ordering::Acquire) & !NOTICED;
        if kept {
            assert_eq!(owner, OWNER);
            world.slow_path(OWNER);
        }
        // The owner frees its own slot now, wherever the slab belongs.
        world.free(OWNER, 1);
        let holder = world.slab.owner.load(Ordering::Acquire) & !NOTICED;
        world.slow_path(holder);
        assert!(world.recycle(holder), "a slot was lost");
    });
}

/// A disowned slab: two threads free the last slots; one adopts it, the other notices the adopter.
#[test]
fn two_frees_into_a_disowned_slab() {
    loom::model(|| {
        let world = World::new(0);
        world.slab.owner.store(0, Ordering::Relaxed);
        let first = {
            let world = world.clone();
            thread::spawn(move || world.free(OTHER, 0))
        };
        world.free(OWNER, 1);
        first.join().unwrap();
        let holder = world.slab.owner.load(Ordering::Acquire) & !NOTICED;
        assert_ne!(holder, 0);
        world.slow_path(holder);
        assert!(world.recycle(holder), "a slot was lost");
    });
}

/// The freer's bit may come after its notice was dealt with, and even after the slab was disowned:
/// who adopts the slab later finds it.
#[test]
fn a_late_bit_in_a_slab_that_was_disowned() {
    loom::model(|| {
        let world = World::new(0b10);
        let freer = {
            let world = world.clone();
            thread::spawn(move || world.free(OTHER, 0))
        };
        world.slow_path(OWNER);
        // `refill`: the whole word is taken, then `used_up`.
        // SAFETY: the owner's; loom reports a second one.
        let taken = world
            .slab
            .local
            .with_mut(|local| unsafe { std::mem::take(&mut *local) });
        let collected = world.slab.remote.swap(0, Ordering::Acquire);
        world.give_local(collected);
        let order = (Ordering::Release, Ordering::Relaxed);
        let owner = &world.slab.owner;
        if collected == 0 {
            let _ = owner.compare_exchange(OWNER, 0, order.0, order.1);
        }
        (0..2)
            .filter(|slot| taken >> slot & 1 == 1)
            .for_each(|slot| world.free(OWNER, slot));
        freer.join().unwrap();
        let holder = owner.load(Ordering::Acquire) & !NOTICED;
        assert_ne!(holder, 0, "slots came back, and nobody has the slab");
        world.slow_path(holder);
        assert!(world.recycle(holder), "a slot was lost");
    });
}

/// A thread that has no heap frees into a slab that its owner is giving up, and donates it; the
/// heir's holder finds it in its inbox, and may recycle it before the last slot is freed, or not.
#[test]
fn a_thread_without_a_heap_donates_a_disowned_slab() {
    loom::model(|| {
        let world = World::new(0);
        let freer = {
            let world = world.clone();
            thread::spawn(move || world.free_without_heap(OTHER, 0))
        };
        let heir = {
            let world = world.clone();
            thread::spawn(move || {
                world.empty_inbox(OTHER) && {
                    world.collect();
                    world.recycle(OTHER);
                    true
                }
            })
        };
        // The owner uses its local words until it gives the slab up.
        world.give_local(0);
        let order = ordering("disown", Ordering::Release);
        let owner = &world.slab.owner;
        let given = owner.compare_exchange(OWNER, 0, order, Ordering::Relaxed);
        freer.join().unwrap();
        // An owner that keeps the slab has it in its list, an heir only through its inbox.
        let known = heir.join().unwrap() || given.is_err() || world.is_in_inbox(OTHER);
        assert!(known, "donated to a heap that does not know");
        let holder = owner.load(Ordering::Acquire) & !NOTICED;
        assert_eq!(holder, if given.is_ok() { OTHER } else { OWNER });
        world.free(OWNER, 1);
        world.slow_path(holder);
        assert!(world.recycle(holder), "a slot was lost");
    });
}

/// Two threads without heaps free the last two slots of a slab that nobody owns, and would leave it
/// to different heaps, one of which is looking.
#[test]
fn two_threads_without_heaps_donate_one_slab() {
    loom::model(|| {
        let world = World::new(0);
        world.slab.owner.store(0, Ordering::Relaxed);
        let freers = [OWNER, OTHER].map(|heir| {
            let world = world.clone();
            thread::spawn(move || world.free_without_heap(heir, heir / 4))
        });
        let seen = world.empty_inbox(OWNER);
        let recycled = seen && {
            world.collect();
            world.recycle(OWNER)
        };
        for freer in freers {
            freer.join().unwrap();
        }
        let holder = world.slab.owner.load(Ordering::Acquire) & !NOTICED;
        let known = seen || world.is_in_inbox(holder);
        assert!(known, "donated to a heap that does not know");
        let left = |world: &World| {
            world.slow_path(holder);
            world.recycle(holder)
        };
        assert!(recycled || left(&world), "a slot was lost");
    });
}

/// The owner's thread ends and leaves its heap, which another thread adopts, while a third frees.
#[test]
fn a_heap_that_changes_hands_during_a_remote_free() {
    loom::model(|| {
        let world = World::new(0b10);
        let orphan = Arc::new(AtomicUsize::new(0));
        let adopt = |world: &World, orphan: &AtomicUsize| {
            let order = ordering("leave", Ordering::Acquire);
            let adopted = orphan.compare_exchange(1, 0, order, Ordering::Relaxed);
            adopted.is_ok() && {
                world.slow_path(OWNER);
                let recycled = world.recycle(OWNER);
                if !recycled {
                    orphan.store(1, ordering("leave", Ordering::Release));
                }
                recycled
            }
        };
        let freer = {
            let world = world.clone();
            thread::spawn(move || world.free(OTHER, 0))
        };
        let adopter = {
            let (world, orphan) = (world.clone(), orphan.clone());
            thread::spawn(move || adopt(&world, &orphan))
        };
        // `leave`: trim, then the heap is anybody's.
        world.slow_path(OWNER);
        let mut recycled = world.recycle(OWNER);
        if !recycled {
            orphan.store(1, ordering("leave", Ordering::Release));
        }
        freer.join().unwrap();
        recycled |= adopter.join().unwrap();
        assert!(recycled || adopt(&world, &orphan), "a slot was lost");
    });
}

/// The orphan stack of `heaps.rs`: heaps 1 and 2, and a word with a count above the top.
struct Orphans {
    top: AtomicUsize,
    below: [AtomicUsize; 2],
    held: [UnsafeCell<bool>; 2],
}

impl Orphans {
    fn push(&self, heap: usize) {
        // SAFETY: the holder's; loom reports a second one.
        self.held[heap - 1].with_mut(|held| unsafe { *held = false });
        let mut top = self.top.load(Ordering::Relaxed);
        loop {
            self.below[heap - 1].store(top & 3, Ordering::Relaxed);
            let count = if weakened("count") { 0 } else { (top >> 2) + 1 };
            let order = (ordering("push", Ordering::Release), Ordering::Relaxed);
            let word = heap | count << 2;
            match self.top.compare_exchange(top, word, order.0, order.1) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    fn pop(&self) -> usize {
        let order = ordering("push", Ordering::Acquire);
        let mut top = self.top.load(order);
        while top & 3 != 0 {
            let heap = top & 3;
            let below = self.below[heap - 1].load(Ordering::Relaxed);
            match self
                .top
                .compare_exchange(top, below | (top & !3), order, order)
            {
                Ok(_) => {
                    // SAFETY: the holder's; loom reports a second one.
                    let twice = self.held[heap - 1]
                        .with_mut(|held| unsafe { std::mem::replace(&mut *held, true) });
                    assert!(!twice, "two threads hold one heap");
                    return heap;
                }
                Err(now) => top = now,
            }
        }
        0
    }
}

/// A slow pop while the stack changes and its top comes back.
#[test]
fn orphans_are_held_by_one_thread_at_a_time() {
    loom::model(|| {
        let orphans = Arc::new(Orphans {
            top: AtomicUsize::new(0),
            below: [AtomicUsize::new(0), AtomicUsize::new(0)],
            held: [UnsafeCell::new(true), UnsafeCell::new(true)],
        });
        orphans.push(2);
        orphans.push(1);
        let slow = {
            let orphans = orphans.clone();
            thread::spawn(move || (orphans.pop(), orphans.pop()))
        };
        let (first, second) = (orphans.pop(), orphans.pop());
        if first != 0 {
            orphans.push(first);
        }
        let (third, fourth) = slow.join().unwrap();
        let rest = [orphans.pop(), orphans.pop()];
        let held: Vec<_> = [second, third, fourth, rest[0], rest[1]]
            .into_iter()
            .filter(|heap| *heap != 0)
            .collect();
        assert!(held.len() == 2 && held[0] != held[1], "{held:?}");
    });
}
