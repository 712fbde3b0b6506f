//! What a thread heap does on its slow path: refill, flush, check, trim.
//!
//! Every step runs inside [`ThreadHeap::slow`] and counts what it took out of slabs and gave back.
//! With full checks freed slots wait in the one quarantine of the process, because any thread may
//! free a slot again.

use crate::base::error::AllocError;
use crate::base::size_class::CLASS_BYTES;
use crate::heap::bins::STACK_ROOM_BYTES;
use crate::heap::check::{Quarantine, free_checked};
use crate::heap::process::choices;
use crate::heap::process::heaps::insist;
use crate::heap::process::remote::HUGE_OWNER;
use crate::heap::process::thread::ThreadHeap;
use crate::pages::Pages;
use crate::slab::owner::SlabOwner;
use crate::slab::raw::SlabHead;

static QUARANTINE: Quarantine = Quarantine::new();

impl ThreadHeap {
    /// A slot when stack and word are empty, and whether it reads as zero.
    pub(super) fn refill(&self, class: usize) -> Result<(usize, bool), AllocError> {
        self.bins.come_by(Pages::global());
        let step = || {
            self.empty_inbox();
            let pressure = Pages::global().pressure();
            if self.pressure.replace(pressure) != pressure {
                self.drain_quarantine();
                self.trim_bins();
            }
            // What came back may be for this class, but in its slabs: a refill finds it there.
            let slot = self.bins.refill(self, class, choices::is_full())?;
            let count = 1 + self.bins.bin(class).word_count();
            self.count_taken(count * CLASS_BYTES[class] as usize);
            Ok(slot)
        };
        insist(Some(self), || self.slow(step))
    }

    /// Frees a slot when the stack has no room.
    pub(super) fn push_slow(&self, class: usize, address: usize) {
        self.bins.come_by(Pages::global());
        self.slow(|| {
            let (bin, slot_bytes) = (self.bins.bin(class), CLASS_BYTES[class] as usize);
            let before = bin.cached().len() + 1;
            if choices::is_full() {
                let delayed = (Some(&QUARANTINE), HUGE_OWNER);
                free_checked(&self.bins, self, delayed, class, address);
            } else {
                let take = || Pages::global().take_span(STACK_ROOM_BYTES, 1);
                self.bins.push_slow(self, class, address, take);
            }
            // With full checks nothing is cached, and what waits is not live.
            self.count_given((before - bin.cached().len()) * slot_bytes);
            self.empty_inbox();
            bin.look_now_and_then(self);
        });
    }

    /// Takes in what other threads gave back.
    pub(super) fn take_in(&self) {
        self.slow(|| self.empty_inbox());
    }

    fn drain_quarantine(&self) {
        if choices::is_full() {
            QUARANTINE.drain(&self.bins, self);
        }
    }

    /// Gives everything cached back, also what belongs to other threads.
    pub(super) fn trim(&self) {
        self.slow(|| {
            self.empty_inbox();
            self.trim_bins();
        });
    }

    /// Gives everything back but the heap itself: also the stacks' room, until the next free, and
    /// the pages between live slots, and what waits in the process's quarantine. Returns the bytes
    /// of those pages.
    pub(super) fn trim_whole(&self) -> usize {
        self.slow(|| {
            self.empty_inbox();
            self.drain_quarantine();
            self.trim_bins();
            if let Some(room) = self.bins.end_room() {
                self.cached_max.set(0);
                // SAFETY: taken in `push_slow`; no bin points there any more.
                unsafe { Pages::global().release_span(room.cast(), STACK_ROOM_BYTES) };
            }
            match choices::is_full() {
                true => 0,
                false => self.bins.punch(self),
            }
        })
    }

    fn trim_bins(&self) {
        // SAFETY: what was kept is ours, and nobody uses it.
        let release = |block| unsafe { self.remove(block) };
        self.spares.release_all(release);
        self.count_given(self.bins.cached_bytes());
        self.bins.trim(self);
    }

    /// Keeps a large block for later, or gives it back.
    ///
    /// # Safety
    /// It is of the process's heap, the caller's, and nobody uses it.
    pub(super) unsafe fn free_large(&self, block: &'static SlabHead) {
        // SAFETY: the caller's promise; what was kept before is ours, and nobody uses it.
        let release = |block| unsafe { self.remove(block) };
        self.spares.keep(Pages::global(), block, release);
    }
}
