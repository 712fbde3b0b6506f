//! Frees of slots that belong to another thread: notice, then free.
//!
//! A slab's owner word holds a thread heap's address, or 0 for none, and in its lowest bit NOTICED.
//! A thread that frees slots of a slab it does not own, which pin the slab since they are still
//! live, loops on that word:
//!
//! * 0: adopt the slab by compare-and-swap; the slots are local now.
//! * an owner without NOTICED: set it by compare-and-swap. Who wins links the slab into the owner's
//!   inbox.
//! * NOTICED: nothing, somebody did.
//!
//! Then `fetch_or` the slots into the slab's remote words: the last touch of the slab. The owner,
//! on its slow path, empties its inbox, clears NOTICED, keeps each slab in its partial list and
//! swaps the remote words there whenever it looks for slots.
//!
//! A thread that has no heap and gets none (its memory was refused) frees the same way, but cannot
//! adopt: where it finds 0 it donates the slab. It sets the owner word to some heap's address with
//! NOTICED, links the slab into that heap's inbox, and then frees. To the heap this is a notice
//! like any other, of a slab it did not know it had.
//!
//! * I1: a slab is recycled only by its owner and only when every slot is back, which cannot be
//!   while anyone is before its `fetch_or`, and no notice is pending.
//! * I2: only the winner of NOTICED writes the inbox link, and only the owner clears NOTICED, after
//!   it took the link.
//! * I3: a slab is disowned (owner to 0, only without NOTICED) when its last free slot was taken,
//!   so it has live slots, and whoever frees one of them adopts it. Bits that arrive after a notice
//!   was dealt with are found by whoever did, or at the owner's next look: nothing is lost.
//! * I4: thread heaps are never freed, so an owner word never dangles.

use core::ptr::{NonNull, null_mut};

use crate::base::error::{AllocError, FreeError};
use crate::base::size_class::class_of;
use crate::base::sync::Ordering;
use crate::base::trap::misuse;
use crate::heap::process::heaps::visit_orphan;
use crate::heap::process::thread::ThreadHeap;
use crate::pages::Pages;
use crate::slab::bin::message;
use crate::slab::owner::SlabOwner;
use crate::slab::raw::SlabHead;
use crate::slab::set::may_cache;
use crate::slab::shape::SlotShape;

/// The owner word's lowest bit. Heaps are aligned far beyond it.
const NOTICED: usize = 1;
/// Stands for the address of a thread's heap where it has none: equal to no heap's.
const NO_HEAP: usize = NOTICED;
/// The owner of every huge block of the process's heap: neither an odd number nor an address.
pub(super) const HUGE_OWNER: usize = 2;

impl SlabOwner for ThreadHeap {
    fn add_slab(&self, shape: &SlotShape, bytes: usize) -> Result<&'static SlabHead, AllocError> {
        // Before memory is taken anew: an orphan may have some to give back.
        visit_orphan();
        let span = Pages::global().take_span(bytes, 1)?;
        let owner = core::ptr::from_ref(self).expose_provenance();
        // SAFETY: just taken.
        Ok(unsafe { SlabHead::create(&span, shape, owner, true) })
    }

    unsafe fn remove(&self, slab: &SlabHead) {
        let holes = slab.hole_bytes();
        let (ptr, bytes) = slab.retire();
        // SAFETY: the slab's span, which nobody uses any more.
        unsafe { Pages::global().release_holed(ptr, bytes, holes) };
    }

    unsafe fn give_up(&self, start: NonNull<u8>, bytes: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { Pages::global().give_up(start, bytes) }
    }

    fn take_back(&self, bytes: usize) -> Result<(), AllocError> {
        Pages::global().take_back(bytes)
    }

    fn may_cache(&self, bytes: usize) -> bool {
        may_cache(&self.cached_max, bytes)
    }

    /// A slab whose slots are all back gets no new notice, but an old one may still be in the
    /// inbox: it is recycled after that was dealt with.
    fn may_remove(&self, slab: &SlabHead) -> bool {
        // Relaxed: whoever set the bit did so before its slots came back, which `collect` acquired.
        slab.owner_word().load(Ordering::Relaxed) == self.address()
    }

    fn find(&self, address: usize) -> Option<&'static SlabHead> {
        // SAFETY: only blocks that the program may free come here, and they pin their record; of a
        // pointer that breaks that promise, what is found decides how the abort reads.
        unsafe { SlabHead::of(address) }.filter(|slab| slab.is_shared())
    }

    fn holds(&self, slab: &SlabHead, index: usize) -> bool {
        slab.holds(index) || slab.holds_remote(index)
    }

    /// That ends only by the owner's own doing.
    #[inline]
    fn owns(&self, slab: &SlabHead) -> bool {
        // Acquire: pairs with the Release of who donated the slab, and so with that of who disowned
        // it.
        slab.owner_word().load(Ordering::Acquire) & !NOTICED == self.address()
    }

    fn keeps(&self, slab: &'static SlabHead, word_index: usize, mask: u64) -> bool {
        if !notify(slab, self.address(), self.address()) {
            return true;
        }
        give_remote(slab, word_index, mask);
        false
    }

    fn collect(&self, slab: &SlabHead) -> usize {
        let mut total = 0;
        for (index, word) in slab.remote_words().iter().enumerate() {
            // Relaxed look first: most words are empty, and a swap of each would write its line.
            if word.load(Ordering::Relaxed) == 0 {
                continue;
            }
            // Acquire: pairs with the Release in `give_remote`.
            let mask = word.swap(0, Ordering::Acquire);
            let count = mask.count_ones() as usize;
            let (twice, _) = slab.give_mask(index, mask, count);
            if twice != 0 {
                let slot = index * 64 + twice.trailing_zeros() as usize;
                misuse(message(FreeError::DoubleFree), slab.address_of(slot));
            }
            total += count;
        }
        total
    }

    /// Disowns the slab (I3), unless somebody freed into it meanwhile.
    fn used_up(&self, slab: &SlabHead) -> bool {
        // A last look before giving it up: what came back meanwhile can be used at once.
        if self.collect(slab) != 0 {
            return false;
        }
        // Release: pairs with the Acquire of whoever adopts it.
        let order = (Ordering::Release, Ordering::Relaxed);
        let word = slab.owner_word();
        word.compare_exchange(self.address(), 0, order.0, order.1)
            .is_ok()
    }
}

impl ThreadHeap {
    /// Tells the holder that slots of `slab`, which is its, come back. Any thread.
    fn notice(&self, slab: &SlabHead) {
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
    pub(super) fn empty_inbox(&self) {
        let inbox = &self.shared.inbox;
        if inbox.load(Ordering::Relaxed).is_null() {
            return;
        }
        let mut at = inbox.swap(null_mut(), Ordering::Acquire).cast_const();
        // SAFETY: slabs in the inbox are ours and stay until we recycle them.
        while let Some(slab) = unsafe { at.as_ref() } {
            at = slab.inbox_link().get();
            let word = slab.owner_word();
            debug_assert_eq!(word.load(Ordering::Relaxed), self.address() | NOTICED);
            // After the link was read (I2). Release: pairs with the next notice's Acquire, which
            // may write the link.
            word.store(self.address(), Ordering::Release);
            let Some(class) = class_of(slab.slot_bytes(), 1) else {
                misuse(
                    "internal: a slab of no class in an inbox",
                    slab.base().addr().get(),
                )
            };
            self.bins.bin(class).take_in(self, slab);
        }
    }
}

/// Frees a slot of this shape without a heap. The slab, if nobody owns it, is donated to
/// `heir`. Aborts on misuse that shows.
pub(super) fn free_without_heap(heir: &ThreadHeap, shape: &SlotShape, address: usize) {
    // `locate` asks the process's slabs; no heap in particular.
    let (slab, index) = heir
        .locate(address, shape)
        .unwrap_or_else(|error| misuse(message(error), address));
    notify(slab, NO_HEAP, heir.address() | NOTICED);
    give_remote(slab, index / 64, 1 << (index % 64));
}

/// Frees slots of a slab whose owner has a notice: the last touch of the slab.
fn give_remote(slab: &SlabHead, word_index: usize, mask: u64) {
    // Release: pairs with the Acquire in `collect`; what was done with the slots is over.
    let before = slab.remote_words()[word_index].fetch_or(mask, Ordering::Release);
    let twice = before & mask;
    if twice != 0 {
        // The address is worked out from the caller's own knowledge: the slab may be gone by now
        // if the program was right, but then `twice` would be 0.
        let index = word_index * 64 + twice.trailing_zeros() as usize;
        misuse(message(FreeError::DoubleFree), slab.address_of(index));
    }
}

/// Makes sure that the slab's owner will look at its remote words. `false` if that is the caller,
/// whose heap is at `mine`. The word of a slab that nobody owns becomes `heir`: the caller's heap,
/// or another with NOTICED.
fn notify(slab: &SlabHead, mine: usize, heir: usize) -> bool {
    let word = slab.owner_word();
    // Acquire: with 0, pairs with the Release of whoever disowned the slab.
    let mut seen = word.load(Ordering::Acquire);
    loop {
        if seen & !NOTICED == mine {
            return false;
        }
        if seen & NOTICED != 0 {
            return true;
        }
        let wanted = if seen == 0 { heir } else { seen | NOTICED };
        // AcqRel: Acquire as above; Release so that the owner, who reads the word before it clears
        // the bit, sees what we did to the slots' contents.
        match word.compare_exchange(seen, wanted, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) if wanted & NOTICED == 0 => return false,
            Ok(_) => {
                // SAFETY: owner words hold addresses of thread heaps, which are never freed (I4).
                let owner = unsafe { ThreadHeap::at(wanted & !NOTICED) };
                owner.notice(slab);
                return true;
            }
            Err(now) => seen = now,
        }
    }
}
