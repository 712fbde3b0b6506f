//! The figures of the process's heap, added up when asked.

use core::fmt;

use crate::base::sync::Ordering;
use crate::heap::process::heaps::{current, heap_count, taken_bytes};
use crate::heap::process::spans::SPANS;
use crate::pages::Pages;

/// Figures of the process's pages; made by [`stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// An upper bound of the bytes of live blocks, each counted with the whole of its slot or span.
    /// What the calling thread and ended threads cache is not in it, what other running threads
    /// cache in their stacks and cached words is. (With [`Check::Full`](crate::Check::Full)
    /// nobody caches, and what waits in the quarantine is not in it.) While others allocate and
    /// free, their counts are of slightly different moments.
    pub allocated: usize,
    /// Bytes of spans that have an owner: slabs, large blocks, arenas' chunks.
    pub active: usize,
    /// An upper bound of what is resident, in bytes.
    pub resident: usize,
    /// Bytes of address space reserved.
    pub mapped: usize,
    /// Bytes kept for reuse without an owner.
    pub retained: usize,
    /// Bytes that the calling thread caches in stacks and cached words.
    pub cached_here: usize,
    /// Thread heaps there are: as many as threads were allocating at one time.
    pub thread_heaps: usize,
}

/// The process's figures now.
///
/// ```
/// use flagstone::{Flagstone, stats};
/// let before = stats().allocated;
/// let block = allocator_api2::boxed::Box::new_in([0u8; 100], Flagstone::new());
/// assert_eq!(stats().allocated - before, 112); // the slot's bytes
/// # drop(block);
/// ```
pub fn stats() -> Stats {
    let pages = Pages::global().stats();
    let cached_here = current().bins.cached_bytes();
    let taken = taken_bytes().wrapping_add(SPANS.load(Ordering::Relaxed));
    Stats {
        // Counts that others change meanwhile may add up to less than nothing.
        allocated: (taken.wrapping_sub(cached_here) as isize).max(0) as usize,
        active: pages.active,
        resident: pages.charged,
        mapped: pages.mapped,
        retained: pages.retained,
        cached_here,
        thread_heaps: heap_count(),
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("allocated at most", self.allocated),
            ("active", self.active),
            ("resident at most", self.resident),
            ("mapped", self.mapped),
            ("retained", self.retained),
            ("cached by this thread", self.cached_here),
        ];
        for (name, bytes) in rows {
            writeln!(f, "{name:<22} {bytes:>16} bytes")?;
        }
        write!(f, "{:<22} {:>16}", "thread heaps", self.thread_heaps)
    }
}
