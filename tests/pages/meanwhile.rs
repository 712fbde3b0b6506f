//! What is asked for while another thread is returning just that: it is charged, in no search, and
//! nobody has it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use flagstone::Heap;
use flagstone::pages::{MmapSource, PageSource, Pages, Reservation};

use crate::common::pairs::layout;

const UNIT: usize = 64 << 10;
/// More than a heap keeps.
const FIVE: usize = 5 * UNIT;

/// A source of one segment, whose first purge goes on until another call came, and then for long.
#[derive(Debug)]
struct Slow {
    /// Calls since the first purge began, that one too.
    calls: AtomicUsize,
}

impl Slow {
    /// Counts a call, if the first purge began. How many there were before.
    fn count(&self) -> usize {
        let next = |calls| (calls > 0).then_some(calls + 1);
        let order = (Ordering::SeqCst, Ordering::SeqCst);
        self.calls.fetch_update(order.0, order.1, next).unwrap_or(0)
    }
}

// SAFETY: hands out and purges what `MmapSource` does, or nothing.
unsafe impl PageSource for Slow {
    fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let may = self.count() == 0 && bytes <= 8 << 20;
        may.then(|| MmapSource.reserve(bytes))?
    }

    unsafe fn purge(&self, reservation: &Reservation, offset: usize, bytes: usize) -> bool {
        if self.count() == 0 {
            self.calls.store(1, Ordering::SeqCst);
            while self.calls.load(Ordering::SeqCst) == 1 {
                thread::yield_now();
            }
            // Who is refused at once is refused thousands of times.
            thread::sleep(Duration::from_millis(5));
        }
        // SAFETY: the caller's promise.
        unsafe { reservation.purge(offset, bytes) }
    }
}

/// Asks until there is a block. A refusal takes milliseconds, as long as something is under way.
fn insist(heap: &Heap, size: usize) {
    let refused = (0..1_000_000).take_while(|_| heap.allocate(layout(size)).is_err());
    let refused = refused.count();
    assert!(refused < 500, "refused {refused} times");
}

/// Takes so many blocks of five units, another thread gives them back and returns their pages. Does
/// `work` in the middle of that.
fn while_purging(count: usize, limit: Option<usize>, work: impl FnOnce(&Heap)) {
    let calls = AtomicUsize::new(0);
    let source: &Slow = Box::leak(Box::new(Slow { calls }));
    let pages: &Pages = Box::leak(Box::new(Pages::new(source)));
    pages.set_limit(limit);
    let heap = Heap::builder().pages(pages).build().unwrap();
    let other = Heap::builder().pages(pages).build().unwrap();
    let five = layout(FIVE);
    for _ in 0..count {
        // All at once below.
        other.allocate(five).unwrap();
    }
    thread::scope(|scope| {
        // Its blocks end with it.
        scope.spawn(move || {
            drop(other);
            pages.trim()
        });
        while source.calls.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        work(&heap);
    });
}

#[test]
fn units_that_another_thread_is_returning_are_not_refused_where_the_source_ends() {
    while_purging(12, None, |heap| insist(heap, FIVE));
}

#[test]
fn what_another_thread_is_returning_is_not_refused_by_a_limit() {
    while_purging(11, Some(60 * UNIT), |heap| {
        let own = layout(4 * UNIT);
        let block = heap.allocate(own).unwrap();
        // SAFETY: just allocated, used by nobody.
        unsafe { heap.deallocate(block.cast(), own) };
        // That is the other call.
        heap.trim();
        insist(heap, 1 << 20);
    });
}
