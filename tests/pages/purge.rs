//! Released pages go back to the system after a delay, and not before.

use std::alloc::Layout;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flagstone::pages::{MmapSource, PageSource, Pages, Reservation};
use flagstone::{Heap, Keep, Pool};

use crate::common::steady::steady;

fn pages(delay: Option<Duration>) -> &'static Pages {
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(&MmapSource)));
    pages.set_purge_delay(delay);
    pages
}

/// Allocates, touches and frees `count` blocks of 256 KiB, all live at once. What was charged then.
fn burst(pages: &Pages, heap: &Heap, count: usize) -> usize {
    let layout = Layout::from_size_align(256 << 10, 8).unwrap();
    let blocks: Vec<_> = (0..count).map(|_| heap.allocate(layout).unwrap()).collect();
    let charged = pages.stats().charged;
    for block in blocks {
        // SAFETY: the block is ours, 256 KiB long, and freed once.
        unsafe {
            block.cast::<u8>().write_bytes(1, 256 << 10);
            heap.deallocate(block.cast(), layout);
        }
    }
    charged
}

#[test]
fn idle_pages_are_returned_after_the_delay_by_whoever_goes_on() {
    let pages = pages(Some(Duration::from_millis(20)));
    let heap = Heap::builder().pages(pages).build().unwrap();
    let full = burst(pages, &heap, 100);
    assert!(full >= 100 * (256 << 10));
    // A program that goes on with one block: what it uses stays, the rest ages and goes.
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(10));
        for _ in 0..32 {
            burst(pages, &heap, 1);
        }
    }
    let left = pages.stats().charged;
    assert!(left <= 1 << 20, "{full} then {left}");
    // And what was purged is used again, zeroed.
    let layout = Layout::from_size_align(1 << 20, 8).unwrap();
    let block = heap.allocate_zeroed(layout).unwrap();
    // SAFETY: a megabyte of ours.
    let bytes = unsafe { std::slice::from_raw_parts(block.cast::<u8>().as_ptr(), 1 << 20) };
    assert!(bytes.iter().all(|byte| *byte == 0));
}

/// A heap that neither takes nor releases a span comes by all the same, and no step of it pays for
/// more than some MiB of the 64 that lie free.
#[test]
fn a_steady_state_returns_an_old_peak_step_by_step() {
    let source: &Counting = Box::leak(Box::default());
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(source)));
    pages.set_purge_delay(None);
    let heap = Heap::builder().pages(pages).build().unwrap();
    let wide = Layout::from_size_align(1 << 20, 8).unwrap();
    let peak: Vec<_> = (0..64).map(|_| heap.allocate(wide).unwrap()).collect();
    for block in peak {
        // SAFETY: the block is ours, and freed once.
        unsafe { heap.deallocate(block.cast(), wide) };
    }
    let full = pages.stats().charged;
    assert!(full >= 64 << 20, "{full}");
    pages.set_purge_delay(Some(Duration::from_millis(1)));
    let small = Layout::from_size_align(64, 8).unwrap();
    let purged = || source.purged.load(Ordering::Relaxed);
    let mut most = 0;
    let mut step = |operation: &mut dyn FnMut()| {
        let before = purged();
        operation();
        most = most.max(purged() - before);
    };
    // Minutes: it takes milliseconds.
    for _ in 0..100_000 {
        let mut blocks = Vec::with_capacity(600);
        for _ in 0..600 {
            step(&mut || blocks.push(heap.allocate(small).unwrap()));
        }
        for block in blocks {
            // SAFETY: the block is ours, and freed once.
            step(&mut || unsafe { heap.deallocate(block.cast(), small) });
        }
        if pages.stats().charged < 2 << 20 {
            break;
        }
    }
    let left = pages.stats().charged;
    assert!(left < 2 << 20, "{full} then {left}");
    assert!((1..=8 << 20).contains(&most), "{most} bytes in a step");
}

#[test]
fn without_a_delay_nothing_goes_by_itself() {
    let pages = pages(None);
    let heap = Heap::builder().pages(pages).build().unwrap();
    let full = burst(pages, &heap, 100);
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(10));
        for _ in 0..32 {
            burst(pages, &heap, 1);
        }
    }
    assert_eq!(pages.stats().charged, full);
    assert!(heap.trim() >= 100 * (256 << 10));
}

/// A heap keeps a spare slab per class, and gives it up when the budget runs short.
#[test]
fn heaps_give_back_what_they_cache_when_the_budget_runs_short() {
    let pages = pages(None);
    let (idle, busy) = (
        Heap::builder().pages(pages).build().unwrap(),
        Heap::builder().pages(pages).build().unwrap(),
    );
    let small = Layout::from_size_align(1024, 8).unwrap();
    let blocks: Vec<_> = (0..8000).map(|_| idle.allocate(small).unwrap()).collect();
    for block in blocks {
        // SAFETY: live, of this layout.
        unsafe { idle.deallocate(block.cast(), small) };
    }
    let cached = idle.stats().active;
    assert!(cached > 0, "one slab is kept");
    pages.set_limit(Some(pages.stats().charged + (4 << 20)));
    let large = Layout::from_size_align(256 << 10, 8).unwrap();
    let mut held = Vec::new();
    while let Ok(block) = busy.allocate(large) {
        held.push(block);
    }
    // The idle heap answers on its own next slow path: an allocation of another size.
    let other = Layout::from_size_align(48, 8).unwrap();
    for block in held.drain(..1) {
        // SAFETY: live, of this layout.
        unsafe { busy.deallocate(block.cast(), large) };
    }
    let block = idle.allocate(other).unwrap();
    assert!(
        idle.stats().active < cached,
        "{} of {cached}",
        idle.stats().active
    );
    // SAFETY: live, of this layout.
    unsafe { idle.deallocate(block.cast(), other) };
    for block in held {
        // SAFETY: live, of this layout.
        unsafe { busy.deallocate(block.cast(), large) };
    }
}

/// Passes everything on and counts the bytes that were returned.
#[derive(Debug, Default)]
struct Counting {
    purged: AtomicUsize,
}

// SAFETY: does what `MmapSource` does.
unsafe impl PageSource for Counting {
    fn reserve(&self, bytes: usize) -> Option<Reservation> {
        MmapSource.reserve(bytes)
    }

    unsafe fn purge(&self, reservation: &Reservation, offset: usize, bytes: usize) -> bool {
        self.purged.fetch_add(bytes, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { MmapSource.purge(reservation, offset, bytes) }
    }
}

/// A trim returns the slabs' records and bitmaps too where nothing is in use any more, and the
/// segment serves again afterwards.
#[test]
fn a_trim_returns_what_empty_segments_know_of_slabs() {
    /// What a segment reserves for that: two units but for the first page, and for four pages that
    /// both halves use.
    const METADATA: usize = (128 << 10) - 5 * 4096;
    let source: &Counting = Box::leak(Box::default());
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(source)));
    let heap = Heap::builder().pages(pages).build().unwrap();
    let layout = Layout::new::<[u64; 2]>();
    for round in 0..3u64 {
        // A page of blocks stays in the second round, and with it what is known of its slab.
        let blocks: Vec<_> = (0..300_000)
            .map(|_| heap.allocate_zeroed(layout).unwrap().cast::<u64>())
            .collect();
        for (block, value) in blocks.iter().zip(1u64..) {
            // SAFETY: a block of ours, two words long, zeroed.
            unsafe {
                assert_eq!(block.read(), 0);
                block.write(value);
            }
        }
        let kept = if round == 1 { 1000 } else { 0 };
        for (block, value) in blocks[kept..].iter().zip(kept as u64 + 1..) {
            // SAFETY: as above; freed once.
            unsafe {
                assert_eq!(block.read(), value);
                heap.deallocate(block.cast(), layout);
            }
        }
        let charged = pages.stats().charged;
        source.purged.store(0, Ordering::Relaxed);
        heap.trim();
        let purged = source.purged.load(Ordering::Relaxed);
        let left = pages.stats().charged;
        // Two segments hold 300,000 blocks; pieces of a split unit are purged and stay charged.
        let metadata = purged.saturating_sub(charged - left);
        if kept == 0 {
            assert!(metadata >= METADATA, "{metadata}");
        }
        for (block, value) in blocks[..kept].iter().zip(1u64..) {
            // SAFETY: as above; kept until now.
            unsafe {
                assert_eq!(block.read(), value);
                heap.deallocate(block.cast(), layout);
            }
        }
    }
}

/// Has one segment, and allocates whenever pages of it are returned.
#[derive(Debug)]
struct Meddling {
    segments: AtomicUsize,
    /// Ranges shorter than a unit that were returned: of segments' heads, where nobody uses pieces.
    heads: AtomicUsize,
}

static MEDDLING: Meddling = Meddling {
    segments: AtomicUsize::new(0),
    heads: AtomicUsize::new(0),
};
static MEDDLED: Pages = Pages::new(&MEDDLING);

/// The longest span, aligned to itself: nothing is harder to find room for.
fn take_longest(heap: &Heap) {
    let longest = Layout::from_size_align(1 << 20, 1 << 20).unwrap();
    let block = heap.allocate(longest).unwrap().cast();
    // SAFETY: a live block of this layout.
    unsafe { heap.deallocate(block, longest) };
}

// SAFETY: does what `MmapSource` does, or nothing.
unsafe impl PageSource for Meddling {
    fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let is_segment = bytes == 8 << 20;
        let is_first = || self.segments.fetch_add(1, Ordering::Relaxed) == 0;
        let may = bytes < 1 << 20 || is_segment && is_first();
        may.then(|| MmapSource.reserve(bytes))?
    }

    unsafe fn purge(&self, reservation: &Reservation, offset: usize, bytes: usize) -> bool {
        let is_head = usize::from(bytes < 64 << 10);
        self.heads.fetch_add(is_head, Ordering::Relaxed);
        take_longest(&Heap::builder().pages(&MEDDLED).build().unwrap());
        // SAFETY: the caller's promise.
        unsafe { MmapSource.purge(reservation, offset, bytes) }
    }
}

/// While a segment's metadata is returned there is room in it for others; and only a trim returns
/// it, since a limit that refuses gains nothing by it.
#[test]
fn what_is_allocated_while_metadata_is_returned_finds_room() {
    let heads = || MEDDLING.heads.load(Ordering::Relaxed);
    MEDDLED.set_purge_delay(None);
    let heap = Heap::builder().pages(&MEDDLED).build().unwrap();
    take_longest(&heap);
    MEDDLED.set_limit(Some(2 << 20));
    assert!(heap.allocate(Layout::new::<[u8; 3 << 20]>()).is_err());
    assert_eq!(heads(), 0);
    MEDDLED.set_limit(None);
    heap.trim();
    assert_eq!(heads(), 6, "records and words of two halves");
}

/// The pool that a burst went through gives its pages back by ticks alone, though the last of them
/// release next to nothing.
#[test]
fn ticks_return_the_pages_of_a_burst() {
    let pages = pages(Some(Duration::from_millis(20)));
    let pool = steady(Pool::builder(|| [0_u8; 16 << 10]))
        .idle(0..=1000)
        .pages(pages)
        .recycle_with(|_| Keep::Yes)
        .build();
    let burst: Vec<_> = (0..1000).map(|_| pool.get()).collect();
    drop(burst);
    let held = pages.stats().charged;
    for _ in 0..10 {
        pool.tick();
        std::thread::sleep(Duration::from_millis(25));
    }
    let left = pages.stats().charged;
    assert!(left < held / 8, "{left} of {held} bytes are left");
}
