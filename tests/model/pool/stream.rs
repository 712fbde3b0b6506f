//! How a step is done, and what must come of it.
//!
//! Owns what the stream has in its hands: guards, handles, loose objects and other threads.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use flagstone::{GetError, LeakCheck, LocalHandle, OwnedPooled, Pool, PoolStats, Recycler};

use super::acts::{self, Act, calmly, panic_as_planned};
use super::guards::{Held, Kept, Local, Portable, Taken};
use super::objects::{Object, Shape};
use super::settings::{Ending, Settings};
use super::world::World;
use super::{How, Outcome, What, When};

/// Guards at once: more than both magazines of two shards hold.
const HELD_MAX: usize = 300;
/// Handles at once.
const HANDLES_MAX: usize = 4;
/// Guards that a pool's stream forgets: enough to be counted, too few to fill a small pool.
const FORGOTTEN_MAX: usize = 3;

/// A guard, and the pool's ticks when it was got, where that is certain.
pub(super) struct Holding<'p, S: Shape, R: Recycler<Object<S>>> {
    pub(super) held: Held<'p, S, R>,
    pub(super) ticks: Option<u64>,
}

/// Another thread, which does one thing after the other while this one waits.
struct Worker<'scope> {
    jobs: Sender<Box<dyn FnOnce() + Send + 'scope>>,
    thread: ScopedJoinHandle<'scope, ()>,
}

/// See the module.
pub(super) struct Model<'scope, 'p: 'scope, S: Shape, R: Recycler<Object<S>>> {
    scope: &'scope Scope<'scope, 'p>,
    pub(super) pool: &'p Arc<Pool<Object<S>, R>>,
    pub(super) world: Arc<World>,
    kept: Arc<Kept<S, R>>,
    pub(super) settings: Settings,
    pub(super) held: Vec<Holding<'p, S, R>>,
    handles: Vec<Rc<LocalHandle<'p, Object<S>, R>>>,
    loose: Vec<Object<S>>,
    /// The ticks of the guards that were forgotten.
    pub(super) forgotten: Vec<Option<u64>>,
    workers: [Option<Worker<'scope>>; 2],
    /// Another thread was at work since this one last got an object of its own.
    pub(super) is_behind: bool,
    /// When the last tick was, if it reached all there was, and the gets until then.
    pub(super) ticked_at: Option<(u64, u64)>,
    /// Objects made in advance.
    pub(super) prefilled: u64,
    pub(super) last: PoolStats,
    pub(super) reported: u64,
    steps: usize,
    /// How often mischief was done before the present step.
    fired: u64,
}

impl<'scope, 'p, S: Shape, R: Recycler<Object<S>> + 'static> Model<'scope, 'p, S, R> {
    pub(super) fn new(
        scope: &'scope Scope<'scope, 'p>,
        pool: &'p Arc<Pool<Object<S>, R>>,
        world: &Arc<World>,
        kept: &Arc<Kept<S, R>>,
        settings: &Settings,
    ) -> Model<'scope, 'p, S, R> {
        Model {
            scope,
            pool,
            world: Arc::clone(world),
            kept: Arc::clone(kept),
            settings: settings.clone(),
            held: Vec::new(),
            handles: Vec::new(),
            loose: Vec::new(),
            forgotten: Vec::new(),
            workers: [None, None],
            is_behind: false,
            ticked_at: None,
            prefilled: 0,
            last: PoolStats::default(),
            reported: 0,
            steps: 0,
            fired: 0,
        }
    }

    pub(super) fn step(&mut self, what: What) {
        let looks_out = self.settings.leak_check == LeakCheck::Every;
        let ticks = || looks_out.then(|| self.pool.stats().ticks);
        let (before, held) = (ticks(), self.held.len());
        self.fired = self.world.begin_step();
        self.apply(what);
        let kept = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *kept)
        };
        self.held.extend(kept.into_iter().map(|guard| Holding {
            held: Held::Portable(Portable::Owned(guard)),
            ticks: None,
        }));
        let after = looks_out.then(|| self.pool.stats().ticks);
        for holding in self.held.iter_mut().skip(held) {
            holding.ticks = before.filter(|_| before == after);
        }
        self.is_behind |= self.has_fired();
        self.steps += 1;
        if self.steps % 8 == 0 {
            self.check();
        }
    }

    fn apply(&mut self, what: What) {
        match what {
            What::Get(how) => self.get(how),
            What::GetMany { count, tries } => self.get_many(count, tries),
            What::GetWith { outcome, owned } => self.get_with(outcome, owned),
            What::Open => {
                if self.settings.company && self.handles.len() < HANDLES_MAX {
                    let handle = self.pool.try_local().expect("memory");
                    self.handles.push(Rc::new(handle));
                }
            }
            What::Close(which) => {
                if let Some(index) = which.checked_rem(self.handles.len()) {
                    drop(self.handles.swap_remove(index));
                }
            }
            What::GetLocal { which, count } => self.get_local(which, count),
            What::Give(which) => self.give(which, |_| {}),
            What::GiveMany(count) => (0..count).for_each(|_| self.give(0, |_| {})),
            What::GiveAll => self.give_all(),
            What::Break(which) => self.break_one(which),
            What::Spoil(which) => self.give(which, |object| object.spoilt = true),
            What::Grow { which, bytes } => self.touch(which, |object| object.bytes = bytes),
            What::Detach(which) => self.detach(which),
            What::Discard(which) => self.discard(which),
            What::Put { foreign } => self.put(foreign),
            What::Forget(which) => self.forget(which),
            What::Tick { times } => (0..times).for_each(|_| self.keep_up(what)),
            What::Trim(_) | What::Clear | What::Generation | What::Mode(_) => self.keep_up(what),
            What::Prefill { count, tries } => self.prefill(count, tries),
            What::Expire => self.world.expire(),
            What::Arm {
                which,
                when,
                mischief,
            } => match when {
                When::Create | When::Validate => self.world.arm(when, mischief),
                When::Recycle => self.touch(which, |object| object.on_recycle = Some(mischief)),
                When::Drop => self.touch(which, |object| object.on_drop = Some(mischief)),
            },
            What::Elsewhere {
                worker,
                gives,
                acts,
                ends,
            } if self.settings.company => self.go_elsewhere(worker, gives, acts, ends),
            What::Elsewhere { .. } => {}
            What::Look => self.look(),
            What::Renew(_) => unreachable!("another pool's"),
        }
    }

    /// Whether mischief was done in this step, so that less is certain.
    pub(super) fn has_fired(&self) -> bool {
        self.world.ledger().fired != self.fired
    }

    /// Whether all idle objects are within reach of this thread.
    pub(super) fn is_alone(&self) -> bool {
        let has_locals = || {
            let mut held = self.held.iter();
            held.any(|holding| matches!(holding.held, Held::Local(_)))
        };
        self.workers.iter().all(Option::is_none) && self.handles.is_empty() && !has_locals()
    }

    fn hold(&mut self, held: Held<'p, S, R>) {
        let ticks = None;
        self.held.push(Holding { held, ticks });
    }

    /// Takes one out of the hands.
    fn release(&mut self, which: usize) -> Option<Held<'p, S, R>> {
        let index = which.checked_rem(self.held.len())?;
        Some(self.held.swap_remove(index).held)
    }

    fn touch(&mut self, which: usize, change: impl FnOnce(&mut Object<S>)) {
        if let Some(index) = which.checked_rem(self.held.len()) {
            change(self.held[index].held.object());
        }
    }

    // ---- Getting ----------------------------------------------------------------------------

    /// What came of a get, unless a planned panic did.
    fn hold_if(&mut self, may: bool, got: Option<Option<Held<'p, S, R>>>) {
        let Some(got) = got else {
            assert!(self.has_fired());
            return;
        };
        assert_eq!(got.is_some(), may, "as many may be out as `max_live` says");
        self.is_behind = self.is_behind && !matches!(got, Some(Held::Portable(_)));
        got.into_iter().for_each(|held| self.hold(held));
    }

    fn get(&mut self, how: How) {
        if self.held.len() >= HELD_MAX {
            return;
        }
        let may = self.world.may_take(1);
        let (pool, world) = (self.pool, &self.world);
        let borrowed = |guard| Held::Portable(Portable::Borrowed(guard));
        let owned = |guard| Held::Portable(Portable::Owned(guard));
        // A get that may not is a panic of the pool's own, which no fuzzer survives.
        let how = match how {
            How::Get if !may => How::TryGet,
            How::Owned if !may => How::TryOwned,
            how => how,
        };
        let got = calmly(|| match how {
            How::Get => world.take(|| Some(pool.get())).map(borrowed),
            How::TryGet => world.take(|| pool.try_get()).map(borrowed),
            How::Timeout => {
                let timeout = Duration::from_micros(u64::from(!may));
                world.take(|| pool.get_timeout(timeout)).map(borrowed)
            }
            How::Owned => world.take(|| Some(pool.get_owned())).map(owned),
            How::TryOwned => world.take(|| pool.try_get_owned()).map(owned),
            How::TimeoutOwned => {
                let timeout = Duration::from_micros(u64::from(!may));
                world.take(|| pool.get_timeout_owned(timeout)).map(owned)
            }
        });
        self.hold_if(may, got);
    }

    fn get_many(&mut self, count: usize, tries: bool) {
        let count = count.min(HELD_MAX.saturating_sub(self.held.len()));
        let may = self.world.may_take(count);
        // Code of an object may take what is left.
        let tries = tries || self.settings.live_max.is_some();
        let since = self.world.since();
        let got = calmly(|| {
            if tries {
                self.pool.try_get_many(count)
            } else {
                Some(self.pool.get_many(count))
            }
        });
        let is_refused = matches!(got, Some(None));
        let Some(Some(guards)) = got else {
            assert!(!may || self.has_fired());
            let stats = self.pool.stats();
            let refused = stats.exhausted - self.world.ledger().exhausted;
            // A panic may have been met on the way back.
            assert!(refused == 1 || refused == 0 && !is_refused);
            self.world.ledger().exhausted = stats.exhausted;
            return self.world.settle(&stats, count as u64);
        };
        assert!(may && guards.len() == count);
        for guard in guards {
            let guard = self.world.hand_out(since, guard);
            self.hold(Held::Portable(Portable::Borrowed(guard)));
        }
    }

    fn get_with(&mut self, outcome: Outcome, owned: bool) {
        if self.held.len() >= HELD_MAX {
            return;
        }
        let (may, mut called) = (self.world.may_take(1), false);
        let (pool, world) = (self.pool, &self.world);
        let mut refusal = None;
        let mut create = || {
            called = true;
            match outcome {
                Outcome::Makes => return Ok(world.create()),
                Outcome::Panics => panic_as_planned(),
                Outcome::Fails => {}
            }
            Err("as planned")
        };
        let mut refused = |why| refusal = Some(why);
        let got = calmly(|| {
            if owned {
                let guard = world.take(|| {
                    let got = pool.try_get_with_owned(&mut create);
                    got.map_err(&mut refused).ok()
                });
                guard.map(Portable::Owned)
            } else {
                let guard = world.take(|| {
                    let got = pool.try_get_with(&mut create);
                    got.map_err(&mut refused).ok()
                });
                guard.map(Portable::Borrowed)
            }
        });
        let fails = called && !matches!(outcome, Outcome::Makes);
        let Some(got) = got else {
            return assert!(fails || self.has_fired());
        };
        let expected = match self.settings.live_max {
            _ if fails => Some(GetError::Create("as planned")),
            Some(max) if !may => Some(GetError::MaxLive(max)),
            _ => None,
        };
        assert_eq!(refusal, expected);
        self.hold_if(may && !fails, Some(got.map(Held::Portable)));
    }

    fn get_local(&mut self, which: usize, count: usize) {
        let Some(index) = which.checked_rem(self.handles.len()) else {
            return;
        };
        for number in 0..count.min(HELD_MAX.saturating_sub(self.held.len())) {
            let may = self.world.may_take(1);
            let handle = &self.handles[index];
            let get = || Local::try_get(handle, number % 2 == 0 || !may);
            let got = calmly(|| self.world.take(get));
            self.hold_if(may, got.map(|got| got.map(Held::Local)));
        }
    }

    // ---- Giving back ------------------------------------------------------------------------

    fn give(&mut self, which: usize, change: impl FnOnce(&mut Object<S>)) {
        let Some(mut held) = self.release(which) else {
            return;
        };
        change(held.object());
        let number = held.object().number;
        let has_heard = matches!(held, Held::Portable(_)) && !self.is_behind;
        calmly(|| drop(held));
        self.check_gone(number, has_heard);
    }

    /// Looks whether an object that came back is gone, if it should be.
    fn check_gone(&self, number: u64, has_heard: bool) {
        let ledger = self.world.ledger();
        if ledger.fired == self.fired {
            let why = ledger.should_be_gone(number, has_heard);
            assert_eq!(why, None, "object {number} was kept");
        }
    }

    /// Drops a guard by a panic, and with it the object.
    fn break_one(&mut self, which: usize) {
        let Some(mut held) = self.release(which) else {
            return;
        };
        let number = held.object().number;
        let broken = calmly(|| {
            let _held = held;
            panic_as_planned();
        });
        assert!(broken.is_none() && !self.world.ledger().is_alive(number));
    }

    fn give_all(&mut self) {
        while let Some(holding) = self.held.pop() {
            calmly(|| drop(holding.held));
        }
    }

    fn detach(&mut self, which: usize) {
        if let Some(held) = self.release(which) {
            self.loose.push(held.detach(&self.world));
        }
    }

    fn discard(&mut self, which: usize) {
        if let Some(held) = self.release(which) {
            calmly(|| held.discard(&self.world));
        }
    }

    fn put(&mut self, foreign: bool) {
        let object = match self.loose.pop() {
            Some(object) => object,
            None if foreign => self.world.create_foreign(),
            None => return,
        };
        let number = object.number;
        self.world.goes_in(&object);
        calmly(|| self.pool.put(object));
        self.check_gone(number, !self.is_behind);
    }

    fn forget(&mut self, which: usize) {
        let is_small = self.settings.live_max.is_some_and(|max| max < 100);
        if self.forgotten.len() >= FORGOTTEN_MAX || is_small {
            return;
        }
        if let Some(index) = which.checked_rem(self.held.len()) {
            let Holding { held, ticks } = self.held.swap_remove(index);
            if calmly(|| held.forget()) == Some(true) {
                self.world.ledger().forgotten += 1;
                self.forgotten.push(ticks);
            }
        }
    }

    // ---- Other threads ----------------------------------------------------------------------

    fn go_elsewhere(&mut self, worker: usize, gives: usize, acts: [Act; 2], ends: bool) {
        let mut given = Vec::new();
        for index in (0..self.held.len()).rev() {
            let portable = matches!(self.held[index].held, Held::Portable(_));
            if portable && given.len() < gives {
                match self.held.swap_remove(index).held {
                    Held::Portable(guard) => given.push(guard),
                    Held::Local(_) => unreachable!("looked at above"),
                }
            }
        }
        let (pool, world, kept) = (self.pool, Arc::clone(&self.world), Arc::clone(&self.kept));
        self.run_elsewhere(worker, move || {
            for guard in given {
                calmly(|| drop(guard));
            }
            for act in acts {
                calmly(|| acts::perform(pool, &world, &kept, act));
            }
        });
        self.is_behind = true;
        if ends {
            self.end_worker(worker);
        }
    }

    /// Does a job on another thread, and waits for it.
    fn run_elsewhere(&mut self, worker: usize, job: impl FnOnce() + Send + 'scope) {
        let scope = self.scope;
        let worker = self.workers[worker].get_or_insert_with(|| {
            let (jobs, received) = mpsc::channel::<Box<dyn FnOnce() + Send + 'scope>>();
            let thread = scope.spawn(move || received.into_iter().for_each(|job| job()));
            Worker { jobs, thread }
        });
        let (answer, answered) = mpsc::channel();
        let job = move || drop(answer.send(catch_unwind(AssertUnwindSafe(job))));
        worker.jobs.send(Box::new(job)).expect("it waits for jobs");
        if let Err(payload) = answered.recv().expect("it answers") {
            resume_unwind(payload);
        }
    }

    /// Ends a thread, and waits until it is gone.
    fn end_worker(&mut self, worker: usize) {
        if let Some(Worker { jobs, thread }) = self.workers[worker].take() {
            drop(jobs);
            thread.join().expect("no panic leaves it");
        }
    }

    // ---- The end ----------------------------------------------------------------------------

    /// Gives everything back, but for guards that are to outlive the pool's other owners.
    pub(super) fn finish(mut self) -> Vec<Taken<S, OwnedPooled<Object<S>, R>>> {
        self.check();
        let mut last = Vec::new();
        if self.settings.ending == Ending::OwnedLast {
            for holding in std::mem::take(&mut self.held) {
                match holding.held {
                    Held::Portable(Portable::Owned(guard)) => last.push(guard),
                    held => self.hold(held),
                }
            }
        }
        if self.settings.ending == Ending::HandlesFirst {
            self.handles.clear();
        }
        self.give_all();
        self.handles.clear();
        (0..self.workers.len()).for_each(|worker| self.end_worker(worker));
        while let Some(object) = self.loose.pop() {
            calmly(|| drop(object));
        }
        last
    }
}
