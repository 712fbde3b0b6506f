//! [`Flagstone`]: the process's heap as a `#[global_allocator]`. As an allocator handle it is in
//! `handle.rs`.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};

use crate::base::config::Config;
use crate::base::size_class::class_of;
use crate::heap::process::blocks::{allocate_class, free_slow, start_of, take_class};
use crate::heap::process::heaps::{current, trim_in_turn, with_heap};
use crate::heap::process::spans::{allocate_span, free_span};
use crate::heap::process::thread::ThreadHeap;
use crate::heap::resize::resize_slow;
use crate::pages::{Pages, Room};
use crate::slab::raw::slot_at;

/// The allocator of a process: each thread has its own bins, any thread may free any block.
///
/// ```
/// #[global_allocator]
/// static GLOBAL: flagstone::Flagstone = flagstone::Flagstone::new();
///
/// fn main() {
///     let lists: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
///     std::thread::spawn(move || drop(lists)).join().unwrap();
///     println!("{}", flagstone::stats());
///     flagstone::trim();
/// }
/// ```
///
/// Exhaustion returns null, and [`last_error`](crate::last_error) says which limit was hit. A
/// double free, a foreign pointer or a wrong layout that shows when a stack is flushed prints one
/// line and aborts; one that was handed out again before is not seen, unless
/// [`Check::Full`](crate::Check::Full) was chosen.
///
/// # Choices
/// [`Flagstone::with`] takes a [`Config`]. There is one heap per process, so the choices are the
/// process's, and the first `Flagstone` with choices that allocates decides. They take effect when
/// it allocates on a thread that did not allocate before, or a block above 32 KiB; for a
/// `#[global_allocator]` that is the process's first allocation. Every other `Flagstone`, with
/// choices or without, then uses the same heap as it is. Where one without choices was first, the
/// check stays [`Check::Fast`](crate::Check::Fast): blocks handed out before could not be checked.
/// A limit that [`set_limit`] set before stays.
///
/// # As a handle
/// `Flagstone` is `Copy` and an `Allocator` of allocator-api2: what it holds may be moved to and
/// dropped on any thread, beside whatever the process's global allocator is.
///
/// ```
/// use allocator_api2::{boxed::Box, vec::Vec};
/// use flagstone::Flagstone;
///
/// let mut numbers = Vec::new_in(Flagstone::new());
/// numbers.extend([1, 2, 3]);
/// let boxed = Box::new_in(numbers, Flagstone::new());
/// let sum = std::thread::spawn(move || boxed.iter().sum::<i32>()).join().unwrap();
/// assert_eq!(sum, 6);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Flagstone {
    pub(super) choices: Config,
}

/// Limits the bytes that all of the crate's default pages may hold; see [`Pages::set_limit`].
pub fn set_limit(limit_bytes: Option<usize>) {
    Pages::global().set_limit(limit_bytes);
}

/// Gives back what the calling thread and ended threads cache, what waits in the quarantine of
/// [`Check::Full`](crate::Check::Full), and all unused pages, also those between blocks in use (but
/// not with `Check::Full`, where freed memory is filled). Returns the bytes that the operating
/// system got back. What other running threads cache stays with them.
pub fn trim() -> usize {
    let holes = trim_in_turn(|| {
        // Without memory for a heap there is nothing to trim.
        with_heap(None, ThreadHeap::trim_whole).unwrap_or(0)
    });
    holes + Pages::global().trim()
}

impl Flagstone {
    /// The allocator. Nothing is mapped before the first allocation.
    pub const fn new() -> Flagstone {
        Flagstone {
            choices: Config::new(),
        }
    }

    /// The allocator with choices, which are the process's: see [`Flagstone`].
    ///
    /// ```
    /// use flagstone::{Check, Config, Flagstone};
    /// #[global_allocator]
    /// static GLOBAL: Flagstone = Flagstone::with(Config::new().check(Check::Full));
    /// # fn main() {}
    /// ```
    pub const fn with(choices: Config) -> Flagstone {
        Flagstone {
            choices: choices.chosen(),
        }
    }
}

impl Default for Flagstone {
    fn default() -> Flagstone {
        Flagstone::new()
    }
}

// SAFETY: blocks are as long and as aligned as their layout says (the classes' invariant I1), live
// until freed, and distinct. Nothing here unwinds.
unsafe impl GlobalAlloc for Flagstone {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_of(layout.size(), layout.align()) {
            Some(class) => take_class(class, self.choices),
            None => start_of(allocate_span(layout, Room::Fit, self.choices)),
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let block = match class_of(layout.size(), layout.align()) {
            Some(class) => allocate_class(class, self.choices),
            None => allocate_span(layout, Room::Fit, self.choices),
        };
        let Ok((block, zeroed)) = block else {
            return null_mut();
        };
        if !zeroed {
            // SAFETY: the block is ours and at least this long.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block.as_ptr()
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        match class_of(layout.size(), layout.align()) {
            Some(class) => {
                let address = ptr.addr();
                if !current().bins.bin(class).push(address) {
                    free_slow(class, address, self.choices);
                }
            }
            None => {
                if let Some(ptr) = NonNull::new(ptr) {
                    // SAFETY: the caller's promise.
                    unsafe { free_span(ptr, layout) };
                }
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises a size that, rounded up to the alignment, is valid.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let class = class_of(layout.size(), layout.align());
        if class.is_some() && class == class_of(new_size, layout.align()) {
            // Issued anew: the one given may be narrowed to the old length (by a Box, say).
            // SAFETY: a live slot's address.
            return unsafe { slot_at(ptr.addr()) }.as_ptr();
        }
        // SAFETY: the caller's promise: a live block, so not at 0.
        unsafe { resize_slow(self, NonNull::new_unchecked(ptr), layout, new) }
            .map_or(null_mut(), |block| block.cast().as_ptr())
    }
}
