//! Scopes.

use super::*;

#[test]
#[cfg_attr(miri, ignore = "minutes there; the random streams take the same paths")]
fn scopes_restore_whatever_happens_inside() {
    let mut arena = arena();
    let body = |inner: Scope<'_>, size: usize| {
        for i in 0..size {
            inner.alloc(i);
            inner.alloc_str("text");
        }
        std::mem::forget(inner.session());
        inner.alloc_slice_fill_copy(size * 10, 1u8);
        inner.used_bytes()
    };
    let kept = [*arena.alloc(1u64), *arena.alloc(2)];
    arena.alloc_str("kept");
    let used = arena.used_bytes();
    for size in [0, 1, 10, 1000, 100_000] {
        assert!(arena.scope(|inner| body(inner, size)) >= used);
        assert_eq!(arena.used_bytes(), used);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            arena.scope(|inner| {
                body(inner, size);
                panic!("expected");
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(arena.used_bytes(), used);
    }
    let capacity = arena.capacity_bytes();
    arena.scope(|inner| body(inner, 100_000));
    assert_eq!(
        arena.capacity_bytes(),
        capacity,
        "scopes reuse what scopes left"
    );
    assert_eq!(kept, [1, 2]);
}

#[test]
fn scopes_of_two_arenas_do_not_meet() {
    let (mut one, mut two) = (arena(), arena());
    one.alloc(1u64);
    one.scope(|outer| {
        two.scope(|inner| {
            inner.alloc_str("inner");
            // `mem::swap(&mut outer, &mut inner)` does not compile: refusals.md.
        });
        outer.alloc(2u64);
    });
    assert_eq!((one.used_bytes(), two.used_bytes()), (8, 0));
}

#[test]
fn a_block_of_an_outer_scope_never_resizes_in_place() {
    let mut arena = arena();
    let layout = Layout::from_size_align(16, 1).unwrap();
    let larger = Layout::from_size_align(64, 1).unwrap();
    let block = arena.allocate(layout).unwrap().cast::<u8>();
    // SAFETY: blocks of this arena with their layouts; a block of the scope is not used after it.
    unsafe {
        block.write_bytes(7, 16);
        let used = arena.used_bytes();
        arena.scope(|inner| {
            let grown = inner.grow(block, layout, larger).unwrap().cast::<u8>();
            assert_ne!(
                grown, block,
                "moved, so that the end of the scope cuts nothing off"
            );
            let own = inner.allocate(layout).unwrap().cast::<u8>();
            let regrown = inner.grow(own, layout, larger).unwrap().cast::<u8>();
            assert_eq!(own, regrown, "its own blocks grow");
        });
        assert_eq!(arena.used_bytes(), used);
        arena.scope(|inner| inner.deallocate(block, layout));
        assert_eq!(
            arena.used_bytes(),
            used,
            "and it cannot be ended from inside"
        );
        let grown = arena.grow(block, layout, larger).unwrap().cast::<u8>();
        assert_eq!(grown, block, "outside it grows again");
        assert!(
            core::slice::from_raw_parts(grown.as_ptr(), 16)
                .iter()
                .all(|b| *b == 7)
        );
    }
}
