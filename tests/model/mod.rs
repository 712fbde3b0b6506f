//! Operation streams and their naive oracles, one module per type.
//!
//! Owns the operations, what each must do, and nothing about where they come from: `cargo test`
//! draws them from a seeded generator, the fuzz targets from the fuzzer's bytes. Every operation is
//! built by `Op::from_raw` from three integers, so both reach the same states.

pub mod arena;
pub mod heap;
pub mod pool;
pub mod ranges;
pub mod slab;

/// A byte pattern that depends on who owns the memory and where in it the byte is.
pub fn pattern(tag: u64, index: usize) -> u8 {
    (tag.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8 ^ (index as u8).wrapping_mul(31)
}
