//! `Pool`, its guards and `ArenaPool`, from outside. One sentence per test, in its name.
#![cfg(feature = "std")]

#[path = "../common/mod.rs"]
mod common;

mod aging;
mod asking;
mod bounds;
mod canary;
mod crowds;
mod endings;
mod frozen;
mod generations;
mod heard;
mod modes;
mod panics;
mod refusals;
mod sharing;
mod static_pool;
mod threads;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flagstone::{
    Arena, ArenaBytes, ArenaPool, Keep, OwnedPooled, OwnedPooledArena, Pool, Pooled, PooledArena,
    Recycle, RecycleHook,
};

use canary::{AGINGS, Canary, steady, ticking};

#[test]
fn last_returned_is_first_handed_out() {
    let pool: Pool<Vec<u8>> = steady(Pool::builder(Vec::new)).build();
    let (a, b) = (pool.get(), pool.get());
    let (at_a, at_b) = (&raw const *a, &raw const *b);
    drop(a);
    drop(b);
    let (first, second) = (pool.get(), pool.get());
    assert_eq!((&raw const *first, &raw const *second), (at_b, at_a));
    assert_eq!(pool.stats().creates, 2);
}

#[test]
fn create_runs_only_when_nothing_is_idle() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let pool: Pool<Box<[usize; 1]>, _> = steady(Pool::builder(|| {
        Box::new([MADE.fetch_add(1, Ordering::Relaxed) + 1])
    }))
    .recycle_with(|_| Keep::Yes)
    .build();
    let (one, two) = (pool.get(), pool.get());
    assert_eq!((one[0], two[0]), (1, 2));
    pool.put(Box::new([42]));
    assert_eq!(pool.get()[0], 42);
    let held = pool.get();
    assert_eq!((held[0], pool.get()[0]), (42, 3));
}

#[test]
fn hundreds_are_kept_and_come_back() {
    let pool: Pool<Vec<u8>> = steady(Pool::builder(Vec::new)).build();
    for _ in 0..3 {
        let held: Vec<_> = (0..500).map(|_| pool.get()).collect();
        drop(held);
    }
    let stats = pool.stats();
    assert_eq!(
        (stats.creates, stats.idle, stats.outstanding),
        (500, 500, 0)
    );
    assert_eq!((stats.gets, stats.hits), (1500, 1000));
    assert!(stats.exchanges > 0, "500 do not fit in a shard");
}

#[test]
fn drained_pool_keeps_nothing() {
    for (aging, ticks) in AGINGS {
        let alive = Arc::default();
        let pool = steady(Canary::pool(&alive)).aging(aging).build();
        pool.prefill(100);
        if ticks {
            pool.tick();
        }
        let held: Vec<_> = (0..100).map(|_| pool.get()).collect();
        ticking(&pool, ticks, || {
            for guard in held {
                drop(guard.detach());
            }
        });
        assert_eq!(alive.load(Ordering::Relaxed), 0, "{aging:?}");
        let stats = pool.stats();
        assert_eq!((stats.idle, stats.outstanding), (0, 0), "{stats}");
        assert_eq!(stats.creates - stats.drops.total(), 100, "{stats}");
    }
}

#[test]
fn zero_sized_large_and_over_aligned_objects() {
    #[derive(PartialEq, Debug)]
    struct Nothing;
    impl Recycle for Nothing {
        fn recycle(&mut self) -> Keep {
            Keep::Yes
        }
    }
    let pool: Pool<Nothing> = steady(Pool::builder(|| Nothing)).build();
    let two = [pool.get(), pool.get()];
    assert_eq!(*two[0], *two[1]);
    drop(two);
    assert_eq!(pool.stats().idle, 2);

    #[repr(align(4096))]
    struct Page([u8; 4096]);
    let pool: Pool<Page, _> = Pool::builder(|| Page([1; 4096]))
        .recycle_with(|_| Keep::Yes)
        .build();
    let pages: Vec<_> = (0..10).map(|_| pool.get()).collect();
    for page in &pages {
        assert!((&raw const **page).addr() % 4096 == 0 && page.0[4095] == 1);
    }
    drop(pages);

    #[repr(align(64))]
    struct Line([u8; 64]);
    let pool: Pool<Line, _> = Pool::builder(|| Line([2; 64]))
        .recycle_with(|_| Keep::Yes)
        .build();
    let lines: Vec<_> = (0..1000).map(|_| pool.get()).collect();
    assert!(
        lines
            .iter()
            .all(|line| (&raw const **line).addr() % 64 == 0 && line.0[63] == 2)
    );
    drop(lines);

    type Huge = [u8; (1 << 20) - 64];
    let pool: Pool<Huge, _> = steady(Pool::builder(|| [3; (1 << 20) - 64]))
        .recycle_with(|_| Keep::Yes)
        .build();
    let mut huge = [pool.get(), pool.get(), pool.get()];
    huge.iter_mut().for_each(|bytes| bytes.fill(4));
    drop(huge);
    assert!(pool.get().iter().all(|byte| *byte == 4));
}

/// Sizes around those where the note behind a value fits or does not.
#[test]
fn every_size_keeps_its_bytes() {
    fn check<const N: usize>() {
        let pool = steady(Pool::builder(|| [0_u8; N]).recycle_with(|_| Keep::Yes)).build();
        let mut held: Vec<_> = (0..40).map(|_| pool.get()).collect();
        for (index, bytes) in held.iter_mut().enumerate() {
            bytes.fill(index as u8);
        }
        for (index, bytes) in held.iter().enumerate() {
            assert!(bytes.iter().all(|byte| *byte == index as u8), "{N}");
        }
        drop(held);
        assert_eq!((pool.stats().idle, pool.stats().outstanding), (40, 0));
    }
    check::<0>();
    check::<1>();
    check::<7>();
    check::<8>();
    check::<9>();
    check::<15>();
    check::<16>();
    check::<17>();
    check::<24>();
    check::<25>();
    check::<32>();
    check::<255>();
    check::<256>();
    check::<272>();
    check::<4095>();
    check::<4096>();
    check::<65536>();
}

#[test]
fn std_collections_are_cleared_and_keep_their_room() {
    fn reused<T: Recycle + Default>(fill: fn(&mut T), check: fn(&T) -> bool) {
        let pool: Pool<T> = steady(Pool::builder(T::default)).build();
        fill(&mut pool.get());
        assert!(check(&pool.get()));
        assert_eq!(pool.stats().creates, 1);
    }
    reused::<Vec<u8>>(|v| v.push(1), |v| v.is_empty() && v.capacity() > 0);
    reused::<String>(|s| s.push('x'), |s| s.is_empty() && s.capacity() > 0);
    reused::<VecDeque<u8>>(|d| d.push_back(1), |d| d.is_empty() && d.capacity() > 0);
    reused::<HashSet<u8>>(
        |s| assert!(s.insert(1)),
        |s| s.is_empty() && s.capacity() > 0,
    );
    reused::<BTreeMap<u8, u8>>(|m| assert!(m.insert(1, 1).is_none()), BTreeMap::is_empty);
    reused::<[Vec<u8>; 2]>(|a| a[1].push(1), |a| a[1].is_empty() && a[1].capacity() > 0);
    reused::<Box<String>>(|b| b.push('x'), |b| b.is_empty() && b.capacity() > 0);
    reused::<HashMap<u8, u8>>(
        |m| assert!(m.insert(1, 1).is_none()),
        |m| m.is_empty() && m.capacity() > 0,
    );
}

#[test]
fn auto_traits() {
    fn sync<T: Sync>() {}
    fn send<T: Send>() {}
    fn calm<T: UnwindSafe + RefUnwindSafe>() {}
    // `Send` is enough: `Cell` is not `Sync`.
    sync::<Pool<Cell<u8>, RecycleHook<Cell<u8>>>>();
    send::<Pool<Vec<Cell<u8>>>>();
    send::<Pooled<'static, Vec<Cell<u8>>>>();
    send::<OwnedPooled<Vec<Cell<u8>>>>();
    sync::<Pooled<'static, Vec<u8>>>();
    calm::<Pool<Vec<u8>>>();
    calm::<Pooled<'static, Vec<u8>>>();
    calm::<OwnedPooled<Vec<u8>>>();
    send::<PooledArena<'static>>();
    send::<OwnedPooledArena>();
    send::<ArenaBytes>();
    sync::<ArenaBytes>();
    sync::<ArenaPool>();
    assert_eq!(size_of::<Pooled<'static, Vec<u8>>>(), size_of::<usize>());
}

#[test]
fn arenas_are_reset_and_reused() {
    let arenas = ArenaPool::from(steady(Pool::builder(Arena::new)).build());
    for _ in 0..10 {
        let mut arena = arenas.get();
        assert_eq!(arena.used_bytes(), 0);
        arena.alloc_str("request");
        assert!(arena.used_bytes() > 0);
        arena.scope(|inner| *inner.alloc(1u64) += 1);
    }
    assert_eq!(arenas.stats().creates, 1);
}

#[test]
fn frozen_bytes_outlive_everything_else() {
    let arenas = Arc::new(ArenaPool::new());
    let bodies: Vec<ArenaBytes> = (0..10)
        .map(|i| {
            arenas
                .get_owned()
                .freeze(|a| a.alloc_str(&format!("response {i}")).as_bytes())
        })
        .collect();
    assert_eq!(arenas.stats().outstanding, 10);
    drop(arenas);
    let thread = thread::spawn(move || {
        for (i, body) in bodies.iter().enumerate() {
            assert_eq!(body.as_ref(), format!("response {i}").as_bytes());
        }
    });
    thread.join().expect("no panic");
}
