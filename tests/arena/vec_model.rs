//! `ArenaVec` beside std's `Vec` under random operations, and what the tests of the collections
//! share: iterators that lie, and the message of a panic.

use std::ops::Range;

use super::*;

/// The message of the panic of `body`.
pub(crate) fn panic_of<R>(body: impl FnOnce() -> R) -> String {
    let payload = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(_) => return String::from("no panic"),
        Err(payload) => payload,
    };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast_ref::<&str>()
            .map_or_else(String::new, |text| text.to_string()),
    }
}

/// An iterator whose size hint is a lie.
pub(crate) struct Liar<I>(pub(crate) I, pub(crate) (usize, Option<usize>));

impl<I: Iterator> Iterator for Liar<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.1
    }
}

/// A vector of ours and one of std's, which are to be equal.
type Pair<'p, 'a, T> = (&'p mut ArenaVec<'a, T>, &'p mut Vec<T>);

/// One random operation on both; `make` makes values of which equal numbers are equal.
fn step<T: Copy + PartialEq + fmt::Debug>(
    random: &mut Random,
    (ours, std): Pair<'_, '_, T>,
    make: impl Fn(usize) -> T,
) {
    let value = make(random.below(4));
    let some: Vec<T> = (0..random.below(9)).map(&make).collect();
    let (a, b) = (random.below(std.len() + 1), random.below(std.len() + 1));
    match random.below(2) {
        0 => one_by_one(random, (&mut *ours, &mut *std), value, a),
        _ => by_ranges(random, (&mut *ours, &mut *std), &some, a.min(b)..a.max(b)),
    }
    assert_eq!(*ours, *std);
    assert!(ours.capacity() >= ours.len());
}

fn one_by_one<T: Copy + PartialEq + fmt::Debug>(
    random: &mut Random,
    (ours, std): Pair<'_, '_, T>,
    value: T,
    at: usize,
) {
    let len = std.len();
    match random.below(14) {
        0..=2 => {
            ours.push(value);
            std.push(value);
        }
        3 => assert_eq!(ours.pop(), std.pop()),
        4 => {
            ours.insert(at, value);
            std.insert(at, value);
        }
        5 if len > 0 => assert_eq!(ours.remove(at % len), std.remove(at % len)),
        6 if len > 0 => assert_eq!(ours.swap_remove(at % len), std.swap_remove(at % len)),
        7 => {
            ours.truncate(at);
            std.truncate(at);
        }
        8 => {
            ours.retain(|v| *v != value);
            std.retain(|v| *v != value);
        }
        9 => {
            ours.dedup();
            std.dedup();
        }
        10 => {
            let last = std.pop_if_equal(value);
            assert_eq!(ours.pop_if(|v| *v == value), last);
        }
        11 => {
            ours.resize(at + 3, value);
            std.resize(at + 3, value);
        }
        12 => ours.shrink_to(at),
        13 => *ours = ours.clone(),
        _ => ours.reserve(at),
    }
}

/// `Vec::pop_if`, which the oldest supported Rust does not have.
trait PopIfEqual<T> {
    fn pop_if_equal(&mut self, value: T) -> Option<T>;
}

impl<T: PartialEq> PopIfEqual<T> for Vec<T> {
    fn pop_if_equal(&mut self, value: T) -> Option<T> {
        if self.last() == Some(&value) {
            self.pop()
        } else {
            None
        }
    }
}

fn by_ranges<T: Copy + PartialEq + fmt::Debug>(
    random: &mut Random,
    (ours, std): Pair<'_, '_, T>,
    some: &[T],
    range: Range<usize>,
) {
    let values = some.iter().copied();
    match random.below(8) {
        0 => {
            let taken = random.below(4);
            let drained: Vec<T> = ours.drain(range.clone()).take(taken).collect();
            assert!(drained.into_iter().eq(std.drain(range).take(taken)));
        }
        1 => assert!(ours.drain(range.clone()).rev().eq(std.drain(range).rev())),
        2 => {
            ours.splice(range.clone(), Liar(values.clone(), (0, None)));
            std.splice(range, values);
        }
        3 => {
            ours.splice(range.clone(), values.clone());
            std.splice(range, values);
        }
        4 => {
            ours.insert_from_slice(range.start, some);
            std.splice(range.start..range.start, values);
        }
        5 => {
            ours.extend_from_within(range.clone());
            std.extend_from_within(range);
        }
        6 => {
            let (mut tail, mut std_tail) = (ours.split_off(range.end), std.split_off(range.end));
            assert_eq!(tail, std_tail);
            tail.extend(values.clone());
            std_tail.extend(values);
            ours.append(&mut tail);
            std.append(&mut std_tail);
            assert!(tail.is_empty());
        }
        _ => {
            ours.extend_from_slice(some);
            std.extend_from_slice(some);
        }
    }
}

#[test]
fn random_operations_agree_with_std() {
    let rounds = if cfg!(miri) { 4 } else { 60 };
    let mut random = Random::new(1);
    for round in 0..rounds {
        let arena = arena();
        let mut pairs: Vec<_> = (0..2)
            .map(|_| (ArenaVec::new_in(&arena), Vec::new()))
            .collect();
        let mut wide = (ArenaVec::new_in(&arena), Vec::new());
        let mut units = (ArenaVec::new_in(&arena), Vec::new());
        for number in 0..150 {
            // What comes behind a buffer makes it move; what is at the other end does not.
            match random.below(8) {
                0 => drop(arena.alloc_str("between")),
                1 => drop(arena.alloc(number)),
                _ => {}
            }
            let (ours, std) = &mut pairs[random.below(2)];
            step(&mut random, (ours, std), |n| n as u8);
            step(&mut random, (&mut wide.0, &mut wide.1), |n| {
                [n as u64 + round; 3]
            });
            step(&mut random, (&mut units.0, &mut units.1), |_| ());
        }
    }
}
