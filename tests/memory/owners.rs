//! What ten thousand small owners cost: heaps, arenas, pools and slabs that each hold one small
//! object. Each kind is measured in a process of its own, by the resident pages the system counts;
//! the figure includes the owner's own struct.

use std::alloc::Layout;

use flagstone::pages::Pages;
use flagstone::{Arena, ArenaPool, Heap, Pool, Slab};

use crate::common::child;
use crate::common::threads::elsewhere;
use crate::{resident, turn};

const OWNERS: usize = 10_000;
/// The bound of the issue, apiece.
const BYTES_MAX: usize = 8 << 10;
/// What may stay of a kind when all of it is gone: the heads of the segments (a bit over 3 % of
/// what they served), and the process's own growth.
const KEPT_PART: usize = 16;

/// Makes the C library give back what it keeps: parts of pools and slabs lie in its heap.
#[cfg(target_env = "gnu")]
fn trim_libc() {
    // SAFETY: as the C library declares it, and without conditions.
    unsafe extern "C" {
        safe fn malloc_trim(pad: usize) -> i32;
    }
    malloc_trim(0);
}

#[cfg(not(target_env = "gnu"))]
fn trim_libc() {}

/// Makes the owners, reports their cost, drops them and reports what stayed.
///
/// They are made by a thread that ends before they are dropped: a thread that used a pool keeps
/// its shard of it for a while after the pool is gone, until it leases more shards or ends.
fn measure<Owner: Send>(make: impl Fn() -> Owner + Sync) {
    // Once before, so that what the first of a kind sets up for all is not counted.
    elsewhere(|| drop(make()));
    Pages::global().trim();
    trim_libc();
    let start = resident();
    let mut owners = Vec::with_capacity(OWNERS);
    elsewhere(|| owners.extend((0..OWNERS).map(|_| make())));
    let grown = resident() - start;
    let stats = Pages::global().stats();
    drop(owners);
    Pages::global().trim();
    trim_libc();
    let left = Pages::global().stats();
    let kept = resident().saturating_sub(start);
    assert_eq!(left.active, 0, "{left}");
    println!(
        "apiece {} kept {kept} struct {} active {} charged {}",
        grown / OWNERS,
        size_of::<Owner>(),
        stats.active / OWNERS,
        stats.charged / OWNERS,
    );
}

#[test]
#[ignore = "parts of other tests, which run them in processes of their own"]
fn part() {
    let layout = Layout::new::<[u64; 6]>();
    match child::part().as_str() {
        "heap" => measure(|| {
            let heap = Heap::new();
            let block = heap.allocate(layout).unwrap();
            // SAFETY: the block is ours, and this long.
            unsafe { block.cast::<u8>().write_bytes(1, block.len()) };
            heap
        }),
        "heap that freed" => measure(|| {
            let heap = Heap::new();
            let [first, second] = [(); 2].map(|()| heap.allocate(layout).unwrap());
            // SAFETY: both are live blocks of this layout.
            unsafe {
                second.cast::<u8>().write_bytes(1, second.len());
                heap.deallocate(first.cast(), layout);
            }
            heap
        }),
        "arena" => measure(|| {
            let arena = Arena::new();
            arena.alloc([1u64; 6]);
            // What it took, whether or not that was written to.
            assert!(arena.capacity_bytes() + size_of::<Arena>() < BYTES_MAX);
            arena
        }),
        "pool" => measure(|| {
            let pool: Pool<Vec<u8>> = Pool::new(Vec::new);
            drop(pool.get());
            pool
        }),
        "arena pool" => measure(|| {
            let pool = ArenaPool::new();
            pool.get().alloc([1u64; 6]);
            pool
        }),
        "slab" => measure(|| {
            let slab: Slab<[u64; 6]> = Slab::new();
            slab.insert([1; 6]);
            slab
        }),
        kind => panic!("no such kind: {kind}"),
    }
}

/// Runs one kind in a child, prints its figures, and returns the bytes apiece.
#[track_caller]
fn apiece(kind: &str) -> usize {
    // One arena of the C library, which it can trim.
    let _turn = turn();
    let out = child::succeeds_after("export MALLOC_ARENA_MAX=1;", "owners::part", kind);
    let line = out.lines().find(|line| line.contains("apiece")).unwrap();
    let line = &line[line.find("apiece").unwrap()..];
    println!("{OWNERS} x {kind}: {line} (bytes)");
    let number = |name: &str| -> usize {
        let rest = line.split_once(name).unwrap().1.trim_start();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    let (apiece, kept) = (number("apiece"), number("kept"));
    assert!(
        kept * KEPT_PART < apiece * OWNERS,
        "{kind}: {kept} bytes stay after all are dropped: {line}"
    );
    apiece
}

#[test]
fn a_heap_with_one_block() {
    assert!(apiece("heap") < BYTES_MAX);
    // Its first free takes a page for the stacks: beside the bound, but not without one.
    assert!(apiece("heap that freed") < BYTES_MAX + (4 << 10));
}

#[test]
fn an_arena_with_one_value() {
    assert!(apiece("arena") < BYTES_MAX);
}

#[test]
fn a_pool_with_one_object() {
    // A leak check of every object has a page of records besides.
    let records = if cfg!(feature = "leak-check") {
        4 << 10
    } else {
        0
    };
    assert!(apiece("pool") < BYTES_MAX + records);
}

#[test]
fn an_arena_pool_with_one_arena() {
    // An arena and its chunk besides the pool.
    assert!(apiece("arena pool") < 2 * BYTES_MAX);
}

#[test]
fn a_slab_with_one_value() {
    assert!(apiece("slab") < BYTES_MAX);
}
