//! [`Pages`] itself: what its parts share, and the sums that they keep.
//!
//! Owns the source, the limit, the table of segments and the figures. Its parts stand in files of
//! their own, each over those it uses: `free.rs` (which units and pieces are free),
//! `huge_record.rs`, `purge.rs`, `budget.rs`, then `grow.rs`, `spans.rs`, `huge.rs`, and `face.rs`,
//! which the rest of the crate calls.
//!
//! I1: `charged` counts every unit that may hold memory (in use, or dirty and not purged) and every
//! huge block; a unit is charged before it is handed out and discharged after it was purged.

use core::fmt;
use core::ptr::NonNull;

use crate::base::sync::{AtomicBool, AtomicUsize, Ordering};
use crate::base::underway::Underway;
use crate::pages::huge_cache::HugeCache;
#[cfg(not(feature = "std"))]
use crate::pages::system::source::HeapSource;
#[cfg(feature = "std")]
use crate::pages::system::source::MmapSource;
use crate::pages::system::source::PageSource;
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
    // there what every take and release writes, which stands behind the table's 8 KiB.
    pub(super) source: &'static dyn PageSource,
    pub(super) pressure: AtomicUsize,
    /// `usize::MAX` for none.
    pub(super) limit: AtomicUsize,
    /// Advise fresh segments towards huge pages.
    pub(super) huge_pages: AtomicBool,
    pub(super) table: Table,
    /// Bytes that may hold memory (I1).
    charged: AtomicUsize,
    /// Bytes of address space reserved.
    pub(super) mapped: AtomicUsize,
    /// Bytes of spans and huge blocks that have an owner.
    pub(super) active: AtomicUsize,
    pub(super) purge_clock: PurgeClock,
    /// Purges: what they hold is charged, and in no search.
    pub(super) purges: Underway,
    pub(super) huge_cache: HugeCache,
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

/// Half of this would purge what a request per second uses; twice would double what lies free.
const DELAY_MS: usize = 1000;

/// When what was last aged.
#[derive(Debug)]
pub(crate) struct PurgeClock {
    pub(super) releases: AtomicUsize,
    /// When the next aging is due, in milliseconds of the clock.
    pub(super) due_ms: AtomicUsize,
    /// The line of the table that the aging under way comes to next; `usize::MAX` while none is.
    pub(super) next_line: AtomicUsize,
    /// `usize::MAX` for never.
    pub(super) delay_ms: AtomicUsize,
}

impl PurgeClock {
    pub(crate) const fn new() -> PurgeClock {
        PurgeClock {
            releases: AtomicUsize::new(0),
            due_ms: AtomicUsize::new(0),
            next_line: AtomicUsize::new(usize::MAX),
            delay_ms: AtomicUsize::new(DELAY_MS),
        }
    }
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
            purge_clock: PurgeClock::new(),
            purges: Underway::new(),
            huge_cache: HugeCache::new(),
        }
    }

    /// The pages of the process, over [`MmapSource`](crate::pages::MmapSource) (without `std`:
    /// [`HeapSource`](crate::pages::HeapSource)).
    pub fn global() -> &'static Pages {
        &GLOBAL
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

    pub(super) fn try_charge(&self, bytes: usize) -> bool {
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

    /// Charges what is about to be discharged, whatever the limit.
    pub(super) fn charge_again(&self, bytes: usize) {
        self.charged.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn discharge(&self, bytes: usize) {
        self.charged.fetch_sub(bytes, Ordering::Relaxed);
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
