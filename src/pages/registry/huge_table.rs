//! Where huge blocks start, and whose they are: asked with any address, before a record is read.
//!
//! Tables of 256, 512, 1024 … entries, hashed by the block's page. An entry stands in one of the
//! eight places that its hash names, in whichever table has one free; the next table is made when
//! none has. So a look-up asks a few places of a few tables, however many blocks there are, and
//! needs no lock: a place changes by compare-and-swap, and entries do not move.
//!
//! * I1: a place holds 0, the start of a block, or `MOVING`. Whoever put a start there, or took it
//!   away, owns that block.
//! * I2: tables are never freed.
//! * I3: while an entry stands in a place that its hash does not name, `DISPLACED` counts it.

use core::ptr::{NonNull, null_mut};

use crate::base::geometry::PAGE_BYTES;
use crate::base::sync::{AtomicPtr, AtomicUsize, Ordering};

/// Entries of the first table: enough for most programs, in two pages that are touched only then.
const FIRST_ENTRIES: usize = 256;
/// More than a process may have mappings, many times over.
const TABLES: usize = 16;
/// Places that a hash names: two cache lines.
const PLACES: usize = 8;
/// An entry's start while its block moves: no block's, since those are whole pages.
const MOVING: usize = 1;

/// A huge block, as far as others than its owner may look. All zero when there is none.
struct Entry {
    start: AtomicUsize,
    /// The number of the heap that owns it; 0 for none.
    owner: AtomicUsize,
}

static FIRST: [Entry; FIRST_ENTRIES] = [const {
    Entry {
        start: AtomicUsize::new(0),
        owner: AtomicUsize::new(0),
    }
}; FIRST_ENTRIES];
/// The further tables, each twice as long as the one before.
static MORE: [AtomicPtr<Entry>; TABLES - 1] = [const { AtomicPtr::new(null_mut()) }; TABLES - 1];
/// Entries that only a look at all places finds (I3).
static DISPLACED: AtomicUsize = AtomicUsize::new(0);

/// Bytes of table `number`, which is not the first.
const fn table_bytes(number: usize) -> usize {
    (FIRST_ENTRIES << number) * size_of::<Entry>()
}

fn table(number: usize) -> Option<&'static [Entry]> {
    let Some(further) = number.checked_sub(1) else {
        return Some(&FIRST);
    };
    // Acquire: pairs with the Release in `make_table`.
    let entries = NonNull::new(MORE.get(further)?.load(Ordering::Acquire))?;
    // SAFETY: a table is this long, of valid atomics, and never freed (I2).
    Some(unsafe { core::slice::from_raw_parts(entries.as_ptr(), FIRST_ENTRIES << number) })
}

fn tables() -> impl Iterator<Item = &'static [Entry]> {
    (0..TABLES).map_while(table)
}

/// The places in a table that the hash of `start` names.
fn places(table: &'static [Entry], start: usize) -> &'static [Entry] {
    // Fibonacci hashing (Knuth 1973): the high bits of a product with 2^64 divided by the golden
    // ratio.
    let hash = ((start / PAGE_BYTES) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let groups = table.len() / PLACES;
    let group = (hash >> (64 - groups.trailing_zeros())) as usize;
    &table[group * PLACES..][..PLACES]
}

/// Enters a huge block. `zeroed` maps memory for a further table, aligned to a word; `false` when
/// it cannot.
pub(crate) fn insert(start: usize, zeroed: impl Fn(usize) -> Option<NonNull<u8>>) -> bool {
    for number in 0..TABLES {
        let Some(table) = table(number).or_else(|| make_table(number, &zeroed)) else {
            return false;
        };
        // Release: pairs with the Acquire in `find`. Acquire: pairs with the Release in `remove`.
        let order = (Ordering::AcqRel, Ordering::Relaxed);
        let take = |place: &AtomicUsize| {
            place.load(Ordering::Relaxed) == 0
                && place.compare_exchange(0, start, order.0, order.1).is_ok()
        };
        if places(table, start).iter().any(|entry| take(&entry.start)) {
            return true;
        }
    }
    false
}

#[cold]
fn make_table(
    number: usize,
    zeroed: impl Fn(usize) -> Option<NonNull<u8>>,
) -> Option<&'static [Entry]> {
    let fresh = zeroed(table_bytes(number))?.cast::<Entry>().as_ptr();
    // Release: publishes the zeroes. Whoever loses the race leaves its memory unused.
    let order = (Ordering::Release, Ordering::Relaxed);
    let _ = MORE[number - 1].compare_exchange(null_mut(), fresh, order.0, order.1);
    table(number)
}

/// Says whose the huge block at `start` is.
pub(crate) fn set_owner(start: usize, owner: usize) {
    if let Some((entry, _)) = find(start) {
        // Relaxed: only the owner's own question is answered with yes.
        entry.owner.store(owner, Ordering::Relaxed);
    }
}

/// Whether a live huge block of `owner`, which is not 0, starts at `start`, any address.
pub(crate) fn is_owned_by(start: usize, owner: usize) -> bool {
    owner != 0 && find(start).is_some_and(|(entry, _)| entry.owner.load(Ordering::Relaxed) == owner)
}

/// Forgets a huge block. `false` if it was not entered (freed already, or never ours): of two
/// racing frees one sees `false`.
pub(crate) fn remove(start: usize) -> bool {
    let Some((entry, is_displaced)) = find(start) else {
        return false;
    };
    // First, while the entry is still ours; the next user finds it empty.
    entry.owner.store(0, Ordering::Relaxed);
    // Release: pairs with the Acquire in `insert`.
    let order = (Ordering::AcqRel, Ordering::Relaxed);
    let removed = entry.start.compare_exchange(start, 0, order.0, order.1);
    if removed.is_ok() && is_displaced {
        DISPLACED.fetch_sub(1, Ordering::Relaxed);
    }
    removed.is_ok()
}

/// Enters a huge block that moves under its new address. `step` moves it (or not) and returns where
/// it is then; `zeroed` is as for [`insert`].
pub(crate) fn rename(
    start: usize,
    zeroed: impl Fn(usize) -> Option<NonNull<u8>>,
    step: impl FnOnce() -> usize,
) -> usize {
    let Some((entry, was_displaced)) = find(start) else {
        return step();
    };
    // As soon as it moved another mapping may be made where it was, and be entered with that
    // address; so this entry must not have it any more. The place stays taken: it is where the
    // block is entered if there is no other one.
    entry.start.store(MOVING, Ordering::Relaxed);
    let now = step();
    let has_moved = now != start;
    if has_moved && insert(now, zeroed) {
        set_owner(now, entry.owner.swap(0, Ordering::Relaxed));
        if was_displaced {
            DISPLACED.fetch_sub(1, Ordering::Relaxed);
        }
        // Release: as in `remove`.
        entry.start.store(0, Ordering::Release);
        return now;
    }
    if has_moved && !was_displaced {
        // Relaxed: whoever is told of the block's address is told of this, too.
        DISPLACED.fetch_add(1, Ordering::Relaxed);
    }
    // Release: as in `insert`.
    entry.start.store(now, Ordering::Release);
    now
}

/// The entry of a block, and whether it is displaced.
fn find(start: usize) -> Option<(&'static Entry, bool)> {
    // Nor may an address that is no block's meet an empty entry, or one whose block moves.
    if start == 0 || start % PAGE_BYTES != 0 {
        return None;
    }
    // Acquire: pairs with the Release in `insert` and `rename`.
    let is_it = |entry: &&'static Entry| entry.start.load(Ordering::Acquire) == start;
    let found = tables().find_map(|table| places(table, start).iter().find(is_it));
    match found {
        Some(entry) => Some((entry, false)),
        None if DISPLACED.load(Ordering::Relaxed) == 0 => None,
        None => tables().flatten().find(is_it).map(|entry| (entry, true)),
    }
}
