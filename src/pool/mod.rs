//! The pools: recycling of live objects.
//!
//! `typed.rs` runs the user's code and nothing else does; `store.rs` below it moves erased slots
//! between `shard.rs` (one thread at a time), `depot.rs` (all threads, locked) and the slab.
//! `static_pool.rs` is a pool of its own for programs without an allocator.

#[cfg(feature = "std")]
mod advice;
#[cfg(feature = "std")]
mod aging;
#[cfg(feature = "std")]
mod arena_pool;
#[cfg(feature = "std")]
mod asking;
#[cfg(feature = "std")]
mod blocks;
#[cfg(feature = "std")]
mod builder;
#[cfg(feature = "std")]
mod claims;
#[cfg(feature = "std")]
mod clock;
#[cfg(feature = "std")]
mod cost;
#[cfg(feature = "std")]
mod depot;
#[cfg(feature = "std")]
mod discipline;
#[cfg(feature = "std")]
mod events;
#[cfg(feature = "std")]
mod figures;
#[cfg(feature = "std")]
mod guards;
#[cfg(feature = "std")]
mod health;
#[cfg(feature = "std")]
mod id;
#[cfg(feature = "std")]
mod leaks;
#[cfg(feature = "std")]
mod live;
#[cfg(feature = "std")]
mod local;
#[cfg(feature = "std")]
mod magazine;
#[cfg(feature = "std")]
mod mode;
#[cfg(feature = "std")]
mod note;
#[cfg(feature = "std")]
mod overhead;
#[cfg(feature = "std")]
mod oversize;
#[cfg(feature = "std")]
mod recycle;
#[cfg(feature = "std")]
mod returning;
#[cfg(feature = "std")]
mod seat;
#[cfg(feature = "std")]
mod shard;
#[cfg(feature = "std")]
mod shared;
#[cfg(target_has_atomic = "8")]
mod static_pool;
#[cfg(feature = "std")]
mod stats;
#[cfg(feature = "std")]
mod store;
#[cfg(feature = "std")]
mod tally;
#[cfg(feature = "std")]
mod trimming;
#[cfg(feature = "std")]
mod typed;
#[cfg(feature = "std")]
mod upkeep;
#[cfg(feature = "std")]
mod vacant;
#[cfg(feature = "std")]
mod wards;

#[cfg(feature = "std")]
pub use advice::{Advice, Verdict};
#[cfg(feature = "std")]
pub use aging::Aging;
#[cfg(feature = "std")]
pub use arena_pool::{ArenaBytes, ArenaPool, OwnedPooledArena, PooledArena};
#[cfg(feature = "std")]
pub use asking::GetError;
#[cfg(feature = "std")]
pub use builder::PoolBuilder;
#[cfg(feature = "std")]
pub use guards::{OwnedPooled, Pooled};
#[cfg(feature = "std")]
pub use health::{Health, HealthReasons};
#[cfg(feature = "std")]
pub use leaks::{LeakCheck, LeakSuspect};
#[cfg(feature = "std")]
pub use local::{LocalHandle, LocalPooled};
#[cfg(feature = "std")]
pub use mode::{Mode, ModeReason};
#[cfg(feature = "std")]
pub use oversize::{Capacity, Oversize};
#[cfg(feature = "std")]
pub use recycle::{Keep, Recycle, RecycleHook, RecycleTrait, Recycler};
#[cfg(feature = "std")]
pub use shared::Pool;
#[cfg(target_has_atomic = "8")]
pub use static_pool::{StaticPool, StaticPooled};
#[cfg(feature = "std")]
pub use stats::{PoolDrops, PoolStats};
