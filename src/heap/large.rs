//! Blocks beyond the classes: spans up to 1 MiB, mappings of their own above, and layouts of size
//! 0.
//!
//! A large block is a slab of one slot, so that the same record says whose it is. Huge blocks are
//! linked through their records.
//! I1: every huge block of the heap is in its list, and its entry names the heap as its owner.
//!
//! Subject: what no class serves; `single.rs` knows classes and nothing of spans.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::base::error::{AllocError, FreeError};
use crate::base::geometry::{SPAN_BYTES_MAX, UNIT_BYTES};
use crate::base::size_class::class_of;
use crate::base::trap::misuse;
use crate::heap::resize::Resize;
use crate::heap::single::Heap;
use crate::pages::huge_record::{huge_bytes, huge_links};
use crate::pages::registry::huge_table;
use crate::pages::{Pages, Room, span_bytes};
use crate::slab::bin::message;
use crate::slab::raw::SlabHead;

/// Where the links of a huge block's list lie.
const NEXT: usize = 0;
const PREV: usize = 1;

/// Bytes of the span that serves `layout`, which no class does.
pub(crate) fn rounded(layout: Layout) -> Result<usize, AllocError> {
    span_bytes(layout.size().max(UNIT_BYTES), layout.align())
}

/// Adjusts the units of a large block in place, from `old_bytes` to `new_bytes`, both lengths of a
/// span that is cut from a segment. `false` if there is no room behind it; nothing changed then.
///
/// # Safety
/// `block` is the record of the caller's live large block at `start`, `old_bytes` long.
pub(super) unsafe fn resize_units(
    pages: &'static Pages,
    block: &SlabHead,
    start: NonNull<u8>,
    (old_bytes, new_bytes): (usize, usize),
) -> bool {
    if new_bytes > old_bytes {
        // SAFETY: the block's units are the caller's.
        if !unsafe { pages.grow_units(start, old_bytes, new_bytes) } {
            return false;
        }
        block.resize_large(new_bytes);
    } else {
        block.resize_large(new_bytes);
        // SAFETY: the tail is whole units of the block that the caller gives up.
        unsafe { pages.release_span(start.add(new_bytes), old_bytes - new_bytes) };
    }
    true
}

/// A dangling pointer for a layout of size 0.
pub(super) fn dangling(layout: Layout) -> NonNull<[u8]> {
    let ptr = core::ptr::without_provenance_mut(layout.align());
    NonNull::slice_from_raw_parts(NonNull::new(ptr).unwrap_or(NonNull::dangling()), 0)
}

impl Heap {
    #[cold]
    #[inline(never)]
    pub(super) fn allocate_other(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate_span(layout, Room::Fit)
            .map(|(block, _)| block)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn allocate_other_zeroed(
        &self,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let (block, zeroed) = self.allocate_span(layout, Room::Fit)?;
        if !zeroed {
            // SAFETY: the block is ours and this long.
            unsafe { block.cast::<u8>().write_bytes(0, block.len()) };
        }
        Ok(block)
    }

    /// A block of its own and whether it reads as zero.
    fn allocate_span(
        &self,
        layout: Layout,
        room: Room,
    ) -> Result<(NonNull<[u8]>, bool), AllocError> {
        if layout.size() == 0 {
            return Ok((dangling(layout), true));
        }
        self.ensure_owner();
        let bytes = rounded(layout)?;
        if bytes > SPAN_BYTES_MAX {
            let span = self.insist(|| self.set.take_span(bytes, layout.align()))?;
            let address = span.ptr.addr().get();
            huge_table::set_owner(address, self.set.owner());
            // SAFETY: just taken.
            unsafe { self.link_huge(address) };
            return Ok((NonNull::slice_from_raw_parts(span.ptr, bytes), span.zeroed));
        }
        let add = || self.set.add_large(bytes, layout.align(), room);
        let (block, zeroed) = match self.set.take_spare(bytes, layout.align()) {
            Some(block) => (block, false),
            None => self.insist(add)?,
        };
        Ok((NonNull::slice_from_raw_parts(block.base(), bytes), zeroed))
    }

    /// # Safety
    /// As for [`Heap::deallocate`].
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn deallocate_other(&self, ptr: NonNull<u8>, layout: Layout) {
        if layout.size() == 0 {
            return;
        }
        let address = ptr.addr().get();
        if let Err(error) = self.check_live_large(address, layout) {
            misuse(message(error), address);
        }
        match SlabHead::of_owner(address, self.set.owner()) {
            // SAFETY: checked to be a live block of this heap that this layout belongs to; the
            // caller does not use it any more.
            Some(block) => unsafe { self.set.remove_large(block) },
            // SAFETY: as above.
            None => unsafe { self.release_huge(address) },
        }
    }

    /// Whether a live large or huge block of this heap with this layout's length starts there.
    pub(super) fn check_live_large(&self, address: usize, layout: Layout) -> Result<(), FreeError> {
        let bytes = rounded(layout).map_err(|_| FreeError::WrongClass)?;
        self.check_live_span(address, bytes)
    }

    fn check_live_span(&self, address: usize, bytes: usize) -> Result<(), FreeError> {
        self.ensure_owner();
        let Some(block) = SlabHead::of_owner(address, self.set.owner()) else {
            // The record of another's block may go away while we look, so it is not read.
            if !huge_table::is_owned_by(address, self.set.owner()) {
                return Err(FreeError::Foreign);
            }
            // SAFETY: registered and ours, so it stays while we look.
            return match unsafe { huge_bytes(address) } == bytes {
                true => Ok(()),
                false => Err(FreeError::WrongClass),
            };
        };
        if block.index_of(address).is_none() {
            Err(FreeError::NotASlot)
        } else if !block.is_large() || block.span_bytes() != bytes {
            Err(FreeError::WrongClass)
        } else if block.free_count() != 0 {
            Err(FreeError::DoubleFree)
        } else {
            Ok(())
        }
    }

    /// Puts a huge block in front of the list.
    ///
    /// # Safety
    /// It is ours and in no list.
    unsafe fn link_huge(&self, address: usize) {
        let next = self.huge.get();
        // SAFETY: a block of ours, and the first of our list (I1).
        unsafe {
            *huge_links(address) = [next, 0];
            if next != 0 {
                (*huge_links(next))[PREV] = address;
            }
        }
        self.huge.set(address);
    }

    /// Takes a huge block out of the list.
    ///
    /// # Safety
    /// It is in the list.
    unsafe fn unlink_huge(&self, address: usize) {
        // SAFETY: neighbours in the list are blocks of ours (I1).
        unsafe {
            let [next, prev] = *huge_links(address);
            match prev {
                0 => self.huge.set(next),
                _ => (*huge_links(prev))[NEXT] = next,
            }
            if next != 0 {
                (*huge_links(next))[PREV] = prev;
            }
        }
    }

    /// # Safety
    /// A huge block of this heap starts at `address`, and nobody uses it.
    unsafe fn release_huge(&self, address: usize) {
        // SAFETY: the caller's promise; huge blocks of ours are in the list (I1).
        let bytes = unsafe {
            self.unlink_huge(address);
            huge_bytes(address)
        };
        self.set.discharge(bytes);
        let ptr = core::ptr::with_exposed_provenance_mut(address);
        if let Some(ptr) = NonNull::new(ptr) {
            // SAFETY: a span of this many bytes that nobody uses.
            unsafe { self.set.pages().release_span(ptr, bytes) };
        }
    }

    pub(super) fn release_all_huge(&self) {
        while self.huge.get() != 0 {
            // SAFETY: the heap is being dropped, so nobody uses its blocks.
            unsafe { self.release_huge(self.huge.get()) };
        }
    }

    /// Bytes of huge blocks.
    pub(super) fn huge_total(&self) -> usize {
        let mut total = 0;
        let mut at = self.huge.get();
        while at != 0 {
            // SAFETY: the list holds blocks of ours (I1).
            unsafe {
                total += huge_bytes(at);
                at = (*huge_links(at))[NEXT];
            }
        }
        total
    }
}

impl Resize for Heap {
    type Refused = AllocError;

    fn allocate_moved(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        match class_of(layout.size(), layout.align()) {
            Some(_) => self.allocate(layout),
            None => self
                .allocate_span(layout, Room::Grow)
                .map(|(block, _)| block),
        }
    }

    unsafe fn free(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.deallocate(ptr, layout) };
    }

    unsafe fn live_span(&self, address: usize, bytes: usize) -> Option<&'static SlabHead> {
        if let Err(error) = self.check_live_span(address, bytes) {
            misuse(message(error), address);
        }
        SlabHead::of_owner(address, self.set.owner())
    }

    unsafe fn resize_units(
        &self,
        block: &SlabHead,
        ptr: NonNull<u8>,
        bytes: (usize, usize),
    ) -> bool {
        let growth = bytes.1.saturating_sub(bytes.0);
        if self.set.charge(growth).is_err() {
            return false;
        }
        // SAFETY: the caller's promise.
        let resized = unsafe { resize_units(self.set.pages(), block, ptr, bytes) };
        self.set.discharge(match resized {
            true => bytes.0.saturating_sub(bytes.1),
            false => growth,
        });
        resized
    }

    unsafe fn resize_huge(
        &self,
        address: usize,
        bytes: (usize, usize),
        align: usize,
    ) -> Option<NonNull<u8>> {
        let growth = bytes.1.saturating_sub(bytes.0);
        self.set.charge(growth).ok()?;
        // SAFETY: the caller's promise; it is relinked wherever it is then.
        let resized = unsafe {
            self.unlink_huge(address);
            let resized = self.set.pages().resize_huge(address, bytes.1, align);
            self.link_huge(resized.map_or(address, |start| start.addr().get()));
            resized
        };
        self.set.discharge(match resized {
            Some(_) => bytes.0.saturating_sub(bytes.1),
            None => growth,
        });
        resized
    }
}
