//! The erased core of the arena: one window, the lists of chunks, the list of owned values, the
//! budget. Everything that is slow, and everything that does not know the minimum alignment. What a
//! reset keeps is in `keeping.rs`, how windows are lent and scopes end in `lending.rs`.
//!
//! I1: `lo`, `chunk` and `hi` are a window (chunk.rs, I2); it is empty before the first allocation
//!     and while a session or a claim holds what was here.
//! I2: every chunk is in exactly one list: `in_use` (its blocks may be alive) of the arena or of a
//!     claim of it, or `spare` (nothing in it is) of the arena. Windows, whoever holds them, belong
//!     to chunks in `in_use` or to the home of an arena that is still there.
//! I3: `capacity_bytes` is the sum over all lists; `payload_bytes` that over `in_use` without
//!     headers, and the room of the home; `abandoned_bytes` the rooms of windows given up.
//! I4: `hi` is a multiple of the arena's minimum alignment: slow requests come with theirs raised
//!     to it, and payloads end at multiples of the largest.
//! I5: a block is committed before its address leaves this file, so user code that comes back here
//!     finds a state as good as any other.
//! I6: `opened` is the chunk that the last reset opened, as long as it is the only one in `in_use`
//!     and the next reset would open it again. `settled` is the same if the spare list holds no
//!     more than that chunk, and else nothing.
//! I7: `home` is the window the arena starts with: nothing, a buffer of the caller, or what was the
//!     window of `parent`. A claim has a parent, which outlives it; it has no spare chunks, limit
//!     or pages of its own: those of the root, which has no parent, stand for them.
//!
//! It never calls user code, except the drops of owned values, which it unlinks first.

use core::cell::Cell;
use core::ptr::NonNull;

use crate::arena::windows::bumping;
use crate::arena::windows::bumping::{CHUNK_BYTES_MAX, chunk_bytes_next, gets_own_span};
use crate::arena::windows::chunk::{CHUNK_END_ALIGN, Chunk, ChunkList, End, HEADER_BYTES, Window};
use crate::arena::windows::keeping::Keeping;
use crate::arena::windows::owned::OwnedList;
use crate::arena::windows::stats::ArenaStats;
use crate::base::error::AllocError;
use crate::base::geometry::SEGMENT_BYTES;
use crate::pages::Pages;

/// See the file's head. `repr(C)`: the two hot words must not be neighbours, or aarch64 loads them
/// as a pair and stalls on the store before it.
#[repr(C)]
pub(crate) struct State {
    pub(crate) lo: Cell<NonNull<u8>>,
    chunk: Cell<Option<Chunk>>,
    pub(crate) hi: Cell<NonNull<u8>>,
    pub(crate) in_use: ChunkList,
    pub(crate) spare: ChunkList,
    pub(crate) settled: Cell<Option<Chunk>>,
    pub(crate) opened: Cell<Option<Chunk>>,
    /// The pages' pressure when the arena last looked.
    pressure: Cell<usize>,
    pub(crate) owned: OwnedList,
    pub(crate) capacity_bytes: Cell<usize>,
    pub(crate) payload_bytes: Cell<usize>,
    pub(crate) abandoned_bytes: Cell<usize>,
    /// The most bytes that were seen in use: at resets, at the ends of scopes and by `stats`.
    pub(crate) high_water_bytes: Cell<usize>,
    /// What recent rounds used, fading.
    pub(crate) recent_bytes: Cell<usize>,
    pub(crate) open_scopes: Cell<usize>,
    pub(crate) home: Window,
    pub(crate) parent: Option<NonNull<State>>,
    limit_bytes: usize,
    pub(crate) keeping: Keeping,
    pages: Option<&'static Pages>,
}

impl State {
    pub(crate) const fn new(
        pages: Option<&'static Pages>,
        limit_bytes: usize,
        keeping: Keeping,
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
            high_water_bytes: Cell::new(0),
            recent_bytes: Cell::new(0),
            open_scopes: Cell::new(0),
            home: Window::EMPTY,
            parent: None,
            limit_bytes,
            keeping,
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
        // An open scope comes back to its window, and the home is in no list.
        let is_remembered = self.open_scopes.get() > 0 || self.home.chunk == Some(chunk);
        if window.room() < chunk.payload_bytes() || is_remembered {
            return false;
        }
        self.in_use.remove(chunk);
        self.payload_bytes
            .set(self.payload_bytes.get() - chunk.payload_bytes());
        self.make_spare(chunk);
        self.set_window(Window::EMPTY);
        true
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
        let root = self.root();
        let spare = root.take_spare(size, align, end);
        if root.is_pressed() {
            root.release_spare(0);
        }
        let chunk = match spare {
            Some(chunk) => chunk,
            None => root.take_chunk_for(size, align)?,
        };
        let Some((block, fresh)) = chunk.open().carve(size, align, end) else {
            // Cannot happen, since both ways above look at the size; an error is better than a
            // panic where unwinding is forbidden.
            self.make_spare(chunk);
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

    pub(crate) fn use_chunk(&self, chunk: Chunk) {
        self.in_use.push(chunk);
        self.set_opened(None);
        self.payload_bytes
            .set(self.payload_bytes.get() + chunk.payload_bytes());
    }

    /// Hands a chunk that is in no list, and holds nothing, to the root.
    pub(crate) fn make_spare(&self, chunk: Chunk) {
        let root = self.root();
        root.set_opened(None);
        root.spare.push(chunk);
    }

    /// Unlinks the spare chunk that suits the request best.
    fn take_spare(&self, size: usize, align: usize, end: End) -> Option<Chunk> {
        let mut best: Option<Chunk> = None;
        for chunk in self.spare.iter() {
            let large = chunk.bytes() > CHUNK_BYTES_MAX;
            // A chunk this large was taken for one large request and waits for the next of them:
            // as a window for small ones it would make that request take a second one.
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

    /// Takes a chunk for a request: of the regular size, or as small as can be when the request
    /// is large, the limit near or the pages exhausted.
    fn take_chunk_for(&self, size: usize, align: usize) -> Result<Chunk, AllocError> {
        let needed = size + HEADER_BYTES;
        if needed > isize::MAX as usize || align > SEGMENT_BYTES {
            return Err(AllocError::LayoutTooLarge);
        }
        let regular = chunk_bytes_next(self.capacity_bytes.get());
        if !gets_own_span(size, regular) {
            if let Ok(chunk) = self.take_chunk(regular, align) {
                return Ok(chunk);
            }
        }
        match self.take_chunk(needed, align) {
            Err(error) if self.release_spare(0) == 0 => Err(error),
            Err(_) => self.take_chunk(needed, align),
            taken => taken,
        }
    }

    /// Takes a span of at least `bytes` within the limit.
    pub(crate) fn take_chunk(&self, bytes: usize, align: usize) -> Result<Chunk, AllocError> {
        let within = |bytes: usize| {
            let sum = self.capacity_bytes.get().checked_add(bytes);
            sum.filter(|sum| *sum <= self.limit_bytes)
                .ok_or(AllocError::OwnerLimit {
                    limit_bytes: self.limit_bytes,
                })
        };
        within(bytes)?;
        let chunk = Chunk::take(self.pages(), bytes, align)?;
        match within(chunk.bytes()) {
            Ok(sum) => {
                self.capacity_bytes.set(sum);
                Ok(chunk)
            }
            Err(error) => {
                // SAFETY: taken above and shown to nobody.
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
        let chunk = self.take_chunk(bytes, CHUNK_END_ALIGN)?;
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
            // A chunk of its own, and nothing was taken since: it holds nothing else.
            if chunk.is_own() && chunk.contains(block.addr().get()) {
                self.in_use.pop();
                self.payload_bytes
                    .set(self.payload_bytes.get() - chunk.payload_bytes());
                let carved = chunk.open().carve(size, align, fresh_end(align, End::Down));
                let room = carved.map_or(0, |(_, window)| window.room());
                self.abandoned_bytes.set(self.abandoned_bytes.get() - room);
                self.make_spare(chunk);
            }
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
    /// zero. Such a block lies in the window's chunk, or in one that was taken for it just now.
    pub(crate) fn is_zeroed(&self, block: NonNull<u8>) -> bool {
        let chunks = [self.chunk.get(), self.in_use.head()];
        let holds = |chunk: &Chunk| chunk.contains(block.addr().get());
        let chunk = chunks.into_iter().flatten().find(holds);
        chunk.is_some_and(Chunk::is_pristine)
    }

    /// Whether the block may be resized in place: the last one of the low end. That is none of an
    /// outer scope: see `State::save`.
    #[inline]
    pub(crate) fn is_resizable(&self, block: NonNull<u8>, size: usize) -> bool {
        bumping::is_last(block.addr().get(), size, self.lo.get().addr().get())
    }

    /// Bytes handed out, padding included.
    pub(crate) fn used_bytes(&self) -> usize {
        self.payload_bytes.get() - self.abandoned_bytes.get() - self.window().room()
    }

    /// Bytes of all chunks of the root, headers included.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.root().capacity_bytes.get()
    }

    /// Whether `address` lies in what blocks were cut from: no part of the home or a chunk in use
    /// that is in the window.
    pub(crate) fn contains(&self, address: usize) -> bool {
        let within = |window: Window| {
            let range = window.lo.addr().get()..window.hi.addr().get();
            range.contains(&address)
        };
        let is_ours = within(self.home) || self.in_use.iter().any(|chunk| chunk.contains(address));
        is_ours && !within(self.window())
    }

    /// The arena this one is a claim of.
    pub(crate) fn parent(&self) -> Option<&State> {
        // SAFETY: a parent outlives its claims, and is shared with them (I7).
        self.parent.map(|parent| unsafe { parent.as_ref() })
    }

    /// The arena that has the spare chunks, the limit and the pages (I7).
    pub(crate) fn root(&self) -> &State {
        let mut state = self;
        while let Some(parent) = state.parent() {
            state = parent;
        }
        state
    }

    /// Whether the budget of the pages ran short since the arena last asked.
    pub(crate) fn is_pressed(&self) -> bool {
        let pressure = self.pages().pressure();
        self.pressure.replace(pressure) != pressure
    }

    pub(crate) fn stats(&self) -> ArenaStats {
        self.note_high_water(self.used_bytes());
        let spare_bytes = self.spare.iter().map(Chunk::bytes).sum();
        ArenaStats {
            used_bytes: self.used_bytes(),
            capacity_bytes: self.capacity_bytes(),
            spare_bytes,
            abandoned_bytes: self.abandoned_bytes.get(),
            high_water_bytes: self.high_water_bytes.get(),
            chunks: self.in_use.iter().count() + self.spare.iter().count(),
        }
    }

    pub(crate) fn pages(&self) -> &'static Pages {
        self.root().pages.unwrap_or_else(Pages::global)
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
