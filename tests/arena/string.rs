//! `ArenaString` behaves as std's `String`, and is UTF-8 whatever user code does meanwhile.

use std::collections::HashSet;
use std::fmt::Write as _;

use flagstone::{format_in, try_format_in};

use super::vec_model::panic_of;
use super::*;

/// One to four bytes, and two that belong together.
const CHARACTERS: [char; 6] = ['a', '\u{e9}', '\u{20ac}', '\u{1f600}', 'e', '\u{301}'];

fn is_utf8(text: &ArenaString<'_>) -> bool {
    std::str::from_utf8(text.as_bytes()).is_ok()
}

/// A random place between characters.
fn place(random: &mut Random, text: &str) -> usize {
    let at = random.below(text.len() + 1);
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap()
}

#[test]
fn random_operations_agree_with_std() {
    let rounds = if cfg!(miri) { 4 } else { 60 };
    let mut random = Random::new(1);
    for _ in 0..rounds {
        let arena = arena();
        let (mut ours, mut std) = (ArenaString::new_in(&arena), String::new());
        for _ in 0..150 {
            if random.below(4) == 0 {
                arena.alloc_str("between");
            }
            step(&mut random, &mut ours, &mut std);
            assert_eq!(ours, std);
            assert!(ours.capacity() >= ours.len());
        }
    }
}

fn step(random: &mut Random, ours: &mut ArenaString<'_>, std: &mut String) {
    let character = CHARACTERS[random.below(6)];
    let some: String = (0..random.below(9)).map(|n| CHARACTERS[n % 6]).collect();
    let (a, b) = (place(random, std), place(random, std));
    let (low, high) = (a.min(b), a.max(b));
    match random.below(16) {
        0 => {
            ours.push(character);
            std.push(character);
        }
        1 => {
            ours.push_str(&some);
            std.push_str(&some);
        }
        2 => assert_eq!(ours.pop(), std.pop()),
        3 => {
            ours.insert(a, character);
            std.insert(a, character);
        }
        4 => {
            ours.insert_str(a, &some);
            std.insert_str(a, &some);
        }
        5 if a < std.len() => assert_eq!(ours.remove(a), std.remove(a)),
        6 => {
            ours.retain(|c| c != character);
            std.retain(|c| c != character);
        }
        7 => {
            let taken = random.below(3);
            let drained: String = ours.drain(low..high).take(taken).collect();
            assert_eq!(
                drained,
                std.drain(low..high).take(taken).collect::<String>()
            );
        }
        8 => assert!(ours.drain(low..high).rev().eq(std.drain(low..high).rev())),
        9 => {
            ours.replace_range(low..high, &some);
            std.replace_range(low..high, &some);
        }
        10 => {
            let (tail, std_tail) = (ours.split_off(a), std.split_off(a));
            assert_eq!(tail, std_tail);
            ours.extend(tail.chars().rev());
            std.extend(std_tail.chars().rev());
        }
        11 => {
            ours.truncate(a);
            std.truncate(a);
        }
        12 => {
            *ours += &some;
            *std += &some;
        }
        13 => *ours = ours.clone() + "",
        14 => ours.shrink_to(a),
        _ => ours.reserve(a),
    }
}

#[test]
fn made_of_texts_bytes_and_units() {
    let arena = arena();
    let samples: [&[u8]; 6] = [
        b"plain",
        b"",
        "\u{20ac}uro".as_bytes(),
        b"\xff\xfe",
        b"cut \xe2\x82",
        b"\xf0\x9f\x98\x80 then \xc0 and \xed\xa0\x80.",
    ];
    for sample in samples {
        let lossy = String::from_utf8_lossy(sample);
        assert_eq!(ArenaString::from_utf8_lossy_in(sample, &arena), lossy);
        let bytes = ArenaVec::from_slice_in(sample, &arena);
        let ours = ArenaString::from_utf8(bytes).map(|text| text.to_string());
        assert_eq!(ours, std::str::from_utf8(sample).map(String::from));
    }
    let units: Vec<u16> = "h\u{e9}\u{1f600}".encode_utf16().collect();
    assert_eq!(
        ArenaString::from_utf16_in(&units, &arena).unwrap(),
        "h\u{e9}\u{1f600}"
    );
    let error = ArenaString::from_utf16_in(&units[..3], &arena).unwrap_err();
    assert_eq!(error.unpaired_surrogate(), units[2]);
    // SAFETY: it is UTF-8.
    let text = unsafe { ArenaString::from_utf8_unchecked(ArenaVec::from_slice_in(b"x", &arena)) };
    assert_eq!(text.into_bytes(), b"x");
    let text = ArenaString::from_str_in("abc", &arena);
    assert_eq!(
        (text.capacity(), text.into_str()),
        (3, &mut *String::from("abc"))
    );
}

#[test]
fn places_inside_characters_panic_and_change_nothing() {
    let arena = arena();
    let mut text = ArenaString::from_str_in("a\u{20ac}b", &arena);
    let between = "the index is not between characters";
    assert_eq!(panic_of(|| text.insert(2, 'x')), between);
    let behind = "the range reaches behind the end";
    assert_eq!(panic_of(|| text.insert_str(9, "x")), behind);
    assert_eq!(panic_of(|| text.remove(3)), between);
    assert_eq!(panic_of(|| text.remove(5)), "removal index is past the end");
    assert_eq!(panic_of(|| text.remove(6)), between);
    assert_eq!(panic_of(|| drop(text.drain(..2))), between);
    assert_eq!(panic_of(|| drop(text.drain(3..))), between);
    assert_eq!(panic_of(|| text.split_off(2).len()), between);
    assert_eq!(panic_of(|| text.replace_range(1..=1, "x")), between);
    assert_eq!(
        panic_of(|| text.truncate(2)),
        "the new length lies inside a character"
    );
    let beyond = "the range reaches beyond the largest index";
    assert_eq!(panic_of(|| drop(text.drain(..=usize::MAX))), beyond);
    text.truncate(100);
    assert_eq!(text, "a\u{20ac}b");
}

#[test]
fn a_predicate_that_panics_leaves_utf8() {
    let arena = arena();
    let sample: String = CHARACTERS.iter().cycle().take(30).collect();
    for calls in (0..30).step_by(if cfg!(miri) { 7 } else { 1 }) {
        for keep_every in 1..4 {
            let mut text = ArenaString::from_str_in(&sample, &arena);
            let mut seen = 0;
            let panicked = panic_of(|| {
                text.retain(|_| {
                    seen += 1;
                    assert!(seen <= calls, "expected");
                    seen % keep_every == 0
                });
            });
            assert_eq!(panicked, "expected");
            let kept = sample.chars().take(calls).enumerate();
            let kept = kept
                .filter(|(n, _)| (n + 1) % keep_every == 0)
                .map(|(_, c)| c);
            let expected: String = kept.chain(sample.chars().skip(calls)).collect();
            assert!(is_utf8(&text) && text == expected, "{text:?} {expected:?}");
        }
    }
}

#[test]
fn a_drain_dropped_early_forgotten_or_looked_at() {
    let arena = arena();
    let sample: String = CHARACTERS.iter().cycle().take(12).collect();
    let places: Vec<usize> = sample.char_indices().map(|(at, _)| at).collect();
    for (low, high) in [(0, 11), (2, 9), (5, 5), (3, 11)] {
        for taken in 0..4 {
            let range = places[low]..places[high];
            let mut text = ArenaString::from_str_in(&sample, &arena);
            let mut drain = text.drain(range.clone());
            let front = drain.by_ref().take(taken).count();
            let back = drain.by_ref().rev().take(taken).count();
            assert_eq!(drain.as_str().chars().count(), high - low - front - back);
            drop(drain);
            assert_eq!(
                text,
                format!("{}{}", &sample[..range.start], &sample[range.end..])
            );

            let mut text = ArenaString::from_str_in(&sample, &arena);
            let mut drain = text.drain(range.clone());
            drain.nth(taken);
            std::mem::forget(drain);
            assert_eq!(text, sample[..range.start]);
        }
    }
    let mut text = ArenaString::from_str_in("abc", &arena);
    assert_eq!(format!("{:?}", text.drain(1..)), "ArenaStringDrain(\"bc\")");
}

#[test]
fn iterators_that_panic_or_allocate_leave_utf8() {
    let arena = arena();
    let mut text = ArenaString::new_in(&arena);
    text.extend(["a", "\u{20ac}"].map(|part| &*arena.alloc_str(part)));
    text.extend([String::from("b")]);
    text.extend(&['\u{e9}']);
    let characters = CHARACTERS.iter().copied();
    let panicked = panic_of(|| text.extend(characters.inspect(|c| assert!(*c != 'e', "expected"))));
    assert_eq!(panicked, "expected");
    assert_eq!(text, "a\u{20ac}b\u{e9}a\u{e9}\u{20ac}\u{1f600}");
    let panicked = panic_of(|| text.extend(["x", "y"].iter().map(|_| -> &str { panic!("no") })));
    assert!(panicked == "no" && is_utf8(&text));
}

#[test]
fn formatting_into_a_string_that_goes_on_growing() {
    let arena = arena();
    let by_name = 5;
    let mut text = format_in!(arena, "{}-{by_name:>3}", 1);
    text.push_str(" and more");
    assert_eq!(text, "1-  5 and more");
    assert_eq!(format_in!(&arena, "constant"), "constant");
    let reference = &arena;
    let inner = format_in!(reference, "{}", format_in!(reference, "<{}>", 2));
    assert_eq!(inner, "<2>");
    let dense = dense::<1>();
    let kept: ArenaString<'_, 1> = try_format_in!(dense, "{:?}", "x").unwrap();
    assert_eq!(kept, "\"x\"");
    let mut scoped = Arena::new();
    assert_eq!(
        scoped.scope(|inner| format_in!(inner, "{}", 12345).len()),
        5
    );
    let pool = std::sync::Arc::new(flagstone::ArenaPool::new());
    assert_eq!(format_in!(pool.get(), "{}", 1), "1");

    let small = Arena::builder()
        .pages(&PAGES)
        .limit_bytes(4096)
        .build()
        .unwrap();
    let limit = AllocError::OwnerLimit { limit_bytes: 4096 };
    // By characters, then by pieces.
    assert_eq!(try_format_in!(small, "{:>5000}", 1), Err(limit));
    assert_eq!(try_format_in!(small, "{}", "x".repeat(5000)), Err(limit));
    assert_eq!(
        panic_of(|| format_in!(small, "{:>5000}", 1).len()),
        format!("flagstone: {limit}")
    );
    let mut text = ArenaString::new_in(&small);
    assert!(write!(text, "{:>5000}", 1).is_err());
}

#[test]
fn a_limit_refuses_and_changes_nothing() {
    let arena = Arena::builder()
        .pages(&PAGES)
        .limit_bytes(4096)
        .build()
        .unwrap();
    let limit = Err(AllocError::OwnerLimit { limit_bytes: 4096 });
    let large = "x".repeat(5000);
    let mut text = ArenaString::from_str_in("abc", &arena);
    assert_eq!(text.try_push_str(&large), limit);
    assert_eq!(text.try_insert_str(1, &large), limit);
    assert_eq!(text.try_replace_range(..2, &large), limit);
    assert_eq!(text.try_reserve(5000), limit);
    assert_eq!(text.try_reserve_exact(5000), limit);
    assert_eq!(
        text.try_reserve_exact(usize::MAX),
        Err(AllocError::LayoutTooLarge)
    );
    assert_eq!(text, "abc");
    assert_eq!(text.try_extend(["d", large.as_str(), "e"]), limit);
    assert_eq!(text, "abcd");
    assert_eq!(
        ArenaString::try_from_str_in(&large, &arena).map(drop),
        limit
    );
    assert_eq!(
        ArenaString::try_from_utf8_lossy_in(large.as_bytes(), &arena).map(drop),
        limit
    );
    assert!(ArenaString::try_from_utf16_in(&[65; 5000], &arena).is_err());
    while text.try_push('\u{20ac}').is_ok() {}
    assert!(text.try_insert(1, '\u{20ac}').is_err() && is_utf8(&text) && text.len() > 2000);
}

#[test]
#[allow(clippy::cmp_owned, clippy::mutable_key_type)]
fn comparisons_hashes_and_other_traits() {
    let arena = arena();
    let text = ArenaString::from_str_in("b", &arena);
    assert!(text == "b" && text == *"b" && text == String::from("b") && text == text.clone());
    assert!("b" == text && *"b" == text && String::from("b") == text);
    assert!(text < ArenaString::from_str_in("c", &dense::<1>()));
    assert_eq!(
        text.cmp(&ArenaString::from_str_in("a", &arena)),
        std::cmp::Ordering::Greater
    );
    assert_eq!(format!("{text}{text:?}{text:>3}"), "b\"b\"  b");
    assert!(HashSet::from([text.clone()]).contains("b"));
    let mut text = text + "c";
    text.make_ascii_uppercase();
    text.as_mut_str().make_ascii_lowercase();
    // SAFETY: ASCII for ASCII.
    unsafe { text.as_mut_vec()[0] = b'z' };
    assert_eq!(AsRef::<str>::as_ref(&text), "zc");
    assert_eq!(AsRef::<[u8]>::as_ref(&text), b"zc");
    assert_eq!(text.clone_in(&dense::<1>()), "zc");
}
