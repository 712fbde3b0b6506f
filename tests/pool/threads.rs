//! Many threads, short-lived threads, threads that are being torn down.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, LazyLock, mpsc};
use std::thread;

use flagstone::{Keep, LeakCheck, LocalHandle, OwnedPooled, Pool, Pooled};

use crate::canary::{AGINGS, Canary, steady, ticking, turns};
use crate::common::threads::{crowd, elsewhere};

#[test]
fn ten_threads_never_meet_a_foreign_or_dirty_object() {
    for (aging, ticks) in AGINGS {
        let alive = Arc::default();
        let pool = Canary::pool(&alive).aging(aging).build();
        let work = || {
            for turn in 0..turns(1_000_000) {
                let mut one = pool.get();
                one.take();
                if turn % 16 == 0 {
                    pool.get().take();
                }
                if turn % 1024 == 0 {
                    thread::yield_now();
                }
            }
        };
        ticking(&pool, ticks, || {
            crowd(10, |_| work());
        });
        let stats = pool.stats();
        assert!(
            stats.outstanding == 0 && (stats.ticks > 0 || !ticks),
            "{stats}"
        );
        assert_eq!(stats.idle, alive.load(Ordering::Relaxed) as u64);

        drop(pool);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn objects_pass_from_producer_to_consumer_exactly_once() {
    let alive = Arc::default();
    let pool = steady(Canary::pool(&alive).idle(0..=1000)).build();
    let count = turns(2_000_000);
    let (send, receive) = mpsc::sync_channel::<Pooled<'_, Canary>>(100);
    thread::scope(|scope| {
        let pool = &pool;
        let producer = scope.spawn(move || {
            for _ in 0..count {
                let mut object = pool.get();
                object.take();
                send.send(object).expect("the consumer waits");
            }
        });
        let consumer = scope.spawn(move || assert_eq!(receive.iter().count(), count));
        for thread in [producer, consumer] {
            thread.join().expect("no panic");
        }
    });
    let stats = pool.stats();
    assert_eq!(stats.gets, count as u64);
    assert_eq!(
        (stats.outstanding, stats.idle),
        (0, alive.load(Ordering::Relaxed) as u64)
    );
    assert!(
        cfg!(miri) || stats.hits > stats.gets / 2,
        "magazines come back: {stats}"
    );
}

#[test]
fn guard_may_be_dropped_elsewhere_and_its_object_is_found_again() {
    let pool: Pool<Vec<u8>> = steady(Pool::builder(Vec::new)).build();
    let guard = pool.get();
    let address = &raw const *guard;
    let address = address.addr();
    elsewhere(move || drop(guard));
    // The other thread is gone, with its shard; what it had is not.
    let again = pool.get();
    assert_eq!((&raw const *again).addr(), address);
    assert_eq!(pool.stats().creates, 1);
}

#[test]
fn guard_dropped_by_a_thread_local_destructor_is_not_lost() {
    static POOL: LazyLock<Pool<Vec<u8>>> =
        LazyLock::new(|| steady(Pool::builder(Vec::new)).build());
    struct Late(Option<Pooled<'static, Vec<u8>>>);
    impl Drop for Late {
        fn drop(&mut self) {
            self.0 = None;
            POOL.get().push(1);
        }
    }
    thread_local!(static LATE: RefCell<Late> = const { RefCell::new(Late(None)) });
    // Both orders: the destructor registered first runs last or first, as the platform likes.
    for late_first in [true, false] {
        let thread = thread::spawn(move || {
            if late_first {
                LATE.with(|late| late.borrow_mut().0.is_none());
            }
            let guard = POOL.get();
            LATE.with(|late| late.borrow_mut().0 = Some(guard));
        });
        thread.join().expect("no panic");
    }
    let stats = POOL.stats();
    assert_eq!((stats.outstanding, stats.drops.total()), (0, 0));
    assert!(stats.creates <= 2 && stats.idle == stats.creates);
}

#[test]
fn pool_in_a_thread_local_dies_with_its_thread() {
    thread_local!(static POOL: Pool<Vec<Rc<u8>>> = const { Pool::new(Vec::new) });
    let thread = thread::spawn(|| {
        POOL.with(|pool| {
            pool.get().push(Rc::new(1));
            assert_eq!(pool.stats().idle, 1);
        });
    });
    thread.join().expect("no panic");
}

#[test]
fn owned_guards_outlive_every_other_handle() {
    let alive = Arc::default();
    let pool = Arc::new(Canary::pool(&alive).build());
    let guards: Vec<OwnedPooled<Canary>> = (0..100).map(|_| pool.get_owned()).collect();
    drop(pool);
    let threads = guards
        .into_iter()
        .map(|guard| thread::spawn(move || drop(guard)));
    threads.for_each(|thread| thread.join().expect("no panic"));
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn more_threads_than_shards_take_turns_at_the_depot() {
    let alive = Arc::default();
    for max in [0, 1, 3, 8, 64] {
        let pool = Canary::pool(&alive).idle(0..=max).build();
        let ready = Barrier::new(20);
        crowd(20, |_| {
            ready.wait();
            for _ in 0..turns(20_000) {
                let mut held = [pool.get(), pool.get()];
                held.iter_mut().for_each(|object| object.take());
            }
        });
        let stats = pool.stats();
        assert!(stats.idle <= max as u64, "{max}: {stats}");
        assert_eq!(
            (stats.outstanding, stats.idle),
            (0, alive.load(Ordering::Relaxed) as u64)
        );
    }
}

#[test]
fn clear_reaches_a_running_thread_at_its_next_get() {
    static GENERATION: AtomicUsize = AtomicUsize::new(0);
    let built = || Cell::new(GENERATION.load(Ordering::SeqCst));
    let pool: Pool<Cell<usize>, _> = steady(Pool::builder(built))
        .recycle_with(|_| Keep::Yes)
        .leak_check(LeakCheck::Sampled)
        .build();
    let step = Barrier::new(2);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let local = pool.local();
            drop([pool.get(), pool.get(), pool.get()]);
            drop(local.get());
            step.wait();
            step.wait();
            assert_eq!(pool.get().get(), 1);
            assert_eq!(local.get().get(), 1);
        });
        step.wait();
        GENERATION.store(1, Ordering::SeqCst);
        pool.clear();
        step.wait();
        other.join().expect("no panic");
    });
    assert_eq!(pool.stats().drops.trimmed, 4);
}

#[test]
fn local_handles_share_the_pool() {
    let alive = Arc::default();
    let pool = Canary::pool(&alive).build();
    crowd(4, |_| {
        let (one, two) = (pool.local(), pool.local());
        for turn in 0..turns(100_000) {
            one.get().take();
            let mut held: Vec<_> = (0..turn % 200).map(|_| two.get()).collect();
            held.iter_mut().for_each(|object| object.take());
            pool.get().take();
        }
    });
    let stats = pool.stats();
    assert_eq!(
        (stats.outstanding, stats.idle),
        (0, alive.load(Ordering::Relaxed) as u64)
    );
    drop(pool);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn local_handle_in_a_thread_local_is_sound() {
    static POOL: LazyLock<Pool<Vec<u8>>> =
        LazyLock::new(|| steady(Pool::builder(Vec::new)).build());
    struct Late(LocalHandle<'static, Vec<u8>>);
    impl Drop for Late {
        fn drop(&mut self) {
            self.0.get().push(1);
            POOL.get().push(2);
        }
    }
    thread_local!(static LATE: Late = Late(POOL.local()));
    for _ in 0..10 {
        let thread = thread::spawn(|| LATE.with(|late| late.0.get().push(0)));
        thread.join().expect("no panic");
    }
    let stats = POOL.stats();
    assert_eq!(stats.outstanding, 0);
    assert!(
        stats.creates <= 2,
        "the next thread finds what the last one left: {stats}"
    );
}

#[test]
fn thousands_of_pools_and_threads_leave_nothing_behind() {
    let alive: Arc<AtomicUsize> = Arc::default();
    let pools = if cfg!(miri) { 5 } else { 5000 };
    for _ in 0..pools {
        let pool = Canary::pool(&alive).build();
        pool.get().take();
    }
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    let pools: Vec<_> = (0..100).map(|_| Canary::pool(&alive).build()).collect();
    for _ in 0..3 {
        pools.iter().for_each(|pool| pool.get().take());
    }
    crowd(turns(100_000).min(50), |_| {
        pools.iter().for_each(|pool| pool.get().take());
    });
    drop(pools);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}
