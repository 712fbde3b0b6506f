//! The erased core of the arena: one window, the lists of chunks, the list of owned values, the
//! budget. Everything that is slow, and everything that does not know the minimum alignment.
//!
//! I1: `lo`, `chunk` and `hi` are a window (chunk.rs, I2); it is empty before the first allocation
//!     and while a session holds what was here.
//! I2: every chunk is in exactly one list: `in_use` (its blocks may be alive) or `spare` (nothing
//!     in it is). Windows, whoever holds them, belong to chunks in `in_use`.
//! I3: `capacity_bytes` is the sum over both lists; `payload_bytes` that over `in_use` without
//!     headers; `abandoned_bytes` the rooms of windows that were given up.
//! I4: `hi` is a multiple of the arena's minimum alignment: slow requests come with theirs raised
//!     to it, and payloads end at multiples of the largest.
//! I5: a block is committed before its address leaves this file, so user code that comes back here
//!     finds a state as good as any other.
//! I6: `opened` is the chunk that the last reset opened, as long as it is the only one in `in_use`
//!     and the next reset would open it again. `settled` is the same if the spare list holds no
//!     more than that chunk, and else nothing.
//!
//! It never calls user code, except the drops of owned values, which it unlinks first.

use core::cell::Cell;
use core::ptr::NonNull;

use crate::arena::bumping;
use crate::arena::bumping::{CHUNK_BYTES_MAX, chunk_bytes_next, gets_own_span};
use crate::arena::chunk::{CHUNK_END_ALIGN, Chunk, ChunkList, End, HEADER_BYTES, Window};
use crate::arena::owned::OwnedList;
use crate::arena::stats::ArenaStats;
use crate::base::error::AllocError;
use crate::base::geometry::SEGMENT_BYTES;
use crate::base::trap::refused;
use crate::pages::Pages;

/// See the file's head. `repr(C)`: the two hot words must not be neighbours, or aarch64 loads them
/// as a pair and stalls on the store before it.
#[repr(C)]
pub(crate) struct State {
    pub(crate) lo: Cell<NonNull<u8>>,
    chunk: Cell<Option<Chunk>>,
    pub(crate) hi: Cell<NonNull<u8>>,
    in_use: ChunkList,
    spare: ChunkList,
    settled: Cell<Option<Chunk>>,
    opened: Cell<Option<Chunk>>,
    /// The pages' pressure when the arena last looked.
    pressure: Cell<usize>,
    pub(crate) owned: OwnedList,
    capacity_bytes: Cell<usize>,
    payload_bytes: Cell<usize>,
    abandoned_bytes: Cell<usize>,
    open_scopes: Cell<usize>,
    limit_bytes: usize,
    keep_bytes: usize,
    pages: Option<&'static Pages>,
}

/// What a scope has to come back to.
pub(crate) struct Mark {
    window: Window,
    floor: usize,
    newest: Option<Chunk>,
    owned: OwnedList,
    payload_bytes: usize,
    abandoned_bytes: usize,
}

impl State {
    pub(crate) const fn new(
        pages: Option<&'static Pages>,
        limit_bytes: usize,
        keep_bytes: usize,
    ) -> State {
        State {
            lo: Cell::new(Window::EMPTY.lo),
            chunk: Cell::new(None),
            hi: Cell::new(Window::EMPTY.hi),
            in_use: ChunkList::new(),
            spare: ChunkList::new(),
            settled: Cell::new(None),
            opened: Cell::new(None),
            pressure: Cell::new(0),
            owned: OwnedList::new(),
            capacity_bytes: Cell::new(0),
            payload_bytes: Cell::new(0),
            abandoned_bytes: Cell::new(0),
            open_scopes: Cell::new(0),
            limit_bytes,
            keep_bytes,
            pages,
        }
    }

    /// A block after the fast path failed; `align` raised to the minimum.
    #[cold]
    #[inline(never)]
    pub(crate) fn slow(
        &self,
        size: usize,
        align: usize,
        end: End,
    ) -> Result<NonNull<u8>, AllocError> {
        let (block, window) = match self.refill(self.window(), size, align, end) {
            Err(_) if self.spare_untouched() => self.refill(Window::EMPTY, size, align, end),
            refilled => refilled,
        }?;
        self.set_window(window);
        Ok(block)
    }

    /// Makes the chunk of a window that nothing was cut from a spare one, which may then make way
    /// for what does not fit beside it.
    fn spare_untouched(&self) -> bool {
        let window = self.window();
        let Some(chunk) = window.chunk else {
            return false;
        };
        // An open scope comes back to its window.
        if window.room() < chunk.payload_bytes() || self.open_scopes.get() > 0 {
            return false;
        }
        self.in_use.remove(chunk);
        self.set_opened(None);
        self.spare.push(chunk);
        self.payload_bytes
            .set(self.payload_bytes.get() - chunk.payload_bytes());
        self.set_window(Window::EMPTY);
        true
    }

    /// [`State::slow`] for the infallible forms.
    #[cold]
    #[inline(never)]
    pub(crate) fn slow_or_refuse(&self, size: usize, align: usize, end: End) -> NonNull<u8> {
        match self.slow(size, align, end) {
            Ok(block) => block,
            Err(error) => refused(error),
        }
    }

    /// Serves a request that `current` had no room for from a spare or a new chunk. Of the two
    /// windows the roomier one stays and comes back; the other is abandoned. So a large request
    /// leaves the current chunk alone, and a full chunk makes way.
    #[cold]
    #[inline(never)]
    pub(crate) fn refill(
        &self,
        current: Window,
        size: usize,
        align: usize,
        end: End,
    ) -> Result<(NonNull<u8>, Window), AllocError> {
        if size == 0 {
            return Ok((dangling(align), current));
        }
        let end = fresh_end(align, end);
        let spare = self.take_spare(size, align, end);
        if self.is_pressed() {
            self.release_spare(0);
        }
        let chunk = match spare {
            Some(chunk) => chunk,
            None => self.claim_for(size, align)?,
        };
        let Some((block, fresh)) = chunk.open().carve(size, align, end) else {
            // Cannot happen, since both ways above look at the size; an error is better than a
            // panic where unwinding is forbidden.
            self.spare.push(chunk);
            return Err(AllocError::LayoutTooLarge);
        };
        self.use_chunk(chunk);
        if fresh.room() > current.room() {
            self.abandon(current);
            Ok((block, fresh))
        } else {
            self.abandon(fresh);
            chunk.set_own();
            Ok((block, current))
        }
    }

    fn use_chunk(&self, chunk: Chunk) {
        self.in_use.push(chunk);
        self.set_opened(None);
        self.payload_bytes
            .set(self.payload_bytes.get() + chunk.payload_bytes());
    }

    /// Unlinks the spare chunk that suits the request best.
    fn take_spare(&self, size: usize, align: usize, end: End) -> Option<Chunk> {
        let mut best: Option<Chunk> = None;
        for chunk in self.spare.iter() {
            let large = chunk.bytes() > CHUNK_BYTES_MAX;
            // A chunk this large was claimed for one large request and waits for the next of them:
            // as a window for small ones it would make that request claim a second one.
            let reserved = large && !gets_own_span(size, CHUNK_BYTES_MAX);
            if reserved || chunk.open().carve(size, align, end).is_none() {
                continue;
            }
            let regular = !large && !gets_own_span(size, chunk.bytes());
            if best.is_none_or(|other| regular || chunk.bytes() < other.bytes()) {
                best = Some(chunk);
            }
            if regular {
                break;
            }
        }
        let chunk = best?;
        self.spare.remove(chunk);
        chunk.set_used();
        Some(chunk)
    }

    /// Claims a chunk for a request: of the regular size, or as small as can be when the request
    /// is large, the limit near or the pages exhausted.
    fn claim_for(&self, size: usize, align: usize) -> Result<Chunk, AllocError> {
        let needed = size + HEADER_BYTES;
        if needed > isize::MAX as usize || align > SEGMENT_BYTES {
            return Err(AllocError::LayoutTooLarge);
        }
        let regular = chunk_bytes_next(self.capacity_bytes.get());
        if !gets_own_span(size, regular) {
            if let Ok(chunk) = self.claim(regular, align) {
                return Ok(chunk);
            }
        }
        match self.claim(needed, align) {
            Err(error) if self.release_spare(0) == 0 => Err(error),
            Err(_) => self.claim(needed, align),
            claimed => claimed,
        }
    }

    /// Claims a span of at least `bytes` within the limit.
    fn claim(&self, bytes: usize, align: usize) -> Result<Chunk, AllocError> {
        let within = |bytes: usize| {
            let sum = self.capacity_bytes.get().checked_add(bytes);
            sum.filter(|sum| *sum <= self.limit_bytes)
                .ok_or(AllocError::OwnerLimit {
                    limit_bytes: self.limit_bytes,
                })
        };
        within(bytes)?;
        let chunk = Chunk::claim(self.pages(), bytes, align)?;
        match within(chunk.bytes()) {
            Ok(sum) => {
                self.capacity_bytes.set(sum);
                Ok(chunk)
            }
            Err(error) => {
                // SAFETY: claimed above and shown to nobody.
                unsafe { chunk.release(self.pages()) };
                Err(error)
            }
        }
    }

    /// Makes room for `bytes` at once, before the first allocation.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<(), AllocError> {
        let bytes = bytes
            .checked_add(HEADER_BYTES)
            .ok_or(AllocError::LayoutTooLarge)?;
        let chunk = self.claim(bytes, CHUNK_END_ALIGN)?;
        self.use_chunk(chunk);
        self.abandon(self.window());
        self.set_window(chunk.open());
        Ok(())
    }

    /// Takes back a block of the high end that was reserved last, if nothing came after it.
    pub(crate) fn undo_down(&self, block: NonNull<u8>, size: usize, align: usize) {
        if self.hi.get() == block {
            self.set_used();
            // The padding stays; it is at most `align - 1` bytes.
            // SAFETY: the end of the block, rounded up to at most where `hi` was (chunk.rs, I2).
            self.hi
                .set(unsafe { block.byte_add(size.next_multiple_of(align)) });
        } else if let Some(chunk) = self.in_use.head() {
            // A chunk of its own, and nothing was claimed since: it holds nothing else.
            if chunk.is_own() && chunk.contains(block.addr().get()) {
                self.in_use.pop();
                self.payload_bytes
                    .set(self.payload_bytes.get() - chunk.payload_bytes());
                let carved = chunk.open().carve(size, align, fresh_end(align, End::Down));
                let room = carved.map_or(0, |(_, window)| window.room());
                self.abandoned_bytes.set(self.abandoned_bytes.get() - room);
                self.spare.push(chunk);
            }
        }
    }

    /// Takes the window for a session. What it holds counts as used until it comes back.
    pub(crate) fn lend_window(&self) -> Window {
        let window = self.window();
        self.set_window(Window::EMPTY);
        window
    }

    /// Takes a session's window back; if allocations made another one meanwhile, the roomier stays.
    /// Not inlined, so that the drop of a session is small enough to be, also where a panic passes:
    /// else its address would be taken there and its ends would live in memory.
    #[inline(never)]
    pub(crate) fn return_window(&self, lo: NonNull<u8>, hi: NonNull<u8>, chunk: Option<Chunk>) {
        let window = Window { lo, hi, chunk };
        let current = self.window();
        if current.chunk.is_none() || window.room() > current.room() {
            self.abandon(current);
            self.set_window(window);
        } else {
            self.abandon(window);
        }
    }

    pub(crate) fn window(&self) -> Window {
        Window {
            lo: self.lo.get(),
            hi: self.hi.get(),
            chunk: self.chunk.get(),
        }
    }

    pub(crate) fn set_window(&self, window: Window) {
        self.lo.set(window.lo);
        self.hi.set(window.hi);
        self.chunk.set(window.chunk);
    }

    pub(crate) fn abandon(&self, window: Window) {
        self.abandoned_bytes
            .set(self.abandoned_bytes.get() + window.room());
    }

    /// The window is about to become wider (chunk.rs, I4).
    pub(crate) fn set_used(&self) {
        if let Some(chunk) = self.chunk.get() {
            chunk.set_used();
        }
    }

    /// Whether the part of the low end's last block that was never part of a block before reads
    /// zero. Such a block lies in the window's chunk, or in one that was claimed for it just now.
    pub(crate) fn is_zeroed(&self, block: NonNull<u8>) -> bool {
        let chunks = [self.chunk.get(), self.in_use.head()];
        let holds = |chunk: &Chunk| chunk.contains(block.addr().get());
        let chunk = chunks.into_iter().flatten().find(holds);
        chunk.is_some_and(Chunk::is_pristine)
    }

    /// Whether the block may be resized in place: the last one of the low end, and not one of an
    /// outer scope.
    #[inline]
    pub(crate) fn is_resizable(&self, block: NonNull<u8>, size: usize) -> bool {
        bumping::is_last(block.addr().get(), size, self.lo.get().addr().get())
            && self
                .chunk
                .get()
                .is_some_and(|chunk| block.addr().get() >= chunk.floor())
    }

    /// Opens a scope: blocks made so far do not resize in place until [`State::rewind`].
    pub(crate) fn mark(&mut self) -> Mark {
        let window = self.window();
        let floor = window.chunk.map_or(0, Chunk::floor);
        if let Some(chunk) = window.chunk {
            chunk.set_floor(window.lo.addr().get());
        }
        self.open_scopes.set(self.open_scopes.get() + 1);
        Mark {
            window,
            floor,
            newest: self.in_use.head(),
            owned: self.owned.copy(),
            payload_bytes: self.payload_bytes.get(),
            abandoned_bytes: self.abandoned_bytes.get(),
        }
    }

    /// Closes the newest open scope: owned values made since are dropped, newest first, then
    /// everything made since is gone. Panics when a drop does, after all of that.
    pub(crate) fn rewind(&mut self, mark: &Mark) {
        struct Finish<'a>(&'a State, &'a Mark);
        impl Drop for Finish<'_> {
            fn drop(&mut self) {
                self.0.forget_since(self.1);
            }
        }
        let finish = Finish(self, mark);
        finish.0.owned.drop_until(&mark.owned);
    }

    fn forget_since(&self, mark: &Mark) {
        while self.in_use.head() != mark.newest {
            let Some(chunk) = self.in_use.pop() else {
                break;
            };
            self.spare.push(chunk);
        }
        if let Some(chunk) = mark.window.chunk {
            chunk.set_floor(mark.floor);
            chunk.set_used();
        }
        self.open_scopes.set(self.open_scopes.get() - 1);
        self.set_window(mark.window);
        self.payload_bytes.set(mark.payload_bytes);
        self.abandoned_bytes.set(mark.abandoned_bytes);
    }

    /// Drops the owned values, newest first, and frees everything else; keeps chunks by policy.
    /// When a drop panics, the other values are dropped all the same, then the panic goes on and
    /// the memory stays in use until the next reset.
    #[inline]
    pub(crate) fn reset(&mut self) {
        match self.settled.get() {
            // The round needed nothing but what the last reset left (I6): the same again. What is
            // spare is then not worth a look at the pressure each time.
            Some(chunk) if self.owned.is_empty() => self.open_again(chunk),
            _ => self.reset_slow(),
        }
    }

    #[inline(always)]
    fn open_again(&self, chunk: Chunk) {
        self.set_window(chunk.open());
        self.abandoned_bytes.set(0);
    }

    #[cold]
    #[inline(never)]
    fn reset_slow(&mut self) {
        let is_pressed = self.is_pressed();
        match self.opened.get() {
            Some(chunk) if self.owned.is_empty() && !is_pressed => self.open_again(chunk),
            _ => self.reset_all(is_pressed),
        }
    }

    /// Not inlined: what it saves on the stack is most of the shorter way's cost.
    #[inline(never)]
    fn reset_all(&mut self, is_pressed: bool) {
        self.owned.drop_until(&OwnedList::new());
        self.clear();
        self.release_spare(self.keep_bytes);
        self.open_largest(is_pressed);
    }

    /// Whether the budget of the pages ran short since the arena last asked.
    fn is_pressed(&self) -> bool {
        let pressure = self.pages().pressure();
        self.pressure.replace(pressure) != pressure
    }

    /// Says which chunk this reset opened, or that it is not the only one in use any more (I6).
    fn set_opened(&self, opened: Option<Chunk>) {
        // Twice a chunk's bytes: a round that needs it alone leaves at most half unused.
        let is_settled = |chunk: &Chunk| self.capacity_bytes.get() <= 2 * chunk.bytes();
        self.opened.set(opened);
        self.settled.set(opened.filter(is_settled));
    }

    /// Gives back every chunk that holds nothing. Returns the bytes.
    pub(crate) fn trim(&mut self) -> usize {
        if self.used_bytes() == 0 {
            self.clear();
        }
        self.release_spare(0)
    }

    /// Every chunk becomes spare; the newest, which are the largest, come first.
    fn clear(&self) {
        self.set_window(Window::EMPTY);
        self.set_opened(None);
        self.in_use.append(&self.spare);
        self.spare.append(&self.in_use);
        self.payload_bytes.set(0);
        self.abandoned_bytes.set(0);
    }

    /// Makes the largest regular spare chunk the window, so that the next round of the same size
    /// starts without a slow step. With `alone` the others go back.
    fn open_largest(&self, alone: bool) {
        let regular = self
            .spare
            .iter()
            .filter(|chunk| chunk.bytes() <= CHUNK_BYTES_MAX);
        // Of equals the first: the newest.
        let largest = regular.reduce(|best, chunk| match chunk.bytes() > best.bytes() {
            true => chunk,
            false => best,
        });
        if let Some(chunk) = largest {
            self.spare.remove(chunk);
            chunk.set_used();
            self.use_chunk(chunk);
            self.set_window(chunk.open());
        }
        if alone {
            self.release_spare(0);
        }
        self.set_opened(largest);
    }

    /// Gives spare chunks back to the pages until at most `keep_bytes` are left. Returns the bytes.
    fn release_spare(&self, keep_bytes: usize) -> usize {
        if keep_bytes == usize::MAX {
            return 0;
        }
        let all = ChunkList::new();
        all.append(&self.spare);
        let (mut kept, mut released) = (0usize, 0usize);
        let keep = ChunkList::new();
        while let Some(chunk) = all.pop() {
            let bytes = chunk.bytes();
            if bytes <= keep_bytes - kept {
                kept += bytes;
                keep.push(chunk);
            } else {
                released += bytes;
                self.capacity_bytes.set(self.capacity_bytes.get() - bytes);
                // SAFETY: spare, so nothing in it is alive and no window refers to it (I2).
                unsafe { chunk.release(self.pages()) };
            }
        }
        // Popping and pushing turned the order round; once more puts the newest first again.
        while let Some(chunk) = keep.pop() {
            self.spare.push(chunk);
        }
        released
    }

    /// Bytes handed out, padding included.
    pub(crate) fn used_bytes(&self) -> usize {
        self.payload_bytes.get() - self.abandoned_bytes.get() - self.window().room()
    }

    /// Bytes of all chunks, headers included.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.capacity_bytes.get()
    }

    /// Whether `address` lies in a chunk whose blocks may be alive.
    pub(crate) fn contains(&self, address: usize) -> bool {
        self.in_use.iter().any(|chunk| chunk.contains(address))
    }

    pub(crate) fn stats(&self) -> ArenaStats {
        let spare_bytes = self.spare.iter().map(Chunk::bytes).sum();
        ArenaStats {
            used_bytes: self.used_bytes(),
            capacity_bytes: self.capacity_bytes.get(),
            spare_bytes,
            abandoned_bytes: self.abandoned_bytes.get(),
            chunks: self.in_use.iter().count() + self.spare.iter().count(),
        }
    }

    fn pages(&self) -> &'static Pages {
        self.pages.unwrap_or_else(Pages::global)
    }
}

/// A block of zero bytes.
fn dangling(align: usize) -> NonNull<u8> {
    // SAFETY: an alignment is not zero.
    unsafe { NonNull::new_unchecked(core::ptr::without_provenance_mut(align)) }
}

/// The end of a fresh chunk that serves a request: payloads start better aligned than they end.
fn fresh_end(align: usize, end: End) -> End {
    if align > CHUNK_END_ALIGN {
        End::Up
    } else {
        end
    }
}

impl Drop for State {
    fn drop(&mut self) {
        struct Finish<'a>(&'a State);
        impl Drop for Finish<'_> {
            fn drop(&mut self) {
                self.0.clear();
                self.0.release_spare(0);
            }
        }
        let finish = Finish(self);
        finish.0.owned.drop_until(&OwnedList::new());
    }
}
