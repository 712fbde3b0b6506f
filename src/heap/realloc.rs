//! Growing and shrinking. In place where the class stays the same, or where a span's units can be
//! adjusted; else allocate, copy, free.
//!
//! The class at the free is computed from the layout alone, so a slot must never serve a layout of
//! another class: "it would fit" is not enough.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::base::geometry::SPAN_BYTES_MAX;
use crate::base::size_class::{CLASS_BYTES, class_of};
use crate::base::trap::misuse;
use crate::heap::{Heap, large};
use crate::slab::bin::message;
use crate::slab::raw::{SlabHead, slot_at};

/// The block as it is, where both layouts are of one class; any slot of a class is aligned for all
/// of its layouts. The pointer is issued anew: the one given may be narrowed to the old length (by
/// a Box, say).
///
/// # Safety
/// `ptr` is a live block that `old` fits.
#[inline(always)]
pub(super) unsafe fn same_slot(
    ptr: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Option<NonNull<[u8]>> {
    let class = class_of(new.size(), new.align())?;
    let same = class_of(old.size(), old.align()) == Some(class);
    if !same || old.size() == 0 || new.size() == 0 {
        return None;
    }
    // SAFETY: a live slot's address.
    let slot = unsafe { slot_at(ptr.addr().get()) };
    Some(NonNull::slice_from_raw_parts(
        slot,
        CLASS_BYTES[class] as usize,
    ))
}

/// Clears a block behind its first `from` bytes.
///
/// # Safety
/// It is the caller's, and at least that long.
pub(super) unsafe fn clear_from(block: NonNull<[u8]>, from: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        block
            .cast::<u8>()
            .add(from)
            .write_bytes(0, block.len() - from);
    }
}

impl Heap {
    /// Makes a block longer, keeping its first `old.size()` bytes. On success the old pointer is
    /// dead (also when the new one equals it).
    ///
    /// # Errors
    /// The limit that was hit; the block is as before then.
    ///
    /// # Safety
    /// `ptr` is a live block of this heap that `old` fits, and `new.size() >= old.size()`.
    #[inline]
    pub unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() >= old.size());
        // SAFETY: the caller's promise.
        unsafe { self.resize(ptr, old, new) }
    }

    /// As [`Heap::grow`], and the bytes from `old.size()` on read as zero.
    ///
    /// # Errors
    /// The limit that was hit; the block is as before then.
    ///
    /// # Safety
    /// As for [`Heap::grow`].
    pub unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() >= old.size());
        // SAFETY: the caller's promise.
        let block = unsafe { self.resize(ptr, old, new) }?;
        // SAFETY: the block is at least `old.size()` long, and ours.
        unsafe { clear_from(block, old.size()) };
        Ok(block)
    }

    /// Makes a block shorter, keeping its first `new.size()` bytes. On success the old pointer is
    /// dead (also when the new one equals it).
    ///
    /// # Errors
    /// The limit that was hit while moving to a smaller class; the block is as before then.
    ///
    /// # Safety
    /// `ptr` is a live block of this heap that `old` fits, and `new.size() <= old.size()`.
    #[inline]
    pub unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() <= old.size());
        // SAFETY: the caller's promise.
        unsafe { self.resize(ptr, old, new) }
    }

    /// # Safety
    /// `ptr` is a live block of this heap that `old` fits.
    #[inline]
    unsafe fn resize(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        if let Some(block) = unsafe { same_slot(ptr, old, new) } {
            return Ok(block);
        }
        // SAFETY: the same.
        unsafe { self.resize_slow(ptr, old, new) }
    }

    /// # Safety
    /// As for `resize`.
    #[cold]
    #[inline(never)]
    unsafe fn resize_slow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        if let Some(block) = unsafe { self.resize_span(ptr, old, new) } {
            return Ok(block);
        }
        let block = match self.allocate_moved(new) {
            Ok(block) => block,
            // What was kept went back before that was refused: there may be room in place now.
            // SAFETY: the caller's promise.
            Err(error) => return unsafe { self.resize_span(ptr, old, new) }.ok_or(error),
        };
        let count = old.size().min(new.size());
        // SAFETY: both blocks are live, distinct and at least `count` bytes long; the old one is
        // not used afterwards.
        unsafe {
            block.cast::<u8>().copy_from_nonoverlapping(ptr, count);
            self.deallocate(ptr, old);
        }
        Ok(block)
    }

    /// Adjusts the units of a large block in place, where both layouts are large.
    ///
    /// # Safety
    /// As for `resize`.
    unsafe fn resize_span(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<[u8]>> {
        let is_large = |layout: Layout| {
            layout.size() != 0 && class_of(layout.size(), layout.align()).is_none()
        };
        let address = ptr.addr().get();
        if !is_large(old) || !is_large(new) || address % new.align() != 0 {
            return None;
        }
        // Before anything is changed: a freed block may be kept, and would be handed out twice.
        if let Err(error) = self.check_live_large(address, old) {
            misuse(message(error), address);
        }
        let old_bytes = large::rounded(old).ok()?;
        let new_bytes = large::rounded(new).ok()?;
        if old_bytes > SPAN_BYTES_MAX && new_bytes > SPAN_BYTES_MAX {
            // SAFETY: the caller's promise.
            let start = unsafe { self.resize_huge(address, old_bytes, (new_bytes, new.align())) }?;
            return Some(NonNull::slice_from_raw_parts(start, new_bytes));
        }
        if new_bytes != old_bytes {
            if old_bytes > SPAN_BYTES_MAX || new_bytes > SPAN_BYTES_MAX {
                return None;
            }
            let block = SlabHead::of_owner(address, self.set.owner())?;
            // SAFETY: the caller's promise: a live large block of this heap.
            unsafe { self.resize_units(block, ptr, old_bytes, new_bytes) }?;
        }
        // Issued anew, as above. SAFETY: a live block's address.
        let start = unsafe { slot_at(address) };
        Some(NonNull::slice_from_raw_parts(start, new_bytes))
    }

    /// # Safety
    /// `block` is the record of this heap's live large block at `ptr`, `old_bytes` long.
    unsafe fn resize_units(
        &self,
        block: &SlabHead,
        ptr: NonNull<u8>,
        old_bytes: usize,
        new_bytes: usize,
    ) -> Option<()> {
        let growth = new_bytes.saturating_sub(old_bytes);
        self.set.charge(growth).ok()?;
        // SAFETY: the caller's promise.
        if !unsafe { large::resize_units(self.set.pages(), block, ptr, old_bytes, new_bytes) } {
            self.set.discharge(growth);
            return None;
        }
        self.set.discharge(old_bytes.saturating_sub(new_bytes));
        Some(())
    }
}
