//! How each arena does the work: the calls its own documentation shows.

use std::fmt;
use std::fmt::Write;

use allocator_api2_04::vec::Vec as VecIn;
use bump_scope::alloc::Global;
use bump_scope::settings::BumpSettings;
use flagstone::{Arena, ArenaVec};

use crate::bump::{Bumper, Formatting, Growing, List};

/// [`List`] for a vector that has `push` and is a slice.
macro_rules! list {
    ([$($parameters:tt)*] $vec:ty, $freeze:ident) => {
        impl<'a, T: Copy + 'a $($parameters)*> List<'a, T> for $vec {
            #[inline(always)]
            fn add(&mut self, value: T) {
                self.push(value);
            }

            #[inline(always)]
            fn freeze(self) -> &'a [T] {
                self.$freeze()
            }

            #[inline(always)]
            fn items(&self) -> &[T] {
                self
            }
        }
    };
}

list!([] ArenaVec<'a, T>, into_slice);
list!([] bumpalo::collections::Vec<'a, T>, into_bump_slice);
list!([] bump_scope::BumpVec<T, &'a bump_scope::Bump>, into_slice);
list!([] multitude::vec::Vec<'a, T>, leak);
list!([, A: allocator_api2_04::alloc::Allocator + 'a] VecIn<T, A>, leak);

impl<const MIN_ALIGN: usize> Bumper for Arena<MIN_ALIGN> {
    fn empty() -> Self {
        Arena::with_min_align()
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
    type List<'a, T: Copy + 'a> = ArenaVec<'a, T>;

    #[inline(always)]
    fn list<T: Copy>(&self) -> ArenaVec<'_, T> {
        ArenaVec::new_in(self)
    }
}

impl Formatting for Arena {
    #[inline(always)]
    fn formatted(&self, arguments: fmt::Arguments<'_>) -> &str {
        self.alloc_fmt(arguments)
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
    type List<'a, T: Copy + 'a> = bumpalo::collections::Vec<'a, T>;

    #[inline(always)]
    fn list<T: Copy>(&self) -> bumpalo::collections::Vec<'_, T> {
        bumpalo::collections::Vec::new_in(self)
    }
}

impl Formatting for bumpalo::Bump {
    #[inline(always)]
    fn formatted(&self, arguments: fmt::Arguments<'_>) -> &str {
        bumpalo::format!(in self, "{}", arguments).into_bump_str()
    }
}

/// bump-scope that bumps downwards.
pub(crate) type ScopeDown = bump_scope::Bump<Global, BumpSettings<1, false>>;
/// bump-scope whose minimum alignment is that of a `u32`.
pub(crate) type ScopeFit = bump_scope::Bump<Global, BumpSettings<4>>;

macro_rules! scope {
    ($bump:ty) => {
        impl Bumper for $bump {
            fn empty() -> Self {
                <$bump>::new()
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
    };
}

scope!(bump_scope::Bump);
scope!(ScopeDown);
scope!(ScopeFit);

impl Growing for bump_scope::Bump {
    type List<'a, T: Copy + 'a> = bump_scope::BumpVec<T, &'a bump_scope::Bump>;

    #[inline(always)]
    fn list<T: Copy>(&self) -> bump_scope::BumpVec<T, &bump_scope::Bump> {
        bump_scope::BumpVec::new_in(self)
    }
}

impl Formatting for bump_scope::Bump {
    #[inline(always)]
    fn formatted(&self, arguments: fmt::Arguments<'_>) -> &str {
        bump_scope::BumpBox::into_ref(self.alloc_fmt(arguments))
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

impl Growing for blink_alloc::Blink {
    type List<'a, T: Copy + 'a> = VecIn<T, &'a blink_alloc::BlinkAlloc>;

    #[inline(always)]
    fn list<T: Copy>(&self) -> VecIn<T, &blink_alloc::BlinkAlloc> {
        VecIn::new_in(self.allocator())
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

impl Growing for stumpalo::Arena {
    type List<'a, T: Copy + 'a> = VecIn<T, &'a stumpalo::Arena>;

    #[inline(always)]
    fn list<T: Copy>(&self) -> VecIn<T, &stumpalo::Arena> {
        VecIn::new_in(self)
    }
}

impl Bumper for multitude::Arena {
    fn empty() -> Self {
        multitude::Arena::new()
    }

    #[inline(always)]
    fn one<T: Copy>(&self, value: T) -> &T {
        multitude::Alloc::leak(self.alloc(value))
    }

    #[inline(always)]
    fn text(&self, text: &str) -> &str {
        multitude::Alloc::leak(self.alloc_str(text))
    }

    #[inline(always)]
    fn words(&self, words: &[u64]) -> &[u64] {
        multitude::Alloc::leak(self.alloc_slice_copy(words))
    }

    fn clear(&mut self) {
        self.reset();
    }
}

impl Growing for multitude::Arena {
    type List<'a, T: Copy + 'a> = multitude::vec::Vec<'a, T>;

    #[inline(always)]
    fn list<T: Copy>(&self) -> multitude::vec::Vec<'_, T> {
        self.alloc_vec()
    }
}

impl Formatting for multitude::Arena {
    #[inline(always)]
    fn formatted(&self, arguments: fmt::Arguments<'_>) -> &str {
        let mut text = self.alloc_string();
        // What its `format!` does, which takes no `Arguments`.
        text.write_fmt(arguments).expect("formatting succeeds");
        text.leak()
    }
}
