//! The pools: recycling of live objects.

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
    face::asking::GetError,
    face::builder::PoolBuilder,
    face::guards::{OwnedPooled, Pooled},
    face::local::{LocalHandle, LocalPooled},
    face::pool::Pool,
    life::recycle::{Keep, Recycle, RecycleHook, RecycleTrait, Recycler},
    watch::advice::{Advice, Verdict},
    watch::aging::Aging,
    watch::health::{Health, HealthReasons},
    watch::leaks::{LeakCheck, LeakSuspect},
    watch::mode::{Mode, ModeReason},
    watch::oversize::{Capacity, Oversize},
    watch::stats::{PoolDrops, PoolStats},
};
