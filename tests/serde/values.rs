//! Each kind of value, and where it lies.

use std::net::Ipv4Addr;

use flagstone::{
    Arena, ArenaBox, ArenaEntries, ArenaSeed, ArenaString, ArenaVec, DeserializeIn, ViaSerde,
};
use serde::de::DeserializeSeed;
use serde::de::value::{BorrowedBytesDeserializer, BytesDeserializer, Error};
use serde_json::Deserializer;

use crate::{arena, lies_in, read};

/// Reads a text, and compares.
fn reads<'a, T: DeserializeIn<'a, 'a> + PartialEq + std::fmt::Debug>(
    arena: &'a Arena,
    text: &'a str,
    expected: T,
) {
    assert_eq!(read::<T>(arena, text).unwrap(), expected, "{text}");
}

#[test]
fn scalars() {
    let arena = arena();
    reads(&arena, "null", ());
    reads(&arena, "true", true);
    reads(&arena, "\"\u{e9}\"", 'é');
    reads(&arena, "255", 255_u8);
    reads(&arena, "65535", u16::MAX);
    reads(&arena, "4294967295", u32::MAX);
    reads(&arena, "18446744073709551615", u64::MAX);
    reads(&arena, "340282366920938463463374607431768211455", u128::MAX);
    reads(&arena, "7", 7_usize);
    reads(&arena, "-128", i8::MIN);
    reads(&arena, "-32768", i16::MIN);
    reads(&arena, "-2147483648", i32::MIN);
    reads(&arena, "-9223372036854775808", i64::MIN);
    reads(
        &arena,
        "-170141183460469231731687303715884105728",
        i128::MIN,
    );
    reads(&arena, "-7", -7_isize);
    reads(&arena, "1.5", 1.5_f32);
    reads(&arena, "-2.25", -2.25_f64);
    assert_eq!(arena.used_bytes(), 0, "none of it lies in the arena");
    assert!(read::<u8>(&arena, "256").is_err());
    assert!(read::<bool>(&arena, "1").is_err());
}

#[test]
fn fixed_numbers_of_values() {
    let arena = arena();
    reads(&arena, "null", None::<u8>);
    reads(&arena, "5", Some(5));
    reads(&arena, "[1,true]", (1, true));
    reads(
        &arena,
        r#"[1,2,3,4,5,6,7,8,9,10,11,"twelve"]"#,
        (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, "twelve"),
    );
    reads(&arena, "[1,2,3]", [1, 2, 3]);
    reads(&arena, "[]", [0_u8; 0]);
    reads(&arena, "[[1,2],[3,4]]", [[1_u8, 2], [3, 4]]);
    let short = read::<[u8; 3]>(&arena, "[1,2]").unwrap_err();
    assert!(
        short
            .to_string()
            .contains("invalid length 2, expected an array of length 3"),
        "{short}"
    );
    let short = read::<(u8, u8)>(&arena, "[1]").unwrap_err();
    assert!(
        short
            .to_string()
            .contains("invalid length 1, expected a tuple of 2 values"),
        "{short}"
    );
    assert!(read::<(u8, u8)>(&arena, "[1,2,3]").is_err());
    assert_eq!(arena.used_bytes(), 0);
}

#[test]
fn references_and_boxes() {
    let arena = arena();
    let shared: &u64 = read(&arena, "7").unwrap();
    let exclusive: &mut [u16; 2] = read(&arena, "[1,2]").unwrap();
    exclusive[0] = 9;
    assert!(arena.contains(shared) && arena.contains(exclusive));
    assert_eq!((*shared, *exclusive), (7, [9, 2]));
    let boxed: ArenaBox<ViaSerde<String>> = read(&arena, r#""dropped with the box""#).unwrap();
    assert_eq!(ArenaBox::into_inner(boxed).0, "dropped with the box");
    // Values that need drop are dropped when a later one fails.
    assert!(read::<[ArenaBox<ViaSerde<String>>; 2]>(&arena, r#"["a",1]"#).is_err());
    reads(
        &arena,
        r#""10.0.0.1""#,
        ViaSerde(Ipv4Addr::new(10, 0, 0, 1)),
    );
}

#[test]
fn lists() {
    let arena = arena();
    reads(&arena, "[]", &[0_u64; 0][..]);
    reads(&arena, "[null,null]", &[(), ()][..]);
    let numbers: Vec<u64> = (0..5000).collect();
    let text = serde_json::to_string(&numbers).unwrap();
    reads(&arena, &text, &numbers[..]);
    let exclusive: &mut [u64] = read(&arena, &text).unwrap();
    exclusive.reverse();
    assert!(exclusive.iter().rev().eq(&numbers) && arena.contains(exclusive.as_ptr()));
    let mut growing: ArenaVec<u64> = read(&arena, &text).unwrap();
    growing.push(5000);
    assert!(growing.iter().copied().eq(0..=5000));
    let nested: &[ArenaVec<&[u8]>] = read(&arena, "[[[1],[2,3]],[],[[4]]]").unwrap();
    assert_eq!(nested[0], [&[1_u8][..], &[2, 3]]);
    assert_eq!(nested[2], [[4]]);
}

/// A list that grows while the lists in it are read keeps all of them apart.
#[test]
fn nested_lists_do_not_meet() {
    let arena = arena();
    let lists: Vec<Vec<u32>> = (0..300).map(|n| (n..n + n % 17).collect()).collect();
    let text = serde_json::to_string(&lists).unwrap();
    let read: &[&[u32]] = read(&arena, &text).unwrap();
    assert!(read.iter().zip(&lists).all(|(ours, theirs)| ours == theirs));
    assert_eq!(read.len(), lists.len());
}

#[test]
fn maps() {
    let arena = arena();
    let text = r#"{"a":1,"b\n":2,"a":3}"#;
    let map: ArenaEntries<&str, u8> = read(&arena, text).unwrap();
    assert_eq!(*map, [("a", 1), ("b\n", 2), ("a", 3)]);
    assert_eq!(
        (map.get("a"), map.get("b\n"), map.get("c")),
        (Some(&3), Some(&2), None)
    );
    let by_number: ArenaEntries<u8, ArenaEntries<&str, ()>> =
        read(&arena, r#"{"7":{},"8":{"x":null}}"#).unwrap();
    assert_eq!(by_number.get(&8).unwrap()[0], ("x", ()));
    assert!(read::<ArenaEntries<&str, u8>>(&arena, "[]").is_err());
}

#[test]
fn strings_are_lent_where_the_input_has_them_as_they_are() {
    let arena = arena();
    let text = String::from(r#"["plain","es\tcaped",""]"#);
    let strings: &[&str] = read(&arena, &text).unwrap();
    assert_eq!(strings, ["plain", "es\tcaped", ""]);
    assert!(lies_in(strings[0].as_bytes(), &text) && !arena.contains(strings[0].as_ptr()));
    assert!(!lies_in(strings[1].as_bytes(), &text) && arena.contains(strings[1].as_ptr()));
}

#[test]
fn strings_that_may_change_are_always_copied() {
    let arena = arena();
    let (changed, mut grown) = {
        let text = String::from(r#"["plain","es\tcaped"]"#);
        let mut json = Deserializer::from_str(&text);
        let changed: &mut [&mut str] = arena.deserialize(&mut json).unwrap();
        let mut json = Deserializer::from_str(&text);
        let grown: [ArenaString; 2] = arena.deserialize(&mut json).unwrap();
        (changed, grown)
    };
    // The input is gone.
    changed[0].make_ascii_uppercase();
    assert_eq!(changed, ["PLAIN", "es\tcaped"]);
    grown[1].push_str(" and longer");
    assert!(grown[0] == "plain" && grown[1] == "es\tcaped and longer");
}

/// A format that reads from a stream has nothing to lend.
#[test]
fn strings_from_a_stream_are_copied() {
    let arena = arena();
    let strings: &[&str] = {
        let stream = Vec::from(*br#"["one","two"]"#);
        arena
            .deserialize(&mut Deserializer::from_reader(&stream[..]))
            .unwrap()
    };
    assert_eq!(strings, ["one", "two"]);
    assert!(strings.iter().all(|text| arena.contains(text.as_ptr())));
}

#[test]
fn bytes() {
    let arena = arena();
    let input = b"\x00\xffbytes".as_slice();
    let lent = || BorrowedBytesDeserializer::<Error>::new(input);
    let shown = || BytesDeserializer::<Error>::new(input);

    let bytes: &[u8] = arena.deserialize(lent()).unwrap();
    assert_eq!((bytes, bytes.as_ptr()), (input, input.as_ptr()));
    let bytes: &[u8] = arena.deserialize(shown()).unwrap();
    assert!(bytes == input && arena.contains(bytes.as_ptr()));
    let bytes: &mut [u8] = arena.deserialize(lent()).unwrap();
    bytes[0] = 1;
    assert!(bytes[1..] == input[1..] && arena.contains(bytes.as_ptr()));
    let mut bytes: ArenaVec<u8> = arena.deserialize(lent()).unwrap();
    bytes.push(2);
    assert_eq!(bytes[..7], *input);

    // Formats without bytes: a list of numbers, or text.
    reads(&arena, "[1,2,255]", &[1_u8, 2, 255][..]);
    assert!(read::<&[u8]>(&arena, "[256]").is_err());
    let text = r#""text""#;
    let bytes: &[u8] = read(&arena, text).unwrap();
    assert!(bytes == b"text" && lies_in(bytes, text));
    reads(&arena, r#""es\tcaped""#, &b"es\tcaped"[..]);
}

#[test]
fn bytes_that_are_text() {
    let arena = arena();
    let good = || BorrowedBytesDeserializer::<Error>::new("né".as_bytes());
    assert_eq!(arena.deserialize::<&str, _>(good()), Ok("né"));
    assert_eq!(&*arena.deserialize::<&mut str, _>(good()).unwrap(), "né");
    assert!(arena.deserialize::<ArenaString, _>(good()).unwrap() == "né");
    let shown = BytesDeserializer::<Error>::new("né".as_bytes());
    assert_eq!(arena.deserialize::<&str, _>(shown), Ok("né"));
    let bad = || BorrowedBytesDeserializer::<Error>::new(b"n\xff");
    assert!(arena.deserialize::<&str, _>(bad()).is_err());
    assert!(arena.deserialize::<ArenaString, _>(bad()).is_err());
    let shown = BytesDeserializer::<Error>::new(b"n\xff");
    assert!(arena.deserialize::<&mut str, _>(shown).is_err());
}

#[test]
fn every_minimum_alignment_and_scopes() {
    fn check<const M: usize>() {
        let arena: Arena<M> = Arena::builder()
            .pages(&crate::PAGES)
            .build_with_min_align()
            .unwrap();
        let mut json = Deserializer::from_str(r#"[["a\n",[1,2]],["b",[]]]"#);
        let read: ArenaVec<(&str, &mut [u32]), M> = arena.deserialize(&mut json).unwrap();
        assert!(read[0].0 == "a\n" && read[0].1 == [1, 2] && read[1].0 == "b");
    }
    check::<1>();
    check::<16>();
    let mut arena = arena();
    let sum: u32 = arena.scope(|inner| {
        let mut json = Deserializer::from_str("[1,2,3]");
        inner
            .deserialize::<&[u32], _>(&mut json)
            .unwrap()
            .iter()
            .sum()
    });
    assert_eq!((sum, arena.used_bytes()), (6, 0));
}

#[test]
fn what_was_read_is_written_again() {
    let arena = arena();
    let text = r#"[{"k\n":["x",null]},[1,2],"text",7]"#;
    type Parts<'a> = (
        ArenaEntries<'a, &'a str, ArenaVec<'a, Option<&'a str>>>,
        ArenaVec<'a, u8>,
        ArenaString<'a>,
        ArenaBox<'a, ViaSerde<u64>>,
    );
    let parts: Parts = read(&arena, text).unwrap();
    assert_eq!(serde_json::to_string(&parts).unwrap(), text);
}

#[test]
fn seeds_plug_into_serde() {
    let arena = arena();
    let seed = ArenaSeed::<&[u8]>::new(&arena);
    assert_eq!(
        format!("{:?}", seed.clone()),
        "ArenaSeed { value: \"&[u8]\", .. }"
    );
    let list = seed
        .deserialize(&mut Deserializer::from_str("[3]"))
        .unwrap();
    assert_eq!(list, [3]);
}
