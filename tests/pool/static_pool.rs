//! `StaticPool`: laziness, exclusivity, panics, drops. One sentence per test, in its name.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flagstone::{StaticPool, StaticPooled};

static TASKS: StaticPool<[u8; 256], 32> = StaticPool::new(|| [0; 256]);

#[test]
fn hands_out_as_many_as_it_has_and_no_more() {
    static POOL: StaticPool<[u8; 256], 32> = StaticPool::new(|| [0; 256]);
    let held: Vec<_> = (0..32)
        .map(|_| POOL.try_get().expect("one of 32"))
        .collect();
    let mut addresses: Vec<_> = held.iter().map(|task| task.as_ptr().addr()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 32);
    assert!(POOL.try_get().is_none());
    assert_eq!((POOL.in_use(), POOL.capacity()), (32, 32));
    drop(held);
    assert_eq!(POOL.in_use(), 0);
    assert!(POOL.try_get().is_some());
}

#[test]
fn objects_are_made_when_first_needed_and_stay() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    static POOL: StaticPool<usize, 4> = StaticPool::new(|| MADE.fetch_add(1, Ordering::Relaxed));
    assert_eq!(MADE.load(Ordering::Relaxed), 0);
    for _ in 0..10 {
        *POOL.try_get().expect("four are free") += 10;
    }
    assert_eq!(MADE.load(Ordering::Relaxed), 1);
    assert_eq!(*POOL.try_get().expect("four are free"), 100);
}

#[test]
fn no_object_is_with_two_threads() {
    let turns = if cfg!(miri) { 50 } else { 20_000 };
    static POOL: StaticPool<usize, 3> = StaticPool::new(|| 0);
    thread::scope(|scope| {
        for token in 1..=4 {
            scope.spawn(move || {
                for _ in 0..turns {
                    if let Some(mut object) = POOL.try_get() {
                        *object = token;
                        std::hint::spin_loop();
                        assert_eq!(*object, token);
                    }
                }
            });
        }
    });
    assert_eq!(POOL.in_use(), 0);
}

#[test]
fn drop_drops_what_was_made_and_nothing_else() {
    thread_local!(static ALIVE: Cell<isize> = const { Cell::new(0) });
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            ALIVE.with(|alive| alive.set(alive.get() - 1));
        }
    }
    fn make() -> Counted {
        ALIVE.with(|alive| alive.set(alive.get() + 1));
        Counted
    }
    let pool: StaticPool<Counted, 8> = StaticPool::new(make);
    let three: Vec<_> = (0..3)
        .map(|_| pool.try_get().expect("eight are free"))
        .collect();
    assert_eq!(ALIVE.with(Cell::get), 3);
    drop(three);
    pool.try_get().expect("eight are free").discard();
    assert_eq!(ALIVE.with(Cell::get), 2);
    drop(pool);
    assert_eq!(ALIVE.with(Cell::get), 0);
}

#[test]
fn panic_in_create_leaves_the_slot_free() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    fn make() -> u8 {
        assert!(
            CALLS.fetch_add(1, Ordering::Relaxed) > 0,
            "the first call panics"
        );
        7
    }
    let pool: StaticPool<u8, 1> = StaticPool::new(make);
    assert!(catch_unwind(|| pool.try_get().is_some()).is_err());
    assert_eq!(pool.in_use(), 0);
    assert_eq!(pool.try_get().map(|object| *object), Some(7));
}

#[test]
fn panic_in_a_discarded_drop_frees_the_slot() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("dropped");
            }
        }
    }
    let pool = std::mem::ManuallyDrop::new(StaticPool::<Bomb, 1>::new(|| Bomb));
    let guard = pool.try_get().expect("one is free");
    assert!(catch_unwind(AssertUnwindSafe(|| guard.discard())).is_err());
    assert_eq!(pool.in_use(), 0);
}

/// `core` cannot tell that a panic is on its way.
#[test]
fn a_guard_that_a_panic_drops_goes_back_as_it_is() {
    let pool: StaticPool<u8, 1> = StaticPool::new(|| 1);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let mut guard = pool.try_get().expect("one is free");
        *guard = 2;
        resume_unwind(Box::new(()));
    }));
    assert!(caught.is_err());
    assert_eq!(pool.in_use(), 0);
    assert_eq!(pool.try_get().map(|object| *object), Some(2));
}

#[test]
fn forgotten_guards_and_empty_pools_are_no_trouble() {
    let pool: StaticPool<String, 2> = StaticPool::new(String::new);
    std::mem::forget(pool.try_get());
    assert!(pool.try_get().is_some());
    assert_eq!(pool.in_use(), 1);
    let none: StaticPool<String, 0> = StaticPool::new(String::new);
    assert!(none.try_get().is_none());
}

#[test]
fn guards_may_be_dropped_elsewhere() {
    let task = TASKS.try_get().expect("32 are free");
    thread::spawn(move || drop(task)).join().expect("no panic");
}

#[test]
fn auto_traits() {
    fn shared<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    fn sent<T: Send>() {}
    shared::<StaticPool<Vec<u8>, 4>>();
    shared::<StaticPooled<'static, Vec<u8>>>();
    // The pool asks no more than `Send` of its objects.
    sent::<StaticPooled<'static, Cell<u8>>>();
    fn sync<T: Sync>() {}
    sync::<StaticPool<Cell<u8>, 4>>();
}
