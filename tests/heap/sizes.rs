//! `Heap` through its public doors: every size and alignment, limits, misuse, figures.

use std::alloc::Layout;
use std::ptr::NonNull;

use flagstone::pages::{MmapSource, Pages};
use flagstone::{AllocError, Check, FreeError, Heap};

const UNIT: usize = 64 << 10;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// A live block with the byte it was filled with.
struct Block {
    ptr: NonNull<u8>,
    len: usize,
    layout: Layout,
    fill: u8,
}

fn take(heap: &Heap, layout: Layout, fill: u8) -> Block {
    let block = heap.allocate(layout).unwrap();
    assert!(block.len() >= layout.size());
    assert_eq!(
        block.cast::<u8>().addr().get() % layout.align(),
        0,
        "{layout:?}"
    );
    let ptr = block.cast::<u8>();
    // SAFETY: the block is `block.len()` bytes long and ours.
    unsafe { ptr.write_bytes(fill, block.len()) };
    Block {
        ptr,
        len: block.len(),
        layout,
        fill,
    }
}

fn give(heap: &Heap, block: Block) {
    // SAFETY: live until here, allocated with this layout.
    unsafe {
        let bytes = std::slice::from_raw_parts(block.ptr.as_ptr(), block.len);
        assert!(
            bytes.iter().all(|byte| *byte == block.fill),
            "{:?}",
            block.layout
        );
        heap.deallocate(block.ptr, block.layout);
    }
}

#[test]
fn all_sizes_to_4096_by_all_alignments_to_4096() {
    let heap = Heap::new();
    for align in (0..=12).map(|log2| 1 << log2) {
        let mut held = Vec::new();
        for size in 0..=4096 {
            held.push(take(&heap, layout(size, align), size as u8));
        }
        let mut ranges: Vec<_> = held
            .iter()
            .filter(|b| b.len > 0)
            .map(|b| (b.ptr, b.len))
            .collect();
        ranges.sort();
        assert!(
            ranges
                .windows(2)
                .all(|two| two[0].0.addr().get() + two[0].1 <= two[1].0.addr().get())
        );
        for block in held {
            give(&heap, block);
        }
        assert_eq!(heap.stats().allocated, 0);
    }
    heap.trim();
    assert_eq!(heap.stats().active, 0);
}

/// Sizes around every class boundary, around units, around the largest span and the segment.
#[test]
fn sizes_around_every_boundary() {
    let heap = Heap::new();
    let mut edges: Vec<usize> = (1..=8).map(|step| step * 16).collect();
    for doubling in 7..15 {
        edges.extend((5..=8).map(|quarter| (1usize << doubling) / 4 * quarter));
    }
    edges.extend((1..=17).map(|units| units * UNIT));
    edges.extend([1 << 20, 4 << 20, 8 << 20]);
    let mut held = Vec::new();
    for (number, edge) in edges.into_iter().enumerate() {
        for size in [edge - 1, edge, edge + 1] {
            for align in [1, 16, 64, 4096, UNIT, 1 << 20, 4 << 20] {
                if size < 4096 && align > 4096 {
                    continue;
                }
                held.push(take(&heap, layout(size, align), number as u8));
            }
        }
        if held.len() > 100 {
            held.drain(..).for_each(|block| give(&heap, block));
        }
    }
    held.into_iter().for_each(|block| give(&heap, block));
    assert_eq!(heap.stats().allocated, 0);
}

#[test]
fn zeroed_is_zero_also_after_reuse() {
    let heap = Heap::new();
    for round in 0..3u8 {
        for size in [1, 16, 100, 4096, 32 << 10, 40 << 10, UNIT * 3, 2 << 20] {
            let layout = layout(size, 8);
            let blocks: Vec<_> = (0..70)
                .map(|_| heap.allocate_zeroed(layout).unwrap())
                .collect();
            for block in &blocks {
                // SAFETY: ours, `len` bytes.
                unsafe {
                    let bytes = std::slice::from_raw_parts_mut(block.cast().as_ptr(), block.len());
                    assert!(
                        bytes.iter().all(|byte: &u8| *byte == 0),
                        "{size} round {round}"
                    );
                    bytes.fill(0xEE);
                }
            }
            for block in blocks {
                // SAFETY: live, of this layout.
                unsafe { heap.deallocate(block.cast(), layout) };
            }
        }
    }
}

/// Every (size, align) pair grows and shrinks to every other, contents kept, and is freed as what
/// it became.
#[test]
fn grow_and_shrink_between_all_pairs() {
    let heap = Heap::new();
    let sizes = [
        0,
        1,
        16,
        17,
        48,
        64,
        100,
        1024,
        4000,
        32 << 10,
        33 << 10,
        UNIT,
        3 * UNIT,
        2 << 20,
    ];
    let aligns = [1, 16, 32, 64, 4096, UNIT];
    for from in sizes {
        for to in sizes {
            for (old_align, new_align) in aligns.iter().flat_map(|a| aligns.map(|b| (*a, b))) {
                let (old, new) = (layout(from, old_align), layout(to, new_align));
                let block = heap.allocate(old).unwrap().cast::<u8>();
                let kept = from.min(to);
                // SAFETY: live blocks of these layouts throughout; lengths as allocated.
                unsafe {
                    for at in 0..kept {
                        block.add(at).write(at as u8 ^ 0x5A);
                    }
                    let moved = if to >= from {
                        heap.grow(block, old, new).unwrap()
                    } else {
                        heap.shrink(block, old, new).unwrap()
                    };
                    assert!(moved.len() >= to);
                    assert_eq!(moved.cast::<u8>().addr().get() % new_align, 0);
                    for at in 0..kept {
                        assert_eq!(moved.cast::<u8>().add(at).read(), at as u8 ^ 0x5A);
                    }
                    heap.try_free(moved.cast(), new).unwrap();
                }
            }
        }
    }
    assert_eq!(heap.stats().allocated, 0);
}

#[test]
fn grow_zeroed_clears_the_rest() {
    let heap = Heap::new();
    for (from, to) in [
        (0, 40),
        (10, 16),
        (16, 100),
        (100, 40 << 10),
        (UNIT, UNIT * 2),
        (UNIT, 2 << 20),
    ] {
        let (old, new) = (layout(from, 8), layout(to, 8));
        // SAFETY: live blocks of these layouts throughout.
        unsafe {
            let block = heap.allocate(old).unwrap();
            block.cast::<u8>().write_bytes(0xEE, block.len());
            let grown = heap.grow_zeroed(block.cast(), old, new).unwrap();
            let bytes = std::slice::from_raw_parts(grown.cast::<u8>().as_ptr(), grown.len());
            assert!(bytes[..from].iter().all(|byte| *byte == 0xEE));
            assert!(bytes[from..].iter().all(|byte| *byte == 0));
            heap.deallocate(grown.cast(), new);
        }
    }
}

#[test]
fn try_free_names_every_crime() {
    let heap = Heap::new();
    let other = Heap::new();
    let small = layout(48, 8);
    let large = layout(100 << 10, 8);
    let huge = layout(3 << 20, 8);
    for layout in [small, large, huge] {
        let block = heap.allocate(layout).unwrap().cast::<u8>();
        let foreign = other.allocate(layout).unwrap().cast::<u8>();
        // SAFETY: `try_free` accepts any pointer; the one live block is unused when it is freed.
        unsafe {
            assert_eq!(heap.try_free(foreign, layout), Err(FreeError::Foreign));
            let inside = heap.try_free(block.add(1), layout).unwrap_err();
            assert!(matches!(inside, FreeError::NotASlot | FreeError::Foreign));
            for wrong in [small, large, huge]
                .into_iter()
                .filter(|other| *other != layout)
            {
                assert_eq!(
                    heap.try_free(block, wrong),
                    Err(FreeError::WrongClass),
                    "{layout:?}"
                );
            }
            assert_eq!(heap.try_free(block, layout), Ok(()));
            let again = heap.try_free(block, layout).unwrap_err();
            assert!(matches!(again, FreeError::DoubleFree | FreeError::Foreign));
            assert_eq!(other.try_free(foreign, layout), Ok(()));
        }
    }
    let on_stack = 0u64;
    // SAFETY: `try_free` accepts any pointer.
    let error = unsafe { heap.try_free(NonNull::from(&on_stack).cast(), small) };
    assert_eq!(error, Err(FreeError::Foreign));
    assert_eq!(heap.stats().allocated, 0);
}

/// A double free is seen wherever the first free left the slot: stack, cached word, bitmap.
#[test]
fn double_free_is_seen_in_stack_word_and_bitmap() {
    for check in [Check::Fast, Check::Full] {
        let heap = Heap::builder().check(check).build().unwrap();
        let layout = layout(64, 8);
        let all: Vec<NonNull<u8>> = (0..1000)
            .map(|_| heap.allocate(layout).unwrap().cast())
            .collect();
        // One in ten stays, so that no slab becomes empty and leaves the heap.
        let blocks: Vec<_> = (0..1000).filter(|n| n % 10 != 0).map(|n| all[n]).collect();
        for block in &blocks {
            // SAFETY: each is live once.
            unsafe { heap.try_free(*block, layout).unwrap() };
        }
        for block in &blocks {
            // SAFETY: `try_free` accepts any pointer.
            let again = unsafe { heap.try_free(*block, layout) };
            assert_eq!(again, Err(FreeError::DoubleFree));
        }
    }
}

/// Every byte up to the usable size is the block's own: neighbours keep what they hold.
#[test]
fn usable_bytes_are_all_usable() {
    let heap = Heap::new();
    for size in [1, 17, 100, 1000, 5000, 30_000, 33_000, 200_000, 3 << 20] {
        for align in [1, 64, 4096, UNIT] {
            let layout = layout(size, align);
            let blocks = [1u8, 2, 3].map(|fill| {
                let block = heap.allocate(layout).unwrap();
                // SAFETY: a live block of this layout.
                let bytes = unsafe { heap.usable_size(block.cast(), layout) };
                assert!(bytes >= size && bytes == block.len(), "{layout:?}: {bytes}");
                // SAFETY: all of it is the block's.
                unsafe { block.cast::<u8>().write_bytes(fill, bytes) };
                (block.cast::<u8>(), bytes, fill)
            });
            for (block, bytes, fill) in blocks {
                // SAFETY: written above; live until here.
                unsafe {
                    let all = std::slice::from_raw_parts(block.as_ptr(), bytes);
                    assert!(all.iter().all(|byte| *byte == fill), "{layout:?}");
                    heap.deallocate(block, layout);
                }
            }
        }
    }
}

#[test]
fn a_limit_is_named_and_nothing_leaks() {
    let limit = 1 << 20;
    let heap = Heap::builder().limit_bytes(limit).build().unwrap();
    for size in [16, 1000, 32 << 10, 100 << 10, 2 << 20] {
        let layout = layout(size, 8);
        let mut held = Vec::new();
        let error = loop {
            match heap.allocate(layout) {
                Ok(block) => held.push(block),
                Err(error) => break error,
            }
        };
        assert_eq!(error, AllocError::OwnerLimit { limit_bytes: limit });
        assert!(heap.stats().active <= limit);
        for block in held {
            // SAFETY: live, of this layout.
            unsafe { heap.deallocate(block.cast(), layout) };
        }
        heap.trim();
        assert_eq!(heap.stats().allocated, 0);
        assert_eq!(heap.stats().active, 0);
    }
    assert!(Heap::builder().limit_bytes(100).build().is_err());
}

#[test]
fn layouts_beyond_every_limit_are_errors() {
    let heap = Heap::new();
    let most = isize::MAX as usize;
    for layout in [
        layout(most, 1),
        layout(most & !4095, 4096),
        layout(16, 8 << 20),
        layout(most - (8 << 20), 1),
    ] {
        let error = heap.allocate(layout).unwrap_err();
        assert!(
            matches!(
                error,
                AllocError::LayoutTooLarge | AllocError::SourceExhausted { .. }
            ),
            "{layout:?}"
        );
        assert!(heap.allocate_zeroed(layout).is_err());
    }
    assert_eq!(heap.stats().active, 0);
}

#[test]
fn figures_are_ordered_and_a_map_shows_every_slab() {
    let heap = Heap::new();
    let layouts = [
        layout(24, 8),
        layout(3000, 8),
        layout(200 << 10, 8),
        layout(5 << 20, 8),
    ];
    let blocks: Vec<_> = layouts
        .iter()
        .map(|l| (heap.allocate(*l).unwrap(), *l))
        .collect();
    let stats = heap.stats();
    assert!(stats.allocated <= stats.active && stats.active <= stats.resident);
    assert!(stats.resident <= stats.mapped);
    assert_eq!(
        stats.allocated,
        blocks.iter().map(|(block, _)| block.len()).sum::<usize>()
    );
    let text = heap.map().to_string();
    assert!(
        text.contains("32 B x  128") && text.contains("3072 B"),
        "{text}"
    );
    assert!(heap.map().to_svg().ends_with("</svg>"));
    for (block, layout) in blocks {
        // SAFETY: live, of this layout.
        unsafe { heap.deallocate(block.cast(), layout) };
    }
    assert_eq!(heap.stats().allocated, 0);
}

/// A heap can move between threads, and between places, while it holds blocks.
#[test]
fn a_heap_moves_with_its_blocks() {
    let heap = Heap::new();
    let blocks: Vec<Block> = (0..1000)
        .map(|n| take(&heap, layout(n % 300 + 1, 8), n as u8))
        .collect();
    let addresses: Vec<_> = blocks
        .iter()
        .map(|b| (b.ptr.as_ptr().expose_provenance(), b.len, b.layout, b.fill))
        .collect();
    drop(blocks);
    let boxed = Box::new(heap);
    std::thread::spawn(move || {
        for (address, len, layout, fill) in addresses {
            let ptr = NonNull::new(std::ptr::with_exposed_provenance_mut(address)).unwrap();
            give(
                &boxed,
                Block {
                    ptr,
                    len,
                    layout,
                    fill,
                },
            );
        }
        assert_eq!(boxed.stats().allocated, 0);
    })
    .join()
    .unwrap();
}

/// A freed large block serves the next of its length; what is kept is bounded, goes at a trim, and
/// makes room where a limit would refuse.
#[test]
fn large_blocks_are_kept_within_bounds() {
    const KEPT_MAX: usize = 256 << 10;
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(&MmapSource)));
    let heap = Heap::builder().pages(pages).limit_bytes(1 << 20);
    let heap = heap.build().unwrap();
    let large = layout(100 << 10, 8);
    let block = take(&heap, large, 1);
    let (first, active) = (block.ptr, heap.stats().active);
    give(&heap, block);
    assert_eq!(heap.stats().allocated, 0);
    assert_eq!(heap.stats().active, active);
    // A layout of the same units gets it, one of others does not.
    let shorter = take(&heap, layout(70 << 10, 8), 2);
    assert_eq!(shorter.ptr, first);
    let longer = take(&heap, layout(200 << 10, 8), 3);
    assert_ne!(longer.ptr, first);
    give(&heap, shorter);
    give(&heap, longer);
    for size in [64 << 10, 128 << 10, 256 << 10, 700 << 10] {
        let blocks: Vec<_> = (0..(1 << 20) / size)
            .map(|fill| take(&heap, layout(size, 8), fill as u8))
            .collect();
        blocks.into_iter().for_each(|block| give(&heap, block));
        let stats = heap.stats();
        assert_eq!(stats.allocated, 0);
        assert!(stats.active <= KEPT_MAX, "{stats}");
    }
    // All of the limit is to be had although some is kept.
    let all: Vec<_> = (0..4)
        .map(|fill| take(&heap, layout(256 << 10, 8), fill))
        .collect();
    let error = heap.allocate(large).unwrap_err();
    assert!(matches!(error, AllocError::OwnerLimit { .. }));
    all.into_iter().for_each(|block| give(&heap, block));
    give(&heap, take(&heap, layout(1 << 20, 8), 5));
    // Zeroed is zeroed.
    let zeroed = heap.allocate_zeroed(layout(256 << 10, 8)).unwrap();
    // SAFETY: the block is live and this long.
    let bytes = unsafe { std::slice::from_raw_parts(zeroed.cast::<u8>().as_ptr(), zeroed.len()) };
    assert!(bytes.iter().all(|byte| *byte == 0));
    // SAFETY: allocated with this layout, freed once.
    unsafe { heap.deallocate(zeroed.cast(), layout(256 << 10, 8)) };
    heap.trim();
    assert_eq!(heap.stats().active, 0);
    // And where the pages' limit refuses, too.
    give(&heap, take(&heap, layout(256 << 10, 8), 6));
    pages.set_limit(Some(pages.stats().charged));
    give(&heap, take(&heap, layout(64 << 10, 8), 7));
}

/// What a heap keeps for later makes room for a block that grows where it is, too: beside it, and
/// in each of the limits.
#[test]
fn large_blocks_that_are_kept_give_way_to_one_that_grows() {
    let [whole, part, grown] = [640, 256, 832].map(|kib| layout(kib << 10, 8));
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(&MmapSource)));
    for limit_bytes in [1 << 20, usize::MAX] {
        let heap = Heap::builder().pages(pages).limit_bytes(limit_bytes);
        let heap = heap.build().unwrap();
        let mut block = take(&heap, whole, 1);
        give(&heap, take(&heap, part, 2));
        if limit_bytes == usize::MAX {
            pages.set_limit(Some(1 << 20));
        }
        // SAFETY: a live block with the layout it has.
        let resized = unsafe { heap.grow(block.ptr, whole, grown) };
        assert_eq!(resized.unwrap().cast(), block.ptr);
        block.layout = grown;
        assert_eq!(heap.stats().active, grown.size());
        // SAFETY: the same; what was added is not initialised.
        unsafe { heap.deallocate(block.ptr, block.layout) };
        heap.trim();
    }
}
