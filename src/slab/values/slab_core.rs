//! What all handles of a [`Slab<T>`](crate::Slab) share.
//!
//! A handle is the slot's address and nothing else: the slot's page leads to its slab's record, and
//! the record names the core (`owner`). The core is a block of its own, so the `Slab` may move.
//!
//! Freed slots wait in a list that is linked through them, with the last one apart: who drops one
//! value and makes the next moves one word there and back, and no link is read right after it was
//! written. They stay with the slab until `trim`, or a refill after the budget ran short.
//!
//! * I1: list, bin and set of a core are used by the thread that has the `Slab` (`!Sync`), or, when
//!   the last reference goes, by whoever drops it.
//! * I2: a slot is in exactly one of: `last` and the free list, the bin's keeping, a `Slot`, an
//!   `OwnedSlot`, the key table, the remote list.
//! * I3: `owned` counts the `OwnedSlot`s made and not yet taken back from the remote list. The core
//!   lives while its `Slab` does; the slab's end closes the remote list, and from then on the core
//!   lives while `refs` is not zero: one for each `OwnedSlot` and for who closes.
//! * I4: the remote list is a stack linked through dead slots: anyone pushes, only the owner takes,
//!   and takes all, so that no entry can come back under a pusher (no ABA).
//! * I5: a slot of the free list starts with the address of the next, 0 for none.

use core::alloc::Layout;
use core::cell::{Cell, UnsafeCell};
use core::ptr::{self, NonNull, null_mut};

use crate::base::error::AllocError;
use crate::base::sync::{AtomicPtr, AtomicUsize, Ordering};
use crate::pages::Pages;
use crate::slab::bin::Bin;
use crate::slab::raw::slot_at;
use crate::slab::set::SlabSet;
use crate::slab::shape::SlotShape;

/// What all handles of a slab share. `T` appears in none of it: values are the handles' concern.
pub(super) struct SlabCore {
    /// The address of the slot freed last, if it was not taken since; else 0.
    last: Cell<usize>,
    /// The address of the slot freed before that (I5).
    free: Cell<usize>,
    pub(super) bin: Bin,
    pub(super) set: SlabSet,
    /// See I3.
    owned: Cell<usize>,
    /// The pages' pressure when the slab last looked.
    pressure: Cell<usize>,
    /// Slots freed by owned handles (I4), or [`closed`].
    remote: AtomicPtr<u8>,
    /// Counts once the remote list is closed (I3).
    refs: AtomicUsize,
}

/// The core of every slab that has none yet: so that taking a slot needs no test for that.
pub(super) struct NoCore(UnsafeCell<SlabCore>);

// SAFETY: nobody writes to it. Its list and word are empty, so nothing is taken out, and without
// slots nothing is put in; everything else asks `is_real` first.
unsafe impl Sync for NoCore {}

static NO_CORE: NoCore = NoCore(UnsafeCell::new(SlabCore::new(SlabSet::new(None, 0))));

/// What the remote list of a slab that is gone is: no slot's address.
const fn closed() -> *mut u8 {
    ptr::without_provenance_mut(1)
}

impl SlabCore {
    const fn new(set: SlabSet) -> SlabCore {
        SlabCore {
            last: Cell::new(0),
            free: Cell::new(0),
            bin: Bin::new(),
            set,
            owned: Cell::new(0),
            pressure: Cell::new(0),
            remote: AtomicPtr::new(null_mut()),
            refs: AtomicUsize::new(0),
        }
    }

    /// Stands for no core: nothing can be taken from it and nothing may be given to it.
    pub(super) const fn none() -> *const SlabCore {
        NO_CORE.0.get()
    }

    /// Whether it is a core of a slab, not [`SlabCore::none`].
    pub(super) fn is_real(&self) -> bool {
        !ptr::eq(self, SlabCore::none())
    }

    /// The slot freed last, or else the next one of the cached word. `slot_bytes` is the shape's.
    #[inline(always)]
    pub(super) fn pop(&self, slot_bytes: usize) -> Option<usize> {
        self.pop_free().or_else(|| self.bin.pop_word(slot_bytes))
    }

    #[inline(always)]
    fn pop_free(&self) -> Option<usize> {
        let last = self.last.get();
        if last != 0 {
            // Not before the test: the core may be `SlabCore::none`.
            self.last.set(0);
            return Some(last);
        }
        let slot = self.free.get();
        if slot == 0 {
            return None;
        }
        // SAFETY: a slot of the free list is nobody else's (I2) and starts with the link (I5).
        self.free.set(unsafe { slot_at(slot).cast().read() });
        Some(slot)
    }

    /// Puts a slot on the free list.
    ///
    /// # Safety
    /// The slot is of this core, the caller's, and holds no value any more.
    #[inline(always)]
    pub(super) unsafe fn push(&self, slot: usize) {
        let before = self.last.replace(slot);
        if before != 0 {
            // SAFETY: a slot of ours (I2); it has at least 16 bytes, aligned to 16.
            unsafe { slot_at(before).cast().write(self.free.get()) };
            self.free.set(before);
        }
    }

    /// Counts one more owned handle (I3).
    #[inline(always)]
    pub(super) fn count_owned(&self) {
        self.owned.set(self.owned.get() + 1);
    }

    /// Takes back what owned handles freed.
    pub(super) fn collect_remote(&self) {
        if self.remote.load(Ordering::Relaxed).is_null() {
            return;
        }
        // Acquire: pairs with the Release of each push; what the handles did is over.
        let mut at = self.remote.swap(null_mut(), Ordering::Acquire);
        while let Some(slot) = NonNull::new(at) {
            // SAFETY: a dead slot on the list starts with the link to the next (I4); it is ours.
            unsafe {
                at = slot.cast::<*mut u8>().read();
                self.push(slot.addr().get());
            }
            self.owned.set(self.owned.get() - 1);
        }
    }

    /// Whether the budget of the pages ran short since the slab last asked.
    pub(super) fn is_pressed(&self) -> bool {
        let pressure = self.set.pages().pressure();
        self.pressure.replace(pressure) != pressure
    }

    /// Gives every slot of the free list, and the empty spans, back.
    pub(super) fn trim(&self, shape: &SlotShape) {
        // As many as a word has bits: neighbours go back together.
        let mut batch = [0; 64];
        loop {
            let mut count = 0;
            while let Some(slot) = batch.get_mut(count) {
                let Some(free) = self.pop_free() else { break };
                *slot = free;
                count += 1;
            }
            if count == 0 {
                break;
            }
            self.bin.give(&self.set, shape, &batch[..count]);
        }
        self.bin.trim(&self.set, shape);
    }
}

/// The value in a slot.
///
/// # Safety
/// `slot` is the address of a slot that holds a `T`.
#[inline(always)]
pub(super) unsafe fn value_at<T>(slot: usize) -> NonNull<T> {
    // SAFETY: the caller's promise.
    unsafe { slot_at(slot).cast() }
}

pub(super) fn new_core(pages: Option<&'static Pages>) -> Result<*const SlabCore, AllocError> {
    let layout = Layout::new::<SlabCore>();
    // SAFETY: the layout's size is not zero.
    let block = unsafe { alloc::alloc::alloc(layout) }.cast::<SlabCore>();
    let Some(core) = NonNull::new(block) else {
        return Err(AllocError::SourceExhausted {
            bytes: layout.size(),
        });
    };
    let set = SlabSet::new(pages, usize::MAX);
    set.set_owner(block.expose_provenance());
    // SAFETY: just allocated for a `SlabCore`.
    unsafe { core.write(SlabCore::new(set)) };
    Ok(core.as_ptr())
}

/// Gives a slot of an owned handle back from any thread, with the handle's reference.
///
/// # Safety
/// The slot is of this core, was placed by an owned handle, is the caller's and dead: no value is
/// in it any more. `slot` has its segment's provenance.
pub(super) unsafe fn give_remote(core: *const SlabCore, slot: NonNull<u8>) {
    // SAFETY: the handle's slot is not taken back yet, which keeps the core alive (I3) until the
    // push below succeeds, or the reference is given up.
    let remote = unsafe { &(*core).remote };
    // Acquire: who sees the list closed sees `refs` as it was set before.
    let mut first = remote.load(Ordering::Acquire);
    while first != closed() {
        // SAFETY: a slot is at least 16 bytes, aligned to 16, and dead: room for the link (I4).
        unsafe { slot.cast::<*mut u8>().write(first) };
        // Release: the owner sees the link, and that the value is gone.
        let order = (Ordering::Release, Ordering::Acquire);
        match remote.compare_exchange_weak(first, slot.as_ptr(), order.0, order.1) {
            Ok(_) => return,
            Err(now) => first = now,
        }
    }
    // SAFETY: the handle's reference, given up once; the slot is not touched any more.
    unsafe { release_core(core, 1) };
}

/// Ends a core with its slab: at once, or with the last owned handle.
///
/// # Safety
/// The slab's core, not used through it any more; no `Slot` and no keyed value is left.
pub(super) unsafe fn close_core(core: *const SlabCore) {
    // SAFETY: the slab's core lives until it is closed (I3).
    let (owned, refs, remote) = unsafe { (&(*core).owned, &(*core).refs, &(*core).remote) };
    if owned.get() == 0 {
        // SAFETY: every owned handle was taken back, so nobody else knows the core.
        unsafe { end_core(core) };
        return;
    }
    // Whoever sees the list closed gives up a reference; those in the list are given up here.
    refs.store(owned.get() + 1, Ordering::Relaxed);
    // AcqRel: Release `refs`, Acquire the links and what the handles did.
    let mut at = remote.swap(closed(), Ordering::AcqRel);
    let mut count = 1;
    while let Some(slot) = NonNull::new(at) {
        // SAFETY: a dead slot on the list starts with the link to the next (I4).
        at = unsafe { slot.cast::<*mut u8>().read() };
        count += 1;
    }
    // SAFETY: the references of who closes and of the handles in the list.
    unsafe { release_core(core, count) };
}

/// Gives up references of a closed core (I3); the last one ends it.
///
/// # Safety
/// The caller held the references, and uses neither the core nor, if it was the last, any slot.
unsafe fn release_core(core: *const SlabCore, count: usize) {
    // AcqRel: Release what we did to the core, Acquire what the others did before the last one
    // takes it apart.
    // SAFETY: the references given up keep the core alive until here.
    if unsafe { (*core).refs.fetch_sub(count, Ordering::AcqRel) } == count {
        // SAFETY: the last reference.
        unsafe { end_core(core) };
    }
}

/// # Safety
/// Nobody else uses the core or its slots, nor will.
unsafe fn end_core(core: *const SlabCore) {
    let core = core.cast_mut();
    // SAFETY: the caller's promise; it was allocated in `new_core` with this layout.
    unsafe {
        (*core).set.remove_all();
        core.drop_in_place();
        alloc::alloc::dealloc(core.cast(), Layout::new::<SlabCore>());
    }
}
