//! A few large blocks that a heap keeps after they were freed, for its next ones of the same
//! length: such a pair then touches neither the pages' counters nor the table of a segment's pages.
//!
//! A block that is kept is a slab whose one slot is free, so a second free of it shows.
//!
//! I1: a place holds null or a large block that the heap holds and nobody uses. Each change is one
//! store, so that a forked child finds no half of one.

use core::cell::Cell;
use core::ptr::null;

use crate::pages::Pages;
use crate::pages::purge::RELEASES_PER_LOOK;
use crate::slab::raw::SlabHead;

/// Blocks that are kept: as many as a program commonly has buffers in turn.
const PLACES: usize = 4;
/// Bytes that they come to at most. The first touch of a longer block's pages takes a hundred times
/// as long as taking it, and each idle heap may hold so much.
pub(crate) const SPARES_BYTES_MAX: usize = 256 << 10;

/// See the module's header. All null when it is empty.
#[derive(Debug)]
pub(crate) struct Spares {
    places: [Cell<*const SlabHead>; PLACES],
    /// Blocks that were ever kept.
    count: Cell<usize>,
}

impl Spares {
    pub(crate) const fn new() -> Spares {
        Spares {
            places: [const { Cell::new(null()) }; PLACES],
            count: Cell::new(0),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&Cell<*const SlabHead>, &'static SlabHead)> {
        // SAFETY: what is kept is the heap's, and nobody releases it (I1).
        let block = |place: &Cell<*const SlabHead>| unsafe { place.get().as_ref() };
        self.places
            .iter()
            .filter_map(move |place| Some((place, block(place)?)))
    }

    /// A block of exactly `bytes` bytes at `align`. Its contents are undefined.
    #[inline]
    pub(crate) fn take(&self, bytes: usize, align: usize) -> Option<&'static SlabHead> {
        if bytes > SPARES_BYTES_MAX {
            return None;
        }
        let fits = |block: &SlabHead| {
            block.span_bytes() == bytes && block.base().addr().get() % align == 0
        };
        let (place, block) = self.iter().find(|(_, block)| fits(block))?;
        place.set(null());
        block.set_large_free(false);
        Some(block)
    }

    /// Keeps a block that nobody uses, and gives to `release` what must make room for it; or the
    /// block itself, if it is too long ever to be kept. Now and then it looks at the clock in the
    /// place of the release that did not happen.
    #[inline]
    pub(crate) fn keep(
        &self,
        pages: &Pages,
        block: &'static SlabHead,
        release: impl Fn(&'static SlabHead),
    ) {
        if block.span_bytes() > SPARES_BYTES_MAX {
            return release(block);
        }
        let place = loop {
            let empty = self.places.iter().find(|place| place.get().is_null());
            let fits = self.bytes() + block.span_bytes() <= SPARES_BYTES_MAX;
            match empty.filter(|_| fits) {
                Some(place) => break place,
                None => self.take_any().map(&release),
            };
        };
        block.set_large_free(true);
        place.set(block);
        let count = self.count.get().wrapping_add(1);
        self.count.set(count);
        if count % RELEASES_PER_LOOK == 0 {
            pages.purge_if_due();
        }
    }

    /// Gives all that is kept to `release`.
    pub(crate) fn release_all(&self, release: impl Fn(&'static SlabHead)) {
        while let Some(block) = self.take_any() {
            release(block);
        }
    }

    fn take_any(&self) -> Option<&'static SlabHead> {
        let (place, block) = self.iter().next()?;
        place.set(null());
        Some(block)
    }

    /// Bytes of what is kept.
    fn bytes(&self) -> usize {
        self.iter().map(|(_, block)| block.span_bytes()).sum()
    }
}
