//! Sizes, capacities, limits, kept chunks, page sources: the ends of every range.

use crate::*;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn own_pages(source: &'static dyn PageSource) -> &'static Pages {
    Box::leak(Box::new(Pages::new(source)))
}

/// Fills a block with bytes that depend on their place.
fn paint(block: NonNull<u8>, size: usize) {
    // SAFETY: callers pass a live block of so many bytes.
    (0..size).for_each(|i| unsafe { block.byte_add(i).write((i * 7 + 3) as u8) });
}

fn is_painted(block: NonNull<u8>, size: usize) -> bool {
    // SAFETY: callers pass a live block of so many bytes.
    (0..size).all(|i| unsafe { block.byte_add(i).read() } == (i * 7 + 3) as u8)
}

// ---- Growing, shrinking, capacity ---------------------------------------------------------------

#[test]
fn growing_copies_the_old_bytes_and_no_more() {
    let arena = arena();
    for (old, new) in [(1, 2), (5, 64), (64, 4000), (3000, 3001), (4064, 9000)] {
        for align in [1, 8, 64, 4096] {
            let block = arena.allocate(layout(old, align)).unwrap().cast::<u8>();
            paint(block, old);
            // In the way, and behind the block: what a copy of too many bytes would bring along.
            let wall = arena.alloc_slice_fill_copy(16, 0xffu8);
            for grown_align in [1, align, 4096] {
                let fresh = arena.allocate(layout(old, align)).unwrap().cast::<u8>();
                paint(fresh, old);
                // SAFETY: a live block of its layout.
                let grown = unsafe {
                    arena
                        .grow_zeroed(fresh, layout(old, align), layout(new, grown_align))
                        .unwrap()
                };
                assert_eq!(grown.len(), new);
                assert!(is_painted(grown.cast(), old));
                assert_eq!(grown.cast::<u8>().addr().get() % grown_align, 0);
                // SAFETY: the tail was zeroed.
                let tail = unsafe { &grown.as_ref()[old..] };
                assert!(tail.iter().all(|byte| *byte == 0));
            }
            // SAFETY: a live block of its layout.
            let moved = unsafe { arena.grow(block, layout(old, align), layout(new, align)) };
            assert!(is_painted(moved.unwrap().cast(), old));
            assert!(wall.iter().all(|byte| *byte == 0xff));
        }
    }
}

#[test]
fn shrinking_to_a_better_alignment() {
    for old in [2usize, 15, 16, 17, 100, 1000, 3000] {
        for (shift, kept) in [(1, old - 1), (4, old / 2), (6, old), (12, old - 1)] {
            for before in 0..if cfg!(miri) { 3 } else { 20 } {
                let arena = arena();
                arena.alloc_slice_fill_copy(before, 1u8);
                let block = arena.allocate(layout(old, 1)).unwrap().cast::<u8>();
                paint(block, old);
                // SAFETY: a live block of its layout.
                let shrunk =
                    unsafe { arena.shrink(block, layout(old, 1), layout(kept, 1 << shift)) };
                let shrunk = shrunk.unwrap().cast::<u8>();
                assert_eq!(shrunk.addr().get() % (1 << shift), 0);
                let after = arena.alloc_slice_fill_copy(40, 0u8);
                after.fill(0xff);
                assert!(is_painted(shrunk, kept));
            }
        }
    }
}

#[test]
fn capacity_is_not_length() {
    let most = if cfg!(miri) { 5 } else { 18 };
    for capacity in 0..most {
        for (len, more) in (0..most).flat_map(|len| (0..most).map(move |more| (len, more))) {
            let arena = dense::<1>();
            let before = arena.alloc_str("before");
            let mut v = ArenaVec::with_capacity_in(capacity, &arena);
            v.extend((0..len).map(|n| n as u16));
            let capacity = v.capacity();
            // Whoever trusted the length would put this into the vector's room.
            let wall = arena.alloc_slice_fill_copy(9, 0xa5u8);
            v.extend_from_slice(&vec![7; more]);
            assert!(v.capacity() >= v.len() && v.capacity() >= capacity);
            v.insert(len, 9);
            assert_eq!(v.pop(), Some(if more > 0 { 7 } else { 9 }));
            let after = arena.alloc_slice_fill_copy(9, 0x5au8);
            let frozen = v.into_slice();
            let last = arena.alloc_slice_fill_copy(9, 0x33u8);
            assert_eq!(frozen.len(), len + more);
            assert!(
                frozen[..len]
                    .iter()
                    .enumerate()
                    .all(|(i, n)| i == *n as usize)
            );
            assert!(more == 0 || frozen[len] == 9);
            assert!(frozen.iter().skip(len + 1).all(|n| *n == 7));
            let walls = [(wall, 0xa5), (after, 0x5a), (last, 0x33)];
            assert!(
                walls
                    .iter()
                    .all(|(wall, n)| wall.iter().all(|byte| byte == n))
            );
            assert_eq!(before, "before");
        }
    }
}

#[test]
fn frozen_and_reborn_buffers_never_overlap() {
    let arena = arena();
    let mut frozen = Vec::new();
    for round in 0..200u32 {
        let mut text = ArenaString::with_capacity_in(round as usize % 23, &arena);
        (0..round % 31).for_each(|n| text.push(if n % 5 == 0 { 'ß' } else { 'x' }));
        text.truncate(text.char_indices().nth(3).map_or(0, |(at, _)| at));
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&round.to_ne_bytes());
        bytes.reserve(round as usize % 7);
        let expected = bytes.to_vec();
        frozen.push((bytes.into_slice(), expected));
        let empty = ArenaVec::<u32>::with_capacity_in(5, &arena).into_slice();
        assert!(empty.is_empty());
    }
    assert!(frozen.iter().all(|(ours, expected)| *ours == expected));
}

#[test]
fn blocks_of_an_outer_scope_grow_inside_an_inner_one() {
    let mut arena = arena();
    for before in [0, 100, 3990, 20_000] {
        let size = 24;
        arena.alloc_slice_fill_copy(before, 1u8);
        for new in [0, 1, 8, size - 1, size, size + 1, 500, 5000] {
            // The last block of its end, which would be resized in place outside the scopes.
            let block = arena.allocate(layout(size, 8)).unwrap().cast::<u8>();
            paint(block, size);
            let (old, new) = (layout(size, 8), layout(new, 8));
            let resize = |scope: &Arena| {
                // SAFETY: a live block of its layout; the old one stays as long as it is not
                // handed out again, which is what this is about.
                let resized = unsafe {
                    match new.size() {
                        0 => return scope.deallocate(block, old),
                        bytes if bytes < size => scope.shrink(block, old, new),
                        _ => scope.grow(block, old, new),
                    }
                };
                assert!(is_painted(resized.unwrap().cast(), size.min(new.size())));
                scope.alloc_slice_fill_copy(64, !0u8);
            };
            arena.scope(|mut inner| {
                inner.scope(|innermost| resize(&innermost));
                resize(&inner);
            });
            arena.alloc_slice_fill_copy(64, !0u8);
            assert!(is_painted(block, size));
        }
    }
}

// ---- Sizes near the largest ---------------------------------------------------------------------

const LARGEST: usize = isize::MAX as usize;

fn lengths<T>() -> Vec<usize> {
    let bytes = size_of::<T>();
    let around = |n: usize| [n.wrapping_sub(1), n, n.wrapping_add(1)];
    let ends = [usize::MAX - 1, LARGEST, usize::MAX / bytes, LARGEST / bytes];
    let mut lengths: Vec<usize> = ends.into_iter().flat_map(around).collect();
    lengths.extend([
        LARGEST / bytes - 4096,
        LARGEST / bytes / 2,
        LARGEST / bytes - (8 << 20),
    ]);
    lengths.retain(|len| *len > 1 << 20);
    lengths
}

fn all_forms_refuse<T: Copy + Default, const M: usize>(arena: &Arena<M>) {
    struct Long<T>(usize, T);
    impl<T: Copy> Iterator for Long<T> {
        type Item = T;
        fn next(&mut self) -> Option<T> {
            Some(self.1)
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (self.0, None)
        }
    }
    let value = T::default();
    for len in lengths::<T>() {
        assert!(arena.try_alloc_slice_fill_with(len, |_| value).is_err());
        assert!(arena.try_alloc_slice_fill_copy(len, value).is_err());
        assert!(arena.try_alloc_slice_fill_clone(len, &value).is_err());
        assert!(arena.try_alloc_slice_fill_default::<T>(len).is_err());
        assert!(arena.try_alloc_from_iter(Long(len, value)).is_err());
        assert!(ArenaVec::<T, M>::try_with_capacity_in(len, arena).is_err());
        assert!(ArenaString::try_with_capacity_in(len.max(LARGEST / 2), arena).is_err());
        let mut v = ArenaVec::new_in(arena);
        v.extend([value; 3]);
        assert!(v.try_reserve(len).is_err() && v.try_reserve(len - 3).is_err());
        assert!(v.try_extend(Long(len, value)).is_err());
        assert_eq!(
            (v.len(), v.capacity()),
            (3, if size_of::<T>() == 1 { 8 } else { 4 })
        );
        let mut text = ArenaString::new_in(arena);
        text.push_str("abc");
        assert!(text.try_reserve(len.max(LARGEST / 2)).is_err() && text == "abc");
        let mut foreign = allocator_api2::vec::Vec::<T, _>::new_in(arena);
        assert!(foreign.try_reserve(len).is_err());
        let panicked = catch_unwind(AssertUnwindSafe(|| arena.alloc_slice_fill_copy(len, value)));
        assert!(panicked.is_err());
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri gives up where a system refuses")]
fn sizes_near_the_largest_through_every_door() {
    fn doors<const M: usize>(arena: &Arena<M>) {
        arena.alloc(1u64);
        let before = arena.capacity_bytes();
        all_forms_refuse::<u8, M>(arena);
        all_forms_refuse::<u16, M>(arena);
        all_forms_refuse::<[u8; 3], M>(arena);
        all_forms_refuse::<u64, M>(arena);
        all_forms_refuse::<[u64; 32], M>(arena);
        let block = arena.allocate(layout(16, 1)).unwrap().cast::<u8>();
        paint(block, 16);
        for shift in 0..=31 {
            let align = 1usize << shift;
            for size in [0, 1, 15, 16, LARGEST / 2] {
                // The largest sizes that a `Layout` has, and zero.
                let size = if size == 0 {
                    0
                } else {
                    LARGEST - (align - 1) - size + 1
                };
                let far = layout(size, align);
                for allocated in [arena.allocate(far), arena.allocate_zeroed(far)] {
                    assert_eq!(allocated.is_ok(), size == 0, "{size} {align}");
                    assert!(allocated.is_err() || allocated.unwrap().addr().get() % align == 0);
                }
                if size > 0 {
                    // SAFETY: a live block of its layout, which is refused and stays.
                    unsafe {
                        assert!(arena.grow(block, layout(16, 1), far).is_err());
                        assert!(arena.grow_zeroed(block, layout(16, 1), far).is_err());
                    }
                }
            }
            // More than any span is aligned to.
            let wide = layout(8, align);
            assert_eq!(arena.allocate(wide).is_ok(), align <= 4 << 20, "{align}");
            // SAFETY: a live block of its layout, which moves or stays.
            let shrunk = unsafe { arena.shrink(block, layout(16, 1), wide) };
            assert!(shrunk.is_ok() == (align <= 4 << 20) || block.addr().get() % align == 0);
        }
        assert!(is_painted(block, 8));
        // What was refused left nothing behind: a few chunks, and those for large alignments.
        assert!(arena.capacity_bytes() - before < 64 << 20);
    }
    doors(&dense::<1>());
    doors(&arena());
    doors(&dense::<16>());
    let limited = Arena::builder().pages(&PAGES).limit_bytes(usize::MAX - 1);
    doors(&limited.build().unwrap());
    for capacity in lengths::<u8>() {
        let built = Arena::builder().pages(&PAGES).capacity_bytes(capacity);
        assert!(built.build().is_err(), "{capacity}");
    }
}

// ---- Limits and kept chunks ---------------------------------------------------------------------

#[test]
fn a_first_capacity_counts_against_the_limit() {
    let pages = own_pages(&HeapSource);
    for capacity in [1, 4000, 4096, 9000, 16_384, 70_000, 1 << 20] {
        let ready = Arena::builder().pages(pages).capacity_bytes(capacity);
        let held = ready.build().unwrap().capacity_bytes();
        assert!(held > capacity);
        for limit in [
            capacity - 1,
            capacity,
            held - 1,
            held,
            held + 1,
            held + 4096,
            3 * held,
        ] {
            let Ok(arena) = ready.limit_bytes(limit).build() else {
                assert!(limit < held, "{capacity} {limit}");
                continue;
            };
            assert!(limit >= held && arena.capacity_bytes() == held);
            let refused = Err(AllocError::OwnerLimit { limit_bytes: limit });
            while arena.try_alloc([1u8; 64]).is_ok() {}
            assert!(arena.capacity_bytes() <= limit && limit - arena.capacity_bytes() < 4096);
            let mut session = arena.session();
            assert_eq!(session.try_alloc([2u8; 64]).map(|_| ()), refused);
            assert_eq!(arena.try_alloc_box([2u8; 64]).map(|_| ()), refused);
            assert_eq!(arena.allocate(layout(1 << 21, 1)).map(|_| ()), refused);
        }
    }
    assert_eq!(pages.stats().active, 0, "also where it was refused");
}

#[test]
#[cfg_attr(miri, ignore = "minutes there; the random streams take the same paths")]
fn kept_chunks_that_are_too_small() {
    let sizes = [
        1,
        200,
        1017,
        4064,
        4065,
        20_000,
        65_000,
        300_000,
        1 << 20,
        3 << 20,
    ];
    for keep in [usize::MAX, 1 << 20, 4096, 0] {
        for (small, large) in sizes
            .iter()
            .flat_map(|s| sizes.iter().map(move |l| (*s, *l)))
        {
            let build = Arena::builder().pages(&PAGES).keep_bytes(keep);
            let mut arena = build.build().unwrap();
            let mut capacity = Vec::new();
            for round in 0..6 {
                // Small chunks wait when the large request comes, and the other way round.
                let size = if round % 2 == 0 { small } else { large };
                for n in 0..4 {
                    let block = arena.alloc_slice_fill_copy(size, n as u8);
                    assert_eq!((block[0], block[size - 1]), (n as u8, n as u8));
                }
                let wide = arena.allocate(layout(64, 1 << 16)).unwrap();
                assert_eq!(wide.cast::<u8>().addr().get() % (1 << 16), 0);
                arena.reset();
                capacity.push(arena.capacity_bytes());
            }
            let most = if keep == usize::MAX {
                capacity[3]
            } else {
                keep
            };
            assert!(capacity[5] <= most, "{small} {large} {keep} {capacity:?}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "minutes there; the random streams take the same paths")]
fn rounds_of_mixed_sizes_give_back_what_they_took() {
    let pages = own_pages(&HeapSource);
    let mut random = Random::new(5);
    for keep in [0, 4096, 5000, 100 << 10, usize::MAX] {
        let build = Arena::builder().pages(pages).keep_bytes(keep);
        let mut arena = build.build().unwrap();
        for round in 0..60 {
            for _ in 0..20 {
                let bound = 1 << random.below(18);
                let size = random.below(bound);
                arena.alloc_slice_fill_copy(size, 1u8);
                arena.scope(|inner| inner.alloc_slice_fill_copy(size * 2, 2u8).len());
                assert_eq!(pages.stats().active, arena.capacity_bytes());
            }
            arena.reset();
            assert!(arena.capacity_bytes() <= keep);
            if round % 5 == 0 {
                arena.trim();
            }
            assert_eq!(pages.stats().active, arena.capacity_bytes());
        }
        drop(arena);
        assert_eq!(pages.stats().active, 0);
    }
}

// ---- Page sources -------------------------------------------------------------------------------

/// Hands out more than was asked for, of an odd length, at places that are aligned to no page.
#[derive(Debug)]
struct Odd(AtomicUsize);

// SAFETY: as the source it forwards to; longer than asked for.
unsafe impl PageSource for Odd {
    fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let step = self.0.fetch_add(1, Ordering::Relaxed);
        HeapSource.reserve(bytes.checked_add(step * 4096 + step * 48)?)
    }
}

#[test]
#[cfg_attr(miri, ignore = "minutes there; the random streams take the same paths")]
fn odd_page_sources() {
    for step in [0, 1, 3, 17] {
        let source = Box::leak(Box::new(Odd(AtomicUsize::new(step))));
        let pages = own_pages(source);
        let mut arena: Arena<16> = Arena::builder()
            .pages(pages)
            .build_with_min_align()
            .unwrap();
        for _ in 0..3 {
            for shift in 0..=22 {
                for size in [1, 4064, 70_000, (1 << 20) - 32, 5 << 20] {
                    let layout = layout(size, 1 << shift);
                    let block = arena.allocate_zeroed(layout).unwrap();
                    assert_eq!(block.cast::<u8>().addr().get() % (1 << shift), 0);
                    // SAFETY: a fresh block, all zero.
                    let bytes = unsafe { &mut *block.as_ptr() };
                    assert!(bytes[0] == 0 && bytes[size - 1] == 0);
                    (bytes[0], bytes[size - 1]) = (1, 1);
                    assert!(core::ptr::from_ref(arena.alloc(1u8)).addr() % 16 == 0);
                }
                if shift % 8 == 0 {
                    arena.reset();
                }
            }
        }
        drop(arena);
        assert_eq!(pages.stats().active, 0);
    }
}
