//! A new generation retires everything that was built before.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flagstone::{Aging, Keep, LeakCheck, Pool, PoolBuilder, Pooled, Recycle};

use crate::canary::{steady, turns};

/// Knows the configuration it was built by.
struct Built(usize);

impl Recycle for Built {
    fn recycle(&mut self) -> Keep {
        Keep::Yes
    }
}

/// As [`Built`], where the note takes another line.
#[repr(align(128))]
struct Wide(usize, [u8; 120]);

impl Recycle for Wide {
    fn recycle(&mut self) -> Keep {
        Keep::Yes
    }
}

#[test]
fn no_object_of_before_is_handed_out_again() {
    fn check<T: Recycle + Send>(builder: PoolBuilder<T>, is_old: fn(&T) -> bool) {
        let pool = steady(builder.idle(0..=1000)).build();
        pool.prefill(100);
        let out: Vec<_> = (0..200).map(|_| pool.get()).collect();
        assert!(out.iter().all(|object| is_old(object)));
        NOW.store(2, Ordering::Relaxed);
        drop(pool.get());
        assert_eq!(pool.new_generation(), 1);
        let (mut out, young) = (out, pool.get());
        let rest = out.split_off(100);
        drop(out);
        drop(young);
        thread::scope(|scope| {
            scope.spawn(|| drop(rest)).join().expect("no panic");
        });
        let all: Vec<_> = (0..300).map(|_| pool.get()).collect();
        assert!(all.iter().all(|object| !is_old(object)));
        drop(all);
        let stats = pool.stats();
        assert_eq!((stats.drops.retired, stats.outstanding), (201, 0));
        assert_eq!(stats.idle, stats.creates - 201);
        // And the next one.
        assert_eq!(pool.new_generation() as u64, stats.idle);
        drop(pool.get());
        assert_eq!(pool.stats().idle, 1);
        NOW.store(1, Ordering::Relaxed);
    }
    static NOW: AtomicUsize = AtomicUsize::new(1);
    let built = || Pool::builder(|| Built(NOW.load(Ordering::Relaxed)));
    check(built(), |object| object.0 == 1);
    check(built().leak_check(LeakCheck::Every), |object| object.0 == 1);
    check(built().max_live(1000), |object| object.0 == 1);
    assert_eq!(size_of::<Wide>(), 128);
    let wide = Pool::builder(|| Wide(NOW.load(Ordering::Relaxed), [0; 120]));
    check(wide, |object| object.0 == 1 && object.1[0] == 0);
}

#[test]
fn handles_and_threads_that_were_there_before_give_theirs_up() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    let built = || Built(NOW.load(Ordering::SeqCst));
    let pool: Pool<Built> = steady(Pool::builder(built)).build();
    let step = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            let local = pool.local();
            let (held, held_locally) = (pool.get(), local.get());
            drop([pool.get(), pool.get()]);
            drop(local.get());
            step.wait();
            step.wait();
            assert_eq!((local.get().0, pool.get().0), (1, 1));
            drop((held, held_locally));
            for _ in 0..200 {
                let (a, b) = (pool.get(), local.get());
                assert_eq!((a.0, b.0), (1, 1));
            }
            let creates = pool.stats().creates;
            drop((pool.get(), local.get()));
            assert_eq!(pool.stats().creates, creates, "the new ones are kept");
        });
        step.wait();
        NOW.store(1, Ordering::SeqCst);
        pool.new_generation();
        step.wait();
    });
    // What ended threads left is not forgotten: from the next generation nothing is served.
    NOW.store(2, Ordering::SeqCst);
    pool.new_generation();
    assert!(
        (0..20)
            .map(|_| pool.get())
            .collect::<Vec<_>>()
            .iter()
            .all(|object| object.0 == 2)
    );
}

#[test]
fn old_objects_of_a_thread_that_ends_are_not_found_by_others() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    let pool: Pool<Built> = Pool::new(|| Built(NOW.load(Ordering::SeqCst)));
    let step = Barrier::new(2);
    // A shard of this thread's own: otherwise it leases the other's, and puts that in order.
    drop(pool.get());
    for (now, trims) in [(1, false), (2, true)] {
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                drop((0..10).map(|_| pool.get()).collect::<Vec<_>>());
                step.wait();
                step.wait();
            });
            step.wait();
            NOW.store(now, Ordering::SeqCst);
            pool.new_generation();
            step.wait();
            other.join().expect("no panic");
        });
        // Its shard is free, and full of what is old.
        if trims {
            pool.trim(100);
        }
        let found: Vec<_> = (0..20).map(|_| pool.get()).collect();
        assert!(found.iter().all(|object| object.0 == now));
    }
}

#[test]
fn a_handle_whose_magazines_are_full_retires_what_is_old() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    let pool: Pool<Built> = steady(Pool::builder(|| Built(NOW.load(Ordering::SeqCst))))
        .leak_check(LeakCheck::Sampled)
        .build();
    let local = pool.local();
    let mut held: Vec<_> = (0..130).map(|_| local.get()).collect();
    // The warmest slot, and one magazine.
    held.truncate(130 - 64);
    NOW.store(1, Ordering::SeqCst);
    thread::scope(|scope| {
        scope
            .spawn(|| pool.new_generation())
            .join()
            .expect("no panic");
    });
    // The one that finds no room leads the handle to what happened.
    drop(held.pop());
    assert_eq!(pool.stats().drops.retired, 65);
    drop(held);
    assert_eq!(pool.stats().drops.retired, 130);
    assert_eq!(local.get().0, 1);
}

#[test]
fn a_trim_after_a_generation() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    let pool: Pool<Built> = Pool::new(|| Built(NOW.load(Ordering::SeqCst)));
    thread::scope(|scope| {
        drop((0..20).map(|_| pool.get()).collect::<Vec<_>>());
        NOW.store(1, Ordering::SeqCst);
        scope
            .spawn(|| pool.new_generation())
            .join()
            .expect("no panic");
        pool.trim(100);
        assert!(
            (0..20)
                .map(|_| pool.get())
                .collect::<Vec<_>>()
                .iter()
                .all(|object| object.0 == 1)
        );
    });
}

#[test]
fn a_generation_begun_by_a_recycle_retires_the_object_at_hand() {
    static POOL: Pool<Restless> = Pool::new(|| Restless(false));
    struct Restless(bool);
    impl Recycle for Restless {
        fn recycle(&mut self) -> Keep {
            if self.0 {
                POOL.new_generation();
            }
            Keep::Yes
        }
    }
    for _ in 0..10 {
        let mut object = POOL.get();
        assert!(!object.0);
        object.0 = true;
        drop(object);
        assert!(!POOL.get().0);
    }
}

#[test]
fn generations_while_threads_get_and_put() {
    static BUILT_BY: AtomicUsize = AtomicUsize::new(0);
    static LEAST: AtomicUsize = AtomicUsize::new(0);
    let built = || Built(BUILT_BY.load(Ordering::SeqCst));
    // One that pools for sure: something is to be retired.
    let pool: Pool<Built> = steady(Pool::builder(built)).build();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let local = pool.local();
                    for turn in 0..turns(200_000) {
                        let least = LEAST.load(Ordering::SeqCst);
                        let (a, b) = (pool.get(), local.get());
                        assert!(a.0 >= least && b.0 >= least, "{} {} {least}", a.0, b.0);
                        if turn % 64 == 0 {
                            let held: Vec<_> = (0..100).map(|_| pool.get()).collect();
                            assert!(held.iter().all(|object| object.0 >= least));
                        }
                    }
                })
            })
            .collect();
        for generation in 1..if cfg!(miri) { 5 } else { 500 } {
            // One at least is idle and old, whatever the others come to.
            drop(pool.get());
            BUILT_BY.store(generation, Ordering::SeqCst);
            pool.new_generation();
            LEAST.store(generation, Ordering::SeqCst);
            thread::yield_now();
        }
        workers
            .into_iter()
            .for_each(|worker| worker.join().expect("no panic"));
    });
    let stats = pool.stats();
    assert_eq!(stats.outstanding, 0);
    assert!(stats.drops.retired > 0);
}

/// Built in the moment of its number.
struct Dated(usize);

impl Recycle for Dated {
    fn recycle(&mut self) -> Keep {
        Keep::Yes
    }
}

#[test]
fn no_old_object_is_handed_out_whatever_else_goes_on() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    let pool: Pool<Dated> = steady(Pool::builder(|| Dated(NOW.load(Ordering::SeqCst))))
        .aging(Aging::TwoGeneration)
        .idle(0..=1000)
        .build();
    let (begun, old) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let generations = turns(300);
    let goes_on = || begun.load(Ordering::SeqCst) < generations;
    let use_many = |count: usize| {
        let get = || {
            let at_least = begun.load(Ordering::SeqCst);
            let object = pool.get();
            old.fetch_add(usize::from(object.0 < at_least), Ordering::Relaxed);
            object
        };
        // The one who begins generations is to have its turn, on a machine with few processors too.
        while goes_on() {
            drop((0..count).map(|_| get()).collect::<Vec<_>>());
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        for count in [1, 3, 200] {
            scope.spawn(move || use_many(count));
        }
        scope.spawn(|| {
            while goes_on() {
                pool.tick();
                pool.trim(100);
                pool.prefill(10);
                thread::yield_now();
            }
        });
        for generation in 1..=generations {
            NOW.store(generation, Ordering::SeqCst);
            pool.new_generation();
            begun.store(generation, Ordering::SeqCst);
            thread::yield_now();
        }
    });
    assert_eq!(old.into_inner(), 0);
}

#[test]
fn an_object_prefilled_while_a_generation_begins_is_an_old_one() {
    static POOL: Pool<Dated> = Pool::new(|| {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            POOL.new_generation();
        }
        Dated(number)
    });
    POOL.prefill(2);
    assert_eq!(POOL.get().0, 1);
    let stats = POOL.stats();
    assert_eq!((stats.drops.retired, stats.outstanding), (1, 0), "{stats}");
}

/// Begins a generation when it is dropped, and puts an older object back after that.
struct Meddler(Option<Pooled<'static, Meddler>>, usize);

impl Recycle for Meddler {
    fn recycle(&mut self) -> Keep {
        Keep::Yes
    }
}

static MEDDLED: Pool<Meddler> = Pool::new(|| {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    Meddler(None, MADE.fetch_add(1, Ordering::Relaxed))
});

impl Drop for Meddler {
    fn drop(&mut self) {
        if let Some(older) = self.0.take() {
            MEDDLED.new_generation();
            drop(older);
        }
    }
}

#[test]
fn a_get_hands_out_no_object_of_before_the_generation_that_a_drop_in_it_begins() {
    // Its second get marks nothing, so that its put may be fast.
    drop(MEDDLED.get());
    let older = MEDDLED.get();
    MEDDLED.get().0 = Some(older);
    // The next get of this thread drops what lies in its shard.
    thread::scope(|scope| scope.spawn(|| MEDDLED.trim(0)).join()).expect("no panic");
    assert_eq!(MEDDLED.get().1, 2, "a new one");
}

#[test]
fn a_full_handle_keeps_no_old_object_after_it_heard_of_a_generation() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    let pool: Pool<Dated> = Pool::new(|| Dated(NOW.load(Ordering::Relaxed)));
    let local = pool.local();
    let count = 400;
    drop((0..count).map(|_| local.get()).collect::<Vec<_>>());
    let out: Vec<_> = (0..count).map(|_| local.get()).collect();
    NOW.store(1, Ordering::Relaxed);
    pool.new_generation();
    drop(out);
    let again: Vec<_> = (0..count).map(|_| local.get().0).collect();
    assert!(again.iter().all(|number| *number == 1));
}
