//! What references do to a pointer: a block comes back with a pointer that is good for less than
//! the block, and the heap must still hand out pointers that are good for all of it. Miri judges.

use std::alloc::Layout;
use std::ptr::NonNull;

use flagstone::Heap;
use flagstone::pages::{HeapSource, Pages};

static OWN: Pages = Pages::new(&HeapSource);

/// The pointer, narrowed to its first `len` bytes as a `Box` or `&mut [u8]` would.
fn narrowed(ptr: NonNull<u8>, len: usize) -> NonNull<u8> {
    // SAFETY: callers own at least `len` initialised bytes there.
    let bytes: &mut [u8] = unsafe { std::slice::from_raw_parts_mut(ptr.as_ptr(), len) };
    NonNull::from(bytes).cast()
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 1).unwrap()
}

/// Within a class, within a span, and from span to longer span in place.
#[test]
fn growing_in_place_reaches_the_new_end() {
    let heap = Heap::builder().pages(&OWN).build().unwrap();
    for (from, to) in [(33, 40), (70 << 10, 80 << 10), (70 << 10, 150 << 10)] {
        let (old, new) = (layout(from), layout(to));
        let block = heap.allocate_zeroed(old).unwrap().cast();
        // SAFETY: live blocks of these layouts throughout.
        unsafe {
            let grown = heap.grow(narrowed(block, from), old, new).unwrap();
            assert_eq!(grown.cast(), block, "grown in place");
            grown.cast::<u8>().add(to - 1).write(7);
            heap.deallocate(narrowed(grown.cast(), from), new);
        }
    }
}

/// Shrinking and freeing through a narrowed pointer, then using the whole slot again.
#[test]
fn a_slot_freed_through_a_narrow_pointer_is_whole_again() {
    let heap = Heap::builder().pages(&OWN).build().unwrap();
    let (full, half) = (layout(64), layout(50));
    let mut at = None;
    for _ in 0..3 {
        let block = heap.allocate_zeroed(full).unwrap().cast::<u8>();
        assert_eq!(*at.get_or_insert(block), block, "the same slot each round");
        // SAFETY: a live block of these layouts throughout; both have one class.
        unsafe {
            block.add(63).write(1);
            let shrunk = heap.shrink(narrowed(block, 64), full, half).unwrap();
            heap.deallocate(narrowed(shrunk.cast(), 50), half);
        }
    }
}
