//! What a thread hears of generations, trims and modes, and when: also in the middle of a get whose
//! drops of other objects run code of the user.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{LazyLock, Mutex};
use std::thread;

use flagstone::{Aging, Keep, Mode, Pool, Pooled, Recycle};

use crate::canary::steady;

/// Built in a generation, and does something when it is dropped.
struct Object {
    built_in: usize,
    last_act: Option<Box<dyn FnOnce() + Send>>,
}

impl Object {
    fn new(built_in: usize) -> Object {
        Object {
            built_in,
            last_act: None,
        }
    }
}

impl Recycle for Object {
    fn recycle(&mut self) -> Keep {
        Keep::Yes
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if let Some(act) = self.last_act.take() {
            act();
        }
    }
}

/// A pool whose objects know when they were built, with one in the caller's shard and one out.
macro_rules! pool {
    ($pool:ident, $now:ident, $older:ident) => {
        static $now: AtomicUsize = AtomicUsize::new(0);
        static $pool: LazyLock<Pool<Object>> =
            LazyLock::new(|| steady(Pool::builder(|| Object::new($now.load(SeqCst)))).build());
        // The second get marks nothing, so that the put may be short.
        drop($pool.get());
        let $older: Pooled<'static, Object> = $pool.get();
    };
}

fn elsewhere(work: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(work).join()).expect("no panic");
}

#[test]
fn a_generation_begun_by_a_drop_inside_a_get() {
    pool!(POOL, NOW, older);
    POOL.get().last_act = Some(Box::new(|| {
        NOW.store(1, SeqCst);
        POOL.new_generation();
    }));
    elsewhere(|| POOL.clear());
    // Drops what lies in the shard.
    assert_eq!((POOL.get().built_in, NOW.load(SeqCst)), (1, 1));
    drop(older);
    assert_eq!(POOL.get().built_in, 1);
}

#[test]
fn a_drop_that_panics_while_a_thread_hears_of_a_generation() {
    pool!(POOL, NOW, older);
    POOL.get().last_act = Some(Box::new(|| resume_unwind(Box::new(()))));
    elsewhere(|| {
        NOW.store(1, SeqCst);
        POOL.new_generation();
    });
    assert!(catch_unwind(AssertUnwindSafe(|| drop(POOL.get()))).is_err());
    drop(older);
    POOL.put(Object::new(1));
    let (a, b) = (POOL.get(), POOL.get());
    assert_eq!((a.built_in, b.built_in), (1, 1));
}

#[test]
fn an_older_guard_dropped_while_a_thread_hears_of_a_generation() {
    pool!(POOL, NOW, older);
    let older = Mutex::new(Some(older));
    POOL.get().last_act = Some(Box::new(move || {
        drop(older.lock().expect("no panic").take());
        POOL.put(Object::new(1));
    }));
    elsewhere(|| {
        NOW.store(1, SeqCst);
        POOL.new_generation();
    });
    let (a, b) = (POOL.get(), POOL.get());
    assert_eq!((a.built_in, b.built_in), (1, 1));
}

#[test]
fn a_new_generation_that_a_panicking_drop_cuts_short_has_begun_all_the_same() {
    pool!(POOL, NOW, older);
    POOL.get().last_act = Some(Box::new(|| resume_unwind(Box::new(()))));
    elsewhere(|| POOL.clear());
    NOW.store(1, SeqCst);
    assert!(catch_unwind(AssertUnwindSafe(|| POOL.new_generation())).is_err());
    drop(older);
    let (a, b) = (POOL.get(), POOL.get());
    assert_eq!((a.built_in, b.built_in), (1, 1));
}

#[test]
fn a_share_of_nothing_takes_effect_at_once_on_a_warm_thread() {
    let pool: Pool<Vec<u8>> = steady(Pool::builder(Vec::new)).build();
    drop(pool.get());
    drop(pool.get());
    let local = pool.local();
    drop(local.get());
    drop(local.get());
    let creates = pool.stats().creates;
    pool.set_mode(Mode::Share(0));
    for _ in 0..10 {
        drop((pool.get(), local.get()));
    }
    assert_eq!(pool.stats().creates, creates + 20);
}

#[test]
fn a_thread_that_ticks_has_not_forgotten_a_clear_it_missed() {
    let pool: Pool<Vec<u8>> = steady(Pool::builder(Vec::new))
        .aging(Aging::TwoGeneration)
        .build();
    drop(pool.get_many(50));
    elsewhere(|| pool.clear());
    assert_eq!(pool.tick(), 50);
    let stats = pool.stats();
    assert_eq!((stats.drops.trimmed, stats.idle), (50, 0), "{stats}");
}

/// A thread has places for the seats of eight pools, and copies of the two used last.
#[test]
fn a_pool_whose_place_another_one_took_closes_all_the_same() {
    let pool = || steady(Pool::<Vec<u8>>::builder(Vec::new)).build();
    let pools: Vec<_> = (0..9).map(|_| pool()).collect();
    let use_twice = |pool: &Pool<Vec<u8>>| (0..2).for_each(|_| drop(pool.get()));
    pools.iter().for_each(use_twice);
    for other in &pools[1..] {
        let first = &pools[0];
        first.set_mode(Mode::Always);
        use_twice(first);
        let out = first.get();
        use_twice(other);
        first.set_mode(Mode::Never);
        drop(out);
        assert_eq!(first.stats().idle, 0);
    }
}
