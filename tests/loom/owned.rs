//! The owned handles of a slab against its end: the protocol of `src/slab/values/slab_core.rs` (its
//! I3 and I4), `give_remote`, `collect_remote` and `close_core`, as a model.
//!
//! What it checks: the core is taken apart once, after everybody's last touch (`alive`); who takes
//! a slot back sees what its handle did (`payload`) and its link; no slot is lost.
//!
//! `WEAKEN=link`, `WEAKEN=close` and `WEAKEN=refs` weaken the orderings of the list and the count,
//! `WEAKEN=forget` leaves the handles in the list uncounted, `WEAKEN=open` ends the core without
//! closing the list.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::{ordering, weakened};

const HANDLES: usize = 2;
/// What the list of a slab that is gone is. Slots are 1 and up, 0 ends the list.
const CLOSED: usize = usize::MAX;

struct Core {
    remote: AtomicUsize,
    refs: AtomicUsize,
    /// The owner's.
    owned: UnsafeCell<usize>,
    /// In dead slots.
    links: [UnsafeCell<usize>; HANDLES],
    payload: [UnsafeCell<usize>; HANDLES],
    /// Read by everyone who touches the core, written when it ends.
    alive: UnsafeCell<bool>,
    ended: AtomicUsize,
}

impl Core {
    fn new() -> Arc<Core> {
        Arc::new(Core {
            remote: AtomicUsize::new(0),
            refs: AtomicUsize::new(0),
            owned: UnsafeCell::new(HANDLES),
            links: [UnsafeCell::new(0), UnsafeCell::new(0)],
            payload: [UnsafeCell::new(0), UnsafeCell::new(0)],
            alive: UnsafeCell::new(true),
            ended: AtomicUsize::new(0),
        })
    }

    fn touch(&self) {
        // SAFETY: loom reports an unordered write.
        assert!(self.alive.with(|alive| unsafe { *alive }), "after the end");
    }

    /// `give_remote`, after the value was used and dropped.
    fn give_remote(&self, slot: usize) {
        // SAFETY: the handle's; loom reports a second user.
        self.payload[slot - 1].with_mut(|payload| unsafe { *payload += 1 });
        self.touch();
        let mut first = self.remote.load(ordering("close", Ordering::Acquire));
        while first != CLOSED {
            self.touch();
            // SAFETY: as above.
            self.links[slot - 1].with_mut(|link| unsafe { *link = first });
            let order = (
                ordering("link", Ordering::Release),
                ordering("close", Ordering::Acquire),
            );
            match self.remote.compare_exchange(first, slot, order.0, order.1) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
        self.release(1);
    }

    /// The slots of a list that was taken.
    fn walk(&self, mut at: usize) -> usize {
        let mut count = 0;
        while at != 0 {
            // SAFETY: dead slots of ours; loom reports who is not ordered before.
            at = unsafe {
                self.payload[at - 1].with_mut(|payload| *payload += 1);
                self.links[at - 1].with(|link| *link)
            };
            count += 1;
        }
        count
    }

    /// `collect_remote`.
    fn collect(&self) {
        let at = self.remote.swap(0, ordering("link", Ordering::Acquire));
        let count = self.walk(at);
        // SAFETY: the owner's.
        self.owned.with_mut(|owned| unsafe { *owned -= count });
    }

    /// `close_core`.
    fn close(&self) {
        // SAFETY: the owner's.
        let owned = self.owned.with(|owned| unsafe { *owned });
        if owned == 0 || weakened("open") {
            self.end();
            return;
        }
        self.refs.store(owned + 1, Ordering::Relaxed);
        let order = ordering("close", Ordering::AcqRel);
        let at = self.remote.swap(CLOSED, order);
        let listed = self.walk(at);
        self.release(1 + if weakened("forget") { 0 } else { listed });
    }

    fn release(&self, count: usize) {
        self.touch();
        let order = ordering("refs", Ordering::AcqRel);
        if self.refs.fetch_sub(count, order) == count {
            self.end();
        }
    }

    /// `end_core`: takes all slots away.
    fn end(&self) {
        // SAFETY: nobody uses the core any more; loom reports who does.
        unsafe {
            self.alive.with_mut(|alive| *alive = false);
            for payload in &self.payload {
                payload.with_mut(|payload| *payload += 1);
            }
        }
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// Both handles are dropped by other threads while the slab looks for returned slots, or does not,
/// and is dropped.
#[test]
fn owned_handles_against_the_end_of_their_slab() {
    for collects in [false, true] {
        let mut model = loom::model::Builder::new();
        // All orders take half a minute; every weakening shows within two switches.
        model.preemption_bound = Some(3);
        model.check(move || {
            let core = Core::new();
            let handles: Vec<_> = (1..=HANDLES)
                .map(|slot| {
                    let core = core.clone();
                    thread::spawn(move || core.give_remote(slot))
                })
                .collect();
            if collects {
                core.collect();
            }
            core.close();
            for handle in handles {
                handle.join().unwrap();
            }
            let ended = core.ended.load(Ordering::Relaxed);
            assert_eq!(ended, 1, "the core was not ended once");
        });
    }
}
