//! Holes: whole pages of a slab in use that no live slot reaches, returned to the system.
//!
//! A single survivor keeps its slab. What lies between the survivors goes back all the same when
//! somebody asks for a trim: the bitmap knows every slot that is free. A hole costs a page fault
//! when it is used again, so slots outside holes are taken first.
//!
//! A record has 32 bits for its holes, one per *stretch* of pages: a page each up to 128 KiB, four
//! pages in the longest slabs.
//!
//! * I1: a stretch that is a hole holds no memory and is not charged; every slot that reaches into
//!   it is free, in the bitmap.
//! * I2: only slabs of whole units have holes, and large blocks have none.
//!
//! Subject: the pages of a slab; `raw.rs` knows its slots.

use core::ops::Range;
use core::ptr::NonNull;

use crate::base::bitmap;
use crate::base::error::AllocError;
use crate::base::geometry::{PAGE_BYTES, PAGES_PER_UNIT};
use crate::base::sync::Ordering;
use crate::slab::raw::SlabHead;

/// Stretches that a record has bits for.
const STRETCHES: usize = u32::BITS as usize;

impl SlabHead {
    /// Bytes of a stretch.
    fn stretch_bytes(&self) -> usize {
        (self.span_bytes() / PAGE_BYTES).div_ceil(STRETCHES) * PAGE_BYTES
    }

    /// The bytes of stretches from number `range.start` on, as offsets in the slab.
    fn stretches(&self, range: Range<usize>) -> Range<usize> {
        let bytes = self.stretch_bytes();
        range.start * bytes..(range.end * bytes).min(self.span_bytes())
    }

    /// The slots that reach into these bytes of the slab.
    fn slots_in(&self, bytes: Range<usize>) -> Range<usize> {
        let end = bytes.end.div_ceil(self.slot_bytes());
        (bytes.start / self.slot_bytes()).min(self.slot_count())..end.min(self.slot_count())
    }

    /// Bytes of the slab's holes.
    #[inline]
    pub(crate) fn hole_bytes(&self) -> usize {
        match self.holes.get() {
            0 => 0,
            holes => self.bytes_of(holes),
        }
    }

    #[cold]
    fn bytes_of(&self, holes: u32) -> usize {
        let hole = |number: usize| holes >> number & 1 == 1;
        let bytes = |number| self.stretches(number..number + 1).len();
        (0..STRETCHES)
            .filter(|number| hole(*number))
            .map(bytes)
            .sum()
    }

    /// Gives to `give_up` every run of stretches that could be a hole and is none; those that it
    /// takes are holes then. Returns their bytes.
    pub(super) fn punch(&self, give_up: impl Fn(NonNull<u8>, usize) -> bool) -> usize {
        let free_bytes = self.free_count() * self.slot_bytes();
        let is_whole = self.span_bytes() / PAGE_BYTES >= PAGES_PER_UNIT && !self.is_large();
        if !is_whole || free_bytes < self.hole_bytes() + self.stretch_bytes() {
            return 0;
        }
        let count = self.span_bytes().div_ceil(self.stretch_bytes());
        let may = |number: usize| {
            let slots = self.slots_in(self.stretches(number..number + 1));
            self.holes.get() >> number & 1 == 0 && bitmap::all_set(self.words(), slots)
        };
        let (mut number, mut given) = (0, 0);
        while number < count {
            let run = (number..count).take_while(|number| may(*number)).count();
            if run > 0 {
                let bytes = self.stretches(number..number + run);
                // SAFETY: the offset lies in the span.
                let start = unsafe { self.base().add(bytes.start) };
                if give_up(start, bytes.len()) {
                    let bits = (u32::MAX >> (STRETCHES - run)) << number;
                    self.holes.set(self.holes.get() | bits);
                    given += bytes.len();
                }
            }
            number += run + 1;
        }
        given
    }

    /// The bits of the slots of word `index` that reach into a hole.
    fn holes_under(&self, index: usize) -> u64 {
        let mut mask = 0;
        for number in (0..STRETCHES).filter(|number| self.holes.get() >> number & 1 == 1) {
            let slots = self.slots_in(self.stretches(number..number + 1));
            let (from, to) = (slots.start.max(index * 64), slots.end.min(index * 64 + 64));
            if from < to {
                mask |= (u64::MAX >> (64 - (to - from))) << (from % 64);
            }
        }
        mask
    }

    /// Takes the slots of the first word that are free and reach into no hole; those that do stay.
    #[cold]
    #[inline(never)]
    pub(super) fn take_beside_holes(&self) -> Option<(usize, u64)> {
        self.words().iter().enumerate().find_map(|(index, word)| {
            let free = word.load(Ordering::Relaxed);
            let taken = free & !self.holes_under(index);
            word.store(free & !taken, Ordering::Relaxed);
            (taken != 0).then_some((index, taken))
        })
    }

    /// Ends the holes that the first free slot reaches into, if `take_back` accepts their bytes.
    pub(super) fn fill_hole(
        &self,
        take_back: impl Fn(usize) -> Result<(), AllocError>,
    ) -> Result<(), AllocError> {
        let free = |index: &usize| bitmap::is_set(self.words(), *index);
        let Some(slot) = (0..self.slot_count()).find(free) else {
            return Ok(());
        };
        let start = slot * self.slot_bytes();
        let first = start / self.stretch_bytes();
        let last = (start + self.slot_bytes() - 1) / self.stretch_bytes();
        let bits = (u32::MAX >> (STRETCHES - 1 - (last - first))) << first & self.holes.get();
        let kept = self.holes.get() & !bits;
        let before = self.hole_bytes();
        self.holes.set(kept);
        let filled = take_back(before - self.hole_bytes());
        if filled.is_err() {
            self.holes.set(kept | bits);
        }
        filled
    }
}
