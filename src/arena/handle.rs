//! [`Arena`]: the handle, its life, its fast paths and its figures.
//!
//! I1: a block that left the arena belongs to its holder until `&mut Arena` is taken: `reset` and
//!     `scope` take it, so no reference into the arena is alive when its memory is reused.
//! I2: `state.hi` is a multiple of `MIN_ALIGN` (state.rs, I4).
//! I3: only values that need no drop, or that are `'static + Send` and owned, are left in the arena
//!     when it moves to another thread; so an arena is `Send`.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use crate::arena::windows::chunk::{CHUNK_END_ALIGN, End, carve_down, carve_value, raised};
use crate::arena::windows::keeping::Keeping;
use crate::arena::windows::refusal::Refusal;
use crate::arena::windows::state::State;
use crate::arena::windows::stats::ArenaStats;

/// A bump arena: allocating is moving a cursor, and everything is freed at once.
///
/// Objects are aligned to at least `MIN_ALIGN` (1, 2, 4, 8 or 16 bytes), which makes the cursor of
/// word-sized objects need no alignment step; `Arena<1>` packs small objects densely. Strings and
/// growing buffers come from the other end of a chunk and are always packed.
///
/// An arena is `Send` but not `Sync`: it can move between threads, `&Arena` cannot. Values are not
/// dropped, so [`alloc`](Arena::alloc) takes only types that need no drop; [`Arena::alloc_box`] and
/// [`Arena::alloc_owned`] take the others.
///
/// Memory comes in chunks of 4, 8, 16, 64 KiB and so on up to 1 MiB; a request above a quarter of
/// the next chunk gets a span of its own and leaves the current chunk in use.
///
/// ```
/// use flagstone::{Arena, ArenaVec};
/// struct Node<'a> { value: u32, children: &'a [&'a Node<'a>] }
/// let mut arena = Arena::new();
/// {
///     let mut children = ArenaVec::new_in(&arena);
///     for value in 0..3 {
///         children.push(&*arena.alloc(Node { value, children: &[] }));
///     }
///     let root = arena.alloc(Node { value: 3, children: children.into_slice() });
///     assert_eq!(root.children.iter().map(|c| c.value).sum::<u32>(), root.value);
/// }
/// arena.reset();
/// assert_eq!(arena.used_bytes(), 0);
/// ```
///
/// What is in the arena cannot outlive a reset:
/// ```compile_fail,E0502
/// let mut arena = flagstone::Arena::new();
/// let n = arena.alloc(1);
/// arena.reset();
/// *n = 2;
/// ```
#[repr(transparent)]
pub struct Arena<const MIN_ALIGN: usize = 8> {
    pub(crate) state: State,
}

// SAFETY: I3; the pointers inside lead to chunks that only this arena and borrows of it reach, and
// `Pages` is shared between threads anyway.
unsafe impl<const MIN_ALIGN: usize> Send for Arena<MIN_ALIGN> {}

impl Arena {
    /// An empty arena over the pages of the process, without a limit, that keeps its memory at
    /// reset. Maps nothing.
    ///
    /// ```
    /// let arena = const { flagstone::Arena::new() };
    /// assert_eq!(arena.capacity_bytes(), 0);
    /// ```
    pub const fn new() -> Arena {
        Arena::with_min_align()
    }
}

impl<const MIN_ALIGN: usize> Arena<MIN_ALIGN> {
    /// An empty arena whose objects are aligned to at least `MIN_ALIGN` bytes: 1, 2, 4, 8 or 16,
    /// anything else is a compile error. Maps nothing.
    ///
    /// ```
    /// use flagstone::Arena;
    /// let dense: Arena<1> = Arena::with_min_align();
    /// for byte in 0..100u8 {
    ///     dense.alloc(byte);
    /// }
    /// assert_eq!(dense.used_bytes(), 100);
    /// ```
    pub const fn with_min_align() -> Arena<MIN_ALIGN> {
        Arena::from_state(State::new(None, usize::MAX, Keeping::ALL))
    }

    pub(crate) const fn from_state(state: State) -> Arena<MIN_ALIGN> {
        const {
            assert!(
                MIN_ALIGN.is_power_of_two() && MIN_ALIGN <= CHUNK_END_ALIGN,
                "the minimum alignment of an arena is 1, 2, 4, 8 or 16"
            );
        }
        Arena { state }
    }

    /// Frees everything at once, after dropping the values of [`Arena::alloc_owned`], newest first.
    /// Keeps the chunks, or as many as the builder's `keep_bytes` says, for the next round.
    ///
    /// # Panics
    /// When the drop of an owned value does. The other values are dropped all the same; the memory
    /// stays in use until the next reset.
    #[inline]
    pub fn reset(&mut self) {
        self.state.reset();
    }

    /// Gives chunks that hold nothing back to the pages. Returns their bytes. After
    /// [`Arena::reset`] that is everything.
    ///
    /// ```
    /// let mut arena = flagstone::Arena::new();
    /// arena.alloc(7);
    /// arena.reset();
    /// assert_eq!(arena.trim(), 4096);
    /// assert_eq!(arena.capacity_bytes(), 0);
    /// ```
    pub fn trim(&mut self) -> usize {
        self.state.trim()
    }

    /// Bytes handed out since the last reset, with the padding between them. A chunk that a
    /// session holds counts whole.
    pub fn used_bytes(&self) -> usize {
        self.state.used_bytes()
    }

    /// Bytes of all spans the arena holds: what counts against its limit.
    pub fn capacity_bytes(&self) -> usize {
        self.state.capacity_bytes()
    }

    /// Figures. Walks the list of chunks.
    pub fn stats(&self) -> ArenaStats {
        self.state.stats()
    }

    /// Whether `ptr` points at memory of this arena that is handed out, or lies in the rest of a
    /// chunk that was given up. Walks the list of chunks.
    ///
    /// ```
    /// let arena = flagstone::Arena::new();
    /// assert!(arena.contains(arena.alloc(1)));
    /// assert!(!arena.contains(&1));
    /// ```
    pub fn contains<T: ?Sized>(&self, ptr: *const T) -> bool {
        self.state.contains(ptr.addr())
    }

    /// A block of the high end for a `T`. Committed when it comes back.
    #[inline(always)]
    pub(super) fn reserve_value<T, E: Refusal>(&self) -> Result<NonNull<T>, E> {
        match self.fast_value::<T>() {
            Some(block) => Ok(block.cast()),
            None => self.slow_value(),
        }
    }

    /// [`Arena::reserve_value`] where the window has no room.
    #[inline(always)]
    pub(super) fn slow_value<T, E: Refusal>(&self) -> Result<NonNull<T>, E> {
        let layout = Layout::new::<T>();
        let align = raised::<MIN_ALIGN>(layout);
        let block = self.state.slow_for(layout.size(), align, End::Down);
        block.map(NonNull::cast)
    }

    /// A block of the high end. Committed when it comes back.
    #[inline(always)]
    pub(super) fn reserve_down<E: Refusal>(&self, layout: Layout) -> Result<NonNull<u8>, E> {
        match self.fast_down(layout) {
            Some(block) => Ok(block),
            None => {
                let align = raised::<MIN_ALIGN>(layout);
                self.state.slow_for(layout.size(), align, End::Down)
            }
        }
    }

    #[inline(always)]
    fn fast_value<T>(&self) -> Option<NonNull<u8>> {
        if size_of::<T>() == 0 {
            return Some(NonNull::<T>::dangling().cast());
        }
        let block = carve_value::<T, MIN_ALIGN>(self.state.lo.get(), self.state.hi.get())?;
        self.state.hi.set(block);
        Some(block)
    }

    #[inline(always)]
    fn fast_down(&self, layout: Layout) -> Option<NonNull<u8>> {
        let (lo, hi) = (self.state.lo.get(), self.state.hi.get());
        let block = carve_down::<MIN_ALIGN>(lo, hi, layout.size(), layout.align())?;
        self.state.hi.set(block);
        Some(block)
    }
}

impl<const MIN_ALIGN: usize> Default for Arena<MIN_ALIGN> {
    fn default() -> Self {
        Arena::with_min_align()
    }
}

impl<const MIN_ALIGN: usize> fmt::Debug for Arena<MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena")
            .field("min_align", &MIN_ALIGN)
            .field("stats", &self.stats())
            .finish()
    }
}
