//! Blocks and buffers of the low end change their length: in place where they are the last one,
//! else by moving.
//!
//! I1: a block is resized in place only when it is the last of the low end and not of an outer
//!     scope (`State::is_resizable`).
//! I2: only addresses are taken from the pointers that come in; pointers that go out are made from
//!     the window's own, because a container hands back pointers that are narrowed to its contents.
//!
//! Nothing here unwinds but `grow_buffer_or_refuse`.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::arena::windows::bumping;
use crate::arena::windows::chunk::End;
use crate::arena::windows::copying;
use crate::arena::windows::state::State;
use crate::base::error::AllocError;
use crate::base::trap::refused;

/// Fewer bytes are cleared sooner than it is known whether they are zero: four cache lines.
const ASK_BYTES_MIN: usize = 256;

impl State {
    /// Makes the bytes `from..to` of a block read zero, unless they do because nobody had them
    /// since their span was taken.
    ///
    /// # Safety
    /// The block came last from the low end and has `to` bytes, those from `from` on fresh.
    #[inline]
    pub(crate) unsafe fn zero(&self, block: NonNull<u8>, from: usize, to: usize) {
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

    /// Makes a block of `old` bytes larger in place, if it is the last of the low end and `size`
    /// bytes fit. Returns it with the window's provenance.
    #[inline(always)]
    fn extend(&self, ptr: NonNull<u8>, old: usize, size: usize) -> Option<NonNull<u8>> {
        if !self.is_resizable(ptr, old) {
            return None;
        }
        // The block ends where the low end stands (I1), so it starts in the window's span.
        let block = self.lo.get().with_addr(ptr.addr());
        bumping::up(block.addr().get(), self.hi.get().addr().get(), size, 1)?;
        // SAFETY: `size` bytes fit between the start of the block and the high end.
        self.lo.set(unsafe { block.byte_add(size) });
        Some(block)
    }

    /// Gives the bytes of a block from `size` on back, if it is the last of the low end.
    ///
    /// # Safety
    /// `ptr` is a live block of this arena of `old >= size` bytes; those above `size` are not used
    /// any more.
    #[inline(always)]
    pub(crate) unsafe fn truncate(&self, ptr: NonNull<u8>, old: usize, size: usize) {
        if self.is_resizable(ptr, old) {
            // SAFETY: the block ends where the low end stands (I1), so it lies in its span.
            self.lo
                .set(unsafe { self.lo.get().with_addr(ptr.addr()).byte_add(size) });
            self.set_used();
        }
    }

    /// See [`Arena::grow`].
    ///
    /// # Safety
    /// As there.
    #[inline]
    pub(crate) unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        if bumping::is_aligned(ptr.addr().get(), new.align()) {
            if let Some(block) = self.extend(ptr, old.size(), new.size()) {
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
    #[inline]
    pub(crate) unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        // SAFETY: the caller's promise. A block that is not the last keeps its tail.
        unsafe {
            if !bumping::is_aligned(ptr.addr().get(), new.align()) {
                return self.relocate(ptr, old, new);
            }
            self.truncate(ptr, old.size(), new.size());
        }
        Ok(ptr)
    }

    /// Moves a block, or as much of it as is still wanted.
    ///
    /// # Safety
    /// `ptr` is a live block of `old`, or anything if that has no size. When this succeeds it is
    /// not used any more.
    #[inline(always)]
    unsafe fn relocate(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        let mut why = AllocError::LayoutTooLarge;
        // SAFETY: the caller's promise.
        unsafe { self.relocate_or(ptr, old, new, &mut why) }.ok_or(why)
    }

    /// [`State::relocate`], with its arguments in the order in which those of [`Arena::grow`] come,
    /// so that the way without it moves none of them.
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    unsafe fn relocate_or(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
        why: &mut AllocError,
    ) -> Option<NonNull<u8>> {
        let block = match self.fast_up(new) {
            Some(block) => block,
            None => self.slow_up(new, why)?,
        };
        let bytes = old.size().min(new.size());
        // SAFETY: both blocks are alive and distinct, and hold at least so many bytes.
        unsafe { copying::copy::<u8>(ptr.as_ptr(), block.as_ptr(), bytes, End::Up) };
        Some(block)
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
        // SAFETY: the caller's promise.
        if let Some(grown) = unsafe { self.grow_buffer_here(buffer, capacity, needed, element) } {
            return Ok(grown);
        }
        let wanted = self.wanted(buffer, capacity, needed, element);
        // SAFETY: the caller's promise.
        let resize = |count| unsafe { self.resize_buffer(buffer, capacity, count, element) };
        match resize(wanted) {
            Ok(block) => Ok((block, wanted)),
            // Near a limit there may still be room for what is needed.
            Err(_) if needed < wanted => Ok((resize(needed)?, needed)),
            Err(error) => Err(error),
        }
    }

    /// How many elements a buffer that is to hold `needed` gets room for.
    #[inline(always)]
    fn wanted(
        &self,
        buffer: NonNull<u8>,
        capacity: usize,
        needed: usize,
        element: Layout,
    ) -> usize {
        let bytes = element.size() * capacity;
        let stays = bytes == 0 || self.is_resizable(buffer, bytes);
        bumping::buffer_capacity(capacity, needed, element.size(), stays)
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
        unsafe {
            if let Some(grown) = self.grow_buffer_here(buffer, capacity, needed, element) {
                return grown;
            }
            match self.grow_buffer(buffer, capacity, needed, element) {
                Ok(grown) => grown,
                Err(error) => refused(error),
            }
        }
    }

    /// [`State::grow_buffer`] within the window, in place or not: nothing of it can be refused.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn grow_buffer_here(
        &self,
        buffer: NonNull<u8>,
        capacity: usize,
        needed: usize,
        element: Layout,
    ) -> Option<(NonNull<u8>, usize)> {
        let wanted = self.wanted(buffer, capacity, needed, element);
        let (bytes, new) = (element.size() * capacity, array(element, wanted)?);
        if let Some(block) = self.extend(buffer, bytes, new.size()) {
            return Some((block, wanted));
        }
        let block = self.fast_up(new)?;
        // SAFETY: both blocks are alive and distinct, and hold at least so many bytes.
        unsafe { copying::copy::<u8>(buffer.as_ptr(), block.as_ptr(), bytes, End::Up) };
        Some((block, wanted))
    }

    /// A buffer for `wanted` elements in place of one for `capacity`, which is fewer.
    ///
    /// # Safety
    /// As for [`State::grow_buffer`].
    #[inline]
    pub(crate) unsafe fn resize_buffer(
        &self,
        buffer: NonNull<u8>,
        capacity: usize,
        wanted: usize,
        element: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        let new = array(element, wanted).ok_or(AllocError::LayoutTooLarge)?;
        let bytes = element.size() * capacity;
        match self.extend(buffer, bytes, new.size()) {
            Some(block) => Ok(block),
            // SAFETY: the caller's promise.
            None => unsafe {
                let old = Layout::from_size_align_unchecked(bytes, new.align());
                self.relocate(buffer, old, new)
            },
        }
    }
}

/// The layout of `len` elements; `None` where there is none, or for elements without a size: their
/// vectors are full at `usize::MAX`.
#[inline(always)]
fn array(element: Layout, len: usize) -> Option<Layout> {
    let bytes = element.size().checked_mul(len)?;
    Layout::from_size_align(bytes, element.align())
        .ok()
        .filter(|layout| layout.size() > 0)
}
