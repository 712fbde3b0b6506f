//! Growing and shrinking, for every heap. In place where the class stays the same, or where a
//! span's units can be adjusted; else allocate, copy, free.
//!
//! The class at the free is computed from the layout alone, so a slot must never serve a layout of
//! another class: "it would fit" is not enough.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::base::geometry::SPAN_BYTES_MAX;
use crate::base::size_class::{CLASS_BYTES, class_of};
use crate::heap::large::rounded;
use crate::heap::single::Heap;
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

/// Whose blocks are resized: what moving one, or adjusting its span, needs of them.
pub(super) trait Resize {
    /// Says that memory was refused: one word at most where that is what a caller of `resize_slow`
    /// looks at.
    type Refused;

    /// A block to move one into that did not fit where it was any more.
    fn allocate_moved(&self, layout: Layout) -> Result<NonNull<[u8]>, Self::Refused>;

    /// # Safety
    /// A live block that the layout fits starts at `ptr`, and nobody uses it.
    unsafe fn free(&self, ptr: NonNull<u8>, layout: Layout);

    /// The record of the large block of `bytes` bytes at `address`, `None` for a huge one. Aborts
    /// if there is no such block, or if it is free: a freed one may be kept, and would be handed
    /// out twice.
    ///
    /// # Safety
    /// `address` is that of a live block of the caller's, as far as the caller knows.
    unsafe fn live_span(&self, address: usize, bytes: usize) -> Option<&'static SlabHead>;

    /// Adjusts the units of a large block in place. `false` if it is as before.
    ///
    /// # Safety
    /// `block` is the record of the caller's live large block at `ptr`, `bytes.0` long.
    unsafe fn resize_units(
        &self,
        block: &SlabHead,
        ptr: NonNull<u8>,
        bytes: (usize, usize),
    ) -> bool;

    /// Makes a huge block longer or shorter, and moves it if need be. Returns where it starts now;
    /// `None` if it is as before.
    ///
    /// # Safety
    /// A live huge block, `bytes.0` long and aligned to `align`, starts at `address`; nobody uses
    /// pointers into it.
    unsafe fn resize_huge(
        &self,
        address: usize,
        bytes: (usize, usize),
        align: usize,
    ) -> Option<NonNull<u8>>;
}

/// Resizes where the class changes: a span in place if that can be, else by moving.
///
/// # Safety
/// A live block that `old` fits starts at `ptr`; it is the caller's, and dead on success.
#[cold]
#[inline(never)]
pub(super) unsafe fn resize_slow<O: Resize>(
    owner: &O,
    ptr: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<[u8]>, O::Refused> {
    // SAFETY: the caller's promise.
    if let Some(block) = unsafe { resize_span(owner, ptr, old, new) } {
        return Ok(block);
    }
    let block = match owner.allocate_moved(new) {
        Ok(block) => block,
        // What was kept went back before that was refused: there may be room in place now.
        // SAFETY: the caller's promise.
        Err(error) => return unsafe { resize_span(owner, ptr, old, new) }.ok_or(error),
    };
    let count = old.size().min(new.size());
    // SAFETY: both blocks are live, distinct and at least `count` bytes long; the old one is not
    // used afterwards.
    unsafe {
        block.cast::<u8>().copy_from_nonoverlapping(ptr, count);
        owner.free(ptr, old);
    }
    Ok(block)
}

/// Adjusts the units of a large block in place, or the mapping of a huge one, where no class serves
/// either layout.
///
/// # Safety
/// As for `resize_slow`.
unsafe fn resize_span(
    owner: &impl Resize,
    ptr: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Option<NonNull<[u8]>> {
    let is_span =
        |layout: Layout| layout.size() != 0 && class_of(layout.size(), layout.align()).is_none();
    let address = ptr.addr().get();
    if !is_span(old) || !is_span(new) || address % new.align() != 0 {
        return None;
    }
    let bytes = (rounded(old).ok()?, rounded(new).ok()?);
    // SAFETY: the caller's promise.
    let start = match unsafe { owner.live_span(address, bytes.0) } {
        None if bytes.1 <= SPAN_BYTES_MAX => return None,
        // SAFETY: the caller's promise: a live huge block.
        None => unsafe { owner.resize_huge(address, bytes, new.align()) }?,
        Some(_) if bytes.1 > SPAN_BYTES_MAX => return None,
        // SAFETY: the caller's promise: a live large block.
        Some(block) if bytes.0 != bytes.1 && !unsafe { owner.resize_units(block, ptr, bytes) } => {
            return None;
        }
        // Issued anew, as in `same_slot`. SAFETY: a live block's address.
        Some(_) => unsafe { slot_at(address) },
    };
    Some(NonNull::slice_from_raw_parts(start, bytes.1))
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
        unsafe {
            match same_slot(ptr, old, new) {
                Some(block) => Ok(block),
                None => resize_slow(self, ptr, old, new),
            }
        }
    }
}
