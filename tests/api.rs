//! The programs that users are promised, as written. (The arena's, the pool's and the slab's stand
//! in the tests of their limbs.)

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
