//! The pools: recycling of live objects.
//!
//! [`Pool`] is built in rooms, each of which uses those before it: `stock/`, where slots lie;
//! `exchange/`, how they pass between threads; `watch/`, what is decided by sums and times;
//! `life/`, where slots are values and code of the user runs; `face/`, what users hold.
//! `static_pool.rs` is a pool of its own for programs without an allocator.

#[cfg(feature = "std")]
mod exchange;
#[cfg(feature = "std")]
mod face;
#[cfg(feature = "std")]
mod life;
#[cfg(target_has_atomic = "8")]
mod static_pool;
#[cfg(feature = "std")]
mod stock;
#[cfg(feature = "std")]
mod watch;

#[cfg(target_has_atomic = "8")]
pub use self::static_pool::{StaticPool, StaticPooled};
#[cfg(feature = "std")]
pub use self::{
    face::arena_pool::{ArenaBytes, ArenaPool, OwnedPooledArena, PooledArena},
    face::builder::PoolBuilder,
    face::guards::{OwnedPooled, Pooled},
    face::local::{LocalHandle, LocalPooled},
    face::pool::Pool,
    life::recycle::{Keep, Recycle, RecycleHook, RecycleTrait, Recycler},
    life::refusal::GetError,
    watch::advice::{Advice, Verdict},
    watch::aging::Aging,
    watch::health::{Health, HealthReasons},
    watch::leaks::{LeakCheck, LeakSuspect},
    watch::mode::{Mode, ModeReason},
    watch::oversize::{Capacity, Oversize},
    watch::stats::{PoolDrops, PoolStats},
};
