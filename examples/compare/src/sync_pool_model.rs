//! A model of Go's `sync.Pool` (Go 1.13 and later), so that one table can hold both.
//!
//! What is modelled, from the published algorithm (`sync/pool.go`, `sync/poolqueue.go`):
//!
//! - One *local* per processor: a `private` slot, and a `shared` chain of rings of 8, 16, 32, …
//!   slots. The owner pushes and pops at the head; everybody else steals at the tail.
//! - `get`: own private, own shared head, the other locals' tails from the next one on, then the
//!   *victim* generation (own private, then all tails from the own one on), then `new`.
//!   `put`: own private if empty, else own shared head. Nothing is ever refused.
//! - `gc`, what the collector does at each cycle: drop the victims, make the current locals the
//!   victims. An object nobody asks for lives through one cycle and dies at the second.
//!
//! What differs, and why it does not flatter the model's rivals:
//!
//! - Go pins a goroutine to its processor; here a thread owns an index for as long as it lives
//!   (a load from thread-local storage, cheaper than Go's pin). Threads beyond the processors get
//!   no local and always make new objects; in Go they would wait for a processor.
//! - Go stops the world for its cycle; here `gc` takes `&mut self`, which says the same at compile
//!   time. There is no collector: `gc` is called by the measured loop.
//! - Go frees a drained ring through the collector; here rings live until their generation dies.
//!   Rings double, so drained ones together are no larger than the live one.
//!
//! Invariants: I1, a thread index belongs to at most one living thread. I2, `private` and the head
//! of a local's chain are touched only by the thread with that index, or through `&mut`. I3, an
//! object's pointer stands in exactly one slot or has been handed out.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// Recycles boxed values like `sync.Pool`; `get` never fails, `put` never refuses.
pub(crate) struct SyncPool<T> {
    create: fn() -> T,
    locals: Vec<Local<T>>,
    victims: Vec<Local<T>>,
    /// Zero once the victims were found empty, so that later misses skip them.
    victim_count: AtomicUsize,
    creates: AtomicU64,
    /// `Sync` needs `T: Send` and no more: values move between threads, none is shared.
    _values: PhantomData<Mutex<T>>,
}

impl<T> SyncPool<T> {
    /// A pool with one local per processor of this machine.
    pub(crate) fn new(create: fn() -> T) -> SyncPool<T> {
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
        SyncPool::with_locals(create, processors)
    }

    /// A pool with `count` locals, for as many threads at a time.
    pub(crate) fn with_locals(create: fn() -> T, count: usize) -> SyncPool<T> {
        SyncPool {
            create,
            locals: locals(count),
            victims: Vec::new(),
            victim_count: AtomicUsize::new(0),
            creates: AtomicU64::new(0),
            _values: PhantomData,
        }
    }

    /// A recycled value, as it was left, or a new one.
    #[inline]
    pub(crate) fn get(&self) -> Box<T> {
        let index = thread_index();
        if let Some(local) = self.locals.get(index) {
            if let Some(value) = local.take_private() {
                return value;
            }
            if let Some(value) = local.shared.pop_head() {
                return value;
            }
        }
        self.get_slow(index)
    }

    /// Gives a value back.
    #[inline]
    pub(crate) fn put(&self, value: Box<T>) {
        let Some(local) = self.locals.get(thread_index()) else {
            return;
        };
        if let Some(value) = local.fill_private(value) {
            local.shared.push_head(value);
        }
    }

    /// How often `get` had to make a value.
    pub(crate) fn creates(&self) -> u64 {
        self.creates.load(Ordering::Relaxed)
    }

    /// One collection cycle: the victims die, the locals become victims.
    pub(crate) fn gc(&mut self) {
        let fresh = locals(self.locals.len());
        self.victims = std::mem::replace(&mut self.locals, fresh);
        *self.victim_count.get_mut() = self.victims.len();
    }

    #[cold]
    #[inline(never)]
    fn get_slow(&self, index: usize) -> Box<T> {
        let stolen = steal(&self.locals, index.wrapping_add(1));
        stolen
            .or_else(|| self.get_victim(index))
            .unwrap_or_else(|| {
                self.creates.fetch_add(1, Ordering::Relaxed);
                Box::new((self.create)())
            })
    }

    fn get_victim(&self, index: usize) -> Option<Box<T>> {
        if index >= self.victim_count.load(Ordering::Relaxed) {
            return None;
        }
        let found = self.victims[index]
            .take_private()
            .or_else(|| steal(&self.victims, index));
        if found.is_none() {
            self.victim_count.store(0, Ordering::Relaxed);
        }
        found
    }
}

/// How many gets lie between two collections in a measured loop: at 10 to 60 ns each, between 5
/// and 30 ms, as in a program that makes garbage elsewhere.
const GETS_PER_COLLECTION: u64 = 1 << 19;

/// A pool in a program with a collector: counts its gets, and collects now and then.
pub(crate) struct Collected<T> {
    pub(crate) pool: SyncPool<T>,
    gets: u64,
    collected_at: u64,
}

impl<T> Collected<T> {
    pub(crate) fn new(create: fn() -> T) -> Collected<T> {
        Collected {
            pool: SyncPool::new(create),
            gets: 0,
            collected_at: 0,
        }
    }

    /// To be told of every so many gets, at a moment when nothing is held.
    pub(crate) fn after(&mut self, gets: u64) {
        self.gets += gets;
        if self.gets - self.collected_at >= GETS_PER_COLLECTION {
            self.collected_at = self.gets;
            self.pool.gc();
        }
    }

    pub(crate) fn gets(&self) -> u64 {
        self.gets
    }
}

fn locals<T>(count: usize) -> Vec<Local<T>> {
    (0..count)
        .map(|_| Local {
            private: AtomicPtr::default(),
            shared: Chain::new(),
        })
        .collect()
}

/// One object from the tail of any local, starting with the one at `first`, around the circle.
fn steal<T>(locals: &[Local<T>], first: usize) -> Option<Box<T>> {
    let (before, after) = locals.split_at(first % locals.len());
    after
        .iter()
        .chain(before)
        .find_map(|local| local.shared.pop_tail())
}

/// What one processor keeps. Go pads it to 128 bytes too: two lines, as neighbours are prefetched.
#[repr(align(128))]
struct Local<T> {
    /// Atomic only to be `Sync` without a cell: plain loads and stores by its owner (I2).
    private: AtomicPtr<T>,
    shared: Chain<T>,
}

impl<T> Local<T> {
    #[inline]
    fn take_private(&self) -> Option<Box<T>> {
        let value = self.private.load(Ordering::Relaxed);
        if value.is_null() {
            return None;
        }
        self.private.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: I3, the pointer came from `Box::into_raw` in `fill_private`; I2, no other thread
        // can have taken it between the load and the store.
        Some(unsafe { Box::from_raw(value) })
    }

    /// Keeps `value` if the slot is empty; returns it otherwise.
    #[inline]
    fn fill_private(&self, value: Box<T>) -> Option<Box<T>> {
        if !self.private.load(Ordering::Relaxed).is_null() {
            return Some(value);
        }
        self.private.store(Box::into_raw(value), Ordering::Relaxed);
        None
    }
}

impl<T> Drop for Local<T> {
    fn drop(&mut self) {
        drop(self.take_private());
        while self.shared.pop_head().is_some() {}
    }
}

/// Rings 8, 16, … 2^30 slots: Go's first and last.
const RING_COUNT: usize = 28;
const RING_FIRST_SLOTS: usize = 8;

/// `poolChain`: a queue of ever larger rings.
struct Chain<T> {
    rings: [OnceLock<Ring<T>>; RING_COUNT],
    /// The ring the owner pushes to; written by the owner alone.
    head: AtomicUsize,
    /// The oldest ring that may hold something; only ever advances, never past `head`.
    tail: AtomicUsize,
}

impl<T> Chain<T> {
    fn new() -> Chain<T> {
        Chain {
            rings: [const { OnceLock::new() }; RING_COUNT],
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
        }
    }

    /// By the owner only.
    fn push_head(&self, value: Box<T>) {
        let head = self.head.load(Ordering::Relaxed);
        let ring = self.rings[head].get_or_init(|| Ring::new(RING_FIRST_SLOTS << head));
        let Err(value) = ring.push_head(value) else {
            return;
        };
        let next = head + 1;
        if next == RING_COUNT {
            return;
        }
        let ring = self.rings[next].get_or_init(|| Ring::new(RING_FIRST_SLOTS << next));
        // Release pairs with the Acquire in `pop_tail`: who sees the new head sees its ring.
        self.head.store(next, Ordering::Release);
        if let Err(value) = ring.push_head(value) {
            drop(value);
        }
    }

    /// By the owner only: the newest object, from the newest ring that has one.
    fn pop_head(&self) -> Option<Box<T>> {
        let newest = self.head.load(Ordering::Relaxed);
        let oldest = self.tail.load(Ordering::Relaxed);
        let rings = self.rings[oldest..=newest].iter().rev();
        rings.filter_map(OnceLock::get).find_map(Ring::pop_head)
    }

    /// By anyone: the oldest object.
    fn pop_tail(&self) -> Option<Box<T>> {
        loop {
            let oldest = self.tail.load(Ordering::Relaxed);
            // Read before the ring is tried: if there was a newer ring and this one is empty, its
            // owner will never push here again, so it can be retired.
            let newest = self.head.load(Ordering::Acquire);
            if let Some(value) = self.rings[oldest].get().and_then(Ring::pop_tail) {
                return Some(value);
            }
            if oldest >= newest {
                return None;
            }
            let retire = (Ordering::Relaxed, Ordering::Relaxed);
            // A failure means that another thief retired it.
            let _ = self
                .tail
                .compare_exchange(oldest, oldest + 1, retire.0, retire.1);
        }
    }
}

/// `poolDequeue`: a ring with one producer at the head and any number of thieves at the tail.
struct Ring<T> {
    /// Head in the high half, tail in the low half, so that one word claims a slot.
    head_tail: AtomicU64,
    /// Null: free for the producer. A slot is handed back by the thief's null, not by the index.
    slots: Box<[AtomicPtr<T>]>,
}

const HALF_BITS: u32 = 32;

fn unpack(word: u64) -> (u32, u32) {
    ((word >> HALF_BITS) as u32, word as u32)
}

fn pack(head: u32, tail: u32) -> u64 {
    u64::from(head) << HALF_BITS | u64::from(tail)
}

impl<T> Ring<T> {
    fn new(slots: usize) -> Ring<T> {
        let slots = (0..slots).map(|_| AtomicPtr::default()).collect();
        Ring {
            head_tail: AtomicU64::new(0),
            slots,
        }
    }

    fn slot(&self, index: u32) -> &AtomicPtr<T> {
        &self.slots[index as usize & (self.slots.len() - 1)]
    }

    fn push_head(&self, value: Box<T>) -> Result<(), Box<T>> {
        let (head, tail) = unpack(self.head_tail.load(Ordering::Relaxed));
        if head.wrapping_sub(tail) as usize == self.slots.len() {
            return Err(value);
        }
        let slot = self.slot(head);
        // Acquire pairs with the thief's Release null: its read of the old pointer came before.
        if !slot.load(Ordering::Acquire).is_null() {
            return Err(value);
        }
        slot.store(Box::into_raw(value), Ordering::Relaxed);
        // Release pairs with the Acquire of the claims below: the pointer is visible.
        self.head_tail.fetch_add(1 << HALF_BITS, Ordering::Release);
        Ok(())
    }

    fn pop_head(&self) -> Option<Box<T>> {
        let mut word = self.head_tail.load(Ordering::Relaxed);
        loop {
            let (head, tail) = unpack(word);
            if head == tail {
                return None;
            }
            let head = head.wrapping_sub(1);
            match self.claim(word, pack(head, tail)) {
                Ok(_) => return self.take(head),
                Err(now) => word = now,
            }
        }
    }

    fn pop_tail(&self) -> Option<Box<T>> {
        let mut word = self.head_tail.load(Ordering::Relaxed);
        loop {
            let (head, tail) = unpack(word);
            if head == tail {
                return None;
            }
            match self.claim(word, pack(head, tail.wrapping_add(1))) {
                Ok(_) => return self.take(tail),
                Err(now) => word = now,
            }
        }
    }

    fn claim(&self, old: u64, new: u64) -> Result<u64, u64> {
        // AcqRel: Acquire for the producer's pointer, Release so that claims form one order.
        self.head_tail
            .compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Relaxed)
    }

    /// Empties a slot that the caller has claimed.
    fn take(&self, index: u32) -> Option<Box<T>> {
        let slot = self.slot(index);
        let value = slot.load(Ordering::Relaxed);
        slot.store(ptr::null_mut(), Ordering::Release);
        // SAFETY: I3, the pointer came from `Box::into_raw` in `push_head`, and the claim of this
        // index succeeded for this caller alone.
        (!value.is_null()).then(|| unsafe { Box::from_raw(value) })
    }
}

/// Indices of threads that ended, to be given out again before new ones.
static FREE_INDICES: Mutex<(usize, Vec<usize>)> = Mutex::new((0, Vec::new()));

/// No index: the thread has not asked yet, or is past its thread-local destructors.
const NO_INDEX: usize = usize::MAX;

/// Gives the index back when the thread ends.
struct IndexOwner;

impl Drop for IndexOwner {
    fn drop(&mut self) {
        let index = INDEX.replace(NO_INDEX);
        if let Ok(mut free) = FREE_INDICES.lock() {
            free.1.push(index);
        }
    }
}

thread_local! {
    /// Apart from its owner, so that reading it needs no destructor check.
    static INDEX: Cell<usize> = const { Cell::new(NO_INDEX) };
    static OWNER: IndexOwner = const { IndexOwner };
}

/// This thread's index (I1), or one beyond every local.
#[inline]
fn thread_index() -> usize {
    match INDEX.get() {
        NO_INDEX => claim_index(),
        index => index,
    }
}

#[cold]
fn claim_index() -> usize {
    let Ok(mut free) = FREE_INDICES.lock() else {
        return NO_INDEX;
    };
    // Registers the destructor; fails, and must leave no index, once it has run.
    if OWNER.try_with(|_| ()).is_err() {
        return NO_INDEX;
    }
    let index = free.1.pop().unwrap_or_else(|| {
        free.0 += 1;
        free.0 - 1
    });
    INDEX.set(index);
    index
}
