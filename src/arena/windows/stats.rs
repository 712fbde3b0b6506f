//! What an arena holds, in figures.
#![forbid(unsafe_code)]

/// Figures of an [`Arena`](crate::Arena), in bytes unless named otherwise.
///
/// ```
/// let arena = flagstone::Arena::new();
/// arena.alloc(1u64);
/// let stats = arena.stats();
/// assert_eq!((stats.used_bytes, stats.capacity_bytes, stats.chunks), (8, 4096, 1));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArenaStats {
    /// Bytes handed out, with the padding between them. A chunk that a session holds counts whole.
    pub used_bytes: usize,
    /// Bytes of all spans the arena holds: what counts against its limit.
    pub capacity_bytes: usize,
    /// Bytes of `capacity_bytes` in chunks that hold nothing and wait for reuse.
    pub spare_bytes: usize,
    /// Free bytes that no request can reach any more before the next reset: the rests of full
    /// chunks.
    pub abandoned_bytes: usize,
    /// The most of `used_bytes` since the arena was made, as far as it was looked at: by resets, by
    /// ends of scopes and claims, and by `stats`.
    pub high_water_bytes: usize,
    /// How many chunks the arena holds.
    pub chunks: usize,
}
