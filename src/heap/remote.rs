//! Frees of slots that belong to another thread: notice, then free.
//!
//! A slab's owner word holds a thread heap's address, or 0 for none, and in its lowest bit NOTICED.
//! A thread that frees slots of a slab it does not own, which pin the slab since they are still
//! live, loops on that word:
//!
//! * 0: claim the slab by compare-and-swap; the slots are local now.
//! * an owner without NOTICED: set it by compare-and-swap. Who wins links the slab into the owner's
//!   inbox.
//! * NOTICED: nothing, somebody did.
//!
//! Then `fetch_or` the slots into the slab's remote words: the last touch of the slab. The owner,
//! on its slow path, empties its inbox, clears NOTICED, keeps each slab in its partial list and
//! swaps the remote words there whenever it looks for slots.
//!
//! A thread that has no heap and gets none (its memory was refused) frees the same way, but cannot
//! claim: where it finds 0 it donates the slab. It sets the owner word to some heap's address with
//! NOTICED, links the slab into that heap's inbox, and then frees. To the heap this is a notice
//! like any other, of a slab it did not know it had.
//!
//! * I1: a slab is recycled only by its owner and only when every slot is back, which cannot be
//!   while anyone is before its `fetch_or`, and no notice is pending.
//! * I2: only the winner of NOTICED writes the inbox link, and only the owner clears NOTICED, after
//!   it took the link.
//! * I3: a slab is disowned (owner to 0, only without NOTICED) when its last free slot was taken,
//!   so it has live slots, and whoever frees one of them claims it. Bits that arrive after a notice
//!   was dealt with are found by that claimant, or at the owner's next look: nothing is lost.
//! * I4: thread heaps are never freed, so an owner word never dangles.

use crate::base::error::FreeError;
use crate::base::sync::Ordering;
use crate::base::trap::misuse;
use crate::heap::thread::ThreadHeap;
use crate::slab::bin::message;
use crate::slab::owner::SlabOwner;
use crate::slab::raw::SlabHead;
use crate::slab::shape::SlotShape;

/// The owner word's lowest bit. Heaps are aligned far beyond it.
const NOTICED: usize = 1;
/// Stands for the address of a thread's heap where it has none: equal to no heap's.
const NO_HEAP: usize = NOTICED;

/// Frees the slots of `mask` in a slab of the process's heap. `true` if the slab is (or became)
/// `me`'s: then nothing was done, and the slots go to its bitmap.
pub(crate) fn keeps(me: &ThreadHeap, slab: &SlabHead, word_index: usize, mask: u64) -> bool {
    if !notify(slab, me.address(), me.address()) {
        return true;
    }
    give_remote(slab, word_index, mask);
    false
}

/// Frees a slot of this shape without a heap. The slab, if nobody owns it, is donated to
/// `heir`. Aborts on misuse that shows.
pub(crate) fn free_without_heap(heir: &ThreadHeap, shape: &SlotShape, address: usize) {
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

/// Whether the slab is `me`'s. That ends only by `me`'s own doing.
pub(crate) fn owns(me: &ThreadHeap, slab: &SlabHead) -> bool {
    // Acquire: pairs with the Release of who donated the slab, and so with that of who disowned it.
    slab.owner_word().load(Ordering::Acquire) & !NOTICED == me.address()
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

/// Ends the notice of a slab taken from the inbox of `me`, whose link was read already (I2).
pub(crate) fn end_notice(me: &ThreadHeap, slab: &SlabHead) {
    debug_assert_eq!(
        slab.owner_word().load(Ordering::Relaxed),
        me.address() | NOTICED
    );
    // Release: pairs with the next notice's Acquire; it may write the link.
    slab.owner_word().store(me.address(), Ordering::Release);
}

/// Whether a slab of ours is in no inbox. One whose slots are all back gets no new notice, but an
/// old one may still be there: it is recycled after that was dealt with.
pub(crate) fn is_quiet(me: &ThreadHeap, slab: &SlabHead) -> bool {
    // Relaxed: whoever set the bit did so before its slots came back, which `collect` acquired.
    slab.owner_word().load(Ordering::Relaxed) == me.address()
}

/// Moves the remote words of a slab of ours into its bitmap. Returns the number of slots.
pub(crate) fn collect(slab: &SlabHead) -> usize {
    let mut total = 0;
    for (index, word) in slab.remote_words().iter().enumerate() {
        // Relaxed look first: most words are empty, and a swap of each would write its line.
        if word.load(Ordering::Relaxed) == 0 {
            continue;
        }
        // Acquire: pairs with the Release in `keeps`.
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

/// Gives up a slab of ours without a free slot (I3). `false` if somebody freed into it meanwhile.
pub(crate) fn disown(me: &ThreadHeap, slab: &SlabHead) -> bool {
    let mine = me.address();
    // Release: pairs with the Acquire of whoever claims it.
    slab.owner_word()
        .compare_exchange(mine, 0, Ordering::Release, Ordering::Relaxed)
        .is_ok()
}
