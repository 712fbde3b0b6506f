//! `ArenaThinVec`: the same list as `ArenaVec`, on any thread, across awaits, with any arena that
//! is borrowed long enough.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use flagstone::{ArenaPool, ArenaThinVec};

use super::vec_model::panic_of;
use super::*;

fn send<T: Send>(value: T) -> T {
    value
}

#[test]
fn random_operations_agree_with_std() {
    let rounds = if cfg!(miri) { 4 } else { 60 };
    let mut random = Random::new(1);
    for _ in 0..rounds {
        // Which arena it grows in changes as it goes.
        let (first, second) = (arena(), dense::<1>());
        let (mut ours, mut std) = (ArenaThinVec::new(), Vec::new());
        let mut kept: Vec<(&mut u64, u64)> = Vec::new();
        for number in 0..200u64 {
            let (len, is_first) = (std.len(), random.below(2) == 0);
            let at = random.below(len + 1);
            let some: Vec<u64> = (0..random.below(9) as u64).collect();
            let operation = random.below(10);
            match operation {
                0..=2 => std.push(number),
                3 => std.insert(at, number),
                4 => std.extend(&some),
                6 if len > 0 => drop(std.remove(at % len)),
                7 if len > 0 => drop(std.swap_remove(at % len)),
                8 => std.retain(|n| *n % 7 != 3),
                9 => drop(std.pop()),
                _ => {}
            }
            match (operation, is_first) {
                (0..=2, true) => ours.push(&first, number),
                (0..=2, false) => ours.push(&second, number),
                (3, true) => ours.insert(&first, at, number),
                (3, false) => ours.insert(&second, at, number),
                (4, true) => ours.extend_from_slice(&first, &some),
                (4, false) => ours.extend(&second, some.iter().copied()),
                (5, true) => ours.shrink_to_fit(&first),
                (5, false) => ours.shrink_to_fit(&second),
                (6, _) if len > 0 => drop(ours.remove(at % len)),
                (7, _) if len > 0 => drop(ours.swap_remove(at % len)),
                (8, _) => ours.retain(|n| *n % 7 != 3),
                (9, _) => drop(ours.pop()),
                _ => {}
            }
            assert_eq!(ours, std[..]);
            kept.push((first.alloc(number), number));
            kept.push((second.alloc(number), number));
        }
        assert!(kept.iter().all(|(place, number)| **place == *number));
        let vec = ours.into_vec(&first);
        assert_eq!(ArenaThinVec::from_vec(vec).into_slice(), &std[..]);
    }
}

#[test]
fn an_arena_that_is_not_its_own_copies() {
    // Chunks side by side: the heap source's blocks are as close as can be.
    let (first, second) = (arena(), arena());
    let mut lists: Vec<ArenaThinVec<'_, u8>> = Vec::new();
    for round in 0..40u8 {
        let mut list = ArenaThinVec::new();
        // To the very end of what the chunk has.
        for n in 0..60 {
            list.push(&first, n ^ round);
        }
        list.shrink_to_fit(&second);
        assert_eq!(list.capacity(), 64, "only its own arena takes back");
        let at = list.as_ptr();
        for n in 60..70 {
            list.push(&second, n ^ round);
        }
        assert_ne!(list.as_ptr(), at);
        lists.push(list);
    }
    for (round, list) in lists.iter().enumerate() {
        assert!(list.iter().copied().eq((0..70).map(|n| n ^ round as u8)));
    }
}

#[test]
fn a_claim_and_its_parent_share_a_chunk_and_nothing_in_it() {
    let arena = arena();
    let mut list = ArenaThinVec::from_slice_in(&[1u8; 9], &arena);
    let at = list.as_ptr();
    {
        // The list ends where the claim's low end begins.
        let claim = arena.claim();
        list.reserve(&arena, 100);
        assert_ne!(list.as_ptr(), at, "the parent has no window there any more");
        let mut inner = ArenaThinVec::from_slice_in(&[2u8; 9], &claim);
        assert!(inner.as_ptr().addr() - at.addr() <= 16, "side by side");
        let inner_at = inner.as_ptr();
        inner.extend_from_slice(&arena, &[3; 20]);
        assert_ne!(
            inner.as_ptr(),
            inner_at,
            "nor is it the parent's last block"
        );
        let mut short = ArenaThinVec::from_slice_in(&[4u8; 9], &arena);
        short.push(&claim, 5);
        assert_eq!((short[8], short[9], inner[8], inner[9]), (4, 5, 2, 3));
    }
    let mut list = ArenaThinVec::from_slice_in(&[6u8; 9], &arena);
    let (at, claim) = (list.as_ptr(), arena.claim());
    list.pop();
    list.shrink_to_fit(&claim);
    assert_eq!(
        (list.capacity(), claim.used_bytes()),
        (9, 0),
        "not the claim's to take back"
    );
    list.push(&claim, 7);
    list.push(&claim, 8);
    assert_ne!(list.as_ptr(), at, "nor to let grow");
    assert_eq!(claim.alloc_str("x"), "x");
    assert_eq!(list, [6, 6, 6, 6, 6, 6, 6, 6, 7, 8]);
}

#[test]
fn filled_here_changed_there_grown_here() {
    let arena = arena();
    let mut list = ArenaThinVec::from_slice_in(&[1u32, 2, 3], &arena);
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            list.retain(|n| *n != 2);
            list[0] = 10;
            list.iter().sum::<u32>()
        });
        // The arena goes on allocating beside it, on both ends.
        for n in 0..1000u32 {
            assert_eq!(*arena.alloc(n), n);
            arena.alloc_str("text");
        }
        assert_eq!(there.join().unwrap(), 13);
    });
    list.push(&arena, 4);
    assert_eq!(list, [10, 3, 4]);
    let shared = &list;
    std::thread::scope(|scope| {
        scope.spawn(move || assert_eq!(shared.len(), 3));
    });
    let moved = std::thread::scope(|scope| scope.spawn(move || list.into_iter()).join().unwrap());
    assert!(moved.rev().eq([4, 3, 10]));
}

/// Pending once, then ready.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match std::mem::replace(&mut self.0, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

#[test]
fn held_across_an_await_and_resumed_elsewhere() {
    let arenas = Arc::new(ArenaPool::new());
    let handler = send(async move {
        let arena = arenas.get_owned();
        let mut names: ArenaThinVec<'_, &mut str> = ArenaThinVec::new();
        for n in 0..100 {
            names.push(&arena, arena.alloc_fmt(format_args!("{n}")));
        }
        Yield(false).await;
        for n in 100..200 {
            names.push(&arena, arena.alloc_fmt(format_args!("{n}")));
        }
        names
            .iter()
            .enumerate()
            .all(|(n, name)| **name == *n.to_string())
    });
    let mut handler = Box::pin(handler);
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(handler.as_mut().poll(&mut context), Poll::Pending);
    let done = std::thread::spawn(move || {
        let mut handler = pin!(handler);
        handler
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    });
    assert_eq!(done.join().unwrap(), Poll::Ready(true));
}

#[test]
fn too_many_or_too_large() {
    let arena = arena();
    let too_large = Err(AllocError::LayoutTooLarge);
    let mut units = ArenaThinVec::new();
    units.extend_from_slice(&arena, &[(); u32::MAX as usize]);
    assert_eq!(
        (units.len(), units.capacity()),
        (u32::MAX as usize, u32::MAX as usize)
    );
    assert_eq!(units.try_push(&arena, ()), too_large);
    assert_eq!(units.try_insert(&arena, 0, ()), too_large);
    assert_eq!(units.try_extend(&arena, [()]), too_large);
    assert_eq!(units.pop(), Some(()));
    let more = ArenaThinVec::<u8>::try_with_capacity_in(1 << 32, &arena);
    assert_eq!(more, too_large.map(|()| ArenaThinVec::new()));
    let mut vec = ArenaVec::from_slice_in(&[(); 3], &arena);
    // SAFETY: values of no size.
    unsafe { vec.set_len(1 << 32) };
    let panicked = panic_of(|| ArenaThinVec::from_vec(vec).len());
    assert_eq!(panicked, "a thin vector holds at most u32::MAX values");

    let small = Arena::builder()
        .pages(&PAGES)
        .limit_bytes(4096)
        .build()
        .unwrap();
    let limit = AllocError::OwnerLimit { limit_bytes: 4096 };
    let mut list = ArenaThinVec::from_slice_in(&[1u8], &small);
    assert_eq!(list.try_reserve(&small, 5000), Err(limit));
    assert_eq!(list.try_extend_from_slice(&small, &[0; 5000]), Err(limit));
    assert_eq!(
        panic_of(|| list.reserve(&small, 5000)),
        format!("flagstone: {}", limit)
    );
    assert_eq!(list, [1]);
    assert_eq!(
        panic_of(|| list.insert(&small, 2, 0)),
        "insertion index is past the end"
    );
    assert_eq!(panic_of(|| list.remove(1)), "removal index is past the end");
}

#[test]
fn a_predicate_that_panics_loses_nothing() {
    let arena = arena();
    let mut list = ArenaThinVec::with_capacity_in(10, &arena);
    list.extend(&arena, 0..10);
    let panicked = panic_of(|| {
        list.retain(|n| {
            assert!(*n != 6, "expected");
            *n % 2 == 1
        });
    });
    // As of an `ArenaVec`: what was refused before is gone, the rest is there.
    assert_eq!(
        (panicked.as_str(), &list[..]),
        ("expected", &[1, 3, 5, 6, 7, 8, 9][..])
    );
    list.truncate(20);
    list.truncate(3);
    assert_eq!(
        format!("{list:?}{:?}", ArenaThinVec::<u8>::default()),
        "[1, 3, 5][]"
    );
    for n in &mut list {
        *n += 1;
    }
    assert!((&list).into_iter().eq(&[2, 4, 6]));
    list.clear();
    assert!(list.is_empty());
}

/// `retain` means the same in every vector, std's too: it looks at values and leaves them in order.
#[test]
fn all_vectors_retain_alike() {
    let arena = arena();
    let values: Vec<u32> = (0..20).collect();
    let mut thin = ArenaThinVec::from_slice_in(&values, &arena);
    let mut full = ArenaVec::from_slice_in(&values, &arena);
    let mut std = values;
    thin.retain(|n: &u32| n % 3 == 1);
    full.retain(|n: &u32| n % 3 == 1);
    std.retain(|n: &u32| n % 3 == 1);
    assert_eq!((&thin[..], &full[..]), (&std[..], &std[..]));
    let change = |n: &mut u32| {
        *n *= 2;
        *n < 20
    };
    thin.retain_mut(change);
    full.retain_mut(change);
    std.retain_mut(change);
    assert_eq!((&thin[..], &full[..]), (&std[..], &std[..]));
    assert_eq!(std, [2, 8, 14]);
}
