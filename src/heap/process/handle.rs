//! [`Flagstone`] as an allocator handle: the methods of the `Allocator` traits, with the contracts
//! that [`Heap`](crate::Heap) has.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::base::size_class::{CLASS_BYTES, class_of};
use crate::heap::large::{dangling, resize_units, rounded};
use crate::heap::process::blocks::{Refused, allocate_class, free_slow, refuse};
use crate::heap::process::global::Flagstone;
use crate::heap::process::heaps::current;
use crate::heap::process::spans::{allocate_span, count_spans, free_span, live_span};
use crate::heap::resize::{Resize, clear_from, resize_slow, same_slot};
use crate::pages::{Pages, Room};
use crate::slab::raw::SlabHead;

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
        let (block, _) = self
            .allocate_in(layout, Room::Fit)
            .map_err(Refused::reason)?;
        Ok(block)
    }

    /// As [`Flagstone::allocate`], and every byte of the slice reads as zero. Pages that were never
    /// used are not cleared again.
    ///
    /// # Errors
    /// The limit that was hit.
    #[inline]
    pub fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let (block, zeroed) = self
            .allocate_in(layout, Room::Fit)
            .map_err(Refused::reason)?;
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
                if !current().bins.bin(class).push(address) {
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

    /// A block of any layout, and whether it reads as zero.
    #[inline(always)]
    fn allocate_in(&self, layout: Layout, room: Room) -> Result<(NonNull<[u8]>, bool), Refused> {
        let ((start, zeroed), bytes) = match class_of(layout.size(), layout.align()) {
            _ if layout.size() == 0 => return Ok((dangling(layout), true)),
            Some(class) => (
                allocate_class(class, self.choices)?,
                CLASS_BYTES[class] as usize,
            ),
            None => (
                allocate_span(layout, room, self.choices)?,
                rounded(layout).map_err(refuse)?,
            ),
        };
        Ok((NonNull::slice_from_raw_parts(start, bytes), zeroed))
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
        unsafe {
            match same_slot(ptr, old, new) {
                Some(block) => Ok(block),
                None => resize_slow(self, ptr, old, new).map_err(Refused::reason),
            }
        }
    }
}

impl Resize for Flagstone {
    type Refused = Refused;

    fn allocate_moved(&self, layout: Layout) -> Result<NonNull<[u8]>, Refused> {
        self.allocate_in(layout, Room::Grow).map(|(block, _)| block)
    }

    unsafe fn free(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.deallocate(ptr, layout) };
    }

    unsafe fn live_span(&self, address: usize, bytes: usize) -> Option<&'static SlabHead> {
        // SAFETY: the caller's promise.
        unsafe { live_span(address, bytes) }
    }

    unsafe fn resize_units(
        &self,
        block: &SlabHead,
        ptr: NonNull<u8>,
        bytes: (usize, usize),
    ) -> bool {
        // SAFETY: the caller's promise.
        let resized = unsafe { resize_units(Pages::global(), block, ptr, bytes) };
        if resized {
            count_spans(bytes.0, bytes.1);
        }
        resized
    }

    unsafe fn resize_huge(
        &self,
        address: usize,
        bytes: (usize, usize),
        align: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        let start = unsafe { Pages::global().resize_huge(address, bytes.1, align) }?;
        count_spans(bytes.0, bytes.1);
        Some(start)
    }
}
