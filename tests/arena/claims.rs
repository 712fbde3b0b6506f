//! Claims and checkpoints: scopes entered while the arena is shared.

use flagstone::ArenaThinVec;

use super::*;

/// Counts how often it was dropped, and when.
struct Drops(Arc<Mutex<Vec<u32>>>, u32);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(self.1);
    }
}

#[test]
fn a_claim_gives_everything_back() {
    let arena = arena();
    let kept = arena.alloc_str("kept");
    let next = |arena: &Arena| core::ptr::from_ref(arena.alloc(0u64)).addr();
    let first = next(&arena);
    for size in [0, 1, 1000, 100_000] {
        let used = arena.used_bytes();
        let claim = arena.claim();
        assert_eq!(claim.used_bytes(), 0);
        for i in 0..size {
            claim.alloc(i);
            claim.alloc_str("text");
        }
        claim.alloc_slice_fill_copy(size * 10, 1u8);
        assert!(claim.used_bytes() >= size * 22);
        drop(claim);
        assert_eq!(arena.used_bytes(), used);
    }
    let capacity = arena.capacity_bytes();
    let claim = arena.claim();
    (0..100_000u64).for_each(|i| *claim.alloc(i) += 1);
    assert_eq!(
        claim.capacity_bytes(),
        capacity,
        "claims reuse what claims left"
    );
    drop(claim);
    assert_eq!(next(&arena), first - 8, "the window is where it was");
    assert_eq!(kept, "kept");
    assert!(arena.stats().high_water_bytes > 800_000);
}

#[test]
fn collections_of_the_outer_arena_grow_while_claims_are_open() {
    let mut arena = arena();
    for _ in 0..3 {
        {
            let mut outer = ArenaVec::new_in(&arena);
            let mut text = ArenaString::new_in(&arena);
            for i in 0..200u64 {
                let claim = arena.claim();
                let mut inner = ArenaVec::new_in(&claim);
                for j in 0..i {
                    inner.push(j);
                    outer.push(claim.alloc(j).wrapping_mul(3));
                    text.push('x');
                }
                let again = claim.claim();
                let sum: u64 = again.alloc_from_iter(inner.iter().copied()).iter().sum();
                assert_eq!(sum, i * i.wrapping_sub(1) / 2);
            }
            assert_eq!((outer.len(), text.len()), (199 * 200 / 2, 199 * 200 / 2));
            let expected = (0..200u64).flat_map(|i| (0..i).map(|j| j * 3));
            assert!(outer.iter().copied().eq(expected));
            assert!(text.bytes().all(|b| b == b'x'));
        }
        arena.reset();
    }
}

#[test]
fn claims_end_in_any_order() {
    let mut arena = arena();
    {
        let kept = [arena.alloc(1u64), arena.alloc(2)];
        let (one, two, three) = (arena.claim(), arena.claim(), arena.claim());
        let (a, b, c) = (one.alloc(1u64), two.alloc(2u64), three.alloc(3u64));
        assert_eq!((*a, *b, *c), (1, 2, 3));
        drop(one);
        let four = arena.claim();
        let d = four.alloc_slice_fill_copy(1000, 4u64);
        assert_eq!((*b, *c, d[999]), (2, 3, 4));
        let e = arena.alloc(5u64);
        drop(three);
        drop(two);
        drop(four);
        assert_eq!((*e, kept), (5, [&mut 1, &mut 2]));
    }
    arena.reset();
    assert_eq!(arena.used_bytes(), 0);
    let capacity = arena.capacity_bytes();
    assert_eq!(
        (arena.trim(), arena.capacity_bytes()),
        (capacity, 0),
        "nothing is lost"
    );
}

#[test]
fn claims_that_are_swapped_keep_their_arenas() {
    let (one, two) = (arena(), arena());
    let (mut a, mut b) = (one.claim(), two.claim());
    std::mem::swap(&mut a, &mut b);
    b.alloc_slice_fill_copy(100, 1u8);
    drop(a);
    let text = b.alloc_str("still here");
    assert!(one.used_bytes() > 0 || one.capacity_bytes() > 0);
    assert_eq!(text, "still here");
    drop(b);
    assert_eq!((one.used_bytes(), two.used_bytes()), (0, 0));
}

#[test]
fn a_forgotten_claim_costs_memory_and_nothing_else() {
    let mut arena = arena();
    arena.alloc(1u64);
    for _ in 0..3 {
        let claim = arena.claim();
        claim.alloc(2u64);
        std::mem::forget(claim);
        let after = arena.alloc(3u64);
        assert_eq!(*after, 3);
        arena.scope(|inner| {
            std::mem::forget(inner.claim());
            inner.alloc(4u64);
        });
        arena.reset();
        assert_eq!(arena.used_bytes(), 0);
        assert_eq!((*arena.alloc(5u64), arena.used_bytes()), (5, 8));
    }
}

#[test]
fn owned_values_of_a_claim_are_dropped_with_it_newest_first() {
    let arena = arena();
    let log = Arc::new(Mutex::new(Vec::new()));
    arena.alloc_owned(Drops(log.clone(), 0));
    let mut claim = arena.claim();
    claim.alloc_owned(Drops(log.clone(), 1));
    claim.alloc_owned(Drops(log.clone(), 2));
    claim.scope(|inner| {
        inner.alloc_owned(Drops(log.clone(), 3));
    });
    assert_eq!(*log.lock().unwrap(), [3]);
    claim.reset();
    assert_eq!(*log.lock().unwrap(), [3, 2, 1]);
    claim.alloc_owned(Drops(log.clone(), 4));
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _claim = claim;
        panic!("expected");
    }));
    assert!(panicked.is_err());
    assert_eq!(*log.lock().unwrap(), [3, 2, 1, 4]);
    drop(arena);
    assert_eq!(*log.lock().unwrap(), [3, 2, 1, 4, 0]);
}

#[test]
fn the_limit_holds_for_claims_and_arena_together() {
    let arena = Arena::builder()
        .pages(&PAGES)
        .limit_bytes(256 << 10)
        .build()
        .unwrap();
    arena.alloc(1u64);
    let claim = arena.claim();
    let refused = Err(AllocError::OwnerLimit {
        limit_bytes: 256 << 10,
    });
    assert_eq!(
        claim.try_alloc_slice_fill_copy(256 << 10, 1u8).map(|_| ()),
        refused
    );
    let half = claim.try_alloc_slice_fill_copy(100 << 10, 1u8).unwrap();
    assert_eq!(
        arena.try_alloc_slice_fill_copy(100 << 10, 1u8).map(|_| ()),
        refused
    );
    assert_eq!(half.len(), 100 << 10);
    drop(claim);
    assert!(arena.try_alloc_slice_fill_copy(100 << 10, 1u8).is_ok());
}

#[test]
fn zeroed_memory_is_zero_after_claims_wrote_there() {
    // Pages of its own: those that other tests wrote to are known not to be zero.
    static FRESH: Pages = Pages::new(&HeapSource);
    let arena = Arena::builder().pages(&FRESH).build().unwrap();
    arena.alloc(1u64);
    for round in 0..4usize {
        let claim = arena.claim();
        claim.alloc_slice_fill_copy(2000 + round, 0xAAu8);
        claim.alloc([u64::MAX; 100]);
        drop(claim);
        let checkpoint = arena.checkpoint();
        let layout = Layout::from_size_align(2500, 1).unwrap();
        let block = arena.allocate_zeroed(layout).unwrap();
        // SAFETY: a block of so many bytes, all zero.
        assert!(unsafe { block.as_ref() }.iter().all(|byte| *byte == 0));
        // SAFETY: the block is not used any more.
        unsafe { arena.rewind(checkpoint) };
    }
}

#[test]
fn a_stack_machine_rewinds_to_its_checkpoints() {
    let mut arena = arena();
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut random = Random::new(1);
    for _ in 0..if cfg!(miri) { 2 } else { 50 } {
        {
            let mut frames = Vec::new();
            for step in 0..200 {
                if random.below(4) == 0 && !frames.is_empty() {
                    // To the last frame, or to an earlier one.
                    let to = random.below(frames.len());
                    let (checkpoint, used): (_, usize) = frames.drain(to..).next().unwrap();
                    // SAFETY: nothing made since is used below, and no session or claim is open.
                    unsafe { arena.rewind(checkpoint) };
                    assert_eq!(arena.used_bytes(), used);
                } else {
                    frames.push((arena.checkpoint(), arena.used_bytes()));
                    let bytes = arena.alloc_slice_fill_copy(random.below(3000), 7u8);
                    assert!(bytes.iter().all(|byte| *byte == 7));
                    arena.alloc_owned(Drops(log.clone(), step));
                    let mut list = ArenaVec::new_in(&arena);
                    list.extend(0..step);
                    assert!(list.iter().copied().eq(0..step));
                }
            }
        }
        arena.reset();
        assert_eq!(arena.used_bytes(), 0);
    }
    let drops = log.lock().unwrap().len();
    assert!(drops > 100, "owned values were dropped: {drops}");
    assert_eq!(Arc::strong_count(&log), 1, "every one of them");
}

#[test]
fn a_vector_older_than_a_checkpoint_does_not_grow_across_it() {
    let arena = arena();
    let mut list = ArenaVec::new_in(&arena);
    list.extend(0..4u32);
    let before = list.as_ptr();
    let checkpoint = arena.checkpoint();
    list.extend(4..8);
    assert_ne!(
        list.as_ptr(),
        before,
        "it moved, so that rewinding cuts nothing off"
    );
    let text = arena.alloc_str("on top");
    assert_eq!((&*text, list.len()), ("on top", 8));
    // SAFETY: `list` and `text` are not used any more.
    unsafe { arena.rewind(checkpoint) };
    let mut list = ArenaVec::new_in(&arena);
    list.extend(0..4u32);
    let before = list.as_ptr();
    list.extend(4..8);
    assert_eq!(
        list.as_ptr(),
        before,
        "what is younger grows in place again"
    );
}

#[test]
fn a_scope_that_ended_does_not_hold_an_untouched_chunk() {
    let builder = Arena::builder().pages(&PAGES).limit_bytes(64 << 10);
    let mut arena = builder.capacity_bytes(1).build().unwrap();
    let large = |arena: &Arena| arena.try_alloc_slice_fill_copy(60 << 10, 1u8).is_ok();
    arena.scope(|inner| assert!(!large(&inner), "4 KiB of the limit are the scope's"));
    let checkpoint = arena.checkpoint();
    assert!(!large(&arena), "and the checkpoint's");
    // SAFETY: nothing was made since.
    unsafe { arena.rewind(checkpoint) };
    assert!(large(&arena));
}

#[test]
fn a_checkpoint_made_in_a_closure_that_fails() {
    let mut arena = arena();
    let kept: Vec<*mut [u64; 60]> = (0..40).map(|n| &raw mut *arena.alloc([n; 60])).collect();
    let (used, mut checkpoint) = (arena.used_bytes(), None);
    let failed = arena.alloc_try_with(|| {
        checkpoint = Some(arena.checkpoint());
        Err::<[u8; 131_000], ()>(())
    });
    assert!(failed.is_err());
    arena.trim();
    arena.alloc([0u64; 60]);
    // SAFETY: of this arena, and what was made since is not used any more.
    unsafe { arena.rewind(checkpoint.take().unwrap()) };
    arena.alloc_slice_fill_copy(100_000, !0u64);
    assert!(arena.used_bytes() >= used);
    for (n, values) in kept.into_iter().enumerate() {
        assert!(arena.contains(values));
        // SAFETY: made before the checkpoint, and the arena was not reset since.
        assert_eq!(unsafe { *values }, [n as u64; 60]);
    }
}

#[test]
fn a_reset_forgets_checkpoints() {
    let limited = Arena::builder().pages(&PAGES).limit_bytes(64 << 10);
    let mut arena = limited.build().unwrap();
    for _ in 0..3 {
        arena.alloc([1u64; 9]);
        arena.reset();
        arena.checkpoint();
        arena.reset();
        // The whole limit, once the chunk that the reset opened makes way for it.
        assert!(arena.try_alloc_slice_fill_copy(60 << 10, 1u8).is_ok());
        arena.reset();
    }
}

#[test]
fn a_list_grows_in_place_again_after_a_claim() {
    let arena = arena();
    let mut list = ArenaVec::with_capacity_in(4, &arena);
    list.extend(0..4u32);
    let buffer = list.as_ptr();
    arena.claim().alloc_str("in between");
    list.extend(4..100);
    assert_eq!(list.as_ptr(), buffer);
}

/// What a claim without room starts with is the end of the parent's last block.
#[test]
fn a_claim_of_a_full_chunk_has_nothing_of_its_parent() {
    let arena = arena();
    let mut list = ArenaThinVec::from_slice_in(&[1u64, 2, 3, 4], &arena);
    let rest = 4096 - 32 - arena.used_bytes();
    arena.alloc_slice_fill_copy(rest / 8, 0u64);
    let claim = arena.claim();
    list.pop();
    list.shrink_to_fit(&claim);
    assert_eq!(claim.used_bytes(), 0);
    list.push(&claim, 5);
    list.push(&claim, 6);
    assert_eq!(list, [1, 2, 3, 5, 6]);
}
