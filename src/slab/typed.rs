//! [`Slab<T>`]: many values of one type, in slots of a raw slab.
//!
//! The values' memory and the rules of sharing it are the core's (`shared.rs`, I1 to I4).

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::{NonNull, null_mut};

use crate::base::error::AllocError;
use crate::base::sync::Ordering;
use crate::base::trap::refused;
use crate::pages::Pages;
use crate::slab::handles::{OwnedSlot, Slot};
use crate::slab::keys::{Key, KeyTable};
use crate::slab::raw::{SLOT_ALIGN_MAX, SLOT_BYTES_MAX, SlotShape, slot_at};
use crate::slab::shared::{Core, MAGAZINE, give_slow, new_core, release_core, value_at};

/// Many values of one type: a fast place to put them, with one-pointer handles and
/// generation-checked keys.
///
/// Nothing is mapped until the first value. Values keep their address. `Slab` is `Send` if `T` is,
/// and not `Sync`. Values may be up to 1 MiB, aligned up to 64 KiB (checked at compile time).
///
/// ```
/// use flagstone::Slab;
///
/// let mut slab: Slab<[u64; 8]> = Slab::new();
/// {
///     let mut slot = slab.alloc([1; 8]); // dropped with its handle
///     slot[0] = 2;
/// }
/// let key = slab.insert([3; 8]); // stays until removed
/// assert_eq!(slab.get(key), Some(&[3; 8]));
/// assert_eq!(slab.iter().count(), 1);
/// assert_eq!(slab.remove(key), Some([3; 8]));
/// assert!(!slab.contains(key));
/// ```
///
/// No reference outlives its value: what removes takes `&mut self`.
/// ```compile_fail,E0502
/// # use flagstone::Slab;
/// let mut slab = Slab::new();
/// let key = slab.insert(String::new());
/// let value = slab.get(key);
/// slab.remove(key);
/// println!("{value:?}");
/// ```
/// A slot does not outlive its slab, and does not leave its thread (`alloc_owned` does both).
/// ```compile_fail,E0505
/// # use flagstone::Slab;
/// let slab = Slab::new();
/// let slot = slab.alloc(1);
/// drop(slab);
/// println!("{}", *slot);
/// ```
/// ```compile_fail,E0277
/// # use flagstone::Slab;
/// let slab = Slab::new();
/// let slot = slab.alloc(1);
/// std::thread::scope(|scope| { scope.spawn(|| drop(slot)); });
/// ```
pub struct Slab<T> {
    /// Null until first used.
    core: Cell<*mut Core>,
    pages: Option<&'static Pages>,
    values: PhantomData<T>,
}

// SAFETY: the core is reached through the slab by one thread at a time (I1); keyed values move with
// it, hence `T: Send`. Owned handles on other threads touch only `remote` and `refs`.
unsafe impl<T: Send> Send for Slab<T> {}

/// A value that did not find room, and why.
#[derive(Debug)]
pub struct Refused<T> {
    /// The limit that was hit.
    pub error: AllocError,
    /// The value, given back.
    pub value: T,
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug> core::error::Error for Refused<T> {}

impl<T> Slab<T> {
    pub(super) const SHAPE: SlotShape = {
        assert!(
            size_of::<T>() <= SLOT_BYTES_MAX,
            "Slab<T>: T is larger than 1 MiB; box it"
        );
        assert!(
            align_of::<T>() <= SLOT_ALIGN_MAX,
            "Slab<T>: T is aligned beyond 64 KiB"
        );
        SlotShape::new(size_of::<T>(), align_of::<T>()).with_magazine(MAGAZINE as u32)
    };

    /// A slab over the process's pages. Nothing is mapped yet.
    pub const fn new() -> Slab<T> {
        Slab {
            core: Cell::new(null_mut()),
            pages: None,
            values: PhantomData,
        }
    }

    /// A slab over pages of your own.
    pub const fn with_pages(pages: &'static Pages) -> Slab<T> {
        Slab {
            core: Cell::new(null_mut()),
            pages: Some(pages),
            values: PhantomData,
        }
    }

    /// Puts a value in a slot; it is dropped with its handle.
    ///
    /// # Panics
    /// Where [`Slab::try_alloc`] fails.
    #[inline]
    #[track_caller]
    pub fn alloc(&self, value: T) -> Slot<'_, T> {
        self.try_alloc(value)
            .unwrap_or_else(|refusal| refused(refusal.error))
    }

    /// As [`Slab::alloc`].
    ///
    /// # Errors
    /// The limit that was hit, with the value.
    #[inline]
    pub fn try_alloc(&self, value: T) -> Result<Slot<'_, T>, Refused<T>> {
        match self.place(value) {
            Ok(value) => Ok(Slot {
                value,
                slab: PhantomData,
            }),
            Err(refusal) => Err(refusal),
        }
    }

    /// Puts a value in a slot whose handle is `'static`, `Send` (if `T` is) and may be dropped on
    /// any thread, also after the slab.
    ///
    /// ```
    /// # use flagstone::Slab;
    /// let slab = Slab::new();
    /// let owned = slab.alloc_owned(String::from("far away"));
    /// drop(slab);
    /// std::thread::spawn(move || assert_eq!(owned.len(), 8)).join().unwrap();
    /// ```
    ///
    /// # Panics
    /// Where [`Slab::try_alloc_owned`] fails.
    #[track_caller]
    pub fn alloc_owned(&self, value: T) -> OwnedSlot<T> {
        self.try_alloc_owned(value)
            .unwrap_or_else(|refusal| refused(refusal.error))
    }

    /// As [`Slab::alloc_owned`].
    ///
    /// # Errors
    /// The limit that was hit, with the value.
    pub fn try_alloc_owned(&self, value: T) -> Result<OwnedSlot<T>, Refused<T>> {
        let value = self.place(value)?;
        if let Some(core) = self.core() {
            // Relaxed: the slab's own reference keeps the core alive meanwhile (I3).
            core.refs.fetch_add(1, Ordering::Relaxed);
        }
        Ok(OwnedSlot {
            value,
            owns: PhantomData,
        })
    }

    /// Puts a value in the slab until it is removed by its key.
    ///
    /// # Panics
    /// Where [`Slab::try_insert`] fails.
    #[track_caller]
    pub fn insert(&self, value: T) -> Key {
        self.try_insert(value)
            .unwrap_or_else(|refusal| refused(refusal.error))
    }

    /// As [`Slab::insert`].
    ///
    /// # Errors
    /// The limit that was hit, with the value.
    pub fn try_insert(&self, value: T) -> Result<Key, Refused<T>> {
        let reserved = self.ensure_core().and_then(|core| {
            // SAFETY: no other reference to the table is alive (I1): none of its methods runs user
            // code, and none is held across one.
            unsafe { (*core.keys.get()).reserve() }?;
            Ok(core)
        });
        let core = match reserved {
            Ok(core) => core,
            Err(error) => return Err(Refused { error, value }),
        };
        let slot = self.place(value)?.as_ptr().expose_provenance();
        // SAFETY: as above.
        Ok(unsafe { (*core.keys.get()).insert(slot) })
    }

    /// The value of a key, unless it was removed.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&T> {
        let slot = self.keys()?.get(key)?;
        // SAFETY: the table's slots hold values (I2), which stay while `self` is borrowed.
        Some(unsafe { value_at(slot).as_ref() })
    }

    /// The value of a key, unless it was removed.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.keys()?.get(key)?;
        // SAFETY: as in `get`; `&mut self` excludes every other reference.
        Some(unsafe { value_at(slot).as_mut() })
    }

    /// Whether the key's value is there.
    pub fn contains(&self, key: Key) -> bool {
        self.get(key).is_some()
    }

    /// Takes the value of a key out.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let core = self.core()?;
        // SAFETY: no other reference to the table is alive (I1).
        let slot = unsafe { (*core.keys.get()).remove(key) }?;
        // SAFETY: the table gave the slot up, so its value is ours to move out.
        let value = unsafe { value_at::<T>(slot).read() };
        self.give(core, slot);
        Some(value)
    }

    /// The keyed values, in no particular order. Values inserted meanwhile may or may not appear.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter {
            slab: self,
            from: 0,
        }
    }

    /// Number of keyed values.
    pub fn len(&self) -> usize {
        self.keys().map_or(0, KeyTable::len)
    }

    /// Whether there is no keyed value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the spans that the slab holds.
    pub fn active_bytes(&self) -> usize {
        self.core().map_or(0, |core| core.set.active())
    }

    /// Gives empty spans back to the pages; returns their bytes. [`Pages::trim`] returns them to
    /// the operating system.
    pub fn trim(&self) -> usize {
        let Some(core) = self.core() else { return 0 };
        let before = core.set.active();
        self.collect_remote(core);
        core.bin.trim(&core.set, &Self::SHAPE);
        before - core.set.active()
    }

    #[inline(always)]
    fn core(&self) -> Option<&Core> {
        // SAFETY: a core that is not null lives as long as the slab (I3).
        unsafe { self.core.get().as_ref() }
    }

    fn keys(&self) -> Option<&KeyTable> {
        // SAFETY: shared use; whoever changes the table holds no reference across user code, and
        // the callers drop this one before they call anything that changes it (I1).
        self.core().map(|core| unsafe { &*core.keys.get() })
    }

    fn ensure_core(&self) -> Result<&Core, AllocError> {
        if self.core.get().is_null() {
            self.core.set(new_core(self.pages)?);
        }
        // SAFETY: set above at the latest, and alive as long as the slab (I3).
        Ok(unsafe { &*self.core.get() })
    }

    #[inline(always)]
    fn place(&self, value: T) -> Result<NonNull<T>, Refused<T>> {
        let cached = self.core().and_then(|core| {
            core.bin
                .pop()
                .or_else(|| core.bin.pop_word(Self::SHAPE.slot_bytes as usize))
        });
        let slot = match cached {
            Some(slot) => slot,
            None => match self.refill() {
                Ok(slot) => slot,
                Err(error) => return Err(Refused { error, value }),
            },
        };
        // SAFETY: a slot of our shape, which is large enough and aligned for `T`, and ours alone.
        unsafe {
            let place = slot_at(slot).cast::<T>();
            place.write(value);
            Ok(place)
        }
    }

    #[cold]
    #[inline(never)]
    fn refill(&self) -> Result<usize, AllocError> {
        let core = self.ensure_core()?;
        self.collect_remote(core);
        match core.bin.pop() {
            Some(slot) => Ok(slot),
            None => core.bin.refill(&core.set, &Self::SHAPE),
        }
    }

    #[inline(always)]
    fn give(&self, core: &Core, slot: usize) {
        if !core.bin.push(slot) {
            give_slow(core, &Self::SHAPE, slot);
        }
    }

    /// Takes back what owned handles freed.
    fn collect_remote(&self, core: &Core) {
        // Acquire: pairs with the Release of each push; what the handles did is over.
        let mut at = core.remote.swap(null_mut(), Ordering::Acquire);
        while let Some(slot) = NonNull::new(at) {
            // SAFETY: a dead slot on the list starts with the link to the next.
            at = unsafe { slot.cast::<*mut u8>().read() };
            self.give(core, slot.addr().get());
        }
    }
}

impl<T> Drop for Slab<T> {
    fn drop(&mut self) {
        /// Ends the slab even if a value's drop panics: drops the other values (a second panic
        /// aborts), then gives up the core.
        struct End<T>(*mut Core, PhantomData<T>);
        impl<T> Drop for End<T> {
            fn drop(&mut self) {
                // SAFETY: the slab's reference, given up once, here; keyed values are dropped by
                // then, slots are gone with the borrow of the slab.
                unsafe {
                    drop_keyed::<T>(self.0);
                    release_core(self.0);
                }
            }
        }
        if !self.core.get().is_null() {
            let end = End::<T>(self.core.get(), PhantomData);
            // SAFETY: `&mut self`: nobody else uses the table or its values.
            unsafe { drop_keyed::<T>(end.0) };
        }
    }
}

/// Drops every keyed value; each leaves the table before it is dropped.
///
/// # Safety
/// `core` is alive, its keyed values are `T`s, and nobody else uses them or the table.
unsafe fn drop_keyed<T>(core: *mut Core) {
    // SAFETY: the caller's promise; no reference to the table is held while a value is dropped.
    while let Some(slot) = unsafe { (*(*core).keys.get()).pop() } {
        // SAFETY: the table gave it up; its memory goes with the core.
        unsafe { value_at::<T>(slot).drop_in_place() };
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab::new()
    }
}

impl<T> fmt::Debug for Slab<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let active = self.active_bytes();
        f.debug_struct("Slab")
            .field("len", &self.len())
            .field("active_bytes", &active)
            .finish()
    }
}

/// The keyed values of a [`Slab`]; made by [`Slab::iter`].
#[derive(Debug)]
pub struct Iter<'slab, T> {
    slab: &'slab Slab<T>,
    from: usize,
}

impl<'slab, T> Iterator for Iter<'slab, T> {
    type Item = &'slab T;

    fn next(&mut self) -> Option<&'slab T> {
        let (index, slot) = self.slab.keys()?.next(self.from)?;
        self.from = index + 1;
        // SAFETY: the table's slots hold values (I2), which stay while the slab is borrowed.
        Some(unsafe { value_at::<T>(slot).as_ref() })
    }
}

impl<'slab, T> IntoIterator for &'slab Slab<T> {
    type Item = &'slab T;
    type IntoIter = Iter<'slab, T>;
    fn into_iter(self) -> Iter<'slab, T> {
        self.iter()
    }
}
