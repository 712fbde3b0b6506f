//! The fast path for slots of one size: a stack and a cached word in front of the slabs.
//!
//! Alloc: the stack has a slot, pop it; else the cached 64-bit word has one, take its lowest;
//! else refill. Free: the stack has room, push; else flush the older half into the bitmaps. The
//! stack (jemalloc's and Bonwick's array cache) makes reuse cheap; the word (as in Go's allocation
//! cache and libpas) makes slots never used cheap. Either alone loses where the other wins.
//!
//! * I1: `base <= top <= limit`; `base..top` holds addresses of slots that nobody else holds.
//! * I2: bit i of `word` is the slot at `word_base + i * slot_bytes`, held by this bin.
//! * I3: freed memory is never written.
//! * I4: the partial list holds the slabs of this size with a free slot in their bitmap, and those
//!   that another thread announced a free slot of.

use core::cell::Cell;
use core::ptr::null;

use crate::base::error::{AllocError, FreeError};
use crate::base::geometry::UNIT_BYTES;
use crate::base::trap::misuse;
use crate::slab::owner::SlabOwner;
use crate::slab::raw::{List, SlabHead, TakenWord};
use crate::slab::shape::SlotShape;

/// Slots a stack starts with. It doubles each time it fills, so short-lived owners stay small.
pub(crate) const STACK_FIRST: usize = 8;

/// Slow frees between two looks at a partial list, at least: a free-only owner's list is short.
#[cfg(all(unix, feature = "std"))]
const LOOK_LEAST: u32 = 64;

/// See the module's header. All zero when nothing was allocated: then it holds nothing.
///
/// A line of its own: the next bin's are not loaded with it, and a class becomes an address by a
/// shift.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Bin {
    top: Cell<*mut usize>,
    base: Cell<*mut usize>,
    limit: Cell<*mut usize>,
    word: Cell<u64>,
    word_base: Cell<usize>,
    partial: Cell<*const SlabHead>,
    /// The cached word's slots read as zero.
    word_zeroed: Cell<bool>,
    /// The cached word's slots were never handed out before.
    word_untouched: Cell<bool>,
    /// Empty slabs that are kept in the partial list: one, so that alloc and free of a single slot
    /// do not take and release a span each time.
    kept_count: Cell<u8>,
    /// How often the slabs' length doubled so far.
    doublings: Cell<u8>,
    /// Frees on the slow path until the whole partial list is looked at.
    #[cfg_attr(
        not(all(unix, feature = "std")),
        expect(
            dead_code,
            reason = "nobody else frees into slabs without thread heaps"
        )
    )]
    frees_to_look: Cell<u32>,
}

const _: () = assert!(usize::BITS != 64 || size_of::<Bin>() == 64);

impl Bin {
    pub(crate) const fn new() -> Bin {
        Bin {
            top: Cell::new(core::ptr::null_mut()),
            base: Cell::new(core::ptr::null_mut()),
            limit: Cell::new(core::ptr::null_mut()),
            word: Cell::new(0),
            word_base: Cell::new(0),
            partial: Cell::new(null()),
            word_zeroed: Cell::new(false),
            word_untouched: Cell::new(false),
            kept_count: Cell::new(0),
            doublings: Cell::new(0),
            frees_to_look: Cell::new(0),
        }
    }

    /// The newest slot of the stack.
    #[inline(always)]
    pub(crate) fn pop(&self) -> Option<usize> {
        let top = self.top.get();
        if top == self.base.get() {
            return None;
        }
        // SAFETY: `top` is above `base`, so the entry below it is in the stack (I1).
        unsafe {
            let entry = top.sub(1);
            self.top.set(entry);
            Some(entry.read())
        }
    }

    /// The lowest slot of the cached word. `slot_bytes` is the shape's, passed so that it can be a
    /// constant.
    #[inline(always)]
    pub(crate) fn pop_word(&self, slot_bytes: usize) -> Option<usize> {
        let word = self.word.get();
        if word == 0 {
            return None;
        }
        self.word.set(word & (word - 1));
        Some(self.word_base.get() + word.trailing_zeros() as usize * slot_bytes)
    }

    /// Puts a slot on the stack; `false` when it is full (or there is none).
    #[inline(always)]
    pub(crate) fn push(&self, slot: usize) -> bool {
        let top = self.top.get();
        if top == self.limit.get() {
            return false;
        }
        // SAFETY: `top` is below `limit`, so there is room (I1).
        unsafe {
            top.write(slot);
            self.top.set(top.add(1));
        }
        true
    }

    /// Whether the slots of the cached word (also the one just taken) read as zero.
    #[inline(always)]
    pub(crate) fn word_is_zeroed(&self) -> bool {
        self.word_zeroed.get()
    }

    /// Whether the slots of the cached word were never handed out before it was taken.
    pub(crate) fn word_is_untouched(&self) -> bool {
        self.word_untouched.get()
    }

    /// Takes the next word and takes its first slot. Stack and word are empty.
    #[cold]
    pub(crate) fn refill(
        &self,
        owner: &impl SlabOwner,
        shape: &SlotShape,
    ) -> Result<usize, AllocError> {
        debug_assert_eq!(self.word.get(), 0);
        let slab = match self.usable_partial(owner) {
            Some(slab) => slab,
            None => self.add_slab(owner, shape)?,
        };
        let (slab, taken) = match slab.take_word() {
            Some(taken) => (slab, taken),
            None => self.take_from_hole(owner, slab)?,
        };
        if slab.is_kept.replace(false) {
            self.kept_count.set(self.kept_count.get() - 1);
        }
        if slab.free_count() == 0 {
            slab.unlink(List::Partial, &self.partial);
            if !owner.used_up(slab) {
                slab.link(List::Partial, &self.partial);
            }
        }
        let lowest = taken.word.trailing_zeros() as usize;
        self.word.set(taken.word & (taken.word - 1));
        self.word_base.set(slab.address_of(taken.first));
        self.word_zeroed.set(taken.zeroed);
        self.word_untouched.set(taken.untouched);
        Ok(slab.address_of(taken.first + lowest))
    }

    /// The first slab of the partial list with a free slot, counting what other threads gave back.
    fn usable_partial(&self, owner: &impl SlabOwner) -> Option<&'static SlabHead> {
        self.partial_slabs()
            .find(|slab| slab.free_count() > 0 || owner.collect(slab) > 0)
    }

    /// The slabs of the partial list; one may be taken out of it once it was returned.
    fn partial_slabs(&self) -> impl Iterator<Item = &'static SlabHead> + '_ {
        let mut at = self.partial.get();
        core::iter::from_fn(move || {
            // SAFETY: the list holds live slabs (I4); the next one is read before the caller gets
            // this one.
            let slab = unsafe { at.as_ref() }?;
            at = slab.next(List::Partial);
            Some(slab)
        })
    }

    /// A word of `slab`, whose free slots reach into holes; of another slab where the memory for
    /// that is refused.
    #[cold]
    fn take_from_hole(
        &self,
        owner: &impl SlabOwner,
        slab: &'static SlabHead,
    ) -> Result<(&'static SlabHead, TakenWord), AllocError> {
        let word = |slab: &'static SlabHead| Some((slab, slab.take_word()?));
        match slab.fill_hole(|bytes| owner.take_back(bytes)) {
            Ok(()) => Ok(word(slab).unwrap_or_else(|| {
                misuse(
                    "internal: a partial slab without a free slot",
                    slab.base().addr().get(),
                )
            })),
            Err(error) => self.partial_slabs().find_map(word).ok_or(error),
        }
    }

    /// Returns the pages between live slots to the system, after a trim. Returns their bytes.
    pub(crate) fn punch(&self, owner: &impl SlabOwner) -> usize {
        // SAFETY: whole pages of the owner's slab, and no slot that reaches there is in use.
        let give_up = |start, bytes| unsafe { owner.give_up(start, bytes) };
        self.partial_slabs().map(|slab| slab.punch(give_up)).sum()
    }

    /// Takes in a slab of this size that other threads gave slots back to (or will, any moment).
    #[cfg(all(unix, feature = "std"))]
    pub(crate) fn take_in(&self, owner: &impl SlabOwner, slab: &'static SlabHead) {
        owner.collect(slab);
        if !slab.is_partial() {
            slab.link(List::Partial, &self.partial);
        }
        if slab.is_empty() {
            self.keep_or_release(owner, slab);
        }
    }

    /// After a free on the slow path. Slots that come back after their slab's notice was dealt with
    /// are announced by nobody and found at the next look for slots, which an owner that only frees
    /// never takes. So it looks now and then, as often as the list's length allows: on the average
    /// at one slab per call.
    #[cfg(all(unix, feature = "std"))]
    pub(crate) fn look_now_and_then(&self, owner: &impl SlabOwner) {
        let left = self.frees_to_look.get();
        if left > 0 {
            self.frees_to_look.set(left - 1);
            return;
        }
        let mut count = 0;
        for slab in self.partial_slabs() {
            count += 1;
            if owner.collect(slab) > 0 && slab.is_empty() {
                self.keep_or_release(owner, slab);
            }
        }
        self.frees_to_look.set(LOOK_LEAST.max(count));
    }

    /// A new slab in the partial list: a small one first, then twice as large each time up to the
    /// shape's span; a small one again where a limit refuses more.
    fn add_slab(
        &self,
        owner: &impl SlabOwner,
        shape: &SlotShape,
    ) -> Result<&'static SlabHead, AllocError> {
        let doublings = self.doublings.get();
        let wanted = shape.slab_bytes(doublings);
        let mut made = owner.add_slab(shape, wanted);
        if made.is_err() && doublings > 0 {
            made = owner.add_slab(shape, shape.slab_bytes(0));
        }
        let slab = made?;
        if wanted < shape.span_bytes as usize {
            self.doublings.set(doublings + 1);
        }
        slab.link(List::Partial, &self.partial);
        Ok(slab)
    }

    /// Frees a slot when the stack has no room: starts or lengthens it, or flushes its older
    /// half. `storage` is room for `shape.stack_max` entries, null for none.
    #[cold]
    pub(crate) fn push_slow(
        &self,
        owner: &impl SlabOwner,
        shape: &SlotShape,
        storage: *mut usize,
        slot: usize,
    ) {
        let max = shape.stack_max as usize;
        if self.base.get().is_null() {
            if storage.is_null() {
                self.give(owner, shape, &[slot]);
                return;
            }
            self.base.set(storage);
            self.top.set(storage);
            self.set_capacity(STACK_FIRST.min(max));
        } else if !self.lengthen(owner, shape) {
            let capacity = self.capacity();
            self.flush(owner, shape, capacity - capacity / 2);
        }
        let pushed = self.push(slot);
        debug_assert!(pushed, "room was just made");
    }

    /// Doubles the stack, within its own bound and its owner's.
    fn lengthen(&self, owner: &impl SlabOwner, shape: &SlotShape) -> bool {
        let capacity = self.capacity();
        let wanted = (capacity * 2).min(shape.stack_max as usize);
        let bytes = (wanted - capacity) * shape.slot_bytes as usize;
        let may = wanted > capacity && owner.may_cache(bytes);
        if may {
            self.set_capacity(wanted);
        }
        may
    }

    fn capacity(&self) -> usize {
        (self.limit.get().addr() - self.base.get().addr()) / size_of::<usize>()
    }

    fn set_capacity(&self, entries: usize) {
        // SAFETY: `base` is room for `stack_max` entries, and `entries` is at most that.
        self.limit.set(unsafe { self.base.get().add(entries) });
    }

    /// Slots in the stack.
    pub(crate) fn cached(&self) -> &[usize] {
        if self.base.get().is_null() {
            return &[];
        }
        let count = (self.top.get().addr() - self.base.get().addr()) / size_of::<usize>();
        // SAFETY: `base..top` is initialised (I1); nobody writes it while the slice is used, since
        // the bin is used by one thread and the callers do not allocate meanwhile.
        unsafe { core::slice::from_raw_parts(self.base.get(), count) }
    }

    /// Slots in the cached word.
    pub(crate) fn word_count(&self) -> usize {
        self.word.get().count_ones() as usize
    }

    /// Gives the `count` oldest slots of the stack back to their slabs.
    fn flush(&self, owner: &impl SlabOwner, shape: &SlotShape, count: usize) {
        let cached = self.cached();
        let kept = cached.len() - count;
        self.give(owner, shape, &cached[..count]);
        let base = self.base.get();
        // SAFETY: `kept` entries follow the first `count`; both ranges lie in the stack (I1).
        unsafe {
            base.copy_from(base.add(count), kept);
            self.top.set(base.add(kept));
        }
    }

    /// Gives slots back to the bitmaps. Aborts on misuse that shows here: a pointer that is not a
    /// slot of this owner and size, or one that is free already.
    #[inline(never)]
    pub(crate) fn give(&self, owner: &impl SlabOwner, shape: &SlotShape, slots: &[usize]) {
        let mut left = slots;
        while let Some(&first) = left.first() {
            let found = owner.locate(first, shape);
            let (slab, index) = found.unwrap_or_else(|error| misuse(message(error), first));
            let count = if !owner.owns(slab) {
                self.give_word(owner, slab, left, index)
            } else if left.get(1).is_some_and(|next| next ^ first < UNIT_BYTES) {
                // What was freed together often lies in the same slab, and then mostly in one unit.
                self.give_run(owner, shape, slab, left)
            } else {
                let word_base = self.word_base.get();
                let in_word = first.wrapping_sub(word_base) < 64 * shape.slot_bytes as usize;
                // A slab's last word may have fewer slots, and then another slab behind it.
                let is_held = in_word && slab.base().addr().get() <= word_base;
                let held = if is_held { self.word.get() } else { 0 };
                let given = slab.give_slot(index, held);
                self.given(owner, slab, given.ok_or(first));
                1
            };
            left = &left[count..];
        }
    }

    /// Gives back the first of `slots`, those that lie in a slab of this owner. Returns how many.
    #[inline(always)]
    fn give_run(
        &self,
        owner: &impl SlabOwner,
        shape: &SlotShape,
        slab: &'static SlabHead,
        slots: &[usize],
    ) -> usize {
        let word = (self.word_base.get(), self.word.get());
        let (count, given) = slab.give_run(slots, shape, word);
        self.given(owner, slab, given);
        count
    }

    /// Gives back the first of `slots`, the one numbered `index` of a slab that is not this
    /// owner's, and those that follow it in the same word: they go in one step. Returns how many.
    fn give_word(
        &self,
        owner: &impl SlabOwner,
        slab: &'static SlabHead,
        slots: &[usize],
        index: usize,
    ) -> usize {
        let word_index = index / 64;
        let (mut mask, mut count) = (1u64 << (index % 64), 1);
        while let Some(&next) = slots.get(count).filter(|next| slab.contains(**next)) {
            let Some(index) = slab.index_of(next).filter(|at| at / 64 == word_index) else {
                break;
            };
            if mask >> (index % 64) & 1 == 1 {
                misuse(message(FreeError::DoubleFree), next);
            }
            mask |= 1 << (index % 64);
            count += 1;
        }
        if !owner.keeps(slab, word_index, mask) {
            return count;
        }
        // Nobody's before, it is this owner's now.
        let (twice, free) = slab.give_mask(word_index, mask, count);
        let given = match twice {
            0 => Ok(free),
            _ => Err(slab.address_of(word_index * 64 + twice.trailing_zeros() as usize)),
        };
        self.given(owner, slab, given);
        count
    }

    /// After slots went to the slab's bitmap, which holds so many now; or the address of one that
    /// it held before.
    #[inline(always)]
    fn given(&self, owner: &impl SlabOwner, slab: &'static SlabHead, given: Result<usize, usize>) {
        let free = given.unwrap_or_else(|slot| misuse(message(FreeError::DoubleFree), slot));
        if !slab.is_partial() {
            slab.link(List::Partial, &self.partial);
        }
        if free == slab.slot_count() {
            self.keep_or_release(owner, slab);
        }
    }

    /// A slab became empty: the first is kept, further ones go back to the pages.
    fn keep_or_release(&self, owner: &impl SlabOwner, slab: &'static SlabHead) {
        if slab.is_kept.get() || !owner.may_remove(slab) {
            return;
        }
        if self.kept_count.get() == 0 {
            self.kept_count.set(1);
            slab.is_kept.set(true);
            return;
        }
        slab.unlink(List::Partial, &self.partial);
        // SAFETY: every slot is back in the bitmap, and it is in no partial list any more.
        unsafe { owner.remove(slab) };
    }

    /// Whether this bin holds the slot, by stack, cached word or bitmap: then it is not live.
    pub(crate) fn holds(&self, slab: &SlabHead, index: usize) -> bool {
        let first = index / 64 * 64;
        let in_word = slab.address_of(first) == self.word_base.get()
            && self.word.get() >> (index % 64) & 1 == 1;
        in_word || slab.holds(index) || self.cached().contains(&slab.address_of(index))
    }

    /// Gives everything cached back and releases empty slabs.
    pub(crate) fn trim(&self, owner: &impl SlabOwner, shape: &SlotShape) {
        self.flush_all(owner, shape);
        for slab in self.partial_slabs() {
            owner.collect(slab);
            if slab.is_empty() && owner.may_remove(slab) {
                slab.unlink(List::Partial, &self.partial);
                // SAFETY: every slot is back, and it is in no partial list any more.
                unsafe { owner.remove(slab) };
            }
        }
        self.kept_count.set(0);
    }

    /// Forgets the room of the stack, which is empty.
    #[cfg(all(unix, feature = "std"))]
    pub(crate) fn end_stack(&self) {
        debug_assert!(self.cached().is_empty());
        for place in [&self.base, &self.top, &self.limit] {
            place.set(core::ptr::null_mut());
        }
    }

    fn flush_all(&self, owner: &impl SlabOwner, shape: &SlotShape) {
        let count = self.cached().len();
        if count > 0 {
            self.flush(owner, shape, count);
        }
        // One by one: a rare path, and it needs no slab look-up of its own.
        while let Some(slot) = self.pop_word(shape.slot_bytes as usize) {
            self.give(owner, shape, &[slot]);
        }
    }
}

/// The line printed before an abort. Constant text: tests match it.
pub(crate) fn message(error: FreeError) -> &'static str {
    match error {
        FreeError::DoubleFree => "double free",
        FreeError::Foreign => "free of a pointer that is not this owner's",
        FreeError::NotASlot => "free of a pointer into the middle of a slot",
        FreeError::WrongClass => "free with a layout of another size class",
    }
}
