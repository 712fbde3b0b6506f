//! Whoever slabs belong to, as a bin sees it: one heap, or one thread's share of the process's
//! heap.

use core::ptr::NonNull;

use crate::base::error::{AllocError, FreeError};
use crate::slab::raw::SlabHead;
use crate::slab::shape::SlotShape;

/// What a bin needs of whoever its slabs belong to.
pub(crate) trait SlabOwner {
    /// A new slab of `bytes` bytes, in no partial list.
    fn add_slab(&self, shape: &SlotShape, bytes: usize) -> Result<&'static SlabHead, AllocError>;

    /// Gives a slab back to the pages.
    ///
    /// # Safety
    /// It is this owner's, in no partial list, and nobody uses its slots.
    unsafe fn remove(&self, slab: &SlabHead);

    /// Returns pages of a slab in use to the system, and counts them no more. `false` where they
    /// stay.
    ///
    /// # Safety
    /// They are whole pages of one of this owner's slabs, counted, and nobody uses what is there.
    unsafe fn give_up(&self, start: NonNull<u8>, bytes: usize) -> bool;

    /// Counts pages again that were given up.
    fn take_back(&self, bytes: usize) -> Result<(), AllocError>;

    /// Whether stacks may get longer by so many bytes of slots.
    fn may_cache(&self, _bytes: usize) -> bool {
        true
    }

    /// Whether a slab whose slots are all back may be removed now.
    fn may_remove(&self, _slab: &SlabHead) -> bool {
        true
    }

    /// The slab that `address` lies in, if its slots may be freed here at all.
    fn find(&self, address: usize) -> Option<&'static SlabHead>;

    /// Finds the slot that starts at `address`, if it may be freed here and has this shape.
    #[inline(always)]
    fn locate(
        &self,
        address: usize,
        shape: &SlotShape,
    ) -> Result<(&'static SlabHead, usize), FreeError> {
        let slab = self.find(address).ok_or(FreeError::Foreign)?;
        // No slab has slots as long as a large block.
        if slab.slot_bytes() != shape.slot_bytes as usize {
            return Err(match slab.index_of(address) {
                Some(_) => FreeError::WrongClass,
                None => FreeError::NotASlot,
            });
        }
        let index = slab.index_in(address, shape).ok_or(FreeError::NotASlot)?;
        Ok((slab, index))
    }

    /// Whether slot `index` of a slab whose slots may be freed here is free already, as far as its
    /// words say.
    fn holds(&self, slab: &SlabHead, index: usize) -> bool {
        slab.holds(index)
    }

    /// Whether the slab, whose slots may be freed here, is this owner's.
    fn owns(&self, _slab: &SlabHead) -> bool {
        true
    }

    /// Whether freed slots of this slab go to the bitmap here; if not, they were sent to whoever
    /// they belong to.
    fn keeps(&self, _slab: &'static SlabHead, _word_index: usize, _mask: u64) -> bool {
        true
    }

    /// Moves what other threads freed into the slab's bitmap; returns the number of slots.
    fn collect(&self, _slab: &SlabHead) -> usize {
        0
    }

    /// The last free slot was taken, and the slab is in no partial list. `false` if it must go back
    /// there.
    fn used_up(&self, _slab: &SlabHead) -> bool {
        true
    }
}
