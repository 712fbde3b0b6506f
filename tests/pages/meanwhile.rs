//! What is asked for while another thread is returning just that: it is charged, in no search, and
//! nobody has it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flagstone::pages::{MmapSource, PageSource, Pages, Reservation};
use flagstone::{AllocError, Heap};

use crate::common::pairs::layout;

const UNIT: usize = 64 << 10;
/// More than a heap keeps.
const FIVE: usize = 5 * UNIT;

/// A source of one segment, whose first purge takes until so many other calls came.
#[derive(Debug)]
struct Slow {
    /// Calls since the first purge began, that one too.
    calls: AtomicUsize,
    /// The last call of which that purge takes notice.
    last: usize,
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
            while self.calls.load(Ordering::SeqCst) <= self.last {
                thread::yield_now();
            }
            // Who does not ask again is refused by now, most likely.
            (0..100).for_each(|_| thread::yield_now());
        }
        // SAFETY: the caller's promise.
        unsafe { reservation.purge(offset, bytes) }
    }
}

/// Takes so many blocks of five units, another thread gives them back and returns their pages. Does
/// `work` in the middle of that.
fn while_purging<R>(
    (last, count): (usize, usize),
    prepare: impl FnOnce(&'static Pages) -> Heap,
    work: impl FnOnce(&Heap) -> R,
) -> R {
    let source: &Slow = Box::leak(Box::new(Slow {
        calls: AtomicUsize::new(0),
        last,
    }));
    let pages: &Pages = Box::leak(Box::new(Pages::new(source)));
    let heap = prepare(pages);
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
        let result = work(&heap);
        source.calls.store(usize::MAX / 2, Ordering::SeqCst);
        result
    })
}

#[test]
fn units_that_another_thread_is_returning_are_not_refused_where_the_source_ends() {
    let prepare = |pages| Heap::builder().pages(pages).build().unwrap();
    // More calls than a single try makes.
    let got = while_purging((50, 12), prepare, |heap| {
        heap.allocate(layout(FIVE)).map(drop)
    });
    assert_eq!(got, Ok(()));
}

#[test]
fn what_another_thread_is_returning_is_not_refused_by_a_limit() {
    let prepare = |pages: &'static Pages| {
        pages.set_limit(Some(60 * UNIT));
        Heap::builder().pages(pages).build().unwrap()
    };
    let ask = |heap: &Heap| -> Result<(), AllocError> {
        let block = heap.allocate(layout(FIVE - UNIT))?;
        // SAFETY: just allocated, used by nobody.
        unsafe { heap.deallocate(block.cast(), layout(FIVE - UNIT)) };
        heap.trim();
        heap.allocate(layout(1 << 20)).map(drop)
    };
    assert_eq!(while_purging((1, 11), prepare, ask), Ok(()));
}
