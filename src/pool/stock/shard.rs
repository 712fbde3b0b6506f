//! A shard: a stack of slots that one thread at a time works on without locks or atomic updates.
//!
//! Owns its magazine blocks and the state of its lease. Erased: knows slots as `NonNull<u8>`, knows
//! neither their type nor the pool. Who keeps it alive is in `shard_ref.rs`.
//!
//! The warmest slot lies in `top`, the next in the loaded magazine, the coldest in the previous
//! one. A get and a put of one object touch `top` alone. With a magazine only, the length would go
//! down and up again: two dependent trips through memory a pair instead of one.
//!
//! I1: whoever holds the lease (moved `state` from FREE to LEASED, or has exclusive access to the
//! whole pool) is the only one to touch `loaded`, `previous` and what they point at, and the only
//! one to store to `top`, the lengths and `gets`. Others load those, for sums.
//! I2: `top` is a slot that is in no magazine, or null. `loaded` points at a live magazine of ours
//! whose first `len` entries are initialised; `previous` is null or likewise with `previous_len`.
//! Both lengths are at most `capacity`. So a shard holds at most `2 * capacity + 1` slots.
//! I3: `vacant` holds slots without a value, for the next objects this shard's user makes. It is
//! the holder's, like the magazines, and no part of what the shard is said to hold.
//! I4: the thread that leaves touches `state` alone, so a pool that is dropped at that moment may
//! read everything else. CLOSED is final: the pool is gone, nothing is left and `loaded` dangles.
//! I5: no object here is older than `generation`: who puts one in has looked at it, and whole
//! magazines come with a generation of their own.

use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::{self, NonNull};

use crate::base::sync::{AtomicPtr, AtomicUsize, Ordering};
use crate::pool::stock::counters::{Counter, ShardCounters};
use crate::pool::stock::id::NO_ID;
use crate::pool::stock::magazine::{Chain, MAGAZINE_SLOTS, Magazine, NO_OBJECTS, OwnedMagazine};

const FREE: usize = 0;
const LEASED: usize = 1;
const CLOSED: usize = 2;

/// Two magazines and a lease. 128-byte aligned: processors fetch cache lines in pairs, and shards
/// on one pair would slow each other down.
#[repr(C, align(128))]
pub(crate) struct Shard {
    /// The warmest slot, or null. Atomic, like the lengths, for the sums.
    top: AtomicPtr<u8>,
    /// Initialised entries of `loaded`.
    len: AtomicUsize,
    loaded: UnsafeCell<NonNull<Magazine>>,
    /// Slots a magazine of this shard may hold, 1 to [`MAGAZINE_SLOTS`].
    capacity: usize,
    /// Objects handed out of this shard. Single writer: the holder.
    gets: Counter,
    previous: UnsafeCell<*mut Magazine>,
    previous_len: AtomicUsize,
    /// The pool's last event that this shard has seen. Written by the holder.
    seen: AtomicUsize,
    /// No object here is older (I5). As above.
    generation: AtomicUsize,
    state: AtomicUsize,
    /// For `shard_ref.rs`.
    pub(super) references: AtomicUsize,
    vacant: UnsafeCell<Option<OwnedMagazine>>,
    /// Single writer: the holder.
    counters: ShardCounters,
    /// Gets until the leak check looks out for one, or 0. As above.
    lookout: AtomicUsize,
}

// SAFETY: the non-atomic fields are touched under the lease only (I1), and the lease passes from
// thread to thread through `state` with Acquire and Release. Slots are plain pointers here; the
// pool's type lets pools of types that are not `Send` be used by one thread only.
unsafe impl Sync for Shard {}
// SAFETY: as for `Sync`; nothing in a shard belongs to a thread but the lease.
unsafe impl Send for Shard {}

/// Tells the compiler to lay the code of a pair of one object out in a line, without a taken jump.
#[cold]
#[inline]
pub(crate) fn off_the_straight_path() {}

impl Shard {
    /// A free one for magazines of `capacity` slots, with one reference; `None` without memory.
    pub(super) fn try_new(capacity: usize) -> Option<Shard> {
        debug_assert!((1..=MAGAZINE_SLOTS).contains(&capacity));
        Some(Shard {
            top: AtomicPtr::new(ptr::null_mut()),
            len: AtomicUsize::new(0),
            loaded: UnsafeCell::new(OwnedMagazine::try_new()?.into_raw()),
            capacity,
            gets: Counter::default(),
            previous: UnsafeCell::new(ptr::null_mut()),
            previous_len: AtomicUsize::new(0),
            // So a new shard always looks at the bounds.
            seen: AtomicUsize::new(NO_ID),
            generation: AtomicUsize::new(NO_ID),
            state: AtomicUsize::new(FREE),
            references: AtomicUsize::new(1),
            vacant: UnsafeCell::new(None),
            counters: ShardCounters::default(),
            lookout: AtomicUsize::new(0),
        })
    }

    /// Takes the slot that was returned last, unless only the other magazine has any.
    ///
    /// # Safety
    /// The caller holds the lease (I1).
    #[inline(always)]
    pub(crate) unsafe fn pop(&self) -> Option<NonNull<u8>> {
        // Relaxed throughout: only the holder stores (I1), others read for sums.
        let Some(top) = NonNull::new(self.top.load(Ordering::Relaxed)) else {
            off_the_straight_path();
            // SAFETY: the lease, by the caller.
            return unsafe { self.pop_loaded() };
        };
        self.top.store(ptr::null_mut(), Ordering::Relaxed);
        self.gets.count();
        Some(top)
    }

    /// # Safety
    /// The caller holds the lease (I1), and `top` is null.
    #[inline]
    unsafe fn pop_loaded(&self) -> Option<NonNull<u8>> {
        // Relaxed: as in `pop`.
        let len = self.len.load(Ordering::Relaxed).checked_sub(1)?;
        self.len.store(len, Ordering::Relaxed);
        self.gets.count();
        // SAFETY: ours by the lease, and below the length (I2).
        Some(unsafe { Magazine::read(*self.loaded.get(), len) })
    }

    /// For `leaks.rs`; the holder's.
    pub(crate) fn lookout(&self) -> &AtomicUsize {
        &self.lookout
    }

    /// Takes a slot without a value.
    ///
    /// # Safety
    /// The caller holds the lease (I1).
    pub(crate) unsafe fn pop_vacant(&self) -> Option<NonNull<u8>> {
        // SAFETY: ours by the lease (I3); nothing else runs while it is borrowed.
        unsafe { (*self.vacant.get()).as_mut()?.pop() }
    }

    /// Keeps a slot without a value; `false` without a magazine, or when that has `limit` of them.
    ///
    /// # Safety
    /// The caller holds the lease (I1), and the slot is in no magazine.
    pub(crate) unsafe fn push_vacant(&self, slot: NonNull<u8>, limit: usize) -> bool {
        // SAFETY: as in `pop_vacant`.
        let vacant = unsafe { (*self.vacant.get()).as_mut() };
        vacant.is_some_and(|vacant| vacant.len() < limit && vacant.push(slot, NO_OBJECTS))
    }

    /// Puts another magazine in the place of the vacant slots, which are returned.
    ///
    /// # Safety
    /// The caller holds the lease (I1).
    pub(crate) unsafe fn replace_vacant(&self, by: Option<OwnedMagazine>) -> Option<OwnedMagazine> {
        // SAFETY: as in `pop_vacant`.
        unsafe { ptr::replace(self.vacant.get(), by) }
    }

    /// Keeps a slot; `false` when the loaded magazine is full.
    ///
    /// # Safety
    /// The caller holds the lease (I1), and `slot` is in no magazine. Its object is not older than
    /// the shard's generation (I5).
    #[inline(always)]
    pub(crate) unsafe fn push(&self, slot: NonNull<u8>) -> bool {
        // Relaxed: as in `pop`.
        let top = self.top.load(Ordering::Relaxed);
        if let Some(top) = NonNull::new(top) {
            off_the_straight_path();
            // SAFETY: as ours; `top` stops being there below.
            if !unsafe { self.push_loaded(top) } {
                return false;
            }
        }
        self.top.store(slot.as_ptr(), Ordering::Relaxed);
        true
    }

    /// # Safety
    /// As [`push`](Self::push).
    #[inline]
    unsafe fn push_loaded(&self, slot: NonNull<u8>) -> bool {
        // Relaxed: as in `pop`.
        let len = self.len.load(Ordering::Relaxed);
        if len >= self.capacity {
            return false;
        }
        // SAFETY: ours by the lease; the capacity is below that of the block (I2).
        unsafe { Magazine::write(*self.loaded.get(), len, slot) };
        self.len.store(len + 1, Ordering::Relaxed);
        true
    }

    /// Slots here. Exact while the holder is elsewhere.
    pub(crate) fn idle(&self) -> usize {
        let top = usize::from(!self.top.load(Ordering::Relaxed).is_null());
        let len = self.len.load(Ordering::Relaxed);
        top + len + self.previous_len.load(Ordering::Relaxed)
    }

    /// Objects handed out.
    pub(crate) fn gets(&self) -> usize {
        self.gets.get()
    }

    /// Slots a magazine of this shard may hold.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The last event seen.
    pub(crate) fn seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }

    /// Marks an event as seen. The holder calls it.
    pub(crate) fn set_seen(&self, event: usize) {
        self.seen.store(event, Ordering::Relaxed);
    }

    /// No object in the shard is older.
    pub(crate) fn generation(&self) -> usize {
        self.generation.load(Ordering::Relaxed)
    }

    /// Says so. The holder calls it, of an empty shard.
    pub(crate) fn set_generation(&self, generation: usize) {
        debug_assert_eq!(self.idle(), 0);
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// Leases a shard that nobody has.
    pub(crate) fn try_lease(&self) -> bool {
        // Acquire: pairs with `release`, so the last holder's magazines are seen whole.
        let lease = self
            .state
            .compare_exchange(FREE, LEASED, Ordering::Acquire, Ordering::Relaxed);
        lease.is_ok()
    }

    /// Gives the lease up. The slots stay and wait for the next holder, or the pool's drop.
    pub(crate) fn release(&self) {
        // Release: pairs with `try_lease`. A closed shard stays closed (I4).
        let _closed =
            self.state
                .compare_exchange(LEASED, FREE, Ordering::Release, Ordering::Relaxed);
    }

    /// Moves every slot with a value into `chain`, forgets the others, and marks the shard as one
    /// of a pool that is gone.
    ///
    /// # Safety
    /// The caller has exclusive access to the pool (I1), and never uses the shard again.
    pub(crate) unsafe fn close(&self, chain: &mut Chain) {
        // SAFETY: exclusive access, by the caller. The loaded magazine is ours (I2) and
        // given up with the mark below, which the drop looks at.
        unsafe {
            drop(self.replace_vacant(None));
            if let Some(previous) = self.take_previous() {
                chain.push_magazine(previous);
            }
            let mut loaded = OwnedMagazine::from_raw(*self.loaded.get());
            loaded.seal(self.len.load(Ordering::Relaxed), self.generation());
            if let Some(top) = NonNull::new(self.top.load(Ordering::Relaxed)) {
                self.top.store(ptr::null_mut(), Ordering::Relaxed);
                let _pushed = loaded.push(top, self.generation());
                debug_assert!(_pushed, "a block has one entry more than its capacity");
            }
            chain.push_magazine(loaded);
        }
        self.len.store(0, Ordering::Relaxed);
        // Relaxed: a thread that reads it only forgets the shard; the drop is ordered by the count
        // of references. An update, so that it comes before or after a `release`, and that
        // cannot undo it.
        self.state.swap(CLOSED, Ordering::Relaxed);
    }

    /// Whether the pool is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.load(Ordering::Relaxed) == CLOSED
    }

    /// Makes the other magazine the loaded one.
    ///
    /// # Safety
    /// The caller holds the lease (I1), and `previous` is not null.
    unsafe fn swap(&self) {
        // SAFETY: ours by the lease; not null by the caller.
        unsafe {
            let previous = NonNull::new_unchecked(*self.previous.get());
            *self.previous.get() = (*self.loaded.get()).as_ptr();
            *self.loaded.get() = previous;
        }
        swap_words(&self.len, &self.previous_len);
    }

    /// Takes a slot, wherever in the shard it is.
    ///
    /// # Safety
    /// The caller holds the lease (I1).
    pub(crate) unsafe fn pop_either(&self) -> Option<NonNull<u8>> {
        // SAFETY: the lease, by the caller; a length above zero means `previous` is there (I2).
        unsafe {
            if let Some(slot) = self.pop() {
                return Some(slot);
            }
            if self.previous_len.load(Ordering::Relaxed) > 0 {
                self.swap();
            }
            self.pop_loaded()
        }
    }

    /// Keeps a slot in either magazine; `false` when both are full, or the second cannot be had.
    ///
    /// # Safety
    /// The caller holds the lease (I1), and `slot` is in no magazine.
    pub(crate) unsafe fn push_either(&self, slot: NonNull<u8>) -> bool {
        // SAFETY: the lease, by the caller; `previous` is there when it is swapped.
        unsafe {
            if self.push(slot) {
                return true;
            }
            if (*self.previous.get()).is_null() {
                let Some(fresh) = OwnedMagazine::try_new() else {
                    return false;
                };
                *self.previous.get() = fresh.into_raw().as_ptr();
            }
            if self.previous_len.load(Ordering::Relaxed) < self.capacity {
                self.swap();
            }
            self.push(slot)
        }
    }

    /// Loads `magazine` in place of the loaded one, which is returned with its length.
    ///
    /// # Safety
    /// The caller holds the lease (I1), and `magazine` has at most `capacity` slots, of a
    /// generation that may be here (I5).
    pub(crate) unsafe fn exchange(&self, magazine: OwnedMagazine) -> OwnedMagazine {
        debug_assert!(magazine.len() <= self.capacity);
        debug_assert!(magazine.generation() >= self.generation());
        let len = magazine.len();
        let fresh = magazine.into_raw();
        // SAFETY: ours by the lease; a loaded magazine too, and its first `len` entries are
        // initialised (I2).
        let old = unsafe {
            let old = ptr::replace(self.loaded.get(), fresh);
            let mut old = OwnedMagazine::from_raw(old);
            old.seal(self.len.load(Ordering::Relaxed), self.generation());
            old
        };
        self.len.store(len, Ordering::Relaxed);
        old
    }

    /// Takes the second magazine out: the colder of the two when both are full.
    ///
    /// # Safety
    /// The caller holds the lease (I1).
    pub(crate) unsafe fn take_previous(&self) -> Option<OwnedMagazine> {
        // SAFETY: ours by the lease; not null means a magazine of ours (I2).
        let old = unsafe {
            let old = NonNull::new(ptr::replace(self.previous.get(), ptr::null_mut()))?;
            let mut old = OwnedMagazine::from_raw(old);
            old.seal(self.previous_len.load(Ordering::Relaxed), self.generation());
            old
        };
        self.previous_len.store(0, Ordering::Relaxed);
        Some(old)
    }

    /// Moves the loaded magazine behind and loads `empty`.
    ///
    /// # Safety
    /// The caller holds the lease (I1), and `previous` was taken out.
    pub(crate) unsafe fn load_empty(&self, empty: OwnedMagazine) {
        let len = self.len.load(Ordering::Relaxed);
        // SAFETY: the lease, by the caller.
        unsafe {
            let old = self.exchange(empty);
            debug_assert!((*self.previous.get()).is_null());
            *self.previous.get() = old.into_raw().as_ptr();
        }
        self.previous_len.store(len, Ordering::Relaxed);
    }

    /// Moves every slot with a value into `chain`, the warmest on top, and every one without into
    /// `vacant`. Slots stay when there is no memory for a magazine to take their place.
    ///
    /// # Safety
    /// The caller holds the lease (I1).
    pub(crate) unsafe fn unload(&self, chain: &mut Chain, vacant: &mut Chain) {
        // SAFETY: the lease, by the caller.
        if let Some(magazine) = unsafe { self.replace_vacant(None) } {
            vacant.push_magazine(magazine);
        }
        // SAFETY: the lease, by the caller, here and below.
        let mut spare = match unsafe { self.take_previous() } {
            Some(previous) => chain.push_magazine(previous),
            None => None,
        };
        if self.len.load(Ordering::Relaxed) > 0 {
            let Some(fresh) = spare.take().or_else(OwnedMagazine::try_new) else {
                return;
            };
            // SAFETY: as above.
            chain.push_magazine(unsafe { self.exchange(fresh) });
        }
        let Some(top) = NonNull::new(self.top.load(Ordering::Relaxed)) else {
            return;
        };
        if !chain.push(top, self.generation(), self.capacity) {
            let Some(mut fresh) = spare.or_else(OwnedMagazine::try_new) else {
                return;
            };
            fresh.push(top, self.generation());
            chain.push_magazine(fresh);
        }
        self.top.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Swaps the slots with values with `other`: those without, the counts, the generation and the
    /// event seen stay.
    ///
    /// # Safety
    /// The caller holds the leases of both (I1), and their capacities are the same. This one is
    /// empty and its generation not the later one (I5).
    pub(crate) unsafe fn trade(&self, other: &Shard) {
        debug_assert_eq!(self.capacity, other.capacity);
        debug_assert!(self.generation() <= other.generation());
        // SAFETY: both are ours by the leases, and they are two different shards.
        unsafe {
            ptr::swap(self.loaded.get(), other.loaded.get());
            ptr::swap(self.previous.get(), other.previous.get());
        }
        swap_words(&self.len, &other.len);
        swap_words(&self.previous_len, &other.previous_len);
        let top = self.top.load(Ordering::Relaxed);
        self.top
            .store(other.top.load(Ordering::Relaxed), Ordering::Relaxed);
        other.top.store(top, Ordering::Relaxed);
    }
}

/// What is counted beside gets. The holder does.
impl AsRef<ShardCounters> for Shard {
    fn as_ref(&self) -> &ShardCounters {
        &self.counters
    }
}

/// Swaps two words, by the only one who writes them.
fn swap_words(one: &AtomicUsize, other: &AtomicUsize) {
    let word = one.load(Ordering::Relaxed);
    one.store(other.load(Ordering::Relaxed), Ordering::Relaxed);
    other.store(word, Ordering::Relaxed);
}

impl Drop for Shard {
    fn drop(&mut self) {
        // SAFETY: exclusively ours; a magazine that is pointed at is ours (I2), and a closed shard
        // has given its loaded one up (I4).
        unsafe {
            if !self.is_closed() {
                drop(OwnedMagazine::from_raw(*self.loaded.get()));
            }
            if let Some(previous) = NonNull::new(*self.previous.get()) {
                drop(OwnedMagazine::from_raw(previous));
            }
        }
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("idle", &self.idle())
            .field("gets", &self.gets())
            .finish_non_exhaustive()
    }
}
