//! The forms that are counted. All functions whose names begin with `counted` are what valgrind
//! collects, so each of them is one form and nothing else.

use std::alloc::Layout;
use std::hint::black_box;
use std::ptr::NonNull;

use crate::bump::{Bumper, Growing, List};
use crate::counts::measure;

/// An arena as an allocator of blocks.
pub(crate) trait Blocks: Bumper {
    /// A block.
    fn allocate(&self, layout: Layout) -> Option<NonNull<[u8]>>;

    /// # Safety
    /// A block of `old`, which is smaller than `new`.
    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<[u8]>>;

    /// # Safety
    /// A block of `old`, which is larger than `new`.
    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<[u8]>>;

    /// # Safety
    /// A block of `layout`, which is not used any more.
    unsafe fn free(&self, block: NonNull<u8>, layout: Layout);
}

/// [`Blocks`] by a trait's methods of the usual names.
macro_rules! blocks {
    ([$($parameters:tt)*] $bump:ty, $allocator:path, $this:ident => $handle:expr) => {
        impl$($parameters)* Blocks for $bump {
            #[inline(always)]
            fn allocate(&self, layout: Layout) -> Option<NonNull<[u8]>> {
                use $allocator as Allocator;
                let $this = self;
                Allocator::allocate(&$handle, layout).ok()
            }

            #[inline(always)]
            unsafe fn grow(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Option<NonNull<[u8]>> {
                use $allocator as Allocator;
                let $this = self;
                // SAFETY: the caller's promise.
                unsafe { Allocator::grow(&$handle, block, old, new).ok() }
            }

            #[inline(always)]
            unsafe fn shrink(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Option<NonNull<[u8]>> {
                use $allocator as Allocator;
                let $this = self;
                // SAFETY: the caller's promise.
                unsafe { Allocator::shrink(&$handle, block, old, new).ok() }
            }

            #[inline(always)]
            unsafe fn free(&self, block: NonNull<u8>, layout: Layout) {
                use $allocator as Allocator;
                let $this = self;
                // SAFETY: the caller's promise.
                unsafe { Allocator::deallocate(&$handle, block, layout) }
            }
        }
    };
}

blocks!([] flagstone::Arena, allocator_api2_04::alloc::Allocator, this => this);
blocks!([] bumpalo::Bump, allocator_api2::alloc::Allocator, this => this);
blocks!([] bump_scope::Bump, bump_scope::alloc::Allocator, this => this);
blocks!([] crate::bump::peers::ScopeDown, bump_scope::alloc::Allocator, this => this);
blocks!([] blink_alloc::Blink, allocator_api2_04::alloc::Allocator, this => this.allocator());
blocks!([] stumpalo::Arena, allocator_api2_04::alloc::Allocator, this => this);
blocks!([] multitude::Arena, allocator_api2_04::alloc::Allocator, this => this);

#[inline(never)]
fn counted_one<T: Copy, B: Bumper>(bump: &B, value: T) -> &T {
    bump.one(value)
}

#[inline(never)]
fn counted_text<'a, B: Bumper>(bump: &'a B, text: &str) -> &'a str {
    bump.text(text)
}

#[inline(never)]
fn counted_words<'a, B: Bumper>(bump: &'a B, words: &[u64]) -> &'a [u64] {
    bump.words(words)
}

#[inline(never)]
fn counted_static<B: Blocks>(bump: &B) -> Option<NonNull<[u8]>> {
    bump.allocate(Layout::new::<u32>())
}

#[inline(never)]
fn counted_dynamic<B: Blocks>(bump: &B, layout: Layout) -> Option<NonNull<[u8]>> {
    bump.allocate(layout)
}

/// # Safety
/// A block of a `u32`, the arena's.
#[inline(never)]
unsafe fn counted_grow_static<B: Blocks>(bump: &B, block: NonNull<u8>) -> Option<NonNull<[u8]>> {
    // SAFETY: the caller's promise: a block of a `u32`.
    unsafe { bump.grow(block, Layout::new::<u32>(), Layout::new::<[u32; 2]>()) }
}

/// # Safety
/// A block of `old`, the arena's; `new` is larger.
#[inline(never)]
unsafe fn counted_grow_dynamic<B: Blocks>(
    bump: &B,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Option<NonNull<[u8]>> {
    // SAFETY: the caller's promise.
    unsafe { bump.grow(block, old, new) }
}

/// # Safety
/// A block of `old`, the arena's; `new` is smaller.
#[inline(never)]
unsafe fn counted_shrink<B: Blocks>(
    bump: &B,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Option<NonNull<[u8]>> {
    // SAFETY: the caller's promise.
    unsafe { bump.shrink(block, old, new) }
}

/// # Safety
/// A block of a `u32`, the arena's, not used any more.
#[inline(never)]
unsafe fn counted_free<B: Blocks>(bump: &B, block: NonNull<u8>) {
    // SAFETY: the caller's promise: a block of a `u32`.
    unsafe { bump.free(block, Layout::new::<u32>()) }
}

#[inline(never)]
fn counted_push<'a, L: List<'a, u64>>(list: &mut L, value: u64) {
    list.add(value);
}

/// Some arenas have their first chunk from the start.
#[inline(never)]
fn counted_first<B: Bumper>(value: u32) -> B {
    let bump = B::empty();
    bump.one(value);
    bump
}

#[inline(never)]
fn counted_reset<B: Bumper>(bump: &mut B) {
    bump.clear();
}

/// Counts every form of one arena but the one of [`fit`].
pub(crate) fn all<B: Blocks + Growing>(name: &str) {
    let mut bump = B::empty();
    plain(name, &bump);
    blocks(name, &bump);
    // Blocks of a scope before would be in the way.
    bump.clear();
    let mut list = bump.list::<u64>();
    list.add(1);
    measure(name, "push", || counted_push(&mut list, black_box(2)));
    measure(name, "push that grows", || {
        let mut list = four_words(&bump);
        counted_push(&mut list, black_box(4));
    });
    measure(name, "push that moves", || {
        let (mut list, other) = (four_words(&bump), four_words(&bump));
        counted_push(&mut list, black_box(4));
        black_box(other.items());
    });
    drop(list);
    life::<B>(name);
}

/// A vector that is full, for the arenas whose vectors start with room for four.
fn four_words<B: Growing>(bump: &B) -> B::List<'_, u64> {
    let mut list = bump.list();
    for word in 0..4 {
        list.add(black_box(word));
    }
    list
}

/// [`all`] for an arena without a growing vector of its own.
pub(crate) fn without_list<B: Blocks>(name: &str) {
    let bump = B::empty();
    plain(name, &bump);
    blocks(name, &bump);
    life::<B>(name);
}

fn plain<B: Blocks>(name: &str, bump: &B) {
    let text = "sixteen bytes and eight";
    let words = [1_u64, 2, 3, 4];
    measure(name, "alloc u32", || {
        black_box(counted_one(bump, black_box(1_u32)));
    });
    measure(name, "alloc u64", || {
        black_box(counted_one(bump, black_box(1_u64)));
    });
    measure(name, "alloc 24 B", || {
        black_box(counted_one(bump, black_box([1_u64; 3])));
    });
    measure(name, "alloc 48 B", || {
        black_box(counted_one(bump, black_box([1_u64; 6])));
    });
    measure(name, "str of 8 B", || {
        black_box(counted_text(bump, black_box(&text[..8])));
    });
    measure(name, "str of 23 B", || {
        black_box(counted_text(bump, black_box(text)));
    });
    measure(name, "slice of 4 words", || {
        black_box(counted_words(bump, black_box(&words)));
    });
}

fn blocks<B: Blocks>(name: &str, bump: &B) {
    let (small, large) = (Layout::new::<u32>(), Layout::new::<[u32; 2]>());
    let fresh = |layout| bump.allocate(layout).expect("memory").cast::<u8>();
    measure(name, "allocate, static layout", || {
        black_box(counted_static(bump));
    });
    measure(name, "allocate, dynamic layout", || {
        black_box(counted_dynamic(bump, black_box(small)));
    });
    measure(name, "grow, static layouts", || {
        let block = fresh(small);
        // SAFETY: a block of that layout.
        black_box(unsafe { counted_grow_static(bump, block) });
    });
    measure(name, "grow, dynamic layouts", || {
        let block = fresh(small);
        // SAFETY: a block of that layout.
        black_box(unsafe { counted_grow_dynamic(bump, block, black_box(small), black_box(large)) });
    });
    measure(name, "shrink, dynamic layouts", || {
        let block = fresh(large);
        // SAFETY: a block of that layout.
        black_box(unsafe { counted_shrink(bump, block, black_box(large), black_box(small)) });
    });
    measure(name, "deallocate", || {
        let block = fresh(small);
        // SAFETY: a block of that layout, not used after.
        unsafe { counted_free(bump, block) };
    });
}

/// Counts the first allocation and a reset after one, which keeps the chunk.
fn life<B: Bumper>(name: &str) {
    measure(name, "new and first allocation", || {
        black_box(counted_first::<B>(black_box(1)));
    });
    let mut bump = B::empty();
    measure(name, "reset", || {
        bump.one(1_u64);
        counted_reset(&mut bump);
    });
}

/// Counts the form whose minimum alignment is that of the value.
pub(crate) fn fit<B: Bumper>(name: &str) {
    let bump = B::empty();
    measure(name, "alloc u32, min align 4", || {
        black_box(counted_one(&bump, black_box(1_u32)));
    });
}
