//! Owners of cached memory answer a budget that runs short: each fills its cache, another owner
//! takes all that is left, and the next slow path of the first makes room for more.

use std::alloc::Layout;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use flagstone::pages::{HeapSource, MmapSource, PageSource, Pages};
use flagstone::{Arena, ArenaPool, Heap, Keep, LeakCheck, Pool, RecycleHook, Slab};

use crate::common::steady::steady;

const LIMIT: usize = 16 << 20;
/// What an owner caches before the others come, at least.
const CACHED: usize = 8 << 20;
/// What it has to give back, at least: slack for an open chunk and for spans that are in use.
const GIVEN: usize = 6 << 20;
const BLOCK: usize = 64 << 10;

/// What each script runs over. The second cannot return pages to the system.
const SOURCES: [&dyn PageSource; 2] = [&MmapSource, &HeapSource];

fn pages_over(source: &'static dyn PageSource) -> &'static Pages {
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(source)));
    pages.set_limit(Some(LIMIT));
    pages.set_purge_delay(None);
    pages
}

/// Takes block after block until one is refused. Returns how many it got.
fn take_all(heap: &Heap) -> usize {
    let layout = Layout::from_size_align(BLOCK, 8).unwrap();
    (0..).take_while(|_| heap.allocate(layout).is_ok()).count()
}

/// `fill` makes an owner that caches memory; `visit` is its next slow path.
fn answers<O>(fill: impl Fn(&'static Pages) -> O, visit: impl Fn(&mut O)) {
    for source in SOURCES {
        let pages = pages_over(source);
        let mut owner = fill(pages);
        let cached = pages.stats().active;
        assert!(cached >= CACHED, "{source:?}: {cached}");
        let heap = Heap::builder().pages(pages).build().unwrap();
        let taken = take_all(&heap) * BLOCK;
        let full = pages.stats();
        assert_eq!(full.active, cached + taken, "{source:?}: nobody visited");
        assert!(full.charged > LIMIT / 10 * 9);

        visit(&mut owner);
        let left = pages.stats().active;
        assert!(
            left + GIVEN <= full.active,
            "{source:?}: {full} then {left}"
        );
        let more = take_all(&heap) * BLOCK;
        assert!(more >= GIVEN, "{source:?}: {more}");
    }
}

fn filled_arena(pages: &'static Pages) -> Arena {
    let mut arena = Arena::builder().pages(pages).build().unwrap();
    for _ in 0..CACHED / 60_000 + 1 {
        arena.alloc_slice_fill_copy(60_000, 1u8);
    }
    arena.reset();
    arena
}

#[test]
fn an_arena_answers_at_its_next_reset() {
    answers(filled_arena, |arena| {
        arena.alloc(7);
        arena.reset();
        assert_eq!(arena.stats().chunks, 1);
    });
}

#[test]
fn an_arena_answers_when_it_next_takes_a_chunk() {
    answers(filled_arena, |arena| {
        for _ in 0..20 {
            arena.alloc_slice_fill_copy(60_000, 2u8);
        }
        assert_eq!(arena.stats().spare_bytes, 0);
    });
}

#[test]
fn an_arena_keeps_what_is_in_use() {
    for source in SOURCES {
        let pages = pages_over(source);
        let mut arena = filled_arena(pages);
        let heap = Heap::builder().pages(pages).build().unwrap();
        take_all(&heap);
        arena.scope(|inner| {
            let lists: Vec<&[u8]> = (0..40)
                .map(|i| &*inner.alloc_slice_fill_copy(60_000, i))
                .collect();
            assert!(lists.iter().zip(0..).all(|(list, i)| *list == [i; 60_000]));
        });
        let (chunks, bytes) = (arena.stats().chunks, arena.capacity_bytes());
        arena.reset();
        // Answered already: the next reset keeps what this round needed.
        assert_eq!(
            (arena.stats().chunks, arena.capacity_bytes()),
            (chunks, bytes)
        );
    }
}

type Buffers = Pool<[u8; 4000], RecycleHook<[u8; 4000]>>;

fn buffers(pages: &'static Pages) -> Buffers {
    steady(Pool::builder(|| [0; 4000]).recycle_with(|_| Keep::Yes))
        .pages(pages)
        .build()
}

fn filled_pool(pages: &'static Pages) -> Buffers {
    let pool = buffers(pages);
    assert_eq!(pool.prefill(CACHED / 4000), CACHED / 4000);
    pool
}

#[test]
fn a_pool_answers_at_a_get() {
    answers(filled_pool, |pool| {
        drop(pool.get());
        let stats = pool.stats();
        assert_eq!((stats.idle, stats.drops.pressed), (1, CACHED as u64 / 4000));
    });
}

#[test]
fn a_pool_answers_at_a_put() {
    answers(filled_pool, |pool| pool.put([1; 4000]));
}

#[test]
fn a_pool_that_answered_has_no_empty_slab() {
    for source in SOURCES {
        let pages = pages_over(source);
        let pool = filled_pool(pages);
        let heap = Heap::builder().pages(pages).build().unwrap();
        take_all(&heap);
        pool.put([1; 4000]);
        let left = pages.stats().active;
        assert_eq!(pool.trim(1), 0);
        assert_eq!(pages.stats().active, left, "a trim finds nothing more");
    }
}

#[test]
fn a_pool_answers_through_a_local_handle() {
    answers(filled_pool, |pool| drop(pool.local().get()));
}

#[test]
fn a_pool_takes_what_ended_threads_left() {
    let fill = |pages| {
        let pool = buffers(pages);
        // All alive at a time, so that each has a shard of its own (or works through the depot);
        // 120 fit in two magazines.
        let threads = CACHED / (120 * 4000) + 1;
        thread::scope(|scope| {
            let pool = &pool;
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let ((filled, is_filled), (end, may_end)) = (channel(), channel::<()>());
                    let worker = scope.spawn(move || {
                        drop((0..120).map(|_| pool.get()).collect::<Vec<_>>());
                        filled.send(()).unwrap();
                        let _ended = may_end.recv();
                    });
                    is_filled.recv().unwrap();
                    (end, worker)
                })
                .collect();
            for (end, worker) in workers {
                drop(end);
                // Joined, so that it has given up its shard.
                worker.join().unwrap();
            }
        });
        pool
    };
    answers(fill, |pool| drop(pool.get()));
}

#[test]
fn another_thread_follows_at_its_next_get() {
    for source in SOURCES {
        let pages = pages_over(source);
        let pool = buffers(pages);
        let heap = Heap::builder().pages(pages).build().unwrap();
        let (filled, is_filled) = channel();
        let (go, may_go) = channel::<()>();
        thread::scope(|scope| {
            let pool = &pool;
            let other = scope.spawn(move || {
                drop((0..100).map(|_| pool.get()).collect::<Vec<_>>());
                filled.send(()).unwrap();
                may_go.recv().unwrap();
                drop(pool.get());
            });
            is_filled.recv().unwrap();
            take_all(&heap);
            drop(pool.get());
            assert_eq!(pool.stats().idle, 101, "the other's are out of reach");
            go.send(()).unwrap();
            other.join().unwrap();
            assert!(pool.stats().idle <= 2);
        });
    }
}

/// A value whose drop uses the pool it came from: nothing may be locked or leased meanwhile.
struct Nested(#[expect(dead_code, reason = "takes room")] [u8; 4000]);

static NESTED_PAGES: LazyLock<&'static Pages> = LazyLock::new(|| pages_over(&HeapSource));
static NESTED: LazyLock<Pool<Nested, RecycleHook<Nested>>> = LazyLock::new(|| {
    steady(Pool::builder(|| Nested([0; 4000])).recycle_with(|_| Keep::Yes))
        .pages(*NESTED_PAGES)
        .build()
});
static NESTED_DROPS: AtomicUsize = AtomicUsize::new(0);
static NESTED_GETS: AtomicUsize = AtomicUsize::new(0);

impl Drop for Nested {
    fn drop(&mut self) {
        if NESTED_DROPS.fetch_add(1, Ordering::Relaxed) < 500 {
            let another = NESTED.try_get();
            NESTED_GETS.fetch_add(usize::from(another.is_some()), Ordering::Relaxed);
        }
    }
}

#[test]
fn values_may_use_their_pool_while_they_are_dropped_for_pressure() {
    assert_eq!(NESTED.prefill(2000), 2000);
    let heap = Heap::builder().pages(*NESTED_PAGES).build().unwrap();
    take_all(&heap);
    drop(NESTED.get());
    let stats = NESTED.stats();
    assert!(stats.drops.pressed >= 2000 && stats.idle < 1000, "{stats}");
    assert_eq!(stats.outstanding, 0);
    assert!(NESTED_GETS.load(Ordering::Relaxed) >= 400);
}

/// Of one test: a pool's `create` has no captures.
static ARENA_PAGES: LazyLock<&'static Pages> = LazyLock::new(|| pages_over(&HeapSource));

#[test]
fn an_arena_pool_drops_idle_arenas() {
    fn arena() -> Arena {
        Arena::builder().pages(*ARENA_PAGES).build().unwrap()
    }
    let pages = *ARENA_PAGES;
    let builder = Pool::builder(arena).pages(pages);
    // Nor does a mode that measures lead anything past the short way.
    let builder = steady(builder.leak_check(LeakCheck::Sampled));
    let arenas = ArenaPool::from(builder.build());
    // Another thread's, so that this one finds them on its slow path only.
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let take = || (0..8).map(|_| arenas.get()).collect::<Vec<_>>();
            // What comes back for the first time is looked at, on the slow path, too.
            drop(take());
            let held = take();
            for arena in &held {
                for _ in 0..CACHED / 8 / 60_000 + 1 {
                    arena.alloc_slice_fill_copy(60_000, 1u8);
                }
            }
        });
        worker.join().unwrap();
    });
    let cached = pages.stats().active;
    assert!(cached >= CACHED, "{cached}: {}", arenas.stats());
    let heap = Heap::builder().pages(pages).build().unwrap();
    let taken = take_all(&heap) * BLOCK;
    assert_eq!(pages.stats().active, cached + taken, "nobody visited");
    drop(arenas.get());
    assert_eq!(arenas.stats().idle, 1);
    assert!(pages.stats().active + GIVEN <= cached + taken);
    assert!(take_all(&heap) * BLOCK >= GIVEN);
}

type Value = [u64; 8];
const VALUES: usize = CACHED / size_of::<Value>();

/// More than the cached word holds.
fn refill(slab: &Slab<Value>) {
    let held: Vec<_> = (0..65).map(|i| slab.alloc([i; 8])).collect();
    assert!(held.iter().zip(0..).all(|(slot, i)| **slot == [i; 8]));
}

#[test]
fn a_slab_gives_back_what_owned_handles_freed() {
    let fill = |pages| {
        let slab = Slab::with_pages(pages);
        drop(
            (0..VALUES)
                .map(|_| slab.alloc_owned([1; 8]))
                .collect::<Vec<_>>(),
        );
        slab
    };
    answers(fill, |slab| refill(slab));
}

#[test]
fn a_slab_gives_back_what_removed_keys_left() {
    let fill = |pages| {
        let mut slab = Slab::with_pages(pages);
        let keys: Vec<_> = (0..VALUES).map(|_| slab.insert([1; 8])).collect();
        for key in keys {
            assert!(slab.remove(key).is_some());
        }
        slab
    };
    answers(fill, |slab| refill(slab));
}
