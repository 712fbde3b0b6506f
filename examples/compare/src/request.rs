//! Use 1, the request: parse the whole document into a tree, walk it, drop it.
//!
//! - I1: every arm parses the same text with the same reader, copies every string, walks the whole
//!   tree, and ends with nothing of it alive.
//! - I2: what an arm keeps between requests is what its crate recommends keeping: the arena's
//!   pages, bumpalo's last chunk, the heap's slabs, the scratch stacks. `std` keeps nothing.
//!
//! It does not take time.

use std::hint::black_box;

use flagstone::{Arena, ArenaPool, Heap, Keep, Pool, Recycle};

use crate::builders::{AllocatorBuilder, ArenaBuilder, BumpaloBuilder, Scratch, StdBuilder};
use crate::document::Document;
use crate::figures::Bytes;
use crate::json::{self, Builder};
use crate::sync_pool_model::SyncPool;
use crate::tree::{Family, Value, checksum};
use crate::work::{Arm, Hits, Maker, Way, Work, holding_most};

/// The work, over `document`.
pub(crate) fn work(document: &Document) -> Work<'_> {
    let text = document.text.as_str();
    let scratch_title = "std + Pool of scratch";
    let arms = vec![
        Arm::new("std", "std String and Vec", Maker::Std, StdWay(text)),
        Arm::new(
            "scratch",
            scratch_title,
            Maker::Flagstone,
            ScratchWay::new(text),
        ),
        Arm::new(
            "heap",
            "Heap",
            Maker::Flagstone,
            HeapWay {
                text,
                heap: Heap::new(),
            },
        ),
        Arm::new(
            "arena",
            "Arena from ArenaPool",
            Maker::Flagstone,
            ArenaWay::new(text),
        ),
        Arm::new(
            "fresh",
            "Arena, new each time",
            Maker::Flagstone,
            FreshArenaWay(text),
        ),
        Arm::new(
            "bumpalo",
            "bumpalo, reset",
            Maker::Other,
            BumpaloWay::new(text),
        ),
        Arm::new(
            "sync-pool",
            "std + sync.Pool scratch",
            Maker::Other,
            SyncPoolWay::new(text),
        ),
    ];
    Work {
        id: "request",
        title: "Request",
        description: format!(
            "One request parses {} ({}: {}) into a tree, reads every node and byte of it, and \
             drops it.",
            document.name,
            Bytes(document.text.len() as u64),
            document.census
        ),
        unit: "request",
        objects: "arenas",
        units_per_iteration: 1,
        arms,
        remarks: vec![
            "Slab is not in this table: it holds many of one type, and a document's strings and \
             lists have any length.",
            "\"scratch\" keeps the parser's stacks between requests and makes each list once, at \
             its final size; the tree itself comes from std.",
        ],
    }
}

fn read<B: Builder<Value = Value<F>>, F: Family>(text: &str, builder: &mut B) -> Value<F> {
    match json::parse(text, builder) {
        Ok(value) => value,
        Err(error) => unreachable!("the document was parsed before: {error}"),
    }
}

/// The second half of a request: the walk, at the moment when everything is in memory.
fn walk<F: Family>(tree: &Value<F>) -> u64 {
    holding_most();
    checksum(black_box(tree))
}

fn repeat(iterations: u64, mut request: impl FnMut() -> u64) -> u64 {
    (0..iterations).fold(0, |sum: u64, _| sum.wrapping_add(request()))
}

struct StdWay<'d>(&'d str);

impl Way for StdWay<'_> {
    fn run(&mut self, iterations: u64) -> u64 {
        repeat(iterations, || walk(&read(self.0, &mut StdBuilder)))
    }
}

impl Recycle for Scratch {
    fn recycle(&mut self) -> Keep {
        self.clear();
        Keep::Yes
    }
}

struct ScratchWay<'d> {
    text: &'d str,
    scratches: Pool<Scratch>,
}

impl<'d> ScratchWay<'d> {
    fn new(text: &'d str) -> ScratchWay<'d> {
        ScratchWay {
            text,
            scratches: Pool::new(Scratch::default),
        }
    }
}

impl Way for ScratchWay<'_> {
    fn run(&mut self, iterations: u64) -> u64 {
        repeat(iterations, || {
            let mut scratch = self.scratches.get();
            walk(&read(self.text, &mut *scratch))
        })
    }

    fn hits(&self) -> Option<Hits> {
        let stats = self.scratches.stats();
        Some(Hits {
            gets: stats.gets,
            creates: stats.creates,
        })
    }
}

struct SyncPoolWay<'d> {
    text: &'d str,
    scratches: SyncPool<Scratch>,
}

impl<'d> SyncPoolWay<'d> {
    fn new(text: &'d str) -> SyncPoolWay<'d> {
        SyncPoolWay {
            text,
            scratches: SyncPool::new(Scratch::default),
        }
    }
}

impl Way for SyncPoolWay<'_> {
    fn run(&mut self, iterations: u64) -> u64 {
        let sum = repeat(iterations, || {
            let mut scratch = self.scratches.get();
            let sum = walk(&read(self.text, &mut *scratch));
            scratch.clear();
            self.scratches.put(scratch);
            sum
        });
        // A run lasts some milliseconds: about as often as Go's collector comes by.
        self.scratches.gc();
        sum
    }
}

struct HeapWay<'d> {
    text: &'d str,
    heap: Heap,
}

impl Way for HeapWay<'_> {
    fn run(&mut self, iterations: u64) -> u64 {
        let mut builder = AllocatorBuilder(&self.heap);
        repeat(iterations, || walk(&read(self.text, &mut builder)))
    }
}

struct ArenaWay<'d> {
    text: &'d str,
    arenas: ArenaPool,
}

impl<'d> ArenaWay<'d> {
    fn new(text: &'d str) -> ArenaWay<'d> {
        ArenaWay {
            text,
            arenas: ArenaPool::new(),
        }
    }
}

impl Way for ArenaWay<'_> {
    fn run(&mut self, iterations: u64) -> u64 {
        repeat(iterations, || {
            let arena = self.arenas.get();
            walk(&read(self.text, &mut ArenaBuilder(&arena)))
        })
    }

    fn hits(&self) -> Option<Hits> {
        let stats = self.arenas.stats();
        Some(Hits {
            gets: stats.gets,
            creates: stats.creates,
        })
    }
}

struct FreshArenaWay<'d>(&'d str);

impl Way for FreshArenaWay<'_> {
    fn run(&mut self, iterations: u64) -> u64 {
        repeat(iterations, || {
            let arena = Arena::new();
            walk(&read(self.0, &mut ArenaBuilder(&arena)))
        })
    }
}

struct BumpaloWay<'d> {
    text: &'d str,
    bump: bumpalo::Bump,
}

impl<'d> BumpaloWay<'d> {
    fn new(text: &'d str) -> BumpaloWay<'d> {
        BumpaloWay {
            text,
            bump: bumpalo::Bump::new(),
        }
    }
}

impl Way for BumpaloWay<'_> {
    fn run(&mut self, iterations: u64) -> u64 {
        repeat(iterations, || {
            let mut builder = BumpaloBuilder(&self.bump);
            let sum = walk(&read(self.text, &mut builder));
            self.bump.reset();
            sum
        })
    }
}
