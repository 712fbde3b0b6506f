//! [`Flagstone`] as an allocator handle: the methods of the `Allocator` traits, with the contracts
//! that [`Heap`](crate::Heap) has, and the resizing that `realloc` uses too.
//!
//! The class at the free is computed from the layout alone, so a block is resized in place only
//! where the class stays the same, or where a span's units can be adjusted (as in `realloc.rs`).

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::base::config::Config;
use crate::base::error::{AllocError, FreeError};
use crate::base::geometry::SPAN_BYTES_MAX;
use crate::base::size_class::{CLASS_BYTES, class_of};
use crate::base::trap::misuse;
use crate::heap::global::{
    Flagstone, allocate_class, allocate_span, count_spans, free_slow, free_span, last_error,
    live_large,
};
use crate::heap::large::{dangling, resize_units, rounded};
use crate::heap::process::current;
use crate::heap::realloc::{clear_from, same_slot};
use crate::heap::thread::HUGE_OWNER;
use crate::pages::{Pages, Room, registry};
use crate::slab::bin::message;
use crate::slab::raw::slot_at;

impl Flagstone {
    /// Allocates `layout.size()` bytes at `layout.align()`. The slice returned may be longer; every
    /// layout with this alignment and a size from the one asked for up to that length frees it.
    /// Zero-sized layouts succeed without memory.
    ///
    /// # Errors
    /// The limit that was hit. Nothing is changed then.
    ///
    /// ```
    /// # use flagstone::Flagstone;
    /// # use std::alloc::Layout;
    /// let layout = Layout::new::<[u8; 48]>();
    /// let block = Flagstone::new().allocate(layout)?;
    /// assert!(block.len() >= 48);
    /// // SAFETY: allocated above with this layout, and not used any more.
    /// unsafe { Flagstone::new().deallocate(block.cast(), layout) };
    /// # Ok::<(), flagstone::AllocError>(())
    /// ```
    #[inline]
    pub fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        allocate(layout, Room::Fit, self.choices).map_or_else(refusal, |(block, _)| Ok(block))
    }

    /// As [`Flagstone::allocate`], and every byte of the slice reads as zero. Pages that were never
    /// used are not cleared again.
    ///
    /// # Errors
    /// The limit that was hit.
    #[inline]
    pub fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let Some((block, zeroed)) = allocate(layout, Room::Fit, self.choices) else {
            return refusal();
        };
        if !zeroed {
            // SAFETY: the block is ours and this long.
            unsafe { block.cast::<u8>().write_bytes(0, block.len()) };
        }
        Ok(block)
    }

    /// Frees a block, on any thread. Misuse that shows (see [`Check`](crate::Check)) prints one
    /// line and aborts.
    ///
    /// # Safety
    /// `ptr` was allocated by a `Flagstone` with a layout of the same alignment whose block is at
    /// least `layout.size()` bytes long and of the same class (a fitting layout), and is not used
    /// any more.
    #[inline]
    pub unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        match class_of(layout.size(), layout.align()) {
            _ if layout.size() == 0 => {}
            Some(class) => {
                let address = ptr.addr().get();
                if !current().bin(class).push(address) {
                    free_slow(class, address, self.choices);
                }
            }
            // SAFETY: the caller's promise.
            None => unsafe { free_span(ptr, layout) },
        }
    }

    /// Makes a block longer, keeping its first `old.size()` bytes. On success the old pointer is
    /// dead (also when the new one equals it).
    ///
    /// # Errors
    /// The limit that was hit; the block is as before then.
    ///
    /// # Safety
    /// `ptr` is a live block of a `Flagstone` that `old` fits, and `new.size() >= old.size()`.
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

    /// As [`Flagstone::grow`], and the bytes from `old.size()` on read as zero.
    ///
    /// # Errors
    /// The limit that was hit; the block is as before then.
    ///
    /// # Safety
    /// As for [`Flagstone::grow`].
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
    /// `ptr` is a live block of a `Flagstone` that `old` fits, and `new.size() <= old.size()`.
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
    /// `ptr` is a live block of a `Flagstone` that `old` fits.
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
        unsafe { resize_slow(ptr, old, new, self.choices) }.map_or_else(refusal, Ok)
    }
}

/// A block of any layout, and whether it reads as zero.
#[inline]
fn allocate(layout: Layout, room: Room, choices: Config) -> Option<(NonNull<[u8]>, bool)> {
    let (start, zeroed, bytes) = match class_of(layout.size(), layout.align()) {
        _ if layout.size() == 0 => return Some((dangling(layout), true)),
        Some(class) => {
            let (start, zeroed) = allocate_class(class, choices)?;
            (start, zeroed, CLASS_BYTES[class] as usize)
        }
        None => {
            let (start, zeroed) = allocate_span(layout, room, choices)?;
            (start, zeroed, rounded(layout).ok()?)
        }
    };
    Some((NonNull::slice_from_raw_parts(start, bytes), zeroed))
}

/// The error that was just left for `last_error`: the paths of the global allocator return null.
#[cold]
fn refusal<T>() -> Result<T, AllocError> {
    Err(last_error().unwrap_or(AllocError::LayoutTooLarge))
}

/// Resizes where the class changes: a span in place if that can be, else by moving. `None` when
/// memory is refused; the block is as before then.
///
/// # Safety
/// A live block that `old` fits starts at `ptr`; it is the caller's, and dead on success.
#[cold]
#[inline(never)]
pub(super) unsafe fn resize_slow(
    ptr: NonNull<u8>,
    old: Layout,
    new: Layout,
    choices: Config,
) -> Option<NonNull<[u8]>> {
    // SAFETY: the caller's promise.
    if let Some(block) = unsafe { resize_span(ptr, old, new) } {
        return Some(block);
    }
    let Some((block, _)) = allocate(new, Room::Grow, choices) else {
        // What was kept went back before that was refused: there may be room in place now.
        // SAFETY: the caller's promise.
        return unsafe { resize_span(ptr, old, new) };
    };
    let count = old.size().min(new.size());
    // SAFETY: both blocks are live, distinct and at least `count` bytes long; the old one is not
    // used afterwards.
    unsafe {
        block.cast::<u8>().copy_from_nonoverlapping(ptr, count);
        Flagstone { choices }.deallocate(ptr, old);
    }
    Some(block)
}

/// Adjusts the units of a large block in place, or the mapping of a huge one, where no class serves
/// either layout.
///
/// # Safety
/// As for `resize_slow`.
unsafe fn resize_span(ptr: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<[u8]>> {
    let is_span =
        |layout: Layout| layout.size() != 0 && class_of(layout.size(), layout.align()).is_none();
    let address = ptr.addr().get();
    if !is_span(old) || !is_span(new) || address % new.align() != 0 {
        return None;
    }
    let (old_bytes, new_bytes) = (rounded(old).ok()?, rounded(new).ok()?);
    if old_bytes > SPAN_BYTES_MAX {
        if !registry::is_huge_of(address, HUGE_OWNER) {
            misuse(message(FreeError::Foreign), address);
        }
        if new_bytes <= SPAN_BYTES_MAX {
            return None;
        }
        // SAFETY: the caller's promise, and a huge block.
        let start = unsafe { Pages::global().resize_huge(address, new_bytes, new.align()) }?;
        count_spans(old_bytes, new_bytes);
        return Some(NonNull::slice_from_raw_parts(start, new_bytes));
    }
    // SAFETY: the caller's promise.
    let Some(block) = (unsafe { live_large(address, old_bytes) }) else {
        misuse(message(FreeError::Foreign), address)
    };
    if old_bytes != new_bytes {
        if new_bytes > SPAN_BYTES_MAX {
            return None;
        }
        // SAFETY: the caller's promise.
        let resized = unsafe { resize_units(Pages::global(), block, ptr, old_bytes, new_bytes) };
        if !resized {
            return None;
        }
        count_spans(old_bytes, new_bytes);
    }
    // Issued anew, as above. SAFETY: a live block's address.
    let start = unsafe { slot_at(address) };
    Some(NonNull::slice_from_raw_parts(start, new_bytes))
}
