//! What code of the user does to a pool in the middle of one of the pool's own operations, and what
//! another thread does to it.
//!
//! Owns the panics that are meant: they carry [`Planned`], so that a check which fails inside an
//! object's code is not taken for one of them. None of them passes a panic hook, which in a fuzzer
//! ends the process.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, PoisonError};
use std::thread;

use flagstone::{Mode, OwnedPooled, Pool, Recycler};

use super::guards::Kept;
use super::objects::{Object, Shape};
use super::settings;
use super::world::{Event, World};

/// One use of the pool.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Nothing,
    /// Gets so many, and gives them back.
    Get(usize),
    /// Gets so many, which stay out.
    Keep(usize),
    /// Gets so many through a handle, and gives them back.
    Local(usize),
    /// Takes one for good, and brings it back.
    Put,
    Trim(usize),
    Clear,
    Tick,
    Generation,
    Mode(Mode),
}

impl Act {
    /// From sixteen bits.
    pub(super) fn from_raw(raw: u32) -> Act {
        let count = (raw >> 8) as usize;
        match raw % 32 {
            0..=7 => Act::Get(count % 80),
            8..=11 => Act::Keep(count % 8),
            12..=13 => Act::Keep(count % 80),
            14..=16 => Act::Local(count % 80),
            17..=19 => Act::Put,
            20 => Act::Trim(count % 40),
            21 => Act::Clear,
            22..=23 => Act::Tick,
            24..=26 => Act::Generation,
            27 => Act::Mode(settings::mode(raw >> 8)),
            _ => Act::Nothing,
        }
    }
}

/// What code of the user does instead of its work, or beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mischief {
    pub(super) act: Act,
    pub(super) panics: bool,
}

impl Mischief {
    pub(super) fn from_raw(raw: u32) -> Mischief {
        Mischief {
            act: Act::from_raw(raw & 0xFFFF),
            panics: raw >> 16 & 3 == 0,
        }
    }
}

/// What a panic that is meant carries.
struct Planned;

thread_local! {
    /// A panic that is meant passes through this thread.
    static IS_PLANNED: Cell<bool> = const { Cell::new(false) };
}

/// Panics, unless the thread does so already.
pub(super) fn panic_as_planned() {
    if !thread::panicking() {
        IS_PLANNED.set(true);
        resume_unwind(Box::new(Planned));
    }
}

/// Whether a check has failed and the stream comes to its end: what breaks then breaks silently.
pub(super) fn is_failing() -> bool {
    thread::panicking() && !IS_PLANNED.get()
}

/// The panic that was caught, unless it was meant.
fn unplanned(payload: Box<dyn Any + Send>) -> Option<Box<dyn Any + Send>> {
    (!payload.is::<Planned>()).then_some(payload)
}

/// Calls something that may panic as planned; `None` when it did.
pub(super) fn calmly<T>(call: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(value) => Some(value),
        Err(payload) => match unplanned(payload) {
            Some(payload) => resume_unwind(payload),
            None => {
                IS_PLANNED.set(false);
                None
            }
        },
    }
}

/// The way from an object's code into its pool.
pub(super) type Reentry = Box<dyn Fn(&Arc<World>, Act) + Send + Sync>;

pub(super) fn reentry<S: Shape, R: Recycler<Object<S>> + 'static>(
    pool: &Arc<Pool<Object<S>, R>>,
    kept: &Arc<Kept<S, R>>,
) -> Reentry {
    // The objects own this, so it must not own their pool.
    let (pool, kept) = (Arc::downgrade(pool), Arc::clone(kept));
    Box::new(move |world, act| {
        if let Some(pool) = pool.upgrade() {
            perform(&pool, world, &kept, act);
        }
    })
}

/// Does an act. A planned panic of what it meets passes through.
pub(super) fn perform<S: Shape, R: Recycler<Object<S>>>(
    pool: &Arc<Pool<Object<S>, R>>,
    world: &Arc<World>,
    kept: &Kept<S, R>,
    act: Act,
) {
    match act {
        Act::Nothing => {}
        Act::Get(count) => {
            let get = |_| world.take(|| pool.try_get());
            drop((0..count).map_while(get).collect::<Vec<_>>());
        }
        Act::Keep(count) => (0..count).for_each(|_| {
            if let Some(guard) = world.take(|| pool.try_get_owned()) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push(guard);
            }
        }),
        Act::Local(count) => {
            let handle = pool.local();
            let get = |_| world.take(|| handle.try_get());
            drop((0..count).map_while(get).collect::<Vec<_>>());
        }
        Act::Put => {
            if let Some(guard) = world.take(|| pool.try_get_owned()) {
                let object = world.detach(guard, OwnedPooled::detach);
                world.goes_in(&object);
                pool.put(object);
            }
        }
        Act::Trim(keep) => drop(pool.trim(keep)),
        Act::Clear => pool.clear(),
        Act::Tick => drop(pool.tick()),
        Act::Generation => drop(world.during(Event::Generation, || pool.new_generation())),
        Act::Mode(mode) => world.during(Event::Mode(mode), || pool.set_mode(mode)),
    }
}
