//! Bodies frozen across awaits, and those that do not come about.

use std::future::poll_fn;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use flagstone::{Arena, ArenaPool, Pool};

use crate::canary::steady;

/// Pending once, as whatever a task waits for.
async fn suspend() {
    let mut first = true;
    poll_fn(|_| match mem::take(&mut first) {
        true => Poll::Pending,
        false => Poll::Ready(()),
    })
    .await;
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn bytes_made_across_an_await_are_frozen_on_any_thread() {
    let arenas = Arc::new(ArenaPool::new());
    let mut body = Box::pin(arenas.get_owned().try_freeze_async(async |arena| {
        let name: &str = arena.alloc_str("name");
        suspend().await;
        let answer = arena.alloc_fmt(format_args!("{name} after"));
        Ok::<_, ()>(answer.as_bytes())
    }));
    assert!(poll_once(&mut body).is_pending());
    let elsewhere = thread::spawn(move || match poll_once(&mut body) {
        Poll::Ready(Ok(body)) => body,
        other => panic!("{other:?}"),
    });
    let body = elsewhere.join().expect("no panic");
    // Whoever else takes an arena does not get this one.
    for _ in 0..10 {
        arenas.get().alloc_slice_fill_copy(4000, b'!');
    }
    assert_eq!(&*body, b"name after");
    assert_eq!(arenas.stats().outstanding, 1);
    drop(body);
    assert_eq!(arenas.stats().outstanding, 0);
}

#[test]
fn bytes_that_do_not_come_about_give_their_arena_back() {
    let pool = steady(Pool::builder(Arena::new)).build();
    let arenas = Arc::new(ArenaPool::from(pool));
    let expect_back = |count| {
        let stats = arenas.stats();
        assert_eq!((stats.gets, stats.outstanding), (count, 0));
        assert_eq!(stats.creates, 1);
    };
    assert_eq!(arenas.get_owned().try_freeze(|_| Err(7)).unwrap_err(), 7);
    expect_back(1);
    let mut refused = pin!(arenas.get_owned().try_freeze_async(async |_| {
        suspend().await;
        Err(8)
    }));
    assert!(poll_once(&mut refused).is_pending());
    assert!(matches!(poll_once(&mut refused), Poll::Ready(Err(8))));
    expect_back(2);
    let mut dropped = Box::pin(arenas.get_owned().try_freeze_async(async |arena| {
        let kept = arena.alloc_str("kept");
        suspend().await;
        Ok::<_, ()>(kept.as_bytes())
    }));
    assert!(poll_once(&mut dropped).is_pending());
    drop(dropped);
    expect_back(3);
    let mut panicking = Box::pin(arenas.get_owned().try_freeze_async(async |arena| {
        arena.alloc_str("in vain");
        suspend().await;
        panic!("on purpose");
        #[expect(unreachable_code)]
        Ok::<&[u8], ()>(b"")
    }));
    assert!(poll_once(&mut panicking).is_pending());
    let panic = catch_unwind(AssertUnwindSafe(|| poll_once(&mut panicking).is_ready()));
    assert!(panic.is_err());
    drop(panicking);
    expect_back(4);
}

#[test]
fn owned_arenas_are_refused_at_max_live() {
    let arenas = ArenaPool::from(Pool::builder(Arena::new).max_live(1).build());
    let arenas = Arc::new(arenas);
    let only = arenas.try_get_owned();
    assert!(only.is_some());
    assert!(arenas.try_get_owned().is_none());
    drop(only);
    assert!(arenas.try_get_owned().is_some());
}
