//! [`ArenaPool`]: one arena per request, from any thread.
//!
//! Owns a [`Pool`] of arenas; the only file of this floor that knows arenas.
//!
//! I1: an [`ArenaBytes`] holds its arena's guard, unreachable for anybody, so the arena is neither
//! reset nor allocated from while the bytes live.

use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use std::sync::Arc;

use crate::arena::Arena;
use crate::pool::face::guards::{Held, Pooled};
use crate::pool::face::pool::Pool;
use crate::pool::life::recycle::{Keep, Recycle, RecycleTrait};
use crate::pool::watch::stats::PoolStats;

/// Resets the arena: its values are dropped, its memory stays by its policy.
impl Recycle for Arena {
    fn recycle(&mut self) -> Keep {
        self.reset();
        Keep::Yes
    }
}

/// A pool of [`Arena`]s: take one per request, allocate, drop it; it is reset and handed to the
/// next request, with its memory warm.
///
/// ```
/// use flagstone::ArenaPool;
/// static ARENAS: ArenaPool = ArenaPool::new();
/// for _ in 0..10 {
///     let arena = ARENAS.get();
///     let words: Vec<&mut str> = ["one", "two"].map(|word| arena.alloc_str(word)).into();
///     assert_eq!(words.len(), 2);
/// }
/// assert_eq!(ARENAS.stats().creates, 1);
/// ```
pub struct ArenaPool {
    arenas: Pool<Arena>,
}

impl ArenaPool {
    /// A pool of arenas without a limit that keep what recent requests used (see
    /// [`ArenaBuilder::keep_recent`]): a rare large request does not leave its memory behind for
    /// good. Allocates nothing until the first use.
    ///
    /// [`ArenaBuilder::keep_recent`]: crate::ArenaBuilder::keep_recent
    pub const fn new() -> ArenaPool {
        ArenaPool {
            // Without a first capacity nothing can be refused.
            arenas: Pool::new(|| Arena::builder().keep_recent().build().unwrap_or_default()),
        }
    }

    /// An arena of its own for each guard.
    ///
    /// # Panics
    /// As [`Pool::get`].
    #[inline]
    #[track_caller]
    pub fn get(&self) -> PooledArena<'_> {
        PooledArena(self.arenas.get())
    }

    /// As [`get`](Self::get); `None` where [`Pool::try_get`] answers so.
    #[track_caller]
    pub fn try_get(&self) -> Option<PooledArena<'_>> {
        self.arenas.try_get().map(PooledArena)
    }

    /// As [`get`](Self::get), with a guard that is `'static` and keeps the pool alive: for an async
    /// handler that holds its arena across an `.await`.
    ///
    /// The guard may cross an `.await` of a future that must be `Send`, and so may `&mut T` and
    /// `&mut str` from it, and an [`ArenaThinVec`](crate::ArenaThinVec); `&Arena` and what borrows
    /// it (an `ArenaVec`) may not. So allocate between awaits:
    /// ```
    /// # use std::sync::Arc;
    /// # use flagstone::ArenaPool;
    /// fn must_be_send<F: Future + Send>(future: F) -> F { future }
    /// let arenas = Arc::new(ArenaPool::new());
    /// let _handler = must_be_send(async move {
    ///     let arena = arenas.get_owned();
    ///     let name: &mut str = arena.alloc_str("name");
    ///     async { /* the database */ }.await;
    ///     name.make_ascii_uppercase();
    /// });
    /// ```
    /// ```compile_fail
    /// # use std::sync::Arc;
    /// # use flagstone::{Arena, ArenaPool};
    /// # fn must_be_send<F: Future + Send>(future: F) -> F { future }
    /// # let arenas = Arc::new(ArenaPool::new());
    /// let _handler = must_be_send(async move {
    ///     let guard = arenas.get_owned();
    ///     let arena: &Arena = &guard;
    ///     async { /* the database */ }.await;
    ///     arena.alloc_str("name");
    /// });
    /// ```
    ///
    /// # Panics
    /// As [`Pool::get`].
    #[track_caller]
    pub fn get_owned(self: &Arc<Self>) -> OwnedPooledArena {
        // SAFETY: `take` gives a live arena of this pool away.
        unsafe { OwnedPooledArena::new(self.arenas.take(), Arc::clone(self)) }
    }

    /// As [`get_owned`](Self::get_owned); `None` where [`Pool::try_get`] answers so.
    #[track_caller]
    pub fn try_get_owned(self: &Arc<Self>) -> Option<OwnedPooledArena> {
        let arena = self.arenas.try_take()?;
        // SAFETY: as in `get_owned`.
        Some(unsafe { OwnedPooledArena::new(arena, Arc::clone(self)) })
    }

    /// Drops idle arenas until at most `keep` are left; see [`Pool::trim`].
    pub fn trim(&self, keep: usize) -> usize {
        self.arenas.trim(keep)
    }

    /// Ends an interval; see [`Pool::tick`].
    pub fn tick(&self) -> usize {
        self.arenas.tick()
    }

    /// The pool of the arenas themselves, for everything else a pool can do: its mode, health and
    /// leak suspects.
    ///
    /// ```
    /// use flagstone::{ArenaPool, Health};
    /// let arenas = ArenaPool::new();
    /// arenas.pool().prefill(4);
    /// assert_eq!(arenas.pool().health(), Health::Ok);
    /// ```
    pub fn pool(&self) -> &Pool<Arena> {
        &self.arenas
    }

    /// What the pool did so far and holds now; see [`PoolStats`].
    pub fn stats(&self) -> PoolStats {
        self.arenas.stats()
    }
}

impl Default for ArenaPool {
    fn default() -> ArenaPool {
        ArenaPool::new()
    }
}

/// A pool of arenas with bounds and arenas of your choice. It drops idle arenas when 90 % of the
/// limit of its own pages is passed: arenas on other pages want a pool built over the same.
///
/// ```
/// use flagstone::{Arena, ArenaPool, Pool};
/// fn arena() -> Arena {
///     Arena::builder().keep_bytes(256 << 10).build().expect("no limit is set")
/// }
/// let arenas = ArenaPool::from(Pool::builder(arena).idle(0..=64).name("requests").build());
/// arenas.get().alloc_str("hello");
/// ```
impl From<Pool<Arena>> for ArenaPool {
    fn from(arenas: Pool<Arena>) -> ArenaPool {
        ArenaPool { arenas }
    }
}

impl fmt::Debug for ArenaPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ArenaPool").field(&self.arenas).finish()
    }
}

/// An [`Arena`] of an [`ArenaPool`], reset and returned when dropped. `Send`.
///
/// What was allocated cannot outlive it:
/// ```compile_fail,E0505
/// # let arenas = flagstone::ArenaPool::new();
/// let arena = arenas.get();
/// let text = arena.alloc_str("text");
/// drop(arena);
/// println!("{text}");
/// ```
/// nor it the pool:
/// ```compile_fail,E0597
/// let arena;
/// let arenas = flagstone::ArenaPool::new();
/// arena = arenas.get();
/// ```
#[must_use = "an arena that is not used goes straight back to its pool"]
pub struct PooledArena<'p>(Pooled<'p, Arena>);

impl Deref for PooledArena<'_> {
    type Target = Arena;

    #[inline(always)]
    fn deref(&self) -> &Arena {
        &self.0
    }
}

/// For `scope` and `reset`.
impl DerefMut for PooledArena<'_> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Arena {
        &mut self.0
    }
}

impl fmt::Debug for PooledArena<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PooledArena").field(&**self).finish()
    }
}

/// An [`Arena`] of a shared [`ArenaPool`] that keeps the pool alive: `'static` and `Send`.
#[must_use = "an arena that is not used goes straight back to its pool"]
pub struct OwnedPooledArena {
    /// Before `_pool`, which it needs to go back: fields drop in order.
    arena: Held<'static, Arena, RecycleTrait>,
    _pool: Arc<ArenaPool>,
}

impl OwnedPooledArena {
    /// # Safety
    /// `slot` holds a live arena of this pool, which the caller gives up.
    unsafe fn new(slot: NonNull<Arena>, pool: Arc<ArenaPool>) -> OwnedPooledArena {
        OwnedPooledArena {
            // SAFETY: as ours; `_pool` keeps the core alive and drops after the arena.
            arena: unsafe { Held::new(slot) },
            _pool: pool,
        }
    }

    /// Lets `make` allocate bytes and turns the arena into their owner: a response body that can be
    /// sent anywhere, without a copy. The arena returns to its pool when the bytes are dropped.
    ///
    /// ```
    /// use flagstone::{ArenaBytes, ArenaPool};
    /// let arenas = std::sync::Arc::new(ArenaPool::new());
    /// let body: ArenaBytes = arenas.get_owned().freeze(|a| a.alloc_str("response").as_bytes());
    /// let sent = std::thread::spawn(move || body.as_ref().len());
    /// assert_eq!(sent.join().unwrap(), 8);
    /// ```
    ///
    /// The bytes must live as long as the arena does:
    /// ```compile_fail
    /// # let arenas = std::sync::Arc::new(flagstone::ArenaPool::new());
    /// let local = vec![1, 2, 3];
    /// let body = arenas.get_owned().freeze(|_| &local[..]);
    /// ```
    pub fn freeze(self, make: impl for<'a> FnOnce(&'a Arena) -> &'a [u8]) -> ArenaBytes {
        let bytes = NonNull::from(make(&self));
        ArenaBytes {
            bytes,
            _arena: self,
        }
    }

    /// As [`freeze`](Self::freeze), for bytes that may not come about.
    ///
    /// ```
    /// use flagstone::{AllocError, ArenaPool};
    /// let arenas = std::sync::Arc::new(ArenaPool::new());
    /// let body = arenas
    ///     .get_owned()
    ///     .try_freeze(|arena| Ok::<_, AllocError>(arena.try_alloc_str("response")?.as_bytes()))?;
    /// assert_eq!(body.len(), 8);
    /// # Ok::<(), AllocError>(())
    /// ```
    ///
    /// # Errors
    /// What `make` returns. The arena goes back to its pool.
    pub fn try_freeze<E>(
        self,
        make: impl for<'a> FnOnce(&'a Arena) -> Result<&'a [u8], E>,
    ) -> Result<ArenaBytes, E> {
        let bytes = NonNull::from(make(&self)?);
        Ok(ArenaBytes {
            bytes,
            _arena: self,
        })
    }

    /// As [`try_freeze`](Self::try_freeze), with awaits on the way: what was made in the arena
    /// before an `.await` is still there after it. The future is `Send` if what `make` keeps across
    /// its awaits is: `&mut Arena` is, and so are `&T`, `&str` and slices of such from it; `&Arena`
    /// and what holds one (an `ArenaVec`) are not. Dropping the future half way gives the arena
    /// back.
    ///
    /// ```
    /// # fn must_be_send<F: Future + Send>(future: F) -> F { future }
    /// # async fn price(_product: &str) -> Result<u32, flagstone::AllocError> { Ok(7) }
    /// use flagstone::{AllocError, ArenaPool};
    /// let arenas = std::sync::Arc::new(ArenaPool::new());
    /// let body = arenas.get_owned().try_freeze_async(async |arena| {
    ///     let product = &*arena.try_alloc_str("slate")?;
    ///     let price = price(product).await?;
    ///     let answer = arena.try_alloc_fmt(format_args!("{product}: {price}"))?;
    ///     Ok::<_, AllocError>(answer.as_bytes())
    /// });
    /// let body = must_be_send(body);
    /// # let mut body = std::pin::pin!(body);
    /// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// # let std::task::Poll::Ready(Ok(body)) = body.as_mut().poll(&mut context) else { panic!() };
    /// # assert_eq!(&*body, b"slate: 7");
    /// ```
    ///
    /// A list that can still grow holds the arena, which must not be used from two threads:
    /// ```compile_fail
    /// # fn must_be_send<F: Future + Send>(future: F) -> F { future }
    /// # let arenas = std::sync::Arc::new(flagstone::ArenaPool::new());
    /// let body = must_be_send(arenas.get_owned().try_freeze_async(async |arena| {
    ///     let mut list = flagstone::ArenaVec::new_in(arena);
    ///     async { /* the database */ }.await;
    ///     list.push(0);
    ///     Ok::<&[u8], ()>(list.into_slice())
    /// }));
    /// ```
    ///
    /// # Errors
    /// What `make` returns. The arena goes back to its pool.
    pub async fn try_freeze_async<E>(
        mut self,
        make: impl AsyncFnOnce(&mut Arena) -> Result<&[u8], E>,
    ) -> Result<ArenaBytes, E> {
        let bytes = NonNull::from(make(&mut self).await?);
        Ok(ArenaBytes {
            bytes,
            _arena: self,
        })
    }
}

impl Deref for OwnedPooledArena {
    type Target = Arena;

    #[inline(always)]
    fn deref(&self) -> &Arena {
        &self.arena
    }
}

/// For `scope` and `reset`.
impl DerefMut for OwnedPooledArena {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Arena {
        &mut self.arena
    }
}

impl fmt::Debug for OwnedPooledArena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedPooledArena").field(&**self).finish()
    }
}

/// Bytes in an arena that they own, from [`OwnedPooledArena::freeze`]: `AsRef<[u8]>`, `Send` and
/// `'static`, as `bytes::Bytes::from_owner` asks.
pub struct ArenaBytes {
    /// In `_arena`, or `'static`.
    bytes: NonNull<[u8]>,
    _arena: OwnedPooledArena,
}

// SAFETY: the bytes are shared and never written again, and the arena's guard, which is `Send`, is
// reachable for nobody (I1).
unsafe impl Send for ArenaBytes {}
// SAFETY: a shared `ArenaBytes` gives `&[u8]` and nothing else (I1).
unsafe impl Sync for ArenaBytes {}

impl AsRef<[u8]> for ArenaBytes {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `freeze` was given them for as long as the arena is borrowed; the arena sits in
        // its slot, untouched, as long as this does (I1).
        unsafe { self.bytes.as_ref() }
    }
}

impl Deref for ArenaBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_ref()
    }
}

impl fmt::Debug for ArenaBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}
