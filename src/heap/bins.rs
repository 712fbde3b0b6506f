//! One bin per size class, and the room that their stacks lie in: what every heap is made of.
//!
//! The class is a function of (size, align) alone and Rust's frees carry their layout, so freeing
//! looks nothing up. Whose the slabs are is the [`SlabOwner`]'s concern.
//!
//! * I1: `bins[c]` holds slots of `CLASS_BYTES[c]` bytes from slabs of the bins' owner alone (a
//!   thread heap's stacks: from slabs of any thread heap).
//! * I2: with [`Check::Full`](crate::Check::Full) stacks have no room and words are never kept, so
//!   that every operation reaches `check.rs` without a branch on the fast path.

use core::cell::Cell;
use core::ptr::{NonNull, null_mut};

use crate::base::error::AllocError;
use crate::base::size_class::{CLASS_BYTES, CLASS_COUNT};
use crate::heap::check;
use crate::pages::purge::RELEASES_PER_LOOK;
use crate::pages::{Pages, Span};
use crate::slab::bin::Bin;
use crate::slab::owner::SlabOwner;
use crate::slab::shape::SlotShape;

/// How slots of each class are cut.
pub(crate) const SHAPES: [SlotShape; CLASS_COUNT] = {
    let mut shapes = [const { SlotShape::new(16, 16) }; CLASS_COUNT];
    let mut class = 0;
    while class < CLASS_COUNT {
        shapes[class] = SlotShape::new(CLASS_BYTES[class] as usize, 16);
        class += 1;
    }
    shapes
};

/// The shapes as a static: one copy, whose parts the slow paths refer to.
pub(crate) static SHAPE_TABLE: [SlotShape; CLASS_COUNT] = SHAPES;

/// First entry of each class's stack in the room, and the number of entries in all at the end.
const STACK_OFFSETS: [usize; CLASS_COUNT + 1] = {
    let mut offsets = [0; CLASS_COUNT + 1];
    let mut class = 0;
    while class < CLASS_COUNT {
        offsets[class + 1] = offsets[class] + SHAPES[class].stack_max as usize;
        class += 1;
    }
    offsets
};

/// Room for every stack at full length: a piece of a shared unit, of which only the pages that are
/// used become resident.
pub(crate) const STACK_ROOM_BYTES: usize = 16 << 10;
const _: () = assert!(STACK_OFFSETS[CLASS_COUNT] * size_of::<usize>() <= STACK_ROOM_BYTES);

/// See the module's header. Nothing is held at first: each operation fails into the slow path.
pub(crate) struct Bins {
    bins: [Bin; CLASS_COUNT],
    /// The stacks' room, or null before the first free.
    room: Cell<*mut usize>,
    /// Steps on the slow path.
    steps: Cell<usize>,
    /// How often the room was wanted and not there.
    wanted: Cell<usize>,
}

/// The room is asked for once in so many times when it was refused: at a limit each time would cost
/// a purge, and frees do without.
const WANTED_PER_ASK: usize = 256;

impl Bins {
    pub(crate) const fn new() -> Bins {
        Bins {
            bins: [const { Bin::new() }; CLASS_COUNT],
            room: Cell::new(null_mut()),
            steps: Cell::new(0),
            wanted: Cell::new(0),
        }
    }

    #[inline(always)]
    pub(crate) fn bin(&self, class: usize) -> &Bin {
        debug_assert!(class < CLASS_COUNT);
        // SAFETY: classes come from `class_of`, whose results are below `CLASS_COUNT` (tested for
        // every size and alignment).
        unsafe { self.bins.get_unchecked(class) }
    }

    /// A slot of the class, and what `slot` makes of its address and of whether it reads as zero;
    /// or what `refill` returns when the bin holds none.
    #[inline(always)]
    pub(crate) fn take<R>(
        &self,
        class: usize,
        slot: impl Fn(usize, bool) -> R,
        refill: impl FnOnce() -> R,
    ) -> R {
        let bin = self.bin(class);
        match bin.pop() {
            Some(address) => slot(address, false),
            None => match bin.pop_word(CLASS_BYTES[class] as usize) {
                Some(address) => slot(address, bin.word_is_zeroed()),
                None => refill(),
            },
        }
    }

    /// A slot when stack and word are empty, and whether it reads as zero.
    pub(crate) fn refill(
        &self,
        owner: &impl SlabOwner,
        class: usize,
        is_full: bool,
    ) -> Result<(usize, bool), AllocError> {
        let (bin, shape) = (&self.bins[class], &SHAPE_TABLE[class]);
        let address = bin.refill(owner, shape)?;
        if is_full {
            check::keep_one(bin, owner, shape, address);
        }
        Ok((address, bin.word_is_zeroed()))
    }

    /// Frees a slot when its stack has no room. `take` finds the stacks' room where there is none
    /// yet; where it is refused frees go straight to the bitmaps.
    pub(crate) fn push_slow(
        &self,
        owner: &impl SlabOwner,
        class: usize,
        address: usize,
        take: impl FnOnce() -> Result<Span, AllocError>,
    ) {
        let mut stack = self.room(take);
        if !stack.is_null() {
            // SAFETY: the offsets lie in the room (const assertion).
            stack = unsafe { stack.add(STACK_OFFSETS[class]) };
        }
        self.bins[class].push_slow(owner, &SHAPE_TABLE[class], stack, address);
    }

    /// Counts a step on the slow path, and now and then does its part of what is due to whoever
    /// comes by.
    pub(crate) fn come_by(&self, pages: &Pages) {
        let steps = self.steps.get().wrapping_add(1);
        self.steps.set(steps);
        if steps % RELEASES_PER_LOOK == 0 {
            pages.purge_if_due();
        }
    }

    /// The room of `STACK_ROOM_BYTES`, taken on first use; null when refused.
    pub(crate) fn room(&self, take: impl FnOnce() -> Result<Span, AllocError>) -> *mut usize {
        if self.room.get().is_null() {
            let wanted = self.wanted.get();
            self.wanted.set(wanted.wrapping_add(1));
            if wanted % WANTED_PER_ASK == 0 {
                if let Ok(span) = take() {
                    self.wanted.set(0);
                    self.room.set(span.ptr.as_ptr().cast());
                }
            }
        }
        self.room.get()
    }

    /// The room, if it was taken.
    pub(crate) fn taken_room(&self) -> Option<NonNull<usize>> {
        NonNull::new(self.room.get())
    }

    /// Gives the room up, after [`Bins::trim`]; it is the caller's then.
    #[cfg(all(unix, feature = "std"))]
    pub(crate) fn end_room(&self) -> Option<NonNull<usize>> {
        let room = NonNull::new(self.room.replace(null_mut()))?;
        self.bins.iter().for_each(Bin::end_stack);
        Some(room)
    }

    /// Gives everything cached back and releases empty slabs.
    pub(crate) fn trim(&self, owner: &impl SlabOwner) {
        for (bin, shape) in self.bins.iter().zip(&SHAPE_TABLE) {
            bin.trim(owner, shape);
        }
    }

    /// Returns the pages between live slots to the system, after a trim. Returns their bytes. Not
    /// with full checks, where freed memory is filled.
    pub(crate) fn punch(&self, owner: &impl SlabOwner) -> usize {
        self.bins.iter().map(|bin| bin.punch(owner)).sum()
    }

    /// Bytes of the slots in stacks and cached words.
    pub(crate) fn cached_bytes(&self) -> usize {
        let cached =
            |(bin, bytes): (&Bin, u32)| (bin.cached().len() + bin.word_count()) * bytes as usize;
        self.bins.iter().zip(CLASS_BYTES).map(cached).sum()
    }
}
