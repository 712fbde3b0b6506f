//! A request: take an arena, make about 200 things of mixed sizes, read them, give it back.
//!
//! The things are a list of headers, each a node, a name and a few words: three allocations. The
//! same list is built in boxes for those who have no arena. How a peer reuses its arena is its own
//! README's way; "fresh" stands for a new arena per request.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator};
use allocator_api2::boxed::Box as BoxIn;
use allocator_api2::vec::Vec as VecIn;
use flagstone::{ArenaPool, Heap};

use crate::blocks::Global;
use crate::bump::Bumper;
use crate::interleave::Row;

/// Headers per request: 66 of them are 198 allocations.
const HEADERS: u64 = 66;
/// Requests per run of a contender.
const REQUESTS: usize = 200;
const NAMES: &str = "content-security-policy-report-only accept-encoding: gzip, br";

/// Length of the name and count of the words of header `index`.
fn shape(index: u64) -> (usize, usize) {
    (4 + index as usize * 7 % 37, 1 + index as usize * 5 % 9)
}

struct Node<'a> {
    next: Option<&'a Node<'a>>,
    name: &'a str,
    words: &'a [u64],
}

/// A node is moved into arenas that ask for `Copy` values, so it is one.
impl Clone for Node<'_> {
    fn clone(&self) -> Self {
        *self
    }
}

impl Copy for Node<'_> {}

fn in_arena<B: Bumper>(bump: &B, seed: u64) -> u64 {
    let words: [u64; 10] = std::array::from_fn(|index| seed + index as u64);
    let mut list: Option<&Node<'_>> = None;
    for index in 0..HEADERS {
        let (name, count) = shape(index);
        let (name, words) = (bump.text(&NAMES[..name]), bump.words(&words[..count]));
        list = Some(bump.one(Node {
            next: list,
            name,
            words,
        }));
    }
    let mut sum = 0_u64;
    let mut rest = black_box(list);
    while let Some(node) = rest {
        sum = sum
            .wrapping_mul(31)
            .wrapping_add(node.words[0] + node.name.len() as u64);
        rest = node.next;
    }
    sum
}

struct BoxedNode<A: Allocator + Copy> {
    next: Option<BoxIn<BoxedNode<A>, A>>,
    name: BoxIn<[u8], A>,
    words: BoxIn<[u64], A>,
}

fn in_boxes<A: Allocator + Copy>(allocator: A, seed: u64) -> u64 {
    let words: [u64; 10] = std::array::from_fn(|index| seed + index as u64);
    let mut list: Option<BoxIn<BoxedNode<A>, A>> = None;
    for index in 0..HEADERS {
        let (name, count) = shape(index);
        let name = copy(&NAMES.as_bytes()[..name], allocator);
        let words = copy(&words[..count], allocator);
        list = Some(BoxIn::new_in(
            BoxedNode {
                next: list,
                name,
                words,
            },
            allocator,
        ));
    }
    let mut sum = 0_u64;
    let mut rest = black_box(list);
    while let Some(mut node) = rest {
        sum = sum
            .wrapping_mul(31)
            .wrapping_add(node.words[0] + node.name.len() as u64);
        // Node by node, so that a long list does not drop recursively.
        rest = node.next.take();
    }
    sum
}

fn copy<T: Copy, A: Allocator>(values: &[T], allocator: A) -> BoxIn<[T], A> {
    let mut copied = VecIn::with_capacity_in(values.len(), allocator);
    copied.extend_from_slice(values);
    copied.into_boxed_slice()
}

// SAFETY: blocks come from a `GlobalAlloc` and live until they are freed; copies of the value are
// copies of a stateless handle, so any of them may free.
unsafe impl<A: GlobalAlloc> Allocator for Global<A> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the workload has no layout of size zero.
        let block = NonNull::new(unsafe { self.0.alloc(layout) }).ok_or(AllocError)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise is the one that `dealloc` asks for.
        unsafe { self.0.dealloc(block.as_ptr(), layout) }
    }
}

fn requests(mut one: impl FnMut(u64) -> u64) -> u64 {
    (0..REQUESTS as u64)
        .map(&mut one)
        .fold(0, |sum, each| sum.wrapping_mul(31).wrapping_add(each))
}

fn reused<'a, B: Bumper + 'a>(mut bump: B) -> impl FnMut() -> u64 + 'a {
    move || {
        requests(|seed| {
            let sum = in_arena(&bump, seed);
            bump.clear();
            sum
        })
    }
}

fn fresh<B: Bumper>() -> impl FnMut() -> u64 {
    || requests(|seed| in_arena(&B::empty(), seed))
}

/// The row of requests; its unit is one request.
pub fn row<'a>(heap: &'a Heap) -> Row<'a> {
    let mut row = Row::new("request of 198 allocations", REQUESTS);
    let arenas = ArenaPool::new();
    row.ours("flagstone ArenaPool", move || {
        requests(|seed| in_arena(&*arenas.get(), seed))
    });
    row.ours("flagstone Heap, boxes", move || {
        requests(|seed| in_boxes(heap, seed))
    });
    row.peer("bumpalo, reset", reused(<bumpalo::Bump>::empty()));
    row.peer(
        "bumpalo, min align 8, reset",
        reused(bumpalo::Bump::<8>::empty()),
    );
    row.peer("bump-scope, reset", reused(<bump_scope::Bump>::empty()));
    row.peer("blink-alloc, reset", reused(blink_alloc::Blink::empty()));
    row.peer("stumpalo, clear", reused(stumpalo::Arena::empty()));
    row.peer("multitude, reset", reused(multitude::Arena::empty()));
    row.peer("bumpalo, fresh", fresh::<bumpalo::Bump>());
    let (system, mimalloc) = (Global(System), Global(mimalloc::MiMalloc));
    row.peer("system malloc, boxes", move || {
        requests(|seed| in_boxes(system, seed))
    });
    row.peer("mimalloc, boxes", move || {
        requests(|seed| in_boxes(&mimalloc, seed))
    });
    row
}
