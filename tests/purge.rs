//! Released pages go back to the system after a delay, and not before.
#![cfg(target_os = "linux")]

use std::alloc::Layout;
use std::time::Duration;

use flagstone::Heap;
use flagstone::pages::{MmapSource, Pages};

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
