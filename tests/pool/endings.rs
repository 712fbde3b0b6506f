//! Last moments: pools in the destructors of thread-locals, and in a child that was forked.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};
use std::thread;

use flagstone::{
    ArenaBytes, ArenaPool, OwnedPooled, OwnedPooledArena, Pool, PoolStats, Pooled, PooledArena,
    StaticPool, StaticPooled,
};

use crate::canary::steady;

/// Nobody has an object of a pool, and none got lost. Threads that are being torn down may have
/// made one more than needed.
fn is_settled(stats: PoolStats) {
    assert_eq!(stats.outstanding, 0, "{stats}");
    assert_eq!(stats.drops.total() + stats.idle, stats.creates, "{stats}");
}

#[test]
fn pools_that_a_thread_first_meets_in_a_destructor_lose_nothing() {
    // Exact figures follow, so not a pool that measures.
    static POOL: LazyLock<Pool<Vec<u8>>> =
        LazyLock::new(|| steady(Pool::builder(Vec::new)).build());
    static ARENAS: ArenaPool = ArenaPool::new();
    static FEW: StaticPool<u8, 4> = StaticPool::new(|| 0);
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            // The first of all: there is no pool yet.
            POOL.get().push(1);
            drop(POOL.get_many(200));
            POOL.put(POOL.get().detach());
            POOL.local().get().push(2);
            ARENAS.get().alloc_str("late");
            *FEW.try_get().expect("four") += 1;
        }
    }
    thread_local!(static LATE: Late = const { Late });
    for _ in 0..10 {
        let thread = thread::spawn(|| LATE.with(|_| ()));
        thread.join().expect("no panic");
    }
    is_settled(ARENAS.stats());
    let stats = POOL.stats();
    assert_eq!((stats.outstanding, FEW.in_use()), (0, 0), "{stats}");
    // The next thread finds what the last one left. One was taken out and brought back.
    assert!(
        stats.creates <= 210 && stats.idle == stats.creates,
        "{stats}"
    );
}

/// A guard of each kind that a thread can keep; they go back in this order.
struct Kept {
    _owned: OwnedPooled<Vec<u8>>,
    _borrowed: Pooled<'static, Vec<u8>>,
    _arena: PooledArena<'static>,
    _owned_arena: OwnedPooledArena,
    _bytes: ArenaBytes,
    _of_few: StaticPooled<'static, u8>,
}

#[test]
fn guards_that_a_thread_local_keeps_go_back_when_their_thread_ends() {
    static POOL: LazyLock<Arc<Pool<Vec<u8>>>> = LazyLock::new(|| Arc::new(Pool::new(Vec::new)));
    static ARENAS: LazyLock<Arc<ArenaPool>> = LazyLock::new(Arc::default);
    static FEW: StaticPool<u8, 4> = StaticPool::new(|| 0);
    thread_local!(static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) });
    fn keep() {
        let kept = Kept {
            _owned: POOL.get_owned(),
            _borrowed: POOL.get(),
            _arena: ARENAS.get(),
            _owned_arena: ARENAS.get_owned(),
            _bytes: ARENAS
                .get_owned()
                .freeze(|arena| arena.alloc_str("kept").as_bytes()),
            _of_few: FEW.try_get().expect("four"),
        };
        KEPT.set(Some(kept));
    }
    for kept_before in [true, false] {
        let thread = thread::spawn(move || {
            // Which of the destructors runs first hangs on who is met first.
            if kept_before {
                KEPT.with_borrow(|kept| assert!(kept.is_none()));
            }
            keep();
            assert_eq!((POOL.stats().outstanding, FEW.in_use()), (2, 1));
        });
        thread.join().expect("no panic");
        is_settled(POOL.stats());
        is_settled(ARENAS.stats());
        assert_eq!(FEW.in_use(), 0);
    }
}

#[cfg(unix)]
mod forked {
    //! Children that go on with their parents' pools.

    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Barrier};
    use std::thread;
    use std::time::Duration;

    use flagstone::pages::{MmapSource, Pages};
    use flagstone::{LeakCheck, Pool, PoolBuilder};

    use crate::canary::{Canary, steady};

    /// Objects that the parent has out.
    const OUT: usize = 100;

    /// Whether `work` comes to its end in a child. Whoever hangs there dies.
    fn in_a_child(work: impl FnOnce()) -> bool {
        // SAFETY: the child has one thread, this one, which calls nothing but `work`, whose pool
        // nobody used at that moment, and then `_exit`.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::alarm(600);
                let well = catch_unwind(AssertUnwindSafe(work)).is_ok();
                libc::_exit(i32::from(!well));
            }
            let mut status = -1;
            child > 0 && libc::waitpid(child, &raw mut status, 0) == child && status == 0
        }
    }

    /// Everything there is to do.
    fn use_up(pool: &Pool<Canary>, alive: &Arc<AtomicUsize>) {
        let take_many = || {
            let mut many = pool.get_many(500);
            many.iter_mut().for_each(|object| object.take());
            many
        };
        let many = take_many();
        assert_eq!(pool.get_many(500).len(), 500);
        drop(many);
        drop(take_many());
        pool.put(Canary::new(alive));
        pool.local().get().take();
        pool.prefill(2000);
        pool.tick();
        pool.trim(300);
        drop(take_many());
        pool.new_generation();
        drop(take_many());
        assert!(pool.leak_suspects().is_empty());
        // How many are idle hangs on the room for magazines, whose lock another pool's user may
        // have had at the moment of the fork.
        let stats = pool.stats();
        assert_eq!(stats.outstanding, OUT as u64, "{stats}");
        assert!(!pool.advice().to_string().is_empty());
        pool.clear();
    }

    /// On pages of its own: whatever other tests do at that moment is none of the child's business.
    fn resting(alive: &Arc<AtomicUsize>, check: LeakCheck) -> PoolBuilder<Canary> {
        let pages: &'static Pages = Box::leak(Box::new(Pages::new(&MmapSource)));
        steady(Canary::pool(alive))
            .pages(pages)
            .leak_check(check)
            .leak_after(Duration::from_secs(3600))
    }

    #[test]
    #[cfg_attr(miri, ignore = "no fork under the interpreter")]
    fn a_child_forked_while_a_pool_rests_can_do_everything_with_it() {
        for check in [LeakCheck::Off, LeakCheck::Sampled, LeakCheck::Every] {
            let alive = Arc::default();
            let pool = resting(&alive, check).build();
            let held = pool.get_many(OUT - 1);
            drop(pool.get_many(200));
            let asleep = Barrier::new(2);
            thread::scope(|scope| {
                let ended = scope.spawn(|| drop(pool.get_many(50)));
                ended.join().expect("no panic");
                scope.spawn(|| {
                    let mine = pool.get();
                    drop(pool.get_many(50));
                    asleep.wait();
                    asleep.wait();
                    drop(mine);
                });
                asleep.wait();
                // A child's child finds no less.
                let well = in_a_child(|| {
                    use_up(&pool, &alive);
                    assert!(in_a_child(|| use_up(&pool, &alive)));
                });
                asleep.wait();
                assert!(well, "{check:?}");
            });
            // The parent's is what it was.
            drop(held);
            let stats = pool.stats();
            assert_eq!(stats.outstanding, 0);
            assert_eq!(stats.idle, alive.load(Ordering::Relaxed) as u64, "{stats}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "no fork under the interpreter")]
    fn a_forked_child_drops_its_pool_and_all_that_is_in_it() {
        let alive = Arc::default();
        let pool = Arc::new(resting(&alive, LeakCheck::Sampled).build());
        drop(pool.get_many(200));
        let held: Vec<_> = (0..10).map(|_| pool.get_owned()).collect();
        thread::scope(|scope| {
            let ended = scope.spawn(|| drop(pool.get_many(50)));
            ended.join().expect("no panic");
        });
        let inherited = Arc::clone(&alive);
        assert!(in_a_child(move || {
            drop(pool);
            drop(held);
            assert_eq!(inherited.load(Ordering::Relaxed), 0);
        }));
        // The parent let go of it, too.
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    }
}
