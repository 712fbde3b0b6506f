//! Objects that are not kept, for their size, their state or their user; and those that do not come
//! back.

use std::cell::Cell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use flagstone::{Capacity, Keep, LeakCheck, Oversize, Pool};

use crate::canary::steady;

/// Uses `used` of `capacity` bytes of an object.
fn use_of(pool: &Pool<Vec<u8>, flagstone::RecycleHook<Vec<u8>>>, capacity: usize, used: usize) {
    let mut buffer = pool.get();
    buffer.reserve_exact(capacity);
    buffer.resize(used, 1);
}

#[test]
fn a_hard_cap_looks_at_what_is_held() {
    let cap = Oversize::HardCap(64 << 10);
    let pool = steady(Pool::builder(Vec::<u8>::new).oversize(cap)).build();
    use_of(&pool, 64 << 10, 10);
    assert_eq!((pool.stats().idle, pool.get().len()), (1, 0));
    use_of(&pool, (64 << 10) + 1, 10);
    assert_eq!((pool.stats().idle, pool.stats().drops.oversize), (0, 1));
    // The object's own verdict comes after the policy's.
    let pool = steady(Pool::builder(Vec::<u8>::new))
        .recycle_with(|buffer| {
            buffer.clear();
            Keep::Discard
        })
        .oversize(cap)
        .build();
    use_of(&pool, 1 << 20, 1);
    use_of(&pool, 1, 1);
    let drops = pool.stats().drops;
    assert_eq!((drops.oversize, drops.discarded), (1, 1));
}

#[test]
fn utilisation_strikes_four_times() {
    let pool = steady(Pool::builder(Vec::<u8>::new))
        .oversize(Oversize::Utilisation)
        .build();
    // What is small may be used as little as it likes.
    for _ in 0..20 {
        use_of(&pool, 4 << 10, 1);
    }
    assert_eq!(pool.stats().drops.oversize, 0);
    let large = 1 << 20;
    for round in 1..=3 {
        for _ in 0..3 {
            use_of(&pool, large, large / 4 - 1);
        }
        use_of(&pool, large, large / 4);
        for _ in 0..3 {
            use_of(&pool, large, 1);
        }
        assert_eq!(pool.stats().drops.oversize, round - 1);
        use_of(&pool, large, 1);
        assert_eq!((pool.stats().drops.oversize, pool.stats().idle), (round, 0));
    }
}

#[test]
#[cfg_attr(miri, ignore = "thousands of returns: minutes under the interpreter")]
fn calibration_finds_what_most_objects_use() {
    let pool = steady(Pool::builder(Vec::<u8>::new))
        .oversize(Oversize::Calibrated)
        .build();
    use_of(&pool, 1 << 24, 1 << 16);
    assert_eq!(pool.stats().drops.oversize, 0, "nothing is known yet");
    pool.clear();
    for turn in 0..4096 {
        use_of(&pool, 1, if turn % 25 == 0 { 1 << 16 } else { 1000 });
    }
    pool.clear();
    use_of(&pool, 1024, 1);
    assert_eq!(pool.stats().idle, 1);
    use_of(&pool, 1025, 1);
    assert_eq!(pool.stats().idle, 0, "96 % use no more than 1 KiB");
}

#[test]
fn capacities_of_collections() {
    let bytes = Vec::<u32>::with_capacity(10).capacity_bytes();
    assert!(bytes >= 40);
    assert_eq!(vec![1_u16, 2].used_bytes(), 4);
    assert_eq!([String::from("ab"), String::from("c")].used_bytes(), 3);
    let map = std::collections::HashMap::<u64, u64>::with_capacity(100);
    assert!(map.capacity_bytes() >= 1700 && map.used_bytes() == 0);
    assert_eq!(
        Box::new([0_u8; 0].to_vec()).capacity_bytes(),
        size_of::<Vec<u8>>()
    );
}

#[test]
fn what_is_not_valid_is_not_kept_or_not_handed_out() {
    let pool = steady(Pool::builder(|| vec![0_u8; 4]))
        .recycle_with(|_| Keep::Yes)
        .validate_put(|buffer| buffer.len() == 4)
        .build();
    pool.get().push(1);
    assert_eq!((pool.stats().drops.invalid, pool.stats().idle), (1, 0));
    pool.put(vec![1]);
    assert_eq!(pool.stats().idle, 0);

    static GOOD: AtomicBool = AtomicBool::new(true);
    let pool: Pool<Vec<u8>> = steady(Pool::builder(Vec::new))
        .validate_get(|_| GOOD.load(Ordering::Relaxed))
        .build();
    drop((0..10).map(|_| pool.get()).collect::<Vec<_>>());
    drop((pool.get(), pool.local().get()));
    assert_eq!(pool.stats().creates, 10);
    GOOD.store(false, Ordering::Relaxed);
    drop(pool.get());
    let stats = pool.stats();
    assert_eq!(
        (stats.drops.invalid, stats.idle, stats.creates),
        (10, 1, 11)
    );
}

#[test]
fn validations_may_panic_and_use_the_pool() {
    static PANICS: AtomicBool = AtomicBool::new(false);
    thread_local!(static DEPTH: Cell<usize> = const { Cell::new(0) });
    static POOL: std::sync::LazyLock<Pool<Vec<u8>, flagstone::RecycleHook<Vec<u8>>>> =
        std::sync::LazyLock::new(|| {
            let check = |_: &Vec<u8>| {
                if PANICS.load(Ordering::Relaxed) {
                    resume_unwind(Box::new(()));
                }
                DEPTH.with(|depth| {
                    if depth.get() < 3 {
                        depth.set(depth.get() + 1);
                        POOL.get().push(1);
                        depth.set(depth.get() - 1);
                    }
                });
                true
            };
            steady(Pool::builder(Vec::new))
                .validate_put(check)
                .validate_get(check)
                .build()
        });
    for _ in 0..20 {
        drop((POOL.get(), POOL.get()));
    }
    let idle = POOL.stats().idle;
    let held = POOL.get();
    PANICS.store(true, Ordering::Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(POOL.get()))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(held))).is_err());
    PANICS.store(false, Ordering::Relaxed);
    let stats = POOL.stats();
    assert_eq!((stats.outstanding, stats.drops.poisoned), (0, 2));
    assert_eq!(stats.idle, idle - 2, "those two alone");
}

#[test]
fn suspects_are_reported_once_and_withdrawn() {
    let pool: Pool<Vec<u8>> = steady(Pool::builder(Vec::new))
        .leak_check(LeakCheck::Every)
        .leak_after(Duration::from_millis(1))
        .build();
    let line = line!() + 1;
    let mut held: Vec<_> = (0..4).map(|_| pool.get()).collect();
    drop(pool.get());
    thread::sleep(Duration::from_millis(2));
    pool.tick();
    assert!(pool.leak_suspects().is_empty(), "two ticks");
    pool.tick();
    let suspects = pool.leak_suspects();
    assert_eq!(suspects.len(), 4);
    for suspect in &suspects {
        assert_eq!(
            (suspect.location.file(), suspect.location.line()),
            (file!(), line)
        );
        assert_eq!((suspect.thread, suspect.ticks), (thread::current().id(), 2));
        assert!(suspect.age >= Duration::from_millis(1));
        assert!(suspect.to_string().contains("refusals.rs"), "{suspect}");
    }
    assert!(pool.leak_suspects().is_empty(), "once");
    assert_eq!(pool.stats().suspects, 4);
    assert!(
        pool.health()
            .to_string()
            .contains("4 objects are out for long")
    );
    drop(held.pop());
    held.pop().expect("three").discard();
    drop(held.pop().expect("two").detach());
    let stats = pool.stats();
    assert_eq!((stats.suspects, stats.withdrawn), (1, 3));
    mem::forget(held.pop());
    assert_eq!(pool.stats().suspects, 1);
    // A young one is none.
    let young = pool.get();
    assert!(pool.leak_suspects().is_empty());
    drop(young);
}

#[test]
#[cfg_attr(miri, ignore = "thousands of objects: minutes under the interpreter")]
fn a_leak_shows_among_the_sampled_ones() {
    let pool: Pool<Vec<u8>> = steady(Pool::builder(Vec::new))
        .leak_check(LeakCheck::Sampled)
        .leak_after(Duration::ZERO)
        .build();
    let line = line!() + 2;
    for _ in 0..2000 {
        mem::forget(pool.get());
        drop(pool.get());
    }
    pool.tick();
    pool.tick();
    let suspects = pool.leak_suspects();
    assert!((5..40).contains(&suspects.len()), "{}", suspects.len());
    assert!(
        suspects
            .iter()
            .any(|suspect| suspect.location.line() == line)
    );
    let none: Pool<Vec<u8>> = Pool::builder(Vec::new)
        .leak_check(LeakCheck::Off)
        .leak_after(Duration::ZERO)
        .build();
    (0..2000).for_each(|_| mem::forget(none.get()));
    none.tick();
    none.tick();
    assert!(none.leak_suspects().is_empty());
}

#[test]
fn an_object_that_was_looked_out_for_goes_back_like_any_other() {
    static RECYCLED: AtomicUsize = AtomicUsize::new(0);
    let pool = steady(Pool::builder(Vec::<u8>::new))
        .recycle_with(|_| {
            RECYCLED.fetch_add(1, Ordering::Relaxed);
            Keep::Yes
        })
        .build();
    for _ in 0..10 {
        drop((0..200).map(|_| pool.get()).collect::<Vec<_>>());
    }
    assert_eq!(RECYCLED.load(Ordering::Relaxed), 2000);
    assert_eq!((pool.stats().creates, pool.stats().suspects), (200, 0));
}

#[test]
fn an_idle_object_that_is_refused_is_neither_a_get_nor_a_hit() {
    let refuses = |_: &Vec<u8>| false;
    let pool = steady(Pool::builder(Vec::<u8>::new).validate_get(refuses)).build();
    pool.prefill(3);
    drop(pool.get());
    let stats = pool.stats();
    assert_eq!(
        (stats.gets, stats.hits, stats.returns),
        (1, 0, 1),
        "{stats}"
    );
    assert_eq!((stats.creates, stats.drops.invalid), (4, 3), "{stats}");
}
