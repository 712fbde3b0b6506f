//! Numbers that look random and are the same in every run: xorshift64* (Marsaglia 2003, Vigna
//! 2016).
//!
//! Knows nothing of tests, so that benches and examples may include the file by its path.

pub(crate) struct Random(u64);

impl Random {
    /// Any seed will do, and neighbours give streams that have nothing in common.
    pub(crate) fn new(seed: u64) -> Random {
        Random(
            seed.wrapping_add(1)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .max(1),
        )
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number under `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 11) % bound as u64) as usize
    }
}
