//! Who holds a slot while code of the user runs: whatever that does, the slot goes home.
//!
//! Owns one slot each, or a chain of them (`pool_core.rs`, I2).

use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use crate::pool::exchange::store::Store;
use crate::pool::exchange::trimming::Excess;
use crate::pool::stock::drops::Drops;
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
        unsafe { self.store.vacant().give(self.shard, self.slot) };
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
        let measured = self.store.counters().on_drop(self.shard, self.reason);
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
    pub(crate) excess: Excess,
    /// One of the values, in name: dropping `Surplus` drops them.
    pub(crate) values: PhantomData<T>,
}

impl<T> Surplus<'_, T> {
    /// Drops them; how many.
    pub(crate) fn drop_all(&mut self) -> usize {
        let count = self.excess.chain.count();
        while let Some((slot, _)) = self.excess.chain.pop() {
            drop(Doomed {
                store: self.store,
                shard: None,
                slot: slot.cast::<T>(),
                reason: self.excess.reason,
            });
        }
        count
    }
}

impl<T> Drop for Surplus<'_, T> {
    fn drop(&mut self) {
        // Left over only when `drop_all` was cut short by a panic. A second one aborts, as it does
        // in the collections of `std`.
        self.drop_all();
    }
}

/// Counts what a panic leads to, unless it is forgotten first.
pub(crate) struct OnPanic<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Ends a guard's count on every way out.
pub(crate) struct LiveEnd<'c>(pub(crate) &'c Store);

impl Drop for LiveEnd<'_> {
    fn drop(&mut self) {
        self.0.end_live();
    }
}
