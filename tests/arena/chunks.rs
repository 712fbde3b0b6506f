//! Chunks, resets, limits, and mappings that fail.

use super::*;

#[test]
#[cfg_attr(miri, ignore = "minutes there; the random streams take the same paths")]
fn a_large_request_leaves_the_current_chunk_alone() {
    let arena = arena();
    let a = core::ptr::from_ref(arena.alloc(1u64)).addr();
    // Fills a span of its own; a rest of that roomier than the chunk's would be used instead.
    let large = arena.alloc_slice_fill_copy((128 << 10) / 8 - 4, 7u64);
    let b = core::ptr::from_ref(arena.alloc(2u64)).addr();
    assert_eq!(a - b, 8, "the next object is beside the one before");
    assert!(large.iter().all(|n| *n == 7));
    assert_eq!(arena.stats().chunks, 2);
    // Its bytes count towards the doubling, so the next chunk is a large one.
    let capacity = arena.capacity_bytes();
    for _ in 0..600 {
        arena.alloc(3u64);
    }
    assert_eq!(arena.capacity_bytes() - capacity, 256 << 10);
}

#[test]
#[cfg_attr(miri, ignore = "minutes there; the random streams take the same paths")]
fn chunks_grow_from_a_page_to_a_mebibyte() {
    let arena = arena();
    let mut capacities = Vec::new();
    while capacities.len() < 10 {
        arena.alloc([0u64; 8]);
        if capacities.last() != Some(&(arena.capacity_bytes() >> 10)) {
            capacities.push(arena.capacity_bytes() >> 10);
        }
    }
    assert_eq!(capacities, [4, 12, 28, 92, 220, 476, 988, 2012, 3036, 4060]);
}

#[test]
#[cfg_attr(miri, ignore = "minutes there; the random streams take the same paths")]
fn a_list_grows_in_place_beside_nodes() {
    let arena = Arena::builder()
        .pages(&PAGES)
        .capacity_bytes(1 << 20)
        .build()
        .unwrap();
    let mut nodes = ArenaVec::new_in(&arena);
    nodes.push(arena.alloc(0u64));
    let buffer = nodes.as_ptr();
    for value in 1..10_000 {
        nodes.push(arena.alloc(value));
    }
    assert_eq!(nodes.as_ptr(), buffer, "never moved");
    let slice = nodes.into_slice();
    assert!(slice.iter().enumerate().all(|(i, n)| **n == i as u64));
    assert_eq!(arena.used_bytes(), 160_000, "the unused tail came back");
}

#[test]
fn two_lists_that_grow_at_once_move_but_stay_intact() {
    let arena = arena();
    let (mut a, mut b) = (ArenaVec::new_in(&arena), ArenaVec::new_in(&arena));
    let mut text = ArenaString::with_capacity_in(1, &arena);
    for i in 0..3000u32 {
        a.push(i);
        b.push(!i);
        text.push(if i % 7 == 0 { 'ß' } else { 'x' });
    }
    assert!(
        a.iter()
            .zip(&b)
            .enumerate()
            .all(|(i, (x, y))| *x == i as u32 && *y == !*x)
    );
    assert_eq!(text.chars().filter(|c| *c == 'ß').count(), 429);
}

#[test]
#[cfg_attr(miri, ignore = "minutes there; the random streams take the same paths")]
fn reset_reuses_and_settles() {
    let mut arena = arena();
    let round = |arena: &mut Arena| {
        for i in 0..2000u64 {
            arena.alloc([i; 4]);
            arena.alloc_str("some text of a request");
            if i % 500 == 0 {
                arena.alloc_slice_fill_copy(300_000, 1u8);
                arena.alloc_slice_fill_copy(2_000_000, 1u8);
            }
        }
        arena.reset();
        assert_eq!(arena.used_bytes(), 0);
        arena.capacity_bytes()
    };
    let first = round(&mut arena);
    for _ in 0..10 {
        assert_eq!(round(&mut arena), first, "the same round needs nothing new");
    }
    assert_eq!(arena.trim(), first);
    assert_eq!((arena.capacity_bytes(), arena.stats().chunks), (0, 0));
    assert_eq!(round(&mut arena), first);
}

#[test]
#[cfg_attr(miri, ignore = "minutes there; the random streams take the same paths")]
fn reset_policies() {
    let fill = |arena: &mut Arena| {
        for _ in 0..20_000 {
            arena.alloc([1u64; 4]);
        }
        let full = arena.capacity_bytes();
        arena.reset();
        (full, arena.capacity_bytes())
    };
    let (full, kept) = fill(&mut arena());
    assert_eq!(full, kept);
    for keep in [0, 4095, 4096, 100 << 10, 500 << 10, 10 << 20] {
        let mut arena = Arena::builder()
            .pages(&PAGES)
            .keep_bytes(keep)
            .build()
            .unwrap();
        let (full, kept) = fill(&mut arena);
        assert!(kept <= keep && full > 640 << 10, "{kept} of {keep}");
        assert_eq!(
            kept,
            arena.stats().spare_bytes + if kept > 0 { largest(kept) } else { 0 }
        );
        assert_eq!(fill(&mut arena).1, kept);
    }
    // The chunks are 4, 8, 16, 64, 128, 256, 512 KiB; the largest kept one is the window.
    fn largest(kept: usize) -> usize {
        1 << kept.ilog2()
    }
}

#[test]
#[cfg_attr(miri, ignore = "minutes there; the random streams take the same paths")]
fn limits_below_at_and_above_the_capacity() {
    for limit in [0, 1, 4095] {
        let arena = Arena::builder()
            .pages(&PAGES)
            .limit_bytes(limit)
            .build()
            .unwrap();
        let refused = Err(AllocError::OwnerLimit { limit_bytes: limit });
        assert_eq!(arena.try_alloc(1u8), refused.map(|()| unreachable!()));
        assert_eq!(arena.capacity_bytes(), 0);
    }
    for limit in [4096, 4097, 12 << 10, 12 << 10 | 1, 30 << 10, 1 << 20] {
        let mut arena = Arena::builder()
            .pages(&PAGES)
            .limit_bytes(limit)
            .build()
            .unwrap();
        let mut counts = Vec::new();
        for _ in 0..3 {
            let mut count = 0;
            let error = loop {
                match arena.try_alloc([count as u64; 4]) {
                    Ok(_) => count += 1,
                    Err(error) => break error,
                }
            };
            assert_eq!(error, AllocError::OwnerLimit { limit_bytes: limit });
            assert!(arena.capacity_bytes() <= limit && arena.capacity_bytes() > limit - 4096);
            counts.push(count);
            arena.reset();
        }
        assert!(
            counts[0] * 32 > (limit - 4096) * 9 / 10,
            "{counts:?} of {limit}"
        );
        // The limit also gives way to one large request, once nothing else is there.
        if limit >= 30 << 10 {
            assert!(arena.try_alloc_slice_fill_copy(limit / 2, 1u8).is_ok());
        }
    }
    let refused = Arena::builder()
        .pages(&PAGES)
        .limit_bytes(4096)
        .capacity_bytes(4096)
        .build();
    assert_eq!(
        refused.unwrap_err(),
        AllocError::OwnerLimit { limit_bytes: 4096 }
    );
    assert!(
        Arena::builder()
            .pages(&PAGES)
            .capacity_bytes(usize::MAX)
            .build()
            .is_err()
    );
}

#[test]
fn infallible_forms_panic_with_the_limit() {
    let arena = Arena::builder()
        .pages(&PAGES)
        .limit_bytes(4096)
        .build()
        .unwrap();
    let message = catch_unwind(AssertUnwindSafe(|| {
        arena.alloc([0u64; 4096]);
    }));
    let message = message.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("limit of 4096 bytes"), "{message}");
    assert_eq!(*arena.alloc(5), 5);
}

#[test]
#[cfg_attr(miri, ignore = "minutes there; the random streams take the same paths")]
fn every_mapping_may_fail() {
    #[derive(Debug)]
    struct Failing {
        allowed: AtomicUsize,
    }
    // SAFETY: as the source it forwards to.
    unsafe impl PageSource for Failing {
        fn reserve(&self, bytes: usize) -> Option<Reservation> {
            let one_less = |n: usize| n.checked_sub(1);
            self.allowed
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
                .ok()?;
            HeapSource.reserve(bytes)
        }
    }
    for allowed in 0..4 {
        let source = Box::leak(Box::new(Failing {
            allowed: AtomicUsize::new(allowed),
        }));
        let pages = Box::leak(Box::new(Pages::new(source)));
        let mut arena = Arena::builder().pages(pages).build().unwrap();
        let mut failed = 0;
        for i in 0..20usize {
            failed += usize::from(arena.try_alloc_slice_fill_copy(1 << i, i as u8).is_err());
            failed += usize::from(arena.try_alloc_fmt(format_args!("{i} {i}")).is_err());
            let mut v = ArenaVec::new_in(&arena);
            failed += usize::from(v.try_extend(0..100_000).is_err());
            assert!(v.iter().enumerate().all(|(i, n)| i == *n));
        }
        assert!(failed > 0 || allowed > 0);
        arena.reset();
        arena.trim();
        assert_eq!(pages.stats().active, 0);
    }
}

#[test]
#[cfg_attr(miri, ignore = "minutes there; the random streams take the same paths")]
fn memory_goes_back_to_the_pages() {
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(&HeapSource)));
    let mut arena = Arena::builder().pages(pages).build().unwrap();
    for i in 0..5000u64 {
        arena.alloc([i; 7]);
    }
    arena.alloc_slice_fill_copy(3 << 20, 1u8);
    std::mem::forget(arena.session());
    assert_eq!(pages.stats().active, arena.capacity_bytes());
    arena.reset();
    assert_eq!(pages.stats().active, arena.capacity_bytes());
    drop(arena);
    assert_eq!(pages.stats().active, 0);
}
