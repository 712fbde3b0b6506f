//! Where the magazines of all pools lie: in slots of the crate's own.
//!
//! Owns those slots, of one size, for the whole process: most pools have a few magazines, and a
//! page for each would be more than they hold. Not the program's allocator, because a magazine that
//! a burst needs is allocated after the burst's objects, and some allocators give nothing back that
//! lies below a block in use: 544 bytes at the end of glibc's heap kept 300 MiB of buffers there.
//!
//! I1: nobody waits for ever for the lock here, which is taken while others are held: who needs
//! room yields for a while and then does without, and room that comes back goes on a stack that
//! anybody can push on and only the lock's holder takes. So a child that was forked while it was
//! held goes on, slowly and with fewer magazines.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use std::sync::Mutex;
use std::thread;

use crate::base::lock::try_lock;
use crate::base::sync::{AtomicPtr, Ordering};
use crate::slab::slots::SlotSource;

/// Tries at the lock, which is held for some 50 ns: the first ones outlast a holder that is not
/// preempted, the others, with a yield each, one that is.
const SPINS: usize = 10;
const TRIES: usize = 2000;

/// A magazine's room (`magazine.rs` compares): a line and three eighths more than eight.
pub(crate) const BLOCK: Layout = Layout::new::<[usize; 67]>();

struct Blocks {
    slots: SlotSource,
    /// Blocks that were taken and have not come home.
    count: usize,
}

static BLOCKS: Mutex<Blocks> = Mutex::new(Blocks {
    slots: SlotSource::new(None, BLOCK),
    count: 0,
});

/// What lies in a block on its way home.
struct Returned {
    next: *mut Returned,
}

/// The last one that came back.
static RETURNED: AtomicPtr<Returned> = AtomicPtr::new(ptr::null_mut());

/// Room for a magazine, uninitialised; `None` without memory, or when others are at it.
pub(crate) fn take() -> Option<NonNull<u8>> {
    for attempt in 0..TRIES {
        if let Some(mut blocks) = try_lock(&BLOCKS) {
            blocks.collect();
            let block = blocks.slots.take().ok()?;
            blocks.count += 1;
            return Some(block);
        }
        if attempt < SPINS {
            core::hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }
    None
}

/// Takes that room back, and gives all to the pages when it was the last.
///
/// # Safety
/// It came from `take` and nobody uses it.
pub(crate) unsafe fn give(block: NonNull<u8>) {
    let returned = block.cast::<Returned>();
    let mut next = RETURNED.load(Ordering::Relaxed);
    loop {
        // SAFETY: ours, large enough and aligned for a pointer.
        unsafe { returned.write(Returned { next }) };
        // Release: pairs with `collect`, who reads what was written.
        let order = (Ordering::Release, Ordering::Relaxed);
        match RETURNED.compare_exchange_weak(next, returned.as_ptr(), order.0, order.1) {
            Ok(_) => break,
            Err(now) => next = now,
        }
    }
    if let Some(mut blocks) = try_lock(&BLOCKS) {
        blocks.collect();
    }
}

impl Blocks {
    /// Brings home what came back, and gives all to the pages if that was the last.
    fn collect(&mut self) {
        // Acquire: pairs with `give`.
        let mut at = RETURNED.swap(ptr::null_mut(), Ordering::Acquire);
        while let Some(block) = NonNull::new(at) {
            // SAFETY: pushed by `give`, off the stack now, and read before it goes.
            unsafe {
                at = block.as_ref().next;
                self.slots.give(block.cast());
            }
            self.count -= 1;
        }
        if self.count == 0 {
            self.slots.trim();
        }
    }
}
