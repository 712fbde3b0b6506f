//! The raw slab: a span cut into equal slots, tracked by a bitmap that lies in the segment's head.
//!
//! The only place where slots become pointers and pointers become slots. A slab's record
//! ([`SlabHead`]) and its words lie out of line, so a write past a slot cannot damage them and an
//! empty slab's pages can be returned whole.
//!
//! * I1: a set bit means that the slab itself holds the slot. Live and cached slots look
//!   alike here; no operation on a single slot touches a bit.
//! * I2: `free_count` is the number of set bits.
//! * I3: every page of a slab or large block names its record in the segment's page table from
//!   `create` until `retire`, and no other page does.
//! * I4: only the owner writes a record; fields that do not change between `create` and `retire`
//!   may be read by whoever holds a live slot.
//!
//! Length: slots and pointers meet here and nowhere else, so that one file answers for both.

use core::cell::Cell;
use core::ptr::{NonNull, null};

use crate::base::bitmap;
use crate::base::geometry::{PAGE_BYTES, divide, page_index, reciprocal};
use crate::base::sync::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use crate::pages::segment::{RECORD_BYTES, SegmentHead};
use crate::pages::{Span, registry};
use crate::slab::shape::SlotShape;

/// The record of a slab, or of a large block (one slot that fills its span).
#[repr(C)]
pub(crate) struct SlabHead {
    /// Whoever the slots belong to: a heap's number, or the address of a slot source's core.
    owner: AtomicUsize,
    /// Links of the list of slabs with free slots.
    next_partial: Cell<*const SlabHead>,
    prev_partial: Cell<*const SlabHead>,
    /// Links of the list of all slabs of the owner.
    next_all: Cell<*const SlabHead>,
    prev_all: Cell<*const SlabHead>,
    slot_bytes: Cell<u32>,
    reciprocal: u32,
    page_count: Cell<u16>,
    slot_count: u16,
    free_count: AtomicU16,
    /// No word below this one has a set bit.
    hint: Cell<u8>,
    /// Slots of this word and later ones were never handed out.
    fresh: Cell<u8>,
    is_partial: Cell<bool>,
    kind: Kind,
    /// A slab of the process's thread heaps: `owner` follows the protocol of
    /// `heap/process/remote.rs`.
    is_shared: bool,
    /// Empty, and counted as its bin's spare.
    pub(crate) is_kept: Cell<bool>,
    /// A bit per stretch of pages that is a hole (`holes.rs`).
    pub(super) holes: Cell<u32>,
}

const _: () = assert!(usize::BITS != 64 || size_of::<SlabHead>() == RECORD_BYTES);
const _: () = assert!(size_of::<SlabHead>() <= RECORD_BYTES);

/// What a record describes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A slab whose slots read as zero before they are first handed out.
    ZeroedSlab,
    /// A slab on pages that were used before.
    UsedSlab,
    /// A large block: one slot, not made of a [`SlotShape`].
    Large,
}

/// A word of slots taken out of a slab.
pub(crate) struct TakenWord {
    /// Number of the word's first slot.
    pub(crate) first: usize,
    /// Its slots.
    pub(crate) word: u64,
    /// None of them was ever handed out.
    pub(crate) untouched: bool,
    /// All of them read as zero.
    pub(crate) zeroed: bool,
}

/// The two lists a slab can be in.
#[derive(Clone, Copy)]
pub(crate) enum List {
    Partial,
    All,
}

impl SlabHead {
    /// Makes a slab of `shape` out of `span`, all slots free.
    ///
    /// # Safety
    /// The span is the caller's, was cut from a segment, and holds nothing.
    pub(crate) unsafe fn create(
        span: &Span,
        shape: &SlotShape,
        owner: usize,
        is_shared: bool,
    ) -> &'static Self {
        let slot_count = (span.bytes / shape.slot_bytes as usize) as u16;
        let kind = if span.zeroed {
            Kind::ZeroedSlab
        } else {
            Kind::UsedSlab
        };
        // SAFETY: the caller's promise.
        let slab =
            unsafe { Self::write(span, shape.slot_bytes, slot_count, kind, owner, is_shared) };
        bitmap::fill(slab.words(), slot_count as usize);
        slab.free_count.store(slot_count, Ordering::Relaxed);
        slab
    }

    /// Makes a large block out of `span`: one slot, handed out.
    ///
    /// # Safety
    /// The span is the caller's, was cut from a segment, and holds nothing.
    pub(crate) unsafe fn create_large(span: &Span, owner: usize, is_shared: bool) -> &'static Self {
        // SAFETY: the caller's promise.
        unsafe { Self::write(span, span.bytes as u32, 1, Kind::Large, owner, is_shared) }
    }

    /// # Safety
    /// The span is the caller's, was cut from a segment, and holds nothing.
    unsafe fn write(
        span: &Span,
        slot_bytes: u32,
        slot_count: u16,
        kind: Kind,
        owner: usize,
        is_shared: bool,
    ) -> &'static Self {
        let address = span.ptr.addr().get();
        // SAFETY: the span lies in a registered segment.
        let head = unsafe { SegmentHead::of(address) };
        let page = page_index(address);
        let page_count = span.bytes / PAGE_BYTES;
        let record_index = SegmentHead::record_index_for(page);
        let record = head.record(record_index).cast::<SlabHead>();
        let fresh = SlabHead {
            owner: AtomicUsize::new(owner),
            next_partial: Cell::new(null()),
            prev_partial: Cell::new(null()),
            next_all: Cell::new(null()),
            prev_all: Cell::new(null()),
            slot_bytes: Cell::new(slot_bytes),
            reciprocal: reciprocal(slot_bytes),
            page_count: Cell::new(page_count as u16),
            slot_count,
            free_count: AtomicU16::new(0),
            hint: Cell::new(0),
            fresh: Cell::new(0),
            is_partial: Cell::new(false),
            kind,
            is_shared,
            is_kept: Cell::new(false),
            holes: Cell::new(0),
        };
        // The owner's word is written atomically: who holds a stale pointer may be asking whose it
        // is. The rest follows it (`repr(C)`) and is read by the owner alone.
        let word = size_of::<AtomicUsize>();
        let rest = NonNull::from(&fresh).cast::<u8>();
        // SAFETY: the record belongs to the span's pages alone, is 64 bytes and 64-aligned.
        unsafe {
            let place = record.cast::<u8>().add(word);
            place.copy_from_nonoverlapping(rest.add(word), size_of::<SlabHead>() - word);
            record
                .cast::<AtomicUsize>()
                .as_ref()
                .store(owner, Ordering::Relaxed);
        }
        head.set_page_records(page, page_count, Some(record_index));
        // SAFETY: just written; records are valid until retired, and heads never go away.
        unsafe { record.as_ref() }
    }

    /// Ends the slab; returns its span's start and bytes, for `release_span`.
    pub(crate) fn retire(&self) -> (NonNull<u8>, usize) {
        let (page, count) = (self.page(), self.page_count.get() as usize);
        // So that no later slab in this record can be taken for this owner's (see `of_owner`).
        self.owner.store(0, Ordering::Relaxed);
        self.segment().set_page_records(page, count, None);
        (self.base(), self.span_bytes())
    }

    /// The slab or large block of `owner` that `address`, any address, lies in. `owner` is not 0.
    ///
    /// Records of others come and go meanwhile; of them only the owner's word is read. Only an
    /// owner writes its own number there and takes it away again, so a match is its live record.
    #[inline]
    pub(crate) fn of_owner(address: usize, owner: usize) -> Option<&'static SlabHead> {
        if !registry::is_segment(address) {
            return None;
        }
        // SAFETY: registered, just asked.
        let head = unsafe { SegmentHead::of(address) };
        let record = head.record_of_page(page_index(address))?;
        // SAFETY: a record starts with its owner's word, which is only accessed atomically.
        let word = unsafe { record.cast::<AtomicUsize>().as_ref() };
        // SAFETY: the caller's live slab (I3).
        (word.load(Ordering::Relaxed) == owner)
            .then(|| unsafe { record.cast::<SlabHead>().as_ref() })
    }

    /// The slab of a slot that is known to be one.
    ///
    /// # Safety
    /// `address` lies in a live slab.
    #[inline(always)]
    pub(crate) unsafe fn of_slot(address: usize) -> &'static SlabHead {
        // SAFETY: a slab lies in a registered segment.
        let head = unsafe { SegmentHead::of(address) };
        let record = head.record_of_page(page_index(address));
        // SAFETY: a page of a live slab names its record (I3).
        unsafe { record.unwrap_unchecked().cast::<SlabHead>().as_ref() }
    }

    /// The owner given at creation.
    #[inline(always)]
    pub(crate) fn owner(&self) -> usize {
        // Relaxed: who asks holds a slot, and got it after the slab was created.
        self.owner.load(Ordering::Relaxed)
    }

    pub(crate) fn is_large(&self) -> bool {
        self.kind == Kind::Large
    }

    pub(crate) fn slot_bytes(&self) -> usize {
        self.slot_bytes.get() as usize
    }

    pub(crate) fn slot_count(&self) -> usize {
        self.slot_count as usize
    }

    /// Set bits (I2). Any thread may ask.
    pub(crate) fn free_count(&self) -> usize {
        self.free_count.load(Ordering::Relaxed) as usize
    }

    /// Every slot is back.
    pub(crate) fn is_empty(&self) -> bool {
        self.free_count() == self.slot_count()
    }

    pub(crate) fn span_bytes(&self) -> usize {
        self.page_count.get() as usize * PAGE_BYTES
    }

    pub(crate) fn segment(&self) -> &'static SegmentHead {
        // SAFETY: a record lies in the head of a registered segment.
        unsafe { SegmentHead::of(core::ptr::from_ref(self).addr()) }
    }

    /// Number of the first page in the segment: told by where the record lies, so that finding a
    /// slot need not wait for what is in it.
    #[inline(always)]
    pub(crate) fn page(&self) -> usize {
        self.segment()
            .page_of_record(NonNull::from(self).cast::<u8>())
    }

    /// The first slot.
    #[inline(always)]
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.segment().at(self.page() * PAGE_BYTES)
    }

    /// The bitmap (I1).
    pub(crate) fn words(&self) -> &'static [AtomicU64] {
        let count = bitmap::words_for(self.slot_count as usize);
        self.segment().local_words(self.page(), count)
    }

    /// Whether `address` lies in the span.
    #[inline]
    pub(crate) fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.base().addr().get()) < self.span_bytes()
    }

    /// The number of the slot that starts at `address`, any address.
    pub(crate) fn index_of(&self, address: usize) -> Option<usize> {
        self.index_by(address, (self.slot_bytes.get(), self.reciprocal))
    }

    /// The same for a slab known to be of this shape.
    #[inline(always)]
    pub(crate) fn index_in(&self, address: usize, shape: &SlotShape) -> Option<usize> {
        debug_assert_eq!(self.slot_bytes.get(), shape.slot_bytes);
        self.index_by(address, (shape.slot_bytes, shape.reciprocal))
    }

    #[inline(always)]
    fn index_by(&self, address: usize, (slot_bytes, reciprocal): (u32, u32)) -> Option<usize> {
        let offset = address.wrapping_sub(self.base().addr().get());
        let index = divide(offset as u32, reciprocal) as usize;
        // What lies outside is refused, too: the product never comes near 4 GiB or below 0.
        let is_start = index * slot_bytes as usize == offset && index < self.slot_count();
        is_start.then_some(index)
    }

    /// The address of slot `index`.
    #[inline]
    pub(crate) fn address_of(&self, index: usize) -> usize {
        debug_assert!(index <= self.slot_count());
        self.base().addr().get() + index * self.slot_bytes()
    }

    /// Takes the first word with a free slot out of the bitmap, whole; where there are holes, what
    /// of it reaches into none.
    #[inline(always)]
    pub(crate) fn take_word(&self) -> Option<TakenWord> {
        let (index, word) = if self.holes.get() == 0 {
            let taken = bitmap::take_word(self.words(), self.hint.get() as usize)?;
            self.hint.set(taken.0 as u8);
            taken
        } else {
            self.take_beside_holes()?
        };
        let left = self.free_count() - word.count_ones() as usize;
        self.free_count.store(left as u16, Ordering::Relaxed);
        let untouched = index >= self.fresh.get() as usize;
        if untouched {
            self.fresh.set(index as u8 + 1);
        }
        let zeroed = untouched && self.kind == Kind::ZeroedSlab;
        Some(TakenWord {
            first: index * 64,
            word,
            untouched,
            zeroed,
        })
    }

    /// Gives `count` slots back to the bitmap, the bits of `mask`. Returns the bits that were there
    /// already (double frees) and the number of free slots now.
    #[inline]
    pub(crate) fn give_mask(&self, word_index: usize, mask: u64, count: usize) -> (u64, usize) {
        let twice = bitmap::give_mask(self.words(), word_index, mask);
        self.hint.set(self.hint.get().min(word_index as u8));
        let free = self.free_count() + count;
        self.free_count.store(free as u16, Ordering::Relaxed);
        (twice, free)
    }

    /// Gives back slot `index`, of which the caller holds the bits `held` of its word elsewhere.
    /// Returns the number of free slots now, or `None` if this one was free already.
    #[inline(always)]
    pub(crate) fn give_slot(&self, index: usize, held: u64) -> Option<usize> {
        debug_assert!(index < self.slot_count());
        let (number, bit) = (index / 64, 1u64 << (index % 64));
        // SAFETY: the slot is one of this slab's, so there is a word for it.
        let word = unsafe { self.segment().local_word(self.page(), number) };
        let before = word.load(Ordering::Relaxed);
        if (before | held) & bit != 0 {
            return None;
        }
        word.store(before | bit, Ordering::Relaxed);
        self.hint.set(self.hint.get().min(number as u8));
        let free = self.free_count() + 1;
        self.free_count.store(free as u16, Ordering::Relaxed);
        Some(free)
    }

    /// Gives back the first of `slots`, up to one that is no slot of this slab, of this shape. The
    /// caller holds the slots `held.1` of the word whose first slot starts at `held.0`.
    /// Returns how many were given and how many are free now; or the address of one that was free
    /// already.
    #[inline(always)]
    pub(crate) fn give_run(
        &self,
        slots: &[usize],
        shape: &SlotShape,
        held: (usize, u64),
    ) -> (usize, Result<usize, usize>) {
        // The number of the word held, unless it is another slab's.
        let held_word = self.index_in(held.0, shape).map(|index| index / 64);
        let held_word = held_word.unwrap_or(usize::MAX);
        // What was allocated together is often freed in the same order; then neighbours in a word
        // need no look-up of their own. Whether that is so is asked once and not for each slot:
        // where it is so now and then, the processor would guess wrong each time.
        let slot_bytes = shape.slot_bytes as usize;
        let length = |(first, last): (&usize, &usize)| last.wrapping_sub(*first);
        let in_order = slots.first().zip(slots.last()).map(length)
            == Some(slots.len().wrapping_sub(1) * slot_bytes);
        let mut lowest = self.hint.get() as usize;
        let mut count = 0;
        while let Some(&slot) = slots.get(count) {
            let Some(index) = self.index_in(slot, shape) else {
                break;
            };
            let number = index / 64;
            let most = if in_order {
                (64 - index % 64).min(self.slot_count() - index)
            } else {
                1
            };
            let follows = |n: &usize| slots.get(count + n) == Some(&(slot + n * slot_bytes));
            let run = (1..most).take_while(follows).count() + 1;
            let bits = (u64::MAX >> (64 - run)) << (index % 64);
            // SAFETY: the slot is one of this slab's, so there is a word for it.
            let word = unsafe { self.segment().local_word(self.page(), number) };
            let before = word.load(Ordering::Relaxed);
            let cached = if number == held_word { held.1 } else { 0 };
            let twice = (before | cached) & bits;
            if twice != 0 {
                let slot = self.address_of(number * 64 + twice.trailing_zeros() as usize);
                return (count, Err(slot));
            }
            word.store(before | bits, Ordering::Relaxed);
            lowest = lowest.min(number);
            count += run;
        }
        self.hint.set(lowest as u8);
        let free = self.free_count() + count;
        self.free_count.store(free as u16, Ordering::Relaxed);
        (count, Ok(free))
    }

    /// Whether the bitmap holds slot `index`.
    pub(crate) fn holds(&self, index: usize) -> bool {
        bitmap::is_set(self.words(), index)
    }

    /// Says whether a large block is kept for later, its one slot free, or handed out.
    pub(crate) fn set_large_free(&self, is_free: bool) {
        debug_assert!(self.is_large());
        self.free_count.store(u16::from(is_free), Ordering::Relaxed);
    }

    /// After the span of a large block changed its length in place.
    pub(crate) fn resize_large(&self, bytes: usize) {
        debug_assert!(self.is_large());
        let (old, new) = (self.page_count.get() as usize, bytes / PAGE_BYTES);
        let page = self.page();
        let (head, record) = (self.segment(), SegmentHead::record_index_for(page));
        if new > old {
            head.set_page_records(page + old, new - old, Some(record));
        } else {
            head.set_page_records(page + new, old - new, None);
        }
        self.page_count.set(new as u16);
        self.slot_bytes.set(bytes as u32);
    }

    pub(crate) fn is_partial(&self) -> bool {
        self.is_partial.get()
    }

    fn links(&self, list: List) -> (&Cell<*const SlabHead>, &Cell<*const SlabHead>) {
        match list {
            List::Partial => (&self.next_partial, &self.prev_partial),
            List::All => (&self.next_all, &self.prev_all),
        }
    }

    /// Puts the slab in front of the list that starts at `first`.
    pub(crate) fn link(&self, list: List, first: &Cell<*const SlabHead>) {
        let (next, prev) = self.links(list);
        next.set(first.get());
        prev.set(null());
        // SAFETY: a list holds live slabs of one owner, who is the caller.
        if let Some(old) = unsafe { first.get().as_ref() } {
            old.links(list).1.set(self);
        }
        first.set(self);
        if matches!(list, List::Partial) {
            self.is_partial.set(true);
        }
    }

    /// Takes the slab out of the list that starts at `first`.
    pub(crate) fn unlink(&self, list: List, first: &Cell<*const SlabHead>) {
        let (next, prev) = self.links(list);
        // SAFETY: a list holds live slabs of one owner, who is the caller.
        match unsafe { prev.get().as_ref() } {
            Some(before) => before.links(list).0.set(next.get()),
            None => first.set(next.get()),
        }
        // SAFETY: as above.
        if let Some(after) = unsafe { next.get().as_ref() } {
            after.links(list).1.set(prev.get());
        }
        if matches!(list, List::Partial) {
            self.is_partial.set(false);
        }
    }

    /// The slab after this one in the list of all.
    pub(crate) fn next(&self, list: List) -> *const SlabHead {
        self.links(list).0.get()
    }
}

#[cfg(all(unix, feature = "std"))]
/// What the process's heap needs beyond that.
impl SlabHead {
    /// The slab or large block that `address` lies in, whoever it belongs to.
    ///
    /// # Safety
    /// `address` lies in a live block of the caller's, which pins its record, or in no segment.
    pub(crate) unsafe fn of(address: usize) -> Option<&'static SlabHead> {
        if !registry::is_segment(address) {
            return None;
        }
        // SAFETY: registered, just asked.
        let head = unsafe { SegmentHead::of(address) };
        let record = head.record_of_page(page_index(address))?;
        // SAFETY: a page that names a record belongs to a live slab (I3).
        Some(unsafe { record.cast::<SlabHead>().as_ref() })
    }

    /// Whether it belongs to the process's thread heaps.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The owner as the word that `heap/process/remote.rs` changes.
    pub(crate) fn owner_word(&self) -> &AtomicUsize {
        &self.owner
    }

    /// Slots freed by threads that do not own the slab, one bit each.
    pub(crate) fn remote_words(&self) -> &'static [AtomicU64] {
        let count = bitmap::words_for(self.slot_count as usize);
        self.segment().remote_words(self.page(), count)
    }

    /// Whether another thread freed slot `index` and the owner did not collect it yet.
    pub(crate) fn holds_remote(&self, index: usize) -> bool {
        bitmap::is_set(self.remote_words(), index)
    }

    /// The link of an owner's inbox: that of the list of all, which shared slabs are not in.
    pub(crate) fn inbox_link(&self) -> &Cell<*const SlabHead> {
        &self.next_all
    }
}

/// A pointer to the slot at `address`, with the segment's exposed provenance: a freed pointer came
/// back narrowed to the user's value, so stacks keep addresses and pointers are issued anew.
///
/// # Safety
/// `address` is a slot's.
#[inline(always)]
pub(crate) unsafe fn slot_at(address: usize) -> NonNull<u8> {
    // SAFETY: slots are never at address 0.
    unsafe { NonNull::new_unchecked(core::ptr::with_exposed_provenance_mut(address)) }
}

/// The owner of the slab that `slot` lies in: a mask and two loads.
///
/// # Safety
/// `slot` lies in a live slab of some owner that is an address.
#[inline(always)]
pub(crate) unsafe fn owner_of(slot: NonNull<u8>) -> *const () {
    // SAFETY: the caller's promise.
    let slab = unsafe { SlabHead::of_slot(slot.addr().get()) };
    core::ptr::with_exposed_provenance(slab.owner())
}
