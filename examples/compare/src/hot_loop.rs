//! Use 2, the hot loop: small objects that come and go at random.
//!
//! One iteration is an *episode*: [`LIVE`] nodes of 64 bytes are made, then [`REPLACED`] times a
//! random one is read and replaced by a new one, then all are read and dropped.
//!
//! - I1: every arm plays the same episode, writes all 64 bytes of every node and reads all of each
//!   node before it goes.
//! - I2: the arms that cannot free one object (arenas) keep the replaced ones until the episode's
//!   end; their memory columns show the price.
//!
//! It does not take time.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use allocator_api2::boxed::Box as BoxIn;
use flagstone::{Arena, Heap, Keep, Pool, Recycle, Slab};

use crate::figures::Count;
use crate::sync_pool_model::{Collected, SyncPool};
use crate::work::{Arm, Hits, Maker, Way, Work, holding_most};

/// Live objects: 640 KB of nodes, beyond a first-level cache and within a second-level one, as
/// the sessions, orders or particles of a busy program are.
const LIVE: u32 = 10_000;

/// Replacements per episode: enough that churn outweighs filling up, few enough that an arena can
/// hold the garbage of an episode in 2.5 MB.
const REPLACED: u32 = 30_000;

/// What the loop makes: one cache line, as an order, an event or a tree node is.
#[derive(Clone, Copy)]
struct Node {
    words: [u64; 8],
}

impl Node {
    #[inline]
    fn new(seed: u32) -> Node {
        let seed = u64::from(seed);
        Node {
            words: [seed, 1, seed ^ 2, 3, seed ^ 4, 5, seed ^ 6, 7],
        }
    }

    #[inline]
    fn sum(&self) -> u64 {
        self.words
            .iter()
            .fold(0, |sum: u64, word| sum.rotate_left(7) ^ word)
    }
}

impl Recycle for Node {
    fn recycle(&mut self) -> Keep {
        Keep::Yes
    }
}

/// The work.
pub(crate) fn work() -> Work<'static> {
    // One script for all: were there several, dropping the other arms' in a memory probe would
    // leave free memory behind that hides what the probed arm asks for.
    let shared = Rc::new(Script::new());
    let script = || Rc::clone(&shared);
    let arms = vec![
        Arm::new("std", "std Box", Maker::Std, BoxWay(script())),
        Arm::new(
            "heap",
            "Heap Box",
            Maker::Flagstone,
            HeapWay(script(), Heap::new()),
        ),
        Arm::new(
            "slab",
            "Slab",
            Maker::Flagstone,
            SlabWay(script(), Slab::new()),
        ),
        Arm::new("pool", "Pool", Maker::Flagstone, PoolWay::new(script())),
        Arm::new(
            "arena",
            "Arena, in batches",
            Maker::Flagstone,
            ArenaWay(script(), Arena::new()),
        )
        .in_batches(),
        Arm::new(
            "bumpalo",
            "bumpalo, in batches",
            Maker::Other,
            BumpaloWay::new(script()),
        )
        .in_batches(),
        Arm::new(
            "sync-pool",
            "sync.Pool model",
            Maker::Other,
            SyncPoolWay::new(script()),
        ),
        Arm::new(
            "floor",
            "kept and overwritten",
            Maker::Floor,
            FloorWay::new(script()),
        ),
    ];
    Work {
        id: "hot-loop",
        title: "Hot loop",
        description: format!(
            "An episode makes {} nodes of 64 bytes, {} times reads a random one and replaces it \
             by a new one, and drops all. Times are per node made.",
            Count(LIVE.into()),
            Count(REPLACED.into())
        ),
        unit: "object",
        objects: "objects of 64 bytes",
        units_per_iteration: u64::from(LIVE + REPLACED),
        arms,
        remarks: vec![
            "An arena cannot free one object, neither ours nor bumpalo: both keep every replaced \
             node until the episode ends, four times the live ones. See their memory columns \
             before their times.",
            "\"kept and overwritten\" is this loop without making and freeing: what break-even \
             figures are measured from.",
        ],
    }
}

/// Which node is replaced when; the same for every arm.
struct Script(Vec<u32>);

impl Script {
    fn new() -> Script {
        let mut random = fastrand::Rng::with_seed(0x5EED_0001);
        Script((0..REPLACED).map(|_| random.u32(..LIVE)).collect())
    }

    /// Plays one episode; `make` puts a node into memory, and dropping its result frees it.
    #[inline]
    fn play<N: Deref<Target = Node>>(&self, mut make: impl FnMut(Node) -> N) -> u64 {
        let mut live: Vec<N> = (0..LIVE).map(|seed| make(Node::new(seed))).collect();
        let mut sum = 0u64;
        for (seed, &at) in (LIVE..).zip(&self.0) {
            let place = &mut live[at as usize];
            sum = sum.rotate_left(1) ^ place.sum();
            *place = make(Node::new(seed));
        }
        holding_most();
        live.iter()
            .fold(sum, |sum, node| sum.rotate_left(1) ^ node.sum())
    }

    /// The same episode on nodes that exist already: [`Script::play`] less all making and freeing.
    fn play_in_place(&self, nodes: &mut [Box<Node>]) -> u64 {
        for (seed, node) in (0..LIVE).zip(nodes.iter_mut()) {
            **node = Node::new(seed);
        }
        let mut live: Vec<&mut Node> = nodes.iter_mut().map(|node| &mut **node).collect();
        let mut sum = 0u64;
        for (seed, &at) in (LIVE..).zip(&self.0) {
            let place = &mut live[at as usize];
            sum = sum.rotate_left(1) ^ place.sum();
            **place = Node::new(seed);
        }
        holding_most();
        live.iter()
            .fold(sum, |sum, node| sum.rotate_left(1) ^ node.sum())
    }

    fn episodes(iterations: u64, mut episode: impl FnMut() -> u64) -> u64 {
        (0..iterations).fold(0, |sum: u64, _| sum.wrapping_add(episode()))
    }
}

struct BoxWay(Rc<Script>);

impl Way for BoxWay {
    fn run(&mut self, iterations: u64) -> u64 {
        Script::episodes(iterations, || self.0.play(Box::new))
    }
}

struct HeapWay(Rc<Script>, Heap);

impl Way for HeapWay {
    fn run(&mut self, iterations: u64) -> u64 {
        let HeapWay(script, heap) = self;
        let heap = &*heap;
        Script::episodes(iterations, || script.play(|node| BoxIn::new_in(node, heap)))
    }
}

struct SlabWay(Rc<Script>, Slab<Node>);

impl Way for SlabWay {
    fn run(&mut self, iterations: u64) -> u64 {
        let SlabWay(script, slab) = self;
        let slab = &*slab;
        Script::episodes(iterations, || script.play(|node| slab.alloc(node)))
    }
}

struct PoolWay {
    script: Rc<Script>,
    pool: Pool<Node>,
}

impl PoolWay {
    fn new(script: Rc<Script>) -> PoolWay {
        PoolWay {
            script,
            pool: Pool::new(|| Node::new(0)),
        }
    }
}

impl Way for PoolWay {
    fn run(&mut self, iterations: u64) -> u64 {
        Script::episodes(iterations, || {
            self.script.play(|node| {
                let mut place = self.pool.get();
                *place = node;
                place
            })
        })
    }

    fn hits(&self) -> Option<Hits> {
        let stats = self.pool.stats();
        Some(Hits {
            gets: stats.gets,
            creates: stats.creates,
        })
    }
}

struct ArenaWay(Rc<Script>, Arena);

impl Way for ArenaWay {
    fn run(&mut self, iterations: u64) -> u64 {
        let ArenaWay(script, arena) = self;
        Script::episodes(iterations, || {
            let sum = script.play(|node| arena.alloc(node));
            arena.reset();
            sum
        })
    }
}

struct BumpaloWay(Rc<Script>, bumpalo::Bump);

impl BumpaloWay {
    fn new(script: Rc<Script>) -> BumpaloWay {
        BumpaloWay(script, bumpalo::Bump::new())
    }
}

impl Way for BumpaloWay {
    fn run(&mut self, iterations: u64) -> u64 {
        let BumpaloWay(script, bump) = self;
        Script::episodes(iterations, || {
            let sum = script.play(|node| bump.alloc(node));
            bump.reset();
            sum
        })
    }
}

struct SyncPoolWay {
    script: Rc<Script>,
    collected: Collected<Node>,
}

impl SyncPoolWay {
    fn new(script: Rc<Script>) -> SyncPoolWay {
        SyncPoolWay {
            script,
            collected: Collected::new(|| Node::new(0)),
        }
    }
}

/// Puts its node back when dropped; in Go the program says so itself.
struct Borrowed<'p> {
    node: Option<Box<Node>>,
    pool: &'p SyncPool<Node>,
}

impl<'p> Borrowed<'p> {
    #[inline]
    fn new(pool: &'p SyncPool<Node>) -> Borrowed<'p> {
        Borrowed {
            node: Some(pool.get()),
            pool,
        }
    }
}

impl Deref for Borrowed<'_> {
    type Target = Node;

    #[inline]
    fn deref(&self) -> &Node {
        self.node.as_deref().expect("taken only by drop")
    }
}

impl DerefMut for Borrowed<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Node {
        self.node.as_deref_mut().expect("taken only by drop")
    }
}

impl Drop for Borrowed<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            self.pool.put(node);
        }
    }
}

impl Way for SyncPoolWay {
    fn run(&mut self, iterations: u64) -> u64 {
        let pool = &self.collected.pool;
        let sum = Script::episodes(iterations, || {
            self.script.play(|node| {
                let mut place = Borrowed::new(pool);
                *place = node;
                place
            })
        });
        self.collected
            .after(iterations * u64::from(LIVE + REPLACED));
        sum
    }

    fn hits(&self) -> Option<Hits> {
        let collected = &self.collected;
        Some(Hits {
            gets: collected.gets(),
            creates: collected.pool.creates(),
        })
    }
}

/// The nodes are made before the first episode and overwritten in place.
struct FloorWay {
    script: Rc<Script>,
    #[expect(
        clippy::vec_box,
        reason = "boxed as in every other arm, so that reads cost the same"
    )]
    nodes: Vec<Box<Node>>,
}

impl FloorWay {
    fn new(script: Rc<Script>) -> FloorWay {
        FloorWay {
            script,
            nodes: Vec::new(),
        }
    }
}

impl Way for FloorWay {
    fn run(&mut self, iterations: u64) -> u64 {
        if self.nodes.is_empty() {
            self.nodes = (0..LIVE).map(|seed| Box::new(Node::new(seed))).collect();
        }
        Script::episodes(iterations, || self.script.play_in_place(&mut self.nodes))
    }
}
