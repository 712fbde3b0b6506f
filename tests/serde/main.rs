//! Values read into an arena: every kind, against serde_json's own tree where there is one; what is
//! lent and what is copied; errors, limits and lying inputs; and what the heap is asked for.
//!
//! The oracle is `serde_json::Value`: a dynamic tree of ours is read from the same text.

#[path = "../common/mod.rs"]
mod common;

mod counting;
mod declared;
mod refusals;
mod tree;
mod values;

use flagstone::pages::{HeapSource, Pages};
use flagstone::{Arena, DeserializeIn};
use serde_json::Deserializer;

/// Pages over the heap, so that the tests run where mmap does not (Miri).
static PAGES: Pages = Pages::new(&HeapSource);

fn arena() -> Arena {
    Arena::builder().pages(&PAGES).build().unwrap()
}

/// Reads a whole text.
fn read<'a, T: DeserializeIn<'a, 'a>>(arena: &'a Arena, text: &'a str) -> serde_json::Result<T> {
    let mut json = Deserializer::from_str(text);
    let value = arena.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// Whether `part` is a piece of `whole`, not a copy of one.
fn lies_in(part: &[u8], whole: &str) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_bytes().as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}
