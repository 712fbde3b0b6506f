//! What becomes of a request that is refused: an error, or the panic of the infallible forms. So
//! `x` and `try_x` share one body, and neither pays for the other.

use core::convert::Infallible;
use core::ptr::NonNull;

use crate::arena::windows::chunk::{End, Window};
use crate::arena::windows::state::State;
use crate::base::error::AllocError;
use crate::base::trap::refused;

/// The error of a form: [`AllocError`], or [`Infallible`] of one that panics instead.
pub(crate) trait Refusal: Sized {
    /// What says so, if it comes back.
    fn of(error: AllocError) -> Self;
}

impl Refusal for AllocError {
    fn of(error: AllocError) -> AllocError {
        error
    }
}

impl Refusal for Infallible {
    fn of(error: AllocError) -> Infallible {
        refused(error)
    }
}

impl State {
    /// [`State::slow`] for either form.
    #[cold]
    #[inline(never)]
    pub(crate) fn slow_for<E: Refusal>(
        &self,
        size: usize,
        align: usize,
        end: End,
    ) -> Result<NonNull<u8>, E> {
        self.slow(size, align, end).map_err(E::of)
    }

    /// [`State::refill`] for either form.
    #[cold]
    #[inline(never)]
    pub(crate) fn refill_for<E: Refusal>(
        &self,
        window: Window,
        size: usize,
        align: usize,
        end: End,
    ) -> Result<(NonNull<u8>, Window), E> {
        self.refill(window, size, align, end).map_err(E::of)
    }
}

/// What the body of an infallible form made.
#[inline(always)]
pub(crate) fn sure<T>(made: Result<T, Infallible>) -> T {
    let Ok(made) = made;
    made
}
