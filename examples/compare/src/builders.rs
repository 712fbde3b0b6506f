//! How each contender puts a parsed document into memory.
//!
//! - I1: every builder copies every string once and appends to lists as the parts arrive, the way
//!   its crate's own documentation shows. The exception is [`Scratch`]: it gathers children
//!   on a reused stack and makes each list once, at its final size.
//! - I2: the trees are [`Value`]s of one shape; only the [`Family`](crate::tree::Family) differs.
//!
//! It does not know the grammar, and takes no time.

use allocator_api2::SliceExt;
use allocator_api2::alloc::Allocator;

use crate::json::Builder;
use crate::tree::{Borrowed, InAllocator, Member, Owned, Value};

/// The parts that are the same for every family: scalars and wrapping.
macro_rules! scalars {
    ($family:ty) => {
        type Value = Value<$family>;

        fn null(&mut self) -> Self::Value {
            Value::Null
        }

        fn bool(&mut self, value: bool) -> Self::Value {
            Value::Bool(value)
        }

        fn number(&mut self, value: f64) -> Self::Value {
            Value::Number(value)
        }

        fn text_value(&mut self, text: Self::Text) -> Self::Value {
            Value::Text(text)
        }
    };
}

/// The parts that are the same wherever lists grow by `push`.
macro_rules! pushes {
    () => {
        fn list_push(&mut self, list: &mut Self::List, value: Self::Value) {
            list.push(value);
        }

        fn map_push(&mut self, map: &mut Self::Map, name: Self::Text, value: Self::Value) {
            map.push(Member { name, value });
        }
    };
}

/// `String` and `Vec` from the process's allocator.
pub(crate) struct StdBuilder;

impl Builder for StdBuilder {
    type Text = String;
    type List = Vec<Value<Owned>>;
    type Map = Vec<Member<Owned>>;
    scalars!(Owned);
    pushes!();

    fn text(&mut self, text: &str) -> String {
        String::from(text)
    }

    fn list(&mut self) -> Self::List {
        Vec::new()
    }

    fn list_value(&mut self, list: Self::List) -> Value<Owned> {
        Value::List(list)
    }

    fn map(&mut self) -> Self::Map {
        Vec::new()
    }

    fn map_value(&mut self, map: Self::Map) -> Value<Owned> {
        Value::Map(map)
    }
}

/// `String` and `Vec` as well, but lists are made once, at their size, from stacks that a parser
/// can keep between requests: costly to grow again, worthless as content.
#[derive(Default)]
pub(crate) struct Scratch {
    values: Vec<Value<Owned>>,
    members: Vec<Member<Owned>>,
}

impl Scratch {
    /// Ready for the next request; empty already unless a document was broken.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.members.clear();
    }
}

impl Builder for Scratch {
    type Text = String;
    /// Where the list's children begin on their stack.
    type List = usize;
    type Map = usize;
    scalars!(Owned);

    fn text(&mut self, text: &str) -> String {
        String::from(text)
    }

    fn list(&mut self) -> usize {
        self.values.len()
    }

    fn list_push(&mut self, _start: &mut usize, value: Value<Owned>) {
        self.values.push(value);
    }

    fn list_value(&mut self, start: usize) -> Value<Owned> {
        Value::List(self.values.drain(start..).collect())
    }

    fn map(&mut self) -> usize {
        self.members.len()
    }

    fn map_push(&mut self, _start: &mut usize, name: String, value: Value<Owned>) {
        self.members.push(Member { name, value });
    }

    fn map_value(&mut self, start: usize) -> Value<Owned> {
        Value::Map(self.members.drain(start..).collect())
    }
}

/// `allocator_api2`'s `Vec` in any allocator: the way into a `Heap`.
pub(crate) struct AllocatorBuilder<A>(pub(crate) A);

impl<A: Allocator + Copy> Builder for AllocatorBuilder<A> {
    type Text = allocator_api2::vec::Vec<u8, A>;
    type List = allocator_api2::vec::Vec<Value<InAllocator<A>>, A>;
    type Map = allocator_api2::vec::Vec<Member<InAllocator<A>>, A>;
    scalars!(InAllocator<A>);
    pushes!();

    fn text(&mut self, text: &str) -> Self::Text {
        SliceExt::to_vec_in(text.as_bytes(), self.0)
    }

    fn list(&mut self) -> Self::List {
        allocator_api2::vec::Vec::new_in(self.0)
    }

    fn list_value(&mut self, list: Self::List) -> Self::Value {
        Value::List(list)
    }

    fn map(&mut self) -> Self::Map {
        allocator_api2::vec::Vec::new_in(self.0)
    }

    fn map_value(&mut self, map: Self::Map) -> Self::Value {
        Value::Map(map)
    }
}

/// bumpalo's own collections, frozen into slices.
pub(crate) struct BumpaloBuilder<'a>(pub(crate) &'a bumpalo::Bump);

impl<'a> Builder for BumpaloBuilder<'a> {
    type Text = &'a str;
    type List = bumpalo::collections::Vec<'a, Value<Borrowed<'a>>>;
    type Map = bumpalo::collections::Vec<'a, Member<Borrowed<'a>>>;
    scalars!(Borrowed<'a>);
    pushes!();

    fn text(&mut self, text: &str) -> &'a str {
        self.0.alloc_str(text)
    }

    fn list(&mut self) -> Self::List {
        bumpalo::collections::Vec::new_in(self.0)
    }

    fn list_value(&mut self, list: Self::List) -> Value<Borrowed<'a>> {
        Value::List(list.into_bump_slice())
    }

    fn map(&mut self) -> Self::Map {
        bumpalo::collections::Vec::new_in(self.0)
    }

    fn map_value(&mut self, map: Self::Map) -> Value<Borrowed<'a>> {
        Value::Map(map.into_bump_slice())
    }
}

/// The arena: nodes and strings from its one end, growing lists from its other.
pub(crate) struct ArenaBuilder<'a>(pub(crate) &'a flagstone::Arena);

impl<'a> Builder for ArenaBuilder<'a> {
    type Text = &'a str;
    type List = flagstone::ArenaVec<'a, Value<Borrowed<'a>>>;
    type Map = flagstone::ArenaVec<'a, Member<Borrowed<'a>>>;
    scalars!(Borrowed<'a>);
    pushes!();

    fn text(&mut self, text: &str) -> &'a str {
        self.0.alloc_str(text)
    }

    fn list(&mut self) -> Self::List {
        flagstone::ArenaVec::new_in(self.0)
    }

    fn list_value(&mut self, list: Self::List) -> Value<Borrowed<'a>> {
        Value::List(&*list.into_slice())
    }

    fn map(&mut self) -> Self::Map {
        flagstone::ArenaVec::new_in(self.0)
    }

    fn map_value(&mut self, map: Self::Map) -> Value<Borrowed<'a>> {
        Value::Map(&*map.into_slice())
    }
}
