//! [`BufferArena`]: an arena that starts in memory of the caller.
//!
//! I1: the arena inside is never reached by value or by `&mut` from outside: whoever could swap it
//!     with another would have the buffer outlive its borrow.
//! I2: the buffer is borrowed exclusively for as long as the arena lives. Only bytes are written to
//!     it that its owner sees as uninitialised.

use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::Deref;
use core::ptr::NonNull;

use crate::arena::handle::Arena;
use crate::arena::scope::Scope;
use crate::arena::windows::chunk::{Chunk, Window};
use crate::arena::windows::state::State;

/// An arena whose first chunk is a buffer of yours: on the stack, in a static, from anywhere. 33
/// bytes of it, and up to 30 for alignment, are the chunk's own. What does not fit beside the rest
/// comes from the pages, unless the builder says [`limit_bytes(0)`](crate::ArenaBuilder::build_in).
/// `Send`, as [`Arena`] is.
///
/// `used_bytes` counts the buffer, `capacity_bytes` and limits count what came from the pages.
///
/// ```
/// use core::mem::MaybeUninit;
/// use flagstone::Arena;
/// let mut buffer = [MaybeUninit::uninit(); 1024];
/// let mut arena = Arena::from_buffer(&mut buffer);
/// for _ in 0..1000 {
///     let label = arena.alloc_fmt(format_args!("{}-{}", 1, 2));
///     assert_eq!(label, "1-2");
///     arena.reset();
/// }
/// assert_eq!(arena.capacity_bytes(), 0);
/// ```
/// Nothing in it outlives the buffer:
/// ```compile_fail,E0597
/// use core::mem::MaybeUninit;
/// let arena = {
///     let mut buffer = [MaybeUninit::uninit(); 64];
///     flagstone::Arena::from_buffer(&mut buffer)
/// };
/// arena.alloc(1);
/// ```
pub struct BufferArena<'b, const MIN_ALIGN: usize = 8> {
    arena: Arena<MIN_ALIGN>,
    buffer: PhantomData<&'b mut [MaybeUninit<u8>]>,
}

impl Arena {
    /// An arena that uses `buffer` before it takes anything from the pages of the process: see
    /// [`BufferArena`]. A buffer too small for anything is no error: it is not used.
    pub fn from_buffer(buffer: &mut [MaybeUninit<u8>]) -> BufferArena<'_> {
        Arena::builder().build_in(buffer)
    }
}

impl<'b, const MIN_ALIGN: usize> BufferArena<'b, MIN_ALIGN> {
    pub(crate) fn new(mut state: State, buffer: &'b mut [MaybeUninit<u8>]) -> Self {
        let buffer = NonNull::from(buffer);
        let bytes = NonNull::slice_from_raw_parts(buffer.cast(), buffer.len());
        // SAFETY: borrowed exclusively for 'b, for which this arena lives (I2).
        let chunk = unsafe { Chunk::over(bytes) };
        state.settle_in(chunk.map_or(Window::EMPTY, Chunk::open));
        BufferArena {
            arena: Arena::from_state(state),
            buffer: PhantomData,
        }
    }

    /// Frees everything at once: see [`Arena::reset`]. The next round starts in the buffer.
    ///
    /// # Panics
    /// When the drop of an owned value does. The other values are dropped all the same.
    pub fn reset(&mut self) {
        self.arena.reset();
    }

    /// Runs `body` with a scope: see [`Arena::scope`].
    ///
    /// # Panics
    /// When `body` or the drop of an owned value does.
    pub fn scope<R>(&mut self, body: impl for<'t> FnOnce(Scope<'t, MIN_ALIGN>) -> R) -> R {
        self.arena.scope(body)
    }
}

/// What ends is the arena inside. That this is here tells the compiler that the buffer is needed
/// until then, not only until the last use.
impl<const MIN_ALIGN: usize> Drop for BufferArena<'_, MIN_ALIGN> {
    fn drop(&mut self) {}
}

impl<const MIN_ALIGN: usize> Deref for BufferArena<'_, MIN_ALIGN> {
    type Target = Arena<MIN_ALIGN>;

    #[inline]
    fn deref(&self) -> &Arena<MIN_ALIGN> {
        &self.arena
    }
}

impl<const MIN_ALIGN: usize> fmt::Debug for BufferArena<'_, MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BufferArena").field(&self.arena).finish()
    }
}
