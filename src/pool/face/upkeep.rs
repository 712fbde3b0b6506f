//! What is done to a pool beside getting and putting: trims, ticks, generations, modes, and what it
//! says about itself.
//!
//! Owns nothing; the other half of `shared.rs` and of `typed.rs`, under their invariants.

use crate::pool::exchange::events::Event;
use crate::pool::exchange::figures::Drops;
use crate::pool::exchange::leases;
use crate::pool::exchange::store::lock;
use crate::pool::exchange::trimming::Excess;
use crate::pool::face::pool::Pool;
use crate::pool::life::pool_core::PoolCore;
use crate::pool::life::wards::Surplus;
use crate::pool::stock::shard::Shard;
use crate::pool::watch::advice::Advice;
use crate::pool::watch::health::{self, Health, Signs};
use crate::pool::watch::leaks::LeakSuspect;
use crate::pool::watch::mode::{Mode, Turn, WINDOW};

impl<T, R> Pool<T, R> {
    /// Drops idle objects until at most `keep` are left, those used last, gives pages that are
    /// empty then back to the page source, which returns them to the operating system after its
    /// delay, and returns the number of objects dropped. What they owned goes back to the allocator
    /// it came from, and some of those keep it. Objects that other running threads have in their
    /// shards follow at those threads' next get, or sooner: what does not fit in `keep` then is
    /// dropped; of several trims that a thread missed, in the `keep` of the last.
    ///
    /// ```
    /// use flagstone::Pool;
    /// let pool: Pool<Vec<u8>> = Pool::new(Vec::new);
    /// pool.prefill(100);
    /// assert_eq!(pool.trim(10), 90);
    /// assert_eq!(pool.stats().idle, 10);
    /// ```
    pub fn trim(&self, keep: usize) -> usize {
        let Some(core) = self.core() else {
            return 0;
        };
        core.trim(keep)
    }

    /// Drops every idle object: `trim(0)`. Objects in guards come back as usual; for a change that
    /// makes all of them wrong there is [`new_generation`](Self::new_generation), and to close a
    /// pool [`set_mode`](Self::set_mode) with [`Mode::Never`].
    pub fn clear(&self) {
        self.trim(0);
    }

    /// Says that an interval of your choice is over (a second, a batch): objects that nobody needed
    /// are dropped as the pool's [`Aging`](crate::Aging) says, down to the lower end of
    /// [`PoolBuilder::idle`](crate::PoolBuilder::idle), and pages that are empty then go back. By
    /// default that forgets a burst in a few intervals and keeps the working set. Returns the
    /// number of objects dropped.
    ///
    /// A pool that is in use ticks by itself, too (see
    /// [`PoolBuilder::tick_every`](crate::PoolBuilder::tick_every)). One that stands still does
    /// not: let a timer call this. Of the objects in the magazines of running threads the colder
    /// half takes part, at each thread's next get.
    pub fn tick(&self) -> usize {
        let Some(core) = self.core() else {
            return 0;
        };
        core.tick()
    }

    /// Retires every object built until now: for a new configuration, a new schema, a key that was
    /// changed. The idle ones are dropped at once, those in magazines of other running threads at
    /// the thread's next get, and those in guards when they come back, or at the next get of a
    /// thread that has not heard of it by then; none is handed out again.
    /// Returns the number of objects dropped.
    ///
    /// ```
    /// use flagstone::Pool;
    /// let pool: Pool<Vec<u8>> = Pool::new(Vec::new);
    /// pool.prefill(3);
    /// let out = pool.get();
    /// assert_eq!(pool.new_generation(), 2);
    /// drop(out);
    /// assert_eq!((pool.stats().idle, pool.stats().drops.retired), (0, 3));
    /// ```
    pub fn new_generation(&self) -> usize {
        let Some(core) = self.core() else {
            return 0;
        };
        core.new_generation()
    }

    /// Changes when the pool uses what it gets back. With [`Mode::Never`] idle objects are dropped,
    /// as by [`clear`](Self::clear); those in guards are dropped when they come back, but for what
    /// another thread or a [`local`](Self::local) handle puts back before its next get, which drops
    /// it.
    pub fn set_mode(&self, mode: Mode) {
        let mut plan = lock(&self.plan);
        if let Some(plan) = &mut *plan {
            plan.choices.mode = mode;
            return;
        }
        drop(plan);
        if let Some(core) = self.core() {
            core.set_mode(mode);
        }
    }

    /// Whether reuse pays, by the costs that were measured.
    ///
    /// ```
    /// use flagstone::Pool;
    /// let pool: Pool<Vec<u8>> = Pool::new(|| Vec::with_capacity(4096));
    /// for _ in 0..100 {
    ///     pool.get().push(1);
    /// }
    /// println!("{}", pool.advice());
    /// ```
    pub fn advice(&self) -> Advice {
        self.core().map(PoolCore::advice).unwrap_or_default()
    }

    /// Whether objects come back, creates are steady and threads do not wait for each other.
    pub fn health(&self) -> Health {
        self.core().map(PoolCore::health).unwrap_or_default()
    }

    /// Objects that have been out for more than ten seconds (see
    /// [`PoolBuilder::leak_after`](crate::PoolBuilder::leak_after)) and two [ticks](Self::tick), of
    /// those that the pool looks out for ([`LeakCheck`](crate::LeakCheck)). Each is reported once,
    /// and withdrawn when it comes back: `PoolStats::withdrawn` counts the reports that proved
    /// wrong. How many gets are looked out for does not grow with the load: it is a part of those
    /// beyond the magazines.
    ///
    /// ```
    /// use flagstone::{LeakCheck, Pool};
    /// use std::time::Duration;
    /// let pool: Pool<Vec<u8>> = Pool::builder(Vec::new)
    ///     .leak_check(LeakCheck::Every)
    ///     .leak_after(Duration::ZERO)
    ///     .build();
    /// std::mem::forget(pool.get());
    /// pool.tick();
    /// pool.tick();
    /// for suspect in pool.leak_suspects() {
    ///     println!("{suspect}");
    ///     assert_eq!(suspect.location.file(), file!());
    /// }
    /// ```
    pub fn leak_suspects(&self) -> Vec<LeakSuspect> {
        self.core().map(PoolCore::leak_suspects).unwrap_or_default()
    }
}

impl<T, R> PoolCore<T, R> {
    /// Counts a get beyond the magazines; each so many look around.
    pub(crate) fn visit(&self, shard: Option<&Shard>) -> usize {
        let visit = self.store.on_visit(shard);
        if visit % WINDOW == WINDOW - 1 {
            self.look_around();
        }
        visit
    }

    /// Begins a tick that is due, and lets the judge look at the figures.
    #[cold]
    fn look_around(&self) {
        if self.store.discipline.intervals.is_due() {
            self.end_interval(false);
        }
        if self.store.control().rests() {
            return;
        }
        let Some(sums) = self.store.sums(false) else {
            return;
        };
        let control = self.store.control();
        if let Some(turn) = control.review(sums.totals(), size_of::<T>()) {
            self.follow(turn);
        }
    }

    /// Does what a change of the route asks for.
    fn follow(&self, turn: Turn) {
        if turn == Turn::Closed {
            self.trim(0);
        }
    }

    /// Drops idle values beyond `keep`, and tells all threads to do so; values dropped.
    pub(crate) fn trim(&self, keep: usize) -> usize {
        self.trim_for(keep, Drops::Trimmed)
    }

    fn trim_for(&self, keep: usize, reason: Drops) -> usize {
        let (shard, missed) = self.leased();
        // SAFETY: leased by this thread.
        let surplus = unsafe { self.store.trim(shard, keep, reason) };
        self.end_trim_after(missed, surplus)
    }

    /// Begins a generation; values dropped.
    pub(crate) fn new_generation(&self) -> usize {
        // First: who hears of the trim notes what it builds as of the new one (`events.rs`, I1).
        self.store.events.begin_generation();
        self.trim_for(0, Drops::Retired)
    }

    /// Drops what was found, and gives pages back; values dropped.
    pub(crate) fn end_trim(&self, surplus: Excess) -> usize {
        let dropped = self.drop_excess(surplus);
        self.store.trim_slots();
        dropped
    }

    /// Ends an interval; values dropped.
    pub(crate) fn tick(&self) -> usize {
        self.end_interval(true)
    }

    fn end_interval(&self, waits: bool) -> usize {
        let discipline = &self.store.discipline;
        let step = discipline.intervals.step();
        if let Some(sums) = self.store.sums(waits) {
            discipline.steadiness.tick(sums.creates);
        }
        let (shard, missed) = self.leased();
        // SAFETY: as in `trim_for`.
        let old = unsafe { self.store.tick(shard, step, waits) };
        self.end_trim_after(missed, old)
    }

    /// As `end_trim`, and drops what was missed, which a panic does not keep.
    fn end_trim_after(&self, missed: Option<Excess>, surplus: Excess) -> usize {
        let missed = missed.unwrap_or_else(Excess::none);
        let count = missed.chain.count();
        let mut missed = Surplus::<T>::new(&self.store, missed);
        let dropped = self.end_trim(surplus);
        missed.drop_all();
        count + dropped
    }

    /// The shard that this thread has leased, if it has, after it caught up, and what is to be
    /// dropped for that: at the end of what is about to begin, which a panic must not cut short.
    /// Without a seat, so that this thread hears of it at once.
    fn leased(&self) -> (Option<&Shard>, Option<Excess>) {
        let Some(shard) = leases::leased_shard(&self.store) else {
            return (None, None);
        };
        leases::unseat(shard);
        // SAFETY: leased by this thread.
        (Some(shard), unsafe {
            self.store.catch_up_if_need_be(shard)
        })
    }

    /// Takes a mode on.
    pub(crate) fn set_mode(&self, mode: Mode) {
        let turn = self.store.control().set_mode(mode);
        self.follow(turn);
        if turn == Turn::Opened {
            // Seats that let gets through may do so no longer: every thread's next one looks.
            self.store.events.announce(Event::Tick);
        }
    }

    /// What the figures say.
    pub(crate) fn advice(&self) -> Advice {
        let control = self.store.control();
        let totals = self.store.sums(true).unwrap_or_default().totals();
        let rate = control.hit_rate().or_else(|| totals.hit_rate());
        let now = (control.mode(), control.why());
        Advice::new(now, self.store.meters(), &control.costs(totals), rate)
    }

    /// How the pool is.
    pub(crate) fn health(&self) -> Health {
        let stats = self.store.stats();
        let discipline = &self.store.discipline;
        health::judge(Signs {
            gets: stats.gets,
            returns: stats.returns,
            exchanges: stats.exchanges,
            get_nanos: self.store.meters().get.nanos(),
            creates_drift: discipline.steadiness.drift(),
            survivors: stats.suspects,
        })
    }

    /// The objects that are out for long and were not reported yet.
    pub(crate) fn leak_suspects(&self) -> Vec<LeakSuspect> {
        let discipline = &self.store.discipline;
        discipline.leaks.report(discipline.intervals.count())
    }
}
