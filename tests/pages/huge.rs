//! Huge blocks: kept for the next request within bounds, resized without copies, given back.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::thread;
use std::time::Duration;

use flagstone::pages::{HeapSource, MmapSource, PageSource, Pages, Reservation};
use flagstone::{AllocError, Heap};

use crate::common::random::Random;

const MIB: usize = 1 << 20;
/// What is kept at most.
const KEPT_MAX: usize = 64 * MIB;

/// Cannot make a reservation longer, and refuses those above `largest` bytes.
#[derive(Debug)]
struct Stiff {
    largest: usize,
}

// SAFETY: hands out what `MmapSource` hands out, or nothing.
unsafe impl PageSource for Stiff {
    fn reserve(&self, bytes: usize) -> Option<Reservation> {
        (bytes <= self.largest).then(|| MmapSource.reserve(bytes))?
    }
}

fn pages(source: &'static dyn PageSource) -> (&'static Pages, Heap) {
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(source)));
    pages.set_purge_delay(None);
    (pages, Heap::builder().pages(pages).build().unwrap())
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 8).unwrap()
}

fn take(heap: &Heap, bytes: usize) -> NonNull<u8> {
    heap.allocate(layout(bytes)).unwrap().cast()
}

fn give(heap: &Heap, block: NonNull<u8>, bytes: usize) {
    // SAFETY: the tests give what they took, once, with the length it has.
    unsafe { heap.deallocate(block, layout(bytes)) };
}

/// Writes a number into every page of a block.
fn sign(block: NonNull<u8>, bytes: usize, salt: usize) {
    for at in (0..bytes).step_by(4096) {
        // SAFETY: inside the block, which is aligned to a page.
        unsafe { block.add(at).cast::<usize>().write(at ^ salt) };
    }
}

fn is_signed(block: NonNull<u8>, bytes: usize, salt: usize) -> bool {
    // SAFETY: inside the block, every page of which was signed.
    (0..bytes)
        .step_by(4096)
        .all(|at| unsafe { block.add(at).cast::<usize>().read() } == at ^ salt)
}

fn reads_zero(block: NonNull<u8>, from: usize, to: usize) -> bool {
    // SAFETY: inside a block that is initialised.
    (from..to).all(|at| unsafe { block.add(at).read() } == 0)
}

#[test]
fn a_released_block_serves_the_next_request() {
    let (pages, heap) = pages(&MmapSource);
    let first = take(&heap, 8 * MIB);
    let mapped = pages.stats().mapped;
    give(&heap, first, 8 * MIB);
    let stats = pages.stats();
    assert_eq!((stats.active, stats.charged), (0, 8 * MIB));
    // As long, a little shorter, half as long: the same pages.
    for bytes in [8 * MIB, 8 * MIB - 4096, 4 * MIB + 4096] {
        let again = take(&heap, bytes);
        assert_eq!(again, first);
        let stats = pages.stats();
        assert_eq!(
            (stats.active, stats.charged, stats.mapped),
            (bytes, 8 * MIB, mapped)
        );
        give(&heap, again, bytes);
    }
    // Less than half: a new mapping, the long one stays for a longer request.
    let short = take(&heap, 2 * MIB);
    assert_ne!(short, first);
    give(&heap, short, 2 * MIB);
    assert_eq!(take(&heap, 8 * MIB), first);
}

/// Where mappings can be made longer, a block that is too short is.
#[cfg(target_os = "linux")]
#[test]
fn a_table_that_doubles_leaves_one_block_behind() {
    let (pages, heap) = pages(&MmapSource);
    let mut old = (take(&heap, 2 * MIB), 2 * MIB);
    for shift in 2..6 {
        let new = (take(&heap, MIB << shift), MIB << shift);
        give(&heap, old.0, old.1);
        old = new;
    }
    let stats = pages.stats();
    assert_eq!(stats.charged, 32 * MIB + 16 * MIB, "{stats}");
    give(&heap, old.0, old.1);
}

#[test]
fn what_is_kept_is_bounded_and_goes_at_trim() {
    let (pages, heap) = pages(&MmapSource);
    for (count, bytes) in [(40, 8 * MIB), (40, 2 * MIB), (3, 63 * MIB)] {
        let held: Vec<_> = (0..count).map(|_| take(&heap, bytes)).collect();
        for block in held {
            give(&heap, block, bytes);
        }
        let stats = pages.stats();
        assert_eq!(stats.active, 0);
        assert!(stats.charged <= KEPT_MAX, "{stats}");
        assert!(stats.charged > 0, "{stats}");
    }
    let charged = pages.stats().charged;
    let long = take(&heap, KEPT_MAX + MIB);
    give(&heap, long, KEPT_MAX + MIB);
    assert!(pages.stats().charged < charged, "kept what is too long");
    let charged = pages.stats().charged;
    assert_eq!(pages.trim(), charged);
    let stats = pages.stats();
    assert_eq!((stats.charged, stats.mapped), (0, 0));
}

#[test]
fn what_is_kept_makes_room_where_a_limit_or_the_source_refuses() {
    let (limited, heap) = pages(&MmapSource);
    limited.set_limit(Some(100 * MIB));
    let blocks = [take(&heap, 30 * MIB), take(&heap, 30 * MIB)];
    for block in blocks {
        give(&heap, block, 30 * MIB);
    }
    // 90 MiB of new pages beside 60 that are kept: one must make room for the other.
    let block = take(&heap, 90 * MIB);
    assert!(limited.stats().charged <= 100 * MIB);
    let error = heap.allocate(layout(11 * MIB)).unwrap_err();
    assert!(matches!(error, AllocError::PagesLimit { .. }));
    give(&heap, block, 90 * MIB);
    let over = heap.allocate(layout(101 * MIB)).unwrap_err();
    assert!(matches!(over, AllocError::PagesLimit { .. }));

    static SOURCE: Stiff = Stiff { largest: 32 * MIB };
    let (stiff, heap) = pages(&SOURCE);
    let block = take(&heap, 30 * MIB);
    give(&heap, block, 30 * MIB);
    assert_eq!(stiff.stats().charged, 30 * MIB);
    let error = heap.allocate(layout(33 * MIB)).unwrap_err();
    assert!(matches!(error, AllocError::SourceExhausted { .. }));
    assert_eq!(stiff.stats().charged, 0, "kept although the source refused");
}

#[test]
fn idle_blocks_go_after_the_delay() {
    let (pages, heap) = pages(&MmapSource);
    pages.set_purge_delay(Some(Duration::from_millis(5)));
    let block = take(&heap, 8 * MIB);
    give(&heap, block, 8 * MIB);
    for _ in 0..50 {
        thread::sleep(Duration::from_millis(2));
        for _ in 0..20 {
            let span = take(&heap, 100 << 10);
            give(&heap, span, 100 << 10);
        }
    }
    assert!(pages.stats().charged < 8 * MIB);
}

/// Grows a block step by step and shrinks it again; its contents stay, and the figures follow.
fn resize(source: &'static dyn PageSource) {
    let (pages, heap) = pages(source);
    let steps = [2, 3, 8, 64, 65, 40, 33, 5, 2].map(|count| count * MIB);
    let (mut block, mut bytes) = (take(&heap, steps[0]), steps[0]);
    sign(block, bytes, 7);
    for &new in &steps[1..] {
        // SAFETY: the block is live and of this layout; its old address is not used again.
        let resized = unsafe {
            if new > bytes {
                heap.grow(block, layout(bytes), layout(new))
            } else {
                heap.shrink(block, layout(bytes), layout(new))
            }
        };
        block = resized.unwrap().cast();
        assert!(is_signed(block, new.min(bytes), 7), "{bytes} to {new}");
        bytes = new;
        sign(block, bytes, 7);
        let stats = pages.stats();
        assert_eq!(stats.active, bytes, "{stats}");
        assert!(stats.charged >= bytes && stats.charged <= 2 * bytes + KEPT_MAX);
    }
    // SAFETY: as above.
    let grown = unsafe { heap.grow_zeroed(block, layout(bytes), layout(9 * MIB)) };
    let block: NonNull<u8> = grown.unwrap().cast();
    assert!(is_signed(block, bytes, 7) && reads_zero(block, bytes, 9 * MIB));
    sign(block, 9 * MIB, 8);
    give(&heap, block, 9 * MIB);
    let zeroed = heap.allocate_zeroed(layout(9 * MIB)).unwrap().cast();
    assert!(reads_zero(zeroed, 0, 9 * MIB));
    give(&heap, zeroed, 9 * MIB);
    drop(heap);
    pages.trim();
    assert_eq!(pages.stats().charged, 0);
}

#[test]
fn blocks_grow_and_shrink_with_their_contents() {
    resize(&MmapSource);
    resize(&HeapSource);
    static SOURCE: Stiff = Stiff {
        largest: usize::MAX,
    };
    resize(&SOURCE);
}

#[test]
fn a_refused_growth_leaves_the_block_as_it_was() {
    let (pages, _) = pages(&MmapSource);
    pages.set_limit(Some(20 * MIB));
    let heaps = [
        Heap::builder().pages(pages).build().unwrap(),
        Heap::builder()
            .pages(pages)
            .limit_bytes(16 * MIB)
            .build()
            .unwrap(),
    ];
    for heap in heaps {
        let block = take(&heap, 12 * MIB);
        sign(block, 12 * MIB, 1);
        // SAFETY: the block is live and of this layout.
        let error = unsafe { heap.grow(block, layout(12 * MIB), layout(24 * MIB)) }.unwrap_err();
        assert!(!matches!(error, AllocError::SourceExhausted { .. }));
        assert!(is_signed(block, 12 * MIB, 1));
        assert_eq!(pages.stats().charged, 12 * MIB);
        give(&heap, block, 12 * MIB);
        pages.trim();
    }
    assert_eq!(pages.stats().charged, 0);
}

#[test]
fn alignments_hold_when_blocks_are_used_again_or_resized() {
    let (_, heap) = pages(&MmapSource);
    for align in [8, 4096, 64 << 10, 2 * MIB, 4 * MIB] {
        for bytes in [2 * MIB, 7 * MIB, 3 * MIB] {
            let old = Layout::from_size_align(bytes, align).unwrap();
            let new = Layout::from_size_align(3 * bytes, align).unwrap();
            let block: NonNull<u8> = heap.allocate(old).unwrap().cast();
            assert_eq!(block.addr().get() % align, 0);
            sign(block, bytes, align);
            // SAFETY: live blocks with the layouts they have.
            unsafe {
                let grown: NonNull<u8> = heap.grow(block, old, new).unwrap().cast();
                assert_eq!(grown.addr().get() % align, 0);
                assert!(is_signed(grown, bytes, align));
                heap.deallocate(grown, new);
            }
        }
    }
}

/// Threads take, resize and give blocks over one `Pages`; none is handed out twice.
#[test]
fn threads_share_what_is_kept() {
    let (pages, _) = pages(&MmapSource);
    thread::scope(|scope| {
        for number in 0..4usize {
            scope.spawn(move || {
                let heap = Heap::builder().pages(pages).build().unwrap();
                let mut random = Random::new(number as u64);
                let mut held: Vec<(NonNull<u8>, usize)> = Vec::new();
                for round in 0..300 {
                    let bytes = (2 + random.below(6)) * MIB;
                    if held.len() < 3 {
                        let block = take(&heap, bytes);
                        sign(block, bytes, number);
                        held.push((block, bytes));
                    } else {
                        let (block, old) = held.swap_remove(random.below(3));
                        assert!(is_signed(block, old, number));
                        give(&heap, block, old);
                    }
                    if round % 50 == 0 {
                        pages.trim();
                    }
                }
                for (block, bytes) in held {
                    assert!(is_signed(block, bytes, number));
                    give(&heap, block, bytes);
                }
            });
        }
    });
    pages.trim();
    assert_eq!(pages.stats().charged, 0);
}

/// What is kept counts against a limit that is set after it: it serves no request above that.
#[test]
fn a_limit_lowered_later_holds_for_what_is_kept() {
    let (pages, heap) = pages(&MmapSource);
    let held = take(&heap, 2 * MIB);
    let block = take(&heap, 30 * MIB);
    give(&heap, block, 30 * MIB);
    pages.set_limit(Some(10 * MIB));
    let error = heap.allocate(layout(20 * MIB)).unwrap_err();
    assert!(matches!(error, AllocError::PagesLimit { .. }));
    assert_eq!(pages.stats().charged, 2 * MIB, "went back instead");
    let small = take(&heap, 8 * MIB);
    give(&heap, small, 8 * MIB);
    give(&heap, held, 2 * MIB);
}
