//! One block of the process's allocator, and how a user touches it.
//!
//! Blocks are taken with the size and alignment that they are given back with, so that allocators
//! which know sizes may use them. A block may be freed by any thread.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// A block with a tag in it; freed when dropped.
#[derive(Debug)]
pub struct Block {
    start: NonNull<u8>,
    size: u32,
    align: u32,
}

// SAFETY: a block has one owner, and `GlobalAlloc` lets any thread free.
unsafe impl Send for Block {}

impl Block {
    /// A block of `size` bytes (at least one), written as a user would: all of a small one, the
    /// first and last word of a large one.
    #[inline]
    pub fn new(size: usize, align: usize, tag: u64) -> Block {
        let block = Block::unwritten(size, align);
        let start = block.start.as_ptr();
        // SAFETY: the block has `size` bytes; those longer than a cache line have both words.
        unsafe {
            if size <= 64 {
                start.write_bytes(tag as u8, size);
            } else {
                start.cast::<u64>().write_unaligned(tag);
                // Big-endian, so that the last byte is the tag's lowest everywhere.
                let last = start.add(size - 8).cast::<[u8; 8]>();
                last.write_unaligned(tag.to_be_bytes());
            }
        }
        block
    }

    /// A block of which every byte is written.
    #[inline]
    pub fn filled(size: usize, align: usize, tag: u64) -> Block {
        let block = Block::unwritten(size, align);
        // SAFETY: the block has `size` bytes.
        unsafe { block.start.as_ptr().write_bytes(tag as u8, size) };
        block
    }

    /// A block with one byte of every 4 KiB written.
    pub fn paged(size: usize, align: usize, tag: u64) -> Block {
        let block = Block::unwritten(size, align);
        for offset in (0..size).step_by(4096).chain([size - 1]) {
            // SAFETY: the offset is inside the block's `size` bytes.
            unsafe { block.start.as_ptr().add(offset).write_volatile(tag as u8) };
        }
        block
    }

    #[inline]
    fn unwritten(size: usize, align: usize) -> Block {
        let layout = Layout::from_size_align(size, align).expect("a layout");
        assert!(size > 0, "no workload asks for nothing");
        // SAFETY: the size is not zero.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else {
            handle_alloc_error(layout);
        };
        Block {
            start,
            size: size as u32,
            align: align as u32,
        }
    }

    /// The last byte, which every way to make a block has written.
    #[inline]
    pub fn tag(&self) -> u64 {
        // SAFETY: a block has at least one byte, and its last one was written.
        unsafe { u64::from(self.start.add(self.size as usize - 1).read()) }
    }

    /// Frees it and returns its tag.
    #[inline]
    pub fn free(self) -> u64 {
        self.tag()
    }

    /// Adds one to the first byte, `times` times, through memory.
    pub fn hammer(&mut self, times: usize) {
        let first = self.start.as_ptr();
        for _ in 0..times {
            // SAFETY: a block has at least one byte, and `&mut` is the only way to it.
            unsafe { first.write_volatile(first.read_volatile().wrapping_add(1)) };
        }
    }
}

impl Drop for Block {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: made with this layout by `unwritten`, which checked it.
        unsafe {
            let layout = Layout::from_size_align_unchecked(self.size as usize, self.align as usize);
            dealloc(self.start.as_ptr(), layout);
        }
    }
}
