//! Many at once, with patience, and with a function that may fail.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flagstone::pages::{HeapSource, Pages};
use flagstone::{AllocError, GetError, Keep, Pool};

use crate::canary::{Canary, steady, turns};

/// Longer than this test takes on any machine: only a lost wake-up waits for so long.
const LONG: Duration = Duration::from_secs(15 * 60);

/// Waits for an object that somebody gives back.
fn is_served(pool: &Pool<Vec<u8>>) -> bool {
    let start = Instant::now();
    // Who is not woken finds it at the end of the time.
    pool.get_timeout(LONG).is_some() && start.elapsed() < LONG
}

#[test]
fn many_are_distinct_and_take_few_exchanges() {
    let alive = Arc::default();
    let pool = steady(Canary::pool(&alive)).build();
    drop(pool.get_many(1000));
    let before = pool.stats().exchanges;
    let mut many = pool.get_many(1000);
    many.iter_mut().for_each(|object| object.take());
    assert_eq!((many.len(), pool.stats().creates), (1000, 1000));
    assert!(pool.stats().exchanges - before <= 40, "{}", pool.stats());
    drop(many);
    assert_eq!(pool.stats().outstanding, 0);
    assert!(pool.get_many(0).is_empty());
}

#[test]
fn many_are_all_or_none_where_asked() {
    let pool: Pool<Vec<u8>> = Pool::builder(Vec::new).max_live(10).build();
    let one = pool.get();
    assert!(pool.try_get_many(10).is_none());
    assert_eq!(pool.stats().outstanding, 1);
    assert_eq!(pool.try_get_many(9).map(|many| many.len()), Some(9));
    drop(one);
    assert!(pool.try_get_many(usize::MAX).is_none());
}

#[test]
fn a_failed_create_changes_nothing() {
    let alive = Arc::default();
    let pool = steady(Canary::pool(&alive)).build();
    for _ in 0..100 {
        let failed = pool.try_get_with(|| Err::<Canary, _>("refused"));
        assert!(matches!(failed, Err(GetError::Create("refused"))));
    }
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        drop(pool.try_get_with::<()>(|| panic!("made on purpose")));
    }));
    assert!(panicked.is_err());
    let stats = pool.stats();
    assert_eq!((stats.gets, stats.creates, stats.outstanding), (0, 0, 0));
    drop(pool.get());
    // An idle one is served, and nothing is made.
    let idle = pool.try_get_with(|| Err::<Canary, _>("refused"));
    assert!(idle.is_ok());
}

#[test]
fn why_there_is_none_is_told() {
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(&HeapSource)));
    pages.set_limit(Some(0));
    let pool: Pool<Vec<u8>> = Pool::builder(Vec::new).pages(pages).max_live(1).build();
    let no_memory = pool.try_get_with(|| Ok::<_, String>(Vec::new())).err();
    let limit = AllocError::PagesLimit { limit_bytes: 0 };
    assert_eq!(no_memory, Some(GetError::Memory(limit)));
    assert!(
        pool.get_timeout(LONG).is_none(),
        "no memory: not waited for"
    );
    pages.set_limit(None);
    let held = pool.get();
    let full = pool.try_get_with(|| Ok::<_, String>(Vec::new())).err();
    let full = full.expect("one is out");
    assert_eq!(full, GetError::MaxLive(1));
    assert!(full.to_string().contains("all 1 objects"));
    held.discard();
    let failed = pool.try_get_with(|| Err(String::from("no file"))).err();
    assert!(failed.expect("failed").to_string().ends_with("no file"));
}

#[test]
fn waiting_ends_with_the_time_or_with_a_guard() {
    let pool: Pool<Vec<u8>> = Pool::builder(Vec::new).max_live(1).build();
    let only = pool.get();
    let start = Instant::now();
    assert!(pool.get_timeout(Duration::from_millis(20)).is_none());
    assert!(pool.get_timeout(Duration::ZERO).is_none());
    assert!(start.elapsed() >= Duration::from_millis(20));
    drop(only);
    // Every way out of a guard wakes.
    for way in 0..4 {
        let only = pool.get();
        thread::scope(|scope| {
            let waits = scope.spawn(|| is_served(&pool));
            // It waits by then, most likely; if not, it is served at once.
            thread::sleep(Duration::from_millis(5));
            match way {
                0 => drop(only.detach()),
                1 => only.discard(),
                2 => drop(only),
                _ => drop(catch_unwind(AssertUnwindSafe(move || {
                    let _only = only;
                    panic!("made on purpose")
                }))),
            }
            assert!(waits.join().expect("no panic"));
        });
    }
    let only = pool.get();
    thread::scope(|scope| {
        let waits = scope.spawn(|| pool.get_timeout(Duration::MAX).is_some());
        thread::sleep(Duration::from_millis(5));
        drop(only);
        assert!(waits.join().expect("no panic"), "for ever is not at once");
    });
    assert_eq!(pool.stats().outstanding, 0);
}

#[test]
fn nobody_waits_in_vain_and_the_bound_holds() {
    let alive = Arc::default();
    let pool = Canary::pool(&alive).max_live(3).build();
    let out = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        let waiters = [(); 8].map(|()| {
            scope.spawn(|| {
                for turn in 0..turns(20_000) {
                    let mut guard = pool.get_timeout(LONG).expect("woken");
                    assert!(out.fetch_add(1, Ordering::Relaxed) < 3);
                    guard.take();
                    if turn % 64 == 0 {
                        thread::yield_now();
                    }
                    out.fetch_sub(1, Ordering::Relaxed);
                }
            })
        });
        // Short waits that end by themselves must not swallow a wake-up meant for others.
        let impatient = scope.spawn(|| {
            for _ in 0..turns(2000) {
                drop(pool.get_timeout(Duration::from_micros(20)));
            }
        });
        for waiter in waiters.into_iter().chain([impatient]) {
            waiter.join().expect("no panic");
        }
    });
    assert!(start.elapsed() < LONG, "a wake-up was lost");
    let stats = pool.stats();
    assert_eq!(stats.outstanding, 0);
    assert_eq!(stats.idle, alive.load(Ordering::Relaxed) as u64);
}

#[test]
fn a_waiter_is_served_while_create_runs() {
    static SLOW: AtomicBool = AtomicBool::new(false);
    static GO_ON: AtomicBool = AtomicBool::new(false);
    let pool: Pool<Cell<u8>, _> = Pool::builder(|| {
        if SLOW.swap(false, Ordering::AcqRel) {
            while !GO_ON.load(Ordering::Acquire) {
                thread::yield_now();
            }
        }
        Cell::new(1)
    })
    .recycle_with(|_| Keep::Yes)
    .max_live(2)
    .build();
    let first = pool.get();
    SLOW.store(true, Ordering::Release);
    thread::scope(|scope| {
        let makes = scope.spawn(|| pool.get().get());
        while SLOW.load(Ordering::Acquire) {
            thread::yield_now();
        }
        let waits = scope.spawn(|| pool.get_timeout(LONG).is_some());
        thread::sleep(Duration::from_millis(5));
        drop(first);
        let served = waits.join().expect("no panic");
        GO_ON.store(true, Ordering::Release);
        assert!(served, "nothing is locked while `create` runs");
        assert_eq!(makes.join().expect("no panic"), 1);
    });
}
