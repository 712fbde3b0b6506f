//! Arenas over a caller's buffer, and what resets keep.

use std::mem::MaybeUninit;

use flagstone::ArenaThinVec;

use super::*;

#[test]
fn a_buffer_serves_first_and_pages_after() {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 2000];
    let range = buffer.as_ptr_range();
    let inside = |ptr: *const u64| range.contains(&ptr.cast());
    let mut arena = Arena::builder().pages(&PAGES).build_in(&mut buffer);
    for round in 0..4u64 {
        let mut count = 0;
        while inside(arena.alloc(round)) {
            count += 1;
        }
        assert!((230..=246).contains(&count), "{count} words in 2000 bytes");
        let list: Vec<&u64> = (0..3000u64).map(|n| &*arena.alloc(n)).collect();
        assert!(list.iter().enumerate().all(|(i, n)| **n == i as u64));
        assert!(arena.contains(list[2999]) && arena.capacity_bytes() > 24_000);
        assert!(arena.stats().chunks >= 1);
        arena.reset();
        assert_eq!(arena.used_bytes(), 0);
    }
    assert!(arena.stats().high_water_bytes >= 24_000 + 230 * 8);
}

#[test]
fn a_buffer_alone_refuses_what_it_cannot_hold() {
    for len in [0, 1, 15, 31, 32, 33, 47, 48, 63, 64, 100, 4096] {
        for skip in 0..17.min(len + 1) {
            let mut buffer = vec![MaybeUninit::<u8>::uninit(); len];
            let mut arena = Arena::builder()
                .limit_bytes(0)
                .build_in_with_min_align::<1>(&mut buffer[skip..]);
            for _ in 0..2 {
                assert!(arena.try_alloc([0u8; 5000]).is_err());
                let mut count = 0usize;
                while let Ok(byte) = arena.try_alloc(0xA5u8) {
                    assert_eq!(*byte, 0xA5);
                    count += 1;
                }
                let room = (len - skip).saturating_sub(33);
                assert!(count <= room && count + 30 >= room, "{count} of {room}");
                assert_eq!((arena.used_bytes(), arena.capacity_bytes()), (count, 0));
                assert_eq!(arena.alloc(()), &());
                arena.reset();
            }
        }
    }
}

#[test]
fn owned_values_scopes_and_claims_work_in_a_buffer() {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 1000];
    let token = Arc::new(());
    let mut arena = Arena::builder().pages(&PAGES).build_in(&mut buffer);
    for _ in 0..3 {
        arena.alloc_owned(token.clone());
        let used = arena.used_bytes();
        let text = arena.scope(|inner| {
            inner.alloc_owned(token.clone());
            let claim = inner.claim();
            claim.alloc_owned(token.clone());
            claim.alloc_slice_fill_copy(3000, 1u8);
            assert_eq!(Arc::strong_count(&token), 4);
            claim.alloc_str("text").len()
        });
        assert_eq!((text, Arc::strong_count(&token)), (4, 2));
        assert_eq!(arena.used_bytes(), used);
        arena.reset();
        assert_eq!(Arc::strong_count(&token), 1);
    }
    arena.alloc_owned(token.clone());
    drop(arena);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn a_buffer_arena_moves_to_another_thread() {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 256];
    let arena = Arena::builder().pages(&PAGES).build_in(&mut buffer);
    arena.alloc(1u64);
    std::thread::scope(|scope| {
        scope.spawn(move || assert_eq!(*arena.alloc(2u64), 2));
    });
}

/// A round of so many bytes in words.
fn round(arena: &mut Arena, bytes: usize) {
    (0..bytes as u64 / 8).for_each(|n| *arena.alloc(n) += 1);
    arena.reset();
}

#[test]
#[cfg_attr(miri, ignore = "minutes there")]
fn merging_leaves_one_chunk_that_is_large_enough() {
    let mut arena = Arena::builder()
        .pages(&PAGES)
        .merge_chunks()
        .build()
        .unwrap();
    for bytes in [1000, 100_000, 5_000_000] {
        round(&mut arena, bytes);
        let (stats, claimed) = (arena.stats(), arena.capacity_bytes());
        assert_eq!(stats.chunks, 1, "{bytes}");
        round(&mut arena, bytes);
        assert_eq!((arena.stats().chunks, arena.capacity_bytes()), (1, claimed));
        assert!(claimed <= 2 * bytes + (1 << 20));
    }
    // Bounded by what a reset may keep.
    let builder = Arena::builder().pages(&PAGES).merge_chunks();
    let mut arena = builder.keep_bytes(256 << 10).build().unwrap();
    round(&mut arena, 5_000_000);
    assert_eq!(
        (arena.stats().chunks, arena.capacity_bytes()),
        (1, 256 << 10)
    );
    let mut arena = builder.keep_bytes(300_000).build().unwrap();
    round(&mut arena, 5_000_000);
    assert_eq!(
        arena.capacity_bytes(),
        256 << 10,
        "whole units, and not more than may be kept"
    );
    round(&mut arena, 1000);
    assert_eq!(arena.capacity_bytes(), 256 << 10);
    let mut arena = builder.keep_bytes(0).build().unwrap();
    round(&mut arena, 5_000_000);
    assert_eq!((arena.stats().chunks, arena.capacity_bytes()), (0, 0));
}

#[test]
#[cfg_attr(miri, ignore = "minutes there")]
fn what_a_rare_large_round_claimed_fades() {
    let mut arena = Arena::builder()
        .pages(&PAGES)
        .keep_recent()
        .build()
        .unwrap();
    round(&mut arena, 8 << 20);
    let spike = arena.capacity_bytes();
    assert!(spike >= 8 << 20);
    round(&mut arena, 1000);
    assert_eq!(arena.capacity_bytes(), spike, "not at once");
    let mut least = spike;
    for _ in 0..1000 {
        round(&mut arena, 1000);
        assert!(
            arena.capacity_bytes() <= least.max(128 << 10),
            "never up again"
        );
        least = arena.capacity_bytes();
    }
    assert!(
        least <= 128 << 10,
        "{least} bytes are kept for rounds of 1000"
    );
    assert_eq!(arena.stats().high_water_bytes, 8 << 20);
    // A steady round claims and gives back nothing, whatever its size.
    for bytes in [3000, 20_000, 40_000, 100_000, 300_000, 3_000_000] {
        (0..4).for_each(|_| round(&mut arena, bytes));
        let steady = arena.capacity_bytes();
        for _ in 0..300 {
            round(&mut arena, bytes);
            assert_eq!(arena.capacity_bytes(), steady, "{bytes}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "minutes there")]
fn pooled_arenas_forget_a_rare_large_request() {
    let arenas = flagstone::ArenaPool::new();
    let mut held = 0;
    for request in 0..1000 {
        let arena = arenas.get();
        held = arena.capacity_bytes();
        let bytes = if request == 0 { 8 << 20 } else { 10_000 };
        arena.alloc_slice_fill_copy(bytes, 1u8);
    }
    assert!((10_000..=128 << 10).contains(&held), "{held}");
    assert_eq!(arenas.stats().creates, 1);
}

#[test]
fn contains_knows_what_is_handed_out() {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 256];
    let mut arena = Arena::builder().pages(&PAGES).build_in(&mut buffer);
    for _ in 0..2 {
        let inside = core::ptr::from_ref(arena.alloc(1u64));
        let beyond = arena.alloc([1u8; 1000]).as_ptr();
        let claimed = {
            let claim = arena.claim();
            let claimed = core::ptr::from_ref(claim.alloc(2u64));
            assert!(claim.contains(claimed) && !claim.contains(beyond));
            claimed
        };
        assert!(arena.contains(inside) && arena.contains(beyond));
        assert!(!arena.contains(claimed) && !arena.contains(&0));
        arena.reset();
        assert!(!arena.contains(inside) && !arena.contains(beyond));
    }
}

/// A list that ends where the buffer behind it starts is nevertheless in another arena's memory.
#[test]
fn a_buffer_within_an_arena_does_not_adjoin_what_lies_before_it() {
    let outer = arena();
    let mut list = ArenaThinVec::from_slice_in(&[1u64, 2, 3, 4], &outer);
    let buffer = outer.alloc_slice_fill_copy(1000, MaybeUninit::<u8>::uninit());
    let start = buffer.as_ptr().addr();
    assert_eq!(list.as_ptr_range().end.addr(), start);
    let inner = Arena::builder().pages(&PAGES).build_in(buffer);
    list.pop();
    list.shrink_to_fit(&inner);
    assert_eq!(inner.used_bytes(), 0);
    list.extend_from_slice(&inner, &[4, 5]);
    assert!(list.as_ptr().addr() >= start, "the list moved");
    assert_eq!(list, [1, 2, 3, 4, 5]);
}

/// The buffer is the parent's and longer lived than the claim that the list before it is in.
#[test]
fn a_buffer_behind_a_claim_takes_nothing_of_it() {
    let outer = arena();
    let buffer = outer.alloc([MaybeUninit::<u8>::uninit(); 512]);
    let start = buffer.as_ptr().addr();
    let inner = Arena::builder().pages(&PAGES).build_in(buffer);
    let claim = outer.claim();
    // One byte parts the claim's memory from the parent's.
    let mut list = ArenaThinVec::from_slice_in(&[1u8; 4096 - 32 - 512 - 1], &claim);
    assert_eq!(list.as_ptr_range().end.addr(), start);
    list.clear();
    list.shrink_to_fit(&inner);
    drop(claim);
    let ours = inner.alloc_slice_fill_copy(300, 1u8);
    let theirs = outer.alloc_slice_fill_copy(300, 2u8);
    theirs.fill(3);
    assert!(ours.iter().all(|byte| *byte == 1));
}
