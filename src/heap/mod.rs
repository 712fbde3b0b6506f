//! [`Heap`]: general allocation for one thread at a time, through an explicit handle.
//!
//! Sizes up to 32 KiB go to one [`Bin`] per size class (the fast path, in `slab/bin.rs`), sizes up
//! to 1 MiB to spans of their own, larger ones to mappings of their own (`large.rs`). The class is
//! a function of (size, align) alone and Rust's frees carry their layout, so freeing looks nothing
//! up.
//!
//! * I1: `bins[c]` holds slots of `CLASS_BYTES[c]` bytes from slabs of this heap alone.
//! * I2: used by one thread at a time (`!Sync`); nothing in it depends on which.
//! * I3: with [`Check::Full`] stacks have no room and words are never kept, so that every
//!   operation reaches `check.rs` without a branch on the fast path.

mod builder;
mod check;
#[cfg(all(unix, feature = "std"))]
mod choices;
#[cfg(all(unix, feature = "std"))]
mod global;
#[cfg(all(unix, feature = "std"))]
mod handle;
#[cfg(all(unix, feature = "std"))]
mod idle;
mod large;
mod map;
#[cfg(all(unix, feature = "std"))]
mod process;
#[cfg(all(unix, feature = "std"))]
mod quarantine;
mod realloc;
#[cfg(all(unix, feature = "std"))]
mod remote;
mod stats;
#[cfg(all(unix, feature = "std"))]
mod thread;

pub use builder::HeapBuilder;
#[cfg(all(unix, feature = "std"))]
pub use global::{Flagstone, Stats, last_error, set_limit, stats, trim};
pub use map::HeapMap;
pub use stats::HeapStats;

use core::alloc::Layout;
use core::cell::Cell;
use core::fmt;
use core::ptr::{NonNull, null_mut};

use crate::base::config::Check;
use crate::base::error::{AllocError, FreeError};
use crate::base::size_class::{CLASS_BYTES, CLASS_COUNT, class_of};
use crate::base::sync::{AtomicUsize, Ordering};
use crate::pages::Pages;
use crate::slab::bin::Bin;
use crate::slab::owner::SlabOwner;
use crate::slab::raw::slot_at;
use crate::slab::set::SlabSet;
use crate::slab::shape::SlotShape;

/// How slots of each class are cut.
const SHAPES: [SlotShape; CLASS_COUNT] = {
    let mut shapes = [const { SlotShape::new(16, 16) }; CLASS_COUNT];
    let mut class = 0;
    while class < CLASS_COUNT {
        shapes[class] = SlotShape::new(CLASS_BYTES[class] as usize, 16);
        class += 1;
    }
    shapes
};

/// The shapes as a static: one copy, whose parts the slow paths refer to.
static SHAPE_TABLE: [SlotShape; CLASS_COUNT] = SHAPES;

/// First stack entry of each class in the storage, and the number of entries in all at the end.
const STACK_OFFSETS: [usize; CLASS_COUNT + 1] = {
    let mut offsets = [0; CLASS_COUNT + 1];
    let mut class = 0;
    while class < CLASS_COUNT {
        offsets[class + 1] = offsets[class] + SHAPES[class].stack_max as usize;
        class += 1;
    }
    offsets
};

/// Room for every stack at full length: a piece of a shared unit, of which only the pages that
/// are used become resident.
const STACK_ROOM_BYTES: usize = 16 << 10;
const _: () = assert!(STACK_OFFSETS[CLASS_COUNT] * size_of::<usize>() <= STACK_ROOM_BYTES);

/// Memory of fixed size classes for one thread at a time: the fastest way to replace `Box` and
/// `Vec` in a hot loop.
///
/// A heap maps nothing until it is first used and gives everything back when dropped. It is `Send`
/// and not `Sync`; `&Heap` is an allocator for `allocator-api2` collections and hashbrown.
///
/// ```
/// use allocator_api2::{boxed::Box, vec::Vec};
/// use flagstone::Heap;
///
/// let heap = Heap::new();
/// let boxed = Box::new_in([0u64; 8], &heap);
/// let mut numbers = Vec::new_in(&heap);
/// numbers.extend([1, 2, 3]);
/// assert_eq!(numbers.len() + boxed.len(), 11);
/// ```
///
/// Zero-sized layouts succeed without memory. Sizes up to `isize::MAX` and alignments up to 4 MiB
/// are served.
pub struct Heap {
    bins: [Bin; CLASS_COUNT],
    set: SlabSet,
    /// The stacks' storage, or null before the first free.
    stacks: Cell<*mut usize>,
    /// First of the huge blocks' list, as an address; 0 for none.
    huge: Cell<usize>,
    check: Check,
    /// The pages' pressure when the heap last looked.
    pressure: Cell<usize>,
}

// SAFETY: a heap's memory is reached through the heap alone, by one thread at a time (I2); slabs
// name their owner by number, not by address or thread.
unsafe impl Send for Heap {}

/// Numbers of heaps: odd, so that they never equal the address of a slot source's core.
static NEXT_OWNER: AtomicUsize = AtomicUsize::new(1);

impl Heap {
    /// A heap over the process's pages, with [`Check::Fast`] and without a limit.
    pub const fn new() -> Heap {
        Heap::with(None, usize::MAX, Check::Fast)
    }

    /// A heap with choices: limit, pages, checks.
    pub const fn builder() -> HeapBuilder {
        HeapBuilder::new()
    }

    const fn with(pages: Option<&'static Pages>, limit: usize, check: Check) -> Heap {
        Heap {
            bins: [const { Bin::new() }; CLASS_COUNT],
            set: SlabSet::new(pages, limit),
            stacks: Cell::new(null_mut()),
            huge: Cell::new(0),
            check,
            pressure: Cell::new(0),
        }
    }

    /// Allocates `layout.size()` bytes at `layout.align()`. The slice returned may be longer; every
    /// layout with this alignment and a size from the one asked for up to that length frees it.
    ///
    /// # Errors
    /// The limit that was hit. Nothing is changed then.
    ///
    /// ```
    /// # use flagstone::Heap;
    /// # use std::alloc::Layout;
    /// let heap = Heap::new();
    /// let layout = Layout::new::<[u8; 48]>();
    /// let block = heap.allocate(layout)?;
    /// assert!(block.len() >= 48);
    /// // SAFETY: allocated above with this layout, and not used any more.
    /// unsafe { heap.deallocate(block.cast(), layout) };
    /// # Ok::<(), flagstone::AllocError>(())
    /// ```
    #[inline(always)]
    pub fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        match class_of(layout.size(), layout.align()) {
            Some(class) if layout.size() != 0 => self.allocate_class(class),
            _ => self.allocate_other(layout),
        }
    }

    #[inline(always)]
    fn allocate_class(&self, class: usize) -> Result<NonNull<[u8]>, AllocError> {
        let bin = self.bin(class);
        let slot_bytes = CLASS_BYTES[class] as usize;
        let address = match bin.pop() {
            Some(address) => address,
            None => match bin.pop_word(slot_bytes) {
                Some(address) => address,
                None => self.refill(class)?,
            },
        };
        // SAFETY: the bin hands out slots (I1).
        let slot = unsafe { slot_at(address) };
        Ok(NonNull::slice_from_raw_parts(slot, slot_bytes))
    }

    /// As [`Heap::allocate`], and every byte of the slice reads as zero. Pages that were never used
    /// are not cleared again.
    ///
    /// # Errors
    /// The limit that was hit.
    #[inline]
    pub fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let Some(class) = class_of(layout.size(), layout.align()).filter(|_| layout.size() != 0)
        else {
            return self.allocate_other_zeroed(layout);
        };
        let bin = self.bin(class);
        let slot_bytes = CLASS_BYTES[class] as usize;
        let (address, zeroed) = match bin.pop() {
            Some(address) => (address, false),
            None => match bin.pop_word(slot_bytes) {
                Some(address) => (address, bin.word_is_zeroed()),
                None => (self.refill(class)?, bin.word_is_zeroed()),
            },
        };
        // SAFETY: the bin hands out slots (I1).
        let slot = unsafe { slot_at(address) };
        if !zeroed {
            // SAFETY: the slot is ours and this long.
            unsafe { slot.write_bytes(0, slot_bytes) };
        }
        Ok(NonNull::slice_from_raw_parts(slot, slot_bytes))
    }

    /// Frees a block.
    ///
    /// Misuse that shows (see [`Check`]) prints one line and aborts: the `Allocator` contract
    /// forbids unwinding here. [`Heap::try_free`] is the checked form.
    ///
    /// # Safety
    /// `ptr` was allocated by this heap with a layout of the same alignment whose block is at least
    /// `layout.size()` bytes long and of the same class (a fitting layout), and is not used any
    /// more.
    #[inline(always)]
    pub unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        match class_of(layout.size(), layout.align()) {
            Some(class) if layout.size() != 0 => {
                let address = ptr.addr().get();
                if !self.bin(class).push(address) {
                    self.free_slow(class, address);
                }
            }
            // SAFETY: the caller's promise.
            _ => unsafe { self.deallocate_other(ptr, layout) },
        }
    }

    /// Frees a block after checking exactly that it is live, of this heap, and of this layout's
    /// class.
    ///
    /// # Errors
    /// What is wrong with the pointer. Nothing is changed then.
    ///
    /// # Safety
    /// A block that is live is not used any more. (A pointer that is not live at all, whatever its
    /// origin, is an error and not undefined; but a block that was freed and handed out again is
    /// live, whoever holds a stale pointer to it.)
    ///
    /// ```
    /// # use flagstone::{FreeError, Heap};
    /// # use std::{alloc::Layout, ptr::NonNull};
    /// let heap = Heap::new();
    /// let layout = Layout::new::<u64>();
    /// let block: NonNull<u8> = heap.allocate(layout)?.cast();
    /// // SAFETY: the block is not used any more.
    /// unsafe {
    ///     assert_eq!(heap.try_free(block, layout), Ok(()));
    ///     assert_eq!(heap.try_free(block, layout), Err(FreeError::DoubleFree));
    ///     assert_eq!(heap.try_free(NonNull::from(&7u64).cast(), layout), Err(FreeError::Foreign));
    /// }
    /// # Ok::<(), flagstone::AllocError>(())
    /// ```
    pub unsafe fn try_free(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), FreeError> {
        self.check_live(ptr.addr().get(), layout)?;
        // SAFETY: just checked that it is a live block of this layout's class.
        unsafe { self.deallocate(ptr, layout) };
        Ok(())
    }

    /// The bytes that a block allocated with `layout` really has, all of them usable.
    ///
    /// # Safety
    /// `ptr` is a live block of this heap that was allocated with `layout`.
    pub unsafe fn usable_size(&self, ptr: NonNull<u8>, layout: Layout) -> usize {
        debug_assert!(self.check_live(ptr.addr().get(), layout).is_ok());
        match class_of(layout.size(), layout.align()) {
            _ if layout.size() == 0 => 0,
            Some(class) => CLASS_BYTES[class] as usize,
            None => large::rounded(layout).unwrap_or(layout.size()),
        }
    }

    /// Gives everything that is cached or empty back to the pages, and their unused memory to the
    /// operating system. Returns the bytes that the system got back.
    pub fn trim(&self) -> usize {
        self.drain_quarantine();
        self.trim_bins();
        self.set.pages().trim()
    }

    fn trim_bins(&self) {
        self.set.release_spares();
        for (bin, shape) in self.bins.iter().zip(&SHAPE_TABLE) {
            bin.trim(&self.set, shape);
        }
    }

    #[inline(always)]
    fn bin(&self, class: usize) -> &Bin {
        debug_assert!(class < CLASS_COUNT);
        // SAFETY: classes come from `class_of`, whose results are below `CLASS_COUNT` (tested for
        // every size and alignment).
        unsafe { self.bins.get_unchecked(class) }
    }

    #[cold]
    #[inline(never)]
    fn refill(&self, class: usize) -> Result<usize, AllocError> {
        self.ensure_owner();
        let pressure = self.set.pages().pressure();
        if self.pressure.replace(pressure) != pressure {
            self.trim_bins();
        }
        let (bin, shape) = (&self.bins[class], &SHAPE_TABLE[class]);
        let address = bin.refill(&self.set, shape)?;
        if self.check == Check::Full {
            check::keep_one(bin, &self.set, shape, address);
        }
        Ok(address)
    }

    /// Gives the heap its number before its first slab names it.
    fn ensure_owner(&self) {
        if self.set.owner() == 0 {
            // Relaxed: only uniqueness matters.
            self.set
                .set_owner(NEXT_OWNER.fetch_add(2, Ordering::Relaxed));
        }
    }

    #[cold]
    #[inline(never)]
    fn free_slow(&self, class: usize, address: usize) {
        // A heap that never allocated has nothing to free, but must be able to say so.
        self.ensure_owner();
        let (bin, shape) = (&self.bins[class], &SHAPE_TABLE[class]);
        match self.check {
            Check::Fast => bin.push_slow(&self.set, shape, self.stack_room(class), address),
            Check::Full => self.free_checked(class, address),
        }
    }

    /// Room for the class's stack; null when there is none to be had, and frees then go
    /// straight to the bitmaps.
    fn stack_room(&self, class: usize) -> *mut usize {
        let storage = self.storage();
        if storage.is_null() {
            return null_mut();
        }
        // SAFETY: the offsets lie in the storage (const assertion).
        unsafe { storage.add(STACK_OFFSETS[class]) }
    }

    /// The storage of `STACK_ROOM_BYTES`, claimed on first use; null when refused.
    fn storage(&self) -> *mut usize {
        if self.stacks.get().is_null() {
            if let Ok(span) = self.set.take_span(STACK_ROOM_BYTES, 1) {
                if self.check == Check::Full {
                    check::clear_quarantine(&span);
                }
                self.stacks.set(span.ptr.as_ptr().cast());
            }
        }
        self.stacks.get()
    }

    fn check_live(&self, address: usize, layout: Layout) -> Result<(), FreeError> {
        if layout.size() == 0 {
            return Ok(());
        }
        // A heap without a number would find others' slabs that have none.
        self.ensure_owner();
        let Some(class) = class_of(layout.size(), layout.align()) else {
            return self.check_live_large(address, layout);
        };
        let found = self.set.locate(address, &SHAPE_TABLE[class]);
        let (slab, index) = found.map_err(|error| self.huge_error(address, error))?;
        if self.bins[class].holds(slab, index) || self.is_quarantined(address) {
            return Err(FreeError::DoubleFree);
        }
        Ok(())
    }
}

impl Default for Heap {
    fn default() -> Heap {
        Heap::new()
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        self.release_all_huge();
        // SAFETY: whoever borrowed the heap is gone, and raw blocks die with it.
        unsafe { self.set.remove_all() };
        if let Some(storage) = NonNull::new(self.stacks.get()) {
            // SAFETY: the storage is ours, and no stack is used any more.
            unsafe {
                self.set
                    .pages()
                    .release_span(storage.cast(), STACK_ROOM_BYTES)
            };
        }
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
