//! One thread's share of the process's heap.
//!
//! The same bins as a [`Heap`](crate::Heap) has, over slabs that other threads may free into
//! (`remote.rs`). A thread heap belongs to one thread at a time: it is claimed when a thread first
//! allocates, and left for the next one when the thread ends (`process.rs`).
//!
//! * I1: bins and stacks are used by the thread that holds the heap; the inbox by all.
//! * I2: a thread heap is never freed and never moves.
//! * I3: `in_slow` is set while bins and lists may be inconsistent: between operations and on the
//!   fast paths they never are, at worst one slot is lost, so that a forked child can adopt a heap
//!   whose thread vanished outside the slow path.
//! * I4: nothing here panics, formats or allocates through the process's allocator.

use core::cell::Cell;
use core::ptr::{NonNull, null, null_mut};
use core::sync::atomic::compiler_fence;

use crate::base::error::AllocError;
use crate::base::geometry::SPAN_BYTES_MAX;
use crate::base::size_class::{CLASS_BYTES, CLASS_COUNT, class_of};
use crate::base::sync::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use crate::base::trap::misuse;
use crate::heap::process::{own, visit_orphan};
use crate::heap::{SHAPE_TABLE, STACK_OFFSETS, STACK_ROOM_BYTES, check, choices, remote};
use crate::pages::{Pages, Room, registry};
use crate::slab::bin::Bin;
use crate::slab::owner::SlabOwner;
use crate::slab::raw::SlabHead;
use crate::slab::set::may_cache;
use crate::slab::shape::SlotShape;
use crate::slab::spares::Spares;

/// A thread's cell that says which heap it uses.
pub(crate) type CurrentCell = Cell<&'static ThreadHeap>;

/// See the module's header. Aligned so that owner words have room for a bit, and orphan words for
/// a tag.
#[repr(C, align(4096))]
pub(crate) struct ThreadHeap {
    bins: [Bin; CLASS_COUNT],
    stacks: Cell<*mut usize>,
    /// The cell of the thread that holds the heap; null for none.
    pub(crate) current: Cell<*const CurrentCell>,
    /// Next in the list of all thread heaps, which only grows.
    pub(crate) next_all: Cell<*const ThreadHeap>,
    in_slow: AtomicBool,
    /// Bytes of slots that stacks were lengthened by.
    cached_max: Cell<usize>,
    /// Large blocks kept for later.
    spares: Spares,
    /// The pages' pressure when the heap last looked.
    pressure: Cell<usize>,
    /// Bytes of slots taken out of slabs less those given back, modulo the word: others' slots come
    /// back here too. Written by the holder, read by all.
    taken: AtomicUsize,
    shared: Shared,
}

/// What other threads write, on lines of its own.
#[repr(C, align(128))]
struct Shared {
    /// Slabs with a notice, linked.
    inbox: AtomicPtr<SlabHead>,
    /// Next in the stack of orphans, as an address.
    next_orphan: AtomicUsize,
}

const _: () = assert!(size_of::<ThreadHeap>() == 4096);

// SAFETY: shared as a pointer only; what is not atomic is used by its holder alone (I1). The static
// empty heaps are never written: their bins are empty and full at once.
unsafe impl Sync for ThreadHeap {}

impl ThreadHeap {
    /// A heap that has nothing and takes nothing: each operation fails into the slow path.
    pub(crate) const fn empty() -> ThreadHeap {
        ThreadHeap {
            bins: [const { Bin::new() }; CLASS_COUNT],
            stacks: Cell::new(null_mut()),
            current: Cell::new(null()),
            next_all: Cell::new(null()),
            in_slow: AtomicBool::new(false),
            cached_max: Cell::new(0),
            spares: Spares::new(),
            pressure: Cell::new(0),
            taken: AtomicUsize::new(0),
            shared: Shared {
                inbox: AtomicPtr::new(null_mut()),
                next_orphan: AtomicUsize::new(0),
            },
        }
    }

    /// A fresh heap on pages of its own, which it keeps for ever.
    pub(crate) fn create() -> Result<&'static ThreadHeap, AllocError> {
        let bytes = size_of::<ThreadHeap>();
        let span = Pages::global().take_span(bytes, bytes)?;
        let heap = span.ptr.cast::<ThreadHeap>();
        // SAFETY: the span is ours, long enough and aligned, and is never released.
        unsafe {
            heap.write(ThreadHeap::empty());
            Ok(heap.as_ref())
        }
    }

    /// The heap at an address from an owner word.
    ///
    /// # Safety
    /// A thread heap lies there.
    pub(crate) unsafe fn at(address: usize) -> &'static ThreadHeap {
        // SAFETY: the caller's promise; thread heaps stay (I2).
        unsafe { &*core::ptr::with_exposed_provenance(address) }
    }

    pub(crate) fn address(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    #[inline(always)]
    pub(crate) fn bin(&self, class: usize) -> &Bin {
        debug_assert!(class < CLASS_COUNT);
        // SAFETY: classes come from `class_of`, whose results are below `CLASS_COUNT`.
        unsafe { self.bins.get_unchecked(class) }
    }

    pub(crate) fn next_orphan(&self) -> &AtomicUsize {
        &self.shared.next_orphan
    }

    /// Whether the holder is where a forked child cannot go on (I3).
    pub(crate) fn is_in_slow(&self) -> bool {
        self.in_slow.load(Ordering::SeqCst)
    }

    /// Counts bytes of slots taken out of slabs. By the holder.
    pub(super) fn count_taken(&self, bytes: usize) {
        // Relaxed, and no read-modify-write: a figure with one writer.
        let sum = self.taken_bytes().wrapping_add(bytes);
        self.taken.store(sum, Ordering::Relaxed);
    }

    /// As [`ThreadHeap::count_taken`], given back.
    pub(super) fn count_given(&self, bytes: usize) {
        self.count_taken(bytes.wrapping_neg());
    }

    /// See the field. Any thread.
    pub(crate) fn taken_bytes(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Runs `step` where bins and lists may be inconsistent for a while (I3).
    pub(super) fn slow<R>(&self, step: impl FnOnce() -> R) -> R {
        self.in_slow.store(true, Ordering::SeqCst);
        // The step's plain writes must not come before the flag.
        compiler_fence(Ordering::SeqCst);
        let result = step();
        self.in_slow.store(false, Ordering::Release);
        result
    }

    /// A slot when stack and word are empty.
    pub(crate) fn refill(&self, class: usize) -> Result<usize, AllocError> {
        self.slow(|| {
            self.empty_inbox();
            let pressure = Pages::global().pressure();
            if self.pressure.replace(pressure) != pressure {
                self.drain_quarantine();
                self.trim_bins();
            }
            // What came back may be for this class, but in its slabs: a refill finds it there.
            let (bin, shape) = (&self.bins[class], &SHAPE_TABLE[class]);
            let address = bin.refill(self, shape)?;
            if choices::is_full() {
                check::keep_one(bin, self, shape, address);
            }
            self.count_taken((1 + bin.word_count()) * shape.slot_bytes as usize);
            Ok(address)
        })
    }

    /// Frees a slot when the stack has no room.
    pub(crate) fn push_slow(&self, class: usize, address: usize) {
        self.slow(|| {
            if choices::is_full() {
                self.free_checked(class, address);
            } else {
                let storage = self.stack_room(class);
                let (bin, shape) = (&self.bins[class], &SHAPE_TABLE[class]);
                let before = bin.cached().len();
                bin.push_slow(self, shape, storage, address);
                let given = before + 1 - bin.cached().len();
                self.count_given(given * shape.slot_bytes as usize);
            }
            self.empty_inbox();
            self.bins[class].look_now_and_then(self);
        });
    }

    fn stack_room(&self, class: usize) -> *mut usize {
        if self.stacks.get().is_null() {
            match Pages::global().take_span(STACK_ROOM_BYTES, 1) {
                Ok(span) => self.stacks.set(span.ptr.as_ptr().cast()),
                // Frees then go straight to the bitmaps.
                Err(_) => return null_mut(),
            }
        }
        // SAFETY: the offsets lie in the storage (const assertion).
        unsafe { self.stacks.get().add(STACK_OFFSETS[class]) }
    }

    /// Tells the holder that slots of `slab`, which is its, come back. Any thread.
    pub(crate) fn notice(&self, slab: &SlabHead) {
        let inbox = &self.shared.inbox;
        let slab_ptr = core::ptr::from_ref(slab).cast_mut();
        let mut first = inbox.load(Ordering::Relaxed);
        loop {
            slab.inbox_link().set(first);
            // Release: pairs with the Acquire in `empty_inbox`; the link is read there.
            let order = (Ordering::Release, Ordering::Relaxed);
            match inbox.compare_exchange_weak(first, slab_ptr, order.0, order.1) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// Takes in every slab with a notice.
    fn empty_inbox(&self) {
        if self.shared.inbox.load(Ordering::Relaxed).is_null() {
            return;
        }
        let mut at = self
            .shared
            .inbox
            .swap(null_mut(), Ordering::Acquire)
            .cast_const();
        // SAFETY: slabs in the inbox are ours and stay until we recycle them.
        while let Some(slab) = unsafe { at.as_ref() } {
            at = slab.inbox_link().get();
            remote::end_notice(self, slab);
            let Some(class) = class_of(slab.slot_bytes(), 1) else {
                misuse(
                    "internal: a slab of no class in an inbox",
                    slab.base().addr().get(),
                )
            };
            self.bins[class].take_in(self, slab);
        }
    }

    /// Hands every slot in the process's quarantine to its slab.
    pub(crate) fn end_quarantine(&self) {
        self.slow(|| self.drain_quarantine());
    }

    /// Takes in what other threads gave back.
    pub(crate) fn take_in(&self) {
        self.slow(|| self.empty_inbox());
    }

    /// Gives everything cached back, also what belongs to other threads.
    pub(crate) fn trim(&self) {
        self.slow(|| {
            self.empty_inbox();
            self.trim_bins();
        });
    }

    /// Gives everything back but the heap itself: also the stacks' room, until the next free.
    pub(crate) fn trim_whole(&self) {
        self.trim();
        self.slow(|| {
            let Some(storage) = NonNull::new(self.stacks.replace(null_mut())) else {
                return;
            };
            self.bins.iter().for_each(Bin::end_stack);
            self.cached_max.set(0);
            // SAFETY: claimed in `stack_room`; no bin points there any more.
            unsafe { Pages::global().release_span(storage.cast(), STACK_ROOM_BYTES) };
        });
    }

    fn trim_bins(&self) {
        self.release_spares();
        self.count_given(self.cached_bytes());
        for (bin, shape) in self.bins.iter().zip(&SHAPE_TABLE) {
            bin.trim(self, shape);
        }
    }

    /// Gives back the large blocks that are kept. Whether there were any.
    fn release_spares(&self) -> bool {
        // SAFETY: what was kept is ours, and nobody uses it.
        let release = |block| unsafe { self.remove(block) };
        self.spares.release_all(release)
    }

    /// Keeps a large block for later, or gives it back.
    ///
    /// # Safety
    /// It is of the process's heap, the caller's, and nobody uses it.
    pub(crate) unsafe fn free_large(&self, block: &'static SlabHead) {
        // SAFETY: the caller's promise; what was kept before is ours, and nobody uses it.
        let release = |block| unsafe { self.remove(block) };
        self.spares.keep(Pages::global(), block, release);
    }

    /// Bytes in stacks and cached words. By the holder.
    pub(crate) fn cached_bytes(&self) -> usize {
        let cached =
            |(bin, bytes): (&Bin, u32)| (bin.cached().len() + bin.word_count()) * bytes as usize;
        self.bins.iter().zip(CLASS_BYTES).map(cached).sum()
    }
}

impl SlabOwner for ThreadHeap {
    fn add_slab(&self, shape: &SlotShape, bytes: usize) -> Result<&'static SlabHead, AllocError> {
        // Before memory is taken anew: an orphan may have some to give back.
        visit_orphan();
        let claim = || Pages::global().take_span(bytes, 1);
        let span = claim().or_else(|error| match self.release_spares() {
            true => claim(),
            false => Err(error),
        })?;
        let owner = core::ptr::from_ref(self).expose_provenance();
        // SAFETY: just claimed.
        Ok(unsafe { SlabHead::create(&span, shape, owner, true) })
    }

    unsafe fn remove(&self, slab: &SlabHead) {
        let (ptr, bytes) = slab.retire();
        // SAFETY: the slab's span, which nobody uses any more.
        unsafe { Pages::global().release_span(ptr, bytes) };
    }

    fn may_cache(&self, bytes: usize) -> bool {
        may_cache(&self.cached_max, bytes)
    }

    fn may_remove(&self, slab: &SlabHead) -> bool {
        remote::is_quiet(self, slab)
    }

    fn find(&self, address: usize) -> Option<&'static SlabHead> {
        // SAFETY: only blocks that the program may free come here, and they pin their record; of a
        // pointer that breaks that promise, what is found decides how the abort reads.
        unsafe { SlabHead::of(address) }.filter(|slab| slab.is_shared())
    }

    #[inline]
    fn owns(&self, slab: &SlabHead) -> bool {
        remote::owns(self, slab)
    }

    fn keeps(&self, slab: &'static SlabHead, word_index: usize, mask: u64) -> bool {
        remote::keeps(self, slab, word_index, mask)
    }

    fn collect(&self, slab: &SlabHead) -> usize {
        remote::collect(slab)
    }

    fn used_up(&self, slab: &SlabHead) -> bool {
        // A last look before giving it up: what came back meanwhile can be used at once.
        remote::collect(slab) == 0 && remote::disown(self, slab)
    }
}

/// The owner of every huge block of the process's heap: neither an odd number nor an address.
pub(crate) const HUGE_OWNER: usize = 2;

/// A large or huge block, one that the thread's heap keeps or else from the pages, and whether it
/// reads as zero. Any thread may free it, so it needs no owner.
pub(crate) fn allocate_large(
    bytes: usize,
    align: usize,
    room: Room,
) -> Result<(NonNull<u8>, bool), AllocError> {
    let heap = own();
    if let Some(block) = heap.and_then(|heap| heap.spares.take(bytes, align)) {
        return Ok((block.base(), false));
    }
    let claim = || Pages::global().take_span_in(bytes, align, room);
    let span = claim().or_else(|error| match heap {
        Some(heap) if heap.release_spares() => claim(),
        _ => Err(error),
    })?;
    if bytes <= SPAN_BYTES_MAX {
        // SAFETY: just claimed, and cut from a segment (it is not huge).
        unsafe { SlabHead::create_large(&span, 0, true) };
    } else {
        registry::set_huge_owner(span.ptr.addr().get(), HUGE_OWNER);
    }
    Ok((span.ptr, span.zeroed))
}

/// Frees a large block.
///
/// # Safety
/// It is of the process's heap, live until now, and the caller's.
pub(crate) unsafe fn free_large(block: &'static SlabHead) {
    match own() {
        // SAFETY: the caller's promise.
        Some(heap) => unsafe { heap.free_large(block) },
        None => {
            let (ptr, bytes) = block.retire();
            // SAFETY: the block's span, which nobody uses any more.
            unsafe { Pages::global().release_span(ptr, bytes) };
        }
    }
}
