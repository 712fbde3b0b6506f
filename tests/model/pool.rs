//! Streams over [`Pool`]: no object is with two users, each comes reset, each is dropped once.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;

use flagstone::{Keep, OwnedPooled, Pool, Pooled, Recycle};

/// Objects out at once: more than a magazine's worth.
const HELD_MAX: usize = 200;

/// One step.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Gets an object.
    Get,
    /// Gets this many objects.
    GetMany(usize),
    /// Gets an object whose guard keeps the pool alive.
    GetOwned,
    /// Gives one back.
    Give(usize),
    /// Gives one back that asks to be dropped.
    Spoil(usize),
    /// Takes one out of the pool for good.
    Detach(usize),
    /// Puts one in that was detached.
    Put,
    /// Gives back all that are out.
    GiveAll,
    /// Drops idle objects beyond this number.
    Trim(usize),
    /// Makes this many objects in advance.
    Prefill(usize),
}

impl Op {
    /// Any three integers are a step.
    pub fn from_raw(kind: u8, a: u32, b: u32) -> Op {
        match kind {
            0..=95 => Op::Get,
            96..=99 => Op::GetMany(a as usize % 100),
            100..=119 => Op::GetOwned,
            120..=209 => Op::Give(a as usize),
            210..=219 => Op::Spoil(a as usize),
            220..=229 => Op::Detach(a as usize),
            230..=241 => Op::Put,
            242..=247 => Op::GiveAll,
            248..=251 => Op::Trim(b as usize % 50),
            252..=255 => Op::Prefill(b as usize % 50),
        }
    }
}

thread_local! {
    static MADE: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<u64> = const { Cell::new(0) };
}

/// An object that knows its number and whether it is in use.
struct Object {
    number: u64,
    dirty: bool,
    spoilt: bool,
}

impl Object {
    fn new() -> Object {
        MADE.set(MADE.get() + 1);
        LIVE.set(LIVE.get() + 1);
        Object {
            number: MADE.get(),
            dirty: false,
            spoilt: false,
        }
    }
}

impl Recycle for Object {
    fn recycle(&mut self) -> Keep {
        self.dirty = false;
        if self.spoilt {
            Keep::Discard
        } else {
            Keep::Yes
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        LIVE.set(
            LIVE.get()
                .checked_sub(1)
                .expect("dropped more often than made"),
        );
    }
}

enum Held<'p> {
    Borrowed(Pooled<'p, Object>),
    Owned(OwnedPooled<Object>),
}

impl Held<'_> {
    fn object(&mut self) -> &mut Object {
        match self {
            Held::Borrowed(guard) => guard,
            Held::Owned(guard) => guard,
        }
    }
}

struct Model<'p> {
    pool: &'p Arc<Pool<Object>>,
    held: Vec<Held<'p>>,
    numbers: HashSet<u64>,
    detached: Vec<Object>,
}

impl<'p> Model<'p> {
    fn apply(&mut self, op: Op) {
        match op {
            Op::Get if self.held.len() < HELD_MAX => {
                self.hold(Held::Borrowed(self.pool.get()));
            }
            Op::GetMany(count) => {
                let count = count.min(HELD_MAX - self.held.len());
                (0..count).for_each(|_| self.hold(Held::Borrowed(self.pool.get())));
            }
            Op::GetOwned if self.held.len() < HELD_MAX => {
                self.hold(Held::Owned(self.pool.get_owned()));
            }
            Op::Get | Op::GetOwned => {}
            Op::Give(which) => drop(self.release(which)),
            Op::Spoil(which) => {
                if let Some(mut held) = self.release(which) {
                    held.object().spoilt = true;
                }
            }
            Op::Detach(which) => match self.release(which) {
                Some(Held::Borrowed(guard)) => self.detached.push(guard.detach()),
                other => drop(other),
            },
            Op::Put => {
                if let Some(object) = self.detached.pop() {
                    self.pool.put(object);
                }
            }
            Op::GiveAll => {
                self.held.clear();
                self.numbers.clear();
            }
            Op::Trim(keep) => {
                self.pool.trim(keep);
            }
            Op::Prefill(count) => {
                self.pool.prefill(count);
            }
        }
    }

    fn hold(&mut self, mut held: Held<'p>) {
        let object = held.object();
        assert!(
            !object.dirty && !object.spoilt,
            "object {} was not reset",
            object.number
        );
        object.dirty = true;
        assert!(
            self.numbers.insert(object.number),
            "object {} is out twice",
            object.number
        );
        self.held.push(held);
    }

    fn release(&mut self, which: usize) -> Option<Held<'p>> {
        let index = which.checked_rem(self.held.len())?;
        let mut held = self.held.swap_remove(index);
        assert!(held.object().dirty, "an object was reset while it was out");
        self.numbers.remove(&held.object().number);
        Some(held)
    }
}

/// Runs a stream on a pool of its own, then drops the pool.
pub fn run(ops: impl IntoIterator<Item = Op>) {
    let before = LIVE.get();
    let pool = Arc::new(Pool::new(Object::new));
    let mut model = Model {
        pool: &pool,
        held: Vec::new(),
        numbers: HashSet::new(),
        detached: Vec::new(),
    };
    for op in ops {
        model.apply(op);
    }
    drop(model);
    drop(pool);
    assert_eq!(LIVE.get(), before, "the pool drops its idle objects, once");
}
