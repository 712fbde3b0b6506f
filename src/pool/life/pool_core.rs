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
//! I3: the note behind a value says of which generation it is, as read before `create` ran. Slow
//! paths hand out no idle value of another generation than the present one (`PoolCore::may_go_out`),
//! the short way none because of where it takes them from (`seat.rs`, I2).
//!
//! The way back is in `returning.rs`.

use core::alloc::Layout;
use core::convert::Infallible;
use core::mem;
use core::panic::Location;
use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::pages::Pages;
use crate::pool::exchange::figures::{Drops, is_sampled};
use crate::pool::exchange::leases::{self, Way};
use crate::pool::exchange::store::{Bounds, Store};
use crate::pool::exchange::trimming::Excess;
use crate::pool::face::asking::GetError;
use crate::pool::life::note::{self, Marks};
use crate::pool::life::wards::{Doomed, LiveEnd, RefusedByPanic, Surplus, Vacant};
use crate::pool::stock::id::NO_ID;
use crate::pool::stock::shard::Shard;
use crate::pool::watch::clock::Watch;
use crate::pool::watch::discipline::{Choices, Discipline};
use crate::pool::watch::leaks::Lookout;
use crate::pool::watch::mode::Route;
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
    pub(crate) validate_get: Option<Validate<T>>,
    pub(crate) name: Option<&'static str>,
}

/// See the module. `store` is first, so that its first line is the core's.
#[repr(C)]
pub(crate) struct PoolCore<T, R> {
    pub(crate) store: Store,
    pub(crate) recycler: R,
    create: Create<T>,
    validate_get: Option<Validate<T>>,
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
        let core = PoolCore {
            store: Store::new(plan.pages, PoolCore::<T, R>::SLOT, bounds, plan.choices),
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
            block.as_ref().store.set_owner(owner);
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
    /// No two objects of a pool share a cache line: they are in the hands of different threads, and
    /// each writes to its own. With two 32-byte slots in a line a get, a push and a put took 7.3 ns
    /// on two threads, apart they take the 1.8 of one thread. Small objects pay with memory: a pool
    /// is for objects that own some.
    const STEP: usize = if align_of::<T>() > LINE_BYTES {
        align_of::<T>()
    } else {
        LINE_BYTES
    };

    /// Where the note (`note.rs`) stands: in the part of the slot that the value leaves over, or in
    /// another line. It saves the way from the slot over its slab to the core, half a nanosecond of
    /// a put.
    const NOTE_AT: usize = size_of::<T>().next_multiple_of(align_of::<usize>());

    /// The slot a `T` sits in. A zero-sized one still gets bytes, so that every guard has an
    /// address of its own to be found by.
    pub(crate) const SLOT: Layout = {
        let size = Self::NOTE_AT + size_of::<usize>();
        match Layout::from_size_align(size, Self::STEP) {
            Ok(layout) => layout.pad_to_align(),
            Err(_) => panic!("the layout of a type is valid"),
        }
    };

    pub(crate) fn name(&self) -> Option<&'static str> {
        self.name
    }

    /// Drops idle values; how many.
    pub(crate) fn drop_excess(&self, excess: Excess) -> usize {
        let count = excess.chain.count();
        Surplus::<T>::new(&self.store, excess).drop_all();
        count
    }

    /// This thread's shard, after it caught up with what happened since its last visit, and with
    /// the budget of the pages. Drops what is too much then; while nothing is borrowed (I1).
    pub(crate) fn attend(&self, way: Way<'_>) -> Option<&Shard> {
        if self.store.is_pressed() {
            self.end_trim(self.store.answer_pressure());
        }
        if let Some(shard) = way.settled(&self.store) {
            return Some(shard);
        }
        let shard = way.shard(&self.store)?;
        // SAFETY: `Way::shard` answers with a shard this thread has leased.
        let surplus = unsafe { self.store.catch_up_if_need_be(shard) };
        // Before any value is dropped: the user's code finds a seat that tells what is there, and
        // what it does to that seat stands.
        // SAFETY: as above.
        unsafe { way.sit(&self.store, shard) };
        self.drop_surplus(surplus);
        Some(shard)
    }

    fn drop_surplus(&self, surplus: Option<Excess>) {
        if let Some(surplus) = surplus {
            self.end_trim(surplus);
        }
    }

    /// A value for a guard, when no seat had one.
    #[cold]
    #[inline(never)]
    pub(crate) fn get_slow(
        &self,
        way: Way<'_>,
        at: &'static Location<'static>,
    ) -> Result<NonNull<T>, Refusal> {
        let live = self.begin_live()?;
        self.get_counted(way, live, at)
    }

    /// As `get_slow`, of a guard that is counted.
    pub(crate) fn get_counted(
        &self,
        way: Way<'_>,
        live: LiveEnd<'_>,
        at: &'static Location<'static>,
    ) -> Result<NonNull<T>, Refusal> {
        // SAFETY: our own `make` keeps the promise.
        unsafe { self.get_or_make(way, live, at, |place| self.make(place)) }
            .map_err(GetError::refusal)
    }

    /// As `get_counted`, with a function of the caller's for new values.
    ///
    /// # Safety
    /// As [`create_value`](Self::create_value) asks of `make`.
    pub(crate) unsafe fn get_or_make<E>(
        &self,
        way: Way<'_>,
        live: LiveEnd<'_>,
        at: &'static Location<'static>,
        make: impl FnOnce(NonNull<T>) -> Result<(), E>,
    ) -> Result<NonNull<T>, GetError<E>> {
        let shard = self.attend(way);
        let visit = self.visit(shard);
        // SAFETY: `attend` answers with a shard this thread has leased; nothing ends the lease.
        let slot = unsafe { self.take(shard, visit, make)? };
        let tracked = self.looks_out(slot, way, visit, shard, at);
        let measured = self.store.control().is_probing() || is_sampled(visit);
        if tracked || measured {
            let marks = Marks {
                tracked,
                measured,
                ..Self::marks_of(slot)
            };
            // SAFETY: a value of this pool that is about to be handed out.
            unsafe { Self::mark(slot, marks) };
        }
        mem::forget(live);
        Ok(slot)
    }

    /// An idle value or a new one, as the route says.
    ///
    /// # Safety
    /// As [`create_value`](Self::create_value).
    unsafe fn take<E>(
        &self,
        shard: Option<&Shard>,
        visit: usize,
        make: impl FnOnce(NonNull<T>) -> Result<(), E>,
    ) -> Result<NonNull<T>, GetError<E>> {
        let transient = match self.store.control().route() {
            Route::Pool => false,
            Route::Bypass => true,
            // Spread evenly: of three in four gets every fourth does not.
            Route::Share(percent) => {
                let percent = usize::from(percent);
                (visit % 100 + 1) * percent / 100 == visit % 100 * percent / 100
            }
        };
        if !transient {
            let watch = is_sampled(visit).then(Watch::start);
            // SAFETY: the lease, by the caller.
            let mut found = unsafe { self.store.take_idle(shard) };
            if let Some(watch) = watch {
                self.store.meters().get.add(watch.nanos());
            }
            while let Some(slot) = found {
                if self.may_go_out(slot.cast()) {
                    return Ok(slot.cast());
                }
                // SAFETY: as above.
                found = unsafe { self.store.take_idle(shard) };
            }
        }
        // SAFETY: as above.
        let slot = unsafe { self.create_value(shard, transient, make)? };
        self.store.on_miss(shard);
        Ok(slot)
    }

    /// Whether an idle value may be handed out: it is of the present generation, and the user's
    /// validation accepts it. It is dropped otherwise.
    fn may_go_out(&self, slot: NonNull<T>) -> bool {
        if self.validate_get.is_none() && self.is_present(slot) {
            return true;
        }
        let refused = self.why_not(slot);
        if let Some(reason) = refused {
            self.store.on_refused();
            drop(self.doomed(None, slot, reason));
        }
        refused.is_none()
    }

    /// Why an idle value may not be handed out, if it may not.
    #[cold]
    fn why_not(&self, slot: NonNull<T>) -> Option<Drops> {
        if !self.is_present(slot) {
            return Some(Drops::Retired);
        }
        let poisoned = self.doomed(None, slot, Drops::Poisoned);
        let refused = RefusedByPanic(&self.store);
        // SAFETY: idle until now, so the value is live and ours.
        let is_valid = |validate: &Validate<T>| validate(unsafe { slot.as_ref() });
        let valid = self.validate_get.as_ref().is_none_or(is_valid);
        mem::forget((poisoned, refused));
        if !valid {
            return Some(Drops::Invalid);
        }
        // Again, as the user's code may have begun a generation.
        (!self.is_present(slot)).then_some(Drops::Retired)
    }

    /// A value of this pool that nobody has, to be dropped.
    pub(crate) fn doomed<'c>(
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

    /// Whether a value is of the present generation.
    pub(crate) fn is_present(&self, slot: NonNull<T>) -> bool {
        let generation = self.store.events.generation();
        Self::generation_of(slot) == generation && generation != NO_ID
    }

    /// The generation of a value.
    pub(crate) fn generation_of(slot: NonNull<T>) -> usize {
        // SAFETY: a value of this pool, by those who ask.
        note::generation(unsafe { Self::note_of(slot) })
    }

    /// Looks out for a value that is handed out, if it is its turn.
    fn looks_out(
        &self,
        slot: NonNull<T>,
        way: Way<'_>,
        visit: usize,
        shard: Option<&Shard>,
        at: &'static Location<'static>,
    ) -> bool {
        let Discipline {
            leaks, intervals, ..
        } = &self.store.discipline;
        match leaks.turn(visit, shard.map(Shard::lookout)) {
            // At a thread's very end nobody can tell which one it is.
            Lookout::Here if leases::is_there() => {
                leaks.begin(slot.addr().get(), at, intervals.count())
            }
            Lookout::Later => {
                way.shut_to_gets(&self.store);
                false
            }
            Lookout::Here | Lookout::No => false,
        }
    }

    /// Gives a value other marks, by which its way back is looked at or not.
    ///
    /// # Safety
    /// `slot` is a slot with a value, of a `PoolCore<T, R>`, and nobody else reads its note now.
    pub(crate) unsafe fn mark(slot: NonNull<T>, marks: Marks) {
        // SAFETY: by the caller.
        unsafe { Self::note(slot, note::generation(Self::note_of(slot)), marks) };
    }

    pub(crate) fn begin_live(&self) -> Result<LiveEnd<'_>, Refusal> {
        if !self.store.try_live() {
            return Err(Refusal::Live(self.store.bounds().live_max));
        }
        Ok(LiveEnd(&self.store))
    }

    /// Puts a new value into a slot, by the pool's own function: right there, as it may be large.
    pub(crate) fn make(&self, place: NonNull<T>) -> Result<(), Infallible> {
        let value = match &self.create {
            Create::Plain(create) => create(),
            Create::Boxed(create) => create(),
        };
        // SAFETY: `create_value` lends a slot of `SLOT`'s layout, uninitialised and its alone.
        unsafe { place.write(value) };
        Ok(())
    }

    /// A new value in a slot: the slot first, then the user's code, then the write.
    ///
    /// # Safety
    /// The caller holds the lease of `shard`, which is one of this pool's. When `make` answers `Ok`
    /// it has put a value into the slot it was lent.
    pub(crate) unsafe fn create_value<E>(
        &self,
        shard: Option<&Shard>,
        transient: bool,
        make: impl FnOnce(NonNull<T>) -> Result<(), E>,
    ) -> Result<NonNull<T>, GetError<E>> {
        // SAFETY: as ours.
        let slot = unsafe { self.store.take_slot(shard) }.map_err(GetError::Memory)?;
        let vacant = Vacant {
            store: &self.store,
            shard,
            slot,
        };
        let generation = self.store.events.generation();
        let watch = is_sampled(self.store.made(shard)).then(Watch::start);
        make(slot.cast()).map_err(GetError::Create)?;
        if let Some(watch) = watch {
            self.store.meters().create.add(watch.nanos());
        }
        mem::forget(vacant);
        let slot = slot.cast::<T>();
        let marks = Marks {
            transient,
            ..Marks::default()
        };
        // SAFETY: a slot of ours, with the value that `make` put there.
        unsafe { Self::note(slot, generation, marks) };
        Ok(slot)
    }

    /// Writes the note behind a value.
    ///
    /// # Safety
    /// The slot is one of a `PoolCore<T, R>`, and the caller's alone.
    pub(crate) unsafe fn note(slot: NonNull<T>, generation: usize, marks: Marks) {
        // SAFETY: by the caller.
        unsafe { Self::note_at(slot).write(note::with(generation, marks)) };
    }

    /// Where the note of a slot stands.
    ///
    /// # Safety
    /// `slot` is a slot of a `PoolCore<T, R>`.
    #[inline(always)]
    pub(crate) unsafe fn note_at(slot: NonNull<T>) -> NonNull<usize> {
        // SAFETY: by the caller; `SLOT` has room for it, aligned.
        unsafe { slot.byte_add(Self::NOTE_AT).cast::<usize>() }
    }

    /// The note of a value.
    ///
    /// # Safety
    /// `slot` is a slot with a value, of a `PoolCore<T, R>` that is alive.
    #[inline(always)]
    pub(crate) unsafe fn note_of(slot: NonNull<T>) -> usize {
        // SAFETY: by the caller; `note` wrote it, and the value's user cannot reach it.
        unsafe { Self::note_at(slot).read() }
    }
}

impl<T, R> Drop for PoolCore<T, R> {
    fn drop(&mut self) {
        let chain = self.store.close();
        let reason = Drops::Trimmed;
        self.drop_excess(Excess { chain, reason });
    }
}
