//! [`Heap`]: general allocation for one thread at a time, through an explicit handle.
//!
//! Sizes up to 32 KiB go to one bin per size class (`bins.rs`; the fast path is in `slab/bin.rs`),
//! sizes up to 1 MiB to spans of their own, larger ones to mappings of their own (`large.rs`).
//!
//! * I1: every slot and block is of a slab or span of this heap alone.
//! * I2: used by one thread at a time (`!Sync`); nothing in it depends on which.

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

use crate::base::config::Check;
use crate::base::error::{AllocError, FreeError};
use crate::base::size_class::{CLASS_BYTES, class_of};
use crate::base::sync::{AtomicUsize, Ordering};
use crate::heap::bins::{Bins, SHAPE_TABLE, STACK_ROOM_BYTES};
use crate::heap::check::{Quarantine, free_checked, small_error};
use crate::heap::large;
use crate::pages::{Pages, Span};
use crate::slab::owner::SlabOwner;
use crate::slab::raw::slot_at;
use crate::slab::set::SlabSet;

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
    pub(super) bins: Bins,
    pub(super) set: SlabSet,
    /// First of the huge blocks' list, as an address; 0 for none.
    pub(super) huge: Cell<usize>,
    pub(super) check: Check,
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

    pub(super) const fn with(pages: Option<&'static Pages>, limit: usize, check: Check) -> Heap {
        Heap {
            bins: Bins::new(),
            set: SlabSet::new(pages, limit),
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
        // As `Bins::take`, spelled out: through its closures it is an instruction more a slot.
        let bin = self.bins.bin(class);
        let slot_bytes = CLASS_BYTES[class] as usize;
        let address = match bin.pop() {
            Some(address) => address,
            None => match bin.pop_word(slot_bytes) {
                Some(address) => address,
                None => self.refill(class)?.0,
            },
        };
        // SAFETY: the bins hand out slots (`bins.rs`, I1).
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
        let slot_bytes = CLASS_BYTES[class] as usize;
        let taken = |address, zeroed| Ok((address, zeroed));
        let (address, zeroed) = self.bins.take(class, taken, || self.refill(class))?;
        // SAFETY: the bins hand out slots (`bins.rs`, I1).
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
                if !self.bins.bin(class).push(address) {
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
    /// operating system; also the whole pages between blocks in use (but not with [`Check::Full`],
    /// where freed memory is filled). Returns the bytes that the system got back.
    pub fn trim(&self) -> usize {
        self.release_kept() + self.set.pages().trim()
    }

    /// What `ask` gets. Before it is refused, all that the heap only keeps went back.
    #[inline(always)]
    pub(super) fn insist<R>(
        &self,
        ask: impl Fn() -> Result<R, AllocError>,
    ) -> Result<R, AllocError> {
        match ask() {
            Ok(got) => Ok(got),
            Err(_) => self.ask_again(ask),
        }
    }

    #[cold]
    #[inline(never)]
    fn ask_again<R>(&self, ask: impl Fn() -> Result<R, AllocError>) -> Result<R, AllocError> {
        self.release_kept();
        ask()
    }

    /// Returns the bytes of pages between live slots, which went back to the system.
    fn release_kept(&self) -> usize {
        if let Some(quarantine) = self.quarantine() {
            quarantine.drain(&self.bins, &self.set);
        }
        self.trim_bins();
        match self.check {
            Check::Fast => self.bins.punch(&self.set),
            Check::Full => 0,
        }
    }

    fn trim_bins(&self) {
        self.set.release_spares();
        self.bins.trim(&self.set);
    }

    #[cold]
    #[inline(never)]
    fn refill(&self, class: usize) -> Result<(usize, bool), AllocError> {
        self.ensure_owner();
        self.bins.come_by(self.set.pages());
        let pressure = self.set.pages().pressure();
        if self.pressure.replace(pressure) != pressure {
            self.trim_bins();
        }
        let is_full = self.check == Check::Full;
        self.insist(|| self.bins.refill(&self.set, class, is_full))
    }

    /// Gives the heap its number before its first slab names it.
    pub(super) fn ensure_owner(&self) {
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
        self.bins.come_by(self.set.pages());
        let take = || self.take_room();
        match self.check {
            Check::Fast => self.bins.push_slow(&self.set, class, address, take),
            Check::Full => {
                self.bins.room(take);
                let delayed = (self.quarantine(), self.set.owner());
                free_checked(&self.bins, &self.set, delayed, class, address);
            }
        }
    }

    /// Room for the stacks, or for the quarantine, which starts empty.
    fn take_room(&self) -> Result<Span, AllocError> {
        let span = self.set.take_span(STACK_ROOM_BYTES, 1)?;
        if self.check == Check::Full {
            // SAFETY: the room is ours, fresh, and long enough (const assertion in `check.rs`).
            unsafe { span.ptr.cast::<Quarantine>().write(Quarantine::new()) };
        }
        Ok(span)
    }

    /// The slots that wait, with full checks.
    pub(super) fn quarantine(&self) -> Option<&Quarantine> {
        let room = self.bins.taken_room();
        let room = room.filter(|_| self.check == Check::Full)?;
        // SAFETY: with full checks it lies in the room from the start (`take_room`), and nothing
        // else does (`bins.rs`, I2).
        Some(unsafe { room.cast::<Quarantine>().as_ref() })
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
        let owner = self.set.owner();
        let (slab, index) = found.map_err(|error| small_error(address, owner, error))?;
        let waits = |quarantine: &Quarantine| quarantine.holds(address);
        if self.bins.bin(class).holds(slab, index) || self.quarantine().is_some_and(waits) {
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
        if let Some(room) = self.bins.taken_room() {
            // SAFETY: the room is ours, and no stack is used any more.
            unsafe { self.set.pages().release_span(room.cast(), STACK_ROOM_BYTES) };
        }
    }
}
