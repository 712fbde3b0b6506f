//! Limits become the format's errors, and lengths that the input claims are not believed.

use flagstone::pages::{HeapSource, Pages};
use flagstone::{Arena, ArenaBox, ArenaEntries, ArenaString, ArenaVec, DeserializeIn};
use serde::de::value::{Error, MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess};

use crate::{PAGES, arena, read};

fn limited(limit_bytes: usize) -> Arena {
    let arena = Arena::builder().pages(&PAGES).limit_bytes(limit_bytes);
    arena.build().unwrap()
}

/// Fails with a limit of one chunk, works without.
fn refused_above_one_chunk<T: for<'a> Refused<'a>>(text: &str) {
    let mut arena = limited(4 << 10);
    let error = <T as Refused>::error(&arena, text).expect(text);
    let expected = "allocation refused: the owner's limit of 4096 bytes is reached";
    assert!(error.contains(expected), "{error}");
    // The arena is what it was.
    arena.reset();
    assert_eq!(read::<&[u8]>(&arena, "[1,2,3]").unwrap(), [1, 2, 3]);
    let arena = crate::arena();
    assert_eq!(<T as Refused>::error(&arena, text), None);
}

/// Names a type for every life of the arena.
trait Refused<'a> {
    type Value: DeserializeIn<'a, 'a>;

    fn error(arena: &'a Arena, text: &'a str) -> Option<String> {
        read::<Self::Value>(arena, text)
            .err()
            .map(|error| error.to_string())
    }
}

macro_rules! refused_above_one_chunk {
    ($text:expr; $($value:ty),*) => {$({
        struct Kind;
        impl<'a> Refused<'a> for Kind {
            type Value = $value;
        }
        refused_above_one_chunk::<Kind>($text);
    })*};
}

#[test]
fn limits_are_errors_of_the_format() {
    let numbers = serde_json::to_string(&vec![7; 5000]).unwrap();
    refused_above_one_chunk!(
        &numbers; &'a [u16], &'a mut [u64], ArenaVec<'a, f64>, &'a [u8], &'a mut [u8],
        ArenaVec<'a, u8>, &'a [&'a u8]
    );
}

#[test]
fn limits_of_text_maps_and_values() {
    let plain = format!("{:?}", "x".repeat(5000));
    refused_above_one_chunk!(&plain; &'a mut str, ArenaString<'a>, &'a mut [u8], ArenaVec<'a, u8>);
    let escaped = format!("{:?}", "\n".repeat(5000));
    refused_above_one_chunk!(&escaped; &'a str, &'a mut str, ArenaString<'a>, &'a [u8]);
    let map: Vec<String> = (0..500).map(|n| format!("\"{n}\":{n}")).collect();
    refused_above_one_chunk!(&format!("{{{}}}", map.join(",")); ArenaEntries<'a, u64, u64>);
    let large = serde_json::to_string(&vec![vec![1; 32]; 32]).unwrap();
    refused_above_one_chunk!(
        &large; &'a [[u64; 32]; 32], &'a mut [[u64; 32]; 32], ArenaBox<'a, [[u64; 32]; 32]>
    );
}

/// The limit of the pages has an error of its own.
#[test]
fn limit_of_the_pages() {
    static SMALL: Pages = Pages::new(&HeapSource);
    SMALL.set_limit(Some(64 << 10));
    let arena = Arena::builder().pages(&SMALL).build().unwrap();
    let text = serde_json::to_string(&vec![7; 100_000]).unwrap();
    let error = read::<&[u64]>(&arena, &text).unwrap_err().to_string();
    assert!(error.contains("the pages' limit of 65536 bytes"), "{error}");
}

/// Yields numbers, and claims to yield another number of them.
struct Liar {
    claimed: usize,
    left: u32,
}

impl<'de> SeqAccess<'de> for Liar {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(left.into_deserializer()).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.claimed)
    }
}

impl<'de> MapAccess<'de> for Liar {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.left.into_deserializer())
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.claimed)
    }
}

#[test]
fn claimed_lengths_reserve_a_page_at_most() {
    for claimed in [3, 1 << 60, usize::MAX] {
        let arena = arena();
        let liar = || SeqAccessDeserializer::new(Liar { claimed, left: 3 });
        let list: ArenaVec<u64> = arena.deserialize(liar()).unwrap();
        assert_eq!(list, [2, 1, 0]);
        assert_eq!(list.capacity(), claimed.min(512));
        let slice: &[u32] = arena.deserialize(liar()).unwrap();
        assert_eq!(slice, [2, 1, 0]);
        let liar = MapAccessDeserializer::new(Liar { claimed, left: 3 });
        let map: ArenaEntries<u32, u32> = arena.deserialize(liar).unwrap();
        assert_eq!(*map, [(2, 2), (1, 1), (0, 0)]);
        assert!(
            arena.capacity_bytes() <= 32 << 10,
            "{}",
            arena.capacity_bytes()
        );
    }
}

/// A reservation that is refused is forgotten: the elements themselves may fit.
#[test]
fn claimed_lengths_cannot_make_a_document_fail() {
    let arena = limited(4 << 10);
    arena.alloc([0_u8; 512]);
    let used = arena.used_bytes();
    let liar = SeqAccessDeserializer::new(Liar {
        claimed: 1 << 60,
        left: 3,
    });
    let slice: &[u64] = arena.deserialize(liar).unwrap();
    assert_eq!(slice, [2, 1, 0]);
    assert!(
        arena.used_bytes() - used <= 64,
        "the rest of the buffer went back"
    );
}

/// A length that is too small costs nothing but growth.
#[test]
fn claimed_lengths_may_be_too_small() {
    let arena = arena();
    let liar = SeqAccessDeserializer::new(Liar {
        claimed: 0,
        left: 3000,
    });
    let slice: &[u32] = arena.deserialize(liar).unwrap();
    assert!(slice.iter().rev().copied().eq(0..3000));
}
