//! One thread's share of the process's heap.
//!
//! The same bins as a [`Heap`](crate::Heap) has, over slabs that other threads may free into
//! (`remote.rs`). A thread heap belongs to one thread at a time: it is made or adopted when a
//! thread first allocates, and left for the next one when the thread ends (`heaps.rs`).
//!
//! * I1: bins and stacks are used by the thread that holds the heap; the inbox by all.
//! * I2: a thread heap is never freed and never moves.
//! * I3: `in_slow` is set while bins and lists may be inconsistent: between operations and on the
//!   fast paths they never are, at worst one slot is lost, so that a forked child can adopt a heap
//!   whose thread vanished outside the slow path.
//! * I4: nothing here panics, formats or allocates through the process's allocator.

use core::cell::Cell;
use core::ptr::{null, null_mut};
use core::sync::atomic::compiler_fence;

use crate::base::error::AllocError;
use crate::base::sync::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use crate::heap::bins::Bins;
use crate::pages::Pages;
use crate::slab::raw::SlabHead;
use crate::slab::spares::Spares;

/// A thread's cell that says which heap it uses.
pub(super) type CurrentCell = Cell<&'static ThreadHeap>;

/// See the module's header. Aligned so that owner words have room for a bit, and orphan words for
/// a tag.
#[repr(C, align(4096))]
pub(crate) struct ThreadHeap {
    pub(super) bins: Bins,
    /// The cell of the thread that holds the heap; null for none.
    pub(super) current: Cell<*const CurrentCell>,
    /// Next in the list of all thread heaps, which only grows.
    pub(super) next_all: Cell<*const ThreadHeap>,
    in_slow: AtomicBool,
    /// Bytes of slots that stacks were lengthened by.
    pub(super) cached_max: Cell<usize>,
    /// Large blocks kept for later.
    pub(super) spares: Spares,
    /// The pages' pressure when the heap last looked.
    pub(super) pressure: Cell<usize>,
    /// Bytes of slots taken out of slabs less those given back, modulo the word: others' slots come
    /// back here too. Written by the holder, read by all.
    taken: AtomicUsize,
    pub(super) shared: Shared,
}

/// What other threads write, on lines of its own.
#[repr(C, align(128))]
pub(super) struct Shared {
    /// Slabs with a notice, linked.
    pub(super) inbox: AtomicPtr<SlabHead>,
    /// Next in the stack of orphans, as an address.
    pub(super) next_orphan: AtomicUsize,
}

const _: () = assert!(size_of::<ThreadHeap>() == 4096);

// SAFETY: shared as a pointer only; what is not atomic is used by its holder alone (I1). The static
// empty heaps are never written: their bins are empty and full at once.
unsafe impl Sync for ThreadHeap {}

impl ThreadHeap {
    /// A heap that has nothing and takes nothing: each operation fails into the slow path.
    pub(super) const fn empty() -> ThreadHeap {
        ThreadHeap {
            bins: Bins::new(),
            current: Cell::new(null()),
            next_all: Cell::new(null()),
            in_slow: AtomicBool::new(false),
            cached_max: Cell::new(0),
            spares: Spares::new(),
            pressure: Cell::new(0),
            taken: AtomicUsize::new(0),
            shared: Shared {
                inbox: AtomicPtr::new(null_mut()),
                next_orphan: AtomicUsize::new(0),
            },
        }
    }

    /// A fresh heap on pages of its own, which it keeps for ever.
    pub(super) fn create() -> Result<&'static ThreadHeap, AllocError> {
        let bytes = size_of::<ThreadHeap>();
        let span = Pages::global().take_span(bytes, bytes)?;
        let heap = span.ptr.cast::<ThreadHeap>();
        // SAFETY: the span is ours, long enough and aligned, and is never released.
        unsafe {
            heap.write(ThreadHeap::empty());
            Ok(heap.as_ref())
        }
    }

    /// The heap at an address from an owner word.
    ///
    /// # Safety
    /// A thread heap lies there.
    pub(super) unsafe fn at(address: usize) -> &'static ThreadHeap {
        // SAFETY: the caller's promise; thread heaps stay (I2).
        unsafe { &*core::ptr::with_exposed_provenance(address) }
    }

    pub(super) fn address(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// Whether the holder is where a forked child cannot go on (I3).
    pub(super) fn is_in_slow(&self) -> bool {
        self.in_slow.load(Ordering::SeqCst)
    }

    /// Counts bytes of slots taken out of slabs. By the holder.
    pub(super) fn count_taken(&self, bytes: usize) {
        // Relaxed, and no read-modify-write: a figure with one writer.
        let sum = self.taken_bytes().wrapping_add(bytes);
        self.taken.store(sum, Ordering::Relaxed);
    }

    /// As [`ThreadHeap::count_taken`], given back.
    pub(super) fn count_given(&self, bytes: usize) {
        self.count_taken(bytes.wrapping_neg());
    }

    /// See the field. Any thread.
    pub(super) fn taken_bytes(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Runs `step` where bins and lists may be inconsistent for a while (I3).
    pub(super) fn slow<R>(&self, step: impl FnOnce() -> R) -> R {
        self.in_slow.store(true, Ordering::SeqCst);
        // The step's plain writes must not come before the flag.
        compiler_fence(Ordering::SeqCst);
        let result = step();
        self.in_slow.store(false, Ordering::Release);
        result
    }
}
