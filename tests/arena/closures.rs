//! Closures that allocate, fail and panic; values of size zero.

use super::*;

#[test]
fn closures_that_allocate_get_memory_of_their_own() {
    let arena = arena();
    let list = arena.alloc_with(|| Cons(1, Some(arena.alloc(Cons(2, None)))));
    assert_eq!((list.0, list.1.unwrap().0), (1, 2));

    let outer = arena.alloc_slice_fill_with(4, |i| &*arena.alloc(i as u64));
    assert_eq!(outer.iter().map(|n| **n).collect::<Vec<_>>(), [0, 1, 2, 3]);

    let from = arena.alloc_from_iter((0..100u64).map(|i| {
        arena.alloc_str("between");
        &*arena.alloc(i)
    }));
    assert!(from.iter().enumerate().all(|(i, n)| **n == i as u64));

    let ok: Result<&mut &mut u64, ()> = arena.alloc_try_with(|| Ok(arena.alloc(5)));
    assert_eq!(**ok.unwrap(), 5);
}

#[test]
fn a_failed_closure_that_allocated_keeps_what_it_allocated() {
    let arena = arena();
    let kept = Cell::new(None);
    let result: Result<&mut [u64; 4], &str> = arena.alloc_try_with(|| {
        kept.set(Some(arena.alloc(0x5555u64)));
        Err("no")
    });
    assert_eq!(result.unwrap_err(), "no");
    for _ in 0..100 {
        arena.alloc([!0u64; 3]);
    }
    assert_eq!(*kept.take().unwrap(), 0x5555);
}

#[test]
#[cfg_attr(miri, ignore = "minutes there; the random streams take the same paths")]
fn a_failed_closure_that_allocated_nothing_costs_nothing() {
    let mut arena = arena();
    arena.alloc(1u8);
    for round in 0..2 {
        let before = (arena.used_bytes(), arena.capacity_bytes());
        for _ in 0..10_000 {
            assert!(arena.alloc_try_with(|| Err::<[u64; 3], _>(())).is_err());
            assert!(
                arena
                    .try_alloc_try_with(|| Err::<(), _>(()))
                    .unwrap()
                    .is_err()
            );
        }
        assert_eq!(
            (arena.used_bytes(), arena.capacity_bytes()),
            before,
            "round {round}"
        );
        // Too large for the chunk: a span of its own, which comes back too.
        assert!(arena.alloc_try_with(|| Err::<[u64; 1000], _>(())).is_err());
        let capacity = arena.capacity_bytes();
        for _ in 0..1000 {
            assert!(arena.alloc_try_with(|| Err::<[u64; 1000], _>(())).is_err());
        }
        assert_eq!(arena.capacity_bytes(), capacity);
        arena.reset();
        arena.alloc(1u8);
    }
}

#[test]
fn a_closure_that_panics_leaves_a_sound_arena() {
    let arena = arena();
    let first = arena.alloc(1u64);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        arena.alloc_with(|| -> u64 {
            arena.alloc(2u64);
            panic!("expected")
        });
    }));
    assert!(panicked.is_err());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        arena.alloc_slice_fill_with(9, |i| if i == 5 { panic!("expected") } else { i });
    }));
    assert!(panicked.is_err());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        arena.alloc_from_iter((0..50u64).inspect(|i| assert!(*i < 20, "expected")));
    }));
    assert!(panicked.is_err());
    let second = arena.alloc(3u64);
    assert_eq!((*first, *second), (1, 3));
}

#[test]
fn formatting_may_allocate_fail_and_panic() {
    struct Evil<'a>(&'a Arena, u8);
    impl fmt::Display for Evil<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.1 {
                0 => {
                    self.0.alloc_str("in between");
                    f.write_str("fine")
                }
                1 => Err(fmt::Error),
                _ => panic!("expected"),
            }
        }
    }
    let arena = arena();
    let text = arena.alloc_fmt(format_args!("<{}|{}>", Evil(&arena, 0), Evil(&arena, 0)));
    assert_eq!(text, "<fine|fine>");
    for kind in [1, 2] {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            arena
                .alloc_fmt(format_args!("<{}>", Evil(&arena, kind)))
                .len()
        }));
        assert!(panicked.is_err());
    }
    assert_eq!(text, "<fine|fine>");
    assert_eq!(arena.alloc_fmt(format_args!("constant")), "constant");
}

// ---- Zero-sized values --------------------------------------------------------------------------

#[test]
fn zero_sized_values() {
    #[derive(Clone, Copy, Default, PartialEq, Debug)]
    #[repr(align(64))]
    struct Wide;
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::Relaxed);
        }
    }

    let mut arena = arena();
    let wide: *const Wide = arena.alloc(Wide);
    assert_eq!(wide.addr() % 64, 0);
    assert_eq!(
        arena.alloc_slice_fill_default::<Wide>(1 << 16).len(),
        1 << 16
    );
    assert_eq!(arena.alloc_slice_copy(&[(); usize::MAX]).len(), usize::MAX);
    assert_eq!(arena.alloc_from_iter((0..7).map(|_| ())).len(), 7);
    let mut units = ArenaVec::new_in(&arena);
    units.extend([(), (), ()]);
    assert_eq!(
        (units.pop(), units.len(), units.capacity()),
        (Some(()), 2, usize::MAX)
    );
    assert_eq!(units.into_slice().len(), 2);
    assert_eq!(arena.capacity_bytes(), 0);
    drop(arena.alloc_box(Counted));
    assert_eq!(DROPS.load(Ordering::Relaxed), 1);
    arena.alloc_owned(Counted);
    arena.alloc_leak(Counted);
    arena.reset();
    assert_eq!(DROPS.load(Ordering::Relaxed), 2);

    let layout = Layout::from_size_align(0, 4096).unwrap();
    let block = arena.allocate(layout).unwrap().cast::<u8>();
    assert_eq!(block.addr().get() % 4096, 0);
    let larger = Layout::from_size_align(10, 4096).unwrap();
    // SAFETY: a block of this arena, grown, shrunk and freed with its layouts.
    unsafe {
        let block = arena.grow(block, layout, larger).unwrap().cast::<u8>();
        assert_eq!(block.addr().get() % 4096, 0);
        block.write_bytes(1, 10);
        let block = arena.shrink(block, larger, layout).unwrap().cast();
        arena.deallocate(block, layout);
    }
}
