//! Bytes and blocks of the low end: what fits in the window at once, and else the slow step.
//!
//! I1: a block is committed when it comes back (state.rs, I5).

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::arena::windows::chunk::{End, carve_packed, carve_up};
use crate::arena::windows::refusal::Refusal;
use crate::arena::windows::state::State;
use crate::base::error::AllocError;

impl State {
    /// Bytes of the low end. Committed when they come back.
    #[inline(always)]
    pub(crate) fn reserve_bytes<E: Refusal>(&self, bytes: usize) -> Result<NonNull<u8>, E> {
        match self.fast_bytes(bytes) {
            Some(block) => Ok(block),
            None => self.slow_for(bytes, 1, End::Up),
        }
    }

    #[inline(always)]
    fn fast_bytes(&self, bytes: usize) -> Option<NonNull<u8>> {
        let block = self.lo.get();
        self.lo.set(carve_packed(block, self.hi.get(), bytes)?);
        Some(block)
    }

    /// A block of the low end, or an error. Committed when it comes back.
    #[inline(always)]
    pub(crate) fn try_reserve_up(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        match self.fast_up(layout) {
            Some(block) => Ok(block),
            None => {
                let mut why = AllocError::LayoutTooLarge;
                self.slow_up(layout, &mut why).ok_or(why)
            }
        }
    }

    /// [`State::slow`] for the low end. Its arguments come in the order in which those of
    /// [`Arena::allocate`] do, and its result leaves in a register, so that the fast path moves
    /// neither.
    #[cold]
    #[inline(never)]
    pub(crate) fn slow_up(&self, layout: Layout, why: &mut AllocError) -> Option<NonNull<u8>> {
        match self.slow(layout.size(), layout.align(), End::Up) {
            Ok(block) => Some(block),
            Err(error) => {
                *why = error;
                None
            }
        }
    }

    /// A block of the low end if the window has room for it.
    #[inline(always)]
    pub(crate) fn fast_up(&self, layout: Layout) -> Option<NonNull<u8>> {
        let (block, lo) = carve_up(self.lo.get(), self.hi.get(), layout.size(), layout.align())?;
        self.lo.set(lo);
        Some(block)
    }
}
