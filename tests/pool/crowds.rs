//! Crowds: ten thousand threads, every object exactly once, destructors, forks.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread;

use flagstone::{Aging, Keep, LeakCheck, OwnedPooled, Pool, Pooled, Recycle};

use crate::canary::{AGINGS, Canary, steady, ticking, turns};
use crate::common::threads::crowd;

/// Threads at a time: four per shard of a small machine.
const AT_A_TIME: usize = 64;

/// An object with a number of its own, and the holder's beside it.
struct Numbered {
    number: usize,
    holder: usize,
}

impl Recycle for Numbered {
    fn recycle(&mut self) -> Keep {
        self.holder = 0;
        Keep::Yes
    }
}

fn numbered(aging: Aging) -> Pool<Numbered> {
    let next = AtomicUsize::new(0);
    let create = move || Numbered {
        number: next.fetch_add(1, Ordering::Relaxed),
        holder: 0,
    };
    Pool::builder_with(create).aging(aging).build()
}

#[test]
fn ten_thousand_threads_leave_no_more_than_were_at_work_at_once() {
    let alive = Arc::default();
    let pool = steady(Canary::pool(&alive)).build();
    let (count, at_a_time) = (turns(10_000), AT_A_TIME.min(turns(AT_A_TIME)));
    for _ in 0..count / at_a_time {
        crowd(at_a_time, |_| pool.get().take());
    }
    let stats = pool.stats();
    assert_eq!(stats.gets, (count / at_a_time * at_a_time) as u64);
    assert_eq!(stats.outstanding, 0);
    assert_eq!(stats.idle, alive.load(Ordering::Relaxed) as u64);
    // Two for each of those that ran at once: a busy lock makes one rather than wait.
    let most = 2 * at_a_time as u64;
    assert!(stats.idle <= most && stats.shards <= most, "{stats}");
    drop(pool);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

type Ends = (
    SyncSender<OwnedPooled<Numbered>>,
    Receiver<OwnedPooled<Numbered>>,
);

/// One of a ring of threads: takes objects and passes them on to the next, who drops them. `taken`
/// says in whose hands each is.
fn pass_on(
    me: usize,
    count: usize,
    pool: &Arc<Pool<Numbered>>,
    taken: &[AtomicUsize],
    (sender, receiver): Ends,
) {
    for turn in 0..count {
        if turn % 256 == 0 {
            thread::yield_now();
        }
        let mut mine = pool.get_owned();
        assert_eq!(mine.holder, 0, "dirty, or somebody's");
        mine.holder = me;
        let before = taken[mine.number].swap(me, Ordering::Relaxed);
        assert_eq!(before, 0, "in two hands");
        if let Err(mpsc::TrySendError::Full(back)) = sender.try_send(mine) {
            taken[back.number].store(0, Ordering::Relaxed);
            drop(back);
        }
        while let Ok(other) = receiver.try_recv() {
            let holder = taken[other.number].swap(0, Ordering::Relaxed);
            assert_eq!(holder, other.holder, "in two hands");
        }
    }
    drop(sender);
    receiver.iter().for_each(|other| {
        let holder = taken[other.number].swap(0, Ordering::Relaxed);
        assert_eq!(holder, other.holder, "in two hands");
    });
}

#[test]
fn two_million_transfers_are_exactly_once() {
    const THREADS: usize = 4;
    let each = turns(2_000_000) / THREADS;
    for (aging, ticks) in AGINGS {
        let pool = Arc::new(numbered(aging));
        let taken: Vec<_> = (0..each * THREADS).map(|_| AtomicUsize::new(0)).collect();
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS)
            .map(|_| mpsc::sync_channel::<OwnedPooled<Numbered>>(64))
            .unzip();
        let mut senders = senders.into_iter();
        let first = senders.next().expect("four");
        ticking(&pool, ticks, || {
            let ends = senders.chain([first]).zip(receivers);
            let ends: Vec<_> = ends.map(|ends| Mutex::new(Some(ends))).collect();
            crowd(THREADS, |number| {
                let ends = ends[number].lock().expect("no panic").take();
                pass_on(number + 1, each, &pool, &taken, ends.expect("once"));
            });
        });
        let stats = pool.stats();
        let gets = (each * THREADS) as u64;
        assert_eq!((stats.gets, stats.outstanding), (gets, 0));
        assert_eq!(stats.idle + stats.drops.total(), stats.creates, "{stats}");
        assert!(
            taken
                .iter()
                .all(|holder| holder.load(Ordering::Relaxed) == 0)
        );
    }
}

/// An object of one producer's, or one that the pool made because it had none of those.
struct Item(Option<usize>);

impl Recycle for Item {
    fn recycle(&mut self) -> Keep {
        Keep::Yes
    }
}

/// After Go's test of its queues: what one puts in is taken out by nine others, and now and then by
/// the one, each exactly once.
#[test]
fn one_producer_and_nine_consumers_see_each_object_exactly_once() {
    for (aging, ticks) in AGINGS {
        let count = turns(200_000);
        let seen: Vec<_> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        let pool = Pool::builder(|| Item(None))
            .idle(0..=4 * count.max(10_000))
            .aging(aging);
        let pool = steady(pool).build();
        let (produces, got_back) = (AtomicBool::new(true), AtomicUsize::new(0));
        let take = || {
            let Item(number) = pool.get().detach();
            let before = number.map(|number| seen[number].fetch_add(1, Ordering::Relaxed));
            assert!(before.is_none_or(|before| before == 0), "seen twice");
            before.is_some()
        };
        ticking(&pool, ticks, || {
            thread::scope(|scope| {
                let consumers = [(); 9].map(|()| {
                    scope.spawn(|| {
                        while produces.load(Ordering::Relaxed) || take() {
                            if !take() {
                                thread::yield_now();
                            }
                        }
                    })
                });
                let producer = scope.spawn(|| {
                    for number in 0..count {
                        pool.put(Item(Some(number)));
                        if number % 64 == 0 {
                            thread::yield_now();
                        }
                        if number % 10 == 0 {
                            got_back.fetch_add(usize::from(take()), Ordering::Relaxed);
                        }
                    }
                });
                let produced = producer.join();
                produces.store(false, Ordering::Relaxed);
                produced.expect("no panic");
                for consumer in consumers {
                    consumer.join().expect("no panic");
                }
            });
        });
        // What is left lies where the producer was.
        while take() {}
        let stats = pool.stats();
        let seen: usize = seen.iter().map(|seen| seen.load(Ordering::Relaxed)).sum();
        assert_eq!(seen as u64 + stats.drops.total(), count as u64, "{stats}");
        assert_eq!((stats.idle, stats.outstanding), (0, 0), "{stats}");
        assert!(cfg!(miri) || got_back.into_inner() > 0, "its own come back");
    }
}

#[test]
fn destructors_of_many_threads_use_the_pool_and_lose_nothing() {
    static POOL: Pool<Vec<u8>> = Pool::new(Vec::new);
    struct Late(Vec<Pooled<'static, Vec<u8>>>);
    impl Drop for Late {
        fn drop(&mut self) {
            self.0.push(POOL.get());
            self.0.extend(POOL.get_many(100));
            self.0.clear();
            POOL.local().get().push(1);
        }
    }
    thread_local!(static LATE: RefCell<Late> = const { RefCell::new(Late(Vec::new())) });
    for turn in 0..turns(10_000).min(100) {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                thread::spawn(move || {
                    // Both orders: who is registered first is destroyed last, or first.
                    if turn % 2 == 0 {
                        LATE.with_borrow(|late| assert!(late.0.is_empty()));
                    }
                    let guards = POOL.get_many(3);
                    LATE.with_borrow_mut(|late| late.0.extend(guards));
                })
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().expect("no panic"));
    }
    let stats = POOL.stats();
    assert_eq!(stats.outstanding, 0);
    assert_eq!(stats.idle + stats.drops.total(), stats.creates, "{stats}");
}

/// A child has the forking thread alone; what the others had is out of reach and nobody's.
#[test]
#[cfg(unix)]
#[cfg_attr(miri, ignore = "no fork under the interpreter")]
fn a_forked_child_goes_on_with_its_parents_pool() {
    let alive = Arc::default();
    // A lock of the leak check could be held by a thread that the child does not have.
    // Nor may it need a slot, as the lock of those is waited for.
    let builder = steady(Canary::pool(&alive));
    let pool = builder.leak_check(LeakCheck::Off).build();
    drop(pool.get_many(200));
    let stop = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while stop.load(Ordering::Relaxed) == 0 {
                drop(pool.get_many(150));
            }
        });
        for _ in 0..20 {
            // SAFETY: the child calls nothing but the pool, whose locks it only tries, and `_exit`.
            unsafe {
                let child = libc::fork();
                assert!(child >= 0);
                if child == 0 {
                    for _ in 0..100 {
                        pool.get().take();
                    }
                    let mut held = [pool.get(), pool.get()];
                    held.iter_mut().for_each(|object| object.take());
                    drop(held);
                    libc::_exit(0);
                }
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                assert_eq!(status, 0, "the child fell over or found an object twice");
            }
        }
        stop.store(1, Ordering::Relaxed);
    });
}

/// All pools have room for their magazines from one place.
#[test]
fn pools_of_other_threads_cost_a_pool_no_room() {
    let pool = || steady(Pool::<Vec<u8>>::builder(Vec::new)).build();
    let over = AtomicBool::new(false);
    let rounds = turns(1000);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let other = pool();
                while !over.load(Ordering::Relaxed) {
                    drop(other.get_many(300));
                    other.clear();
                }
            });
        }
        let pool = pool();
        let (mut lost, mut kept) = (0, 0);
        for _ in 0..rounds {
            drop(pool.get_many(200));
            lost += usize::from(pool.stats().idle != 200);
            pool.clear();
            kept += usize::from(pool.stats().idle != 0);
        }
        over.store(true, Ordering::Relaxed);
        assert_eq!((lost, kept), (0, 0));
    });
}
