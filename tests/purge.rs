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

/// Allocates, touches and frees `count` blocks of 256 KiB, all live at once.
fn burst(heap: &Heap, count: usize) {
    let layout = Layout::from_size_align(256 << 10, 8).unwrap();
    let blocks: Vec<_> = (0..count).map(|_| heap.allocate(layout).unwrap()).collect();
    for block in blocks {
        // SAFETY: the block is ours, 256 KiB long, and freed once.
        unsafe {
            block.cast::<u8>().write_bytes(1, 256 << 10);
            heap.deallocate(block.cast(), layout);
        }
    }
}

#[test]
fn idle_pages_are_returned_after_the_delay_by_whoever_goes_on() {
    let pages = pages(Some(Duration::from_millis(20)));
    let heap = Heap::builder().pages(pages).build().unwrap();
    burst(&heap, 100);
    let full = pages.stats().charged;
    assert!(full >= 100 * (256 << 10));
    // A program that goes on with one block: what it uses stays, the rest ages and goes.
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(10));
        (0..32).for_each(|_| burst(&heap, 1));
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
    burst(&heap, 100);
    let full = pages.stats().charged;
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(10));
        (0..32).for_each(|_| burst(&heap, 1));
    }
    assert_eq!(pages.stats().charged, full);
    assert!(heap.trim() >= 100 * (256 << 10));
}
