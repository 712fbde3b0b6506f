//! The way back: what becomes of a value whose guard is gone.
//!
//! Owns the [`Fate`] of a value between its guard and the shard; `recycle` runs here
//! (`pool_core.rs`, I1 and I2).

use core::marker::PhantomData;
use core::mem;
use core::ptr::NonNull;

use crate::pool::exchange::leases::Way;
use crate::pool::exchange::route::Route;
use crate::pool::life::note::{self, Marks, Noted};
use crate::pool::life::pool_core::{PoolCore, core_of};
use crate::pool::life::recycle::{Outcome, Recycler};
use crate::pool::life::wards::{LiveEnd, OnPanic};
use crate::pool::stock::drops::Drops;
use crate::pool::stock::shard::{Shard, off_the_straight_path};
use crate::pool::watch::clock::Watch;

/// A value that `recycle` is at work on: dropped should that panic.
struct Poisoned<T, R> {
    slot: NonNull<T>,
    of: PhantomData<R>,
}

impl<T, R> Drop for Poisoned<T, R> {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: made by `recycle`, whose caller gave the value up; the core is alive.
        unsafe { core_of::<T, R>(self.slot).reject(Way::Table, self.slot, Drops::Poisoned) };
    }
}

/// What becomes of a value whose guard is gone.
#[derive(Clone, Copy)]
enum Fate {
    /// It was not recycled yet: its note has marks.
    Open,
    Keep,
    Drop(Drops),
}

impl<T, R> PoolCore<T, R> {
    /// Keeps a recycled value that no guard has, or drops it.
    ///
    /// # Safety
    /// The slot is this pool's, its value is live, and nobody else uses it.
    unsafe fn keep(&self, way: Way<'_>, slot: NonNull<T>) {
        // Should the drop of a surplus value panic, this one goes with it.
        let mut doomed = self.doomed(None, slot, Drops::Poisoned);
        let shard = self.attend(way);
        let against = if self.store.route.get() == Route::Bypass {
            Some(Drops::Bypassed)
        } else {
            (!self.is_present(slot)).then_some(Drops::Retired)
        };
        if let Some(reason) = against {
            doomed.reason = reason;
            return;
        }
        // SAFETY: `attend` answers with a shard this thread has leased; the slot is ours.
        let kept = unsafe {
            let generation = note::generation(Noted::read(slot));
            self.store.put_idle(shard, slot.cast(), generation)
        };
        match kept {
            Ok(()) => mem::forget(doomed),
            Err(reason) => (doomed.shard, doomed.reason) = (shard, reason),
        }
    }

    /// Drops a value whose guard is gone.
    ///
    /// # Safety
    /// As [`keep`](Self::keep).
    pub(crate) unsafe fn reject(&self, way: Way<'_>, slot: NonNull<T>, reason: Drops) {
        let _end = LiveEnd(&self.store);
        drop(self.doomed(way.seated(&self.store), slot, reason));
    }

    /// Drops a value whose user says so.
    ///
    /// # Safety
    /// As [`keep`](Self::keep).
    pub(crate) unsafe fn discard(&self, way: Way<'_>, slot: NonNull<T>) {
        let _end = LiveEnd(&self.store);
        // SAFETY: as ours.
        self.untrack(slot, unsafe { note::marks(Noted::read(slot)) });
        let shard = way.seated(&self.store);
        self.store.counters().on_give_up(shard);
        drop(self.doomed(shard, slot, Drops::Discarded));
    }

    /// Ends the look-out for a value that somebody gives up.
    fn untrack(&self, slot: NonNull<T>, marks: Marks) {
        let leaks = &self.discipline.leaks;
        if marks.tracked || leaks.is_for_every() {
            leaks.end(slot.addr().get());
        }
    }

    /// Takes the value out of a guard's slot.
    ///
    /// # Safety
    /// As [`keep`](Self::keep).
    pub(crate) unsafe fn detach(&self, way: Way<'_>, slot: NonNull<T>) -> T {
        let _end = LiveEnd(&self.store);
        // SAFETY: as ours.
        self.untrack(slot, unsafe { note::marks(Noted::read(slot)) });
        self.store.counters().detached.add();
        // SAFETY: the value is live, and the slot is given back without it.
        unsafe {
            let value = slot.read();
            self.store
                .vacant()
                .give(way.seated(&self.store), slot.cast());
            value
        }
    }
}

impl<T, R: Recycler<T>> PoolCore<T, R> {
    /// Recycles a value whose guard is gone, unless a panic drops it. The value is dropped here
    /// when `recycle` panics.
    ///
    /// # Safety
    /// As [`keep`](Self::keep), of a `PoolCore<T, R>` that is alive.
    #[inline(always)]
    unsafe fn recycle(slot: NonNull<T>) -> Fate {
        if std::thread::panicking() {
            return Fate::Drop(Drops::Poisoned);
        }
        let poisoned = Poisoned::<T, R> {
            slot,
            of: PhantomData,
        };
        // SAFETY: the value is live and ours alone, by the caller, and its core alive. A recycler
        // without a state does not look for the core.
        let outcome =
            unsafe { R::recycle(|| &core_of::<T, R>(slot).recycler, &mut *slot.as_ptr()) };
        mem::forget(poisoned);
        fate_of(outcome)
    }

    /// A guard's drop. `shard_for` answers with this thread's shard for a note, if it has one at
    /// hand; `way` is the longer one.
    ///
    /// # Safety
    /// As [`keep`](Self::keep), of a `PoolCore<T, R>` that is alive; what `shard_for` answers with
    /// is leased by this thread and takes objects of that note.
    #[inline(always)]
    pub(crate) unsafe fn give_back<'w>(
        slot: NonNull<T>,
        way: impl Fn() -> Way<'w>,
        shard_for: impl FnOnce(usize) -> Option<NonNull<Shard>>,
    ) {
        // SAFETY: as ours.
        unsafe {
            let note = Noted::read(slot);
            let fate = if note::is_marked(note) {
                off_the_straight_path();
                Fate::Open
            } else {
                Self::recycle(slot)
            };
            if let Fate::Keep = fate {
                // After the user's code: that may have begun a generation.
                if let Some(shard) = shard_for(note) {
                    if shard.as_ref().push(slot.cast()) {
                        return;
                    }
                }
            }
            Self::finish(way(), slot, fate);
        }
    }

    /// What the short way of a guard's drop did not do.
    ///
    /// # Safety
    /// As [`keep`](Self::keep), of a `PoolCore<T, R>` that is alive, whose seat `way` is.
    #[cold]
    #[inline(never)]
    unsafe fn finish(way: Way<'_>, slot: NonNull<T>, fate: Fate) {
        // SAFETY: as ours.
        unsafe {
            let core = core_of::<T, R>(slot);
            match fate {
                Fate::Open => core.take_back(way, slot),
                // Not if guards are counted: no seat takes those objects.
                Fate::Keep if way.push(&core.store, Noted::read(slot), slot.cast()) => {}
                Fate::Keep => {
                    let _end = LiveEnd(&core.store);
                    core.keep(way, slot);
                }
                Fate::Drop(reason) => core.reject(way, slot, reason),
            }
        }
    }

    /// Takes a value back whose note has marks: it is looked at, and kept like any other if there
    /// is nothing against it.
    ///
    /// # Safety
    /// As [`finish`](Self::finish).
    unsafe fn take_back(&self, way: Way<'_>, slot: NonNull<T>) {
        // SAFETY: as ours.
        let marks = unsafe { note::marks(Noted::read(slot)) };
        self.untrack(slot, marks);
        let bypassed = match self.store.route.get() {
            Route::Pool => false,
            Route::Bypass => true,
            Route::Share(_) => marks.transient,
        };
        let against = if std::thread::panicking() {
            Some(Drops::Poisoned)
        } else if bypassed {
            Some(Drops::Bypassed)
        } else {
            (!self.is_present(slot)).then_some(Drops::Retired)
        };
        if let Some(reason) = against {
            // SAFETY: as ours.
            return unsafe { self.reject(way, slot, reason) };
        }
        let watch = marks.measured.then(Watch::start);
        // SAFETY: as above.
        let fate = unsafe { Self::recycle(slot) };
        let mut wanted = false;
        if let Some(watch) = watch {
            self.store.meters().recycle.add(watch.nanos());
            wanted = self.discipline.judge.wants_to_see(self.store.meters());
        }
        // SAFETY: as above; the note is the value's own, and no guard is left to read it.
        unsafe {
            if let Fate::Keep = fate {
                let marks = Marks {
                    measured: wanted,
                    ..Marks::default()
                };
                Noted::mark(slot, marks);
            }
            Self::finish(way, slot, fate);
        }
        if wanted {
            self.visit(way.seated(&self.store));
        }
    }

    /// Takes a value in that did not come from the pool, recycled first.
    pub(crate) fn adopt(&self, mut value: T) {
        let generation = self.store.events.generation();
        let fate = if self.store.route.get() == Route::Bypass {
            Fate::Drop(Drops::Bypassed)
        } else if std::thread::panicking() {
            Fate::Drop(Drops::Poisoned)
        } else {
            let counters = self.store.counters();
            // It is dropped then.
            let broken = OnPanic(|| {
                counters.adopted.add();
                counters.on_drop(None::<&Shard>, Drops::Poisoned);
            });
            let outcome = R::recycle(|| &self.recycler, &mut value);
            mem::forget(broken);
            fate_of(outcome)
        };
        self.store.counters().adopted.add();
        if let Fate::Drop(reason) = fate {
            self.store.counters().on_drop(None::<&Shard>, reason);
            return;
        }
        // SAFETY: the thread's own shard.
        let taken = unsafe { self.store.vacant().take(Way::Table.seated(&self.store)) };
        let Ok(slot) = taken else {
            self.store.counters().on_drop(None::<&Shard>, Drops::Full);
            return;
        };
        let slot = slot.cast::<T>();
        // SAFETY: a slot of `SLOT`'s layout, uninitialised and ours alone.
        unsafe {
            slot.write(value);
            Noted::write(slot, generation, Marks::default());
            self.keep(Way::Table, slot);
        }
    }
}

#[inline(always)]
fn fate_of(outcome: Outcome) -> Fate {
    match outcome {
        Outcome::Keep => Fate::Keep,
        Outcome::Discard => Fate::Drop(Drops::Discarded),
        Outcome::Oversize => Fate::Drop(Drops::Oversize),
        Outcome::Invalid => Fate::Drop(Drops::Invalid),
    }
}
