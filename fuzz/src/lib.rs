//! What the fuzz targets run: the model tests' streams, and the ground floor's integers.
//!
//! The streams and their oracles are the ones that `cargo test` runs (`tests/model/`). The ground
//! floor knows integers alone, so its files are compiled here as they are and fuzzed without a way
//! in through the crate's public face.

#[path = "../../tests/model/mod.rs"]
pub mod model;

extern crate alloc;

mod base;
pub mod bits;
pub mod sizes;

use arbitrary::{Arbitrary, Result, Unstructured};

/// A step of one of the models, built from the fuzzer's bytes.
#[derive(Debug)]
pub struct Step<Op>(pub Op);

/// Operations that are built from three integers.
pub trait FromRaw {
    /// The operation that stands for them.
    fn from_raw(kind: u8, a: u32, b: u32) -> Self;
}

impl FromRaw for model::heap::Op {
    fn from_raw(kind: u8, a: u32, b: u32) -> Self {
        Self::from_raw(kind, a, b)
    }
}

impl FromRaw for model::arena::Op {
    fn from_raw(kind: u8, a: u32, b: u32) -> Self {
        Self::from_raw(kind, a, b)
    }
}

impl FromRaw for model::slab::Op {
    fn from_raw(kind: u8, a: u32, b: u32) -> Self {
        Self::from_raw(kind, a, b)
    }
}

impl FromRaw for model::pool::Op {
    fn from_raw(kind: u8, a: u32, b: u32) -> Self {
        Self::from_raw(kind, a, b)
    }
}

impl<'a, Op: FromRaw> Arbitrary<'a> for Step<Op> {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Step(Op::from_raw(
            bytes.arbitrary()?,
            bytes.arbitrary()?,
            bytes.arbitrary()?,
        )))
    }

    fn size_hint(_: usize) -> (usize, Option<usize>) {
        (9, Some(9))
    }
}

/// The operations of a list of steps.
pub fn operations<Op>(steps: Vec<Step<Op>>) -> impl Iterator<Item = Op> {
    steps.into_iter().map(|step| step.0)
}
