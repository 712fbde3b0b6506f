//! The slow steps of sessions, which hold a window in registers and get it back by value.
//!
//! I1: that of a small value returns a window whose high end is the block, as the fast one leaves
//!     it (session.rs, I3).

use core::ptr::NonNull;

use crate::arena::windows::chunk::{End, Window};
use crate::arena::windows::refusal::Refusal;
use crate::arena::windows::state::State;

impl State {
    /// [`State::refill`] for a small value: the high end of the window that comes back is the block
    /// (session.rs, I3).
    #[cold]
    #[inline(never)]
    pub(crate) fn refill_down<E: Refusal>(
        &self,
        window: Window,
        size: usize,
        align: usize,
    ) -> Result<Window, E> {
        let refilled = self.refill(window, size, align, End::Down);
        let (block, window) = refilled.map_err(E::of)?;
        Ok(self.end_at(block, window))
    }

    /// A window whose high end is a block that was just served: the one that stayed, unless the
    /// block has a chunk to itself; then one without room, and the other is abandoned. So a caller
    /// needs to be told one address, not two.
    pub(crate) fn end_at(&self, block: NonNull<u8>, window: Window) -> Window {
        if window.hi == block {
            return window;
        }
        self.abandon(window);
        Window {
            lo: block,
            hi: block,
            chunk: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::arena::handle::Arena;
    use core::ptr::NonNull;

    /// No arena of regular chunks comes here: a block that small is always cut from the new window.
    #[test]
    fn a_block_with_a_chunk_to_itself_leaves_a_window_without_room() {
        let arena = Arena::new();
        let first = *arena.alloc(7u64);
        let own = NonNull::from(arena.alloc([0u64; 508])).cast::<u8>();
        let used = arena.used_bytes();
        let window = arena.state.lend_window();
        let room = window.room();
        let left = arena.state.end_at(own, window);
        assert!(left.hi == own && left.room() == 0 && left.chunk.is_none());
        arena.state.return_window(left.lo, left.hi, left.chunk);
        assert_eq!(arena.used_bytes(), used);
        assert_eq!(arena.stats().abandoned_bytes, room);
        // The arena goes on in another chunk.
        assert_eq!((first, *arena.alloc(8u64)), (7, 8));
    }
}
