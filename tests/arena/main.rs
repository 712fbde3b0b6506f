//! The arena through its public doors: the program of the API document, and every soundness trap
//! that the field has fallen into. (Random streams of operations are in `tests/model/`.)

#[path = "../common/mod.rs"]
mod common;

mod blocks;
mod buffers;
mod chunks;
mod claims;
mod closures;
#[cfg(feature = "hashbrown")]
mod hash_map;
mod history;
mod scopes;
mod sizes;
mod string;
mod thin;
mod values;
mod vec;
mod vec_model;

use std::alloc::Layout;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::random::Random;
use flagstone::pages::{HeapSource, PageSource, Pages, Reservation};
use flagstone::{AllocError, Arena, ArenaBox, ArenaString, ArenaVec, Scope, Session};

/// Pages over the heap, so that the tests run where mmap does not (Miri).
static PAGES: Pages = Pages::new(&HeapSource);

/// A list whose nodes are allocated while one is being built.
struct Cons<'a>(u64, Option<&'a Cons<'a>>);

fn arena() -> Arena {
    Arena::builder().pages(&PAGES).build().unwrap()
}

fn dense<const M: usize>() -> Arena<M> {
    Arena::builder()
        .pages(&PAGES)
        .build_with_min_align()
        .unwrap()
}

#[test]
fn program_of_the_api_document() -> Result<(), AllocError> {
    let mut arena = Arena::new();
    {
        let n: &mut u64 = arena.alloc(7);
        let s: &mut str = arena.alloc_str("hello");
        let xs: &mut [u32] = arena.alloc_slice_copy(&[1, 2, 3]);
        let ys: &mut [u64] = arena.alloc_slice_fill_with(4, |i| i as u64);
        let zs: &mut [u64] = arena.alloc_from_iter((0..9).map(|i| i * i));
        let f: &mut str = arena.alloc_fmt(format_args!("{}-{}", 1, 2));
        let boxed = arena.alloc_box(String::from("dropped with the handle"));
        let owned: &mut String = arena.alloc_owned(String::from("dropped by the arena"));
        let lazy: &mut [u8; 4096] = arena.alloc_with(|| [0; 4096]);
        let r: Result<&mut u64, u8> = arena.alloc_try_with(|| Err(3));

        let mut v = ArenaVec::new_in(&arena);
        v.push(1);
        v.push(2);
        let frozen: &mut [i32] = v.into_slice();
        let mut t = ArenaString::new_in(&arena);
        t.push_str("abc");
        let mut av = allocator_api2::vec::Vec::<u8, _>::new_in(&arena);
        av.extend_from_slice(b"xyz");

        let kept: Vec<&u64> = {
            let mut session = arena.session();
            (0..9).map(|i| &*session.alloc(i)).collect()
        };
        println!("{kept:?}");
        assert_eq!(
            (*n, &*s, &*xs, &*ys),
            (7, "hello", &[1, 2, 3][..], &[0, 1, 2, 3][..])
        );
        assert_eq!((&*f, zs[8], lazy[4095], r), ("1-2", 64, 0, Err(3)));
        assert_eq!((boxed.len(), owned.len(), &*frozen), (23, 20, &[1, 2][..]));
        assert_eq!((&*t, &av[..], *kept[8]), ("abc", &b"xyz"[..], 8));
    }
    let total = arena.scope(|inner| {
        let x = inner.alloc(1);
        *x + 1
    });
    arena.reset();
    println!("{} of {} bytes", arena.used_bytes(), arena.capacity_bytes());
    let limited = Arena::builder()
        .limit_bytes(1 << 20)
        .keep_bytes(256 << 10)
        .build()?;
    let dense: Arena<1> = Arena::with_min_align();
    assert_eq!((total, arena.used_bytes()), (2, 0));
    assert_eq!((limited.capacity_bytes(), dense.capacity_bytes()), (0, 0));
    Ok(())
}

#[test]
fn thread_rules() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<Arena>();
    send::<Arena<1>>();
    send::<ArenaBox<'_, u8>>();
    sync::<ArenaBox<'_, u8>>();
    send::<&mut str>();
    // `Arena`, `ArenaVec`, `Session` are not `Sync` or `Send`: refusals.md.
    let arena = arena();
    arena.alloc_owned(String::from("dropped over there"));
    std::thread::spawn(move || drop(arena)).join().unwrap();
}

#[test]
fn new_is_const_and_maps_nothing() {
    let arena = const { Arena::new() };
    assert_eq!((arena.capacity_bytes(), arena.stats().chunks), (0, 0));
    assert_eq!(arena.alloc(()), &mut ());
    assert!(arena.alloc_slice_copy::<u64>(&[]).is_empty());
    assert_eq!(arena.alloc_str(""), "");
    assert_eq!(
        arena.capacity_bytes(),
        0,
        "nothing of zero bytes takes a chunk"
    );
}
