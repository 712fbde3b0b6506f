//! Magazines: fixed blocks of slot pointers, and chains of them.
//!
//! Owns the blocks (`blocks.rs` has their memory), never the values in the slots. Erased: a slot is
//! a `NonNull<u8>`, what lies in it is the business of `life/`.
//!
//! I1: in a [`Magazine`] outside a shard, `slots[..len]` are initialised and `len` is at most
//! `MAGAZINE_ENTRIES`. Inside a shard the shard keeps the length (its own I2).
//! I2: a slot pointer is in one magazine at most, and while it is there nobody else has it.
//! I3: no magazine of a [`Chain`] is empty, and `count` is the sum of their lengths.
//! I4: no object in a magazine outside a shard is older than the magazine's `generation`.

use core::mem::{self, ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::pool::stock::blocks::{self, BLOCK};

/// Slots a magazine of a shard or the depot holds. An exchange costs the depot's lock, about 20 ns;
/// spread over 63 pairs that is a third of a nanosecond, less than the pair itself. Twice as many
/// would gain half of that and strand twice the objects in an idle thread.
pub(crate) const MAGAZINE_SLOTS: usize = 63;

/// Entries of the block: one more, so that a shard that is closed has room for its warmest slot.
/// With the three words before them they fill eight cache lines and three eighths.
pub(crate) const MAGAZINE_ENTRIES: usize = MAGAZINE_SLOTS + 1;

/// The generation of a magazine without objects: nothing in it is older.
pub(crate) const NO_OBJECTS: usize = usize::MAX;

/// A last-in first-out block of slot pointers, linked when it lies in a [`Chain`].
pub(crate) struct Magazine {
    next: Option<OwnedMagazine>,
    len: usize,
    generation: usize,
    slots: [MaybeUninit<NonNull<u8>>; MAGAZINE_ENTRIES],
}

const _: () = assert!(size_of::<Magazine>() <= BLOCK.size());
const _: () = assert!(align_of::<Magazine>() <= BLOCK.align());

/// A magazine and its room.
pub(crate) struct OwnedMagazine(NonNull<Magazine>);

// SAFETY: the only pointer to it; a magazine is two numbers and pointers, whose slots are the
// business of `life/`.
unsafe impl Send for OwnedMagazine {}

impl OwnedMagazine {
    /// An empty magazine, or `None` without memory: then an object is dropped instead of kept,
    /// which is no reason to abort.
    pub(crate) fn try_new() -> Option<OwnedMagazine> {
        let block = blocks::take()?.cast::<Magazine>();
        // SAFETY: the block is fresh, aligned and large enough (asserted above); `slots` needs no
        // initialisation.
        unsafe {
            (&raw mut (*block.as_ptr()).next).write(None);
            (&raw mut (*block.as_ptr()).len).write(0);
            (&raw mut (*block.as_ptr()).generation).write(NO_OBJECTS);
        }
        Some(OwnedMagazine(block))
    }

    /// Gives the magazine up to whoever takes it back by `from_raw`.
    pub(crate) fn into_raw(self) -> NonNull<Magazine> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    /// The pointer came from `into_raw` and is not used any more.
    pub(crate) unsafe fn from_raw(magazine: NonNull<Magazine>) -> OwnedMagazine {
        OwnedMagazine(magazine)
    }
}

impl Deref for OwnedMagazine {
    type Target = Magazine;

    fn deref(&self) -> &Magazine {
        // SAFETY: initialised by `try_new`, and ours.
        unsafe { self.0.as_ref() }
    }
}

impl DerefMut for OwnedMagazine {
    fn deref_mut(&mut self) -> &mut Magazine {
        // SAFETY: as in `deref`.
        unsafe { self.0.as_mut() }
    }
}

impl Drop for OwnedMagazine {
    fn drop(&mut self) {
        // SAFETY: ours, and not used after this; the room is that of `try_new`.
        unsafe {
            self.0.drop_in_place();
            blocks::give(self.0.cast());
        }
    }
}

impl Magazine {
    /// Reads the pointer at `index`.
    ///
    /// # Safety
    /// `magazine` is live, nobody else accesses it, and `slots[index]` is initialised.
    #[inline(always)]
    pub(crate) unsafe fn read(magazine: NonNull<Magazine>, index: usize) -> NonNull<u8> {
        debug_assert!(index < MAGAZINE_ENTRIES);
        // SAFETY: in bounds and initialised, by the caller.
        unsafe {
            let slots = (&raw const (*magazine.as_ptr()).slots).cast::<NonNull<u8>>();
            slots.add(index).read()
        }
    }

    /// Writes the pointer at `index`.
    ///
    /// # Safety
    /// `magazine` is live, nobody else accesses it, and `index` is below `MAGAZINE_ENTRIES`.
    #[inline(always)]
    pub(crate) unsafe fn write(magazine: NonNull<Magazine>, index: usize, slot: NonNull<u8>) {
        debug_assert!(index < MAGAZINE_ENTRIES);
        // SAFETY: in bounds, by the caller.
        unsafe {
            let slots = (&raw mut (*magazine.as_ptr()).slots).cast::<NonNull<u8>>();
            slots.add(index).write(slot);
        }
    }

    /// Pointers in the magazine.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// No object in the magazine is older.
    pub(crate) fn generation(&self) -> usize {
        self.generation
    }

    /// Says what a magazine that leaves a shard holds: how many pointers, to objects that are not
    /// older than `generation` (I4).
    ///
    /// # Safety
    /// `slots[..len]` are initialised (I1).
    pub(crate) unsafe fn seal(&mut self, len: usize, generation: usize) {
        debug_assert!(len <= MAGAZINE_ENTRIES);
        self.len = len;
        self.generation = generation;
    }

    /// Adds a pointer to an object that is not older than `generation`; `false` when the magazine
    /// is full.
    pub(crate) fn push(&mut self, slot: NonNull<u8>, generation: usize) -> bool {
        let Some(place) = self.slots.get_mut(self.len) else {
            return false;
        };
        place.write(slot);
        self.len += 1;
        self.generation = self.generation.min(generation);
        true
    }

    /// Takes the last pointer.
    pub(crate) fn pop(&mut self) -> Option<NonNull<u8>> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: the index was below the length, so the entry is initialised (I1).
        Some(unsafe { self.slots[self.len].assume_init() })
    }
}

/// A stack of magazines that hold something. Dropping a chain frees the blocks, not the slots.
#[derive(Default)]
pub(crate) struct Chain {
    head: Option<OwnedMagazine>,
    count: usize,
}

impl Chain {
    pub(crate) fn new() -> Chain {
        Chain::default()
    }

    /// Pointers in all magazines together.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Puts a magazine on top. An empty one comes straight back (I3).
    pub(crate) fn push_magazine(&mut self, mut magazine: OwnedMagazine) -> Option<OwnedMagazine> {
        if magazine.len() == 0 {
            return Some(magazine);
        }
        self.count += magazine.len();
        magazine.next = self.head.take();
        self.head = Some(magazine);
        None
    }

    /// Takes the top magazine.
    pub(crate) fn pop_magazine(&mut self) -> Option<OwnedMagazine> {
        let mut magazine = self.head.take()?;
        self.head = magazine.next.take();
        self.count -= magazine.len();
        Some(magazine)
    }

    /// Pushes one pointer into the top magazine, as [`Magazine::push`]; `false` when that has
    /// `limit` of them or there is none.
    pub(crate) fn push(&mut self, slot: NonNull<u8>, generation: usize, limit: usize) -> bool {
        let top = self.head.as_mut().filter(|top| top.len() < limit);
        let pushed = top.is_some_and(|top| top.push(slot, generation));
        self.count += usize::from(pushed);
        pushed
    }

    /// The generation of the top magazine.
    pub(crate) fn generation(&self) -> Option<usize> {
        self.head.as_ref().map(|top| top.generation())
    }

    /// Pops one pointer from the top magazine, and the magazine itself when that emptied it.
    pub(crate) fn pop(&mut self) -> Option<(NonNull<u8>, Option<OwnedMagazine>)> {
        let top = self.head.as_mut()?;
        let slot = top.pop()?;
        self.count -= 1;
        let emptied = if top.len() == 0 {
            self.pop_magazine()
        } else {
            None
        };
        Some((slot, emptied))
    }

    /// Moves every magazine of `other` on top of this chain, in their order.
    pub(crate) fn append(&mut self, mut other: Chain) {
        let mut reversed = Chain::new();
        while let Some(magazine) = other.pop_magazine() {
            reversed.push_magazine(magazine);
        }
        while let Some(magazine) = reversed.pop_magazine() {
            self.push_magazine(magazine);
        }
    }

    /// Keeps the `keep` pointers nearest the top, which were used last, and returns the others.
    /// Without memory for one more magazine up to a magazine too many is kept.
    pub(crate) fn cut(&mut self, keep: usize) -> Chain {
        let mut kept = Chain::new();
        while kept.count < keep {
            let Some(magazine) = self.pop_magazine() else {
                break;
            };
            kept.push_magazine(magazine);
        }
        let mut cut = mem::take(self);
        if kept.count > keep {
            // The last magazine straddles the bound; it is the top of `kept`.
            let generation = kept.generation().unwrap_or(NO_OBJECTS);
            if let Some(mut fresh) = OwnedMagazine::try_new() {
                while kept.count > keep {
                    let Some((slot, _)) = kept.pop() else { break };
                    fresh.push(slot, generation);
                }
                cut.push_magazine(fresh);
            }
        }
        while let Some(magazine) = kept.pop_magazine() {
            self.push_magazine(magazine);
        }
        cut
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // One by one: the drop of a linked list of boxes would recurse.
        while self.pop_magazine().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain of `count` made-up pointers 1, 2, 3…, the highest on top.
    fn chain(count: usize) -> Chain {
        let mut chain = Chain::new();
        for address in 1..=count {
            let slot = NonNull::new(core::ptr::without_provenance_mut(address)).expect("not null");
            if !chain.push(slot, 1, MAGAZINE_SLOTS) {
                let mut magazine = OwnedMagazine::try_new().expect("memory");
                assert!(magazine.push(slot, 1));
                assert!(chain.push_magazine(magazine).is_none());
            }
        }
        chain
    }

    fn drain(chain: &mut Chain) -> Vec<usize> {
        let mut out = Vec::new();
        while let Some((slot, _)) = chain.pop() {
            out.push(slot.addr().get());
        }
        out
    }

    #[test]
    fn chain_is_last_in_first_out() {
        let mut all = chain(200);
        assert_eq!(all.count(), 200);
        assert_eq!(drain(&mut all), (1..=200).rev().collect::<Vec<_>>());
        assert_eq!(all.count(), 0);
    }

    #[test]
    fn append_keeps_the_order() {
        let (mut below, mut above) = (chain(100), chain(150));
        below.append(mem::take(&mut above));
        let expected: Vec<_> = (1..=150).rev().chain((1..=100).rev()).collect();
        assert_eq!(drain(&mut below), expected);
    }

    #[test]
    fn cut_keeps_exactly_the_bound_and_loses_nothing() {
        for keep in [0, 1, 62, 63, 64, 125, 126, 127, 199, 200, 201] {
            let mut all = chain(200);
            let mut cut = all.cut(keep);
            assert_eq!(all.count(), keep.min(200));
            assert_eq!(cut.count(), 200 - keep.min(200));
            let kept = drain(&mut all);
            assert!(kept.is_sorted_by(|a, b| a > b), "order of use is kept");
            let mut both = kept;
            both.extend(drain(&mut cut));
            both.sort_unstable();
            assert_eq!(both, (1..=200).collect::<Vec<_>>());
        }
    }
}
