//! [`Flagstone`]: the process's heap as a `#[global_allocator]`. As an allocator handle it is in
//! `handle.rs`.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::fmt;
use core::ptr::{NonNull, null_mut};

use crate::base::config::Config;
use crate::base::error::{AllocError, FreeError};
use crate::base::geometry::SPAN_BYTES_MAX;
use crate::base::size_class::{CLASS_BYTES, class_of};
use crate::base::sync::{AtomicUsize, Ordering};
use crate::base::trap::misuse;
use crate::heap::SHAPE_TABLE;
use crate::heap::check::fill;
use crate::heap::choices::{self, decide};
use crate::heap::handle::resize_slow;
use crate::heap::large::rounded;
use crate::heap::process::{current, heap_count, heir, taken_bytes, trim_orphans, with_heap};
use crate::heap::remote::free_without_heap;
use crate::heap::thread::{HUGE_OWNER, allocate_large, free_large};
use crate::pages::huge_record::huge_bytes;
use crate::pages::{Pages, Room, registry};
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
/// pointer or a wrong layout that shows when a stack is flushed prints one line and aborts; one
/// that was handed out again before is not seen, unless
/// [`Check::Full`](crate::Check::Full) was chosen.
///
/// # Choices
/// [`Flagstone::with`] takes a [`Config`]. There is one heap per process, so the choices are the
/// process's, and the first `Flagstone` with choices that allocates decides. They take effect when
/// it allocates on a thread that did not allocate before, or a block above 32 KiB; for a
/// `#[global_allocator]` that is the process's first allocation. Every other `Flagstone`, with
/// choices or without, then uses the same heap as it is. Where one without choices was first, the
/// check stays [`Check::Fast`](crate::Check::Fast): blocks handed out before could not be checked.
/// A limit that [`set_limit`] set before stays.
///
/// # As a handle
/// `Flagstone` is `Copy` and an `Allocator` of allocator-api2: what it holds may be moved to and
/// dropped on any thread, beside whatever the process's global allocator is.
///
/// ```
/// use allocator_api2::{boxed::Box, vec::Vec};
/// use flagstone::Flagstone;
///
/// let mut numbers = Vec::new_in(Flagstone::new());
/// numbers.extend([1, 2, 3]);
/// let boxed = Box::new_in(numbers, Flagstone::new());
/// let sum = std::thread::spawn(move || boxed.iter().sum::<i32>()).join().unwrap();
/// assert_eq!(sum, 6);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Flagstone {
    pub(super) choices: Config,
}

/// Bytes of the blocks that no class serves, less slots that were freed without a heap.
static SPANS: AtomicUsize = AtomicUsize::new(0);

std::thread_local! {
    static LAST_ERROR: Cell<Option<AllocError>> = const { Cell::new(None) };
}

/// Why the last allocation through [`Flagstone`] that failed on this thread did.
///
/// ```
/// use flagstone::{AllocError, Flagstone};
/// use std::alloc::{GlobalAlloc, Layout};
/// let layout = Layout::from_size_align(100, 8 << 20)?;
/// // SAFETY: the size is not zero.
/// assert!(unsafe { Flagstone::new().alloc(layout) }.is_null());
/// assert_eq!(flagstone::last_error(), Some(AllocError::LayoutTooLarge));
/// # Ok::<(), std::alloc::LayoutError>(())
/// ```
pub fn last_error() -> Option<AllocError> {
    LAST_ERROR.with(Cell::get)
}

/// Limits the bytes that all of the crate's default pages may hold; see [`Pages::set_limit`].
pub fn set_limit(limit_bytes: Option<usize>) {
    Pages::global().set_limit(limit_bytes);
}

/// Gives back what the calling thread and ended threads cache, what waits in the quarantine of
/// [`Check::Full`](crate::Check::Full), and all unused pages. Returns the bytes that the operating
/// system got back. What other running threads cache stays with them.
pub fn trim() -> usize {
    // Twice: what one heap gives back may be of slabs of another that was trimmed before.
    for _ in 0..2 {
        // Without memory for a heap there is nothing to trim.
        let _ = with_heap(None, |heap| {
            heap.end_quarantine();
            heap.trim_whole();
        });
        trim_orphans();
    }
    Pages::global().trim()
}

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
    let cached_here = current().cached_bytes();
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

impl Flagstone {
    /// The allocator. Nothing is mapped before the first allocation.
    pub const fn new() -> Flagstone {
        Flagstone {
            choices: Config::new(),
        }
    }

    /// The allocator with choices, which are the process's: see [`Flagstone`].
    ///
    /// ```
    /// use flagstone::{Check, Config, Flagstone};
    /// #[global_allocator]
    /// static GLOBAL: Flagstone = Flagstone::with(Config::new().check(Check::Full));
    /// # fn main() {}
    /// ```
    pub const fn with(choices: Config) -> Flagstone {
        Flagstone {
            choices: choices.chosen(),
        }
    }
}

impl Default for Flagstone {
    fn default() -> Flagstone {
        Flagstone::new()
    }
}

/// A slot of the class; null when there is none to be had.
#[inline(always)]
fn take_class(class: usize, choices: Config) -> *mut u8 {
    let bin = current().bin(class);
    let taken = match bin.pop() {
        Some(address) => Some(address),
        None => bin.pop_word(CLASS_BYTES[class] as usize),
    };
    match taken {
        // SAFETY: bins hand out slots.
        Some(address) => unsafe { slot_at(address) }.as_ptr(),
        None => start_of(refill(class, choices)),
    }
}

/// A slot of the class, and whether it reads as zero.
#[inline(always)]
pub(super) fn allocate_class(class: usize, choices: Config) -> Option<(NonNull<u8>, bool)> {
    let bin = current().bin(class);
    let (address, zeroed) = match bin.pop() {
        Some(address) => (address, false),
        None => match bin.pop_word(CLASS_BYTES[class] as usize) {
            Some(address) => (address, bin.word_is_zeroed()),
            None => return refill(class, choices),
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
fn refill(class: usize, choices: Config) -> Option<(NonNull<u8>, bool)> {
    let taken = with_heap(Some(choices), |heap| {
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
pub(super) fn allocate_span(
    layout: Layout,
    room: Room,
    choices: Config,
) -> Option<(NonNull<u8>, bool)> {
    decide(choices);
    let claim = |bytes| {
        let block = allocate_large(bytes, layout.align(), room)?;
        count_spans(0, bytes);
        Ok(block)
    };
    rounded(layout).and_then(claim).map_or_else(refuse, Some)
}

/// Counts a block that no class serves and whose length changes.
pub(super) fn count_spans(old_bytes: usize, new_bytes: usize) {
    // Relaxed: a figure.
    SPANS.fetch_add(new_bytes.wrapping_sub(old_bytes), Ordering::Relaxed);
}

#[cold]
#[inline(never)]
pub(super) fn free_slow(class: usize, address: usize, choices: Config) {
    let freed = with_heap(Some(choices), |heap| {
        if !heap.bin(class).push(address) {
            heap.push_slow(class, address);
        }
    });
    if let (Err(_), Some(heir)) = (freed, heir()) {
        let bytes = CLASS_BYTES[class] as usize;
        if choices::is_full() {
            fill(address, bytes);
        }
        free_without_heap(heir, &SHAPE_TABLE[class], address);
        // Nobody else may write a heap's own count.
        count_spans(bytes, 0);
    }
}

/// # Safety
/// A live block of this layout, which no class serves, starts at `ptr`, and nobody uses it.
#[cold]
#[inline(never)]
pub(super) unsafe fn free_span(ptr: NonNull<u8>, layout: Layout) {
    let address = ptr.addr().get();
    let bytes = rounded(layout).unwrap_or(0);
    // SAFETY: the caller's promise.
    let large = unsafe { live_large(address, bytes) };
    let is_huge = bytes > SPAN_BYTES_MAX && registry::is_huge_of(address, HUGE_OWNER);
    count_spans(bytes, 0);
    match large {
        // SAFETY: checked to be a block of this length; the caller gives it up.
        Some(block) => unsafe { free_large(block) },
        // SAFETY: the block is registered, and the caller's.
        None if is_huge && unsafe { huge_bytes(address) } != bytes => {
            misuse(message(FreeError::WrongClass), address)
        }
        // SAFETY: as for a large one.
        None if is_huge => unsafe { Pages::global().release_span(ptr, bytes) },
        None => misuse(message(FreeError::Foreign), address),
    }
}

/// The record of the large block of `bytes` bytes that starts at `address`; `None` if none does.
/// Aborts if it is free already.
///
/// # Safety
/// `address` is that of a live block of the caller's, as far as the caller knows.
pub(super) unsafe fn live_large(address: usize, bytes: usize) -> Option<&'static SlabHead> {
    // SAFETY: the caller's block pins its record.
    let block = unsafe { SlabHead::of(address) }.filter(|block| {
        let starts = block.base().addr().get() == address;
        block.is_shared() && block.is_large() && starts && block.span_bytes() == bytes
    })?;
    if block.free_count() != 0 {
        misuse(message(FreeError::DoubleFree), address);
    }
    Some(block)
}

// SAFETY: blocks are as long and as aligned as their layout says (the classes' invariant I1), live
// until freed, and distinct. Nothing here unwinds.
unsafe impl GlobalAlloc for Flagstone {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_of(layout.size(), layout.align()) {
            Some(class) => take_class(class, self.choices),
            None => start_of(allocate_span(layout, Room::Fit, self.choices)),
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let block = match class_of(layout.size(), layout.align()) {
            Some(class) => allocate_class(class, self.choices),
            None => allocate_span(layout, Room::Fit, self.choices),
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
                    free_slow(class, address, self.choices);
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
        // SAFETY: the caller's promise: a live block, so not at 0.
        unsafe { resize_slow(NonNull::new_unchecked(ptr), layout, new, self.choices) }
            .map_or(null_mut(), |block| block.cast().as_ptr())
    }
}
