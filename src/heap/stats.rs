//! What a heap holds, counted when asked: the fast path counts nothing.

use core::fmt;

use crate::heap::bins::STACK_ROOM_BYTES;
use crate::heap::check::Quarantine;
use crate::heap::single::Heap;
use crate::pages::segment::RECORD_BYTES;
use crate::slab::owner::SlabOwner;
use crate::slab::raw::SlabHead;

/// Figures of a [`Heap`], in bytes, in jemalloc's words:
/// `allocated <= active <= resident <= mapped`.
///
/// ```
/// # use flagstone::Heap;
/// let heap = Heap::new();
/// let block = heap.allocate(std::alloc::Layout::new::<[u8; 100]>())?;
/// assert_eq!(heap.stats().allocated, 112); // the slot's bytes
/// # Ok::<(), flagstone::AllocError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeapStats {
    /// Bytes of live blocks, each counted with the whole of its slot or span.
    pub allocated: usize,
    /// Bytes of the spans that the heap holds, live or not.
    pub active: usize,
    /// An upper bound of what the heap keeps in memory: `active` and `metadata`.
    pub resident: usize,
    /// Bytes of address space reserved by the heap's pages, for all their owners.
    pub mapped: usize,
    /// Bytes that the heap's pages keep for reuse, for all their owners.
    pub retained: usize,
    /// Bytes of bitmaps, records and stacks.
    pub metadata: usize,
}

impl Heap {
    /// The heap's figures now. Walks its slabs: a few nanoseconds each.
    pub fn stats(&self) -> HeapStats {
        let room = self.bins.taken_room().map_or(0, |_| STACK_ROOM_BYTES);
        let mut held = self.huge_total();
        let mut metadata = room;
        for slab in self.set.iter() {
            held += (slab.slot_count() - slab.free_count()) * slab.slot_bytes();
            metadata += RECORD_BYTES + size_of_val(slab.words());
        }
        let waiting = self.quarantine().into_iter().flat_map(Quarantine::slots);
        let slot_bytes = |slot| self.set.find(slot).map_or(0, SlabHead::slot_bytes);
        let cached = self.bins.cached_bytes() + waiting.map(slot_bytes).sum::<usize>();
        let active = self.set.active() - room;
        let pages = self.set.pages().stats();
        let resident = active + metadata;
        HeapStats {
            // A double free that was not seen yet makes what is cached too long.
            allocated: held.saturating_sub(cached),
            active,
            resident,
            mapped: pages.mapped.max(resident),
            retained: pages.retained,
            metadata,
        }
    }
}

impl fmt::Display for HeapStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "allocated {} active {} resident {} mapped {} retained {} metadata {} (bytes)",
            self.allocated, self.active, self.resident, self.mapped, self.retained, self.metadata
        )
    }
}

impl fmt::Debug for Heap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.stats();
        f.debug_struct("Heap")
            .field("check", &self.check)
            .field("stats", &stats)
            .finish()
    }
}
