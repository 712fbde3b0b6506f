//! Slab, arena and pool over one page source.
//!
//! * [`Heap`]: fixed size classes tracked by bitmaps, for hot loops: replaces `Box` and `Vec`.
//! * [`Flagstone`]: the same for a whole process, as its `#[global_allocator]`.
//! * [`Arena`]: a two-ended bump arena, for everything that dies together.
//! * [`Slab`]: many values of one type, with one-pointer handles and version-checked keys.
//! * [`Pool`]: recycles live values that are costly to build. [`ArenaPool`]: one arena per request.
//!
//! All of them take their memory from [`pages`], under one byte budget. `DESIGN.md` in the
//! repository describes the floors from [`pages`] up.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "alloc")]
mod adapters;
#[cfg(feature = "alloc")]
mod arena;
mod base;
#[cfg(feature = "alloc")]
mod heap;
#[cfg(feature = "alloc")]
pub mod pages;
mod pool;
#[cfg(feature = "alloc")]
mod slab;

#[cfg(feature = "hashbrown")]
pub use adapters::ArenaHashMap;
#[cfg(feature = "serde")]
pub use adapters::serde::{ArenaEntries, ArenaSeed, DeserializeIn, ViaSerde};
#[cfg(feature = "alloc")]
pub use arena::{
    Arena, ArenaBox, ArenaBoxValue, ArenaBuilder, ArenaStats, ArenaString, ArenaStringDrain,
    ArenaThinVec, ArenaVec, ArenaVecDrain, ArenaVecIntoIter, BufferArena, Checkpoint, Claim, Scope,
    Session,
};
#[cfg(target_has_atomic = "64")]
pub use base::bitmap::Bitmap;
pub use base::config::Check;
#[cfg(all(unix, feature = "std"))]
pub use base::config::Config;
pub use base::error::{AllocError, FreeError};
#[cfg(all(unix, feature = "std"))]
pub use heap::{Flagstone, Stats, last_error, set_limit, stats, trim};
#[cfg(feature = "alloc")]
pub use heap::{Heap, HeapBuilder, HeapMap, HeapStats};
#[cfg(feature = "std")]
pub use pool::{
    Advice, Aging, ArenaBytes, ArenaPool, Capacity, GetError, Health, HealthReasons, Keep,
    LeakCheck, LeakSuspect, LocalHandle, LocalPooled, Mode, ModeReason, Oversize, OwnedPooled,
    OwnedPooledArena, Pool, PoolBuilder, PoolDrops, PoolStats, Pooled, PooledArena, Recycle,
    RecycleHook, RecycleTrait, Recycler, Verdict,
};
#[cfg(target_has_atomic = "8")]
pub use pool::{StaticPool, StaticPooled};
#[cfg(feature = "alloc")]
pub use slab::{Iter as SlabIter, Key, OwnedSlot, Refused, Slab, Slot};

// What the code that `deserialize_in!` writes calls, in crates that need not depend on serde.
#[cfg(feature = "serde")]
#[doc(hidden)]
pub use {::serde as __serde, adapters::serde::Names as __Names};

/// The README's examples, compiled and run with the documentation's.
#[cfg(all(doctest, feature = "allocator-api2-02"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// Programs that must not compile, run likewise.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../tests/arena/refusals.md")]
struct Refusals;
