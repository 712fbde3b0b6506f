//! Arenas, each reset between runs the way its README says, and the work they are measured by.
//!
//! All of them allocate from one thread and free nothing until the reset. bumpalo stands in it
//! twice: as it comes, and with the minimum alignment of 8 that flagstone has by default.

use std::hint::black_box;

use flagstone::{Arena, ArenaVec};

use crate::interleave::Row;

/// An arena.
pub trait Bumper: Sized {
    /// An empty one.
    fn empty() -> Self;

    /// Moves a value in.
    fn one<T: Copy>(&self, value: T) -> &T;

    /// Copies a string in.
    fn text(&self, text: &str) -> &str;

    /// Copies words in.
    fn words(&self, words: &[u64]) -> &[u64];

    /// Forgets everything and keeps the memory.
    fn clear(&mut self);
}

/// An arena with a growing vector.
pub trait Growing: Bumper {
    /// Pushes references to `count` fresh nodes on a growing vector; the sum of the nodes.
    fn nodes(&self, count: usize) -> u64;
}

impl Bumper for Arena {
    fn empty() -> Self {
        Arena::new()
    }

    #[inline(always)]
    fn one<T: Copy>(&self, value: T) -> &T {
        self.alloc(value)
    }

    #[inline(always)]
    fn text(&self, text: &str) -> &str {
        self.alloc_str(text)
    }

    #[inline(always)]
    fn words(&self, words: &[u64]) -> &[u64] {
        self.alloc_slice_copy(words)
    }

    fn clear(&mut self) {
        self.reset();
    }
}

impl Growing for Arena {
    fn nodes(&self, count: usize) -> u64 {
        let mut list = ArenaVec::new_in(self);
        for index in 0..count as u64 {
            list.push(self.one([index; 3]));
        }
        list.iter().map(|node| node[1]).fold(0, u64::wrapping_add)
    }
}

impl<const MIN_ALIGN: usize> Bumper for bumpalo::Bump<MIN_ALIGN> {
    fn empty() -> Self {
        bumpalo::Bump::with_min_align()
    }

    #[inline(always)]
    fn one<T: Copy>(&self, value: T) -> &T {
        self.alloc(value)
    }

    #[inline(always)]
    fn text(&self, text: &str) -> &str {
        self.alloc_str(text)
    }

    #[inline(always)]
    fn words(&self, words: &[u64]) -> &[u64] {
        self.alloc_slice_copy(words)
    }

    fn clear(&mut self) {
        self.reset();
    }
}

impl Growing for bumpalo::Bump {
    fn nodes(&self, count: usize) -> u64 {
        let mut list = bumpalo::collections::Vec::new_in(self);
        for index in 0..count as u64 {
            list.push(self.one([index; 3]));
        }
        list.iter().map(|node| node[1]).fold(0, u64::wrapping_add)
    }
}

impl Bumper for bump_scope::Bump {
    fn empty() -> Self {
        bump_scope::Bump::new()
    }

    #[inline(always)]
    fn one<T: Copy>(&self, value: T) -> &T {
        bump_scope::BumpBox::into_ref(self.alloc(value))
    }

    #[inline(always)]
    fn text(&self, text: &str) -> &str {
        bump_scope::BumpBox::into_ref(self.alloc_str(text))
    }

    #[inline(always)]
    fn words(&self, words: &[u64]) -> &[u64] {
        bump_scope::BumpBox::into_ref(self.alloc_slice_copy(words))
    }

    fn clear(&mut self) {
        self.reset();
    }
}

impl Growing for bump_scope::Bump {
    fn nodes(&self, count: usize) -> u64 {
        let mut list = bump_scope::BumpVec::new_in(self);
        for index in 0..count as u64 {
            list.push(self.one([index; 3]));
        }
        list.iter().map(|node| node[1]).fold(0, u64::wrapping_add)
    }
}

impl Bumper for blink_alloc::Blink {
    fn empty() -> Self {
        blink_alloc::Blink::new()
    }

    #[inline(always)]
    fn one<T: Copy>(&self, value: T) -> &T {
        self.put_no_drop(value)
    }

    #[inline(always)]
    fn text(&self, text: &str) -> &str {
        self.copy_str(text)
    }

    #[inline(always)]
    fn words(&self, words: &[u64]) -> &[u64] {
        self.copy_slice(words)
    }

    fn clear(&mut self) {
        self.reset();
    }
}

impl Bumper for stumpalo::Arena {
    fn empty() -> Self {
        stumpalo::Arena::new()
    }

    #[inline(always)]
    fn one<T: Copy>(&self, value: T) -> &T {
        self.alloc(value)
    }

    #[inline(always)]
    fn text(&self, text: &str) -> &str {
        self.alloc_str(text)
    }

    #[inline(always)]
    fn words(&self, words: &[u64]) -> &[u64] {
        self.alloc_slice_copy(words)
    }

    fn clear(&mut self) {
        self.clear();
    }
}

/// Allocates `count` values of `WORDS` words; the address goes through a black box, as it would
/// into a tree or a list.
pub fn values<const WORDS: usize, B: Bumper>(bump: &mut B, count: usize) -> u64 {
    let mut sum = 0_u64;
    for index in 0..count as u64 {
        let value = black_box(bump.one([index; WORDS]));
        sum = sum.wrapping_add(value[WORDS - 1]);
    }
    bump.clear();
    sum
}

/// Copies `count` strings of `len` bytes.
pub fn texts<B: Bumper>(bump: &mut B, count: usize, len: usize) -> u64 {
    let source: String = ('a'..='z').cycle().take(len + 26).collect();
    let mut sum = 0_u64;
    for index in 0..count {
        let text = black_box(bump.text(&source[index % 26..index % 26 + len]));
        sum = sum
            .wrapping_mul(31)
            .wrapping_add(u64::from(text.as_bytes()[len - 1]));
    }
    bump.clear();
    sum
}

/// Copies `count` slices of `len` words.
pub fn slices<B: Bumper>(bump: &mut B, count: usize, len: usize) -> u64 {
    let source: Vec<u64> = (0..len as u64 + 26).collect();
    let mut sum = 0_u64;
    for index in 0..count {
        let words = black_box(bump.words(&source[index % 26..index % 26 + len]));
        sum = sum.wrapping_mul(31).wrapping_add(words[len - 1]);
    }
    bump.clear();
    sum
}

/// Pushes `count` fresh nodes on a growing vector.
pub fn nodes<B: Growing>(bump: &mut B, count: usize) -> u64 {
    let sum = black_box(&*bump).nodes(count);
    bump.clear();
    sum
}

/// A row in which every arena does `work`, a call of one of the functions above.
#[macro_export]
macro_rules! arena_row {
    ($title:expr, $count:expr, $work:expr) => {{
        use $crate::bump::Bumper;
        let mut row = $crate::interleave::Row::new($title, $count);
        $crate::arena_row!(@arm row, ours, "flagstone Arena", flagstone::Arena, $work);
        $crate::arena_row!(@arm row, peer, "bumpalo", bumpalo::Bump, $work);
        $crate::arena_row!(@arm row, peer, "bumpalo, min align 8", bumpalo::Bump<8>, $work);
        $crate::arena_row!(@arm row, peer, "bump-scope", bump_scope::Bump, $work);
        $crate::arena_row!(@arm row, peer, "blink-alloc", blink_alloc::Blink, $work);
        $crate::arena_row!(@arm row, peer, "stumpalo", stumpalo::Arena, $work);
        row
    }};
    (@arm $row:ident, $side:ident, $name:expr, $bump:ty, $work:expr) => {
        let mut bump = <$bump>::empty();
        $row.$side($name, move || $work(&mut bump));
    };
}

/// The row of vectors that grow while nodes are allocated.
pub fn nodes_row<'a>(title: &str, count: usize) -> Row<'a> {
    let (mut ours, mut bumpalo) = (Arena::empty(), <bumpalo::Bump>::empty());
    let mut scope = <bump_scope::Bump>::empty();
    let mut row = Row::new(title, count);
    row.ours("flagstone Arena", move || nodes(&mut ours, count));
    row.peer("bumpalo", move || nodes(&mut bumpalo, count));
    row.peer("bump-scope", move || nodes(&mut scope, count));
    row
}
