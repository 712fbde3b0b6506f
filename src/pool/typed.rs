//! The typed core of a pool: where slots become values, and the only place that runs user code.
//!
//! Owns the functions of the user and, through the erased [`Store`], every value that is idle.
//! Lives in a heap block of its own from the pool's first use to its drop, so that a guard finds it
//! from its slot alone.
//!
//! I1: `create`, `recycle` and the drop of a value run while nothing is locked or borrowed; each
//! may use the pool again, and may panic.
//! I2: a slot that leaves the store is, at every moment user code may unwind, in the hands of a
//! value with a `Drop` that gives it back: [`Vacant`] before its value exists, [`Doomed`] while the
//! value is judged or dropped, [`Surplus`] for whole chains.

use core::alloc::Layout;
use core::cell::Cell;
use core::marker::PhantomData;
use core::mem;
use core::ptr::{self, NonNull};

use crate::base::error::AllocError;
use crate::pages::Pages;
use crate::pool::claims::{self, NO_ID};
use crate::pool::magazine::Chain;
use crate::pool::recycle::{Keep, Recycler};
use crate::pool::shard::Shard;
use crate::pool::store::{Bounds, Drops, Store};
use crate::slab::raw::owner_of;

/// A cache line of most processors. Those that fetch lines in pairs still write them one by one.
const LINE_BYTES: usize = 64;

/// The function that makes new objects.
pub(crate) enum Create<T> {
    /// Of a pool in a static, too.
    Plain(fn() -> T),
    /// With captures.
    Boxed(Box<dyn Fn() -> T + Send + Sync>),
}

/// A plan that came to nothing, for want of memory.
type Unplanned<T, R> = (Plan<T, R>, AllocError);

/// Everything that is fixed when a pool is built.
pub(crate) struct Plan<T, R> {
    pub(crate) create: Create<T>,
    pub(crate) recycler: R,
    pub(crate) pages: Option<&'static Pages>,
    /// `None` for the default ones, which ask the machine and so cannot be `const`.
    pub(crate) bounds: Option<Bounds>,
    pub(crate) name: Option<&'static str>,
}

/// See the module. `store` is first, so that its first line is the core's.
#[repr(C)]
pub(crate) struct Core<T, R> {
    pub(crate) store: Store,
    pub(crate) recycler: R,
    create: Create<T>,
    name: Option<&'static str>,
}

/// Why there is no object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// `live_max` guards are out.
    Live(usize),
    /// No memory for a slot, or for the core.
    Memory(AllocError),
}

/// A slot without a value; gives itself back, to the shard if its maker has claimed one.
struct Vacant<'c> {
    store: &'c Store,
    shard: Option<&'c Shard>,
    slot: NonNull<u8>,
}

impl Drop for Vacant<'_> {
    fn drop(&mut self) {
        // SAFETY: made from a slot of this store that holds no value, by whoever has the claim.
        unsafe { self.store.give_slot(self.shard, self.slot) };
    }
}

/// A value that will be dropped for `reason`, unless it is forgotten first.
struct Doomed<'c, T> {
    store: &'c Store,
    shard: Option<&'c Shard>,
    slot: NonNull<T>,
    reason: Drops,
}

impl<T> Drop for Doomed<'_, T> {
    fn drop(&mut self) {
        self.store.on_drop(self.shard, self.reason);
        let _vacant = Vacant {
            store: self.store,
            shard: self.shard,
            slot: self.slot.cast(),
        };
        // SAFETY: made from a slot whose value is live and nobody else's. Should the drop unwind,
        // `_vacant` gives the slot back all the same.
        unsafe { ptr::drop_in_place(self.slot.as_ptr()) };
    }
}

/// Idle values that will be dropped; a panic of one does not keep the others.
struct Surplus<'c, T> {
    store: &'c Store,
    chain: Chain,
    /// One of the values, in name: dropping `Surplus` drops them.
    values: PhantomData<T>,
}

impl<T> Surplus<'_, T> {
    fn drop_all(&mut self) {
        while let Some((slot, _)) = self.chain.pop() {
            drop(Doomed {
                store: self.store,
                shard: None,
                slot: slot.cast::<T>(),
                reason: Drops::Trimmed,
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

/// What becomes of a value whose guard is gone.
#[derive(Clone, Copy)]
pub(crate) enum Verdict {
    Keep,
    Drop(Drops),
}

/// A value that `recycle` is at work on: dropped should that panic.
struct Poisoned<T, R> {
    slot: NonNull<T>,
    of: PhantomData<R>,
}

impl<T, R> Drop for Poisoned<T, R> {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: made by `judge`, whose caller gave the value up; the core is alive.
        unsafe { core_of::<T, R>(self.slot).reject(self.slot, Drops::Poisoned) };
    }
}

/// Ends a guard's count on every way out.
struct LiveEnd<'c>(&'c Store);

impl Drop for LiveEnd<'_> {
    fn drop(&mut self) {
        self.0.end_live();
    }
}

/// The core a slot belongs to.
///
/// # Safety
/// `slot` is a slot of a `Core<T, R>` that outlives `'c`.
#[inline(always)]
pub(crate) unsafe fn core_of<'c, T, R>(slot: NonNull<T>) -> &'c Core<T, R> {
    // SAFETY: a live slot by the caller; its owner was set to its core's address.
    unsafe { &*owner_of(slot.cast()).cast::<Core<T, R>>() }
}

impl<T, R> Core<T, R> {
    /// No two objects of a pool share a cache line: they are in the hands of different threads, and
    /// each writes to its own. With two 32-byte slots in a line a get, a push and a put took 7.3 ns
    /// on two threads, apart they take the 1.8 of one thread. Small objects pay with memory: a pool
    /// is for objects that own some.
    const STEP: usize = if align_of::<T>() > LINE_BYTES {
        align_of::<T>()
    } else {
        LINE_BYTES
    };

    /// Whether the pool's id stands behind each value, in the part of the slot the value leaves
    /// over. It saves the way from the slot over its slab to the core, half a nanosecond of a put.
    /// Objects of 256 bytes and more that fill their lines get another one for it, at most a
    /// quarter; smaller ones do without.
    const NOTED: bool = {
        let end = if size_of::<T>() == 0 {
            Self::STEP
        } else {
            size_of::<T>().next_multiple_of(Self::STEP)
        };
        let slack = end - size_of::<T>();
        slack >= size_of::<usize>()
            || (Self::STEP == LINE_BYTES && size_of::<T>() >= 256 && size_of::<T>() < 1 << 20)
    };

    /// Where it stands.
    const NOTE_AT: usize = size_of::<T>().next_multiple_of(align_of::<usize>());

    /// The slot a `T` sits in. A zero-sized one still gets bytes, so that every guard has an
    /// address of its own to be found by.
    const SLOT: Layout = {
        let size = if Self::NOTED {
            Self::NOTE_AT + size_of::<usize>()
        } else {
            size_of::<T>()
        };
        match Layout::from_size_align(size, Self::STEP) {
            Ok(layout) => layout.pad_to_align(),
            Err(_) => panic!("the layout of a type is valid"),
        }
    };

    /// Moves a plan into a core of its own. The plan comes back when there is no memory.
    pub(crate) fn try_new(
        plan: Plan<T, R>,
        default_bounds: impl FnOnce() -> Bounds,
    ) -> Result<NonNull<Core<T, R>>, Unplanned<T, R>> {
        let layout = Layout::new::<Core<T, R>>();
        // SAFETY: a core is not zero-sized.
        let block = unsafe { std::alloc::alloc(layout) };
        let Some(block) = NonNull::new(block.cast::<Core<T, R>>()) else {
            let bytes = layout.size();
            return Err((plan, AllocError::SourceExhausted { bytes }));
        };
        let bounds = plan.bounds.unwrap_or_else(default_bounds);
        let core = Core {
            store: Store::new(plan.pages, Self::SLOT, bounds),
            recycler: plan.recycler,
            create: plan.create,
            name: plan.name,
        };
        // SAFETY: fresh, aligned and large enough.
        unsafe {
            block.write(core);
            block
                .as_ref()
                .store
                .set_owner(block.as_ptr().cast_const().cast());
        }
        Ok(block)
    }

    pub(crate) fn name(&self) -> Option<&'static str> {
        self.name
    }

    /// Drops the values of a chain.
    pub(crate) fn drop_chain(&self, chain: Chain) -> usize {
        let count = chain.count();
        let mut surplus = Surplus::<T> {
            store: &self.store,
            chain,
            values: PhantomData,
        };
        surplus.drop_all();
        count
    }

    /// Drops what a visit found to be too much; its pages go back then, too.
    fn drop_surplus(&self, surplus: Chain) {
        if surplus.count() > 0 {
            self.end_trim(surplus);
        }
    }

    /// Drops idle values when the budget of the pages ran short. While nothing is borrowed (I1).
    fn answer_pressure(&self) {
        if self.store.is_pressed() {
            self.drop_surplus(self.store.answer_pressure());
        }
    }

    /// A value for a guard, when no seat had one.
    #[cold]
    #[inline(never)]
    pub(crate) fn get_slow(&self) -> Result<NonNull<T>, Refusal> {
        let live = self.begin_live()?;
        self.answer_pressure();
        let (shard, surplus) = self.store.attend();
        self.drop_surplus(surplus);
        // SAFETY: `attend` answers with a shard this thread has claimed. The values just dropped
        // may have used the pool, which does not end the claim.
        let slot = match unsafe { self.store.take_idle(shard) } {
            Some(slot) => slot.cast(),
            // SAFETY: as above.
            None => unsafe { self.create_for_get(shard)? },
        };
        mem::forget(live);
        Ok(slot)
    }

    /// As `get_slow`, by a handle with a shard of its own, which notes the id it is up to date with
    /// in `seen`.
    ///
    /// # Safety
    /// The caller holds the claim of `shard`, which is one of this pool's.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn get_slow_from(
        &self,
        shard: &Shard,
        seen: &Cell<usize>,
    ) -> Result<NonNull<T>, Refusal> {
        self.answer_pressure();
        // SAFETY: the claim, by the caller, here and below.
        let (get_id, surplus) = unsafe { self.store.attend_to(shard) };
        if let Some(get_id) = get_id {
            seen.set(get_id);
        }
        self.drop_surplus(surplus);
        // SAFETY: as above.
        match unsafe { self.store.take_idle(Some(shard)) } {
            Some(slot) => Ok(slot.cast()),
            // SAFETY: as above.
            None => unsafe { self.create_for_get(Some(shard)) },
        }
    }

    fn begin_live(&self) -> Result<LiveEnd<'_>, Refusal> {
        if !self.store.try_live() {
            return Err(Refusal::Live(self.store.bounds().live_max));
        }
        Ok(LiveEnd(&self.store))
    }

    /// # Safety
    /// The caller holds the claim of `shard`, which is one of this pool's.
    unsafe fn create_for_get(&self, shard: Option<&Shard>) -> Result<NonNull<T>, Refusal> {
        // SAFETY: as ours.
        let slot = unsafe { self.create_value(shard).map_err(Refusal::Memory)? };
        self.store.on_miss(shard);
        Ok(slot)
    }

    /// A new value in a slot: the slot first, then the user's code, then the write.
    ///
    /// # Safety
    /// As [`create_for_get`](Self::create_for_get).
    unsafe fn create_value(&self, shard: Option<&Shard>) -> Result<NonNull<T>, AllocError> {
        // SAFETY: as ours.
        let slot = unsafe { self.store.take_slot(shard)? };
        let vacant = Vacant {
            store: &self.store,
            shard,
            slot,
        };
        let value = match &self.create {
            Create::Plain(create) => create(),
            Create::Boxed(create) => create(),
        };
        mem::forget(vacant);
        let slot = slot.cast::<T>();
        // SAFETY: a slot of `SLOT`'s layout, uninitialised and ours alone.
        unsafe { self.fill(slot, value) };
        Ok(slot)
    }

    /// Puts a value, and the note behind it, into a slot.
    ///
    /// # Safety
    /// The slot is one of this store's, uninitialised and the caller's alone.
    unsafe fn fill(&self, slot: NonNull<T>, value: T) {
        // A pool that counts its guards has no use for the path that does not.
        let id = if self.store.counts() {
            NO_ID
        } else {
            self.store.id()
        };
        // SAFETY: by the caller; `SLOT` has room for the note, aligned.
        unsafe {
            slot.write(value);
            if Self::NOTED {
                slot.byte_add(Self::NOTE_AT).cast::<usize>().write(id);
            }
        }
    }

    /// The id for puts of the pool a slot belongs to, or `NO_ID` if it counts its guards.
    ///
    /// # Safety
    /// `slot` is a slot with a value, of a `Core<T, R>` that is alive.
    #[inline(always)]
    pub(crate) unsafe fn put_id_of(slot: NonNull<T>) -> usize {
        // SAFETY: by the caller; `fill` wrote the note, and the value's user cannot reach it.
        unsafe {
            if Self::NOTED {
                return slot.byte_add(Self::NOTE_AT).cast::<usize>().read();
            }
            let store = &core_of::<T, R>(slot).store;
            if store.counts() { NO_ID } else { store.id() }
        }
    }

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
        // SAFETY: `attend` answers with a shard this thread has claimed; the slot is ours.
        match unsafe { self.store.put_idle(shard, slot.cast()) } {
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
        self.answer_pressure();
        // SAFETY: the claim and the slot, by the caller, here and below.
        let (_, surplus) = unsafe { self.store.attend_to(shard) };
        self.drop_surplus(surplus);
        // SAFETY: as above.
        match unsafe { self.store.put_idle(Some(shard), slot.cast()) } {
            Ok(()) => mem::forget(doomed),
            Err(reason) => (doomed.shard, doomed.reason) = (Some(shard), reason),
        }
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

    /// What the fast path of a guard's drop did not do.
    ///
    /// # Safety
    /// As [`put_slow`](Self::put_slow), of a `Core<T, R>` that is alive.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn finish(slot: NonNull<T>, verdict: Verdict) {
        // SAFETY: as ours.
        unsafe {
            match verdict {
                Verdict::Keep => {
                    if !claims::push_seated(Self::put_id_of(slot), slot.cast()) {
                        core_of::<T, R>(slot).put_slow(slot);
                    }
                }
                Verdict::Drop(reason) => core_of::<T, R>(slot).reject(slot, reason),
            }
        }
    }

    /// Takes the value out of a guard's slot.
    ///
    /// # Safety
    /// As [`put_slow`](Self::put_slow).
    pub(crate) unsafe fn detach(&self, slot: NonNull<T>) -> T {
        let _end = LiveEnd(&self.store);
        self.store.on_detach();
        // SAFETY: the value is live, and the slot is given back without it.
        unsafe {
            let value = slot.read();
            self.store.give_slot(None, slot.cast());
            value
        }
    }

    /// Keeps `count` new values, up to the bound.
    pub(crate) fn prefill(&self, count: usize) -> Result<usize, AllocError> {
        let missing = count.saturating_sub(self.store.idle());
        for made in 0..missing {
            // SAFETY: without a shard there is no claim.
            let slot = unsafe { self.create_value(None)? };
            self.store.on_prefill();
            let doomed = Doomed {
                store: &self.store,
                shard: None,
                slot,
                reason: Drops::Full,
            };
            // SAFETY: a fresh value in a slot of ours.
            if !unsafe { self.store.put_depot(slot.cast()) } {
                return Ok(made);
            }
            mem::forget(doomed);
        }
        Ok(missing)
    }

    /// Collects idle values beyond `keep`, and tells all threads to do so.
    pub(crate) fn begin_trim(&self, keep: usize) -> Chain {
        let (shard, surplus) = self.store.attend();
        self.drop_surplus(surplus);
        // SAFETY: `attend` answers with a shard this thread has claimed.
        unsafe { self.store.trim(shard, keep) }
    }

    /// Drops what `begin_trim` found, and gives pages back; values dropped.
    pub(crate) fn end_trim(&self, surplus: Chain) -> usize {
        let dropped = self.drop_chain(surplus);
        self.store.trim_slots();
        dropped
    }

    /// Ends an interval of the depot; values dropped.
    pub(crate) fn tick(&self) -> usize {
        self.end_trim(self.store.tick())
    }
}

impl<T, R: Recycler<T>> Core<T, R> {
    /// Recycles a value whose guard is gone, unless a panic drops it. The value is dropped here
    /// when `recycle` panics.
    ///
    /// # Safety
    /// As [`put_slow`](Self::put_slow), of a `Core<T, R>` that is alive.
    #[inline(always)]
    pub(crate) unsafe fn judge(slot: NonNull<T>) -> Verdict {
        if std::thread::panicking() {
            return Verdict::Drop(Drops::Poisoned);
        }
        let poisoned = Poisoned::<T, R> {
            slot,
            of: PhantomData,
        };
        // SAFETY: the value is live and ours alone, by the caller, and its core alive. A recycler
        // without a state does not look for the core.
        let keep = unsafe { R::recycle(|| &core_of::<T, R>(slot).recycler, &mut *slot.as_ptr()) };
        mem::forget(poisoned);
        match keep {
            Keep::Yes => Verdict::Keep,
            Keep::Discard => Verdict::Drop(Drops::Discarded),
        }
    }

    /// Takes a value in that did not come from the pool, recycled first.
    pub(crate) fn adopt(&self, mut value: T) {
        if std::thread::panicking() || R::recycle(|| &self.recycler, &mut value) == Keep::Discard {
            return;
        }
        // SAFETY: without a shard there is no claim.
        let Ok(slot) = (unsafe { self.store.take_slot(None) }) else {
            return;
        };
        let slot = slot.cast::<T>();
        // SAFETY: a slot of `SLOT`'s layout, uninitialised and ours alone.
        unsafe {
            self.fill(slot, value);
            self.store.on_adopt();
            self.keep(slot);
        }
    }
}

impl<T, R> Drop for Core<T, R> {
    fn drop(&mut self) {
        let chain = self.store.close();
        self.drop_chain(chain);
    }
}
