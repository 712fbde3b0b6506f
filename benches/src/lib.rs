//! What the benches and the interleaved comparisons share: the workloads and the contenders.
//!
//! Every workload is written once and run by every contender of its row, by criterion
//! (`benches/`) and by the interleaved binaries (`src/bin/`): a difference between two times is a
//! difference between two libraries, not between two spellings of the work.

pub mod arms;
pub mod blocks;
pub mod bump;
pub mod counts;
pub mod document;
pub mod go;
pub mod held;
pub mod interleave;
pub mod keyed;
pub mod processes;
pub mod recycle;
pub mod request;
pub mod resident;
pub mod shapes;
#[allow(dead_code, reason = "the example uses the rest of it")]
#[path = "../../examples/compare/src/sync_pool_model.rs"]
mod sync_pool_model;
pub mod travel;
pub mod under;
pub mod workloads;

/// A small seeded generator (xorshift), so that every contender sees the same sequence.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator with a fixed start.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next 64 bits.
    #[inline]
    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`.
    #[inline]
    pub fn below(&mut self, limit: usize) -> usize {
        (((self.word() >> 32) * limit as u64) >> 32) as usize
    }
}
