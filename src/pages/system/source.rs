//! Where pages come from: the [`PageSource`] trait and its two back ends.
//!
//! * [`MmapSource`] reserves address space with memmap2 and returns pages with `MADV_DONTNEED`.
//! * [`HeapSource`] takes blocks from [`std::alloc::System`] (without `std`: from the registered
//!   global allocator). It serves Miri, platforms without mmap or with pages other than 4 KiB, and
//!   tests. It never returns pages early.
//!
//! A [`Reservation`] owns its memory and gives it back when dropped.
//! I1: `base..base + bytes` is readable, writable and reads as zero when the reservation is made.
//! I2: advice reaches only whole pages inside the reservation. memmap2 0.9.12 checks neither end
//! nor alignment exactly (an offset in range with a length past the end is passed on, an unaligned
//! offset is rounded down), so [`Reservation::purge`] checks both itself.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use crate::base::geometry::PAGE_BYTES;
use crate::pages::system::map::Map;

/// Gives out address space in large pieces. The seam for fault injection: a test wraps a source and
/// refuses by number.
///
/// ```
/// use flagstone::pages::{HeapSource, PageSource, Reservation};
/// #[derive(Debug)]
/// struct Refusing;
/// // SAFETY: hands out what `HeapSource` hands out, or nothing.
/// unsafe impl PageSource for Refusing {
///     fn reserve(&self, bytes: usize) -> Option<Reservation> {
///         if bytes > 16 << 20 { None } else { HeapSource.reserve(bytes) }
///     }
/// }
/// assert!(Refusing.reserve(17 << 20).is_none());
/// ```
///
/// # Safety
/// `reserve` returns a reservation whose bytes all read as zero and that no one else uses; `purge`
/// returns `true` only if the range reads as zero afterwards.
pub unsafe trait PageSource: Sync + fmt::Debug {
    /// Reserves `bytes` bytes, or `None` where the system refuses.
    fn reserve(&self, bytes: usize) -> Option<Reservation>;

    /// Gives the pages of a range back to the system while keeping the address space. Returns
    /// whether the range now reads as zero and holds no memory.
    ///
    /// # Safety
    /// `reservation` came from this source, and nobody needs the contents of the range.
    unsafe fn purge(&self, reservation: &Reservation, offset: usize, bytes: usize) -> bool {
        // SAFETY: the caller gave up the contents.
        unsafe { reservation.purge(offset, bytes) }
    }

    /// Makes a reservation longer without copying what lies in it, moving it to other addresses if
    /// it must be. Returns whether it now has `bytes` bytes; those added read as zero. Nothing is
    /// changed otherwise. A source that cannot do that need not.
    ///
    /// # Safety
    /// `reservation` came from this source, and nobody uses a pointer into it meanwhile, or
    /// afterwards if it moved.
    unsafe fn resize(&self, reservation: &mut Reservation, bytes: usize) -> bool {
        let _ = (reservation, bytes);
        false
    }
}

/// One mapping (or block) obtained by a [`PageSource`]; released when dropped.
#[derive(Debug)]
pub struct Reservation {
    backing: Backing,
}

#[derive(Debug)]
enum Backing {
    #[cfg_attr(
        not(feature = "std"),
        expect(dead_code, reason = "nothing maps without std")
    )]
    Mapped(Map),
    Block {
        base: NonNull<u8>,
        layout: Layout,
    },
}

// SAFETY: a reservation owns its memory and hands out only a pointer; whoever dereferences it
// answers for the accesses.
unsafe impl Send for Reservation {}
// SAFETY: as above; `&Reservation` reads two fields and passes advice to the system.
unsafe impl Sync for Reservation {}

impl Reservation {
    /// The first byte; page-aligned for [`MmapSource`], 16-aligned for [`HeapSource`].
    pub fn base(&self) -> NonNull<u8> {
        match &self.backing {
            Backing::Mapped(map) => map.base(),
            Backing::Block { base, .. } => *base,
        }
    }

    /// Its length in bytes.
    pub fn bytes(&self) -> usize {
        match &self.backing {
            Backing::Mapped(map) => map.bytes(),
            Backing::Block { layout, .. } => layout.size(),
        }
    }

    /// Returns the pages of `offset..offset + bytes` to the system. `true` if they now read as
    /// zero and hold no memory. A range that is not made of whole pages inside the reservation is
    /// refused with `false` (I2).
    ///
    /// # Safety
    /// Nobody needs the contents of the range.
    pub unsafe fn purge(&self, offset: usize, bytes: usize) -> bool {
        if !self.holds_pages(offset, bytes) {
            return false;
        }
        match &self.backing {
            // SAFETY: the range was checked above (I2); the caller gave up its contents.
            Backing::Mapped(map) => unsafe { map.purge(offset, bytes) },
            Backing::Block { .. } => false,
        }
    }
}

impl Reservation {
    /// Whether `offset..offset + bytes` is made of whole pages inside the reservation (I2).
    fn holds_pages(&self, offset: usize, bytes: usize) -> bool {
        let aligned = offset % PAGE_BYTES == 0 && bytes % PAGE_BYTES == 0;
        let inside = offset <= self.bytes() && bytes <= self.bytes() - offset;
        bytes > 0 && aligned && inside
    }

    /// See [`PageSource::resize`].
    ///
    /// # Safety
    /// As there.
    #[cfg(feature = "std")]
    unsafe fn resize(&mut self, bytes: usize) -> bool {
        match &mut self.backing {
            // SAFETY: the caller's promise.
            Backing::Mapped(map) => unsafe { map.resize(bytes) },
            Backing::Block { .. } => false,
        }
    }

    /// Asks for transparent huge pages in a range of whole pages. Whether the system took it up.
    pub(crate) fn advise_huge(&self, offset: usize, bytes: usize) -> bool {
        self.holds_pages(offset, bytes)
            && match &self.backing {
                Backing::Mapped(map) => map.advise_huge(offset, bytes),
                Backing::Block { .. } => false,
            }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        match &self.backing {
            // The map unmaps itself.
            Backing::Mapped(_) => {}
            // SAFETY: `base` came from `block_allocate` with this layout and is freed once, here.
            Backing::Block { base, layout } => unsafe { block_free(*base, *layout) },
        }
    }
}

/// Address space from the operating system, through memmap2. Where pages are not 4 KiB it falls
/// back to [`HeapSource`].
///
/// ```
/// use flagstone::pages::{MmapSource, PageSource};
/// let reservation = MmapSource.reserve(1 << 20).expect("a megabyte of address space");
/// assert!(reservation.bytes() >= 1 << 20);
/// ```
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, Default)]
pub struct MmapSource;

// SAFETY: fresh anonymous maps read as zero and belong to the caller; purge is the default.
#[cfg(feature = "std")]
unsafe impl PageSource for MmapSource {
    fn reserve(&self, bytes: usize) -> Option<Reservation> {
        if !Map::is_available() {
            return HeapSource.reserve(bytes);
        }
        let backing = Backing::Mapped(Map::reserve(bytes)?);
        Some(Reservation { backing })
    }

    unsafe fn resize(&self, reservation: &mut Reservation, bytes: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { reservation.resize(bytes) }
    }
}

/// Blocks from [`std::alloc::System`] (without `std`: from the global allocator), zeroed.
///
/// ```
/// use flagstone::pages::{HeapSource, PageSource};
/// assert_eq!(HeapSource.reserve(4096).expect("4 KiB").bytes(), 4096);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HeapSource;

// SAFETY: blocks are allocated zeroed and belong to the caller; purge never says that it worked.
unsafe impl PageSource for HeapSource {
    fn reserve(&self, bytes: usize) -> Option<Reservation> {
        // A small alignment on purpose: large blocks then come from untouched zero pages, where an
        // aligned zeroed allocation would be cleared byte by byte. Callers align inside.
        let layout = Layout::from_size_align(bytes, 16)
            .ok()
            .filter(|layout| layout.size() > 0)?;
        let base = block_allocate(layout)?;
        Some(Reservation {
            backing: Backing::Block { base, layout },
        })
    }
}

/// From `System`, never from the global allocator: that may be this crate.
#[cfg(feature = "std")]
fn block_allocate(layout: Layout) -> Option<NonNull<u8>> {
    use std::alloc::{GlobalAlloc, System};
    // SAFETY: the layout's size is not zero (checked by `HeapSource::reserve`).
    NonNull::new(unsafe { System.alloc_zeroed(layout) })
}

/// # Safety
/// `base` came from `block_allocate(layout)` and was not freed.
#[cfg(feature = "std")]
unsafe fn block_free(base: NonNull<u8>, layout: Layout) {
    use std::alloc::{GlobalAlloc, System};
    // SAFETY: the caller's promise.
    unsafe { System.dealloc(base.as_ptr(), layout) }
}

#[cfg(not(feature = "std"))]
fn block_allocate(layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: the layout's size is not zero (checked by `HeapSource::reserve`).
    NonNull::new(unsafe { alloc::alloc::alloc_zeroed(layout) })
}

/// # Safety
/// `base` came from `block_allocate(layout)` and was not freed.
#[cfg(not(feature = "std"))]
unsafe fn block_free(base: NonNull<u8>, layout: Layout) {
    // SAFETY: the caller's promise.
    unsafe { alloc::alloc::dealloc(base.as_ptr(), layout) }
}

#[cfg(all(test, unix, feature = "std", not(miri)))]
mod tests {
    use super::*;

    /// memmap2 would pass each of these on and zero a neighbour or a page's start.
    #[test]
    fn purge_refuses_what_reaches_outside_or_cuts_a_page() {
        let pages = 8;
        let reservation = MmapSource.reserve(pages * PAGE_BYTES).unwrap();
        let base = reservation.base().as_ptr();
        // SAFETY: eight pages from `base` are ours.
        unsafe { base.write_bytes(0xA5, pages * PAGE_BYTES) };
        let last = (pages - 1) * PAGE_BYTES;
        let refused = [
            (last, 2 * PAGE_BYTES),
            (pages * PAGE_BYTES, PAGE_BYTES),
            ((pages + 1) * PAGE_BYTES, PAGE_BYTES),
            (PAGE_BYTES, usize::MAX & !(PAGE_BYTES - 1)),
            (usize::MAX & !(PAGE_BYTES - 1), 2 * PAGE_BYTES),
            (100, PAGE_BYTES),
            (0, 10),
            (0, 0),
        ];
        for (offset, bytes) in refused {
            // SAFETY: the contents are test bytes.
            let purged = unsafe { reservation.purge(offset, bytes) };
            assert!(!purged, "{offset} {bytes}");
        }
        for at in 0..pages * PAGE_BYTES {
            // SAFETY: inside the reservation.
            assert_eq!(unsafe { base.add(at).read() }, 0xA5);
        }
        // SAFETY: the contents are test bytes.
        let zeroed = unsafe { reservation.purge(last, PAGE_BYTES) };
        assert_eq!(
            zeroed,
            cfg!(any(target_os = "linux", target_os = "android"))
        );
        // SAFETY: inside the reservation.
        let (before, first) = unsafe { (base.add(last - 1).read(), base.add(last).read()) };
        assert_eq!(before, 0xA5);
        assert!(!zeroed || first == 0);
    }
}
