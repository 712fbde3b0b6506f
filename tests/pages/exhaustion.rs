//! Memory that runs out: byte limits, page sources that refuse by number and by size, and an
//! address space that ends. Every refusal is an error that names the limit, nothing leaks, nothing
//! aborts, and the same object works again afterwards.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

use flagstone::pages::{HeapSource, MmapSource, PageSource, Pages, Reservation};
use flagstone::{AllocError, Arena, ArenaPool, FreeError, Heap, Keep, Pool, Slab};

use crate::common::child;
use crate::common::random::Random;
use crate::common::threads::crowd;
use crate::scripts::{self, Checked, Owner, Refusals};
use crate::source::Refusing;

/// Runs a script with each kind of owner.
macro_rules! for_each_owner {
    ($run:ident $arguments:tt) => {
        $run::<Heap> $arguments;
        $run::<Checked> $arguments;
        $run::<Arena> $arguments;
        $run::<Slab<[u64; 40]>> $arguments;
        $run::<Pool<Vec<u8>>> $arguments;
        $run::<ArenaPool> $arguments;
    };
}

/// The limit of the pages is named, kept, and forgotten when it is lifted.
#[test]
fn a_limit_of_the_pages() {
    fn run<O: Owner>(limit_bytes: usize) {
        let pages: &Pages = Box::leak(Box::new(Pages::new(&MmapSource)));
        pages.set_limit(Some(limit_bytes));
        let mut owner = O::over(pages);
        let Refusals { errors, silent } = owner.work();
        assert!(errors.len() + silent > 0, "{} under {limit_bytes}", O::NAME);
        let named = AllocError::PagesLimit { limit_bytes };
        assert!(errors.iter().all(|error| *error == named), "{errors:?}");
        assert!(named.to_string().contains(&limit_bytes.to_string()));
        let stats = pages.stats();
        assert!(stats.charged <= limit_bytes, "{}: {stats}", O::NAME);
        pages.set_limit(None);
        assert_eq!(owner.work().count(), 0, "{} works again", O::NAME);
        owner.settle();
        drop(owner);
        assert_eq!(pages.stats().active, 0, "{}", O::NAME);
        pages.trim();
        assert_eq!(pages.stats().charged, 0, "{}", O::NAME);
    }
    for limit_bytes in [0, 4 << 10, 64 << 10, 128 << 10] {
        for_each_owner!(run(limit_bytes));
    }
    for limit_bytes in [512 << 10, 1 << 20, 5 << 20, 20 << 20] {
        run::<Heap>(limit_bytes);
        run::<Checked>(limit_bytes);
    }
}

/// The limit of an owner is named, and is the owner's alone.
#[test]
fn a_limit_of_the_owner() {
    let pages: &Pages = Box::leak(Box::new(Pages::new(&MmapSource)));
    for limit_bytes in [4 << 10, 16 << 10, 100 << 10, 1 << 20, 12 << 20] {
        let heap = Heap::builder().pages(pages).limit_bytes(limit_bytes);
        let heap = heap.build().unwrap();
        let free = Heap::over(pages);
        let Refusals { errors, .. } = scripts::heap(&heap);
        let named = AllocError::OwnerLimit { limit_bytes };
        assert!(!errors.is_empty() && errors.iter().all(|error| *error == named));
        assert!(heap.stats().active <= limit_bytes);
        assert_eq!(scripts::heap(&free).count(), 0);
        heap.trim();
        assert_eq!(heap.stats().active, 0);

        let arena = Arena::builder().pages(pages).limit_bytes(limit_bytes);
        let mut arena = arena.build().unwrap();
        let Refusals { errors, .. } = scripts::arena(&arena);
        // Twelve megabytes are enough for the arena's script.
        assert_eq!(errors.is_empty(), limit_bytes > 11 << 20, "{limit_bytes}");
        assert!(errors.iter().all(|error| *error == named));
        assert!(arena.capacity_bytes() <= limit_bytes);
        arena.reset();
        arena.trim();
        assert_eq!(arena.capacity_bytes(), 0);
    }
    assert_eq!(pages.stats().active, 0);
    assert_eq!(
        Heap::builder().limit_bytes(100).build().map(drop),
        Err(AllocError::OwnerLimit { limit_bytes: 100 })
    );
}

/// Works through a script with a source that refuses, then again when it has recovered.
fn survives<O: Owner>(pages: &'static Pages, source: &Refusing, context: &str) -> usize {
    let mut owner = O::over(pages);
    let refusals = owner.work();
    for error in &refusals.errors {
        let is_named = matches!(error, AllocError::SourceExhausted { bytes } if *bytes > 0);
        assert!(is_named, "{} {context}: {error}", O::NAME);
    }
    source.recover();
    assert_eq!(owner.work().count(), 0, "{} {context} works again", O::NAME);
    owner.settle();
    drop(owner);
    assert_eq!(pages.stats().active, 0, "{} {context}", O::NAME);
    pages.trim();
    assert_eq!(pages.stats().charged, 0, "{} {context}", O::NAME);
    refusals.count()
}

/// Each reservation refused in its turn, alone and with all that follow, until a run needs no more.
#[test]
fn every_reservation_refused_by_number() {
    fn run<O: Owner>() {
        let mut number = 0;
        loop {
            let (pages, source) = Refusing::pages(number, 1, usize::MAX);
            survives::<O>(pages, source, &format!("without {number}"));
            let (pages, source) = Refusing::pages(number, usize::MAX, usize::MAX);
            let refused = survives::<O>(pages, source, &format!("without {number} and later"));
            if !source.has_refused() {
                assert_eq!(refused, 0);
                break;
            }
            assert!(refused > 0, "{} has not noticed {number}", O::NAME);
            number += 1;
        }
        println!("{}: {number} reservations, each refused", O::NAME);
        assert!(number >= 2, "a table block and a segment at least");
    }
    for_each_owner!(run());
}

/// Large reservations refused: down to 8 MiB the pages make do with smaller ones.
#[test]
fn reservations_refused_by_size() {
    fn run<O: Owner>(bytes_max: usize, is_enough: bool) {
        let (pages, source) = Refusing::pages(0, 0, bytes_max);
        let refused = survives::<O>(pages, source, &format!("with at most {bytes_max}"));
        assert_eq!(refused == 0, is_enough, "{} {bytes_max}", O::NAME);
    }
    for megabytes in [20, 40, 70] {
        for_each_owner!(run(megabytes << 20, true));
    }
    // One segment and the room to align it are 8 MiB; without segments there is nothing small. (A
    // heap's script has larger blocks.)
    run::<Arena>(8 << 20, true);
    run::<Slab<[u64; 40]>>(8 << 20, true);
    run::<Pool<Vec<u8>>>(8 << 20, true);
    run::<ArenaPool>(8 << 20, true);
    for_each_owner!(run((8 << 20) - 1, false));
    for_each_owner!(run(0, false));
}

/// Maps what is long enough to be a block, and makes it longer. What is shorter, as a table is, it
/// maps only when it `has_room`.
#[derive(Debug, Default)]
struct Tableless {
    has_room: AtomicBool,
}

// SAFETY: hands out what `MmapSource` hands out, or nothing.
unsafe impl PageSource for Tableless {
    fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let may = bytes >= 1 << 20 || self.has_room.load(Ordering::Relaxed);
        may.then(|| MmapSource.reserve(bytes))?
    }

    unsafe fn resize(&self, reservation: &mut Reservation, bytes: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { MmapSource.resize(reservation, bytes) }
    }
}

/// More huge blocks than the first table of them has room for, and no memory for another one. In a
/// process of its own, as the tables are the process's.
#[test]
fn a_table_of_huge_blocks_refused() {
    child::succeeds("exhaustion::part", "table");
}

fn table_of_huge_blocks() {
    let source: &Tableless = Box::leak(Box::default());
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(source)));
    let heap = Heap::over(pages);
    let layout = |mib: usize| Layout::from_size_align(mib << 20, 8).unwrap();
    let take = |mib| Some((heap.allocate(layout(mib)).ok()?.cast::<usize>(), mib));
    let mut held = Vec::new();
    let error = loop {
        match heap.allocate(layout(2)) {
            Ok(block) => held.push((block.cast::<usize>(), 2)),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AllocError::SourceExhausted { .. }));
    assert!((64..=256).contains(&held.len()), "{}", held.len());
    assert_eq!(pages.stats().active, held.len() * (2 << 20));
    // Those that move still find a place, and are found there; some are not where they belong.
    for (number, (block, mib)) in held.iter_mut().enumerate() {
        // SAFETY: a live block of this layout, which is not used where it was any more.
        unsafe {
            block.write(number);
            *block = heap
                .grow(block.cast(), layout(*mib), layout(3))
                .unwrap()
                .cast();
        }
        *mib = 3;
    }
    let free = |(block, mib): (NonNull<usize>, usize)| {
        // SAFETY: a block of the heap, live or not, that nobody uses.
        unsafe { heap.try_free(block.cast(), layout(mib)) }
    };
    for (number, (block, _)) in held.iter().enumerate() {
        // SAFETY: a live block, written above.
        assert_eq!(unsafe { block.read() }, number);
    }
    for block in held.split_off(held.len() / 2) {
        assert_eq!(free(block), Ok(()));
        assert_eq!(free(block), Err(FreeError::Foreign));
    }
    source.has_room.store(true, Ordering::Relaxed);
    held.extend((0..3000).map(|_| take(2).unwrap()));
    let mut random = Random::new(1);
    while !held.is_empty() {
        let block = held.swap_remove(random.below(held.len()));
        assert_eq!(free(block), Ok(()));
        assert_eq!(free(block), Err(FreeError::Foreign));
    }
    pages.trim();
    let stats = pages.stats();
    assert_eq!((stats.active, stats.charged), (0, 0));
    // Only further tables stay mapped.
    assert!(stats.mapped < 1 << 20, "{stats}");
}

/// The table of segments is full and its next block is refused, many times: no segment of the
/// reservation that waits is lost.
#[test]
fn the_table_of_segments_refused() {
    /// Lines of a block of the table, and blocks of 1 MiB that a segment holds.
    const LINES: usize = 1024;
    const PER_SEGMENT: usize = 3;
    let (pages, source) = Refusing::pages(0, 0, usize::MAX);
    let heap = Heap::over(pages);
    let layout = Layout::from_size_align(1 << 20, 8).unwrap();
    let mut held = vec![heap.allocate(layout).unwrap()];
    source.refuse_below(1 << 20);
    held.extend(std::iter::from_fn(|| heap.allocate(layout).ok()));
    assert_eq!(held.len(), LINES * PER_SEGMENT);
    for _ in 0..300 {
        assert!(heap.allocate(layout).is_err());
    }
    let before = pages.stats().mapped;
    source.recover();
    // The newest reservation has more than a hundred segments left.
    held.extend((0..100 * PER_SEGMENT).map(|_| heap.allocate(layout).unwrap()));
    assert!(
        pages.stats().mapped < before + (1 << 20),
        "the next block alone"
    );
    for block in held {
        // SAFETY: a live block of this layout.
        unsafe { heap.deallocate(block.cast(), layout) };
    }
    assert_eq!(pages.stats().active, 0);
}

/// Units that could not be purged are charged already: under the limit they are what is left to
/// hand out, in whatever segment they are.
#[test]
fn a_limit_leaves_what_is_charged() {
    let pages: &Pages = Box::leak(Box::new(Pages::new(&HeapSource)));
    pages.set_limit(Some(4 << 20));
    let heap = Heap::over(pages);
    let [whole, half] = [1 << 20, 512 << 10].map(|size| Layout::from_size_align(size, 8).unwrap());
    let first: Vec<_> = (0..3).map(|_| heap.allocate(whole).unwrap()).collect();
    let second = heap.allocate(whole).unwrap();
    assert!(heap.allocate(half).is_err(), "all of the limit is in use");
    // SAFETY: live blocks of their layouts.
    unsafe {
        heap.deallocate(second.cast(), whole);
        // The first segment has room that was never used; the second has what was charged.
        for _ in 0..2 {
            let [one, two] = [(); 2].map(|()| heap.allocate(half).unwrap());
            heap.deallocate(one.cast(), half);
            heap.deallocate(two.cast(), half);
        }
        for block in first {
            heap.deallocate(block.cast(), whole);
        }
    }
    assert_eq!((pages.stats().active, pages.stats().charged), (0, 4 << 20));
}

/// Kibibytes of address space: a little more than the process starts with, and much more.
const ADDRESS_SPACES: [usize; 3] = [48 << 10, 100 << 10, 300 << 10];

/// Under `ulimit -v` each kind of owner runs into the end of the address space, says so, and works
/// again.
#[test]
fn an_address_space_that_ends() {
    for kind in ["Heap", "Arena", "Slab", "Pool", "ArenaPool"] {
        for kib in ADDRESS_SPACES {
            let limit = format!("ulimit -v {kib};");
            let out = child::succeeds_after(&limit, "exhaustion::part", kind);
            assert!(out.contains("survived"), "{kind} in {kib} KiB: {out}");
        }
    }
}

/// The system has so few keys for exit hooks that other libraries may have taken them all. Threads
/// then borrow a heap for each operation, so none is lost when they end.
#[test]
fn no_key_left_for_an_exit_hook() {
    child::succeeds("exhaustion::part", "no key");
}

fn without_a_key() {
    unsafe extern "C" {
        fn pthread_key_create(key: *mut u32, destructor: *const ()) -> i32;
    }
    let mut key = 0;
    // SAFETY: an out pointer, and no destructor.
    while unsafe { pthread_key_create(&raw mut key, ptr::null()) } == 0 {}
    let heap = flagstone::Flagstone::new();
    let work = || {
        // SAFETY: the size is not zero; each block is freed once.
        unsafe {
            let blocks = [(); 300].map(|()| heap.alloc(Layout::new::<[u64; 8]>()));
            for block in blocks {
                heap.dealloc(block, Layout::new::<[u64; 8]>());
            }
        }
    };
    for _ in 0..100 {
        crowd(4, |_| work());
    }
    let stats = flagstone::stats();
    assert!((1..=4).contains(&stats.thread_heaps), "{stats}");
    flagstone::trim();
    assert_eq!(flagstone::stats().active, stats.thread_heaps << 12);
}

#[test]
#[ignore = "parts of other tests, which run them in processes of their own"]
fn part() {
    match child::part().as_str() {
        "table" => table_of_huge_blocks(),
        "no key" => without_a_key(),
        kind => confined(kind),
    }
}

fn confined(kind: &str) {
    // Room for what the test itself allocates while the rest is gone.
    let ballast: Vec<u8> = Vec::with_capacity(8 << 20);
    for _ in 0..2 {
        let error = match kind {
            "Heap" => fill_heap(),
            "Arena" => fill_arena(&mut Arena::new()),
            "Slab" => fill_slab(),
            "Pool" => fill_pool(),
            "ArenaPool" => fill_arena(&mut ArenaPool::new().get()),
            _ => panic!("no such kind: {kind}"),
        };
        assert!(matches!(error, AllocError::SourceExhausted { .. }));
    }
    drop(ballast);
    let pages = Pages::global();
    pages.trim();
    println!("survived; {}", pages.stats());
    assert_eq!((pages.stats().active, pages.stats().charged), (0, 0));
}

/// Large blocks until there are none, then small ones until there are none, in one chain. The
/// error; everything is given back.
fn fill_heap() -> AllocError {
    let heap = Heap::new();
    let mut chain: *mut (usize, *mut u8) = ptr::null_mut();
    let mut error = None;
    for size in [4 << 20, 1 << 20, 64 << 10, 4096, 64] {
        let layout = Layout::from_size_align(size, 16).unwrap();
        loop {
            match heap.allocate(layout) {
                Ok(block) => {
                    let link = block.cast::<(usize, *mut u8)>();
                    // SAFETY: the block is ours, long enough and aligned.
                    unsafe { link.write((size, chain.cast())) };
                    chain = link.as_ptr();
                }
                Err(refused) => {
                    error = Some(refused);
                    break;
                }
            }
        }
    }
    while let Some(link) = NonNull::new(chain) {
        // SAFETY: a live block that was linked above, of this size.
        unsafe {
            let (size, next) = link.read();
            heap.deallocate(link.cast(), Layout::from_size_align(size, 16).unwrap());
            chain = next.cast();
        }
    }
    assert_eq!(heap.stats().allocated, 0);
    error.unwrap()
}

fn fill_arena(arena: &mut Arena) -> AllocError {
    let mut error = None;
    for size in [4 << 20, 1 << 20, 64 << 10, 4096, 64] {
        error = loop {
            // Nothing is touched: the address space is to end, not the memory.
            if let Err(refused) = arena.allocate(Layout::from_size_align(size, 1).unwrap()) {
                break Some(refused);
            }
        };
    }
    arena.reset();
    arena.trim();
    error.unwrap()
}

fn fill_slab() -> AllocError {
    let mut slab = Slab::<[u64; 1000]>::new();
    let error = loop {
        if let Err(refused) = slab.try_insert([1; 1000]) {
            break refused.error;
        }
    };
    assert!(slab.iter().all(|value| value[999] == 1));
    let owned = slab.try_alloc_owned([1; 1000]).map(drop);
    assert!(owned.is_err());
    let keep = slab.len();
    assert!(keep > 100);
    slab = Slab::new();
    slab.try_insert([1; 1000]).map(drop).unwrap();
    error
}

fn fill_pool() -> AllocError {
    /// Guards of 8000 B objects: more than the largest address space here holds.
    const GUARDS: usize = 50_000;
    let pool = Pool::builder(|| [1u64; 1000])
        .recycle_with(|_| Keep::Yes)
        .build();
    let mut guards = Vec::with_capacity(GUARDS);
    while let Some(guard) = pool.try_get() {
        guards.push(guard);
        assert!(guards.len() < GUARDS);
    }
    let error = pool.try_prefill(1).unwrap_err();
    assert!(guards.iter().all(|guard| guard[999] == 1));
    guards.clear();
    pool.clear();
    assert!(pool.try_get().is_some());
    error
}

/// Whatever sizes a round had: in the next nothing is refused that spare chunks have room for.
#[test]
fn an_arena_is_refused_nothing_while_it_has_spare_chunks() {
    const LIMIT: usize = 2 << 20;
    let pages: &Pages = Box::leak(Box::new(Pages::new(&MmapSource)));
    pages.set_limit(Some(LIMIT));
    let of_the_pages = Arena::builder().pages(pages);
    let of_the_owner = Arena::builder().limit_bytes(LIMIT);
    let fill = |arena: &Arena, size: usize| {
        let layout = Layout::from_size_align(size, 1).unwrap();
        while arena.allocate(layout).is_ok() {}
    };
    let sizes = [100, 5000, 70 << 10, 300 << 10, 900 << 10, 1500 << 10];
    for builder in [of_the_pages, of_the_owner] {
        let mut arena = builder.build().unwrap();
        for (before, now) in sizes.iter().flat_map(|size| sizes.map(|now| (*size, now))) {
            fill(&arena, before);
            arena.reset();
            fill(&arena, now);
            let stats = arena.stats();
            let is_had = stats.used_bytes >= now && stats.spare_bytes == 0;
            assert!(is_had, "{now} after {before}: {stats:?}");
            arena.reset();
        }
    }
}
