//! The way back: what becomes of a value whose guard is gone.
//!
//! Owns nothing; the other half of `typed.rs`, under its invariants.

use core::marker::PhantomData;
use core::mem;
use core::ptr::NonNull;

use crate::pool::claims;
use crate::pool::clock::Watch;
use crate::pool::figures::Drops;
use crate::pool::mode::Route;
use crate::pool::note::{self, Marks};
use crate::pool::recycle::{Outcome, Recycler};
use crate::pool::shard::Shard;
use crate::pool::store::Birth;
use crate::pool::typed::{Core, core_of};
use crate::pool::wards::{Doomed, LiveEnd, Poisoned};

/// What becomes of a value whose guard is gone.
#[derive(Clone, Copy)]
pub(crate) enum Fate {
    Keep,
    Drop(Drops),
}

impl<T, R> Core<T, R> {
    /// Keeps a recycled value whose guard is gone, or drops it.
    ///
    /// # Safety
    /// The slot is this pool's, its value is live, and its guard no longer uses it.
    unsafe fn put_slow(&self, slot: NonNull<T>) {
        let _end = LiveEnd(&self.store);
        // SAFETY: as ours.
        unsafe { self.keep(slot) };
    }

    /// As `put_slow`, for a value that no guard counted.
    ///
    /// # Safety
    /// As [`put_slow`](Self::put_slow).
    unsafe fn keep(&self, slot: NonNull<T>) {
        // Should the drop of a surplus value panic, this one goes with it.
        let mut doomed = Doomed {
            store: &self.store,
            shard: None,
            slot,
            reason: Drops::Poisoned,
        };
        self.answer_pressure();
        let (shard, surplus) = self.store.attend();
        self.drop_surplus(surplus);
        // The shard may have heard of a generation just now that this value is not of.
        let birth = self.store.birth();
        if !self.is_of(slot, birth) {
            doomed.reason = Drops::Retired;
            return;
        }
        // SAFETY: `attend` answers with a shard this thread has claimed; the slot is ours.
        match unsafe { self.store.put_idle(shard, slot.cast(), birth.generation) } {
            Ok(()) => mem::forget(doomed),
            Err(reason) => (doomed.shard, doomed.reason) = (shard, reason),
        }
    }

    /// As `put_slow`, by a handle with a shard of its own.
    ///
    /// # Safety
    /// As [`put_slow`](Self::put_slow), and the caller holds the claim of `shard`, which is one of
    /// this pool's.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn put_slow_to(&self, shard: &Shard, slot: NonNull<T>) {
        // As in `keep`.
        let mut doomed = Doomed {
            store: &self.store,
            shard: None,
            slot,
            reason: Drops::Poisoned,
        };
        // The shard hears of events at the handle's next get, which looks anew where puts go: after
        // a generation this one's old objects must not come by without being looked at.
        self.answer_pressure();
        let birth = self.store.birth();
        if !self.is_of(slot, birth) {
            doomed.reason = Drops::Retired;
            return;
        }
        let to = self.store.usable(shard);
        // SAFETY: the claim and the slot, by the caller.
        match unsafe { self.store.put_idle(to, slot.cast(), birth.generation) } {
            Ok(()) => mem::forget(doomed),
            Err(reason) => (doomed.shard, doomed.reason) = (Some(shard), reason),
        }
    }

    /// Whether a value is of the generation of `birth`, the present one.
    fn is_of(&self, slot: NonNull<T>, birth: Birth) -> bool {
        if Self::NOTED {
            // SAFETY: a value of this pool, by the callers of those who ask.
            let note = unsafe { Self::note_of(slot) };
            return note::is_of(note, birth.put_id, birth.generation);
        }
        self.store.is_enrolled(slot.addr().get(), birth)
    }

    /// Drops a value whose guard is gone.
    ///
    /// # Safety
    /// As [`put_slow`](Self::put_slow).
    pub(crate) unsafe fn reject(&self, slot: NonNull<T>, reason: Drops) {
        let _end = LiveEnd(&self.store);
        drop(Doomed {
            store: &self.store,
            shard: claims::seated(&self.store),
            slot,
            reason,
        });
    }

    /// Drops a value whose user says so.
    ///
    /// # Safety
    /// As [`put_slow`](Self::put_slow).
    pub(crate) unsafe fn discard(&self, slot: NonNull<T>) {
        self.untrack(slot);
        // SAFETY: as ours.
        unsafe { self.reject(slot, Drops::Discarded) };
    }

    /// What a value's note says; nothing where there is none.
    fn marks_of(slot: NonNull<T>) -> Marks {
        if !Self::NOTED {
            return Marks::default();
        }
        // SAFETY: a value of this pool, by the callers of those who ask.
        note::marks(unsafe { Self::note_of(slot) })
    }

    /// Ends the look-out for a value that somebody gives up.
    fn untrack(&self, slot: NonNull<T>) {
        let leaks = &self.store.discipline.leaks;
        if Self::marks_of(slot).tracked || leaks.is_for_every() {
            leaks.end(slot.addr().get());
        }
    }

    /// What the fast path of a guard's drop did not do.
    ///
    /// # Safety
    /// As [`put_slow`](Self::put_slow), of a `Core<T, R>` that is alive.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn finish(slot: NonNull<T>, fate: Fate) {
        // SAFETY: as ours.
        unsafe {
            let core = core_of::<T, R>(slot);
            match fate {
                Fate::Keep => core.put_slow(slot),
                Fate::Drop(reason) => core.reject(slot, reason),
            }
        }
    }

    /// Takes the value out of a guard's slot.
    ///
    /// # Safety
    /// As [`put_slow`](Self::put_slow).
    pub(crate) unsafe fn detach(&self, slot: NonNull<T>) -> T {
        let _end = LiveEnd(&self.store);
        self.untrack(slot);
        self.store.on_detach();
        // SAFETY: the value is live, and the slot is given back without it.
        unsafe {
            let value = slot.read();
            self.store.give_slot(None, slot.cast());
            value
        }
    }
}

impl<T, R: Recycler<T>> Core<T, R> {
    /// Recycles a value whose guard is gone, unless a panic drops it. The value is dropped here
    /// when `recycle` panics.
    ///
    /// # Safety
    /// As [`put_slow`](Self::put_slow), of a `Core<T, R>` that is alive.
    #[inline(always)]
    pub(crate) unsafe fn judge(slot: NonNull<T>) -> Fate {
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
        fate(outcome)
    }

    /// Takes a value back whose note matches no hot seat: it is looked at, and kept like any other
    /// if there is nothing against it. In `shard`, for a handle that has one.
    ///
    /// # Safety
    /// As [`put_slow`](Self::put_slow), of a `Core<T, R>` that is alive; the caller holds the claim
    /// of `shard`, which is one of this pool's.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn take_back(slot: NonNull<T>, shard: Option<&Shard>) {
        // SAFETY: as ours.
        let core = unsafe { core_of::<T, R>(slot) };
        let marks = Self::marks_of(slot);
        if marks.tracked || core.store.discipline.leaks.is_for_every() {
            core.untrack(slot);
        }
        let bypassed = match core.store.control().route() {
            Route::Pool => false,
            Route::Bypass => true,
            Route::Share(_) => marks.transient,
        };
        let birth = core.store.birth();
        let against = if std::thread::panicking() {
            Some(Drops::Poisoned)
        } else if bypassed {
            Some(Drops::Bypassed)
        } else {
            (!core.is_of(slot, birth)).then_some(Drops::Retired)
        };
        if let Some(reason) = against {
            // SAFETY: as ours.
            return unsafe { core.reject(slot, reason) };
        }
        let watch = marks.measured.then(Watch::start);
        // SAFETY: as above.
        let fate = unsafe { Self::judge(slot) };
        let mut wanted = false;
        if let Some(watch) = watch {
            core.store.meters().recycle.add(watch.nanos());
            wanted = core.store.control().wants_to_see();
        }
        // SAFETY: as above; the note is the value's own, and no guard is left to read it.
        unsafe {
            match fate {
                Fate::Drop(reason) => core.reject(slot, reason),
                Fate::Keep => {
                    if Self::NOTED {
                        Self::note_at(slot).write(core.kept_note(birth, wanted));
                    }
                    match shard {
                        Some(shard) => core.put_slow_to(shard, slot),
                        None if claims::push_seated(Self::note_of(slot), slot.cast()) => {}
                        None => core.put_slow(slot),
                    }
                }
            }
        }
        if wanted {
            core.visit(shard.or_else(|| claims::seated(&core.store)));
        }
    }

    /// The note of a value that is kept.
    fn kept_note(&self, birth: Birth, measured: bool) -> usize {
        if !measured {
            return self.plain_note(birth);
        }
        let marks = Marks {
            measured,
            ..Marks::default()
        };
        note::special(birth.generation, marks)
    }

    /// Takes a value in that did not come from the pool, recycled first.
    pub(crate) fn adopt(&self, mut value: T) {
        let bypassed = self.store.control().route() == Route::Bypass;
        if bypassed || std::thread::panicking() {
            return;
        }
        let birth = self.store.birth();
        let outcome = R::recycle(|| &self.recycler, &mut value);
        if !matches!(outcome, Outcome::Keep) {
            return;
        }
        // SAFETY: without a shard there is no claim.
        let Ok(slot) = (unsafe { self.store.take_slot(None) }) else {
            return;
        };
        let slot = slot.cast::<T>();
        // SAFETY: a slot of `SLOT`'s layout, uninitialised and ours alone.
        unsafe {
            self.fill(slot, value, birth, false);
            self.store.on_adopt();
            self.keep(slot);
        }
    }
}

#[inline(always)]
fn fate(outcome: Outcome) -> Fate {
    match outcome {
        Outcome::Keep => Fate::Keep,
        Outcome::Discard => Fate::Drop(Drops::Discarded),
        Outcome::Oversize => Fate::Drop(Drops::Oversize),
        Outcome::Invalid => Fate::Drop(Drops::Invalid),
    }
}
