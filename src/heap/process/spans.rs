//! Large and huge blocks of the process's heap: any thread may free one, so they need no owner.
//!
//! Owns the count of their bytes. A thread's heap keeps a few large ones for its next.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::base::config::Config;
use crate::base::error::{AllocError, FreeError};
use crate::base::geometry::SPAN_BYTES_MAX;
use crate::base::sync::{AtomicUsize, Ordering};
use crate::base::trap::misuse;
use crate::heap::large::rounded;
use crate::heap::process::blocks::{Block, refuse};
use crate::heap::process::choices::decide;
use crate::heap::process::heaps::{insist, own};
use crate::heap::process::remote::HUGE_OWNER;
use crate::pages::huge_record::huge_bytes;
use crate::pages::registry::huge_table;
use crate::pages::{Pages, Room};
use crate::slab::bin::message;
use crate::slab::raw::SlabHead;

/// Bytes of the blocks that no class serves, less slots that were freed without a heap.
pub(super) static SPANS: AtomicUsize = AtomicUsize::new(0);

/// Counts a block that no class serves and whose length changes.
pub(super) fn count_spans(old_bytes: usize, new_bytes: usize) {
    // Relaxed: a figure.
    SPANS.fetch_add(new_bytes.wrapping_sub(old_bytes), Ordering::Relaxed);
}

#[cold]
#[inline(never)]
pub(super) fn allocate_span(layout: Layout, room: Room, choices: Config) -> Block {
    decide(choices);
    let take = |bytes| {
        let block = take_span(bytes, layout.align(), room)?;
        count_spans(0, bytes);
        Ok(block)
    };
    rounded(layout).and_then(take).map_err(refuse)
}

/// A block that the thread's heap keeps, or else from the pages, and whether it reads as zero.
fn take_span(bytes: usize, align: usize, room: Room) -> Result<(NonNull<u8>, bool), AllocError> {
    let heap = own();
    if let Some(block) = heap.and_then(|heap| heap.spares.take(bytes, align)) {
        return Ok((block.base(), false));
    }
    let span = insist(heap, || Pages::global().take_span_in(bytes, align, room))?;
    if bytes <= SPAN_BYTES_MAX {
        // SAFETY: just taken, and cut from a segment (it is not huge).
        unsafe { SlabHead::create_large(&span, 0, true) };
    } else {
        huge_table::set_owner(span.ptr.addr().get(), HUGE_OWNER);
    }
    Ok((span.ptr, span.zeroed))
}

/// # Safety
/// A live block of this layout, which no class serves, starts at `ptr`, and nobody uses it.
#[cold]
#[inline(never)]
pub(super) unsafe fn free_span(ptr: NonNull<u8>, layout: Layout) {
    let bytes = rounded(layout).unwrap_or(0);
    // SAFETY: the caller's promise.
    let large = unsafe { live_span(ptr.addr().get(), bytes) };
    count_spans(bytes, 0);
    match (large, own()) {
        // SAFETY: checked to be a block of this length; the caller gives it up.
        (Some(block), Some(heap)) => unsafe { heap.free_large(block) },
        (Some(block), None) => {
            let (ptr, bytes) = block.retire();
            // SAFETY: the block's span, which nobody uses any more.
            unsafe { Pages::global().release_span(ptr, bytes) };
        }
        // SAFETY: the block is registered, and the caller's.
        (None, _) => unsafe { Pages::global().release_span(ptr, bytes) },
    }
}

/// The record of the large block of `bytes` bytes that starts at `address`, `None` for a huge one.
/// Aborts where there is no such block, or it is free already.
///
/// # Safety
/// `address` is that of a live block of the caller's, as far as the caller knows.
pub(super) unsafe fn live_span(address: usize, bytes: usize) -> Option<&'static SlabHead> {
    // SAFETY: the caller's block pins its record.
    let block = unsafe { SlabHead::of(address) }.filter(|block| {
        let starts = block.base().addr().get() == address;
        block.is_shared() && block.is_large() && starts && block.span_bytes() == bytes
    });
    match block {
        Some(block) if block.free_count() != 0 => misuse(message(FreeError::DoubleFree), address),
        Some(_) => {}
        None if bytes <= SPAN_BYTES_MAX || !huge_table::is_owned_by(address, HUGE_OWNER) => {
            misuse(message(FreeError::Foreign), address)
        }
        // SAFETY: registered, and the caller's.
        None if unsafe { huge_bytes(address) } != bytes => {
            misuse(message(FreeError::WrongClass), address)
        }
        None => {}
    }
    block
}
