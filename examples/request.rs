//! An arena per request from an `ArenaPool`: what a request makes goes away at once.
//!
//! `cargo run --release --example request`

use flagstone::{Arena, ArenaPool, ArenaVec};

static ARENAS: ArenaPool = ArenaPool::new();

/// A query parsed into the arena: nothing here is freed one by one.
struct Query<'a> {
    path: &'a str,
    pairs: &'a [(&'a str, &'a str)],
}

fn parse<'a>(arena: &'a Arena, line: &str) -> Query<'a> {
    let (path, query) = line.split_once('?').unwrap_or((line, ""));
    let mut pairs = ArenaVec::new_in(arena);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // The vector grows in place, also while the strings beside it are allocated.
        pairs.push((&*arena.alloc_str(key), &*arena.alloc_str(value)));
    }
    Query {
        path: arena.alloc_str(path),
        pairs: pairs.into_slice(),
    }
}

fn answer(line: &str) -> usize {
    let arena = ARENAS.get();
    let query = parse(&arena, line);
    let mut body = &*arena.alloc_fmt(format_args!("path {}", query.path));
    for (key, value) in query.pairs {
        body = arena.alloc_fmt(format_args!("{body}\n{key} = {value}"));
    }
    body.len()
}

fn main() {
    let lines = [
        "/search?q=slab&lang=en&page=2",
        "/",
        "/cart?add=7&add=9&coupon=spring",
    ];
    let mut bytes = 0;
    for index in 0..100_000 {
        bytes += answer(lines[index % lines.len()]);
    }
    let arena = ARENAS.get();
    println!(
        "{bytes} bytes of answers; an arena keeps {} bytes",
        arena.capacity_bytes()
    );
}
