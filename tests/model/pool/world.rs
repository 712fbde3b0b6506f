//! The ledger: every object there is, where it is, and what may still be handed out.
//!
//! Owns the oracle. Objects and guards write to it as they come and go, from whatever thread and
//! however deep in the pool's own calls; nothing of the pool's is asked. Its lock is never held
//! while code runs that may use the pool.
//!
//! Time is a count of what happened. An event holds for what was there when it began, from when it
//! was over: in between, code of the user may be served the one way or the other.

use std::collections::HashMap;
use std::ops::DerefMut;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use flagstone::{Mode, PoolStats};

use super::When;
use super::acts::{Mischief, Reentry, is_failing, panic_as_planned};
use super::guards::Taken;
use super::objects::{Object, Shape};
use super::settings::Settings;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// With the pool.
    Inside,
    /// In a guard.
    Out,
    /// Taken out for good, or never in a pool.
    Loose,
}

#[derive(Debug)]
struct Record {
    place: Place,
    /// When its making began, or its way in.
    built_at: u64,
    idle_since: u64,
    /// The step in which it was made, until it is handed out or reset.
    fresh_in: u64,
    /// Since when the mode holds in which it was made for a get, if that mode uses no pool.
    bypasses_since: u64,
    /// It is on its way in by a `put`.
    is_put: bool,
}

/// What changes what may be handed out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Generation,
    Mode(Mode),
}

/// What was known when a get began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    at: u64,
    retired_at: u64,
}

/// See the module. Figures are sums since the pool began.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    now: u64,
    step: u64,
    serial: u64,
    records: HashMap<u64, Record>,
    /// Guards, those that were forgotten too.
    pub(super) out: u64,
    pub(super) loose: u64,
    pub(super) forgotten: u64,
    /// The most objects there were at a time, without the loose ones.
    pub(super) peak: u64,
    pub(super) gets: u64,
    pub(super) creates: u64,
    pub(super) returns: u64,
    pub(super) detached: u64,
    /// Gets that were refused because of the bound.
    pub(super) exhausted: u64,
    /// Calls of `put`.
    pub(super) puts: u64,
    /// When the last generation began that is complete.
    retired_at: u64,
    pub(super) mode: Mode,
    /// Since when it holds.
    mode_at: u64,
    /// Every other object up to this one is not valid.
    expired: u64,
    on_create: Option<Mischief>,
    on_validate: Option<Mischief>,
    /// Code of the user is at work in the pool, and does nothing further from there.
    nested: bool,
    live_max: u64,
    validates: bool,
    /// Times that mischief was done.
    pub(super) fired: u64,
}

/// See the module.
pub(super) struct World {
    ledger: Mutex<Ledger>,
    reentry: OnceLock<Reentry>,
    refuses_large: bool,
}

impl Ledger {
    pub(super) fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    pub(super) fn is_alive(&self, number: u64) -> bool {
        self.records.contains_key(&number)
    }

    /// Why an object that came back just now should have been dropped, if it is still there.
    /// Whoever gave it back `has_heard` of all there is to hear of.
    pub(super) fn should_be_gone(&self, number: u64, has_heard: bool) -> Option<&'static str> {
        let record = self.records.get(&number)?;
        let is_old = record.built_at <= self.retired_at;
        let is_transient = record.bypasses_since == self.mode_at;
        let reasons = [
            (is_old && has_heard, "it is of a generation before"),
            (self.mode == Mode::Never && has_heard, "the pool is off"),
            (is_transient, "its get bypassed the pool"),
        ];
        let found = reasons.iter().find(|(is_so, _)| *is_so);
        found.map(|(_, reason)| *reason)
    }

    /// Objects in guards and with the pool.
    pub(super) fn there(&self) -> u64 {
        self.records.len() as u64 - self.loose
    }

    fn note_peak(&mut self) {
        self.peak = self.peak.max(self.there());
    }

    /// Enters a new object; its number.
    fn enter(&mut self, place: Place, built_at: u64, fresh_in: u64) -> u64 {
        self.serial += 1;
        let record = Record {
            place,
            built_at,
            idle_since: self.tick(),
            fresh_in,
            bypasses_since: u64::MAX,
            is_put: false,
        };
        self.records.insert(self.serial, record);
        self.note_peak();
        self.serial
    }

    /// Whether an object is idle since before that time. For when nothing is at work.
    pub(super) fn has_idle_since_before(&self, time: u64) -> bool {
        let mut records = self.records.values();
        records.any(|record| record.place == Place::Inside && record.idle_since < time)
    }

    /// Idle objects of this generation. For when nothing is at work.
    pub(super) fn idle(&self) -> u64 {
        let records = self.records.values();
        let idle = records.filter(|record| record.place == Place::Inside);
        let idle = idle.filter(|record| record.built_at > self.retired_at);
        idle.count() as u64
    }

    fn is_valid(&self, number: u64) -> bool {
        number > self.expired || number % 2 == 0
    }

    /// Notes that an object is out, by a get that began then; what speaks against it.
    fn hand_out(&mut self, number: u64, since: Since) -> Option<&'static str> {
        let record = self.records.get_mut(&number).expect("it is alive");
        let place = std::mem::replace(&mut record.place, Place::Out);
        let is_fresh = std::mem::take(&mut record.fresh_in) == self.step;
        self.gets += 1;
        self.out += 1;
        let is_old = record.built_at <= since.retired_at;
        let bypasses = matches!(self.mode, Mode::Never | Mode::Share(0));
        let bypasses = bypasses && self.mode_at <= since.at;
        let made_past = bypasses && is_fresh;
        record.bypasses_since = if made_past { self.mode_at } else { u64::MAX };
        let breaches = [
            (place != Place::Inside, "it is out twice"),
            (self.out > self.live_max, "more are out than may be"),
            (is_old, "it is of a generation before"),
            (bypasses, "the pool is off"),
            (self.validates && !self.is_valid(number), "it is not valid"),
        ];
        // What was made for this get alone is as new as can be.
        let of_interest = if is_fresh { &breaches[..2] } else { &breaches };
        let found = of_interest.iter().find(|(is_so, _)| *is_so);
        found.map(|(_, breach)| *breach)
    }

    fn since(&self) -> Since {
        Since {
            at: self.now,
            retired_at: self.retired_at,
        }
    }
}

/// Ends what began with `nested`, also by a panic.
struct Nested<'w>(&'w World);

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        self.0.ledger().nested = false;
    }
}

impl World {
    pub(super) fn new(settings: &Settings) -> World {
        let ledger = Ledger {
            // Before anything happened it was nothing.
            now: 1,
            mode: settings.mode,
            live_max: settings.live_max.map_or(u64::MAX, |max| max as u64),
            validates: settings.validates,
            ..Ledger::default()
        };
        World {
            ledger: Mutex::new(ledger),
            reentry: OnceLock::new(),
            refuses_large: settings.recycling.refuses_large(),
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the objects' code into the pool.
    pub(super) fn let_in(&self, reentry: Reentry) {
        assert!(self.reentry.set(reentry).is_ok(), "a world has one pool");
    }

    /// A step begins; how often mischief was done before it.
    pub(super) fn begin_step(&self) -> u64 {
        let mut ledger = self.ledger();
        ledger.step += 1;
        ledger.fired
    }

    /// Some of so many objects were got and given back by the pool itself, by these figures of it:
    /// a get came of none of them, and nobody but the pool saw them.
    pub(super) fn settle(&self, stats: &PoolStats, count: u64) {
        let mut ledger = self.ledger();
        let (gets, returns) = (stats.gets - ledger.gets, stats.returns - ledger.returns);
        assert_eq!(gets, returns, "all or nothing");
        assert!(gets <= count, "{gets} of {count}");
        ledger.gets += gets;
        ledger.returns += returns;
    }

    /// Whether so many guards more may be out.
    pub(super) fn may_take(&self, count: usize) -> bool {
        let ledger = self.ledger();
        ledger.out.saturating_add(count as u64) <= ledger.live_max
    }

    // ---- What objects do --------------------------------------------------------------------

    /// Does what was armed, if something was.
    pub(super) fn misbehave(self: &Arc<World>, mischief: Option<Mischief>) {
        let Some(mischief) = mischief.filter(|_| !is_failing()) else {
            return;
        };
        let is_nested = {
            let mut ledger = self.ledger();
            ledger.fired += 1;
            std::mem::replace(&mut ledger.nested, true)
        };
        if !is_nested {
            let _nested = Nested(self);
            let reentry = self.reentry.get().expect("the pool is there");
            reentry(self, mischief.act);
        }
        if mischief.panics {
            panic_as_planned();
        }
    }

    /// A new object, for the pool.
    pub(super) fn create<S: Shape>(self: &Arc<World>) -> Object<S> {
        let (built_at, mischief) = {
            let mut ledger = self.ledger();
            (ledger.tick(), ledger.on_create.take())
        };
        self.misbehave(mischief);
        let mut ledger = self.ledger();
        ledger.creates += 1;
        let fresh_in = ledger.step;
        let number = ledger.enter(Place::Inside, built_at, fresh_in);
        Object::new(number, self)
    }

    /// A new object that no pool knows.
    pub(super) fn create_foreign<S: Shape>(self: &Arc<World>) -> Object<S> {
        let mut ledger = self.ledger();
        ledger.loose += 1;
        let built_at = ledger.tick();
        let number = ledger.enter(Place::Loose, built_at, 0);
        Object::new(number, self)
    }

    /// Whether the pool may hand an idle object out.
    pub(super) fn validate<S>(self: &Arc<World>, object: &Object<S>) -> bool {
        let mischief = self.ledger().on_validate.take();
        self.misbehave(mischief);
        let mut ledger = self.ledger();
        if mischief.is_some() {
            // Who looks at an object has it in hand: an event that begins now comes too late.
            let step = ledger.step;
            let record = ledger.records.get_mut(&object.number);
            record.expect("it is alive").fresh_in = step;
        }
        ledger.is_valid(object.number)
    }

    pub(super) fn was_reset(&self, number: u64) {
        let mut ledger = self.ledger();
        let now = ledger.tick();
        let record = ledger.records.get_mut(&number).expect("it is alive");
        assert_eq!(record.place, Place::Inside, "reset while it is out");
        (record.fresh_in, record.idle_since) = (0, now);
        record.is_put = false;
    }

    /// Notes the end of an object. Whether it was of a generation before.
    pub(super) fn was_dropped(&self, number: u64) -> bool {
        let mut ledger = self.ledger();
        let record = ledger.records.remove(&number);
        let record = record.expect("an object is dropped once");
        assert_ne!(record.place, Place::Out, "dropped while it is out");
        ledger.loose -= u64::from(record.place == Place::Loose);
        record.built_at <= ledger.retired_at
    }

    // ---- What users do ----------------------------------------------------------------------

    pub(super) fn arm(&self, when: When, mischief: Mischief) {
        let mut ledger = self.ledger();
        match when {
            When::Create => ledger.on_create = Some(mischief),
            When::Validate => ledger.on_validate = Some(mischief),
            When::Recycle | When::Drop => unreachable!("objects have those"),
        }
    }

    pub(super) fn expire(&self) {
        let mut ledger = self.ledger();
        ledger.expired = ledger.serial;
    }

    pub(super) fn since(&self) -> Since {
        self.ledger().since()
    }

    /// Gets one.
    pub(super) fn take<S: Shape, G: DerefMut<Target = Object<S>>>(
        self: &Arc<World>,
        get: impl FnOnce() -> Option<G>,
    ) -> Option<Taken<S, G>> {
        let since = self.since();
        let Some(guard) = get() else {
            let mut ledger = self.ledger();
            // In the middle of another call that one's guard counts, too.
            let is_full = ledger.nested || ledger.out >= ledger.live_max;
            ledger.exhausted += u64::from(is_full);
            return None;
        };
        // A generation that began meanwhile holds, too.
        let retired_at = self.ledger().retired_at;
        let since = Since {
            retired_at,
            ..since
        };
        Some(self.hand_out(since, guard))
    }

    /// Looks at an object that was handed out by a get that began then.
    pub(super) fn hand_out<S: Shape, G: DerefMut<Target = Object<S>>>(
        self: &Arc<World>,
        since: Since,
        mut guard: G,
    ) -> Taken<S, G> {
        let object = &mut *guard;
        let is_reset = !object.dirty && !object.spoilt && object.on_recycle.is_none();
        object.dirty = true;
        let breach = self.ledger().hand_out(object.number, since);
        let is_large = self.refuses_large && !object.is_small();
        // From here on it comes back, whatever is found.
        let mut taken = Taken::new(guard, self);
        let object = taken.object();
        assert!(is_reset, "{object:?} was not reset");
        assert!(!is_large, "{object:?} is too large");
        assert_eq!(breach, None, "{object:?}");
        taken
    }

    /// A guard is about to end.
    pub(super) fn comes_back<S>(&self, number: u64, object: &Object<S>) {
        self.ends(number, object).returns += 1;
    }

    fn ends<S>(&self, number: u64, object: &Object<S>) -> MutexGuard<'_, Ledger> {
        assert_eq!(number, object.number, "two objects in one place");
        assert!(object.dirty, "{object:?} was reset while it was out");
        let mut ledger = self.ledger();
        let record = ledger.records.get_mut(&number).expect("it is alive");
        assert_eq!(record.place, Place::Out);
        record.place = Place::Inside;
        ledger.out -= 1;
        ledger
    }

    pub(super) fn detach<S: Shape, G: DerefMut<Target = Object<S>>>(
        &self,
        guard: Taken<S, G>,
        detach: impl FnOnce(G) -> Object<S>,
    ) -> Object<S> {
        let object = detach(guard.into_guard());
        let mut ledger = self.ends(object.number, &object);
        let record = ledger.records.get_mut(&object.number);
        record.expect("it is alive").place = Place::Loose;
        ledger.loose += 1;
        ledger.detached += 1;
        drop(ledger);
        object
    }

    pub(super) fn discard<S: Shape, G: DerefMut<Target = Object<S>>>(
        &self,
        guard: Taken<S, G>,
        discard: impl FnOnce(G),
    ) {
        let guard = guard.into_guard();
        self.comes_back(guard.number, &guard);
        discard(guard);
    }

    /// An object is about to be put into the pool, as if built now.
    pub(super) fn goes_in<S>(&self, object: &Object<S>) {
        let mut ledger = self.ledger();
        let now = ledger.tick();
        let record = ledger.records.get_mut(&object.number);
        let record = record.expect("it is alive");
        assert_eq!(record.place, Place::Loose);
        (record.place, record.built_at) = (Place::Inside, now);
        record.bypasses_since = u64::MAX;
        record.is_put = true;
        ledger.loose -= 1;
        ledger.puts += 1;
        ledger.note_peak();
    }

    /// An event that holds for what is there now, unless a panic ends it.
    pub(super) fn during<T>(&self, event: Event, call: impl FnOnce() -> T) -> T {
        let began = {
            let mut ledger = self.ledger();
            let began = ledger.tick();
            if let Event::Mode(mode) = event {
                (ledger.mode, ledger.mode_at) = (mode, u64::MAX - began);
            }
            began
        };
        let answer = call();
        let mut ledger = self.ledger();
        match event {
            Event::Generation => ledger.retired_at = ledger.retired_at.max(began),
            Event::Mode(_) => {}
        }
        // Unless it was changed again meanwhile.
        if matches!(event, Event::Mode(_)) && ledger.mode_at == u64::MAX - began {
            ledger.mode_at = ledger.tick();
        }
        answer
    }

    /// The pool is gone, and with it all that was idle.
    pub(super) fn check_end(&self) {
        let ledger = self.ledger();
        assert_eq!(ledger.loose, 0);
        let left = ledger.records.len() as u64;
        assert_eq!(left, ledger.forgotten, "objects the pool lost");
    }
}
