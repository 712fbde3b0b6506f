//! "Is this ours?", answered before any head is read.
//!
//! One bit per 4 MiB of address space says whether a segment of any [`Pages`](crate::pages::Pages)
//! lies there; a table holds the starts of huge blocks, which have a mapping of their own. Masking
//! an arbitrary pointer and reading what lies there would read foreign or unmapped memory.
//!
//! The bits are a static array: the system commits its pages as they are touched (one page covers
//! 128 GiB), it needs no set-up and cannot fail.

use crate::base::geometry::{PAGE_BYTES, SEGMENT_BYTES};
use crate::base::sync::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

/// Bits of an address that user space can have: 47 on x86-64, 48 on other 64-bit machines.
const ADDRESS_BITS: u32 = if usize::BITS == 32 {
    32
} else if cfg!(target_arch = "x86_64") {
    47
} else {
    48
};
const SEGMENT_COUNT: usize = ((1u64 << ADDRESS_BITS) / SEGMENT_BYTES as u64) as usize;

static SEGMENTS: [AtomicU64; SEGMENT_COUNT / 64] =
    [const { AtomicU64::new(0) }; SEGMENT_COUNT / 64];

/// Whether the map covers `base`; a segment elsewhere must not be used.
pub(crate) fn is_in_reach(base: usize) -> bool {
    base / SEGMENT_BYTES < SEGMENT_COUNT
}

/// Registers the segment at `base`, which is in reach.
pub(crate) fn insert_segment(base: usize) {
    let number = base / SEGMENT_BYTES;
    // Release: pairs with the Acquire in `is_segment`, so that who sees the bit sees the head.
    SEGMENTS[number / 64].fetch_or(1 << (number % 64), Ordering::Release);
}

/// Whether `address` lies in a segment.
pub(crate) fn is_segment(address: usize) -> bool {
    let number = address / SEGMENT_BYTES;
    // Acquire: pairs with `insert_segment`.
    SEGMENTS
        .get(number / 64)
        .is_some_and(|word| word.load(Ordering::Acquire) >> (number % 64) & 1 == 1)
}

/// Entries of one block of the huge table. 255 of two words, and two words, make a block one page.
const HUGE_ENTRIES: usize = 255;

/// An entry's address while its block moves: no block's, since those are whole pages.
const MOVING: usize = 1;

/// A block of the table of huge blocks' starts; blocks are chained and never freed. It is searched
/// from the start: even with the 65,000 mappings that Linux allows a process, that takes less than
/// the first touch of a block's pages.
#[repr(C)]
pub(crate) struct HugeTable {
    next: AtomicPtr<HugeTable>,
    /// No entry at or beyond this index was ever used: bounds a scan.
    used: AtomicUsize,
    entries: [HugeEntry; HUGE_ENTRIES],
}

/// A huge block, as far as others than its owner may look.
struct HugeEntry {
    /// Its address; 0 for none.
    start: AtomicUsize,
    /// The number of the heap that owns it; 0 for none.
    owner: AtomicUsize,
}

const _: () = assert!(usize::BITS != 64 || size_of::<HugeTable>() == 4096);

static HUGE: HugeTable = HugeTable {
    next: AtomicPtr::new(core::ptr::null_mut()),
    used: AtomicUsize::new(0),
    entries: [const {
        HugeEntry {
            start: AtomicUsize::new(0),
            owner: AtomicUsize::new(0),
        }
    }; HUGE_ENTRIES],
};

/// Registers a huge block. `more` makes a further zeroed table block when all are full; `false`
/// when it cannot.
pub(crate) fn insert_huge(start: usize, more: impl Fn() -> Option<&'static HugeTable>) -> bool {
    let mut table = &HUGE;
    loop {
        for (index, entry) in table.entries.iter().enumerate() {
            let place = &entry.start;
            let free = place.load(Ordering::Relaxed) == 0;
            // Release: pairs with the Acquire in `find_huge`. Acquire: pairs with `remove_huge`.
            let order = (Ordering::AcqRel, Ordering::Relaxed);
            if free && place.compare_exchange(0, start, order.0, order.1).is_ok() {
                table.used.fetch_max(index + 1, Ordering::Release);
                return true;
            }
        }
        let next = table.next.load(Ordering::Acquire);
        // SAFETY: a non-null `next` is a table block, which is never freed.
        if let Some(found) = unsafe { next.as_ref() } {
            table = found;
            continue;
        }
        let Some(fresh) = more() else { return false };
        let pointer = core::ptr::from_ref(fresh).cast_mut();
        // Whoever loses the race appends its block behind the winner's next time round; here it
        // simply walks on, and its own block stays unused (4 KiB, once per race).
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let _ = table.next.compare_exchange(next, pointer, order.0, order.1);
    }
}

/// Says whose the huge block at `start` is.
pub(crate) fn set_huge_owner(start: usize, owner: usize) {
    if let Some(entry) = find_huge(start) {
        // Relaxed: only the owner's own question is answered with yes.
        entry.owner.store(owner, Ordering::Relaxed);
    }
}

/// Whether a live huge block of `owner`, which is not 0, starts at `start`, any address.
pub(crate) fn is_huge_of(start: usize, owner: usize) -> bool {
    owner != 0 && find_huge(start).is_some_and(|entry| entry.owner.load(Ordering::Relaxed) == owner)
}

/// Forgets a huge block. `false` if it was not registered (freed already, or never ours): of two
/// racing frees one sees `false`.
pub(crate) fn remove_huge(start: usize) -> bool {
    find_huge(start).is_some_and(|entry| {
        // First, while the entry is still ours; the next user finds it empty.
        entry.owner.store(0, Ordering::Relaxed);
        // Release: pairs with the Acquire in `insert_huge`.
        let order = (Ordering::AcqRel, Ordering::Relaxed);
        let removed = entry.start.compare_exchange(start, 0, order.0, order.1);
        removed.is_ok()
    })
}

/// Enters a huge block that moves under its new address. `step` moves it (or not) and returns where
/// it is then.
pub(crate) fn rename_huge(start: usize, step: impl FnOnce() -> usize) -> usize {
    let entry = find_huge(start);
    // As soon as it moved another mapping may be made where it was, and be entered with that
    // address; so this entry must not have it any more.
    if let Some(entry) = entry {
        entry.start.store(MOVING, Ordering::Relaxed);
    }
    let now = step();
    if let Some(entry) = entry {
        // Release: as in `insert_huge`.
        entry.start.store(now, Ordering::Release);
    }
    now
}

fn find_huge(start: usize) -> Option<&'static HugeEntry> {
    // Nor may an address that is no block's meet an empty entry, or one whose block moves.
    if start == 0 || start % PAGE_BYTES != 0 {
        return None;
    }
    let mut table = &HUGE;
    loop {
        let used = table.used.load(Ordering::Acquire);
        let found = table.entries[..used]
            .iter()
            .find(|entry| entry.start.load(Ordering::Acquire) == start);
        if found.is_some() {
            return found;
        }
        // SAFETY: a non-null `next` is a table block, which is never freed.
        table = unsafe { table.next.load(Ordering::Acquire).as_ref() }?;
    }
}
