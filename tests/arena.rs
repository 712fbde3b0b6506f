//! The arena through its public doors: the program of the API document, every soundness trap that
//! the field has fallen into, and random streams against an oracle.

use std::alloc::Layout;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use flagstone::pages::{HeapSource, PageSource, Pages, Reservation};
use flagstone::{AllocError, Arena, ArenaBox, ArenaString, ArenaVec, Scope, Session};

/// Pages over the heap, so that the tests run where mmap does not (Miri).
static PAGES: Pages = Pages::new(&HeapSource);

fn arena() -> Arena {
    Arena::builder().pages(&PAGES).build().unwrap()
}

fn dense<const M: usize>() -> Arena<M> {
    Arena::builder()
        .pages(&PAGES)
        .build_with_min_align()
        .unwrap()
}

#[test]
fn program_of_the_api_document() -> Result<(), AllocError> {
    let mut arena = Arena::new();
    {
        let n: &mut u64 = arena.alloc(7);
        let s: &mut str = arena.alloc_str("hello");
        let xs: &mut [u32] = arena.alloc_slice_copy(&[1, 2, 3]);
        let ys: &mut [u64] = arena.alloc_slice_fill_with(4, |i| i as u64);
        let zs: &mut [u64] = arena.alloc_from_iter((0..9).map(|i| i * i));
        let f: &mut str = arena.alloc_fmt(format_args!("{}-{}", 1, 2));
        let boxed = arena.alloc_box(String::from("dropped with the handle"));
        let owned: &mut String = arena.alloc_owned(String::from("dropped by the arena"));
        let lazy: &mut [u8; 4096] = arena.alloc_with(|| [0; 4096]);
        let r: Result<&mut u64, u8> = arena.alloc_try_with(|| Err(3));

        let mut v = ArenaVec::new_in(&arena);
        v.push(1);
        v.push(2);
        let frozen: &mut [i32] = v.into_slice();
        let mut t = ArenaString::new_in(&arena);
        t.push_str("abc");
        let mut av = allocator_api2::vec::Vec::<u8, _>::new_in(&arena);
        av.extend_from_slice(b"xyz");

        let kept: Vec<&u64> = {
            let mut session = arena.session();
            (0..9).map(|i| &*session.alloc(i)).collect()
        };
        println!("{kept:?}");
        assert_eq!(
            (*n, &*s, &*xs, &*ys),
            (7, "hello", &[1, 2, 3][..], &[0, 1, 2, 3][..])
        );
        assert_eq!((&*f, zs[8], lazy[4095], r), ("1-2", 64, 0, Err(3)));
        assert_eq!((boxed.len(), owned.len(), &*frozen), (23, 20, &[1, 2][..]));
        assert_eq!((&*t, &av[..], *kept[8]), ("abc", &b"xyz"[..], 8));
    }
    let total = arena.scope(|inner| {
        let x = inner.alloc(1);
        *x + 1
    });
    arena.reset();
    println!("{} of {} bytes", arena.used_bytes(), arena.capacity_bytes());
    let limited = Arena::builder()
        .limit_bytes(1 << 20)
        .keep_bytes(256 << 10)
        .build()?;
    let dense: Arena<1> = Arena::with_min_align();
    assert_eq!((total, arena.used_bytes()), (2, 0));
    assert_eq!((limited.capacity_bytes(), dense.capacity_bytes()), (0, 0));
    Ok(())
}

#[test]
fn thread_rules() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<Arena>();
    send::<Arena<1>>();
    send::<ArenaBox<'_, u8>>();
    sync::<ArenaBox<'_, u8>>();
    send::<&mut str>();
    // `Arena`, `ArenaVec`, `Session` are not `Sync` or `Send`: src/arena/refusals.rs.
    let arena = arena();
    arena.alloc_owned(String::from("dropped over there"));
    std::thread::spawn(move || drop(arena)).join().unwrap();
}

#[test]
fn new_is_const_and_maps_nothing() {
    let arena = const { Arena::new() };
    assert_eq!((arena.capacity_bytes(), arena.stats().chunks), (0, 0));
    assert_eq!(arena.alloc(()), &mut ());
    assert!(arena.alloc_slice_copy::<u64>(&[]).is_empty());
    assert_eq!(arena.alloc_str(""), "");
    assert_eq!(
        arena.capacity_bytes(),
        0,
        "nothing of zero bytes claims a chunk"
    );
}

// ---- Re-entrant closures: Ok, Err, panic -------------------------------------------------------

struct Cons<'a>(u64, Option<&'a Cons<'a>>);

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

// ---- Sizes and alignments -----------------------------------------------------------------------

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

// ---- Chunks -------------------------------------------------------------------------------------

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

// ---- Owned values -------------------------------------------------------------------------------

/// Writes its number down when it is dropped; panics too, if it should.
struct Noted(u32, Arc<Mutex<Vec<u32>>>, bool);

impl Drop for Noted {
    fn drop(&mut self) {
        self.1
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .push(self.0);
        assert!(!self.2, "expected");
    }
}

#[test]
fn owned_values_are_dropped_in_reverse_at_reset_scope_end_and_drop() {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let noted = |n| Noted(n, notes.clone(), false);
    let take = || std::mem::take(&mut *notes.lock().unwrap());
    let mut arena = arena();
    for n in 0..3 {
        assert_eq!(arena.alloc_owned(noted(n)).0, n);
    }
    arena.scope(|mut inner| {
        inner.alloc_owned(noted(10));
        inner.scope(|innermost| {
            innermost.alloc_owned(noted(20));
            innermost.alloc_owned(noted(21));
        });
        assert_eq!(take(), [21, 20]);
        inner.try_alloc_owned(noted(11)).unwrap();
    });
    assert_eq!(take(), [11, 10]);
    arena.reset();
    assert_eq!(take(), [2, 1, 0]);
    arena.reset();
    assert!(take().is_empty(), "nothing twice");
    arena.alloc_owned(noted(5));
    drop(arena.alloc_box(noted(6)));
    assert_eq!(take(), [6]);
    let inner = ArenaBox::into_inner(arena.alloc_box(noted(7)));
    ArenaBox::leak(arena.alloc_box(noted(8)));
    drop(inner);
    drop(arena);
    assert_eq!(take(), [7, 5]);
}

#[test]
fn a_drop_that_panics_spares_the_others() {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let take = || std::mem::take(&mut *notes.lock().unwrap_or_else(|e| e.into_inner()));
    let fill = |arena: &Arena, from: u32| {
        for n in from..from + 4 {
            arena.alloc_owned(Noted(n, notes.clone(), n == from + 2));
        }
    };
    let mut arena = arena();
    fill(&arena, 0);
    assert!(catch_unwind(AssertUnwindSafe(|| arena.reset())).is_err());
    assert_eq!(take(), [3, 2, 1, 0]);
    arena.reset();
    assert_eq!((take(), arena.used_bytes()), (vec![], 0));

    let scope = |arena: &mut Arena| arena.scope(|inner| fill(&inner, 10));
    assert!(catch_unwind(AssertUnwindSafe(|| scope(&mut arena))).is_err());
    assert_eq!((take(), arena.used_bytes()), (vec![13, 12, 11, 10], 0));

    fill(&arena, 20);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(arena))).is_err());
    assert_eq!(take(), [23, 22, 21, 20]);
}

// ---- Sessions -----------------------------------------------------------------------------------

#[test]
fn a_session_mixes_with_allocations_through_the_arena() {
    let arena = arena();
    let mut list = ArenaVec::new_in(&arena);
    list.push(arena.alloc(0u64));
    let mut session = arena.session();
    for i in 1..5000 {
        list.push(session.alloc(i));
        if i % 100 == 0 {
            arena.alloc_str("meanwhile");
            session.alloc_str("text");
            session.alloc_slice_copy(&[i; 3]);
        }
    }
    drop(session);
    list.push(arena.alloc(5000));
    assert!(list.iter().enumerate().all(|(i, n)| **n == i as u64));
}

#[test]
fn sessions_within_sessions() {
    let arena = arena();
    let mut kept = Vec::new();
    let mut first = arena.session();
    for i in 0..300u64 {
        kept.push(first.alloc(i * 3));
        let mut second = arena.session();
        kept.push(second.alloc(i * 3 + 1));
        drop(second);
        kept.push(arena.alloc(i * 3 + 2));
    }
    drop(first);
    assert!(kept.iter().enumerate().all(|(i, n)| **n == i as u64));
    assert!(arena.capacity_bytes() <= 64 << 10);
}

#[test]
fn a_forgotten_session_costs_a_chunk_and_nothing_else() {
    let mut arena = arena();
    for round in 0..50u64 {
        let mut session = arena.session();
        let kept: Vec<&mut u64> = (0..100).map(|i| session.alloc(i + round)).collect();
        std::mem::forget(session);
        let after: Vec<&mut u64> = (0..100).map(|i| arena.alloc(!i)).collect();
        assert!(
            kept.iter()
                .enumerate()
                .all(|(i, n)| **n == i as u64 + round)
        );
        assert!(after.iter().enumerate().all(|(i, n)| **n == !(i as u64)));
        arena.reset();
    }
    assert!(arena.capacity_bytes() <= 64 << 10);
}

#[test]
fn a_session_obeys_the_limit() {
    let arena = Arena::builder()
        .pages(&PAGES)
        .limit_bytes(4096)
        .build()
        .unwrap();
    let mut session = arena.session();
    let kept: Vec<&mut u64> = (0..508).map(|i| session.alloc(i)).collect();
    assert_eq!(
        session.try_alloc(1u64),
        Err(AllocError::OwnerLimit { limit_bytes: 4096 })
    );
    assert!(kept.iter().enumerate().all(|(i, n)| **n == i as u64));
    let panicked = catch_unwind(AssertUnwindSafe(|| *session.alloc(1u64)));
    assert!(panicked.is_err());
    drop(session);
    assert_eq!(arena.used_bytes(), 508 * 8);
}

#[test]
fn a_session_closure_may_use_the_arena() {
    let arena = dense::<16>();
    let mut session: Session<'_, 16> = arena.session();
    let list = session.alloc_with(|| Cons(1, Some(arena.alloc(Cons(2, None)))));
    assert_eq!((list.0, list.1.unwrap().0), (1, 2));
    assert_eq!(core::ptr::from_ref(session.alloc(1u8)).addr() % 16, 0);
    assert_eq!(session.alloc(()), &mut ());
}

// ---- Scopes -------------------------------------------------------------------------------------

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
            // `mem::swap(&mut outer, &mut inner)` does not compile: src/arena/refusals.rs.
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

// ---- Blocks, collections of other crates --------------------------------------------------------

#[test]
fn blocks_grow_shrink_and_end_in_place_at_the_low_end() {
    let arena = arena();
    let layout = |size, align| Layout::from_size_align(size, align).unwrap();
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
fn vec_behaves_like_std() {
    let arena = arena();
    let mut ours = ArenaVec::new_in(&arena);
    let mut theirs = Vec::new();
    let mut random = 1u64;
    for _ in 0..5000 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let (op, value) = (random >> 60, (random >> 30) as u32);
        let at = value as usize % (theirs.len() + 1);
        match op {
            0..=4 => (ours.push(value), theirs.push(value)),
            5 => (ours.insert(at, value), theirs.insert(at, value)),
            6 => (
                ours.extend_from_slice(&[value; 5]),
                theirs.extend_from_slice(&[value; 5]),
            ),
            7 => (ours.extend([value, 1]), theirs.extend([value, 1])),
            8 if at < theirs.len() => {
                assert_eq!(ours.remove(at), theirs.remove(at));
                ((), ())
            }
            9 if at < theirs.len() => {
                assert_eq!(ours.swap_remove(at), theirs.swap_remove(at));
                ((), ())
            }
            10 => {
                assert_eq!(ours.pop(), theirs.pop());
                ((), ())
            }
            11 => (ours.retain(|n| n % 5 != 0), theirs.retain(|n| n % 5 != 0)),
            12 if value % 8 == 0 => (ours.truncate(at), theirs.truncate(at)),
            13 => (ours.reserve(value as usize % 50), ()),
            _ => ((), ()),
        };
        assert_eq!(ours, theirs[..]);
    }
    assert!(ours.into_iter().eq(theirs));
}

#[test]
fn a_retain_that_panics_leaves_an_empty_vector() {
    let arena = arena();
    let mut v = ArenaVec::new_in(&arena);
    v.extend(0..9);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        v.retain(|n| *n < 4 || panic!("expected"))
    }));
    assert!(panicked.is_err() && v.is_empty());
    v.push(3);
    assert_eq!(v, [3]);
}

#[test]
fn a_vector_may_be_alive_across_a_reset() {
    let mut arena = arena();
    let mut v = ArenaVec::new_in(&arena);
    v.push(1);
    assert_eq!(v[0], 1);
    arena.reset();
}

// ---- Random streams against an oracle -----------------------------------------------------------

/// A block the oracle believes to be alive: address, layout, and the byte it is filled with.
#[derive(Clone, Copy)]
struct Live {
    ptr: NonNull<u8>,
    layout: Layout,
    fill: u8,
    /// Came from the trait's methods, so it may grow, shrink and end.
    resizable: bool,
}

struct Oracle {
    live: Vec<Live>,
    random: u64,
}

impl Oracle {
    fn next(&mut self, below: usize) -> usize {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % below
    }

    fn layout(&mut self) -> Layout {
        let size = match self.next(20) {
            0 => 0,
            1..=12 => self.next(64),
            13..=17 => self.next(1500),
            18 => self.next(if cfg!(miri) { 3000 } else { 10_000 }),
            _ => self.next(if cfg!(miri) { 6000 } else { 300_000 }),
        };
        let align = 1 << [0, 0, 1, 2, 3, 3, 4, 5, 6, 12][self.next(10)];
        Layout::from_size_align(size, align).unwrap()
    }

    /// Fills the block, checks it against all others, remembers it.
    fn add(&mut self, ptr: NonNull<u8>, layout: Layout, resizable: bool) {
        let start = ptr.addr().get();
        assert_eq!(start % layout.align(), 0);
        for other in self
            .live
            .iter()
            .filter(|o| o.layout.size() > 0 && layout.size() > 0)
        {
            let from = other.ptr.addr().get();
            let apart = start + layout.size() <= from || from + other.layout.size() <= start;
            assert!(apart, "overlap");
        }
        let fill = self.next(256) as u8;
        // SAFETY: a block of so many bytes, as the checks above suggest.
        unsafe { ptr.write_bytes(fill, layout.size()) };
        self.live.push(Live {
            ptr,
            layout,
            fill,
            resizable,
        });
    }

    fn check(&self, block: &Live, bytes: usize) {
        // SAFETY: a live block, filled by `add`.
        let bytes = unsafe { core::slice::from_raw_parts(block.ptr.as_ptr(), bytes) };
        assert!(
            bytes.iter().all(|byte| *byte == block.fill),
            "contents changed"
        );
    }

    fn step<const M: usize>(&mut self, arena: &Arena<M>) {
        let layout = self.layout();
        let picked = (!self.live.is_empty()).then(|| self.next(self.live.len()));
        let resizable = picked.filter(|index| self.live[*index].resizable);
        match (self.next(12), resizable) {
            (0 | 1, _) => {
                let value = arena.alloc([1u8; 24]);
                self.add(
                    NonNull::from(value).cast(),
                    Layout::new::<[u8; 24]>(),
                    false,
                );
            }
            (2, _) => {
                let value = arena.alloc(1u64);
                self.add(NonNull::from(value).cast(), Layout::new::<u64>(), false);
            }
            (3, _) => {
                let slice = arena.alloc_slice_fill_copy(layout.size() / 2, 1u16);
                let layout = Layout::for_value(slice);
                self.add(NonNull::from(slice).cast(), layout, false);
            }
            (4, _) => {
                let slice = arena.alloc_slice_copy(&vec![1u8; layout.size()]);
                let layout = Layout::for_value(slice);
                self.add(NonNull::from(slice).cast(), layout, false);
            }
            (5, _) => {
                let mut session = arena.session();
                for _ in 0..self.next(20) {
                    let value = session.alloc([1u32; 3]);
                    self.add(
                        NonNull::from(value).cast(),
                        Layout::new::<[u32; 3]>(),
                        false,
                    );
                }
                if self.next(10) == 0 {
                    std::mem::forget(session);
                }
            }
            (6, _) => {
                assert!(arena.alloc_try_with(|| Err::<[u64; 9], ()>(())).is_err());
            }
            (7..=8, Some(index)) => {
                let block = self.live.swap_remove(index);
                self.check(&block, block.layout.size());
                // SAFETY: a live block with its layout, which is not used again.
                unsafe { arena.deallocate(block.ptr, block.layout) };
            }
            (9 | 10, Some(index)) => {
                let block = self.live.swap_remove(index);
                let kept = block.layout.size().min(layout.size());
                // SAFETY: a live block with its layout, which is replaced by what comes back.
                let resized = unsafe {
                    if layout.size() >= block.layout.size() {
                        arena.grow(block.ptr, block.layout, layout).unwrap()
                    } else {
                        arena.shrink(block.ptr, block.layout, layout).unwrap()
                    }
                };
                assert_eq!(resized.len(), layout.size());
                let moved = Live {
                    ptr: resized.cast(),
                    ..block
                };
                self.check(&moved, kept);
                self.add(resized.cast(), layout, true);
            }
            _ => {
                let block = arena.allocate(layout).unwrap();
                self.add(block.cast(), layout, true);
            }
        }
    }

    fn check_all(&self) {
        self.live
            .iter()
            .for_each(|block| self.check(block, block.layout.size()));
    }

    fn run<const M: usize>(&mut self, mut arena: Arena<M>, rounds: usize, steps: usize) {
        for _ in 0..rounds {
            for _ in 0..steps {
                self.step(&arena);
                if self.next(40) == 0 {
                    let outer = self.live.len();
                    // Blocks of the outer scope stay as they are inside the inner one.
                    let frozen: Vec<bool> = self.live.iter().map(|b| b.resizable).collect();
                    self.live.iter_mut().for_each(|b| b.resizable = false);
                    arena.scope(|inner| (0..15).for_each(|_| self.step(&inner)));
                    self.check_all();
                    self.live.truncate(outer);
                    self.live
                        .iter_mut()
                        .zip(frozen)
                        .for_each(|(b, f)| b.resizable = f);
                }
            }
            let used: usize = self.live.iter().map(|b| b.layout.size()).sum();
            assert!(arena.used_bytes() >= used && arena.capacity_bytes() >= arena.used_bytes());
            let full = self.live.iter().filter(|b| b.layout.size() > 0);
            full.for_each(|block| assert!(arena.contains(block.ptr.as_ptr())));
            self.check_all();
            self.live.clear();
            arena.reset();
            assert_eq!(arena.used_bytes(), 0);
            if self.next(3) == 0 {
                arena.trim();
                assert_eq!(arena.capacity_bytes(), 0);
            }
        }
    }
}

#[test]
fn random_streams_against_an_oracle() {
    let (seeds, rounds, steps) = if cfg!(miri) { (1, 2, 40) } else { (12, 6, 500) };
    for random in 0..seeds {
        let keep = [0, 64 << 10, usize::MAX][random as usize % 3];
        let build = Arena::builder().pages(&PAGES).keep_bytes(keep);
        Oracle {
            live: Vec::new(),
            random,
        }
        .run(build.build().unwrap(), rounds, steps);
        let mut oracle = Oracle {
            live: Vec::new(),
            random,
        };
        oracle.run(build.build_with_min_align::<1>().unwrap(), rounds, steps);
        let mut oracle = Oracle {
            live: Vec::new(),
            random,
        };
        oracle.run(build.build_with_min_align::<16>().unwrap(), rounds, steps);
    }
}

// ---- Ten thousand -------------------------------------------------------------------------------

/// Resident bytes of this process; `None` where there is no `/proc`.
fn resident_bytes() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// Runs alone in a process of its own: see below.
#[test]
#[ignore = "measures its process; run by ten_thousand_arenas_stay_small"]
fn ten_thousand_arenas_alone() {
    const COUNT: usize = 10_000;
    let mut arenas: Vec<Arena> = Vec::with_capacity(COUNT);
    arenas.resize_with(COUNT, Arena::new);
    let before = resident_bytes();
    for (i, arena) in arenas.iter().enumerate() {
        arena.alloc([i as u64; 4]);
    }
    let claimed: usize = arenas.iter().map(Arena::capacity_bytes).sum();
    let each = claimed / COUNT + size_of::<Arena>();
    println!("claimed per arena: {each} bytes");
    assert!(each < 8192);
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        let each = (after - before) / COUNT + size_of::<Arena>();
        println!("resident per arena: {each} bytes");
        assert!(each < 8192);
    }
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn ten_thousand_arenas_stay_small() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "ten_thousand_arenas_alone",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    assert!(
        output.status.success() && text.contains("per arena"),
        "{output:?}"
    );
}
