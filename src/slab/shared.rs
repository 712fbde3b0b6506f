//! What all handles of a [`Slab<T>`](crate::Slab) share.
//!
//! A handle is the slot's address and nothing else: the slot's page leads to its slab's record, and
//! the record names the core (`owner`). The core is a block of its own, so the `Slab` may move.
//!
//! * I1: bin, set and keys of a core are used by the thread that has the `Slab` (`!Sync`), or, when
//!   the last reference goes, by whoever drops it.
//! * I2: a slot is in exactly one of: the bin's keeping, a `Slot`, an `OwnedSlot`, the key table,
//!   the remote list.
//! * I3: `refs` counts the `Slab` and every `OwnedSlot`; the core lives while it is not zero.
//! * I4: the remote list is a stack linked through dead slots: anyone pushes, only the owner takes,
//!   and takes all, so that no entry can come back under a pusher (no ABA).

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ptr::{NonNull, null_mut};

use crate::base::error::AllocError;
use crate::base::sync::{AtomicPtr, AtomicUsize, Ordering};
use crate::pages::Pages;
use crate::slab::bin::Bin;
use crate::slab::keys::KeyTable;
use crate::slab::raw::{SlotShape, slot_at};
use crate::slab::set::SlabSet;

/// Entries of a core's magazine: half a kilobyte, so that ten thousand slabs of one value each stay
/// small; frees beyond it go to the bitmaps 32 at a time.
pub(super) const MAGAZINE: usize = 64;

/// What all handles of a slab share. `T` appears in none of it: values are the handles' concern.
pub(super) struct Core {
    pub(super) bin: Bin,
    pub(super) set: SlabSet,
    pub(super) keys: UnsafeCell<KeyTable>,
    /// Slots freed by owned handles (I4).
    pub(super) remote: AtomicPtr<u8>,
    pub(super) refs: AtomicUsize,
    magazine: UnsafeCell<[usize; MAGAZINE]>,
}

#[cold]
#[inline(never)]
pub(super) fn give_slow(core: &Core, shape: &SlotShape, slot: usize) {
    core.bin
        .push_slow(&core.set, shape, core.magazine.get().cast(), slot);
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

pub(super) fn new_core(pages: Option<&'static Pages>) -> Result<*mut Core, AllocError> {
    let layout = Layout::new::<Core>();
    // SAFETY: the layout's size is not zero.
    let block = unsafe { alloc::alloc::alloc(layout) }.cast::<Core>();
    let Some(core) = NonNull::new(block) else {
        return Err(AllocError::SourceExhausted {
            bytes: layout.size(),
        });
    };
    let set = SlabSet::new(pages, usize::MAX);
    set.set_owner(block.expose_provenance());
    // SAFETY: just allocated for a `Core`.
    unsafe {
        core.write(Core {
            bin: Bin::new(),
            set,
            keys: UnsafeCell::new(KeyTable::new()),
            remote: AtomicPtr::new(null_mut()),
            refs: AtomicUsize::new(1),
            magazine: UnsafeCell::new([0; MAGAZINE]),
        });
    }
    Ok(core.as_ptr())
}

/// Gives up one reference (I3); the last one ends the core.
///
/// # Safety
/// The caller held the reference, and uses neither it nor, if it was the last, any slot.
pub(super) unsafe fn release_core(core: *mut Core) {
    // AcqRel: Release what we did to the core, Acquire what the others did before the last one
    // takes it apart.
    // SAFETY: the reference given up keeps the core alive until here.
    if unsafe { (*core).refs.fetch_sub(1, Ordering::AcqRel) } == 1 {
        // SAFETY: the last reference: nobody uses the core or its slots. It was allocated in
        // `new_core` with this layout.
        unsafe {
            (*core).set.remove_all();
            core.drop_in_place();
            alloc::alloc::dealloc(core.cast(), Layout::new::<Core>());
        }
    }
}
