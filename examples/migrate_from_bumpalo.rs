//! From bumpalo to flagstone: a table of names, and one program written with both.
//! `cargo run --release --example migrate_from_bumpalo`
//!
//! | bumpalo | flagstone |
//! |---|---|
//! | `Bump::new()` | `Arena::new()`, also in constants; maps nothing |
//! | `Bump::with_capacity(n)` | `Arena::builder().capacity_bytes(n).build()?` |
//! | `bump.set_allocation_limit(Some(n))` | `Arena::builder().limit_bytes(n).build()?` |
//! | `Bump::<16>::with_min_align()` | `Arena::<16>::with_min_align()` |
//! | minimum alignment 1 by default | 8; `Arena<1>` packs as tightly as bumpalo |
//! | `alloc(value)` forgets the drop | `alloc` refuses types that need drop; `alloc_leak` forgets |
//! | | `alloc_owned`: the arena drops the value at reset |
//! | `alloc_with`, `alloc_try_with` | the same |
//! | `alloc_str`, `alloc_slice_copy`, `alloc_slice_clone` | the same |
//! | `alloc_slice_fill_with`, `_copy`, `_clone`, `_default` | the same |
//! | `alloc_slice_fill_iter`, of known length | `alloc_from_iter`, of any iterator |
//! | `try_…` → `AllocErr` | `try_…` → `AllocError`, which names the limit |
//! | `alloc_layout(layout)` | `allocate(layout)?`, with `grow`, `shrink`, `deallocate` |
//! | `boxed::Box::new_in(value, &bump)` | `arena.alloc_box(value)` |
//! | `collections::Vec::new_in(&bump)` | `ArenaVec::new_in(&arena)`, of what needs no drop |
//! | `from_iter_in`, `collect_in`, `vec![in …]` | `ArenaVec::from_iter_in`, `alloc_from_iter` |
//! | `vec.into_bump_slice()`, `into_bump_slice_mut()` | `vec.into_slice()` |
//! | `collections::String::new_in(&bump)` | `ArenaString::new_in(&arena)` |
//! | `string.into_bump_str()` | `string.into_str()` |
//! | `format!(in &bump, …)` | `format_in!(&arena, …)`, `arena.alloc_fmt(format_args!(…))` |
//! | any collection over `&bump` (allocator-api2) | the same over `&arena` |
//! | `reset()` keeps the last chunk | keeps all; `keep_bytes` bounds it, `trim()` gives back |
//! | `allocated_bytes()` | `capacity_bytes()`; what was handed out is `used_bytes()` |
//! | `chunk_capacity()`, `iter_allocated_chunks()` | `stats()`, `contains(ptr)` |
//! | `Pool<Bump>` and the like by hand | `ArenaPool` |
//! | | `scope`, `claim`, `checkpoint`: give back what came since |
//! | | `session`: the fastest loop · `from_buffer`: memory of the caller |
//!
//! Vectors of values that need drop (`Vec<String>`): an allocator-api2 `Vec` over `&arena`.
//! References from an arena live as long as its borrow, as with bumpalo.

/// The longest line of a text, its words by first letter, and a report: with bumpalo.
mod before {
    use bumpalo::Bump;
    use bumpalo::collections::{String, Vec};

    pub(crate) struct Index<'a> {
        pub(crate) longest: &'a str,
        pub(crate) shelves: &'a [Shelf<'a>],
    }

    pub(crate) struct Shelf<'a> {
        pub(crate) letter: char,
        pub(crate) words: &'a [&'a str],
    }

    pub(crate) fn index<'a>(bump: &'a Bump, text: &str) -> Index<'a> {
        let longest = text.lines().max_by_key(|line| line.len()).unwrap_or("");
        let mut shelves = Vec::new_in(bump);
        for letter in 'a'..='z' {
            let mut words = Vec::new_in(bump);
            for word in text
                .split_whitespace()
                .filter(|word| word.starts_with(letter))
            {
                words.push(&*bump.alloc_str(word));
            }
            if !words.is_empty() {
                let words = words.into_bump_slice();
                shelves.push(Shelf { letter, words });
            }
        }
        Index {
            longest: bump.alloc_str(longest),
            shelves: shelves.into_bump_slice(),
        }
    }

    pub(crate) fn report<'a>(bump: &'a Bump, index: &Index) -> &'a str {
        let mut text = String::from_str_in(index.longest, bump);
        for shelf in index.shelves {
            let lens = bump.alloc_slice_fill_iter(shelf.words.iter().map(|word| word.len()));
            let bytes: usize = lens.iter().sum();
            let (letter, count) = (shelf.letter, lens.len());
            let line = bumpalo::format!(in bump, "\n{letter}: {count} words, {} bytes", bytes);
            text.push_str(&line);
        }
        text.into_bump_str()
    }
}

/// The same with flagstone.
mod after {
    use flagstone::{Arena, ArenaString, ArenaVec};

    pub(crate) struct Index<'a> {
        pub(crate) longest: &'a str,
        pub(crate) shelves: &'a [Shelf<'a>],
    }

    pub(crate) struct Shelf<'a> {
        pub(crate) letter: char,
        pub(crate) words: &'a [&'a str],
    }

    pub(crate) fn index<'a>(arena: &'a Arena, text: &str) -> Index<'a> {
        let longest = text.lines().max_by_key(|line| line.len()).unwrap_or("");
        let mut shelves = ArenaVec::new_in(arena);
        for letter in 'a'..='z' {
            let mut words = ArenaVec::new_in(arena);
            for word in text
                .split_whitespace()
                .filter(|word| word.starts_with(letter))
            {
                words.push(&*arena.alloc_str(word));
            }
            if !words.is_empty() {
                let words = words.into_slice();
                shelves.push(Shelf { letter, words });
            }
        }
        Index {
            longest: arena.alloc_str(longest),
            shelves: shelves.into_slice(),
        }
    }

    pub(crate) fn report<'a>(arena: &'a Arena, index: &Index) -> &'a str {
        let mut text = ArenaString::new_in(arena);
        text.push_str(index.longest);
        for shelf in index.shelves {
            let lens = arena.alloc_from_iter(shelf.words.iter().map(|word| word.len()));
            let bytes: usize = lens.iter().sum();
            let (letter, count) = (shelf.letter, lens.len());
            text.push_str(
                arena.alloc_fmt(format_args!("\n{letter}: {count} words, {bytes} bytes")),
            );
        }
        text.into_str()
    }
}

/// Both programs over every text, in one arena that is reset between them.
fn compare(texts: &[&str]) -> String {
    let mut bump = bumpalo::Bump::new();
    let mut arena = flagstone::Arena::new();
    let mut last = String::new();
    for text in texts {
        let (theirs, ours) = (before::index(&bump, text), after::index(&arena, text));
        assert_eq!(theirs.longest, ours.longest);
        assert_eq!(theirs.shelves.len(), ours.shelves.len());
        for (theirs, ours) in theirs.shelves.iter().zip(ours.shelves) {
            assert_eq!((theirs.letter, theirs.words), (ours.letter, ours.words));
        }
        let report = after::report(&arena, &ours);
        assert_eq!(before::report(&bump, &theirs), report);
        last = report.to_owned();
        bump.reset();
        arena.reset();
    }
    last
}

fn main() {
    let texts = [
        "",
        "one line",
        "what dies together is allocated together\nand freed together, at once",
    ];
    println!("{}", compare(&texts));
}

#[cfg(test)]
#[test]
fn both_programs_agree() {
    assert_eq!(compare(&[""]), "");
    assert_eq!(
        compare(&["be a bee"]),
        "be a bee\na: 1 words, 1 bytes\nb: 2 words, 5 bytes"
    );
    let long: String = (0..5000_u32).map(|n| format!("{:x} ", n * 7919)).collect();
    assert!(compare(&[&long, "a", &long]).len() > long.len());
}
