//! The page source: reservations, segments, spans, and one byte budget over all of them.
//!
//! [`Pages`] hands out *spans*: 4 to 16 KiB pieces of a shared unit, 64 KiB units up to 1 MiB, and
//! mappings of their own above. It knows nothing of slots, chunks or objects. Claims and releases
//! are compare-and-swap loops on one word; nobody waits for anybody (see `spans.rs`).
//!
//! I1: `charged` counts every unit that may hold memory (in use, or dirty and not purged) and every
//! huge block; a unit is charged before it is handed out and discharged after it was purged.

mod grow;
pub(crate) mod huge;
mod huge_cache;
#[cfg_attr(
    not(feature = "std"),
    allow(dead_code, reason = "nothing maps without std")
)]
mod map;
pub(crate) mod purge;
pub(crate) mod registry;
pub(crate) mod segment;
mod source;
mod spans;
mod table;

pub use source::HeapSource;
#[cfg(feature = "std")]
pub use source::MmapSource;
pub use source::{PageSource, Reservation};

use core::fmt;
use core::ptr::NonNull;
use core::time::Duration;

use crate::base::error::AllocError;
use crate::base::geometry::{
    PAGE_BYTES, PIECE_BYTES_MAX, SEGMENT_BYTES, SPAN_BYTES_MAX, UNIT_BYTES, align_up,
};
use crate::base::sync::{AtomicBool, AtomicUsize, Ordering};
use crate::pages::huge_cache::HugeCache;
use crate::pages::purge::Aging;
use crate::pages::table::Table;

/// One page source with its segments and its byte budget.
///
/// Every heap, arena, slab and pool takes its memory from a `Pages`: from [`Pages::global`] unless
/// it was built with another one. A `Pages` lives for ever, so that memory cannot outlive it.
///
/// ```
/// use flagstone::{Heap, pages::{HeapSource, Pages}};
/// static OWN: Pages = Pages::new(&HeapSource);
/// OWN.set_limit(Some(1 << 20));
/// let heap = Heap::builder().pages(&OWN).build()?;
/// assert!(heap.allocate(std::alloc::Layout::new::<[u8; 2 << 20]>()).is_err());
/// # Ok::<(), flagstone::AllocError>(())
/// ```
#[repr(C, align(128))]
pub struct Pages {
    // First what is read: every refill of every thread looks at the pressure, and must not meet
    // there what every claim and release writes, which stands behind the table's 8 KiB.
    source: &'static dyn PageSource,
    pressure: AtomicUsize,
    /// `usize::MAX` for none.
    limit: AtomicUsize,
    /// Advise fresh segments towards huge pages.
    huge_pages: AtomicBool,
    table: Table,
    /// Bytes that may hold memory (I1).
    charged: AtomicUsize,
    /// Bytes of address space reserved.
    mapped: AtomicUsize,
    /// Bytes of spans and huge blocks that have an owner.
    active: AtomicUsize,
    aging: Aging,
    huge_cache: HugeCache,
}

#[cfg(feature = "std")]
static GLOBAL: Pages = Pages::new(&MmapSource);
#[cfg(not(feature = "std"))]
static GLOBAL: Pages = Pages::new(&HeapSource);

/// A run of pages handed to one owner.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) ptr: NonNull<u8>,
    pub(crate) bytes: usize,
    /// Every byte reads as zero.
    pub(crate) zeroed: bool,
}

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

/// The bytes of the span that a request gets: what `claim_span` rounds to.
pub(crate) fn span_bytes(bytes: usize, align: usize) -> Result<usize, AllocError> {
    Ok(match kind_of(bytes, align)? {
        Kind::Piece(pages) => pages as usize * PAGE_BYTES,
        Kind::Units(count, _) => count as usize * UNIT_BYTES,
        Kind::Huge(bytes) => bytes,
    })
}

impl Pages {
    /// Pages over a source of your own. Reserves nothing until the first use.
    pub const fn new(source: &'static dyn PageSource) -> Pages {
        Pages {
            source,
            pressure: AtomicUsize::new(0),
            limit: AtomicUsize::new(usize::MAX),
            huge_pages: AtomicBool::new(false),
            table: Table::new(),
            charged: AtomicUsize::new(0),
            mapped: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            aging: Aging::new(),
            huge_cache: HugeCache::new(),
        }
    }

    /// The pages of the process, over [`MmapSource`] (without `std`: [`HeapSource`]).
    pub fn global() -> &'static Pages {
        &GLOBAL
    }

    /// Limits the bytes that may hold memory at a time, or lifts the limit. The budget is kept here
    /// because a container is killed when it touches a page too many, not when it maps one. What is
    /// in use already stays; the next claim above the limit is refused with
    /// [`AllocError::PagesLimit`].
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
    /// milliseconds; `None` for ever. One second unless set. Whoever releases a span after that
    /// returns them, so a process that does nothing keeps what it has: see [`Pages::trim`].
    pub fn set_purge_delay(&self, delay: Option<Duration>) {
        let ms = delay.map(|delay| usize::try_from(delay.as_millis()).unwrap_or(usize::MAX));
        self.aging
            .delay_ms
            .store(ms.unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// Returns every unused page to the source now. Returns the bytes given back.
    ///
    /// Memory cached inside heaps, arenas and pools is not reached: trim those first.
    pub fn trim(&self) -> usize {
        let bytes = self.purge_all();
        self.purge_heads();
        bytes
    }

    /// Figures in bytes. Each is exact, but they are read one after the other.
    pub fn stats(&self) -> PagesStats {
        let active = self.active.load(Ordering::Relaxed);
        let charged = self.charged.load(Ordering::Relaxed);
        PagesStats {
            active,
            retained: charged.saturating_sub(active),
            charged,
            mapped: self.mapped.load(Ordering::Relaxed),
        }
    }

    /// Claims a span of at least `bytes` bytes at `align` (up to 4 MiB). Rounds up to 4, 8 or 16
    /// KiB, then to multiples of 64 KiB up to 1 MiB, then to multiples of 4 KiB.
    ///
    /// # Errors
    /// The limit that was hit; nothing is claimed then.
    pub(crate) fn claim_span(
        &'static self,
        bytes: usize,
        align: usize,
    ) -> Result<Span, AllocError> {
        self.claim_span_in(bytes, align, Room::Fit)
    }

    /// The same, with a choice of the place.
    pub(crate) fn claim_span_in(
        &'static self,
        bytes: usize,
        align: usize,
        room: Room,
    ) -> Result<Span, AllocError> {
        let span = match kind_of(bytes, align)? {
            Kind::Piece(pages) => self.claim_piece(pages),
            Kind::Units(count, align) if room == Room::Grow => self.claim_roomy(count, align),
            Kind::Units(count, align) => self.claim_units(count, align),
            Kind::Huge(bytes) => self.claim_huge(bytes, align),
        }?;
        debug_assert!(span.bytes >= bytes && span.ptr.addr().get() % align == 0);
        self.active.fetch_add(span.bytes, Ordering::Relaxed);
        Ok(span)
    }

    /// Takes a span back. Its pages stay resident until the purge delay is over, until
    /// [`Pages::trim`], or until the budget needs them; of huge blocks only a few are kept.
    ///
    /// # Safety
    /// `ptr` and `bytes` are those of a span claimed here, or of what `grow_units` and
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

    /// Charges `bytes` against the limit (I1), purging unused pages if that makes room.
    fn charge(&self, bytes: usize) -> Result<(), AllocError> {
        if self.try_charge(bytes) {
            return Ok(());
        }
        // Room may also come from a purge of another thread, so what this one found says nothing.
        self.purge_all();
        if self.try_charge(bytes) {
            return Ok(());
        }
        Err(AllocError::PagesLimit {
            limit_bytes: self.limit.load(Ordering::Relaxed),
        })
    }

    fn try_charge(&self, bytes: usize) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let add = |charged: usize| charged.checked_add(bytes).filter(|sum| *sum <= limit);
        let order = (Ordering::Relaxed, Ordering::Relaxed);
        let Ok(before) = self.charged.fetch_update(order.0, order.1, add) else {
            return false;
        };
        let mark = limit / 10 * 9;
        if before <= mark && before + bytes > mark {
            self.pressure.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// Counts how often 90 % of the limit was passed. Owners look at it on their own slow paths and
    /// give back what they cache when it changed; nobody is called.
    pub(crate) fn pressure(&self) -> usize {
        self.pressure.load(Ordering::Relaxed)
    }

    fn discharge(&self, bytes: usize) {
        self.charged.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Reserves through the source, counts the mapping and exposes its provenance.
    fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let reservation = self.source.reserve(bytes).or_else(|| {
            // What is kept counts against the system's limits, too.
            (self.purge_huge() > 0).then(|| self.source.reserve(bytes))?
        })?;
        if reservation.bytes() < bytes {
            return None;
        }
        self.mapped
            .fetch_add(reservation.bytes(), Ordering::Relaxed);
        let _ = reservation.base().as_ptr().expose_provenance();
        Some(reservation)
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("source", &self.source)
            .field("stats", &self.stats())
            .finish()
    }
}

/// Figures of a [`Pages`], in bytes: `active <= charged <= mapped`.
///
/// ```
/// let stats = flagstone::pages::Pages::global().stats();
/// assert!(stats.active <= stats.charged && stats.charged <= stats.mapped);
/// println!("{stats}");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PagesStats {
    /// Bytes of spans that have an owner. Pieces count with their own size.
    pub active: usize,
    /// Bytes that are kept for reuse: charged but without an owner.
    pub retained: usize,
    /// Bytes that count against the limit: an upper bound of what is resident.
    pub charged: usize,
    /// Bytes of address space reserved.
    pub mapped: usize,
}

impl fmt::Display for PagesStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "active {} retained {} charged {} mapped {} (bytes)",
            self.active, self.retained, self.charged, self.mapped
        )
    }
}
