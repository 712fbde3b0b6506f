//! What a heap is refused, by each kind of limit: nothing that it only caches.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

use flagstone::pages::{MmapSource, PageSource, Pages, Reservation};
use flagstone::{AllocError, Check, Heap};

use crate::common::pairs::{self, Room, layout};
use crate::common::random::Random;

const LIMIT: usize = 2 << 20;
/// As many blocks of 16 bytes as a segment holds.
const MOST: usize = (4 << 20) / 16;
impl Room for Heap {
    fn take(&self, size: usize) -> Option<usize> {
        let block = self.allocate(layout(size)).ok()?;
        Some(block.cast::<u8>().as_ptr().expose_provenance())
    }

    fn give(&self, address: usize, size: usize) {
        let block = NonNull::new(ptr::with_exposed_provenance_mut(address)).unwrap();
        // SAFETY: a live block of this size.
        unsafe { self.deallocate(block, layout(size)) };
    }

    fn trim(&self) {
        Heap::trim(self);
    }
}

fn leaked(source: &'static dyn PageSource) -> &'static Pages {
    Box::leak(Box::new(Pages::new(source)))
}

/// So many bytes for all owners.
fn of_the_pages(limit: usize) -> Heap {
    let pages = leaked(&MmapSource);
    pages.set_limit(Some(limit));
    Heap::builder().pages(pages).build().unwrap()
}

/// So many bytes for this owner.
fn of_the_owner(limit: usize) -> Heap {
    let builder = Heap::builder().pages(leaked(&MmapSource));
    builder.limit_bytes(limit).build().unwrap()
}

/// A source with room for one segment, and for no huge block.
#[derive(Debug, Default)]
struct OneSegment {
    reserved: AtomicUsize,
    refused: AtomicUsize,
}

// SAFETY: hands out what `MmapSource` hands out, or nothing.
unsafe impl PageSource for OneSegment {
    fn reserve(&self, bytes: usize) -> Option<Reservation> {
        if bytes > 8 << 20 || self.reserved.load(Ordering::Relaxed) + bytes > 9 << 20 {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.reserved.fetch_add(bytes, Ordering::Relaxed);
        MmapSource.reserve(bytes)
    }
}

fn of_the_source() -> (Heap, &'static OneSegment) {
    let source: &OneSegment = Box::leak(Box::default());
    let heap = Heap::builder().pages(leaked(source)).build();
    (heap.unwrap(), source)
}

fn every_pair(heap: &Heap, sizes: &[usize]) {
    let mut held = Vec::with_capacity(MOST);
    pairs::every_pair(heap, sizes, &mut held);
}

fn with_huge_ones() -> Vec<usize> {
    let mut sizes = pairs::sizes();
    sizes.extend([(1 << 20) + 1, 1500 << 10]);
    sizes
}

#[test]
fn under_a_limit_of_the_pages_each_size_gets_what_any_other_left_cached() {
    every_pair(&of_the_pages(LIMIT), &with_huge_ones());
}

#[test]
fn under_a_limit_of_the_owner_each_size_gets_what_any_other_left_cached() {
    every_pair(&of_the_owner(LIMIT), &with_huge_ones());
}

#[test]
fn where_the_source_ends_each_size_gets_what_any_other_left_cached() {
    let mut sizes = pairs::sizes();
    // How many longer ones there are depends on where in the one segment a few others lay.
    sizes.retain(|size| *size <= 100 << 10);
    every_pair(&of_the_source().0, &sizes);
}

#[test]
fn what_waits_in_the_quarantine_is_no_reason_to_refuse() {
    let heap = Heap::builder().check(Check::Full).limit_bytes(LIMIT);
    let heap = heap.pages(leaked(&MmapSource)).build().unwrap();
    every_pair(
        &heap,
        &[512, 8 << 10, 32 << 10, 100 << 10, 1 << 20, 1500 << 10],
    );
}

/// It has no room to move, and room to grow where it is once the stacks are empty.
#[test]
fn a_block_grows_in_place_into_what_was_cached_behind_it() {
    for heap in [of_the_pages(LIMIT), of_the_owner(LIMIT)] {
        let (old, new) = (layout(100 << 10), layout(1 << 20));
        let block = heap.allocate(old).unwrap().cast::<u8>();
        // SAFETY: inside the block.
        unsafe { block.write(7) };
        let mut held = Vec::with_capacity(MOST);
        pairs::fill(&heap, 64, &mut held);
        // Part of them stay, so that the block cannot move.
        let mut kept = held.split_off(held.len() - (LIMIT / 4) / 64);
        pairs::empty(&heap, 64, &mut held, &mut Random::new(5));
        // SAFETY: a live block of the old layout.
        let grown = unsafe { heap.grow(block, old, new) }.unwrap();
        // SAFETY: its first byte was kept.
        assert_eq!(unsafe { grown.cast::<u8>().read() }, 7);
        pairs::empty(&heap, 64, &mut kept, &mut Random::new(5));
        heap.give(grown.cast::<u8>().addr().get(), new.size());
    }
}

/// Where there is no room for stacks.
#[test]
fn a_free_in_a_full_heap_hardly_ever_asks_for_memory() {
    const FREES: usize = 10_000;
    let (heap, source) = of_the_source();
    let mut held = Vec::with_capacity(MOST);
    pairs::fill(&heap, 16, &mut held);
    let before = source.refused.load(Ordering::Relaxed);
    let mut random = Random::new(1);
    for _ in 0..FREES {
        heap.give(held.swap_remove(random.below(held.len())), 16);
    }
    let refused = source.refused.load(Ordering::Relaxed) - before;
    assert!(refused < FREES / 10, "{refused} refusals");
    pairs::empty(&heap, 16, &mut held, &mut random);
    assert_eq!(heap.stats().allocated, 0);
}

/// The error names what is left of the limits, not what stood in the way at first.
#[test]
fn an_error_names_the_limit_that_is_hit_at_last() {
    let pages = leaked(&MmapSource);
    pages.set_limit(Some(LIMIT));
    let heap = Heap::builder().pages(pages).limit_bytes(LIMIT / 2);
    let heap = heap.build().unwrap();
    let mut held = Vec::with_capacity(MOST);
    pairs::fill(&heap, 64, &mut held);
    let limit_bytes = LIMIT / 2;
    let own = AllocError::OwnerLimit { limit_bytes };
    assert_eq!(heap.allocate(layout(64)).unwrap_err(), own);
    pairs::empty(&heap, 64, &mut held, &mut Random::new(3));
    pages.set_limit(Some(0));
    let limit_bytes = 0;
    let common = AllocError::PagesLimit { limit_bytes };
    assert_eq!(heap.allocate(layout(512 << 10)).unwrap_err(), common);
}
