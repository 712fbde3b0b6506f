//! Chunks and windows: the only place where spans become blocks.
//!
//! A chunk is a span whose last bytes are its header; the payload lies before it, so that it starts
//! where the span does and is as aligned as the span. A window is the free middle of one chunk.
//!
//! I1: a `Chunk` points at the header of a span that is taken and not yet released, or of a
//!     caller's buffer that is lent to an arena.
//! I2: in a window that is not empty, `lo` and `hi` lie in its chunk's payload, `lo <= hi`, both
//!     carry the provenance of the whole span, and no byte between them belongs to anybody.
//! I3: `is_own` says that a chunk holds one request, which may be taken back, and never became a
//!     window.
//! I4: a chunk is pristine while its span was taken zeroed and its window has only ever become
//!     smaller: so every byte of that window reads zero. Whoever widens a window, or makes one of
//!     a chunk that had one before, calls `set_used`.
//!
//! Knows nothing of lists of chunks, limits or values.

use core::alloc::Layout;
use core::cell::Cell;
use core::fmt;
use core::mem::size_of;
use core::ptr::NonNull;

use crate::arena::windows::bumping;
use crate::arena::windows::bumping::{CHUNK_BYTES_MIN, LOWEST_ADDRESS};
use crate::base::error::AllocError;
use crate::pages::Pages;

/// Set in `Header::bytes`, which is a multiple of 4 KiB, while the chunk is pristine (I4).
const PRISTINE: usize = 1;
/// What the end of every payload is aligned to: the largest minimum alignment an arena can have.
pub(crate) const CHUNK_END_ALIGN: usize = 16;
/// Bytes of a span that its header takes: one half of a cache line.
pub(crate) const HEADER_BYTES: usize = size_of::<Header>();

const _: () = assert!(HEADER_BYTES % CHUNK_END_ALIGN == 0);
const _: () = assert!(HEADER_BYTES <= 32);

/// What a chunk knows of itself. Cold: read and written on slow paths only.
struct Header {
    older: Cell<Option<Chunk>>,
    start: NonNull<u8>,
    /// Bytes of the span, and [`PRISTINE`].
    bytes: Cell<usize>,
    is_own: Cell<bool>,
}

/// A taken span with its header (I1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk(NonNull<Header>);

impl Chunk {
    /// Takes a span of at least `bytes` bytes, header included, and writes its header.
    pub(crate) fn take(
        pages: &'static Pages,
        bytes: usize,
        align: usize,
    ) -> Result<Chunk, AllocError> {
        let span = pages.take_span(bytes, align)?;
        let (start, bytes) = (span.ptr, span.bytes);
        let header = Header {
            older: Cell::new(None),
            start,
            bytes: Cell::new(bytes | if span.zeroed { PRISTINE } else { 0 }),
            is_own: Cell::new(false),
        };
        // SAFETY: spans are multiples of 4 KiB at multiples of 4 KiB, so the header fits, is
        // aligned, and the span is ours alone.
        unsafe {
            let at = start.byte_add(bytes - HEADER_BYTES).cast::<Header>();
            at.write(header);
            Ok(Chunk(at))
        }
    }

    /// Makes a chunk of a buffer that is nobody else's; `None` when it is too small for a header
    /// and a block. It is never given back to any pages.
    ///
    /// # Safety
    /// The buffer is exclusively the chunk's for as long as the chunk or a window of it is used.
    pub(crate) unsafe fn over(buffer: NonNull<[u8]>) -> Option<Chunk> {
        let first = buffer.cast::<u8>();
        let skip = first.addr().get().wrapping_neg() % CHUNK_END_ALIGN;
        let room = buffer.len().checked_sub(skip)? & !(CHUNK_END_ALIGN - 1);
        // Memory at the very bottom exists where there is no operating system; see bumping.rs.
        if room <= HEADER_BYTES || first.addr().get() < LOWEST_ADDRESS {
            return None;
        }
        // SAFETY: both lie within the buffer, the header at its end, aligned, by the lines above.
        unsafe {
            let start = first.byte_add(skip);
            let at = start.byte_add(room - HEADER_BYTES).cast::<Header>();
            at.write(Header {
                older: Cell::new(None),
                start,
                bytes: Cell::new(room),
                is_own: Cell::new(false),
            });
            Some(Chunk(at))
        }
    }

    /// Gives the span back.
    ///
    /// # Safety
    /// `pages` is where it was taken, nobody keeps a copy of this `Chunk` or a window of it, and
    /// every block in it is dead.
    pub(crate) unsafe fn release(self, pages: &'static Pages) {
        let (start, bytes) = (self.header().start, self.bytes());
        // SAFETY: the very span that was taken; the caller promises that its use is over.
        unsafe { pages.release_span(start, bytes) };
    }

    /// The whole payload as a window.
    pub(crate) fn open(self) -> Window {
        let start = self.header().start;
        self.header().is_own.set(false);
        Window {
            lo: start,
            hi: self.0.cast(),
            chunk: Some(self),
        }
    }

    /// The bytes of the span, header included.
    pub(crate) fn bytes(self) -> usize {
        self.header().bytes.get() & !PRISTINE
    }

    /// Whether every byte of the chunk's window reads zero (I4).
    pub(crate) fn is_pristine(self) -> bool {
        self.header().bytes.get() & PRISTINE != 0
    }

    /// Its window is about to take in bytes that were handed out before (I4).
    pub(crate) fn set_used(self) {
        self.header().bytes.set(self.bytes());
    }

    /// The bytes between the start of the span and the header.
    pub(crate) fn payload_bytes(self) -> usize {
        self.bytes() - HEADER_BYTES
    }

    /// Whether `address` lies in the payload.
    pub(crate) fn contains(self, address: usize) -> bool {
        address.wrapping_sub(self.header().start.addr().get()) < self.payload_bytes()
    }

    /// Marks a chunk that holds one request and never became a window (I3).
    pub(crate) fn set_own(self) {
        self.header().is_own.set(true);
    }

    /// A savepoint counts from this chunk: what it was taken for is not taken back any more.
    pub(crate) fn set_marked(self) {
        self.header().is_own.set(false);
    }

    /// Whether the chunk holds one request, which may be taken back, and never became a window.
    pub(crate) fn is_own(self) -> bool {
        self.header().is_own.get()
    }

    fn header(&self) -> &Header {
        // SAFETY: I1; nothing but this file refers to the header, and only through its cells.
        unsafe { self.0.as_ref() }
    }
}

/// The free middle of a chunk, or nothing (I2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) lo: NonNull<u8>,
    pub(crate) hi: NonNull<u8>,
    pub(crate) chunk: Option<Chunk>,
}

/// Which end of a window a block is cut from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The low end: growing buffers and byte strings, packed.
    Up,
    /// The high end: objects, aligned to the arena's minimum.
    Down,
}

/// A well aligned address for the empty window, whose two ends coincide.
#[repr(align(4096))]
struct Nowhere;

const _: () = assert!(align_of::<Nowhere>() == LOWEST_ADDRESS);

impl Window {
    /// Room for nothing: every request but one of zero bytes fails.
    pub(crate) const EMPTY: Window = Window {
        lo: NonNull::<Nowhere>::dangling().cast(),
        hi: NonNull::<Nowhere>::dangling().cast(),
        chunk: None,
    };

    /// Free bytes.
    pub(crate) fn room(&self) -> usize {
        self.hi.addr().get() - self.lo.addr().get()
    }

    /// Cuts a block off one end.
    #[inline]
    pub(crate) fn carve(
        mut self,
        size: usize,
        align: usize,
        end: End,
    ) -> Option<(NonNull<u8>, Window)> {
        let block = match end {
            End::Down => {
                self.hi = carve_down::<1>(self.lo, self.hi, size, align)?;
                self.hi
            }
            End::Up => {
                let (block, lo) = carve_up(self.lo, self.hi, size, align)?;
                self.lo = lo;
                block
            }
        };
        Some((block, self))
    }
}

/// The block of `size` bytes below `hi`, whose start is the new `hi`.
///
/// `lo` and `hi` are a window's (I2), `hi` a multiple of `MIN_ALIGN`, and so is the result.
#[inline(always)]
pub(crate) fn carve_down<const MIN_ALIGN: usize>(
    lo: NonNull<u8>,
    hi: NonNull<u8>,
    size: usize,
    align: usize,
) -> Option<NonNull<u8>> {
    let new = bumping::down::<MIN_ALIGN>(lo.addr().get(), hi.addr().get(), size, align)?;
    // SAFETY: between `lo` and `hi` (bumping's I1), so in their span (I2). A step within it, rather
    // than a new address, tells the compiler that the pointer is not null: no test in `Option`.
    Some(unsafe { hi.byte_sub(hi.addr().get() - new) })
}

/// [`carve_down`] for a `T`, whose layout is a constant.
#[inline(always)]
pub(crate) fn carve_value<T, const MIN_ALIGN: usize>(
    lo: NonNull<u8>,
    hi: NonNull<u8>,
) -> Option<NonNull<u8>> {
    if !const { bumping::is_small::<MIN_ALIGN>(size_of::<T>(), align_of::<T>()) } {
        return carve_down::<MIN_ALIGN>(lo, hi, size_of::<T>(), align_of::<T>());
    }
    let (low, high) = (lo.addr().get(), hi.addr().get());
    let new = bumping::down_small::<MIN_ALIGN>(low, high, size_of::<T>(), align_of::<T>())?;
    // SAFETY: between `lo` and `hi` (bumping's I1), so in their span (I2). A step within it, rather
    // than a new address, tells the compiler that the pointer is not null: no test in `Option`.
    Some(unsafe { hi.byte_sub(hi.addr().get() - new) })
}

/// Whether the block of a `T` from a new chunk is that chunk's new high end, and the chunk the new
/// window: not for what is large enough for a chunk of its own, nor for what is aligned to more
/// than the end of a chunk and so cut from its start. (`State::end_at` is for when it is not so.)
pub(crate) const fn is_found_at_the_end<T>() -> bool {
    size_of::<T>() > 0
        && !bumping::gets_own_span(size_of::<T>(), CHUNK_BYTES_MIN)
        && align_of::<T>() <= CHUNK_END_ALIGN
}

/// The block of `size` bytes above `lo`, and the new `lo` behind it.
///
/// `lo` and `hi` are a window's (I2).
#[inline(always)]
pub(crate) fn carve_up(
    lo: NonNull<u8>,
    hi: NonNull<u8>,
    size: usize,
    align: usize,
) -> Option<(NonNull<u8>, NonNull<u8>)> {
    let start = bumping::up(lo.addr().get(), hi.addr().get(), size, align)?;
    // SAFETY: the block lies between `lo` and `hi` (bumping's I1), in one span (I2).
    unsafe {
        let block = lo.byte_add(start - lo.addr().get());
        Some((block, block.byte_add(size)))
    }
}

/// [`carve_up`] for bytes, whose block starts at `lo`: the new `lo`.
#[inline(always)]
pub(crate) fn carve_packed(lo: NonNull<u8>, hi: NonNull<u8>, size: usize) -> Option<NonNull<u8>> {
    let end = bumping::up_packed(lo.addr().get(), hi.addr().get(), size)?;
    // SAFETY: the block lies between `lo` and `hi` (bumping's I1), in one span (I2).
    Some(unsafe { lo.byte_add(end - lo.addr().get()) })
}

/// A stack of chunks, linked through their headers, newest first.
pub(crate) struct ChunkList(Cell<Option<Chunk>>);

impl ChunkList {
    pub(crate) const fn new() -> ChunkList {
        ChunkList(Cell::new(None))
    }

    pub(crate) fn head(&self) -> Option<Chunk> {
        self.0.get()
    }

    pub(crate) fn push(&self, chunk: Chunk) {
        chunk.header().older.set(self.0.get());
        self.0.set(Some(chunk));
    }

    pub(crate) fn pop(&self) -> Option<Chunk> {
        let chunk = self.0.get()?;
        self.0.set(chunk.header().older.get());
        Some(chunk)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Chunk> + use<> {
        core::iter::successors(self.0.get(), |chunk| chunk.header().older.get())
    }

    /// Unlinks a chunk of this list.
    pub(crate) fn remove(&self, chunk: Chunk) {
        let older = chunk.header().older.get();
        match self
            .iter()
            .find(|newer| newer.header().older.get() == Some(chunk))
        {
            Some(newer) => newer.header().older.set(older),
            None => self.0.set(older),
        }
    }

    /// Puts every chunk of `other` behind this list's, in order, and leaves `other` empty.
    pub(crate) fn append(&self, other: &ChunkList) {
        let moved = other.0.take();
        match self.iter().last() {
            Some(oldest) => oldest.header().older.set(moved),
            None => self.0.set(moved),
        }
    }
}

impl fmt::Debug for ChunkList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(Chunk::bytes))
            .finish()
    }
}

/// The alignment of a slow request: at least the minimum, so that `hi` stays a multiple of it.
#[inline(always)]
pub(crate) fn raised<const MIN_ALIGN: usize>(layout: Layout) -> usize {
    if layout.align() > MIN_ALIGN {
        layout.align()
    } else {
        MIN_ALIGN
    }
}

/// The end for slices of `T`: bytes need no alignment, so they are packed at the low one.
pub(crate) const fn end_of<T>() -> End {
    if align_of::<T>() == 1 {
        End::Up
    } else {
        End::Down
    }
}
