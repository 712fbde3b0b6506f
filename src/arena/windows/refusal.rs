//! What becomes of a request that is refused: an error, or the panic of the infallible forms. So
//! `x` and `try_x` share one body, and neither pays for the other.

use core::convert::Infallible;
use core::ptr::NonNull;

use crate::arena::windows::chunk::{End, Window};
use crate::arena::windows::state::State;
use crate::base::error::AllocError;
use crate::base::trap::refused;

/// The error of a form: [`AllocError`], or [`Infallible`] where the slow steps panic instead.
pub(crate) trait Refusal: Sized {
    /// See [`State::slow`].
    fn slow(state: &State, size: usize, align: usize, end: End) -> Result<NonNull<u8>, Self>;

    /// See [`State::refill`].
    fn refill(
        state: &State,
        window: Window,
        size: usize,
        align: usize,
        end: End,
    ) -> Result<(NonNull<u8>, Window), Self>;

    /// See [`State::refill_down`].
    fn refill_down(
        state: &State,
        window: Window,
        size: usize,
        align: usize,
    ) -> Result<Window, Self>;
}

impl Refusal for AllocError {
    #[inline(always)]
    fn slow(state: &State, size: usize, align: usize, end: End) -> Result<NonNull<u8>, Self> {
        state.slow(size, align, end)
    }

    #[inline(always)]
    fn refill(
        state: &State,
        window: Window,
        size: usize,
        align: usize,
        end: End,
    ) -> Result<(NonNull<u8>, Window), Self> {
        state.refill(window, size, align, end)
    }

    #[inline(always)]
    fn refill_down(
        state: &State,
        window: Window,
        size: usize,
        align: usize,
    ) -> Result<Window, Self> {
        state.refill_down(window, size, align)
    }
}

impl Refusal for Infallible {
    #[cold]
    #[inline(never)]
    fn slow(state: &State, size: usize, align: usize, end: End) -> Result<NonNull<u8>, Self> {
        state.slow(size, align, end).map_err(|error| refused(error))
    }

    #[cold]
    #[inline(never)]
    fn refill(
        state: &State,
        window: Window,
        size: usize,
        align: usize,
        end: End,
    ) -> Result<(NonNull<u8>, Window), Self> {
        let refilled = state.refill(window, size, align, end);
        refilled.map_err(|error| refused(error))
    }

    #[cold]
    #[inline(never)]
    fn refill_down(
        state: &State,
        window: Window,
        size: usize,
        align: usize,
    ) -> Result<Window, Self> {
        let refilled = state.refill_down(window, size, align);
        refilled.map_err(|error| refused(error))
    }
}

/// What the body of an infallible form made.
#[inline(always)]
pub(crate) fn sure<T>(made: Result<T, Infallible>) -> T {
    let Ok(made) = made;
    made
}
