//! Arenas, each reset between runs the way its README says, and the work they are measured by.
//!
//! All of them allocate from one thread and free nothing until the reset. bumpalo stands in it
//! twice: as it comes, and with the minimum alignment of 8 that flagstone has by default. How each
//! arena does what the work asks for is in `bump/peers.rs`.

pub(crate) mod peers;

use std::fmt;
use std::hint::black_box;

use flagstone::Arena;

use crate::interleave::Row;

/// An arena.
pub trait Bumper: Sized {
    /// An empty one.
    fn empty() -> Self;

    /// Moves a value in.
    fn one<T: Copy>(&self, value: T) -> &T;

    /// Copies a string in.
    fn text(&self, text: &str) -> &str;

    /// Copies words in.
    fn words(&self, words: &[u64]) -> &[u64];

    /// Forgets everything and keeps the memory.
    fn clear(&mut self);
}

/// A growing vector of an arena.
pub trait List<'a, T> {
    /// Appends a value.
    fn add(&mut self, value: T);

    /// Leaves the values in the arena.
    fn freeze(self) -> &'a [T];

    /// What is in it.
    fn items(&self) -> &[T];
}

/// An arena with a growing vector: its own, or where it has none the one its README names.
pub trait Growing: Bumper {
    /// The vector.
    type List<'a, T: Copy + 'a>: List<'a, T>
    where
        Self: 'a;

    /// An empty vector.
    fn list<T: Copy>(&self) -> Self::List<'_, T>;
}

/// An arena with formatting of its own.
pub trait Formatting: Bumper {
    /// Formatted text.
    fn formatted(&self, arguments: fmt::Arguments<'_>) -> &str;
}

/// Allocates `count` values of `WORDS` words; the address goes through a black box, as it would
/// into a tree or a list.
pub fn values<const WORDS: usize, B: Bumper>(bump: &mut B, count: usize) -> u64 {
    let mut sum = 0_u64;
    for index in 0..count as u64 {
        let value = black_box(bump.one([index; WORDS]));
        sum = sum.wrapping_add(value[WORDS - 1]);
    }
    bump.clear();
    sum
}

/// [`values`] through a session.
pub fn session_values<const WORDS: usize>(arena: &mut Arena, count: usize) -> u64 {
    let mut sum = 0_u64;
    let mut session = arena.session();
    for index in 0..count as u64 {
        let value = black_box(&*session.alloc([index; WORDS]));
        sum = sum.wrapping_add(value[WORDS - 1]);
    }
    drop(session);
    arena.reset();
    sum
}

/// [`values`] into memory that is there already: no allocator, no test, no cursor but the index.
pub fn bare_values<const WORDS: usize>(memory: &mut Vec<[u64; WORDS]>, count: usize) -> u64 {
    memory.resize(count, [0; WORDS]);
    let mut sum = 0_u64;
    // Downwards, as the arenas go.
    for (place, index) in memory.iter_mut().rev().zip(0..count as u64) {
        *place = [index; WORDS];
        let value = black_box(&*place);
        sum = sum.wrapping_add(value[WORDS - 1]);
    }
    sum
}

/// Copies `count` strings of `len` bytes.
pub fn texts<B: Bumper>(bump: &mut B, count: usize, len: usize) -> u64 {
    let source: String = ('a'..='z').cycle().take(len + 26).collect();
    let mut sum = 0_u64;
    for index in 0..count {
        let text = black_box(bump.text(&source[index % 26..index % 26 + len]));
        sum = sum
            .wrapping_mul(31)
            .wrapping_add(u64::from(text.as_bytes()[len - 1]));
    }
    bump.clear();
    sum
}

/// Copies `count` slices of `len` words.
pub fn slices<B: Bumper>(bump: &mut B, count: usize, len: usize) -> u64 {
    let source: Vec<u64> = (0..len as u64 + 26).collect();
    let mut sum = 0_u64;
    for index in 0..count {
        let words = black_box(bump.words(&source[index % 26..index % 26 + len]));
        sum = sum.wrapping_mul(31).wrapping_add(words[len - 1]);
    }
    bump.clear();
    sum
}

/// Formats `count` short lines, as a log or a key does: some words, two integers.
pub fn formats<B: Formatting>(bump: &mut B, count: usize) -> u64 {
    let mut sum = 0_u64;
    for index in 0..count {
        let bytes = index * 37 % 5000;
        let text = black_box(bump.formatted(format_args!("item-{index}: {bytes} bytes")));
        let last = text.as_bytes()[text.len() / 2];
        sum = sum.wrapping_mul(31).wrapping_add(u64::from(last));
    }
    bump.clear();
    sum
}

/// The nodes that [`nodes`] makes.
type Node = [u64; 3];

/// Pushes `count` fresh nodes on a growing vector.
pub fn nodes<B: Growing>(bump: &mut B, count: usize) -> u64 {
    let sum = {
        let bump = black_box(&*bump);
        let mut list = bump.list::<&Node>();
        for index in 0..count as u64 {
            list.add(bump.one([index; 3]));
        }
        sum_of(list.items())
    };
    bump.clear();
    sum
}

/// [`nodes`] with the nodes made by a session.
pub fn session_nodes(arena: &mut Arena, count: usize) -> u64 {
    let sum = {
        let arena = black_box(&*arena);
        let mut list = arena.list::<&Node>();
        let mut session = arena.session();
        for index in 0..count as u64 {
            list.push(&*session.alloc([index; 3]));
        }
        sum_of(&list)
    };
    arena.reset();
    sum
}

/// [`nodes`] into memory that is there already.
pub fn bare_nodes(memory: &mut Vec<Node>, count: usize) -> u64 {
    memory.resize(count, [0; 3]);
    let mut list: Vec<&Node> = Vec::with_capacity(count);
    for (place, index) in memory.iter_mut().rev().zip(0..count as u64) {
        *place = [index; 3];
        list.push(place);
    }
    sum_of(black_box(&list))
}

fn sum_of(nodes: &[&Node]) -> u64 {
    nodes.iter().map(|node| node[1]).fold(0, u64::wrapping_add)
}

/// How many vectors of how many words [`pairs`] fills.
const PAIR_WORDS: usize = 100;

/// Fills two vectors in turns, `count` words in all, a hundred for each pair of vectors: what a
/// parser does that gathers names and values.
pub fn pairs<B: Growing>(bump: &mut B, count: usize) -> u64 {
    let mut sum = 0_u64;
    for pair in 0..count / PAIR_WORDS {
        let bump = black_box(&*bump);
        let (mut names, mut values) = (bump.list::<u64>(), bump.list::<u64>());
        for index in 0..(PAIR_WORDS / 2) as u64 {
            names.add(index);
            values.add(index ^ pair as u64);
        }
        let (names, values) = (black_box(names.items()), black_box(values.items()));
        sum = sum
            .wrapping_mul(31)
            .wrapping_add(names[pair % 50] ^ values[49]);
    }
    bump.clear();
    sum
}

/// A row in which every arena does `work`, a call of one of the functions above.
#[macro_export]
macro_rules! arena_row {
    ($title:expr, $count:expr, $work:expr) => {{
        let mut row = $crate::growing_row!($title, $count, $work);
        $crate::arena_row!(@arm row, peer, "bumpalo, min align 8", bumpalo::Bump<8>, $work);
        row
    }};
    (@arm $row:ident, $side:ident, $name:expr, $bump:ty, $work:expr) => {
        let mut bump = <$bump as $crate::bump::Bumper>::empty();
        $row.$side($name, move || $work(&mut bump));
    };
}

/// The same among the arenas that have growing vectors.
#[macro_export]
macro_rules! growing_row {
    ($title:expr, $count:expr, $work:expr) => {{
        let mut row = $crate::formatting_row!($title, $count, $work);
        $crate::arena_row!(@arm row, peer, "blink-alloc", blink_alloc::Blink, $work);
        $crate::arena_row!(@arm row, peer, "stumpalo", stumpalo::Arena, $work);
        row
    }};
}

/// The same among the arenas that can format.
#[macro_export]
macro_rules! formatting_row {
    ($title:expr, $count:expr, $work:expr) => {{
        let mut row = $crate::interleave::Row::new($title, $count);
        $crate::arena_row!(@arm row, ours, "flagstone Arena", flagstone::Arena, $work);
        $crate::arena_row!(@arm row, peer, "bumpalo", bumpalo::Bump, $work);
        $crate::arena_row!(@arm row, peer, "bump-scope", bump_scope::Bump, $work);
        $crate::arena_row!(@arm row, peer, "multitude", multitude::Arena, $work);
        row
    }};
}

/// The row of values of `WORDS` words, with a session and with no allocator at all.
pub fn values_row<'a, const WORDS: usize>(count: usize) -> Row<'a> {
    let title = format!("{count} values of {} B", 8 * WORDS);
    let mut row = arena_row!(title, count, |b| values::<WORDS, _>(b, count));
    let (mut arena, mut memory) = (Arena::empty(), Vec::new());
    row.ours("flagstone Arena, session", move || {
        session_values::<WORDS>(&mut arena, count)
    });
    row.reference("no allocator", move || {
        bare_values::<WORDS>(&mut memory, count)
    });
    row
}

/// The row of vectors that grow while nodes are allocated.
pub fn nodes_row<'a>(count: usize) -> Row<'a> {
    let title = format!("push {count} fresh nodes");
    let mut row = growing_row!(title, count, |b| nodes(b, count));
    let (mut arena, mut memory) = (Arena::empty(), Vec::new());
    row.ours("flagstone Arena, session", move || {
        session_nodes(&mut arena, count)
    });
    row.reference("no allocator", move || bare_nodes(&mut memory, count));
    row
}
