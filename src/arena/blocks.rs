//! Raw blocks by layout: what the `Allocator` traits and the growing collections are made of. They come from the low end, where
//! the last one can grow, shrink and go in place, also while objects are allocated at the other.
//!
//! I1: a block is resized in place only when it is the last of the low end and not of an outer
//!     scope (`State::is_resizable`).
//! I2: only addresses are taken from the pointers that come in; pointers that go out are made from
//!     the window's own, because a container hands back pointers that are narrowed to its contents.
//!
//! Nothing here unwinds.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::arena::bumping;
use crate::arena::handle::Arena;
use crate::arena::state::State;
use crate::base::error::AllocError;
use crate::base::trap::refused;

/// Fewer bytes are cleared sooner than it is known whether they are zero: four cache lines.
const ASK_BYTES_MIN: usize = 256;

impl<const MIN_ALIGN: usize> Arena<MIN_ALIGN> {
    /// A block of `layout`, uninitialised. The slice is exactly `layout.size()` long.
    ///
    /// ```
    /// let arena = flagstone::Arena::new();
    /// let layout = std::alloc::Layout::new::<[u32; 4]>();
    /// let block = arena.allocate(layout)?;
    /// assert_eq!(block.len(), 16);
    /// # Ok::<(), flagstone::AllocError>(())
    /// ```
    ///
    /// # Errors
    /// The limit that was hit, or that the layout is too large for any.
    #[inline]
    pub fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.state.try_reserve_up(layout)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    /// A block of `layout`, all zero. Memory fresh from the operating system is not cleared again.
    ///
    /// # Errors
    /// The limit that was hit, or that the layout is too large for any.
    #[inline]
    pub fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate(layout)?;
        // SAFETY: a fresh block of so many bytes.
        unsafe { self.state.zero(block.cast(), 0, layout.size()) };
        Ok(block)
    }

    /// Ends a block. Its memory is free at once when it is the last one of its end, else at the
    /// next reset.
    ///
    /// # Safety
    /// `ptr` came from this arena's `allocate`, `grow` or `shrink` since the last reset (and in a
    /// scope that is still open) with `layout`, and is not used any more.
    #[inline]
    pub unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.state.resize(ptr, layout, 0) };
    }

    /// Makes a block larger: in place when it is the last one of its end and fits, else by copying.
    ///
    /// # Safety
    /// As for [`Arena::deallocate`], with `old`; `new.size() >= old.size()`. When this succeeds,
    /// only the block that comes back is alive.
    ///
    /// # Errors
    /// The limit that was hit; the old block is unchanged then.
    #[inline]
    pub unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        let block = unsafe { self.state.grow(ptr, old, new)? };
        Ok(NonNull::slice_from_raw_parts(block, new.size()))
    }

    /// [`Arena::grow`], with zeroes behind the old contents.
    ///
    /// # Safety
    /// As for [`Arena::grow`].
    ///
    /// # Errors
    /// The limit that was hit; the old block is unchanged then.
    #[inline]
    pub unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise; the tail lies within the new block.
        unsafe {
            let block = self.state.grow(ptr, old, new)?;
            self.state.zero(block, old.size(), new.size());
            Ok(NonNull::slice_from_raw_parts(block, new.size()))
        }
    }

    /// Makes a block smaller, in place unless `new` is aligned to more than the block happens to
    /// be. The tail is free at once when the block is the last one of its end.
    ///
    /// # Safety
    /// As for [`Arena::deallocate`], with `old`; `new.size() <= old.size()`. When this succeeds,
    /// only the block that comes back is alive.
    ///
    /// # Errors
    /// The limit that was hit (when the block has to move); it is unchanged then.
    #[inline]
    pub unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        let block = unsafe { self.state.shrink(ptr, old, new)? };
        Ok(NonNull::slice_from_raw_parts(block, new.size()))
    }
}

impl State {
    /// Makes the bytes `from..to` of a block read zero, unless they do because nobody had them
    /// since their span was claimed.
    ///
    /// # Safety
    /// The block came last from the low end and has `to` bytes, those from `from` on fresh.
    #[inline]
    unsafe fn zero(&self, block: NonNull<u8>, from: usize, to: usize) {
        let bytes = to - from;
        // SAFETY: the caller's promise.
        unsafe {
            let fresh = block.byte_add(from);
            if bytes >= ASK_BYTES_MIN && self.is_zeroed(block) {
                debug_assert!((0..bytes).all(|index| fresh.byte_add(index).read() == 0));
            } else {
                fresh.write_bytes(0, bytes);
            }
        }
    }

    /// Sets the size of a block in place, if it is the last of the low end and `size` fits.
    /// Returns the block with the window's provenance.
    ///
    /// # Safety
    /// `ptr` is a live block of this arena of `old`; bytes above `size` are not used any more.
    #[inline]
    pub(crate) unsafe fn resize(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        size: usize,
    ) -> Option<NonNull<u8>> {
        if old.size() == 0 || !self.is_resizable(ptr, old.size()) {
            return None;
        }
        // SAFETY: the block ends where the low end stands (I1), so its start is in the same span.
        let block = unsafe { self.lo.get().byte_sub(old.size()) };
        let (start, hi) = (block.addr().get(), self.hi.get().addr().get());
        bumping::up(start, hi, size, 1)?;
        if size < old.size() {
            self.set_used();
        }
        // SAFETY: `size` bytes fit between the start of the block and the high end.
        self.lo.set(unsafe { block.byte_add(size) });
        Some(block)
    }

    /// See [`Arena::grow`].
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        if bumping::is_aligned(ptr.addr().get(), new.align()) {
            // SAFETY: the caller's promise; growing ends no byte.
            if let Some(block) = unsafe { self.resize(ptr, old, new.size()) } {
                return Ok(block);
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.relocate(ptr, old, new) }
    }

    /// See [`Arena::shrink`].
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        if !bumping::is_aligned(ptr.addr().get(), new.align()) {
            // SAFETY: the caller's promise.
            return unsafe { self.relocate(ptr, old, new) };
        }
        // SAFETY: the caller's promise. A block that is not the last keeps its tail.
        Ok(unsafe { self.resize(ptr, old, new.size()) }.unwrap_or(ptr))
    }

    /// Moves a block.
    ///
    /// # Safety
    /// `ptr` is a live block of `old`; when this succeeds it is not used any more.
    unsafe fn relocate(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        let block = self.try_reserve_up(new)?;
        let bytes = old.size().min(new.size());
        // SAFETY: both blocks are alive and distinct, and hold at least so many bytes.
        unsafe { block.as_ptr().copy_from_nonoverlapping(ptr.as_ptr(), bytes) };
        Ok(block)
    }
}

impl State {
    /// A buffer for at least `needed` elements, and how many it holds, in place of one for
    /// `capacity`, whose elements move with it.
    ///
    /// # Safety
    /// `buffer` is a live block of the low end for `capacity` elements, or anything when that is 0
    /// or the elements have no size; it is not used any more when this succeeds.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn grow_buffer(
        &self,
        buffer: NonNull<u8>,
        capacity: usize,
        needed: usize,
        element: Layout,
    ) -> Result<(NonNull<u8>, usize), AllocError> {
        let grown = bumping::buffer_capacity(capacity, needed, element.size());
        // SAFETY: the caller's promise.
        let block = unsafe { self.resize_buffer(buffer, capacity, grown, element)? };
        Ok((block, grown))
    }

    /// [`State::grow_buffer`] for the infallible forms.
    ///
    /// # Safety
    /// As there.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn grow_buffer_or_refuse(
        &self,
        buffer: NonNull<u8>,
        capacity: usize,
        needed: usize,
        element: Layout,
    ) -> (NonNull<u8>, usize) {
        // SAFETY: the caller's promise.
        match unsafe { self.grow_buffer(buffer, capacity, needed, element) } {
            Ok(grown) => grown,
            Err(error) => refused(error),
        }
    }

    /// A buffer for `wanted` elements in place of one for `capacity`, which is fewer.
    ///
    /// # Safety
    /// As for [`State::grow_buffer`].
    pub(crate) unsafe fn resize_buffer(
        &self,
        buffer: NonNull<u8>,
        capacity: usize,
        wanted: usize,
        element: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        let bytes = element.size().checked_mul(wanted);
        // Values without a size fill a vector at `usize::MAX`.
        let bytes = bytes
            .filter(|&bytes| bytes > 0)
            .ok_or(AllocError::LayoutTooLarge)?;
        let new = Layout::from_size_align(bytes, element.align())
            .map_err(|_| AllocError::LayoutTooLarge)?;
        if capacity == 0 {
            return self.try_reserve_up(new);
        }
        // SAFETY: smaller than `new`, of the same alignment; the caller's promise.
        unsafe {
            let bytes = element.size() * capacity;
            let old = Layout::from_size_align_unchecked(bytes, element.align());
            self.grow(buffer, old, new)
        }
    }
}
