//! Choices a user makes, as plain values that code reads with `if`.
#![forbid(unsafe_code)]

/// How much a [`Heap`](crate::Heap) checks of the frees it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// Frees are checked when they leave the magazine for the bitmap: foreign pointers, interior
    /// pointers, wrong classes and double frees that meet there abort. A block freed twice and
    /// handed out again before that is not seen.
    #[default]
    Fast,
    /// Every free is checked exactly and at once; freed memory is filled and verified before it is
    /// handed out again, and reuse is delayed. Magazines have length zero, so the fast path is the
    /// same code.
    Full,
}
