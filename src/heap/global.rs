//! [`Flagstone`]: the process's heap as a `#[global_allocator]`.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::fmt;
use core::ptr::{NonNull, null_mut};

use crate::base::error::{AllocError, FreeError};
use crate::base::geometry::SPAN_BYTES_MAX;
use crate::base::size_class::{CLASS_BYTES, class_of};
use crate::base::trap::misuse;
use crate::heap::SHAPE_TABLE;
use crate::heap::large::{resize_units, rounded};
use crate::heap::process::{current, heap_count, heir, trim_orphans, with_heap};
use crate::heap::remote::free_without_heap;
use crate::heap::thread::{HUGE_OWNER, allocate_large};
use crate::pages::{Pages, registry};
use crate::slab::bin::message;
use crate::slab::raw::{SlabHead, slot_at};

/// The allocator of a process: each thread has its own bins, any thread may free any block.
///
/// ```
/// #[global_allocator]
/// static GLOBAL: flagstone::Flagstone = flagstone::Flagstone::new();
///
/// fn main() {
///     let lists: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
///     std::thread::spawn(move || drop(lists)).join().unwrap();
///     println!("{}", flagstone::stats());
///     flagstone::trim();
/// }
/// ```
///
/// Exhaustion returns null, and [`last_error`] says which limit was hit. A double free, a foreign
/// pointer or a wrong layout that shows when a magazine is flushed prints one line and aborts; one
/// that was handed out again before is not seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flagstone {
    _private: (),
}

std::thread_local! {
    static LAST_ERROR: Cell<Option<AllocError>> = const { Cell::new(None) };
}

/// Why the last allocation through [`Flagstone`] that failed on this thread did.
pub fn last_error() -> Option<AllocError> {
    LAST_ERROR.with(Cell::get)
}

/// Limits the bytes that all of the crate's default pages may hold; see [`Pages::set_limit`].
pub fn set_limit(limit_bytes: Option<usize>) {
    Pages::global().set_limit(limit_bytes);
}

/// Gives back what the calling thread and ended threads cache, and all unused pages. Returns the
/// bytes that the operating system got back. What other running threads cache stays with them.
pub fn trim() -> usize {
    // A thread without a heap has nothing to trim, and one without memory for a heap neither.
    let _ = with_heap(|heap| heap.trim_whole());
    trim_orphans();
    Pages::global().trim()
}

/// Figures of the process's pages; made by [`stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes of spans that have an owner: slabs, large blocks, arenas' chunks.
    pub active: usize,
    /// An upper bound of what is resident, in bytes.
    pub resident: usize,
    /// Bytes of address space reserved.
    pub mapped: usize,
    /// Bytes kept for reuse without an owner.
    pub retained: usize,
    /// Bytes that the calling thread caches in magazines and claimed words.
    pub cached_here: usize,
    /// Thread heaps there are: as many as threads were allocating at one time.
    pub thread_heaps: usize,
}

/// The process's figures now.
pub fn stats() -> Stats {
    let pages = Pages::global().stats();
    Stats {
        active: pages.active,
        resident: pages.charged,
        mapped: pages.mapped,
        retained: pages.retained,
        cached_here: current().cached_bytes(),
        thread_heaps: heap_count(),
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
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

impl Flagstone {
    /// The allocator. Nothing is mapped before the first allocation.
    pub const fn new() -> Flagstone {
        Flagstone { _private: () }
    }
}

/// A slot of the class; null when there is none to be had.
#[inline(always)]
fn allocate_class(class: usize) -> *mut u8 {
    let bin = current().bin(class);
    let taken = match bin.pop() {
        Some(address) => Some(address),
        None => bin.pop_word(CLASS_BYTES[class] as usize),
    };
    match taken {
        // SAFETY: bins hand out slots.
        Some(address) => unsafe { slot_at(address) }.as_ptr(),
        None => start_of(refill(class)),
    }
}

/// A slot of the class, and whether it reads as zero.
#[inline]
fn allocate_class_zeroed(class: usize) -> Option<(NonNull<u8>, bool)> {
    let bin = current().bin(class);
    let (address, zeroed) = match bin.pop() {
        Some(address) => (address, false),
        None => match bin.pop_word(CLASS_BYTES[class] as usize) {
            Some(address) => (address, bin.word_is_zeroed()),
            None => return refill(class),
        },
    };
    // SAFETY: bins hand out slots.
    Some((unsafe { slot_at(address) }, zeroed))
}

fn start_of(block: Option<(NonNull<u8>, bool)>) -> *mut u8 {
    block.map_or(null_mut(), |(block, _)| block.as_ptr())
}

#[cold]
#[inline(never)]
fn refill(class: usize) -> Option<(NonNull<u8>, bool)> {
    let taken = with_heap(|heap| {
        let bin = heap.bin(class);
        // A heap just claimed may have what it needs.
        let cached = bin.pop().map(|slot| (slot, false));
        let cached = cached.or_else(|| {
            let slot = bin.pop_word(CLASS_BYTES[class] as usize)?;
            Some((slot, bin.word_is_zeroed()))
        });
        match cached {
            Some(slot) => Ok(slot),
            None => heap.refill(class).map(|slot| (slot, bin.word_is_zeroed())),
        }
    });
    match taken.and_then(|taken| taken) {
        // SAFETY: bins hand out slots.
        Ok((address, zeroed)) => Some((unsafe { slot_at(address) }, zeroed)),
        Err(error) => refuse(error),
    }
}

fn refuse<T>(error: AllocError) -> Option<T> {
    LAST_ERROR.with(|last| last.set(Some(error)));
    None
}

#[cold]
#[inline(never)]
fn allocate_span(layout: Layout) -> Option<(NonNull<u8>, bool)> {
    rounded(layout)
        .and_then(|bytes| allocate_large(bytes, layout.align()))
        .map_or_else(refuse, Some)
}

#[cold]
#[inline(never)]
fn free_slow(class: usize, address: usize) {
    let freed = with_heap(|heap| {
        if !heap.bin(class).push(address) {
            heap.push_slow(class, address);
        }
    });
    if let (Err(_), Some(heir)) = (freed, heir()) {
        free_without_heap(heir, &SHAPE_TABLE[class], address);
    }
}

/// # Safety
/// A live block of this layout, which no class serves, starts at `ptr`, and nobody uses it.
#[cold]
#[inline(never)]
unsafe fn free_span(ptr: NonNull<u8>, layout: Layout) {
    let address = ptr.addr().get();
    let bytes = rounded(layout).unwrap_or(0);
    // SAFETY: the caller's block pins its record.
    let block = unsafe { SlabHead::of(address) };
    let is_large = block.is_some_and(|block| {
        let starts = block.base().addr().get() == address;
        block.is_shared() && block.is_large() && starts && block.span_bytes() == bytes
    });
    let is_huge = bytes > SPAN_BYTES_MAX && registry::is_huge_of(address, HUGE_OWNER);
    if !is_large && !is_huge {
        misuse(message(FreeError::Foreign), address);
    }
    if let Some(block) = block {
        block.retire();
    }
    // SAFETY: checked to be a block of this length; the caller gives it up.
    unsafe { Pages::global().release_span(ptr, bytes) };
}

// SAFETY: blocks are as long and as aligned as their layout says (the classes' invariant I1), live
// until freed, and distinct. Nothing here unwinds.
unsafe impl GlobalAlloc for Flagstone {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_of(layout.size(), layout.align()) {
            Some(class) => allocate_class(class),
            None => start_of(allocate_span(layout)),
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let block = match class_of(layout.size(), layout.align()) {
            Some(class) => allocate_class_zeroed(class),
            None => allocate_span(layout),
        };
        let Some((block, zeroed)) = block else {
            return null_mut();
        };
        if !zeroed {
            // SAFETY: the block is ours and at least this long.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block.as_ptr()
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        match class_of(layout.size(), layout.align()) {
            Some(class) => {
                let address = ptr.addr();
                if !current().bin(class).push(address) {
                    free_slow(class, address);
                }
            }
            None => {
                if let Some(ptr) = NonNull::new(ptr) {
                    // SAFETY: the caller's promise.
                    unsafe { free_span(ptr, layout) };
                }
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises a size that, rounded up to the alignment, is valid.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let class = class_of(layout.size(), layout.align());
        if class.is_some() && class == class_of(new_size, layout.align()) {
            // Issued anew: the one given may be narrowed to the old length (by a Box, say).
            // SAFETY: a live slot's address.
            return unsafe { slot_at(ptr.addr()) }.as_ptr();
        }
        // SAFETY: the caller's promise.
        unsafe { move_block(ptr, layout, new) }
    }
}

/// # Safety
/// As for `GlobalAlloc::realloc`.
#[cold]
#[inline(never)]
unsafe fn move_block(ptr: *mut u8, old: Layout, new: Layout) -> *mut u8 {
    let spans =
        class_of(old.size(), old.align()).is_none() && class_of(new.size(), new.align()).is_none();
    if spans {
        // SAFETY: the caller's promise.
        if let Some(block) = unsafe { resize_span(ptr, old, new) } {
            return block.as_ptr();
        }
    }
    // SAFETY: sizes are not zero (the caller's promise); both blocks live and distinct.
    unsafe {
        let moved = Flagstone::new().alloc(new);
        if !moved.is_null() {
            moved.copy_from_nonoverlapping(ptr, old.size().min(new.size()));
            Flagstone::new().dealloc(ptr, old);
        }
        moved
    }
}

/// Adjusts the units of a large block in place, or the mapping of a huge one. Returns where it now
/// is with its new length, issued anew as above.
///
/// # Safety
/// A live block of layout `old`, which no class serves, starts at `ptr`; it is the caller's.
unsafe fn resize_span(ptr: *mut u8, old: Layout, new: Layout) -> Option<NonNull<u8>> {
    let (old_bytes, new_bytes) = (rounded(old).ok()?, rounded(new).ok()?);
    let address = ptr.addr();
    // SAFETY: a live block's address.
    let start = unsafe { slot_at(address) };
    if old_bytes == new_bytes {
        return Some(start);
    }
    if old_bytes > SPAN_BYTES_MAX && new_bytes > SPAN_BYTES_MAX {
        if !registry::is_huge_of(address, HUGE_OWNER) {
            return None;
        }
        // SAFETY: the caller's promise.
        return unsafe { Pages::global().resize_huge(address, new_bytes, new.align()) };
    }
    if old_bytes > SPAN_BYTES_MAX || new_bytes > SPAN_BYTES_MAX {
        return None;
    }
    // SAFETY: the caller's block pins its record.
    let block = unsafe { SlabHead::of(address) }.filter(|block| block.is_large())?;
    // SAFETY: the caller's promise.
    unsafe { resize_units(Pages::global(), block, start, old_bytes, new_bytes) }.then_some(start)
}
