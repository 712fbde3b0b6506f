//! What the rest of the crate asks of [`Pages`]: spans, settings, a trim.
//!
//! Owns the choice how a request is served, a function of its size and alignment alone. The work is
//! done by the files below (`state.rs` names them).

use core::ptr::NonNull;
use core::time::Duration;

use crate::base::error::AllocError;
use crate::base::geometry::{
    PAGE_BYTES, PIECE_BYTES_MAX, SEGMENT_BYTES, SPAN_BYTES_MAX, UNIT_BYTES, align_up,
};
use crate::base::sync::Ordering;
use crate::pages::segment::SegmentHead;
use crate::pages::state::{Pages, Span};

/// Where a span of units is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Where it fits first.
    Fit,
    /// Where it could grow to the longest span, if there is such a place: a block that has grown
    /// once and had to move will probably grow again.
    Grow,
}

/// How a request is served. A function of the size and alignment alone, and the rounded size of
/// each kind lies in a range of its own, so that a release finds its way back from the bytes.
enum Kind {
    /// So many pages of a split unit: 1, 2 or 4.
    Piece(u32),
    /// So many units, starting at a multiple of so many units in the segment.
    Units(u32, u32),
    /// So many bytes in a mapping of their own.
    Huge(usize),
}

fn kind_of(bytes: usize, align: usize) -> Result<Kind, AllocError> {
    // Room for the alignment and the record of a huge block: no mapping is asked for that the
    // system could not describe.
    if bytes > isize::MAX as usize - 2 * SEGMENT_BYTES || align > SEGMENT_BYTES {
        return Err(AllocError::LayoutTooLarge);
    }
    Ok(if bytes <= PIECE_BYTES_MAX && align <= PIECE_BYTES_MAX {
        let pages = bytes.max(align).div_ceil(PAGE_BYTES).next_power_of_two();
        Kind::Piece(pages as u32)
    } else if bytes <= SPAN_BYTES_MAX && align <= SPAN_BYTES_MAX {
        let units = bytes.max(UNIT_BYTES).div_ceil(UNIT_BYTES);
        Kind::Units(units as u32, align.div_ceil(UNIT_BYTES) as u32)
    } else {
        // Over-aligned small requests are rounded up into the range of this kind.
        let rounded = align_up(bytes.max(SPAN_BYTES_MAX + 1), PAGE_BYTES);
        Kind::Huge(rounded.ok_or(AllocError::LayoutTooLarge)?)
    })
}

/// The bytes of the span that a request gets: what `take_span` rounds to.
pub(crate) fn span_bytes(bytes: usize, align: usize) -> Result<usize, AllocError> {
    Ok(match kind_of(bytes, align)? {
        Kind::Piece(pages) => pages as usize * PAGE_BYTES,
        Kind::Units(count, _) => count as usize * UNIT_BYTES,
        Kind::Huge(bytes) => bytes,
    })
}

impl Pages {
    /// Limits the bytes that may hold memory at a time, or lifts the limit. The budget is kept here
    /// because a container is killed when it touches a page too many, not when it maps one. What is
    /// in use already stays; the next request above the limit is refused with
    /// [`AllocError::PagesLimit`], after whoever asks gave back what it only cached. What other
    /// owners cache they give back on their own slow paths, once 90 % of the limit is passed.
    pub fn set_limit(&self, limit_bytes: Option<usize>) {
        self.limit
            .store(limit_bytes.unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// Limits the bytes unless a limit was set already.
    #[cfg(all(unix, feature = "std"))]
    pub(crate) fn set_first_limit(&self, limit_bytes: usize) {
        let order = (Ordering::Relaxed, Ordering::Relaxed);
        // Only the first counts, so whether this was it does not matter.
        let _ = self
            .limit
            .compare_exchange(usize::MAX, limit_bytes, order.0, order.1);
    }

    /// Asks for transparent huge pages in segments published from now on. Off by default: the first
    /// touch of 2 MiB is about twenty times cheaper with them, but a mostly empty segment then
    /// holds 2 MiB where it would hold a few pages.
    pub fn set_huge_pages(&self, wanted: bool) {
        self.huge_pages.store(wanted, Ordering::Relaxed);
    }

    /// How long released pages stay for reuse before they are returned to the source, in whole
    /// milliseconds; `None` for ever. One second unless set. Whoever comes by after that returns
    /// them, some MiB at a time: releases of spans, refills and flushes of heaps, ticks of pools. A
    /// process that does nothing keeps what it has: see [`Pages::trim`].
    pub fn set_purge_delay(&self, delay: Option<Duration>) {
        let ms = delay.map(|delay| usize::try_from(delay.as_millis()).unwrap_or(usize::MAX));
        self.purge_clock
            .delay_ms
            .store(ms.unwrap_or(usize::MAX), Ordering::Relaxed);
        // The next round began to wait for the delay before.
        self.purge_clock.due_ms.store(0, Ordering::Relaxed);
    }

    /// Returns every unused page to the source now. Returns the bytes given back.
    ///
    /// Memory cached inside heaps, arenas and pools is not reached: trim those first.
    pub fn trim(&self) -> usize {
        let bytes = self.purge_all();
        self.purge_heads();
        bytes
    }

    /// In a forked child, where the threads of other purges are gone.
    #[cfg(all(unix, feature = "std"))]
    pub(crate) fn end_purges(&self) {
        self.purges.end_all();
    }

    /// Takes a span of at least `bytes` bytes at `align` (up to 4 MiB). Rounds up to 4, 8 or 16
    /// KiB, then to multiples of 64 KiB up to 1 MiB, then to multiples of 4 KiB.
    ///
    /// # Errors
    /// The limit that was hit; nothing is taken then.
    pub(crate) fn take_span(&'static self, bytes: usize, align: usize) -> Result<Span, AllocError> {
        self.take_span_in(bytes, align, Room::Fit)
    }

    /// The same, with a choice of the place.
    pub(crate) fn take_span_in(
        &'static self,
        bytes: usize,
        align: usize,
        room: Room,
    ) -> Result<Span, AllocError> {
        let span = match kind_of(bytes, align)? {
            Kind::Piece(pages) => self.take_piece(pages),
            Kind::Units(count, align) if room == Room::Grow => self.take_roomy(count, align),
            Kind::Units(count, align) => self.take_units(count, align),
            Kind::Huge(bytes) => self.take_huge(bytes, align),
        }?;
        debug_assert!(span.bytes >= bytes && span.ptr.addr().get() % align == 0);
        self.active.fetch_add(span.bytes, Ordering::Relaxed);
        Ok(span)
    }

    /// Returns pages of a span in use to the source, and discharges them. `false` where they stay.
    ///
    /// # Safety
    /// They are whole pages of a span of units that the caller owns, charged, and nobody uses what
    /// lies there.
    pub(crate) unsafe fn give_up(&self, start: NonNull<u8>, bytes: usize) -> bool {
        // SAFETY: a span lies in a registered segment.
        let head = unsafe { SegmentHead::of(start.addr().get()) };
        let given = self.purge_range(head, start.addr().get() % SEGMENT_BYTES, bytes);
        if given {
            self.active.fetch_sub(bytes, Ordering::Relaxed);
            self.discharge(bytes);
        }
        given
    }

    /// Charges pages again that were given up, before they are used.
    ///
    /// # Errors
    /// The limit that was hit; nothing changes then.
    pub(crate) fn take_back(&self, bytes: usize) -> Result<(), AllocError> {
        self.charge(bytes)?;
        self.active.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// As [`Pages::release_span`], of a span of which `holes` bytes were given up. What is left of
    /// it goes the same way at once, so that the budget counts all of a free unit or nothing.
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    pub(crate) unsafe fn release_holed(
        &'static self,
        ptr: NonNull<u8>,
        bytes: usize,
        holes: usize,
    ) {
        if holes == 0 {
            // SAFETY: the caller's promise.
            return unsafe { self.release_span(ptr, bytes) };
        }
        self.active.fetch_sub(bytes - holes, Ordering::Relaxed);
        // SAFETY: the caller's promise; only spans of units have holes.
        unsafe { self.purge_holed(ptr, bytes, holes) };
    }

    /// Takes a span back. Its pages stay resident until the purge delay is over, until
    /// [`Pages::trim`], or until the budget needs them; of huge blocks only a few are kept.
    ///
    /// # Safety
    /// `ptr` and `bytes` are those of a span taken here, or of what `grow_units` and
    /// `shrink_units` made of it, and nobody uses it any more.
    pub(crate) unsafe fn release_span(&'static self, ptr: NonNull<u8>, bytes: usize) {
        self.active.fetch_sub(bytes, Ordering::Relaxed);
        // SAFETY: the caller's promise; the kinds' sizes do not overlap (see `Kind`).
        unsafe {
            if bytes <= PIECE_BYTES_MAX {
                self.release_piece(ptr, bytes);
            } else if bytes <= SPAN_BYTES_MAX {
                self.release_units(ptr, bytes);
                self.purge_by_and_by();
            } else {
                self.release_huge(ptr);
                self.purge_by_and_by();
            }
        }
    }
}
