//! Every size and alignment, and those beyond every limit.

use super::*;

#[test]
#[cfg_attr(miri, ignore = "Miri gives up where a system refuses")]
fn sizes_near_the_largest_are_refused_and_harmless() {
    let arena = arena();
    arena.alloc(1u64);
    let largest = isize::MAX as usize;
    for shift in [0, 1, 3, 4, 5, 12, 22] {
        let align = 1usize << shift;
        for size in [
            largest - (align - 1),
            largest - (align - 1) - 16,
            largest / 2,
        ] {
            let layout = Layout::from_size_align(size, align).unwrap();
            let refused = arena.allocate(layout).unwrap_err();
            assert!(
                matches!(
                    refused,
                    AllocError::LayoutTooLarge | AllocError::SourceExhausted { .. }
                ),
                "{size} {align} {refused:?}"
            );
        }
    }
    let far = Layout::from_size_align(8, 8 << 20).unwrap();
    assert_eq!(arena.allocate(far), Err(AllocError::LayoutTooLarge));
    assert!(
        arena
            .try_alloc_slice_fill_with(usize::MAX / 2, |_| 0u64)
            .is_err()
    );
    assert!(arena.try_alloc_slice_fill_copy(largest, 0u8).is_err());
    assert!(
        dense::<16>()
            .try_alloc_slice_fill_copy(largest, 0u8)
            .is_err()
    );
    assert!(
        dense::<16>()
            .try_alloc_slice_fill_copy(largest / 2, 0u16)
            .is_err()
    );
    let mut v = ArenaVec::<u32>::new_in(&arena);
    v.push(1);
    assert!(v.try_reserve(usize::MAX).is_err());
    assert!(v.try_reserve(largest / 4).is_err());
    assert_eq!((v[0], *arena.alloc(2u64)), (1, 2));
}

#[test]
fn every_small_size_by_every_alignment() {
    fn check<const M: usize>() {
        let sizes: Vec<usize> = if cfg!(miri) {
            vec![0, 1, 7, 8, 9, 100, 1025]
        } else {
            (0..=130).chain((131..8200).step_by(61)).collect()
        };
        for shift in 0..=12 {
            let align = 1 << shift;
            let arena = dense::<M>();
            let mut blocks = Vec::new();
            for &size in &sizes {
                let layout = Layout::from_size_align(size, align).unwrap();
                let block = arena.allocate(layout).unwrap();
                assert_eq!(
                    (block.len(), block.cast::<u8>().addr().get() % align),
                    (size, 0)
                );
                let pattern = (size * 31 + shift) as u8;
                // SAFETY: a fresh block of so many bytes.
                unsafe { block.cast::<u8>().write_bytes(pattern, size) };
                blocks.push((block.cast::<u8>(), size, pattern));
                assert_eq!(core::ptr::from_ref(arena.alloc(!0u64)).addr() % M.max(8), 0);
            }
            for (block, size, pattern) in blocks {
                // SAFETY: a block of so many bytes, written above.
                let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), size) };
                assert!(bytes.iter().all(|byte| *byte == pattern));
            }
        }
    }
    check::<1>();
    check::<8>();
    check::<16>();
}

#[test]
fn typed_values_of_every_alignment() {
    macro_rules! check {
        ($arena:expr, $($align:literal)*) => { $({
            #[repr(align($align))]
            struct Value([u8; 3]);
            for i in 0..9u8 {
                $arena.alloc(i);
                let value = $arena.alloc(Value([i; 3]));
                assert!(core::ptr::from_ref(value).is_aligned());
                assert_eq!(value.0, [i; 3]);
                let slice = $arena.alloc_slice_fill_with(2, |_| Value([i; 3]));
                assert!(slice.as_ptr().is_aligned());
            }
        })* };
    }
    let (one, eight, sixteen) = (dense::<1>(), arena(), dense::<16>());
    check!(one, 1 2 4 8 16 32 64 128 256 512 1024 2048 4096);
    check!(eight, 1 2 4 8 16 32 64 128 256 512 1024 2048 4096);
    check!(sixteen, 1 2 4 8 16 32 64 128 256 512 1024 2048 4096);
    assert_eq!(core::ptr::from_ref(eight.alloc(1u8)).addr() % 8, 0);
    assert_eq!(core::ptr::from_ref(sixteen.alloc(1u8)).addr() % 16, 0);
}

#[test]
fn strings_are_packed_and_leave_objects_aligned() {
    let arena = arena();
    let a = arena.alloc_str("abc").as_ptr().addr();
    let n = core::ptr::from_ref(arena.alloc(1u64)).addr();
    let b = arena.alloc_str("defgh").as_ptr().addr();
    let m = core::ptr::from_ref(arena.alloc(2u64)).addr();
    assert_eq!((b - a, n - m), (3, 8));
    assert_eq!(arena.used_bytes(), 3 + 5 + 16);
}
