//! The system's allocator, which refuses what one thread asks for, by number.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::thread;

/// Which of the allocations of a piece of work are refused; the first is number 0.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    None,
    /// This one.
    Only(usize),
    /// This one and all later ones.
    From(usize),
    /// The first, and then each so many.
    Every(usize),
}

thread_local! {
    static REFUSAL: Cell<Refusal> = const { Cell::new(Refusal::None) };
    static ASKED: Cell<usize> = const { Cell::new(0) };
    static REFUSED: Cell<usize> = const { Cell::new(0) };
}

/// What holds again when this is dropped, by a test that fails, too.
struct Before(Refusal);

impl Drop for Before {
    fn drop(&mut self) {
        REFUSAL.set(self.0);
    }
}

/// How many allocations of this thread's `work` were refused, in this way.
pub(crate) fn refused_in(refusal: Refusal, work: impl FnOnce()) -> usize {
    ASKED.set(0);
    REFUSED.set(0);
    let _before = Before(REFUSAL.replace(refusal));
    work();
    REFUSED.get()
}

/// Does a part of that work whose allocations neither count nor are refused.
pub(crate) fn with_memory<T>(work: impl FnOnce() -> T) -> T {
    let _before = Before(REFUSAL.replace(Refusal::None));
    work()
}

struct Refusing;

#[global_allocator]
static GLOBAL: Refusing = Refusing;

impl Refusing {
    fn refuses() -> bool {
        let refusal = REFUSAL.get();
        // The message of a test that fails is none of the work.
        if matches!(refusal, Refusal::None) || thread::panicking() {
            return false;
        }
        let nth = ASKED.replace(ASKED.get() + 1);
        let refuses = match refusal {
            Refusal::None => false,
            Refusal::Only(number) => nth == number,
            Refusal::From(number) => nth >= number,
            Refusal::Every(count) => nth % count == 0,
        };
        REFUSED.set(REFUSED.get() + usize::from(refuses));
        refuses
    }
}

// SAFETY: the system's allocator, or an answer of null, which any allocation may have.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Refusing::refuses() {
            return std::ptr::null_mut();
        }
        // SAFETY: as ours.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as ours.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if Refusing::refuses() {
            return std::ptr::null_mut();
        }
        // SAFETY: as ours.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if Refusing::refuses() {
            return std::ptr::null_mut();
        }
        // SAFETY: as ours.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}
