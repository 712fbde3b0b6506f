//! Blocks by layout, collections of this and other crates.

use super::*;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[test]
fn blocks_grow_shrink_and_end_in_place_at_the_low_end() {
    let arena = arena();
    // SAFETY: blocks of this arena with their layouts.
    unsafe {
        let a = arena.allocate(layout(3, 1)).unwrap().cast::<u8>();
        a.write_bytes(1, 3);
        arena.alloc(9u64);
        let b = arena
            .grow_zeroed(a, layout(3, 1), layout(33, 1))
            .unwrap()
            .cast::<u8>();
        assert_eq!(a, b, "odd sizes are packed, so the last is recognised");
        let bytes = core::slice::from_raw_parts(b.as_ptr(), 33);
        assert!(bytes[..3].iter().all(|b| *b == 1) && bytes[3..].iter().all(|b| *b == 0));
        let c = arena
            .shrink(b, layout(33, 1), layout(5, 1))
            .unwrap()
            .cast::<u8>();
        assert_eq!((b, arena.used_bytes()), (c, 13));
        let d = arena.allocate(layout(8, 8)).unwrap().cast::<u8>();
        let e = arena
            .grow(c, layout(5, 1), layout(7, 1))
            .unwrap()
            .cast::<u8>();
        assert_ne!(c, e, "not the last: copied");
        assert_eq!(e.read(), 1);
        arena.deallocate(e, layout(7, 1));
        arena.deallocate(d, layout(8, 8));
        // A larger alignment than the block has: moved, also when shrinking.
        let f = arena.allocate(layout(100, 1)).unwrap().cast::<u8>();
        f.write_bytes(3, 100);
        let g = arena
            .shrink(f, layout(100, 1), layout(50, 4096))
            .unwrap()
            .cast::<u8>();
        assert_eq!((g.addr().get() % 4096, g.byte_add(49).read()), (0, 3));
        let z = arena
            .allocate_zeroed(layout(1000, 16))
            .unwrap()
            .cast::<u8>();
        assert!(
            core::slice::from_raw_parts(z.as_ptr(), 1000)
                .iter()
                .all(|b| *b == 0)
        );
    }
}

#[test]
fn collections_of_other_crates() {
    let arena = arena();
    let mut v = allocator_api2::vec::Vec::new_in(&arena);
    let mut map = hashbrown::HashMap::new_in(&arena);
    for i in 0..2000u64 {
        v.push(i);
        map.insert(i, allocator_api2::boxed::Box::new_in(i * 2, &arena));
    }
    v.shrink_to_fit();
    v.retain(|i| i % 3 == 0);
    assert!(v.iter().all(|i| *map[i] == i * 2));
    map.clear();
    map.shrink_to_fit();
    let boxed: allocator_api2::boxed::Box<[u64], &Arena> = v.into_boxed_slice();
    assert_eq!(boxed.len(), 667);
}

#[test]
fn a_vector_may_be_alive_across_a_reset() {
    let mut arena = arena();
    let mut v = ArenaVec::new_in(&arena);
    v.push(1);
    assert_eq!(v[0], 1);
    arena.reset();
}

/// Dirties everything it gets, so that whatever is handed out a second time is not zero.
#[test]
fn zeroed_blocks_are_zero_whatever_happened_before() {
    fn zeroed(arena: &Arena, size: usize) -> NonNull<u8> {
        let block = arena.allocate_zeroed(layout(size, 8)).unwrap();
        // SAFETY: a block of so many bytes.
        unsafe {
            assert!((*block.as_ptr()).iter().all(|byte| *byte == 0));
            block.cast::<u8>().write_bytes(0xab, size);
        }
        block.cast()
    }
    fn step(arena: &mut Arena, random: usize, narrowing: bool) {
        let size = 200 + random / 64 % 3000;
        // Nothing but a reset makes room again in half of the rounds.
        let kind = match random % 10 {
            2 | 4 | 5 if narrowing => 9,
            kind => kind,
        };
        match kind {
            0 => drop(arena.alloc([0xcd_u8; 700])),
            1 => drop(arena.alloc_str(&"x".repeat(size))),
            2 => {
                let failed = arena.alloc_try_with(|| Err::<[u64; 90], ()>(()));
                assert!(failed.is_err());
            }
            3 => {
                let mut session = arena.session();
                session.alloc([0xef_u8; 500]);
                session.alloc_str(&"y".repeat(size));
            }
            4 => arena.scope(|mut inner| {
                zeroed(&inner, size);
                inner.scope(|inner| inner.contains(zeroed(&inner, size / 2).as_ptr()));
                zeroed(&inner, size);
            }),
            5 => {
                let block = zeroed(arena, size);
                // SAFETY: a live block of this layout, not used any more.
                unsafe { arena.deallocate(block, layout(size, 8)) };
            }
            6 => {
                let block = zeroed(arena, size);
                let (old, new) = (layout(size, 8), layout(size + 2000, 8));
                // SAFETY: a live block of `old`, not used any more under its old address.
                let grown = unsafe { arena.grow_zeroed(block, old, new).unwrap() };
                // SAFETY: a block of so many bytes.
                unsafe {
                    assert!((&(*grown.as_ptr()))[size..].iter().all(|byte| *byte == 0));
                    grown.cast::<u8>().write_bytes(0xba, size + 2000);
                }
            }
            7 if random / 64 % 4 == 0 => arena.reset(),
            8 if random / 64 % 8 == 0 => assert!(arena.contains(zeroed(arena, 40 * size).as_ptr())),
            _ => assert!(arena.contains(zeroed(arena, size).as_ptr())),
        }
    }
    for seed in 0..if cfg!(miri) { 2 } else { 60 } {
        let (mut arena, mut random) = (Arena::new(), Random::new(seed));
        for _ in 0..if cfg!(miri) { 12 } else { 400 } {
            step(&mut arena, random.below(1 << 31), seed % 2 == 0);
        }
    }
}

#[test]
fn zeroed_blocks_are_zero_in_a_merged_chunk() {
    static FRESH: Pages = Pages::new(&HeapSource);
    let builder = Arena::builder().pages(&FRESH).merge_chunks();
    // Holds the pages that the first chunks come from, so that the merged one's were nobody's.
    let other = builder.build().unwrap();
    other.alloc(1);
    let mut arena = builder.build().unwrap();
    for round in 0..4 {
        for _ in 0..if round == 0 { 20 } else { 4 } {
            let mut block = arena.allocate_zeroed(layout(1000, 8)).unwrap();
            // SAFETY: an exclusive block, all of it written.
            let bytes = unsafe { block.as_mut() };
            assert!(bytes.iter().all(|byte| *byte == 0), "round {round}");
            bytes.fill(7);
        }
        arena.reset();
        assert_eq!(arena.stats().chunks, 1);
    }
}
