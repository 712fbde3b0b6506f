//! `ArenaVec` behaves as std's `Vec`: every method beside the same one there, with values that have
//! a size and values that have none, and with user code that panics.

use std::collections::HashSet;
use std::io::Write as _;
use std::ops::Bound;

use super::vec_model::{Liar, panic_of};
use super::*;

#[test]
fn ranges_are_those_of_std() {
    let arena = arena();
    let full = || ArenaVec::from_slice_in(&[0, 1, 2, 3, 4], &arena);
    let after = |range: (Bound<usize>, Bound<usize>)| {
        let mut vec = full();
        let drained: Vec<i32> = vec.drain(range).collect();
        (drained, vec.into_iter().collect::<Vec<i32>>())
    };
    use Bound::{Excluded, Included, Unbounded};
    let ranges = [
        (Unbounded, Unbounded),
        (Included(1), Excluded(3)),
        (Included(1), Included(3)),
        (Excluded(1), Included(4)),
        (Excluded(4), Unbounded),
        (Included(5), Unbounded),
        (Included(2), Excluded(2)),
        (Unbounded, Excluded(0)),
    ];
    for range in ranges {
        let mut std = vec![0, 1, 2, 3, 4];
        let drained: Vec<i32> = std.drain(range).collect();
        assert_eq!(after(range), (drained, std), "{range:?}");
    }
    assert_eq!(
        panic_of(|| drop(full().drain(..6))),
        "the range reaches behind the end"
    );
    assert_eq!(
        panic_of(|| drop(full().drain(..=5))),
        "the range reaches behind the end"
    );
    assert_eq!(
        panic_of(|| drop(full().drain(6..))),
        "the range starts behind its end"
    );
    #[allow(clippy::reversed_empty_ranges)]
    let reversed = panic_of(|| drop(full().drain(3..2)));
    assert_eq!(reversed, "the range starts behind its end");
    let beyond = "the range reaches beyond the largest index";
    assert_eq!(panic_of(|| drop(full().drain(..=usize::MAX))), beyond);
    let excluded = (Excluded(usize::MAX), Unbounded);
    assert_eq!(panic_of(|| drop(full().drain(excluded))), beyond);

    // The same with a vector that has so many values.
    let mut units = ArenaVec::new_in(&arena);
    units.resize(3, ());
    // SAFETY: values of no size.
    unsafe { units.set_len(usize::MAX) };
    assert_eq!(units.drain(usize::MAX - 2..).count(), 2);
    assert_eq!(units.drain(..=usize::MAX - 4).len(), usize::MAX - 3);
    assert_eq!(units.len(), 1);
}

#[test]
fn what_is_out_of_bounds_panics_and_changes_nothing() {
    let arena = arena();
    let mut vec = ArenaVec::from_slice_in(&[1, 2], &arena);
    assert_eq!(
        panic_of(|| vec.insert(3, 0)),
        "insertion index is past the end"
    );
    let inserted = panic_of(|| vec.insert_from_slice(3, &[0]));
    assert_eq!(inserted, "insertion index is past the end");
    assert_eq!(panic_of(|| vec.remove(2)), "removal index is past the end");
    assert_eq!(
        panic_of(|| vec.swap_remove(2)),
        "removal index is past the end"
    );
    assert_eq!(
        panic_of(|| vec.split_off(3).len()),
        "the index to split at is past the end"
    );
    assert_eq!(
        panic_of(|| vec.splice(1..4, [])),
        "the range reaches behind the end"
    );
    assert_eq!(
        panic_of(|| vec.extend_from_within(1..4)),
        "the range reaches behind the end"
    );
    assert_eq!(vec, [1, 2]);
}

#[test]
fn a_drain_dropped_early_forgotten_or_looked_at() {
    let arena = arena();
    let full = || ArenaVec::from_iter_in((0..10).map(|n| n * 10), &arena);
    let mut vec = full();
    let mut drain = vec.drain(2..8);
    assert_eq!(
        (drain.next(), drain.next_back(), drain.len()),
        (Some(20), Some(70), 4)
    );
    assert_eq!(drain.as_slice(), [30, 40, 50, 60]);
    assert_eq!(format!("{drain:?}"), "ArenaVecDrain([30, 40, 50, 60])");
    drop(drain);
    assert_eq!(vec, [0, 10, 80, 90]);

    let mut vec = full();
    let mut drain = vec.drain(2..8);
    drain.next();
    std::mem::forget(drain);
    assert_eq!(vec, [0, 10], "the rest is lost, nothing is there twice");
    vec.push(5);
    assert_eq!(vec, [0, 10, 5]);

    // Values that must not be there twice: exclusive references.
    let mut numbers = [1, 2, 3, 4];
    let mut vec = ArenaVec::from_iter_in(numbers.iter_mut(), &arena);
    let first = vec.drain(..1).next().unwrap();
    *first += 10;
    vec.retain_mut(|n| {
        **n += 100;
        **n != 103
    });
    let last = vec.into_iter().next_back().unwrap();
    *last += 1000;
    assert_eq!((*first, *last, numbers), (11, 1104, [11, 102, 103, 1104]));
}

#[test]
fn a_predicate_that_panics_loses_no_value_it_has_not_refused() {
    let arena = arena();
    let full = || ArenaVec::from_iter_in(0..10, &arena);
    let bad = |n: i32| assert!(n != 6, "expected");

    let mut vec = full();
    let retain = panic_of(|| {
        vec.retain(|n| {
            bad(*n);
            n % 2 == 0
        });
    });
    assert_eq!(
        (retain.as_str(), &vec[..]),
        ("expected", &[0, 2, 4, 6, 7, 8, 9][..])
    );

    let mut vec = full();
    let dedup = panic_of(|| {
        vec.dedup_by(|value, before| {
            assert!(value > before);
            bad(*value);
            *value % 3 != 0
        });
    });
    assert_eq!(
        (dedup.as_str(), &vec[..]),
        ("expected", &[0, 3, 6, 7, 8, 9][..])
    );

    let mut vec = full();
    let splice = panic_of(|| vec.splice(1..3, (4..90).inspect(|n| bad(*n))));
    assert_eq!(
        (splice.as_str(), &vec[..4]),
        ("expected", &[0, 4, 5, 3][..])
    );

    let mut vec = full();
    let extend = panic_of(|| vec.extend((4..90).inspect(|n| bad(*n))));
    assert_eq!((extend.as_str(), &vec[9..]), ("expected", &[9, 4, 5][..]));

    let mut vec = full();
    let mut next = 4..;
    let resize = panic_of(|| vec.resize_with(20, || next.next().inspect(|n| bad(*n)).unwrap()));
    assert_eq!((resize.as_str(), &vec[9..]), ("expected", &[9, 4, 5][..]));
}

#[test]
fn dedup_by_key_and_runs() {
    let arena = arena();
    let mut vec = ArenaVec::from_slice_in(&[10, 11, 20, 30, 31, 12], &arena);
    vec.dedup_by_key(|n| *n / 10);
    assert_eq!(vec, [10, 20, 30, 12]);
    let mut none = ArenaVec::<u8>::new_in(&arena);
    none.dedup();
    none.retain(|_| false);
    assert!(none.drain(..).next().is_none() && none.is_empty());
}

#[test]
fn iterators_that_lie_or_allocate() {
    let arena = arena();
    for hint in [(0, None), (3, Some(3)), (50, Some(50)), (0, Some(1))] {
        let vec = ArenaVec::from_iter_in(Liar(0..20, hint), &arena);
        assert!(vec.iter().copied().eq(0..20));
        let mut vec = ArenaVec::from_slice_in(&[7, 8, 9], &arena);
        vec.splice(1..2, Liar(0..20, hint));
        assert!(
            vec.iter()
                .copied()
                .eq([7].into_iter().chain(0..20).chain([9]))
        );
    }
    let huge = Liar(0..3u64, (usize::MAX, None));
    assert_eq!(
        ArenaVec::try_from_iter_in(huge, &arena),
        Err(AllocError::LayoutTooLarge)
    );

    // The iterator takes blocks of the same end while the vector grows.
    let words = (0..200).map(|n| {
        let inner = ArenaVec::from_iter_in(0..n % 7, &arena);
        (arena.alloc_fmt(format_args!("{n}")), inner)
    });
    let mut vec = ArenaVec::from_iter_in(words, &arena);
    vec.splice(
        50..60,
        (50..60).map(|n| {
            (
                arena.alloc_str("x"),
                ArenaVec::from_iter_in(0..n % 7, &arena),
            )
        }),
    );
    for (n, (text, inner)) in vec.iter().enumerate() {
        assert!(inner.iter().copied().eq(0..n % 7));
        assert!((50..60).contains(&n) || **text == *n.to_string());
    }
    let mut iter = vec.into_iter();
    assert_eq!(
        (
            iter.len(),
            &*iter.next_back().unwrap().0,
            iter.as_slice().len()
        ),
        (200, "199", 199)
    );
}

#[test]
fn sizes_near_the_largest_are_refused() {
    let arena = arena();
    let too_large = Err(AllocError::LayoutTooLarge);
    let mut vec = ArenaVec::from_slice_in(&[1u64], &arena);
    for additional in [usize::MAX, usize::MAX / 8, isize::MAX as usize / 8 + 1] {
        assert_eq!(vec.try_reserve(additional), too_large);
        assert_eq!(vec.try_reserve_exact(additional), too_large);
        let made = ArenaVec::<u64>::try_with_capacity_in(additional, &arena);
        assert_eq!(made.map(drop), too_large);
        assert_eq!(vec.try_resize(additional, 0), too_large);
    }
    assert!(
        vec.try_reserve_exact(isize::MAX as usize / 8 - 8).is_err(),
        "there is not so much"
    );
    assert_eq!(
        panic_of(|| vec.reserve(usize::MAX)),
        format!("flagstone: {}", AllocError::LayoutTooLarge)
    );
    assert_eq!((&vec[..], vec.capacity()), (&[1][..], 1));

    let mut units = ArenaVec::new_in(&arena);
    // SAFETY: values of no size.
    unsafe { units.set_len(usize::MAX) };
    assert_eq!(units.try_push(()), too_large);
    assert_eq!(units.try_insert(3, ()), too_large);
    let mut one = ArenaVec::from_slice_in(&[()], &arena);
    assert_eq!(units.try_append(&mut one), too_large);
    assert_eq!((one.len(), units.len()), (1, usize::MAX));
    assert_eq!(units.try_extend_from_within(..2), too_large);
}

#[test]
fn a_limit_refuses_and_changes_nothing() {
    let arena = Arena::builder()
        .pages(&PAGES)
        .limit_bytes(4096)
        .build()
        .unwrap();
    let limit = Err(AllocError::OwnerLimit { limit_bytes: 4096 });
    let mut vec = ArenaVec::from_iter_in(0..100u32, &arena);
    let (mut other, large) = (vec.clone(), [0; 2000]);
    assert_eq!(vec.try_reserve(1000), limit);
    assert_eq!(vec.try_extend_from_slice(&large), limit);
    assert_eq!(vec.try_insert_from_slice(5, &large), limit);
    assert_eq!(vec.try_resize(2000, 0), limit);
    assert_eq!(ArenaVec::try_from_slice_in(&large, &arena).map(drop), limit);
    assert!(vec.iter().copied().eq(0..100));
    // Doubling does not fit any more, what is needed does.
    other.reserve_exact(1);
    while vec.try_push(7).is_ok() {}
    assert!(arena.used_bytes() > 4060, "{arena:?}");
    assert_eq!(vec.try_clone_in(&arena).map(drop), limit);
    assert_eq!(vec.try_splice(1..2, 0..3000), limit);
    assert_eq!(vec[0], 0);
}

#[test]
fn room_is_taken_and_given_back() {
    let arena = arena();
    let mut vec = ArenaVec::with_capacity_in(100, &arena);
    vec.extend([1u32, 2, 3]);
    assert_eq!((vec.capacity(), vec.spare_capacity_mut().len()), (100, 97));
    vec.reserve_exact(98);
    assert_eq!(vec.capacity(), 101);
    let (values, spare) = vec.split_at_spare_mut();
    values[0] = 10;
    spare[0].write(4);
    // SAFETY: one more is written.
    unsafe { vec.set_len(4) };
    assert_eq!(vec, [10, 2, 3, 4]);
    // SAFETY: within the buffer, then counted.
    unsafe {
        vec.as_mut_ptr().add(4).write(5);
        vec.set_len(5);
        assert_eq!(*vec.as_ptr().add(4), 5);
    }
    vec.shrink_to(50);
    assert_eq!((vec.capacity(), arena.used_bytes()), (50, 200));
    vec.shrink_to_fit();
    assert_eq!((vec.capacity(), arena.used_bytes()), (5, 20));
    arena.alloc_str("behind");
    vec.pop();
    vec.shrink_to_fit();
    assert_eq!(
        (vec.capacity(), arena.used_bytes()),
        (5, 26),
        "not the last: nothing to give"
    );
    assert_eq!(vec.into_slice(), [10, 2, 3, 4]);
}

#[test]
fn a_split_buffer_grows_on_both_sides() {
    let arena = arena();
    let mut head = ArenaVec::from_iter_in(0..100u16, &arena);
    let used = arena.used_bytes();
    let mut tail = head.split_off(40);
    assert_eq!((arena.used_bytes(), head.capacity()), (used, 40));
    for n in 0..100 {
        head.push(n);
        tail.push(n);
    }
    assert!(head.iter().copied().eq((0..40).chain(0..100)));
    assert!(tail.iter().copied().eq((40..100).chain(0..100)));
    // A tail that gives all its room back leaves the head the last one.
    let mut head = ArenaVec::from_iter_in(0..100u16, &arena);
    let used = arena.used_bytes();
    let mut tail = head.split_off(50);
    tail.clear();
    tail.shrink_to_fit();
    assert_eq!(arena.used_bytes(), used - 100);
    let at = head.as_ptr();
    head.push(1);
    tail.push(2);
    assert_eq!((head.as_ptr(), head[50], tail[0]), (at, 1, 2));
    assert!(head.split_off(51).is_empty() && head.split_off(0).len() == 51 && head.is_empty());
}

#[test]
fn two_buffers_that_grow_by_turns_copy_less_than_half() {
    let arena = arena();
    let (mut one, mut two) = (ArenaVec::new_in(&arena), ArenaVec::new_in(&arena));
    let mut moved_bytes = 0;
    let values = 10_000u64;
    for n in 0..values {
        for vec in [&mut one, &mut two] {
            let (at, bytes) = (vec.as_ptr(), vec.len() * 8);
            vec.push(n);
            if vec.as_ptr() != at {
                moved_bytes += bytes;
            }
        }
    }
    assert!(one.iter().copied().eq(0..values) && one == two);
    // Doubling copies (4 + 8 + … + 8192) * 8 bytes of each: 131,040. By four it is a third, and a
    // move now and then because a chunk is full.
    assert!(moved_bytes < 131_040, "{moved_bytes} bytes copied");
    assert!(arena.capacity_bytes() <= 2 << 20, "{arena:?}");
}

#[test]
#[allow(clippy::op_ref, clippy::mutable_key_type)]
fn comparisons_hashes_and_other_traits() {
    let arena = arena();
    let other = dense::<1>();
    let vec = ArenaVec::from_slice_in(&[1, 2, 3], &arena);
    let array = [1, 2, 3];
    assert!(vec == array && vec == &array && vec == array[..] && vec == &array[..]);
    assert!(array == vec && array[..] == vec && &array[..] == vec && vec![1, 2, 3] == vec);
    assert!(vec == vec![1, 2, 3] && vec == &mut [1, 2, 3][..] && vec == vec.clone_in(&other));
    assert!(vec < ArenaVec::from_slice_in(&[1, 3], &other) && vec.clone() <= vec);
    assert_eq!(format!("{vec:?}"), "[1, 2, 3]");
    let set = HashSet::from([vec.clone()]);
    assert!(set.contains(&array[..]), "hashed and compared as a slice");
    let mut changed = vec.clone();
    AsMut::<[i32]>::as_mut(&mut changed)[0] = 9;
    for value in &mut changed {
        *value += 1;
    }
    changed.extend(&array);
    assert_eq!(AsRef::<[i32]>::as_ref(&changed), [10, 3, 4, 1, 2, 3]);
    assert_eq!((&changed).into_iter().sum::<i32>(), 23);

    let mut bytes = ArenaVec::new_in(&arena);
    write!(bytes, "{}-{}", 1, 2).unwrap();
    bytes.flush().unwrap();
    assert_eq!(bytes, b"1-2");
    let small = Arena::builder()
        .pages(&PAGES)
        .limit_bytes(4096)
        .build()
        .unwrap();
    let refused = ArenaVec::new_in(&small).write(&[0; 5000]).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::OutOfMemory);
}
