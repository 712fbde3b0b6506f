//! The `Allocator` traits of allocator-api2 0.2 and 0.4, for `&Heap`, `&Arena` and `Flagstone`.
//!
//! All have the inherent methods the trait asks for, under the same names and with the same
//! contracts; this only translates the error. For what owns memory the trait is implemented for
//! references only: on an owned arena a safe `reset(&mut self)` would be within reach of whoever is
//! shown the allocator.
//!
//! I1: blocks stay valid while the reference lives: what ends them (`reset`, dropping the owner)
//!     needs the owner exclusively, and moving or copying the reference changes nothing. Every
//!     `Flagstone` is the same allocator, which lives as long as the process.
//! I2: no method unwinds: the inherent ones return errors or abort.

/// Implements one version's trait for one handle, with the inherent methods of another type.
macro_rules! implement_allocator {
    ($api:ident, [$($generics:tt)*] $handle:ty, $owner:ty) => {
        // SAFETY: I1 and I2; the inherent methods have the trait's contracts.
        unsafe impl<$($generics)*> $api::alloc::Allocator for $handle {
            #[inline]
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, $api::alloc::AllocError> {
                <$owner>::allocate(self, layout).map_err(|_| $api::alloc::AllocError)
            }

            #[inline]
            fn allocate_zeroed(
                &self,
                layout: Layout,
            ) -> Result<NonNull<[u8]>, $api::alloc::AllocError> {
                <$owner>::allocate_zeroed(self, layout).map_err(|_| $api::alloc::AllocError)
            }

            #[inline]
            unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller keeps the trait's contract, which is the inherent method's.
                unsafe { <$owner>::deallocate(self, ptr, layout) }
            }

            #[inline]
            unsafe fn grow(
                &self,
                ptr: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $api::alloc::AllocError> {
                // SAFETY: the caller keeps the trait's contract, which is the inherent method's.
                unsafe { <$owner>::grow(self, ptr, old, new) }
                    .map_err(|_| $api::alloc::AllocError)
            }

            #[inline]
            unsafe fn grow_zeroed(
                &self,
                ptr: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $api::alloc::AllocError> {
                // SAFETY: the caller keeps the trait's contract, which is the inherent method's.
                unsafe { <$owner>::grow_zeroed(self, ptr, old, new) }
                    .map_err(|_| $api::alloc::AllocError)
            }

            #[inline]
            unsafe fn shrink(
                &self,
                ptr: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $api::alloc::AllocError> {
                // SAFETY: the caller keeps the trait's contract, which is the inherent method's.
                unsafe { <$owner>::shrink(self, ptr, old, new) }
                    .map_err(|_| $api::alloc::AllocError)
            }
        }
    };
}

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::arena::Arena;
#[cfg(all(unix, feature = "std"))]
use crate::heap::Flagstone;
use crate::heap::Heap;

#[cfg(feature = "allocator-api2-02")]
implement_allocator!(allocator_api2, [] & Heap, Heap);
#[cfg(feature = "allocator-api2-02")]
implement_allocator!(allocator_api2, [const MIN: usize] &Arena<MIN>, Arena<MIN>);
#[cfg(all(unix, feature = "std", feature = "allocator-api2-02"))]
implement_allocator!(allocator_api2, [] Flagstone, Flagstone);
#[cfg(feature = "allocator-api2-04")]
implement_allocator!(allocator_api2_04, [] & Heap, Heap);
#[cfg(feature = "allocator-api2-04")]
implement_allocator!(allocator_api2_04, [const MIN: usize] &Arena<MIN>, Arena<MIN>);
#[cfg(all(unix, feature = "std", feature = "allocator-api2-04"))]
implement_allocator!(allocator_api2_04, [] Flagstone, Flagstone);
