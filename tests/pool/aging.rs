//! How idle objects grow old.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use flagstone::{Aging, LeakCheck, Mode, Pool};

use crate::canary::{Canary, steady};

#[test]
fn two_generations_survive_one_tick_and_not_two() {
    let alive = Arc::default();
    let pool = steady(Canary::pool(&alive).aging(Aging::TwoGeneration)).build();
    let count = if cfg!(miri) { 10 } else { 500 };
    drop((0..count).map(|_| pool.get()).collect::<Vec<_>>());
    assert_eq!((pool.tick(), alive.load(Ordering::Relaxed)), (0, count));
    // Those that are needed are young again.
    drop((0..3).map(|_| pool.get()).collect::<Vec<_>>());
    assert_eq!(pool.stats().creates, count as u64);
    assert!(pool.tick() >= count - 130, "a magazine or two are young");
    assert!((3..=130).contains(&alive.load(Ordering::Relaxed)));
    pool.tick();
    pool.tick();
    // Nothing refers to what was dropped.
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    let stats = pool.stats();
    assert_eq!((stats.drops.aged, stats.ticks), (count as u64, 4));
    pool.get().take();
}

#[test]
fn two_generations_reach_what_ended_threads_left_and_keep_the_floor() {
    let alive = Arc::default();
    let builder = steady(Canary::pool(&alive).aging(Aging::TwoGeneration));
    let pool = builder.idle(4..=4000).build();
    thread::scope(|scope| {
        let thread = scope.spawn(|| drop((0..50).map(|_| pool.get()).collect::<Vec<_>>()));
        thread.join().expect("no panic");
    });
    assert_eq!((pool.tick(), pool.stats().idle), (0, 50));
    assert_eq!((pool.tick(), pool.stats().idle), (46, 4));
    assert_eq!((pool.tick(), pool.stats().idle), (0, 4));
}

#[test]
fn a_running_thread_gives_its_old_objects_up_at_its_next_gets() {
    let pool: Pool<Vec<u8>> = steady(Pool::builder(Vec::new))
        .aging(Aging::TwoGeneration)
        .leak_check(LeakCheck::Sampled)
        .build();
    thread::scope(|scope| {
        let (pool, local) = (&pool, pool.local());
        drop((0..20).map(|_| local.get()).collect::<Vec<_>>());
        let tick = || scope.spawn(|| pool.tick()).join().expect("no panic");
        assert_eq!((tick(), pool.stats().idle), (0, 20));
        local.get().push(1);
        // 19 wait in the depot now, old; the one that was used may be among young ones.
        tick();
        local.get().push(1);
        tick();
        assert!(pool.stats().idle <= 20);
        drop(local.get());
        tick();
        drop(local.get());
        assert_eq!(pool.stats().creates, 20);
        drop(local);
        tick();
        tick();
        assert_eq!(pool.stats().idle, 0);
    });
}

#[test]
fn time_to_live_is_at_least_that_and_at_most_twice() {
    const TTL: Duration = Duration::from_millis(40);
    let pool: Pool<Vec<u8>> = Pool::builder(Vec::new).aging(Aging::Ttl(TTL)).build();
    pool.prefill(10);
    assert_eq!(pool.tick(), 0, "at most one change of generations");
    thread::sleep(TTL);
    let first = pool.tick();
    thread::sleep(TTL);
    let second = pool.tick();
    thread::sleep(TTL);
    let third = pool.tick();
    assert!(first == 0 || second == 0, "{first}, {second}");
    assert_eq!((first + second + third, pool.stats().idle), (10, 0));
    // An hour is not over.
    let hour = Aging::Ttl(Duration::from_secs(3600));
    let pool: Pool<Vec<u8>> = Pool::builder(Vec::new).aging(hour).build();
    pool.prefill(10);
    assert_eq!((0..10).map(|_| pool.tick()).sum::<usize>(), 0);
}

#[test]
fn never_is_never() {
    let pool: Pool<Vec<u8>> = steady(Pool::builder(Vec::new).aging(Aging::Never)).build();
    drop((0..300).map(|_| pool.get()).collect::<Vec<_>>());
    assert_eq!((0..10).map(|_| pool.tick()).sum::<usize>(), 0);
    assert_eq!((pool.stats().idle, pool.stats().ticks), (300, 10));
    pool.clear();
    assert_eq!(pool.stats().idle, 0);
}

#[test]
fn low_water_reaches_the_magazines() {
    let pool: Pool<Vec<u8>> = steady(Pool::builder(Vec::new)).build();
    thread::scope(|scope| {
        let held: Vec<_> = (0..127).map(|_| pool.get()).collect();
        let thread = scope.spawn(|| drop(held));
        thread.join().expect("no panic");
    });
    drop((0..127).map(|_| pool.get()).collect::<Vec<_>>());
    assert_eq!(pool.stats().idle, 127);
    for _ in 0..20 {
        pool.tick();
        // The working set: one.
        drop(pool.get());
    }
    let idle = pool.stats().idle;
    assert!((1..=64).contains(&idle), "the colder half went: {idle}");
    let ended: Pool<Vec<u8>> = steady(Pool::builder(Vec::new)).build();
    thread::scope(|scope| {
        let thread = scope.spawn(|| drop((0..127).map(|_| ended.get()).collect::<Vec<_>>()));
        thread.join().expect("no panic");
    });
    for _ in 0..20 {
        ended.tick();
    }
    assert_eq!(ended.stats().idle, 0);
}

#[test]
fn a_pool_in_use_ticks_by_itself() {
    let pool: Pool<Vec<u8>> = Pool::builder(Vec::new)
        .mode(Mode::Always)
        .tick_every(Duration::from_millis(1))
        .build();
    drop((0..2000).map(|_| pool.get()).collect::<Vec<_>>());
    let spike = pool.stats().idle;
    // Each round leaves the magazines twice or so; one in 64 of those looks at the clock.
    for round in 0..if cfg!(miri) { 100 } else { 2000 } {
        drop((0..200).map(|_| pool.get()).collect::<Vec<_>>());
        if round % 100 == 99 {
            thread::sleep(Duration::from_millis(2));
        }
    }
    let stats = pool.stats();
    assert!(cfg!(miri) || stats.ticks > 1, "{stats}");
    assert!(cfg!(miri) || stats.idle < spike / 2, "{stats}");
    assert!(stats.idle >= 200, "the working set stays: {stats}");
}

#[test]
fn a_tick_that_a_local_handle_begins_is_heard_of_by_all() {
    let pool: Pool<Vec<u8>> = Pool::builder(Vec::new)
        .mode(Mode::Always)
        .aging(Aging::TwoGeneration)
        .tick_every(Duration::from_millis(1))
        .build();
    drop(pool.get_many(20));
    thread::scope(|scope| {
        scope.spawn(|| {
            let local = pool.local();
            while pool.stats().ticks < 1 {
                thread::sleep(Duration::from_millis(2));
                drop((0..100).map(|_| local.get()).collect::<Vec<_>>());
            }
        });
    });
    let before = pool.stats().exchanges;
    drop(pool.get());
    assert!(
        pool.stats().exchanges > before,
        "what the thread had is old"
    );
}
