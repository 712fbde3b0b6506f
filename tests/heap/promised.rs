//! The programs that users are promised, as written. (The arena's and the slab's stand in the tests
//! of their limbs.)

use flagstone::Heap;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[test]
fn heap() -> Result<()> {
    use allocator_api2::{boxed::Box, vec::Vec};

    let heap = Heap::new();
    let b = Box::new_in([0u64; 8], &heap);
    let mut v = Vec::new_in(&heap);
    v.extend([1, 2, 3]);
    let mut m = hashbrown::HashMap::new_in(&heap);
    m.insert("k", b);

    let layout = std::alloc::Layout::new::<[u8; 48]>();
    let p = heap.allocate(layout)?;
    // SAFETY: allocated just above with this layout.
    unsafe { heap.deallocate(p.cast(), layout) };
    let q = heap.allocate(layout)?;
    // SAFETY: as above.
    unsafe { heap.try_free(q.cast(), layout)? };
    let z = heap.allocate_zeroed(layout)?;
    // SAFETY: as above.
    unsafe { heap.deallocate(z.cast(), layout) };

    let s: flagstone::HeapStats = heap.stats();
    assert!(s.allocated <= s.active && s.active <= s.resident && s.resident <= s.mapped);
    println!("{} {}", s.retained, s.metadata);
    let back: usize = heap.trim();
    println!("{back}");
    let map = heap.map();
    println!("{map}");
    assert!(map.to_svg().contains("<svg"));
    let small = Heap::builder()
        .limit_bytes(64 << 20)
        .huge_pages(false)
        .check(flagstone::Check::Full)
        .build()?;
    drop(Box::new_in(1, &small));
    Ok(())
}

/// Collections of other crates over one heap: contents as with the global allocator, and nothing
/// left behind.
#[test]
fn collections_over_a_heap_behave_as_over_the_global_allocator() {
    for check in [flagstone::Check::Fast, flagstone::Check::Full] {
        let heap = Heap::builder().check(check).build().unwrap();
        let mut ours = hashbrown::HashMap::new_in(&heap);
        let mut theirs = std::collections::HashMap::new();
        let mut lists = allocator_api2::vec::Vec::new_in(&heap);
        for number in 0..5000u64 {
            ours.insert(number * 7 % 1009, number);
            theirs.insert(number * 7 % 1009, number);
            let mut list = allocator_api2::vec::Vec::new_in(&heap);
            list.extend(0..number % 97);
            lists.push(list);
            if number % 3 == 0 {
                lists.swap_remove((number as usize * 31) % lists.len());
            }
        }
        assert!(ours.len() == theirs.len() && theirs.iter().all(|(k, v)| ours.get(k) == Some(v)));
        let sums: u64 = lists.iter().map(|list| list.iter().sum::<u64>()).sum();
        assert!(
            sums > 0
                && lists
                    .iter()
                    .all(|list| list.iter().copied().eq(0..list.len() as u64))
        );
        drop((ours, lists));
        assert_eq!(heap.stats().allocated, 0);
    }
}

/// Pools: plain, by a builder, from other threads; what they say of themselves.
#[test]
fn pool() {
    use flagstone::{Keep, Pool, Recycle};

    static BUFFERS: Pool<Vec<u8>> = Pool::new(|| Vec::with_capacity(4096));
    let mut buf = BUFFERS.get();
    buf.extend_from_slice(b"hello");
    drop(buf);
    let kept: Vec<u8> = BUFFERS.get().detach();
    BUFFERS.put(kept);

    struct Parser {
        stack: Vec<u32>,
    }
    impl Recycle for Parser {
        fn recycle(&mut self) -> Keep {
            self.stack.clear();
            if self.stack.capacity() > 1 << 16 {
                Keep::Discard
            } else {
                Keep::Yes
            }
        }
    }
    let pool: std::sync::Arc<Pool<Parser>> = std::sync::Arc::new(
        Pool::builder(|| Parser { stack: Vec::new() })
            .idle(8..=256)
            .max_live(1024)
            .aging(flagstone::Aging::LowWater)
            .mode(flagstone::Mode::Auto)
            .name("parsers")
            .build(),
    );
    let owned = pool.get_owned();
    let maybe = pool.try_get();
    assert!(maybe.is_some());
    let local = pool.local();
    local.get().stack.push(1);
    std::thread::spawn(move || drop(owned))
        .join()
        .expect("no panic");
    pool.prefill(16);
    pool.tick();
    pool.trim(0);
    pool.clear();
    let s: flagstone::PoolStats = pool.stats();
    assert_eq!((s.outstanding, s.idle, s.max_live), (1, 0, Some(1024)));
    let a: flagstone::Advice = pool.advice();
    let h: flagstone::Health = pool.health();
    println!("{a}\n{h}");
    for suspect in pool.leak_suspects() {
        eprintln!("{suspect}");
    }

    static TASKS: flagstone::StaticPool<[u8; 256], 32> = flagstone::StaticPool::new(|| [0; 256]);
    let t = TASKS.try_get();
    assert!(t.is_some());
}

/// An arena per request, borrowed and owned, and an answer that stays in it.
#[test]
fn arena_pool() {
    let arenas = flagstone::ArenaPool::new();
    {
        let arena = arenas.get();
        let body = arena.alloc_str("…");
        assert_eq!(body, "…");
    }
    let owned = std::sync::Arc::new(arenas).get_owned();
    let body: flagstone::ArenaBytes = owned.freeze(|a| a.alloc_str("response").as_bytes());
    assert_eq!(body.as_ref(), b"response");
}
