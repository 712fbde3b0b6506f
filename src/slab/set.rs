//! The slabs and large blocks of one owner: taking, releasing and counting their spans.
//!
//! I1: every slab and large block of the owner is in the list of all, and `active` is the sum of
//! their bytes.
//! I2: used by one thread at a time.

use core::cell::Cell;
use core::ptr::{NonNull, null};

use crate::base::error::AllocError;
use crate::pages::{Pages, Room, Span};
use crate::slab::owner::SlabOwner;
use crate::slab::raw::{List, SlabHead};
use crate::slab::shape::SlotShape;
use crate::slab::spares::Spares;

/// What the stacks of one owner may hold together beyond their first entries: it is what five
/// hundred idle threads can strand, half a gigabyte; a single busy class fills an eighth of it.
pub(crate) const STACKS_BYTES_MAX: usize = 1 << 20;

/// Counts `bytes` of stack room against the bound of an owner.
pub(crate) fn may_cache(count: &Cell<usize>, bytes: usize) -> bool {
    let sum = count.get() + bytes;
    let may = sum <= STACKS_BYTES_MAX;
    if may {
        count.set(sum);
    }
    may
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct SlabSet {
    pages: Option<&'static Pages>,
    /// What slabs name as their owner; never 0 once something was taken.
    owner: Cell<usize>,
    all: Cell<*const SlabHead>,
    active: Cell<usize>,
    /// Bytes of slots that stacks were lengthened by.
    cached_max: Cell<usize>,
    /// Large blocks kept for later: of the list and counted, like those in use.
    spares: Spares,
    limit: usize,
}

impl SlabSet {
    pub(crate) const fn new(pages: Option<&'static Pages>, limit: usize) -> SlabSet {
        SlabSet {
            pages,
            owner: Cell::new(0),
            all: Cell::new(null()),
            active: Cell::new(0),
            cached_max: Cell::new(0),
            spares: Spares::new(),
            limit,
        }
    }

    pub(crate) fn pages(&self) -> &'static Pages {
        self.pages.unwrap_or_else(Pages::global)
    }

    pub(crate) fn owner(&self) -> usize {
        self.owner.get()
    }

    pub(crate) fn set_owner(&self, owner: usize) {
        self.owner.set(owner);
    }

    /// Bytes of spans, large and huge blocks.
    pub(crate) fn active(&self) -> usize {
        self.active.get()
    }

    /// Counts `bytes` against the owner's limit.
    pub(crate) fn charge(&self, bytes: usize) -> Result<(), AllocError> {
        match self.active.get().checked_add(bytes) {
            Some(sum) if sum <= self.limit => {
                self.active.set(sum);
                Ok(())
            }
            _ => Err(AllocError::OwnerLimit {
                limit_bytes: self.limit,
            }),
        }
    }

    pub(crate) fn discharge(&self, bytes: usize) {
        self.active.set(self.active.get() - bytes);
    }

    /// A span, counted.
    pub(crate) fn take_span(&self, bytes: usize, align: usize) -> Result<Span, AllocError> {
        self.take_span_in(bytes, align, Room::Fit)
    }

    fn take_span_in(&self, bytes: usize, align: usize, room: Room) -> Result<Span, AllocError> {
        self.charge(bytes)?;
        let taken = self.pages().take_span_in(bytes, align, room);
        let span = taken.inspect_err(|_| self.discharge(bytes))?;
        // Rounding is part of the span's kind; callers ask for rounded sizes.
        debug_assert_eq!(span.bytes, bytes);
        Ok(span)
    }

    /// A large block of a whole number of units that was kept. Its contents are undefined.
    #[inline]
    pub(crate) fn take_spare(&self, bytes: usize, align: usize) -> Option<&'static SlabHead> {
        self.spares.take(bytes, align)
    }

    /// A new large block of a whole number of units, and whether it reads as zero.
    pub(crate) fn add_large(
        &self,
        bytes: usize,
        align: usize,
        room: Room,
    ) -> Result<(&'static SlabHead, bool), AllocError> {
        let span = self.take_span_in(bytes, align, room)?;
        // SAFETY: just taken.
        let block = unsafe { SlabHead::create_large(&span, self.owner.get(), false) };
        block.link(List::All, &self.all);
        Ok((block, span.zeroed))
    }

    /// Keeps a large block for later, or gives it back.
    ///
    /// # Safety
    /// It is the owner's, and nobody uses it.
    pub(crate) unsafe fn remove_large(&self, block: &'static SlabHead) {
        // SAFETY: the owner's, as is what was kept before, and nobody uses it; large blocks are in
        // no partial list.
        let release = |block| unsafe { self.remove(block) };
        self.spares.keep(self.pages(), block, release);
    }

    /// Gives back the large blocks that are kept.
    pub(crate) fn release_spares(&self) {
        // SAFETY: what was kept is the owner's, and nobody uses it.
        let release = |block| unsafe { self.remove(block) };
        self.spares.release_all(release);
    }

    /// Gives everything back.
    ///
    /// # Safety
    /// Nobody uses any slot or block of the set, and no partial list is used again.
    pub(crate) unsafe fn remove_all(&self) {
        self.release_spares();
        // SAFETY: the list holds live slabs.
        while let Some(slab) = unsafe { self.all.get().as_ref() } {
            // SAFETY: the caller's promise.
            unsafe { self.remove(slab) };
        }
    }

    /// Every slab and large block, newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static SlabHead> + '_ {
        let mut at = self.all.get();
        core::iter::from_fn(move || {
            // SAFETY: the list holds live slabs, and nothing is removed while it is walked (I2).
            let slab = unsafe { at.as_ref() }?;
            at = slab.next(List::All);
            Some(slab)
        })
    }
}

impl SlabOwner for SlabSet {
    fn add_slab(&self, shape: &SlotShape, bytes: usize) -> Result<&'static SlabHead, AllocError> {
        let span = self.take_span(bytes, 1)?;
        // SAFETY: just taken.
        let slab = unsafe { SlabHead::create(&span, shape, self.owner.get(), false) };
        slab.link(List::All, &self.all);
        Ok(slab)
    }

    fn may_cache(&self, bytes: usize) -> bool {
        may_cache(&self.cached_max, bytes)
    }

    unsafe fn remove(&self, slab: &SlabHead) {
        slab.unlink(List::All, &self.all);
        let holes = slab.hole_bytes();
        self.discharge(slab.span_bytes() - holes);
        let (ptr, bytes) = slab.retire();
        // SAFETY: the slab's span, which nobody uses any more.
        unsafe { self.pages().release_holed(ptr, bytes, holes) };
    }

    unsafe fn give_up(&self, start: NonNull<u8>, bytes: usize) -> bool {
        // SAFETY: the caller's promise.
        let given = unsafe { self.pages().give_up(start, bytes) };
        if given {
            self.discharge(bytes);
        }
        given
    }

    fn take_back(&self, bytes: usize) -> Result<(), AllocError> {
        self.charge(bytes)?;
        let taken = self.pages().take_back(bytes);
        taken.inspect_err(|_| self.discharge(bytes))
    }

    fn find(&self, address: usize) -> Option<&'static SlabHead> {
        SlabHead::of_owner(address, self.owner.get())
    }
}
