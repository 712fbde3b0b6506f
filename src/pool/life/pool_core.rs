//! The core of a pool: where slots are values.
//!
//! Owns the functions of the user and, through the erased [`Store`], every value that is idle.
//! Lives in a heap block of its own from the pool's first use to its drop, so that a guard finds it
//! from its slot alone. Code of the user runs in this room and nowhere else, but for an object that
//! `put` drops because there is no memory for a core: `filling.rs` has `create`, `getting.rs` the
//! validation of a get, `returning.rs` `recycle`, `wards.rs` the drops.
//!
//! I1: `create`, `recycle`, a validation and the drop of a value run while nothing is locked or
//! borrowed; each may use the pool again, and may panic.
//! I2: a slot that leaves the store is, at every moment user code may unwind, in the hands of a
//! value with a `Drop` that gives it back: `Vacant` before its value exists, [`Doomed`] while the
//! value is validated or dropped, `Poisoned` while it is recycled, [`Surplus`] for whole chains.
//! I3: the note behind a value says of which generation it is, as read before `create` ran. Slow
//! paths hand out no idle value of another generation than the present one
//! (`PoolCore::may_go_out`), the short way none because of where it takes them from (`seats.rs`,
//! I2).

use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem;
use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::pages::Pages;
use crate::pool::exchange::bounds::Bounds;
use crate::pool::exchange::store::Store;
use crate::pool::exchange::trimming::Excess;
use crate::pool::life::note::{self, Noted};
use crate::pool::life::wards::{Doomed, Surplus};
use crate::pool::stock::drops::Drops;
use crate::pool::stock::id::NO_ID;
use crate::pool::stock::shard::Shard;
use crate::pool::watch::cost::Overheads;
use crate::pool::watch::discipline::{Choices, Discipline};
use crate::pool::watch::leaks::LeakCheck;
use crate::slab::raw::owner_of;

/// The function that makes new objects.
pub(crate) enum Create<T> {
    /// Of a pool in a static, too.
    Plain(fn() -> T),
    /// With captures.
    Boxed(Box<dyn Fn() -> T + Send + Sync>),
}

/// The function that says whether an idle object may still be handed out.
pub(crate) type Validate<T> = Box<dyn Fn(&T) -> bool + Send + Sync>;

/// Everything that is fixed when a pool is built.
pub(crate) struct Plan<T, R> {
    pub(crate) create: Create<T>,
    pub(crate) recycler: R,
    pub(crate) pages: Option<&'static Pages>,
    /// `None` for the default ones, which ask the machine and so cannot be `const`.
    pub(crate) bounds: Option<Bounds>,
    pub(crate) choices: Choices,
    /// Finds out what the pool itself takes; asked by the judge.
    pub(crate) overheads: fn() -> Overheads,
    pub(crate) validate_get: Option<Validate<T>>,
    pub(crate) name: Option<&'static str>,
}

impl<T, R> Plan<T, R> {
    /// With the defaults.
    pub(crate) const fn new(
        create: Create<T>,
        recycler: R,
        overheads: fn() -> Overheads,
    ) -> Plan<T, R> {
        Plan {
            create,
            recycler,
            pages: None,
            bounds: None,
            choices: Choices::DEFAULT,
            overheads,
            validate_get: None,
            name: None,
        }
    }
}

/// See the module. `store` is first, so that its first line is the core's.
#[repr(C)]
pub(crate) struct PoolCore<T, R> {
    pub(crate) store: Store,
    pub(crate) discipline: Discipline,
    pub(crate) recycler: R,
    pub(super) create: Create<T>,
    pub(super) validate_get: Option<Validate<T>>,
    name: Option<&'static str>,
}

/// Room for a core that nobody has filled.
pub(crate) struct CoreRoom<T, R>(NonNull<PoolCore<T, R>>);

impl<T, R> CoreRoom<T, R> {
    pub(crate) fn try_new() -> Result<CoreRoom<T, R>, AllocError> {
        let layout = Layout::new::<PoolCore<T, R>>();
        // SAFETY: a core is not zero-sized.
        let block = unsafe { std::alloc::alloc(layout) };
        let bytes = layout.size();
        let block = NonNull::new(block.cast()).ok_or(AllocError::SourceExhausted { bytes })?;
        Ok(CoreRoom(block))
    }

    /// Moves a plan into a core here, to be freed as a box.
    pub(crate) fn fill(self, plan: Plan<T, R>, default_bounds: Bounds) -> NonNull<PoolCore<T, R>> {
        let bounds = plan.bounds.unwrap_or(default_bounds);
        let looks = plan.validate_get.is_some() || plan.choices.leak_check() == LeakCheck::Every;
        let store = Store::new(plan.pages, Noted::<T>::SLOT, bounds, looks);
        let core = PoolCore {
            discipline: Discipline::new(&plan.choices, &store.route, plan.overheads),
            store,
            recycler: plan.recycler,
            create: plan.create,
            validate_get: plan.validate_get,
            name: plan.name,
        };
        let block = mem::ManuallyDrop::new(self).0;
        // SAFETY: fresh, aligned and large enough.
        unsafe {
            block.write(core);
            let owner = block.as_ptr().cast_const().cast();
            block.as_ref().store.vacant().set_owner(owner);
        }
        block
    }
}

impl<T, R> Drop for CoreRoom<T, R> {
    fn drop(&mut self) {
        // SAFETY: allocated by `try_new` with this layout, and not filled.
        unsafe { std::alloc::dealloc(self.0.as_ptr().cast(), Layout::new::<PoolCore<T, R>>()) };
    }
}

/// The core a slot belongs to.
///
/// # Safety
/// `slot` is a slot of a `PoolCore<T, R>` that outlives `'c`.
#[inline(always)]
pub(crate) unsafe fn core_of<'c, T, R>(slot: NonNull<T>) -> &'c PoolCore<T, R> {
    // SAFETY: a live slot by the caller; its owner was set to its core's address.
    unsafe { &*owner_of(slot.cast()).cast::<PoolCore<T, R>>() }
}

impl<T, R> PoolCore<T, R> {
    pub(crate) fn name(&self) -> Option<&'static str> {
        self.name
    }

    /// A value of this pool that nobody has, to be dropped.
    pub(super) fn doomed<'c>(
        &'c self,
        shard: Option<&'c Shard>,
        slot: NonNull<T>,
        reason: Drops,
    ) -> Doomed<'c, T> {
        Doomed {
            store: &self.store,
            shard,
            slot,
            reason,
        }
    }

    /// Idle values, to be dropped.
    pub(super) fn surplus(&self, excess: Excess) -> Surplus<'_, T> {
        Surplus {
            store: &self.store,
            excess,
            values: PhantomData,
        }
    }

    /// Whether a value is of the present generation.
    pub(super) fn is_present(&self, slot: NonNull<T>) -> bool {
        let generation = self.store.events.generation();
        // SAFETY: a value of this pool that nobody has, by those who ask.
        let of = unsafe { note::generation(Noted::read(slot)) };
        of == generation && generation != NO_ID
    }
}

impl<T, R> Drop for PoolCore<T, R> {
    fn drop(&mut self) {
        let chain = self.store.close();
        let reason = Drops::Trimmed;
        self.surplus(Excess { chain, reason }).drop_all();
    }
}
