//! Streams over [`Slab`]: keys find their own value or nothing, handles hold theirs, every value is
//! dropped once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flagstone::{Key, Slab};

/// Keyed values at once.
const LIVE_MAX: usize = 2000;
/// Keys of removed values that must go on finding nothing.
const STALE_MAX: usize = 500;

/// One step.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Inserts a value.
    Insert(u64),
    /// Inserts this many values.
    InsertMany(usize),
    /// Reads a live key.
    Get(usize),
    /// Changes the value of a live key.
    Change(usize),
    /// Removes a live key.
    Remove(usize),
    /// Looks up a key that was removed.
    Stale(usize),
    /// Holds this many handles at once and drops them in an order of its own.
    Handles(usize),
    /// Walks over all keyed values.
    Iterate,
}

impl Op {
    /// Any three integers are a step.
    pub fn from_raw(kind: u8, a: u32, b: u32) -> Op {
        match kind {
            0..=85 => Op::Insert(u64::from(a) << 32 | u64::from(b)),
            86..=89 => Op::InsertMany(a as usize % 300),
            90..=119 => Op::Get(a as usize),
            120..=139 => Op::Change(a as usize),
            140..=209 => Op::Remove(a as usize),
            210..=239 => Op::Stale(a as usize),
            240..=252 => Op::Handles(a as usize % 300),
            253..=255 => Op::Iterate,
        }
    }
}

/// A value that counts itself.
struct Counted {
    number: u64,
    live: Arc<AtomicUsize>,
}

impl Counted {
    fn new(number: u64, live: &Arc<AtomicUsize>) -> Counted {
        live.fetch_add(1, Ordering::Relaxed);
        Counted {
            number,
            live: live.clone(),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let before = self.live.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0, "dropped more often than made");
    }
}

struct Model {
    slab: Slab<Counted>,
    keyed: Vec<(Key, u64)>,
    stale: Vec<Key>,
    live: Arc<AtomicUsize>,
}

impl Model {
    fn apply(&mut self, op: Op) {
        let at = |which: usize, len: usize| which.checked_rem(len);
        match op {
            Op::Insert(number) => self.insert(number),
            Op::InsertMany(count) => (0..count as u64).for_each(|number| self.insert(number)),
            Op::Get(which) => {
                if let Some(index) = at(which, self.keyed.len()) {
                    let (key, number) = self.keyed[index];
                    assert!(self.slab.contains(key));
                    assert_eq!(self.slab.get(key).expect("live").number, number);
                }
            }
            Op::Change(which) => {
                if let Some(index) = at(which, self.keyed.len()) {
                    let (key, number) = &mut self.keyed[index];
                    *number = number.rotate_left(7);
                    self.slab.get_mut(*key).expect("live").number = *number;
                }
            }
            Op::Remove(which) => {
                if let Some(index) = at(which, self.keyed.len()) {
                    self.remove(index);
                }
            }
            Op::Stale(which) => {
                if let Some(index) = at(which, self.stale.len()) {
                    let key = self.stale[index];
                    assert!(!self.slab.contains(key));
                    assert!(self.slab.get(key).is_none());
                    assert!(self.slab.remove(key).is_none());
                }
            }
            Op::Handles(count) => self.handles(count),
            Op::Iterate => self.iterate(),
        }
        assert_eq!(self.live.load(Ordering::Relaxed), self.keyed.len());
    }

    fn insert(&mut self, number: u64) {
        if self.keyed.len() < LIVE_MAX {
            let key = self.slab.insert(Counted::new(number, &self.live));
            self.keyed.push((key, number));
        }
    }

    fn remove(&mut self, index: usize) {
        let (key, number) = self.keyed.swap_remove(index);
        assert_eq!(self.slab.remove(key).expect("live").number, number);
        if self.stale.len() == STALE_MAX {
            self.stale.swap_remove(index % STALE_MAX);
        }
        self.stale.push(key);
    }

    fn handles(&self, count: usize) {
        let make = |number| self.slab.alloc(Counted::new(number, &self.live));
        let mut handles: Vec<_> = (0..count as u64).map(make).collect();
        for handle in &mut handles {
            handle.number += 1;
        }
        let mut step = 0;
        while !handles.is_empty() {
            step += 7;
            let handle = handles.swap_remove(step % handles.len());
            assert!((1..=count as u64).contains(&handle.number));
        }
    }

    fn iterate(&self) {
        let mut found: Vec<u64> = self.slab.iter().map(|value| value.number).collect();
        let mut expected: Vec<u64> = self.keyed.iter().map(|(_, number)| *number).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}

/// Runs a stream on a slab of its own, then drops the slab with what is left in it.
pub fn run(ops: impl IntoIterator<Item = Op>) {
    let live = Arc::new(AtomicUsize::new(0));
    let slab = Slab::new();
    let mut model = Model {
        slab,
        keyed: Vec::new(),
        stale: Vec::new(),
        live: live.clone(),
    };
    for op in ops {
        model.apply(op);
    }
    model.iterate();
    drop(model);
    assert_eq!(
        live.load(Ordering::Relaxed),
        0,
        "the slab drops its keyed values, once"
    );
}
