//! Code of the user that panics, or uses the pool it is called by.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flagstone::{Keep, Pool, Recycle};

use crate::canary::turns;

#[test]
fn panic_while_a_guard_is_held_drops_its_object() {
    let pool: Pool<Vec<u8>> = Pool::new(Vec::new);
    pool.prefill(1);
    let caught = catch_unwind(|| {
        let _guard = pool.get();
        resume_unwind(Box::new(()));
    });
    assert!(caught.is_err());
    let stats = pool.stats();
    assert_eq!(
        (stats.drops.poisoned, stats.idle, stats.outstanding),
        (1, 0, 0)
    );
}

#[test]
fn panic_in_create_changes_nothing() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    fn make() -> Vec<u8> {
        if CALLS.fetch_add(1, Ordering::Relaxed) == 0 {
            resume_unwind(Box::new(()));
        }
        Vec::new()
    }
    let pool: Pool<Vec<u8>> = Pool::builder(make).max_live(1).build();
    assert!(catch_unwind(|| pool.get().len()).is_err());
    assert_eq!(pool.get().len(), 0);
    let stats = pool.stats();
    assert_eq!((stats.creates, stats.outstanding, stats.idle), (1, 0, 1));
}

#[test]
fn panic_in_recycle_drops_the_object() {
    struct Moody(bool);
    impl Recycle for Moody {
        fn recycle(&mut self) -> Keep {
            if self.0 {
                resume_unwind(Box::new(()));
            }
            Keep::Yes
        }
    }
    let pool: Pool<Moody> = Pool::builder(|| Moody(false)).max_live(1).build();
    assert!(catch_unwind(|| pool.get().0 = true).is_err());
    let stats = pool.stats();
    assert_eq!(
        (stats.drops.poisoned, stats.outstanding, stats.idle),
        (1, 0, 0)
    );
    assert!(pool.try_get().is_some());
    assert!(catch_unwind(|| pool.put(Moody(true))).is_err());
    assert_eq!(pool.stats().idle, 1);
}

#[test]
#[cfg_attr(
    miri,
    ignore = "hundreds of drops and a purge: minutes under the interpreter"
)]
fn panic_in_a_drop_loses_no_other_object() {
    thread_local!(static DROPS: Cell<usize> = const { Cell::new(0) });
    struct Loud(bool);
    impl Recycle for Loud {
        fn recycle(&mut self) -> Keep {
            if self.0 { Keep::Discard } else { Keep::Yes }
        }
    }
    impl Drop for Loud {
        fn drop(&mut self) {
            DROPS.with(|drops| drops.set(drops.get() + 1));
            if self.0 && !thread::panicking() {
                self.0 = false;
                resume_unwind(Box::new(()));
            }
        }
    }
    let pool: Pool<Loud> = Pool::new(|| Loud(false));
    assert!(catch_unwind(|| pool.get().0 = true).is_err());
    assert_eq!(pool.stats().outstanding, 0);
    // One of many idle ones, in a clear and then in the pool's drop.
    for round in 0..2 {
        DROPS.with(|drops| drops.set(0));
        let pool: Pool<Loud, _> = Pool::builder(|| Loud(false))
            .recycle_with(|_| Keep::Yes)
            .build();
        pool.prefill(200);
        pool.get().0 = true;
        let caught = if round == 0 {
            catch_unwind(AssertUnwindSafe(|| pool.clear()))
        } else {
            catch_unwind(AssertUnwindSafe(|| drop(pool)))
        };
        assert!(caught.is_err());
        assert_eq!(DROPS.with(Cell::get), 200);
    }
}

#[test]
fn recycle_create_and_drop_may_use_the_pool() {
    static POOL: Pool<Nested> = Pool::new(Nested::new);
    thread_local!(static DEPTH: Cell<usize> = const { Cell::new(0) });
    struct Nested(u32);
    impl Nested {
        fn new() -> Nested {
            nest();
            Nested(0)
        }
    }
    fn nest() {
        DEPTH.with(|depth| {
            if depth.get() < 3 {
                depth.set(depth.get() + 1);
                POOL.get().0 += 1;
                depth.set(depth.get() - 1);
            }
        });
    }
    impl Recycle for Nested {
        fn recycle(&mut self) -> Keep {
            nest();
            if self.0 % 5 == 4 {
                Keep::Discard
            } else {
                Keep::Yes
            }
        }
    }
    impl Drop for Nested {
        fn drop(&mut self) {
            nest();
        }
    }
    for _ in 0..turns(100_000).min(300) {
        let (mut a, mut b) = (POOL.get(), POOL.get());
        a.0 += 1;
        b.0 += 2;
    }
    POOL.clear();
    POOL.prefill(10);
    POOL.tick();
    assert_eq!(POOL.stats().outstanding, 0);
}
