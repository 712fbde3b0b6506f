//! Who holds a slot while code of the user runs: whatever that does, the slot goes home.
//!
//! Owns one slot each, or a chain of them (`typed.rs`, I2).

use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use crate::pool::exchange::figures::Drops;
use crate::pool::exchange::leases::Way;
use crate::pool::exchange::store::Store;
use crate::pool::exchange::trimming::Excess;
use crate::pool::life::pool_core::core_of;
use crate::pool::stock::shard::Shard;
use crate::pool::watch::clock::Watch;

/// A slot without a value; gives itself back, to the shard if its maker has leased one.
pub(crate) struct Vacant<'c> {
    pub(crate) store: &'c Store,
    pub(crate) shard: Option<&'c Shard>,
    pub(crate) slot: NonNull<u8>,
}

impl Drop for Vacant<'_> {
    fn drop(&mut self) {
        // SAFETY: made from a slot of this store that holds no value, by whoever has the lease.
        unsafe { self.store.give_slot(self.shard, self.slot) };
    }
}

/// A value that will be dropped for `reason`, unless it is forgotten first.
pub(crate) struct Doomed<'c, T> {
    pub(crate) store: &'c Store,
    pub(crate) shard: Option<&'c Shard>,
    pub(crate) slot: NonNull<T>,
    pub(crate) reason: Drops,
}

impl<T> Drop for Doomed<'_, T> {
    fn drop(&mut self) {
        let measured = self.store.on_drop(self.shard, self.reason);
        let _vacant = Vacant {
            store: self.store,
            shard: self.shard,
            slot: self.slot.cast(),
        };
        // SAFETY: made from a slot whose value is live and nobody else's. Should the drop unwind,
        // `_vacant` gives the slot back all the same.
        let drop_value = || unsafe { ptr::drop_in_place(self.slot.as_ptr()) };
        if !measured {
            return drop_value();
        }
        let watch = Watch::start();
        drop_value();
        self.store.meters().drop.add(watch.nanos());
    }
}

/// Idle values that will be dropped; a panic of one does not keep the others.
pub(crate) struct Surplus<'c, T> {
    pub(crate) store: &'c Store,
    excess: Excess,
    /// One of the values, in name: dropping `Surplus` drops them.
    values: PhantomData<T>,
}

impl<'c, T> Surplus<'c, T> {
    pub(crate) fn new(store: &'c Store, excess: Excess) -> Surplus<'c, T> {
        Surplus {
            store,
            excess,
            values: PhantomData,
        }
    }

    pub(crate) fn drop_all(&mut self) {
        while let Some((slot, _)) = self.excess.chain.pop() {
            drop(Doomed {
                store: self.store,
                shard: None,
                slot: slot.cast::<T>(),
                reason: self.excess.reason,
            });
        }
    }
}

impl<T> Drop for Surplus<'_, T> {
    fn drop(&mut self) {
        // Left over only when `drop_all` was cut short by a panic. A second one aborts, as it does
        // in the collections of `std`.
        self.drop_all();
    }
}

/// A value that `recycle` is at work on: dropped should that panic.
pub(crate) struct Poisoned<T, R> {
    pub(crate) slot: NonNull<T>,
    pub(crate) of: PhantomData<R>,
}

impl<T, R> Drop for Poisoned<T, R> {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: made by `judge`, whose caller gave the value up; the core is alive.
        unsafe { core_of::<T, R>(self.slot).reject(Way::Table, self.slot, Drops::Poisoned) };
    }
}

/// Counts a value that no get hands out, because its validation panics.
pub(crate) struct RefusedByPanic<'c>(pub(crate) &'c Store);

impl Drop for RefusedByPanic<'_> {
    fn drop(&mut self) {
        self.0.on_refused();
    }
}

/// Counts a value that was put in and whose recycle panics, which drops it.
pub(crate) struct BrokenPut<'c>(pub(crate) &'c Store);

impl Drop for BrokenPut<'_> {
    fn drop(&mut self) {
        self.0.on_adopt();
        self.0.on_drop(None, Drops::Poisoned);
    }
}

/// Ends a guard's count on every way out.
pub(crate) struct LiveEnd<'c>(pub(crate) &'c Store);

impl Drop for LiveEnd<'_> {
    fn drop(&mut self) {
        self.0.end_live();
    }
}
