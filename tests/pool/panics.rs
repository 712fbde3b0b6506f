//! Code of the user that panics, or uses the pool it is called by.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flagstone::pages::{HeapSource, Pages};
use flagstone::{Arena, ArenaPool, Keep, Pool, PoolStats, Recycle};

use crate::canary::{Canary, steady, turns};

#[test]
fn panic_while_a_guard_is_held_drops_its_object() {
    let pool: Pool<Vec<u8>> = steady(Pool::builder(Vec::new)).build();
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

/// A panic with a guard in hand that `get` answers with: of a new object, then of one that was used
/// before, whose way back is the short one.
fn poisons<G>(stats: impl Fn() -> PoolStats, get: impl Fn() -> G) {
    for uses in [0, 3] {
        (0..uses).for_each(|_| drop(get()));
        let before = stats().drops.poisoned;
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _guard = get();
            resume_unwind(Box::new(()));
        }));
        assert!(caught.is_err());
        let stats = stats();
        assert_eq!(stats.drops.poisoned, before + 1, "{stats}");
        assert_eq!((stats.idle, stats.outstanding), (0, 0), "{stats}");
    }
}

#[test]
fn panic_drops_the_object_of_a_guard_of_any_kind() {
    let alive = Arc::default();
    let pool = Arc::new(steady(Canary::pool(&alive)).build());
    poisons(|| pool.stats(), || pool.get());
    poisons(|| pool.stats(), || pool.get_owned());
    let local = pool.local();
    poisons(|| pool.stats(), || local.get());
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    let arenas = steady(Pool::builder(Arena::new)).build();
    let arenas = Arc::new(ArenaPool::from(arenas));
    poisons(|| arenas.stats(), || arenas.get());
    poisons(|| arenas.stats(), || arenas.get_owned());
    let answer = || {
        arenas
            .get_owned()
            .freeze(|arena| arena.alloc_str("yes").as_bytes())
    };
    poisons(|| arenas.stats(), answer);
}

#[test]
fn what_is_put_by_a_panic_is_dropped() {
    struct Late<'p>(&'p Pool<Canary>, Option<Canary>);
    impl Drop for Late<'_> {
        fn drop(&mut self) {
            self.1
                .take()
                .into_iter()
                .for_each(|object| self.0.put(object));
        }
    }
    let alive = Arc::default();
    let pool = steady(Canary::pool(&alive)).build();
    let late = || Late(&pool, Some(pool.get().detach()));
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _late = late();
        resume_unwind(Box::new(()));
    }));
    assert!(caught.is_err());
    let stats = pool.stats();
    assert_eq!((stats.drops.poisoned, stats.idle), (1, 0), "{stats}");
    drop(late());
    assert_eq!((pool.stats().idle, alive.load(Ordering::Relaxed)), (1, 1));
}

/// Whose code panics next.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Calm,
    Create,
    Recycle,
    Drop,
}

thread_local!(static MOOD: Cell<Mood> = const { Cell::new(Mood::Calm) });

/// Panics as [`MOOD`] says.
struct Touchy(#[expect(dead_code, reason = "takes room")] [u8; 4000]);

impl Touchy {
    fn mind(mood: Mood) {
        if MOOD.get() == mood && !thread::panicking() {
            resume_unwind(Box::new(()));
        }
    }

    fn new() -> Touchy {
        Touchy::mind(Mood::Create);
        Touchy([0; 4000])
    }
}

impl Recycle for Touchy {
    fn recycle(&mut self) -> Keep {
        Touchy::mind(Mood::Recycle);
        Keep::Yes
    }
}

impl Drop for Touchy {
    fn drop(&mut self) {
        Touchy::mind(Mood::Drop);
    }
}

/// `work`, which panics in this mood.
fn fails(mood: Mood, work: impl FnOnce()) {
    MOOD.set(mood);
    let caught = catch_unwind(AssertUnwindSafe(work));
    MOOD.set(Mood::Calm);
    assert!(caught.is_err());
}

/// A panic in each of the user's functions, on each way there.
fn fail_everywhere(pool: &Pool<Touchy>) {
    // Those that were idle are out, so that the next is a new one.
    let held = pool.get_many(4);
    fails(Mood::Create, || drop(pool.get()));
    fails(Mood::Create, || assert_eq!(pool.prefill(1), 1));
    drop(held);
    fails(Mood::Recycle, || drop(pool.get()));
    fails(Mood::Recycle, || drop(pool.local().get()));
    fails(Mood::Recycle, || pool.put(Touchy::new()));
    let object = pool.get();
    fails(Mood::Drop, || object.discard());
    drop(pool.get_many(4));
}

#[test]
fn memory_of_objects_that_a_panic_ended_comes_back() {
    // With shards, and without any.
    for idle_max in [100, 0] {
        let pages: &'static Pages = Box::leak(Box::new(Pages::new(&HeapSource)));
        let builder = steady(Pool::builder(Touchy::new)).pages(pages);
        let pool = builder.idle(0..=idle_max).build();
        fail_everywhere(&pool);
        let before = pages.stats().active;
        (0..turns(100_000).min(500)).for_each(|_| fail_everywhere(&pool));
        let stats = pool.stats();
        assert_eq!(stats.outstanding, 0, "{stats}");
        assert_eq!(pages.stats().active, before, "{stats}");
        if idle_max > 0 {
            pool.prefill(50);
            fails(Mood::Drop, || pool.clear());
        }
        pool.trim(0);
        assert!(pages.stats().active <= before);
        drop(pool);
        assert_eq!(pages.stats().active, 0);
    }
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
    let pool: Pool<Vec<u8>> = steady(Pool::builder(make)).max_live(1).build();
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
    let pool: Pool<Moody> = steady(Pool::builder(|| Moody(false))).max_live(1).build();
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
        let pool: Pool<Loud, _> = steady(Pool::builder(|| Loud(false)))
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
