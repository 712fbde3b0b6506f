//! [`Slab<T>`]: many values of one type, in slots of a raw slab.
//!
//! The values' memory and the rules of sharing it are the core's (`slab_core.rs`, I1 to I5).

use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::base::trap::refused;
use crate::pages::Pages;
use crate::slab::shape::{SLOT_ALIGN_MAX, SLOT_BYTES_MAX, SlotShape};
use crate::slab::values::handles::{OwnedSlot, Slot};
use crate::slab::values::keys::{Key, KeyTable};
use crate::slab::values::slab_core::{SlabCore, close_core, new_core, value_at};

/// Many values of one type: a fast place to put them, with one-pointer handles and
/// version-checked keys.
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
/// What is put in lives as long as the slab, however it is shared.
/// ```compile_fail,E0597
/// # use flagstone::Slab;
/// let slab: Slab<Vec<&'static str>> = Slab::new();
/// let short = String::from("gone soon");
/// slab.insert(vec![short.as_str()]);
/// ```
pub struct Slab<T> {
    /// [`SlabCore::none`] until first used.
    core: Cell<*const SlabCore>,
    /// Used by the slab's thread alone, like the core's parts (I1).
    keys: UnsafeCell<KeyTable>,
    pages: Option<&'static Pages>,
    /// Owns values, and is invariant in `T`: what `insert(&self)` takes in must live as long as all
    /// others.
    values: PhantomData<Cell<T>>,
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
        SlotShape::new(size_of::<T>(), align_of::<T>())
    };

    /// A slab over the process's pages. Nothing is mapped yet.
    pub const fn new() -> Slab<T> {
        Slab {
            core: Cell::new(SlabCore::none()),
            keys: UnsafeCell::new(KeyTable::new()),
            pages: None,
            values: PhantomData,
        }
    }

    /// A slab over pages of your own.
    pub const fn with_pages(pages: &'static Pages) -> Slab<T> {
        Slab {
            core: Cell::new(SlabCore::none()),
            keys: UnsafeCell::new(KeyTable::new()),
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
        match self.take() {
            // SAFETY: just taken.
            Ok(slot) => unsafe { self.fill(slot, value) },
            Err(error) => refused(error),
        }
    }

    /// As [`Slab::alloc`].
    ///
    /// # Errors
    /// The limit that was hit, with the value.
    #[inline]
    pub fn try_alloc(&self, value: T) -> Result<Slot<'_, T>, Refused<T>> {
        match self.take() {
            // SAFETY: just taken.
            Ok(slot) => Ok(unsafe { self.fill(slot, value) }),
            Err(error) => Err(Refused { error, value }),
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
    #[inline]
    #[track_caller]
    pub fn alloc_owned(&self, value: T) -> OwnedSlot<T> {
        match self.take() {
            // SAFETY: just taken.
            Ok(slot) => unsafe { self.fill_owned(slot, value) },
            Err(error) => refused(error),
        }
    }

    /// As [`Slab::alloc_owned`].
    ///
    /// # Errors
    /// The limit that was hit, with the value.
    #[inline]
    pub fn try_alloc_owned(&self, value: T) -> Result<OwnedSlot<T>, Refused<T>> {
        match self.take() {
            // SAFETY: just taken.
            Ok(slot) => Ok(unsafe { self.fill_owned(slot, value) }),
            Err(error) => Err(Refused { error, value }),
        }
    }

    /// Puts a value in the slab until it is removed by its key.
    ///
    /// # Panics
    /// Where [`Slab::try_insert`] fails.
    #[inline]
    #[track_caller]
    pub fn insert(&self, value: T) -> Key {
        match self.enter() {
            Ok((key, slot)) => {
                // SAFETY: just entered.
                unsafe { Self::write(slot, value) };
                key
            }
            Err(error) => refused(error),
        }
    }

    /// As [`Slab::insert`].
    ///
    /// # Errors
    /// The limit that was hit, with the value.
    #[inline]
    pub fn try_insert(&self, value: T) -> Result<Key, Refused<T>> {
        match self.enter() {
            Ok((key, slot)) => {
                // SAFETY: just entered.
                unsafe { Self::write(slot, value) };
                Ok(key)
            }
            Err(error) => Err(Refused { error, value }),
        }
    }

    /// The value of a key, unless it was removed.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&T> {
        let slot = self.keys().get(key)?;
        // SAFETY: the table's slots hold values (I2), which stay while `self` is borrowed.
        Some(unsafe { value_at(slot).as_ref() })
    }

    /// The value of a key, unless it was removed.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.keys().get(key)?;
        // SAFETY: as in `get`; `&mut self` excludes every other reference.
        Some(unsafe { value_at(slot).as_mut() })
    }

    /// Whether the key's value is there.
    pub fn contains(&self, key: Key) -> bool {
        self.get(key).is_some()
    }

    /// Takes the value of a key out.
    #[inline]
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.keys.get_mut().remove(key)?;
        // SAFETY: the table gave the value up; nobody uses the slot before it is moved out.
        Some(unsafe { value_at::<T>(slot).read() })
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
        self.keys().len()
    }

    /// Whether there is no keyed value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the spans that the slab holds.
    pub fn active_bytes(&self) -> usize {
        self.core().set.active()
    }

    /// Gives empty spans back to the pages, and the whole pages between values to the operating
    /// system; returns their bytes. Until then the slots of dropped and removed values stay with
    /// the slab, for the next ones (or, when 90 % of the pages' limit is passed, until the slab
    /// next runs out of them). [`Pages::trim`] returns the spans to the operating system.
    pub fn trim(&self) -> usize {
        let core = self.core();
        if !core.is_real() {
            return 0;
        }
        let before = core.set.active();
        self.collect(core);
        core.trim(&Self::SHAPE);
        core.bin.punch(&core.set);
        before - core.set.active()
    }

    #[inline(always)]
    fn core(&self) -> &SlabCore {
        // SAFETY: the slab's core lives as long as the slab (I3); `SlabCore::none` is a static.
        unsafe { &*self.core.get() }
    }

    #[inline(always)]
    fn keys(&self) -> &KeyTable {
        // SAFETY: shared use; whoever changes the table holds no reference across user code, and
        // the callers drop this one before they call anything that changes it (I1).
        unsafe { &*self.keys.get() }
    }

    fn ensure_core(&self) -> Result<&SlabCore, AllocError> {
        if !self.core().is_real() {
            self.core.set(new_core(self.pages)?);
        }
        Ok(self.core())
    }

    /// A slot of our shape, the caller's alone.
    #[inline(always)]
    fn take(&self) -> Result<usize, AllocError> {
        match self.core().pop(Self::SHAPE.slot_bytes as usize) {
            Some(slot) => Ok(slot),
            None => self.refill(),
        }
    }

    /// A new key and its slot, which the caller fills before anything else happens.
    #[inline(always)]
    fn enter(&self) -> Result<(Key, usize), AllocError> {
        // SAFETY: no other reference to the table is alive (I1): none of its methods runs user
        // code, and none is held across one.
        match unsafe { (*self.keys.get()).insert_parked() } {
            Some(entered) => Ok(entered),
            None => self.enter_slot(),
        }
    }

    /// Enters another slot, where no entry has one waiting.
    #[inline(never)]
    fn enter_slot(&self) -> Result<(Key, usize), AllocError> {
        // SAFETY: as in `enter`.
        unsafe { (*self.keys.get()).reserve() }?;
        let slot = self.take()?;
        // SAFETY: as in `enter`.
        Ok((unsafe { (*self.keys.get()).insert(slot) }, slot))
    }

    /// Fills a slot.
    ///
    /// # Safety
    /// The slot is from `take` or `enter`, and holds no value yet.
    #[inline(always)]
    unsafe fn write(slot: usize, value: T) -> NonNull<T> {
        // SAFETY: a slot of our shape, which is large enough and aligned for `T`, without a value.
        unsafe {
            let place = value_at::<T>(slot);
            place.write(value);
            place
        }
    }

    /// # Safety
    /// The slot is from `take`.
    #[inline(always)]
    unsafe fn fill(&self, slot: usize, value: T) -> Slot<'_, T> {
        Slot {
            // SAFETY: the caller's promise.
            value: unsafe { Self::write(slot, value) },
            slab: PhantomData,
        }
    }

    /// # Safety
    /// The slot is from `take`, hence the core a real one.
    #[inline(always)]
    unsafe fn fill_owned(&self, slot: usize, value: T) -> OwnedSlot<T> {
        self.core().count_owned();
        OwnedSlot {
            // SAFETY: the caller's promise.
            value: unsafe { Self::write(slot, value) },
            owns: PhantomData,
        }
    }

    #[cold]
    #[inline(never)]
    fn refill(&self) -> Result<usize, AllocError> {
        let core = self.ensure_core()?;
        self.collect(core);
        let slot = match core.pop(Self::SHAPE.slot_bytes as usize) {
            Some(slot) => slot,
            None => core.bin.refill(&core.set, &Self::SHAPE)?,
        };
        // Once the slot is safe: what goes back may be gone when it is wanted again.
        if core.is_pressed() {
            core.trim(&Self::SHAPE);
        }
        Ok(slot)
    }

    /// Moves what owned handles freed, and what waits in the key table, to the free list.
    fn collect(&self, core: &SlabCore) {
        core.collect_remote();
        // SAFETY: no other reference to the table is alive (I1).
        while let Some(slot) = unsafe { (*self.keys.get()).unpark() } {
            // SAFETY: the entry gave the slot up, and it holds no value.
            unsafe { core.push(slot) };
        }
    }

    /// Drops every keyed value; each leaves the table before it is dropped.
    fn drop_keyed(&mut self) {
        // No reference to the table is held while a value is dropped.
        while let Some(slot) = self.keys.get_mut().pop() {
            // SAFETY: the table gave it up; its memory goes with the core.
            unsafe { value_at::<T>(slot).drop_in_place() };
        }
    }
}

impl<T> Drop for Slab<T> {
    fn drop(&mut self) {
        /// Ends the slab even if a value's drop panics: drops the other values (a second panic
        /// aborts), then ends the core.
        struct End<'slab, T>(&'slab mut Slab<T>);
        impl<T> Drop for End<'_, T> {
            fn drop(&mut self) {
                self.0.drop_keyed();
                if self.0.core().is_real() {
                    // SAFETY: the slab ends here; keyed values are dropped by now, slots are gone
                    // with the borrow of the slab.
                    unsafe { close_core(self.0.core.get()) };
                }
            }
        }
        End(self).0.drop_keyed();
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
        let (index, slot) = self.slab.keys().next(self.from)?;
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
