//! Every pair of sizes in the same room: what blocks of one size left cached is to be had for the
//! next, as if nobody had been there before.

use std::alloc::{Layout, alloc, dealloc};

use crate::common::random::Random;

/// Whose memory it is.
pub(crate) trait Room {
    /// A block's address; `None` where it is refused.
    fn take(&self, size: usize) -> Option<usize>;

    /// Frees a block.
    fn give(&self, address: usize, size: usize);

    /// Gives back all that is cached.
    fn trim(&self);
}

/// The process's allocator, which is a `Flagstone`.
#[cfg(all(unix, feature = "std"))]
pub(crate) struct Process;

#[cfg(all(unix, feature = "std"))]
impl Room for Process {
    fn take(&self, size: usize) -> Option<usize> {
        // SAFETY: the size is not zero.
        let block = unsafe { alloc(layout(size)) };
        (!block.is_null()).then(|| block.expose_provenance())
    }

    fn give(&self, address: usize, size: usize) {
        // SAFETY: a live block of this size.
        unsafe { dealloc(std::ptr::with_exposed_provenance_mut(address), layout(size)) };
    }

    fn trim(&self) {
        flagstone::trim();
    }
}

pub(crate) fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// The length of each size class, then large blocks.
pub(crate) fn sizes() -> Vec<usize> {
    let doublings = (7..15).flat_map(|log2| (1..=4).map(move |step| (4 + step) << (log2 - 2)));
    let small = (1..=8).map(|step| step * 16);
    let large = [33 << 10, 100 << 10, 250 << 10, 500 << 10, 1 << 20];
    small.chain(doublings).chain(large).collect()
}

/// Indices up to `count` in an order in which each comes after each, itself too.
fn tour(count: usize) -> impl Iterator<Item = usize> {
    let from = move |first| {
        std::iter::once(first).chain((first + 1..count).flat_map(move |next| [first, next]))
    };
    (0..count).flat_map(from).chain([0])
}

/// Takes blocks of a size until there are no more.
pub(crate) fn fill(room: &impl Room, size: usize, held: &mut Vec<usize>) {
    while held.len() < held.capacity() {
        let Some(block) = room.take(size) else { return };
        held.push(block);
    }
    panic!("never refused: {size}");
}

/// Frees blocks of a size in random order.
pub(crate) fn empty(room: &impl Room, size: usize, held: &mut Vec<usize>, random: &mut Random) {
    while !held.is_empty() {
        let block = held.swap_remove(random.below(held.len()));
        room.give(block, size);
    }
}

/// Each size gets nearly as much after each other one as in a room where nothing is cached, and a
/// trim makes no room for another block. `held` has room for all.
///
/// Nearly: short slabs, which are taken where a long one is refused, waste up to a quarter.
pub(crate) fn every_pair(room: &impl Room, sizes: &[usize], held: &mut Vec<usize>) {
    let mut random = Random::new(7);
    let mut alone = [0; 64];
    // The second time: slabs are as long as they get.
    for _ in 0..2 {
        for (size, count) in sizes.iter().zip(&mut alone) {
            fill(room, *size, held);
            *count = held.len();
            empty(room, *size, held, &mut random);
            room.trim();
        }
    }
    let mut before = 0;
    for now in tour(sizes.len()) {
        let size = sizes[now];
        fill(room, size, held);
        let (got, expected) = (held.len(), alone[now]);
        assert!(
            got * 4 >= expected * 3,
            "{size} bytes after {}: {got} blocks of {expected}",
            sizes[before]
        );
        room.trim();
        fill(room, size, held);
        assert_eq!(held.len(), got, "{size} bytes after {}", sizes[before]);
        empty(room, size, held, &mut random);
        before = now;
    }
}
