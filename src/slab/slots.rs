//! Slots of one layout for one owner: what [`Slab<T>`](crate::Slab) and [`Pool<T>`](crate::Pool)
//! put their values in.
//!
//! I1: used by one thread at a time; owners that share it hold a lock.
//! I2: slots are uninitialised memory; who puts values there drops them.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::pages::Pages;
use crate::slab::bin::Bin;
use crate::slab::raw::slot_at;
use crate::slab::set::SlabSet;
use crate::slab::shape::SlotShape;

/// See the module's header.
#[derive(Debug)]
pub(crate) struct SlotSource {
    bin: Bin,
    set: SlabSet,
    shape: SlotShape,
}

// SAFETY: the slabs belong to this source alone and are reached through it by one thread at a time
// (I1); nothing in it depends on the thread.
unsafe impl Send for SlotSource {}

impl SlotSource {
    /// Slots of `layout`. Takes nothing before the first `take`.
    ///
    /// # Panics
    /// (At compile time in a constant) for a layout above 1 MiB or an alignment above 64 KiB.
    pub(crate) const fn new(pages: Option<&'static Pages>, layout: Layout) -> SlotSource {
        let shape = SlotShape::new(layout.size(), layout.align());
        SlotSource {
            bin: Bin::new(),
            set: SlabSet::new(pages, usize::MAX),
            shape,
        }
    }

    /// What [`owner_of`] returns for slots taken from now on.
    pub(crate) fn set_owner(&mut self, owner: *const ()) {
        self.set.set_owner(owner.expose_provenance());
    }

    /// A slot of at least the layout's size, aligned as it says, uninitialised.
    ///
    /// # Errors
    /// The limit that was hit; nothing is taken then.
    #[inline]
    pub(crate) fn take(&mut self) -> Result<NonNull<u8>, AllocError> {
        let address = match self.bin.pop_word(self.shape.slot_bytes as usize) {
            Some(address) => address,
            None => self.bin.refill(&self.set, &self.shape)?,
        };
        // SAFETY: the bin hands out slots.
        Ok(unsafe { slot_at(address) })
    }

    /// # Safety
    /// `slot` came from `take` of this source and was not given back since; nobody uses it.
    pub(crate) unsafe fn give(&mut self, slot: NonNull<u8>) {
        self.bin.give(&self.set, &self.shape, &[slot.addr().get()]);
    }

    /// Gives several slots back; neighbours go together.
    ///
    /// # Safety
    /// As [`give`](Self::give), for each of these addresses.
    pub(crate) unsafe fn give_all(&mut self, slots: &[usize]) {
        self.bin.give(&self.set, &self.shape, slots);
    }

    /// Gives empty slabs back to the pages; returns their bytes.
    pub(crate) fn trim(&mut self) -> usize {
        let before = self.set.active();
        self.bin.trim(&self.set, &self.shape);
        self.bin.punch(&self.set);
        before - self.set.active()
    }
}

impl Drop for SlotSource {
    fn drop(&mut self) {
        // SAFETY: the owner is going away, so nobody uses its slots.
        unsafe { self.set.remove_all() };
    }
}
