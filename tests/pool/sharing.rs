//! Guards that several threads look at, and guards that end on another thread.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use flagstone::{Arena, ArenaPool, Pool, PoolStats, StaticPool};

use crate::canary::{Canary, steady, turns};

/// What each thread reads: more than a cache line.
const NUMBERS: usize = 1000;

/// Four threads read what a guard leads to, while this one does, too.
fn read_by_many<G: Deref<Target = T> + Sync, T: AsRef<[u32]>>(guard: &G) {
    let check = || {
        for _ in 0..turns(1_000_000) / NUMBERS {
            let numbers: &[u32] = guard.as_ref();
            assert!(
                numbers
                    .iter()
                    .zip(7..)
                    .all(|(found, number)| *found == number)
            );
            assert_eq!(numbers.len(), NUMBERS);
        }
    };
    thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(check)));
        check();
    });
}

#[test]
fn a_guard_of_any_kind_is_read_by_many_threads_at_once() {
    let pool: Arc<Pool<Vec<u32>>> = Arc::new(Pool::new(Vec::new));
    for _ in 0..3 {
        let mut guard = pool.get();
        guard.extend((7..).take(NUMBERS));
        read_by_many(&guard);
        let mut owned = pool.get_owned();
        owned.extend((7..).take(NUMBERS));
        read_by_many(&owned);
    }
    assert_eq!((pool.stats().outstanding, pool.stats().returns), (0, 6));
    static FEW: StaticPool<[u32; NUMBERS], 2> = StaticPool::new(|| [0; NUMBERS]);
    let mut guard = FEW.try_get().expect("two");
    guard
        .iter_mut()
        .zip(7..)
        .for_each(|(place, number)| *place = number);
    read_by_many(&guard);
    let arenas = Arc::new(ArenaPool::new());
    let text: String = ('a'..='z').cycle().take(NUMBERS).collect();
    let bytes = arenas
        .get_owned()
        .freeze(|arena| arena.alloc_str(&text).as_bytes());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(bytes.as_ref(), text.as_bytes()));
        }
    });
}

/// Guards that `get` answers with are changed and dropped elsewhere, and their objects come back.
fn dropped_elsewhere<G: Send>(
    stats: impl Fn() -> PoolStats,
    get: impl Fn() -> G,
    change: impl Fn(&mut G) + Sync,
) {
    for _ in 0..3 {
        let mut guards = [get(), get(), get()];
        guards.iter_mut().for_each(&change);
        let change = &change;
        thread::scope(|scope| {
            let [one, mut two, three] = guards;
            // The last of them stays with who made it.
            let thread = scope.spawn(move || {
                change(&mut two);
                drop((one, two));
            });
            thread.join().expect("no panic");
            drop(three);
        });
        let stats = stats();
        assert_eq!(stats.outstanding, 0, "{stats}");
        // A busy lock makes an object more, or drops one.
        assert!(stats.creates <= 6, "{stats}");
        assert_eq!(stats.idle + stats.drops.total(), stats.creates, "{stats}");
    }
}

#[test]
fn a_guard_of_any_kind_may_be_dropped_elsewhere() {
    let alive = Arc::default();
    let pool = Arc::new(steady(Canary::pool(&alive)).build());
    let look = |canary: &Canary| assert!(canary.taken.load(Ordering::Relaxed));
    let get = || {
        let mut guard = pool.get();
        guard.take();
        guard
    };
    dropped_elsewhere(|| pool.stats(), get, |guard| look(guard));
    let get = || {
        let mut guard = pool.get_owned();
        guard.take();
        guard
    };
    dropped_elsewhere(|| pool.stats(), get, |guard| look(guard));
    assert_eq!(alive.load(Ordering::Relaxed) as u64, pool.stats().idle);

    let arenas = steady(Pool::builder(Arena::new)).build();
    let arenas = Arc::new(ArenaPool::from(arenas));
    let get = || {
        let arena = arenas.get();
        assert_eq!(arena.used_bytes(), 0, "as good as new");
        arena
    };
    dropped_elsewhere(
        || arenas.stats(),
        get,
        |arena| assert_eq!(*arena.alloc(5), 5),
    );
    let get = || {
        let arena = arenas.get_owned();
        assert_eq!(arena.used_bytes(), 0, "as good as new");
        arena
    };
    dropped_elsewhere(
        || arenas.stats(),
        get,
        |arena| assert_eq!(*arena.alloc(6), 6),
    );
    let get = || {
        arenas
            .get_owned()
            .freeze(|arena| arena.alloc_str("sent").as_bytes())
    };
    dropped_elsewhere(
        || arenas.stats(),
        get,
        |bytes| assert_eq!(**bytes, *b"sent"),
    );
}
