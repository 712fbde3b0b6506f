//! Structs and enums of `deserialize_in!`.

use flagstone::{Arena, DeserializeIn, deserialize_in};
use serde::de::IntoDeserializer;
use serde::de::value::{Error, MapDeserializer, SeqDeserializer};

use crate::{arena, read};

deserialize_in! {
    /// Names that the macro's own code uses, or could.
    #[derive(Debug, Default, PartialEq)]
    pub(crate) struct Field<'arena> {
        /// A keyword elsewhere.
        kind: &'arena str as "type",
        map: u8,
        index: Option<u8>,
        pub(crate) arena: Option<&'arena str>,
        seq: i64
    }
}

deserialize_in! {
    #[derive(Debug, PartialEq)]
    struct Point { x: i32, y: i32, }
}

deserialize_in! {
    #[derive(Debug, PartialEq)]
    struct Nothing {}
}

deserialize_in! {
    #[derive(Debug, PartialEq)]
    enum Shape<'a> {
        Empty,
        /// Attributes stay.
        Dot(Point),
        Line { from: Point, to: Point as "until" } as "line",
        Group(&'a [Shape<'a>]) as "the group",
        Named(&'a str),
    }
}

deserialize_in! {
    struct Tree<'a> {
        value: u64,
        left: Option<&'a Tree<'a>>,
        right: Option<&'a Tree<'a>>,
    }
}

fn refuses<'a, T>(arena: &'a Arena, text: &'a str, expected: &str)
where
    T: DeserializeIn<'a, 'a>,
{
    let error = read::<T>(arena, text).err().expect(text).to_string();
    assert!(error.contains(expected), "{text}: {error}");
}

#[test]
fn fields_in_any_order_with_others_between() {
    let arena = arena();
    let text = r#"{"seq":-1,"other":{"deep":[1,{}]},"arena":"x","type":"t","kind":1,"map":2}"#;
    let read: Field = read(&arena, text).unwrap();
    let expected = Field {
        kind: "t",
        map: 2,
        index: None,
        arena: Some("x"),
        seq: -1,
    };
    assert_eq!(read, expected);
}

#[test]
fn fields_missing_twice_or_wrong() {
    let arena = arena();
    refuses::<Point>(&arena, r#"{"x":1}"#, "missing field `y`");
    refuses::<Field>(&arena, r#"{"map":1,"seq":1}"#, "missing field `type`");
    refuses::<Point>(&arena, r#"{"x":1,"y":2,"x":3}"#, "duplicate field `x`");
    refuses::<Field>(
        &arena,
        r#"{"type":"a","type":"b"}"#,
        "duplicate field `type`",
    );
    refuses::<Point>(&arena, r#"{"x":1,"y":"2"}"#, "expected i32");
    refuses::<Point>(&arena, "7", "expected fields of Point");
    refuses::<Shape>(&arena, r#"{"line":3}"#, "expected fields of Shape::Line");
}

/// An optional field that comes as null is there: a second one is a duplicate.
#[test]
fn null_counts_as_a_field() {
    let arena = arena();
    let tree: Tree = read(&arena, r#"{"value":1,"left":null}"#).unwrap();
    assert!(tree.left.is_none() && tree.right.is_none() && tree.value == 1);
    refuses::<Tree>(
        &arena,
        r#"{"left":null,"left":null,"value":1}"#,
        "duplicate field `left`",
    );
}

#[test]
fn no_fields() {
    let arena = arena();
    assert_eq!(read::<Nothing>(&arena, "{}").unwrap(), Nothing {});
    assert_eq!(read::<Nothing>(&arena, r#"{"a":[]}"#).unwrap(), Nothing {});
    assert_eq!(read::<Nothing>(&arena, "[]").unwrap(), Nothing {});
}

#[test]
fn variants_of_every_kind() {
    let arena = arena();
    let text = r#"["Empty",{"Dot":{"x":1,"y":2}},{"line":{"until":{"x":5,"y":6},"from":[3,4]}},
        {"the group":[{"Named":"n"},{"the group":[]}]}]"#;
    let read: &[Shape] = read(&arena, text).unwrap();
    let expected = [
        Shape::Empty,
        Shape::Dot(Point { x: 1, y: 2 }),
        Shape::Line {
            from: Point { x: 3, y: 4 },
            to: Point { x: 5, y: 6 },
        },
        Shape::Group(&[Shape::Named("n"), Shape::Group(&[])]),
    ];
    assert_eq!(read, expected);
    refuses::<Shape>(
        &arena,
        r#""Blob""#,
        "unknown variant `Blob`, expected one of `Empty`, `Dot`, `line`",
    );
    refuses::<Shape>(&arena, r#"{"Empty":1}"#, "expected unit");
    refuses::<Shape>(&arena, r#""Dot""#, "newtype variant");
    refuses::<Shape>(
        &arena,
        r#"{"line":{"from":[1,2]}}"#,
        "missing field `until`",
    );
    refuses::<Shape>(&arena, "7", "expected value");
}

/// As formats without names have them: fields in order, variants by number.
#[test]
fn structs_from_sequences_and_names_by_number() {
    let arena = arena();
    let point = |values: &'static [i32]| {
        arena.deserialize::<Point, _>(SeqDeserializer::<_, Error>::new(values.iter().copied()))
    };
    assert_eq!(point(&[3, 4]), Ok(Point { x: 3, y: 4 }));
    let short = point(&[3]).unwrap_err().to_string();
    assert_eq!(short, "invalid length 1, expected fields of Point");

    let by_number = [(1_u64, 4), (9, 0), (0, 3)].into_iter();
    let point: Result<Point, Error> = arena.deserialize(MapDeserializer::new(by_number));
    assert_eq!(point, Ok(Point { x: 3, y: 4 }));

    let by_bytes = [(&b"y"[..], 4), (b"\xff", 0), (b"x", 3)].into_iter();
    let by_bytes = by_bytes.map(|(key, value)| (Bytes(key), value));
    let point: Result<Point, Error> = arena.deserialize(MapDeserializer::new(by_bytes));
    assert_eq!(point, Ok(Point { x: 3, y: 4 }));

    let variant = |number: u32| -> Result<Shape, Error> {
        arena.deserialize(IntoDeserializer::<Error>::into_deserializer(number))
    };
    assert_eq!(variant(0), Ok(Shape::Empty));
    assert!(
        variant(5)
            .unwrap_err()
            .to_string()
            .contains("one of 5 names")
    );
}

/// Bytes as a key.
struct Bytes<'b>(&'b [u8]);

impl<'de> IntoDeserializer<'de, Error> for Bytes<'de> {
    type Deserializer = serde::de::value::BorrowedBytesDeserializer<'de, Error>;

    fn into_deserializer(self) -> Self::Deserializer {
        Self::Deserializer::new(self.0)
    }
}

#[test]
fn types_that_contain_themselves() {
    fn text(depth: u64) -> String {
        if depth == 0 {
            return r#"{"value":1}"#.to_owned();
        }
        let inner = text(depth - 1);
        format!(r#"{{"left":{inner},"value":{depth},"right":{inner}}}"#)
    }
    fn sum(tree: &Tree) -> u64 {
        tree.value + tree.left.map_or(0, sum) + tree.right.map_or(0, sum)
    }
    let arena = arena();
    let text = text(8);
    let tree: Tree = read(&arena, &text).unwrap();
    let expected = (1..=8).map(|depth| depth << (8 - depth)).sum::<u64>() + (1 << 8);
    assert_eq!(sum(&tree), expected);
}
