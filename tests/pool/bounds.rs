//! Bounds, trims and limits. (A random walk over all of them is in `tests/model/`.)

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use flagstone::pages::{HeapSource, Pages};
use flagstone::{AllocError, Keep, Pool, Pooled};

use crate::canary::{Canary, steady, turns};
use crate::common::threads::crowd;

#[test]
#[cfg_attr(miri, ignore = "thousands of objects: minutes under the interpreter")]
fn idle_objects_never_exceed_the_bound() {
    let alive = Arc::default();
    for max in [0, 1, 2, 5, 7, 16, 100, 1000] {
        let pool = steady(Canary::pool(&alive).idle(0..=max)).build();
        for count in [1, 2, 10, 50, 150, 1100] {
            drop((0..count).map(|_| pool.get()).collect::<Vec<_>>());
            assert!(pool.stats().idle <= max as u64, "{max}, {count}");
        }
        // What one thread puts to use is not wasted on the shards of others.
        assert!(
            pool.stats().idle as usize * 2 >= max,
            "{max}: {}",
            pool.stats()
        );
        assert_eq!(pool.stats().idle, alive.load(Ordering::Relaxed) as u64);
    }
}

#[test]
fn what_finds_no_room_is_counted_as_full() {
    // Without shards, with one of short magazines, with one of long ones.
    for (max, out) in [(0, 20), (4, 20), (16, 100), (300, 1000)] {
        let alive = Arc::default();
        let pool = steady(Canary::pool(&alive).idle(0..=max)).build();
        let out = if cfg!(miri) { out.min(20) } else { out };
        for _ in 0..2 {
            drop(pool.get_many(out));
            let stats = pool.stats();
            assert!(stats.idle <= max as u64, "{max}: {stats}");
            assert_eq!(stats.drops.full, stats.creates - stats.idle, "{max}");
            assert_eq!(stats.drops.total(), stats.drops.full);
        }
        assert_eq!(pool.stats().idle, alive.load(Ordering::Relaxed) as u64);
        let (full, idle) = (pool.stats().drops.full, pool.stats().idle);
        (0..out).for_each(|_| pool.put(Canary::new(&alive)));
        let stats = pool.stats();
        let refused = stats.drops.full - full;
        assert!(stats.idle <= max as u64, "{max}: {stats}");
        assert_eq!(stats.idle - idle + refused, out as u64, "{max}: {stats}");
    }
}

/// As many threads at a time as any machine stands, four times.
#[test]
fn a_thousand_threads_give_back_at_once_and_nothing_is_lost() {
    const MAX: usize = 2000;
    let (rounds, threads, each) = if cfg!(miri) { (2, 4, 5) } else { (4, 250, 200) };
    let alive = Arc::default();
    let pool = steady(Canary::pool(&alive).idle(0..=MAX)).build();
    for round in 0..rounds {
        let all_have_theirs = Barrier::new(threads);
        let work = || {
            let mut held = pool.get_many(each);
            held.iter_mut().for_each(|object| object.take());
            if round % 2 == 0 {
                all_have_theirs.wait();
                return drop(held);
            }
            let loose: Vec<_> = held.into_iter().map(Pooled::detach).collect();
            all_have_theirs.wait();
            loose.into_iter().for_each(|object| pool.put(object));
        };
        crowd(threads, |_| work());
        let stats = pool.stats();
        assert_eq!(stats.idle, alive.load(Ordering::Relaxed) as u64, "{stats}");
        assert!(
            stats.outstanding == 0 && stats.idle <= MAX as u64,
            "{stats}"
        );
    }
    let stats = pool.stats();
    assert_eq!(stats.gets, (rounds * threads * each) as u64);
    let no_room = stats.drops.full + stats.drops.contended;
    assert_eq!(
        (stats.idle + no_room, stats.drops.total()),
        (stats.creates, no_room)
    );
    assert!(cfg!(miri) || stats.drops.full > 0, "{stats}");
}

#[test]
fn max_live_is_exact() {
    let pool: Pool<Vec<u8>> = Pool::builder(Vec::new).max_live(3).name("three").build();
    let mut held: Vec<_> = (0..3).map(|_| pool.try_get().expect("three")).collect();
    assert!(pool.try_get().is_none());
    let refused = catch_unwind(|| pool.get().len()).expect_err("a fourth");
    let message = refused.downcast_ref::<String>().expect("a message");
    assert!(
        message.contains("`three`") && message.contains("max_live"),
        "{message}"
    );
    drop(held.pop().expect("three").detach());
    held.push(pool.try_get().expect("one was detached"));
    held.pop().expect("three").discard();
    held.push(pool.try_get().expect("one was discarded"));
    let local = pool.local();
    assert!(local.try_get().is_none());
    drop(held);
    let count = AtomicUsize::new(0);
    crowd(4, |_| {
        for _ in 0..turns(100_000) {
            if let Some(_guard) = pool.try_get() {
                assert!(count.fetch_add(1, Ordering::Relaxed) < 3);
                count.fetch_sub(1, Ordering::Relaxed);
            }
        }
    });
    assert_eq!(pool.stats().outstanding, 0);
}

#[test]
fn trim_keeps_the_warmest_and_clear_keeps_none() {
    let pool: Pool<Vec<u8>> = steady(Pool::builder(|| vec![0; 100])).build();
    let held: Vec<_> = (0..300).map(|_| pool.get()).collect();
    let last = &raw const *held[299];
    drop(held);
    pool.trim(100);
    let stats = pool.stats();
    assert_eq!((stats.idle, stats.drops.trimmed), (100, 200));
    assert_eq!(&raw const *pool.get(), last);
    let guard = pool.get();
    pool.clear();
    assert_eq!(pool.stats().idle, 0);
    drop(guard);
    assert_eq!(pool.stats().idle, 1);
}

#[test]
fn trim_gives_pages_back() {
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(&HeapSource)));
    let pool: Pool<Box<u8>, _> = steady(Pool::builder(|| Box::new(1)))
        .recycle_with(|_| Keep::Yes)
        .idle(0..=100_000)
        .pages(pages)
        .build();
    let count = if cfg!(miri) { 1000 } else { 50_000 };
    drop((0..count).map(|_| pool.get()).collect::<Vec<_>>());
    let before = pages.stats().active;
    assert_eq!(pool.trim(0), count);
    let after = pages.stats().active;
    assert!(
        before >= 16 * count && after <= 128 << 10,
        "{before} to {after}"
    );
    drop(pool);
    assert_eq!(pages.stats().active, 0);
}

#[test]
#[cfg_attr(miri, ignore = "fills memory: minutes under the interpreter")]
fn exhaustion_is_an_answer_and_leaks_nothing() {
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(&HeapSource)));
    let alive = Arc::default();
    for limit in [0, 64 << 10, 256 << 10] {
        pages.set_limit(Some(limit));
        let builder = steady(Canary::pool(&alive));
        let pool = builder.pages(pages).idle(0..=100_000).build();
        let held: Vec<_> = std::iter::from_fn(|| pool.try_get())
            .take(1 << 20)
            .collect();
        assert!(
            held.len() < 1 << 20 && (limit == 0) == held.is_empty(),
            "{limit}"
        );
        let error = pool.try_prefill(1).expect_err("no memory is left");
        assert_eq!(error, AllocError::PagesLimit { limit_bytes: limit });
        let refused = catch_unwind(|| pool.get().taken.load(Ordering::Relaxed));
        let message = refused.expect_err("no memory is left");
        assert!(
            message
                .downcast_ref::<String>()
                .is_some_and(|text| text.contains("limit"))
        );
        let count = held.len();
        drop(held);
        assert_eq!(
            (pool.stats().outstanding, pool.stats().creates),
            (0, count as u64)
        );
        assert_eq!(pool.try_get().is_some(), count > 0);
        drop(pool);
        assert_eq!(
            (alive.load(Ordering::Relaxed), pages.stats().active),
            (0, 0)
        );
    }
}

#[test]
#[cfg_attr(miri, ignore = "thousands of objects: minutes under the interpreter")]
fn tick_forgets_a_burst_and_keeps_the_working_set() {
    let pool: Pool<Vec<u8>> = steady(Pool::builder(Vec::new).idle(200..=4000)).build();
    drop((0..2000).map(|_| pool.get()).collect::<Vec<_>>());
    assert_eq!(pool.tick(), 0, "nothing was idle for the whole interval");
    for _ in 0..20 {
        drop((0..400).map(|_| pool.get()).collect::<Vec<_>>());
        pool.tick();
    }
    let idle = pool.stats().idle;
    assert!((400..700).contains(&idle), "{idle}");
    for _ in 0..20 {
        pool.tick();
    }
    let idle = pool.stats().idle;
    assert!((200..400).contains(&idle), "{idle}");
}

#[test]
fn prefill_makes_what_is_missing_within_the_bound() {
    let pool: Pool<Vec<u8>> = steady(Pool::builder(Vec::new).idle(0..=50)).build();
    assert_eq!(
        (pool.prefill(16), pool.prefill(16), pool.prefill(20)),
        (16, 0, 4)
    );
    pool.prefill(1000);
    assert!(pool.stats().idle <= 50);
}

/// What their threads dropped waits in shards that nobody has any more.
#[test]
#[cfg_attr(miri, ignore = "a limit on pages that Miri does not map")]
fn no_object_is_refused_while_ended_threads_left_room_for_it() {
    let pages: &Pages = Box::leak(Box::new(Pages::new(&HeapSource)));
    let builder = Pool::builder(|| [7u8; 400]).recycle_with(|_| Keep::Yes);
    let pool = steady(builder).pages(pages).build();
    let all_there = Barrier::new(4);
    crowd(4, |_| {
        let held: Vec<_> = (0..100).map(|_| pool.get()).collect();
        all_there.wait();
        held.into_iter().for_each(Pooled::discard);
    });
    pages.set_limit(Some(pages.stats().charged));
    let mut held = Vec::new();
    while let Some(object) = pool.try_get() {
        held.push(object);
    }
    assert!(held.len() >= 400, "{}", held.len());
    pool.trim(0);
    assert!(pool.try_get().is_none(), "a trim made room");
}
