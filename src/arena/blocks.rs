//! Raw blocks by layout: what the `Allocator` traits are made of. They come from the low end, where
//! the last one can grow, shrink and go in place, also while objects are allocated at the other
//! (windows/resizing.rs, I1 and I2). Nothing here unwinds.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::arena::handle::Arena;
use crate::base::error::AllocError;

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
        unsafe { self.state.truncate(ptr, layout.size(), 0) };
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
