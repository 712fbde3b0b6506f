//! Streams over [`Pool`]: each object has one user at a time, comes reset, and is dropped once.
//!
//! A stream goes through several pools, each of other settings. Objects are got and given back by
//! every way there is, on this thread and on others; meanwhile the pool is trimmed, ticks, begins
//! generations and changes its mode, and the objects' own code uses the pool or panics.
//!
//! The oracle is a ledger (`world`) that the objects themselves write: where each one is, when it
//! was built and since when it is idle. What may be handed out follows from it alone.
//!
//! This file knows the steps and how a pool begins and ends; `settings` the pools there are,
//! `stream` how a step is done, `upkeep` what trims and their like promise, `figures` what the
//! pool's own numbers must be; `objects`, `guards` and `acts` are what a user brings along.

mod acts;
mod figures;
mod guards;
mod objects;
mod settings;
mod stream;
mod upkeep;
mod world;

use std::sync::{Arc, PoisonError};
use std::thread;

use flagstone::{Mode, Pool, Recycler};

use acts::{Act, Mischief, calmly};
use guards::Kept;
use objects::{Object, Plain, Shape, Wide};
use settings::{Recycling, Settings};
use stream::Model;
use world::World;

/// One step.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    what: What,
    /// The pool's settings, for the first step of a stream.
    settings: u32,
}

/// Ways to ask for one object.
#[derive(Clone, Copy, Debug)]
enum How {
    Get,
    TryGet,
    Timeout,
    Owned,
    TryOwned,
    TimeoutOwned,
}

/// What a function does that is to make an object.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Makes,
    Fails,
    Panics,
}

/// When an object's code does something else than it should.
#[derive(Clone, Copy, Debug)]
enum When {
    Create,
    Validate,
    Recycle,
    Drop,
}

/// What a step does. `which` counts modulo what is there.
#[derive(Clone, Copy, Debug)]
enum What {
    Get(How),
    /// So many at once; with `tries`, all or nothing.
    GetMany {
        count: usize,
        tries: bool,
    },
    GetWith {
        outcome: Outcome,
        owned: bool,
    },
    Open,
    Close(usize),
    /// So many through a handle.
    GetLocal {
        which: usize,
        count: usize,
    },
    Give(usize),
    GiveMany(usize),
    GiveAll,
    /// Gives one back that asks to be dropped.
    Spoil(usize),
    /// Lets a panic give one back.
    Break(usize),
    /// Makes one hold so many bytes.
    Grow {
        which: usize,
        bytes: usize,
    },
    Detach(usize),
    Discard(usize),
    /// Puts one in that was detached, or that never was in a pool.
    Put {
        foreign: bool,
    },
    /// Forgets a guard.
    Forget(usize),
    Trim(usize),
    Clear,
    Tick {
        times: usize,
    },
    Generation,
    Mode(Mode),
    Prefill {
        count: usize,
        tries: bool,
    },
    /// Objects that are alive, every other one, are not valid any more.
    Expire,
    /// What some object's code, or the next call of a function, will do.
    Arm {
        which: usize,
        when: When,
        mischief: Mischief,
    },
    /// Another thread gives so many back and does more, and ends or waits.
    Elsewhere {
        worker: usize,
        gives: usize,
        acts: [Act; 2],
        ends: bool,
    },
    /// Asks for everything the pool says about itself.
    Look,
    /// Goes on with another pool, of these settings.
    Renew(u32),
}

impl Op {
    /// Any three integers are a step.
    pub fn from_raw(kind: u8, a: u32, b: u32) -> Op {
        let what = What::from_raw(kind, a, b);
        Op { what, settings: b }
    }
}

impl What {
    fn from_raw(kind: u8, a: u32, b: u32) -> What {
        let which = a as usize;
        // Mostly few, now and then more than both magazines of a thread hold.
        let count = match b as u8 {
            0..=127 => (b >> 8) as usize % 8,
            128..=223 => (b >> 8) as usize % 70,
            _ => (b >> 8) as usize % 200,
        };
        match kind {
            0..=31 => What::Get(How::Get),
            32..=39 => What::Get(How::TryGet),
            40..=43 => What::Get(How::Timeout),
            44..=51 => What::Get(How::Owned),
            52..=53 => What::Get(How::TryOwned),
            54..=55 => What::Get(How::TimeoutOwned),
            56..=71 => What::GetMany {
                count,
                tries: a % 2 == 0,
            },
            72..=77 => What::GetWith {
                outcome: match a % 4 {
                    0 => Outcome::Fails,
                    1 => Outcome::Panics,
                    _ => Outcome::Makes,
                },
                owned: a & 4 == 0,
            },
            78..=80 => What::Open,
            81..=84 => What::Close(which),
            85..=97 => What::GetLocal { which, count },
            98..=155 => What::Give(which),
            156..=180 => What::GiveMany(count),
            181..=183 => What::GiveAll,
            184..=186 => What::Spoil(which),
            187..=189 => What::Break(which),
            190..=193 => What::Grow {
                which,
                bytes: b as usize % (64 << 10),
            },
            194..=199 => What::Detach(which),
            200..=202 => What::Discard(which),
            203..=208 => What::Put {
                foreign: a % 4 == 0,
            },
            _ => What::upkeep(kind, a, b, count),
        }
    }

    /// The kinds from 209 on.
    fn upkeep(kind: u8, a: u32, b: u32, count: usize) -> What {
        let which = a as usize;
        match kind {
            ..=212 => What::Trim(count),
            213 => What::Clear,
            214..=217 => What::Tick {
                times: 1 + which % 3,
            },
            218..=220 => What::Generation,
            221..=223 => What::Mode(settings::mode(a)),
            224..=227 => What::Prefill {
                count,
                tries: a % 2 == 0,
            },
            228..=230 => What::Expire,
            231..=240 => What::Arm {
                which: (a >> 4) as usize,
                when: match a % 8 {
                    0 => When::Create,
                    1 => When::Validate,
                    2..=4 => When::Recycle,
                    _ => When::Drop,
                },
                mischief: Mischief::from_raw(b),
            },
            241..=250 => What::Elsewhere {
                worker: a as usize % 2,
                gives: (a >> 1) as usize % 80,
                acts: [Act::from_raw(b & 0xFFFF), Act::from_raw(b >> 16)],
                ends: a >> 30 != 0,
            },
            251 if a % 8 == 0 => What::Forget(which / 8),
            251..=252 => What::Look,
            // Rarely, so that a pool comes to something.
            255 if a % 4 == 0 => What::Renew(b),
            _ => What::Get(How::Get),
        }
    }
}

/// Runs the stream in one pool until it ends, or asks for another: its settings, then.
fn run_pool<S: Shape, R: Recycler<Object<S>> + 'static>(
    ops: &mut dyn Iterator<Item = Op>,
    settings: &Settings,
    world: &Arc<World>,
    pool: Pool<Object<S>, R>,
) -> Option<u32> {
    let pool = Arc::new(pool);
    let kept: Arc<Kept<S, R>> = Arc::default();
    world.let_in(acts::reentry(&pool, &kept));
    let (next, last) = thread::scope(|scope| {
        let mut model = Model::new(scope, &pool, world, &kept, settings);
        let next = loop {
            match ops.next() {
                None => break None,
                Some(Op {
                    what: What::Renew(next),
                    ..
                }) => break Some(next),
                Some(op) => model.step(op.what),
            }
        };
        (next, model.finish())
    });
    // The guards that own a share of the pool outlive all else, and the last one takes it along.
    calmly(|| drop(pool));
    last.into_iter().for_each(|guard| {
        calmly(|| drop(guard));
    });
    loop {
        // What the objects' code kept meanwhile.
        let taken = kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(guard) = taken else { break };
        calmly(|| drop(guard));
    }
    world.check_end();
    next
}

/// As `run_pool`, by the way of recycling.
fn run_shape<S: Shape>(ops: &mut dyn Iterator<Item = Op>, settings: &Settings) -> Option<u32> {
    let world = &Arc::new(World::new(settings));
    let builder = settings.builder::<S>(world);
    let Some(policy) = settings.recycling.policy() else {
        let pool = match settings.recycling {
            Recycling::Trait => return run_pool(ops, settings, world, builder.build()),
            Recycling::ValidatePut => builder.validate_put(Object::is_small).build(),
            _ => builder.recycle_with(Object::reset).build(),
        };
        return run_pool(ops, settings, world, pool);
    };
    run_pool(ops, settings, world, builder.oversize(policy).build())
}

/// Runs a stream on pools of its own.
pub fn run(ops: impl IntoIterator<Item = Op>) {
    let mut ops = ops.into_iter();
    let Some(first) = ops.next() else { return };
    let mut next = Some(first.settings);
    while let Some(raw) = next {
        let settings = Settings::from_raw(raw);
        next = if settings.wide {
            run_shape::<Wide>(&mut ops, &settings)
        } else {
            run_shape::<Plain>(&mut ops, &settings)
        };
    }
}
