//! [`StaticPool`]: a fixed number of objects in place, for programs without an allocator.
//!
//! Owns its slots. Uses `core` only: no allocation, no threads, no floating point.
//!
//! I1: a slot's state is EMPTY (no value), IDLE (a value nobody uses) or BUSY (one guard has it, or
//! one `try_get` is building it). Whoever moved it to BUSY is the only one to touch the value.
//! I2: the state is one byte per slot, so that targets without 64-bit atomics have it too, and so
//! that returning a slot is one store.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::{self, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::sync::atomic::AtomicU8;

use crate::base::sync::{AtomicUsize, Ordering};

const EMPTY: u8 = 0;
const IDLE: u8 = 1;
const BUSY: u8 = 2;

struct Slot<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Slot<T> {
    const fn new() -> Slot<T> {
        Slot {
            state: AtomicU8::new(EMPTY),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    fn try_take(&self, from: u8) -> bool {
        // The load first: a failed exchange would take the line from its user.
        // Acquire: pairs with `set`, so that the value is seen as its last user left it.
        self.state.load(Ordering::Relaxed) == from
            && self
                .state
                .compare_exchange(from, BUSY, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }

    fn set(&self, state: u8) {
        // Release: pairs with `try_take`.
        self.state.store(state, Ordering::Release);
    }
}

/// At most `N` objects, stored in the pool itself: for a `static` in a program without an
/// allocator. Objects are made when first needed and stay as their last user left them: there is
/// no [`Recycle`](crate::Recycle) here, so that the pool needs nothing but `core`.
///
/// `try_get` is one atomic exchange when the object returned last is still there, and a look at up
/// to `2 * N` slots otherwise, a cache line each where objects are large; a put is two stores.
/// Forgetting a guard takes its slot out of use.
///
/// ```
/// use flagstone::StaticPool;
/// static TASKS: StaticPool<[u8; 256], 32> = StaticPool::new(|| [0; 256]);
/// let mut task = TASKS.try_get().expect("32 are free");
/// task[0] = 7;
/// drop(task);
/// assert_eq!(TASKS.try_get().map(|task| task[0]), Some(7)); // as it was left
/// ```
///
/// A guard borrows the pool:
/// ```compile_fail,E0597
/// # use flagstone::StaticPool;
/// let guard = {
///     let pool: StaticPool<u8, 4> = StaticPool::new(|| 0);
///     pool.try_get()
/// };
/// ```
/// and objects that must stay on their thread keep the pool there:
/// ```compile_fail,E0277
/// # use flagstone::StaticPool;
/// use std::rc::Rc;
/// static POOL: StaticPool<Option<Rc<u8>>, 4> = StaticPool::new(|| None);
/// ```
pub struct StaticPool<T, const N: usize> {
    slots: [Slot<T>; N],
    /// The slot returned last, where the search begins. A guess.
    hint: AtomicUsize,
    create: fn() -> T,
}

// SAFETY: a value is touched by the one that made its slot BUSY only (I1), with Acquire and
// Release around it; so the pool passes values between threads, which asks `T: Send`.
unsafe impl<T: Send, const N: usize> Sync for StaticPool<T, N> {}
impl<T: UnwindSafe, const N: usize> UnwindSafe for StaticPool<T, N> {}
impl<T: UnwindSafe, const N: usize> RefUnwindSafe for StaticPool<T, N> {}

impl<T, const N: usize> StaticPool<T, N> {
    /// A pool of `N` objects that `create` will make, each when it is first needed.
    pub const fn new(create: fn() -> T) -> StaticPool<T, N> {
        StaticPool {
            slots: [const { Slot::new() }; N],
            hint: AtomicUsize::new(0),
            create,
        }
    }

    /// An object nobody uses; a made one if there is any, otherwise a new one. `None` when all `N`
    /// are in use. A panic of `create` leaves the slot free.
    pub fn try_get(&self) -> Option<StaticPooled<'_, T>> {
        // Relaxed: a guess; the state decides.
        let hint = self.hint.load(Ordering::Relaxed);
        if let Some(slot) = self.slots.get(hint).filter(|slot| slot.try_take(IDLE)) {
            return Some(self.guard(slot, hint));
        }
        let find = |from| self.slots.iter().position(|slot| slot.try_take(from));
        if let Some(index) = find(IDLE) {
            return Some(self.guard(&self.slots[index], index));
        }
        let index = find(EMPTY)?;
        let slot = &self.slots[index];
        let vacant = Vacant(slot);
        let value = (self.create)();
        // SAFETY: the slot is BUSY by us (I1) and has no value.
        unsafe { (*slot.value.get()).write(value) };
        mem::forget(vacant);
        Some(self.guard(slot, index))
    }

    /// Objects in use now; those being made count.
    pub fn in_use(&self) -> usize {
        let busy = |slot: &&Slot<T>| slot.state.load(Ordering::Relaxed) == BUSY;
        self.slots.iter().filter(busy).count()
    }

    /// `N`.
    pub const fn capacity(&self) -> usize {
        N
    }

    fn guard<'p>(&'p self, slot: &'p Slot<T>, index: usize) -> StaticPooled<'p, T> {
        StaticPooled {
            slot,
            hint: &self.hint,
            index,
        }
    }
}

/// A BUSY slot without a value; frees itself.
struct Vacant<'p, T>(&'p Slot<T>);

impl<T> Drop for Vacant<'_, T> {
    fn drop(&mut self) {
        self.0.set(EMPTY);
    }
}

impl<T, const N: usize> Drop for StaticPool<T, N> {
    fn drop(&mut self) {
        for slot in &mut self.slots {
            // BUSY here means that a guard was forgotten: its value is leaked with it.
            if *slot.state.get_mut() == IDLE {
                *slot.state.get_mut() = EMPTY;
                // SAFETY: IDLE means a value nobody uses (I1), and it is forgotten above.
                unsafe { slot.value.get_mut().assume_init_drop() };
            }
        }
    }
}

impl<T, const N: usize> fmt::Debug for StaticPool<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticPool")
            .field("in_use", &self.in_use())
            .field("capacity", &N)
            .finish_non_exhaustive()
    }
}

/// An object of a [`StaticPool`], returned as it is when dropped. Also when a panic drops it:
/// `core` cannot tell, so [`discard`](Self::discard) what may be broken.
#[must_use = "an object that is not used goes straight back to its pool"]
pub struct StaticPooled<'p, T> {
    /// BUSY with a value, by this guard (I1).
    slot: &'p Slot<T>,
    hint: &'p AtomicUsize,
    index: usize,
}

// SAFETY: a guard is its value and the right to return it, which the pool lets any thread do when
// the value may change threads.
unsafe impl<T: Send> Send for StaticPooled<'_, T> {}
// SAFETY: a shared guard gives `&T`.
unsafe impl<T: Sync> Sync for StaticPooled<'_, T> {}
impl<T: UnwindSafe> UnwindSafe for StaticPooled<'_, T> {}
impl<T: RefUnwindSafe> RefUnwindSafe for StaticPooled<'_, T> {}

impl<T> StaticPooled<'_, T> {
    /// Drops the object; its slot gets a new one when next needed.
    pub fn discard(self) {
        let guard = mem::ManuallyDrop::new(self);
        // Frees the slot even if the drop below panics.
        let _vacant = Vacant(guard.slot);
        // SAFETY: the value is this guard's, which is forgotten (I1).
        unsafe { (*guard.slot.value.get()).assume_init_drop() };
    }
}

impl<T> Deref for StaticPooled<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: BUSY with a value, by this guard (I1).
        unsafe { (*self.slot.value.get()).assume_init_ref() }
    }
}

impl<T> DerefMut for StaticPooled<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, exclusively borrowed.
        unsafe { (*self.slot.value.get()).assume_init_mut() }
    }
}

impl<T> Drop for StaticPooled<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Relaxed: a guess.
        self.hint.store(self.index, Ordering::Relaxed);
        self.slot.set(IDLE);
    }
}

impl<T: fmt::Debug> fmt::Debug for StaticPooled<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
