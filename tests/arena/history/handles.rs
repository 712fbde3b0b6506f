//! Handles and guards: swapped, replaced, forgotten, sent away, dropped while a panic passes; what
//! their types promise.
#![allow(
    clippy::forget_non_drop,
    reason = "that it stays so is not for the tests to know"
)]

use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Barrier;

use flagstone::{
    ArenaBuilder, ArenaBytes, ArenaPool, ArenaStats, ArenaVecIntoIter, BufferArena, Checkpoint,
    Claim, OwnedPooledArena, PooledArena,
};

use crate::*;

/// Where drops are written down.
type Notes = Arc<Mutex<Vec<u32>>>;

/// Writes its number down when it is dropped.
struct Noted(u32, Notes);

impl Drop for Noted {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

fn notes() -> (Notes, impl Fn(u32) -> Noted, impl Fn() -> Vec<u32>) {
    let notes = Notes::default();
    let (in_values, here) = (notes.clone(), notes.clone());
    (
        notes,
        move |n| Noted(n, in_values.clone()),
        move || std::mem::take(&mut *here.lock().unwrap()),
    )
}

/// Pages of their own, so that their figures are this test's.
fn own_pages() -> &'static Pages {
    Box::leak(Box::new(Pages::new(&HeapSource)))
}

// ---- Swapped and replaced -----------------------------------------------------------------------

#[test]
fn swapped_arenas_keep_their_values_and_their_pages() {
    let (_, noted, take) = notes();
    let (one, two) = (own_pages(), own_pages());
    let mut a = Arena::builder().pages(one).build().unwrap();
    let mut b = Arena::builder()
        .pages(two)
        .limit_bytes(8192)
        .build()
        .unwrap();
    a.alloc_owned(noted(1));
    a.alloc_slice_fill_copy(100_000, 1u8);
    b.alloc_owned(noted(2));
    std::mem::swap(&mut a, &mut b);
    a.alloc_owned(noted(3));
    assert!(a.try_alloc_slice_fill_copy(9000, 1u8).is_err(), "its limit");
    b.reset();
    assert_eq!(take(), [1]);
    let replaced = std::mem::replace(&mut b, arena());
    assert_eq!(one.stats().active, replaced.capacity_bytes());
    drop(replaced);
    drop(a);
    assert_eq!(take(), [3, 2]);
    assert_eq!((one.stats().active, two.stats().active), (0, 0));
}

#[test]
fn swapped_sessions_return_to_their_own_arenas() {
    let (a, b) = (arena(), arena());
    let before = (*a.alloc(1u64), *b.alloc(2u64));
    let (mut one, mut two) = (a.session(), b.session());
    let first = one.alloc(3u64);
    std::mem::swap(&mut one, &mut two);
    let second = one.alloc(4u64);
    assert!(a.contains(first) && b.contains(second));
    drop(std::mem::replace(&mut one, a.session()));
    drop(two);
    let third = one.alloc(5u64);
    drop(one);
    let (fourth, fifth) = (a.alloc(6u64), b.alloc(7u64));
    assert!(a.contains(third) && a.contains(fourth) && b.contains(fifth));
    assert_eq!([*first, *second, *third, *fourth, *fifth], [3, 4, 5, 6, 7]);
    assert_eq!((before, a.used_bytes(), b.used_bytes()), ((1, 2), 32, 24));
}

#[test]
fn swapped_boxes_drop_their_values_once() {
    let (_, noted, take) = notes();
    let (a, b) = (arena(), dense::<1>());
    let (mut one, mut two) = (a.alloc_box(noted(1)), b.alloc_box(noted(2)));
    std::mem::swap(&mut one, &mut two);
    std::mem::swap(&mut *one, &mut *two);
    *one = noted(3);
    assert_eq!(take(), [1]);
    drop(one);
    assert_eq!(take(), [3]);
    two = a.alloc_box(noted(4));
    assert_eq!((take(), two.0), (vec![2], 4));
    drop(two);
    assert_eq!(take(), [4]);
}

#[test]
fn swapped_vectors_grow_in_their_own_arenas() {
    let (a, b) = (arena(), arena());
    let (mut one, mut two) = (ArenaVec::new_in(&a), ArenaVec::new_in(&b));
    one.extend([1u64, 2]);
    two.extend([3u64, 4, 5]);
    for i in 0..200 {
        std::mem::swap(&mut one, &mut two);
        one.push(i);
        let (outer, inner) = (a.alloc(!0u64), b.alloc(!0u64));
        assert_eq!((*outer, *inner), (!0, !0));
    }
    let text = std::mem::replace(&mut one, ArenaVec::new_in(&b)).into_slice();
    assert!(a.contains(text.as_ptr()) && b.contains(two.as_ptr()));
    assert_eq!(
        (text[..3].to_vec(), two[..4].to_vec()),
        (vec![1, 2, 1], vec![3, 4, 5, 0])
    );
    assert_eq!((text.len(), two.len(), one.len()), (102, 103, 0));
}

#[test]
fn swapped_guards_of_two_pools_return_what_they_hold() {
    let (_, noted, take) = notes();
    let (one, two) = (Arc::new(ArenaPool::new()), Arc::new(ArenaPool::new()));
    let (mut a, mut b) = (one.get(), two.get());
    a.alloc_owned(noted(1));
    b.alloc_owned(noted(2));
    std::mem::swap(&mut a, &mut b);
    std::mem::swap(&mut *a, &mut *b);
    drop(a);
    assert_eq!(take(), [1]);
    let kept = std::mem::replace(&mut *b, arena());
    drop(b);
    assert!(take().is_empty(), "taken out of the pool");
    drop(kept);
    assert_eq!(take(), [2]);

    let (mut a, mut b) = (one.get_owned(), two.get_owned());
    a.alloc_owned(noted(3));
    let text = a.alloc_str("text").as_ptr();
    std::mem::swap(&mut a, &mut b);
    std::mem::swap(&mut *a, &mut *b);
    drop((one, two));
    let bytes = a.freeze(|a| a.alloc_str("frozen").as_bytes());
    assert_ne!(text, bytes.as_ptr());
    drop(b);
    assert_eq!(&bytes[..], b"frozen");
    drop(bytes);
    assert_eq!(take(), [3]);
}

// ---- Forgotten ----------------------------------------------------------------------------------

#[test]
fn forgotten_scopes_end_all_the_same() {
    let (_, noted, take) = notes();
    let mut arena = arena();
    arena.alloc_owned(noted(1));
    let used = arena.used_bytes();
    for leak in [true, false] {
        arena.scope(|mut inner| {
            inner.alloc_owned(noted(2));
            inner.scope(|innermost| {
                innermost.alloc_owned(noted(3));
                std::mem::forget(innermost);
            });
            assert_eq!(take(), [3]);
            if leak {
                Box::leak(Box::new(inner)).alloc_owned(noted(4));
            } else {
                std::mem::forget(inner);
            }
        });
        assert_eq!(take(), if leak { vec![4, 2] } else { vec![2] });
        assert_eq!(arena.used_bytes(), used);
    }
    drop(arena);
    assert_eq!(take(), [1]);
}

#[test]
fn forgotten_boxes_and_vectors_leak_their_values_and_no_memory() {
    let (notes, noted, take) = notes();
    let mut arena = arena();
    let mut capacity = 0;
    for round in 0..20 {
        for n in 0..50u32 {
            std::mem::forget(arena.alloc_box(noted(n)));
            let mut v = ArenaVec::with_capacity_in(9, &arena);
            v.push(n);
            std::mem::forget(v);
            let mut v = allocator_api2::vec::Vec::new_in(&arena);
            v.push(noted(n));
            std::mem::forget(v);
        }
        arena.reset();
        if round == 1 {
            capacity = arena.capacity_bytes();
        }
    }
    assert_eq!((take(), arena.used_bytes()), (vec![], 0));
    assert_eq!(arena.capacity_bytes(), capacity);
    // Forgotten values never let go of what they hold.
    for _ in 0..20 * 100 {
        // SAFETY: a count per forgotten value, which nobody else will take down.
        unsafe { Arc::decrement_strong_count(Arc::as_ptr(&notes)) };
    }
}

#[test]
fn forgotten_guards_of_a_pool_leave_it_working() {
    let (notes, noted, take) = notes();
    let arenas = Arc::new(ArenaPool::new());
    let forgotten = arenas.get();
    forgotten.alloc_owned(noted(1));
    let address = core::ptr::from_ref(&*forgotten);
    std::mem::forget(forgotten);
    for _ in 0..10 {
        let arena = arenas.get();
        assert_ne!(address, core::ptr::from_ref(&*arena));
        arena.alloc_owned(noted(2));
    }
    assert_eq!(take(), [2; 10]);
    let owned = arenas.get_owned();
    owned.alloc_owned(noted(3));
    std::mem::forget(owned);
    let bytes = arenas.get_owned().freeze(|a| {
        a.alloc_owned(noted(4));
        a.alloc_str("leaked").as_bytes()
    });
    std::mem::forget(bytes);
    assert!(take().is_empty());
    assert_eq!(arenas.stats().outstanding, 3);
    // The two owned ones hold the pool.
    assert_eq!(
        (Arc::strong_count(&arenas), Arc::strong_count(&notes)),
        (3, 3 + 3)
    );
}

#[test]
fn a_pool_may_go_before_what_was_forgotten_of_it() {
    let (_, noted, _) = notes();
    let arenas = ArenaPool::new();
    for n in 0..3 {
        let arena = arenas.get();
        arena.alloc_owned(noted(n));
        std::mem::forget(arena);
    }
    drop(arenas);
    assert_eq!(ArenaPool::new().get().used_bytes(), 0);
}

// ---- Zero-sized values, threads, panics ---------------------------------------------------------

#[test]
fn zero_sized_values_touch_no_memory() {
    #[derive(Clone, Copy)]
    #[repr(align(64))]
    struct Wide;
    // Nothing is mapped so low: not a static that two threads could meet at.
    let low = |address: usize| assert!(address != 0 && address < 64 << 10, "{address:#x}");
    let arena = Arena::new();
    low(core::ptr::from_ref(arena.alloc(())).addr());
    low(core::ptr::from_ref(arena.alloc(Wide)).addr());
    low(arena.alloc_slice_copy(&[Wide; 3]).as_ptr().addr());
    low(arena.alloc_slice_copy::<u64>(&[]).as_ptr().addr());
    low(arena.alloc_str("").as_ptr().addr());
    low(arena.alloc_from_iter([(); 3]).as_ptr().addr());
    low(core::ptr::from_ref(arena.session().alloc(Wide)).addr());
    for shift in 0..16 {
        let layout = Layout::from_size_align(0, 1 << shift).unwrap();
        let block = arena.allocate_zeroed(layout).unwrap().cast::<u8>();
        assert_eq!(block.addr().get() % layout.align(), 0);
        low(block.addr().get());
    }
    assert_eq!(arena.capacity_bytes(), 0);
}

#[test]
fn fresh_arenas_in_two_threads() {
    let rounds = if cfg!(miri) { 10 } else { 2000 };
    let barrier = Barrier::new(2);
    let work = |n: u64| {
        for _ in 0..rounds {
            barrier.wait();
            let mut arena = const { Arena::new() };
            *arena.alloc(()) = ();
            arena.alloc_slice_fill_copy(5, ());
            arena.alloc_slice_copy::<u64>(&[]).fill(n);
            assert_eq!(arena.alloc_try_with(|| Err::<(), _>(n)), Err(n));
            arena.scope(|inner| *inner.alloc(()));
            arena.reset();
            arena.trim();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| work(1));
        scope.spawn(|| work(2));
    });
}

#[test]
fn owned_values_go_to_another_thread() {
    let (_, noted, take) = notes();
    let (mut arena, other) = (arena(), arena());
    (0..3).for_each(|n| assert_eq!(arena.alloc_owned(noted(n)).0, n));
    other.alloc_owned(noted(9));
    let arena = std::thread::spawn(move || {
        arena.alloc_owned(noted(3));
        arena.scope(|inner| assert_eq!(inner.alloc_owned(noted(4)).0, 4));
        drop(other);
        arena
    });
    let mut arena = arena.join().unwrap();
    assert_eq!(take(), [4, 9]);
    arena.reset();
    assert_eq!(take(), [3, 2, 1, 0]);
}

#[test]
fn owned_values_are_dropped_while_unwinding() {
    let (_, noted, take) = notes();
    let pages = own_pages();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut arena = Arena::builder().pages(pages).build().unwrap();
        arena.alloc_owned(noted(0));
        let arenas = ArenaPool::new();
        let pooled = arenas.get();
        pooled.alloc_owned(noted(5));
        arena.alloc_slice_fill_copy(50_000, 1u8);
        arena.scope(|mut inner| {
            inner.alloc_owned(noted(1));
            inner.scope(|innermost| {
                innermost.alloc_owned(noted(2));
                let _box = innermost.alloc_box(noted(3));
                let _session = innermost.session();
                panic!("expected");
            })
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(take(), [3, 2, 1, 5, 0]);
    assert_eq!(pages.stats().active, 0);
}

#[test]
fn a_box_may_be_dropped_by_another_thread() {
    let (_, noted, take) = notes();
    let arena = arena();
    let boxed = arena.alloc_box(noted(1));
    let name = arena.alloc_str("name");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            name.make_ascii_uppercase();
            drop(boxed);
        });
        (0..1000u64).for_each(|n| assert_eq!(*arena.alloc(n), n));
    });
    assert_eq!(take(), [1]);
}

#[test]
fn reset_leaves_nothing_to_be_found() {
    let (_, noted, take) = notes();
    let pages = own_pages();
    for keep in [0, 4096, usize::MAX] {
        let build = Arena::builder().pages(pages).keep_bytes(keep);
        let mut arena = build.build().unwrap();
        for _ in 0..3 {
            arena.alloc_owned(noted(1));
            arena.alloc_slice_fill_copy(20_000, !0u8);
            std::mem::forget(arena.session());
            arena.alloc([!0u64; 9]);
            arena.reset();
            assert_eq!((take(), arena.used_bytes()), (vec![1], 0));
            assert_eq!(arena.stats().abandoned_bytes, 0);
            let zeroed = arena.allocate_zeroed(Layout::new::<[u64; 300]>()).unwrap();
            // SAFETY: a fresh block, all zero.
            assert!(unsafe { zeroed.as_ref() }.iter().all(|byte| *byte == 0));
            arena.reset();
        }
        assert!(arena.trim() <= keep);
        assert_eq!((arena.capacity_bytes(), pages.stats().active), (0, 0));
    }
}

// ---- What the types promise ---------------------------------------------------------------------

/// Asks whether a type has a trait: the inherent constant wins where its bound holds.
struct Ask<T>(PhantomData<T>);

trait Otherwise {
    const SEND: bool = false;
    const SYNC: bool = false;
    const CALM: bool = false;
}

impl<T> Otherwise for Ask<T> {}
impl<T: Send> Ask<T> {
    const SEND: bool = true;
}
impl<T: Sync> Ask<T> {
    const SYNC: bool = true;
}
impl<T: UnwindSafe + RefUnwindSafe> Ask<T> {
    const CALM: bool = true;
}

macro_rules! traits {
    ($type:ty) => {{
        type T = Ask<$type>;
        (T::SEND, T::SYNC, T::CALM)
    }};
}

#[test]
fn auto_traits_of_every_type() {
    type Local = Cell<u8>;
    type Bound = std::rc::Rc<u8>;
    // Send, Sync, both kinds of unwind safety.
    assert_eq!(traits!(Arena), (true, false, false));
    assert_eq!(traits!(&'static Arena), (false, false, false));
    assert_eq!(traits!(Scope<'static>), (false, false, false));
    assert_eq!(traits!(Claim<'static>), (false, false, false));
    assert_eq!(traits!(BufferArena<'static>), (true, false, false));
    assert_eq!(traits!(Checkpoint), (false, false, false));
    assert_eq!(traits!(Session<'static>), (false, false, false));
    assert_eq!(traits!(ArenaVec<'static, u8>), (false, false, false));
    assert_eq!(traits!(ArenaString<'static>), (false, false, false));
    assert_eq!(traits!(ArenaVecIntoIter<'static, u8>), (true, true, false));
    assert_eq!(
        traits!(ArenaVecIntoIter<'static, Local>),
        (true, false, false)
    );
    assert_eq!(
        traits!(ArenaVecIntoIter<'static, Bound>),
        (false, false, false)
    );
    assert_eq!(traits!(ArenaBox<'static, u8>), (true, true, true));
    assert_eq!(traits!(ArenaBox<'static, Local>), (true, false, false));
    assert_eq!(traits!(ArenaBox<'static, Bound>), (false, false, true));
    assert_eq!(traits!(ArenaStats), (true, true, true));
    assert_eq!(traits!(ArenaBuilder), (true, true, false));
    assert_eq!(traits!(ArenaPool), (true, true, true));
    assert_eq!(traits!(PooledArena<'static>), (true, false, false));
    assert_eq!(traits!(OwnedPooledArena), (true, false, false));
    assert_eq!(traits!(ArenaBytes), (true, true, false));
}

/// What holds arena memory may be taken for something shorter-lived; scopes may not (refusals.rs).
#[test]
fn lifetimes_shrink() {
    fn vec<'s, 'l: 's>(v: ArenaVec<'l, &'l str>) -> ArenaVec<'s, &'s str> {
        v
    }
    fn string<'s, 'l: 's>(s: ArenaString<'l>) -> ArenaString<'s> {
        s
    }
    fn session<'s, 'l: 's>(s: Session<'l>) -> Session<'s> {
        s
    }
    fn boxed<'s, 'l: 's>(b: ArenaBox<'l, &'l str>) -> ArenaBox<'s, &'s str> {
        b
    }
    fn claim<'s, 'l: 's>(c: Claim<'l>) -> Claim<'s> {
        c
    }
    let arena = arena();
    let word = String::from("word");
    assert_eq!(*claim(arena.claim()).alloc(3), 3);
    let mut v = vec(ArenaVec::new_in(&arena));
    v.push(word.as_str());
    let mut text = string(ArenaString::new_in(&arena));
    text.push_str(v[0]);
    let mut b = boxed(arena.alloc_box("static"));
    assert_eq!(*b, "static");
    *b = &word;
    assert_eq!(
        (*session(arena.session()).alloc(1), &*text, *b),
        (1, "word", "word")
    );
}
