//! Use 3, the reuse loop: get a buffer, fill it, give it back.
//!
//! One iteration plays a script of [`STEPS`] steps. A step holds one buffer, sometimes a few,
//! seldom a burst; fills each with a piece of the document; then most go back and one in
//! [`LEAVES_ONE_IN`] leaves with its content, as a response body leaves with the socket.
//!
//! - I1: every arm plays the same script and copies the same bytes; buffers that leave are dropped
//!   by whoever they went to, which costs every arm the same.
//! - I2: a recycled buffer comes back empty with its capacity.
//!
//! It does not take time.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;

use allocator_api2::alloc::Allocator;
use allocator_api2::vec::Vec as VecIn;
use flagstone::{Heap, Pool, Pooled};

use crate::document::Document;
use crate::sync_pool_model::{Collected, SyncPool};
use crate::work::{Arm, Hits, Maker, Way, Work, holding_most};

/// What a server's read or response buffer commonly holds, and one page.
const BUFFER_BYTES: usize = 4096;

/// Long enough that no branch predictor learns it by heart.
const STEPS: usize = 4096;

/// The burst: as many buffers as one step ever holds.
const HELD_MAX: usize = 32;

/// 7 % of buffers never come back: the share that keeps a pool honest.
const LEAVES_ONE_IN: u32 = 14;

/// The work, over `document`'s bytes.
pub(crate) fn work(document: &Document) -> Work<'_> {
    // One script for all: were there several, dropping the other arms' in a memory probe would
    // leave free memory behind that hides what the probed arm asks for.
    let shared = Rc::new(Script::new(&document.material));
    let script = || Rc::clone(&shared);
    let ours = Maker::Flagstone;
    let arms = vec![
        Arm::new(
            "std",
            "std Vec, new each time",
            Maker::Std,
            VecWay(script()),
        ),
        Arm::new(
            "pool",
            "Pool",
            ours,
            PoolWay(script(), Pool::new(new_buffer)),
        ),
        Arm::new(
            "heap",
            "Heap Vec, new each time",
            ours,
            HeapWay(script(), Heap::new()),
        ),
        Arm::new(
            "sync-pool",
            "sync.Pool model",
            Maker::Other,
            SyncPoolWay::new(script()),
        ),
        Arm::new(
            "by-hand",
            "thread-local list by hand",
            Maker::Other,
            ByHandWay {
                script: script(),
                gets: 0,
            },
        ),
        Arm::new(
            "floor",
            "kept by the loop",
            Maker::Floor,
            FloorWay(script(), Kept::default()),
        ),
    ];
    let buffers = shared.buffers.len();
    Work {
        id: "reuse",
        title: "Reuse loop",
        description: format!(
            "Buffers of {BUFFER_BYTES} bytes are filled with 200 to 3,000 bytes of the document: \
             mostly one at a time, now and then 4, seldom 32. One in {LEAVES_ONE_IN} leaves with \
             its content and does not come back."
        ),
        unit: "buffer",
        objects: "buffers of 4 KiB",
        units_per_iteration: buffers as u64,
        arms,
        remarks: vec![
            "Arena and bumpalo are not in this table: a buffer here is given back before its \
             request ends, and they free at the end only. Slab is not: it recycles the slot of a \
             buffer's header, not the buffer.",
            "\"kept by the loop\" is this loop without getting and giving back: what break-even \
             figures are measured from.",
        ],
    }
}

/// A buffer as every arm makes it.
fn new_buffer() -> Vec<u8> {
    Vec::with_capacity(BUFFER_BYTES)
}

/// What happens to one buffer.
struct Fill {
    start: usize,
    bytes: usize,
    leaves: bool,
}

/// What happens, in order; the same for every arm.
struct Script<'d> {
    material: &'d [u8],
    /// How many buffers each step holds; they stand in `buffers` one after the other.
    steps: Vec<usize>,
    buffers: Vec<Fill>,
}

/// How an arm gets a buffer and gets rid of it.
trait Buffers {
    type Buffer;
    fn get(&mut self) -> Self::Buffer;
    fn fill(&mut self, buffer: &mut Self::Buffer, bytes: &[u8]) -> u64;
    fn give_back(&mut self, buffer: Self::Buffer);
    fn let_go(&mut self, buffer: Self::Buffer);
}

impl<'d> Script<'d> {
    fn new(material: &'d [u8]) -> Script<'d> {
        let mut random = fastrand::Rng::with_seed(0x5EED_0002);
        let mut script = Script {
            material,
            steps: Vec::new(),
            buffers: Vec::new(),
        };
        for _ in 0..STEPS {
            let hold = match random.u32(..100) {
                0 => HELD_MAX,
                1..10 => 4,
                _ => 1,
            };
            script.steps.push(hold);
            for _ in 0..hold {
                // A product of two draws: small bodies are more common than large ones.
                let bytes = 200 + random.usize(..53) * random.usize(..54);
                let start = random.usize(..material.len() - bytes);
                let leaves = random.u32(..LEAVES_ONE_IN) == 0;
                script.buffers.push(Fill {
                    start,
                    bytes,
                    leaves,
                });
            }
        }
        script
    }

    fn play<B: Buffers>(&self, iterations: u64, buffers: &mut B) -> u64 {
        let mut held = Vec::with_capacity(HELD_MAX);
        let mut sum = 0u64;
        for _ in 0..iterations {
            let mut fills = self.buffers.iter();
            for &hold in &self.steps {
                for fill in fills.by_ref().take(hold) {
                    let mut buffer = buffers.get();
                    let bytes = &self.material[fill.start..fill.start + fill.bytes];
                    sum = sum.rotate_left(1) ^ buffers.fill(&mut buffer, bytes);
                    held.push((buffer, fill.leaves));
                }
                if hold == HELD_MAX {
                    holding_most();
                }
                while let Some((buffer, leaves)) = held.pop() {
                    match leaves {
                        true => buffers.let_go(buffer),
                        false => buffers.give_back(buffer),
                    }
                }
            }
        }
        sum
    }

    fn gets(&self, iterations: u64) -> u64 {
        iterations * self.buffers.len() as u64
    }
}

/// Reads what was written, at both ends: the copy itself is the work.
#[inline]
fn sample(bytes: &[u8]) -> u64 {
    let head = bytes
        .first_chunk()
        .map_or(0, |head| u64::from_le_bytes(*head));
    let tail = bytes
        .last_chunk()
        .map_or(0, |tail| u64::from_le_bytes(*tail));
    head ^ tail.rotate_left(32) ^ bytes.len() as u64
}

#[inline]
fn fill(buffer: &mut Vec<u8>, bytes: &[u8]) -> u64 {
    buffer.extend_from_slice(bytes);
    sample(buffer)
}

struct VecWay<'d>(Rc<Script<'d>>);

struct NewVecs;

impl Buffers for NewVecs {
    type Buffer = Vec<u8>;

    fn get(&mut self) -> Vec<u8> {
        new_buffer()
    }

    fn fill(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) -> u64 {
        fill(buffer, bytes)
    }

    fn give_back(&mut self, buffer: Vec<u8>) {
        drop(buffer);
    }

    fn let_go(&mut self, buffer: Vec<u8>) {
        drop(buffer);
    }
}

impl Way for VecWay<'_> {
    fn run(&mut self, iterations: u64) -> u64 {
        self.0.play(iterations, &mut NewVecs)
    }
}

struct PoolWay<'d>(Rc<Script<'d>>, Pool<Vec<u8>>);

impl<'p> Buffers for &'p Pool<Vec<u8>> {
    type Buffer = Pooled<'p, Vec<u8>>;

    fn get(&mut self) -> Self::Buffer {
        Pool::get(self)
    }

    fn fill(&mut self, buffer: &mut Self::Buffer, bytes: &[u8]) -> u64 {
        fill(buffer, bytes)
    }

    fn give_back(&mut self, buffer: Self::Buffer) {
        drop(buffer);
    }

    fn let_go(&mut self, buffer: Self::Buffer) {
        drop(buffer.detach());
    }
}

impl Way for PoolWay<'_> {
    fn run(&mut self, iterations: u64) -> u64 {
        self.0.play(iterations, &mut &self.1)
    }

    fn hits(&self) -> Option<Hits> {
        let stats = self.1.stats();
        Some(Hits {
            gets: stats.gets,
            creates: stats.creates,
        })
    }
}

struct HeapWay<'d>(Rc<Script<'d>>, Heap);

impl<'h> Buffers for &'h Heap {
    type Buffer = VecIn<u8, &'h Heap>;

    fn get(&mut self) -> Self::Buffer {
        VecIn::with_capacity_in(BUFFER_BYTES, *self)
    }

    fn fill(&mut self, buffer: &mut Self::Buffer, bytes: &[u8]) -> u64 {
        append(buffer, bytes);
        sample(buffer)
    }

    fn give_back(&mut self, buffer: Self::Buffer) {
        drop(buffer);
    }

    fn let_go(&mut self, buffer: Self::Buffer) {
        drop(buffer);
    }
}

/// What `extend_from_slice` does in std. allocator-api2 0.2 copies byte by byte there, which would
/// measure that crate instead of the allocator.
fn append<A: Allocator>(buffer: &mut VecIn<u8, A>, bytes: &[u8]) {
    let filled = buffer.len();
    buffer.reserve(bytes.len());
    // SAFETY: `reserve` made room for so many bytes behind the filled ones, and `&mut` says that
    // `bytes` lies elsewhere.
    unsafe {
        let end = buffer.as_mut_ptr().add(filled);
        ptr::copy_nonoverlapping(bytes.as_ptr(), end, bytes.len());
        buffer.set_len(filled + bytes.len());
    }
}

impl Way for HeapWay<'_> {
    fn run(&mut self, iterations: u64) -> u64 {
        self.0.play(iterations, &mut &self.1)
    }
}

struct SyncPoolWay<'d> {
    script: Rc<Script<'d>>,
    collected: Collected<Vec<u8>>,
}

impl<'d> SyncPoolWay<'d> {
    fn new(script: Rc<Script<'d>>) -> SyncPoolWay<'d> {
        SyncPoolWay {
            script,
            collected: Collected::new(new_buffer),
        }
    }
}

/// As a Go program does it: `Get`, use, `Reset`, `Put`.
impl Buffers for &SyncPool<Vec<u8>> {
    type Buffer = Box<Vec<u8>>;

    fn get(&mut self) -> Self::Buffer {
        SyncPool::get(self)
    }

    fn fill(&mut self, buffer: &mut Self::Buffer, bytes: &[u8]) -> u64 {
        fill(buffer, bytes)
    }

    fn give_back(&mut self, mut buffer: Self::Buffer) {
        buffer.clear();
        self.put(buffer);
    }

    fn let_go(&mut self, buffer: Self::Buffer) {
        drop(buffer);
    }
}

impl Way for SyncPoolWay<'_> {
    fn run(&mut self, iterations: u64) -> u64 {
        let sum = self.script.play(iterations, &mut &self.collected.pool);
        self.collected.after(self.script.gets(iterations));
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

/// What people write before they look for a crate: a list of buffers per thread. Boxed, because
/// moving a `Vec` in and out costs more than the box.
#[expect(
    clippy::vec_box,
    clippy::box_collection,
    reason = "see above: one pointer moves faster"
)]
mod by_hand {
    use super::{Cell, RefCell, new_buffer};

    /// Enough for the largest burst twice over; a list without a limit is a leak.
    const KEPT_MAX: usize = 64;

    thread_local! {
        static FREE: RefCell<Vec<Box<Vec<u8>>>> = const { RefCell::new(Vec::new()) };
        static CREATES: Cell<u64> = const { Cell::new(0) };
    }

    #[inline]
    pub(super) fn get() -> Box<Vec<u8>> {
        FREE.with_borrow_mut(Vec::pop).unwrap_or_else(create)
    }

    #[cold]
    fn create() -> Box<Vec<u8>> {
        CREATES.set(CREATES.get() + 1);
        Box::new(new_buffer())
    }

    #[inline]
    pub(super) fn put(mut buffer: Box<Vec<u8>>) {
        buffer.clear();
        FREE.with_borrow_mut(|free| {
            if free.len() < KEPT_MAX {
                free.push(buffer);
            }
        });
    }

    pub(super) fn creates() -> u64 {
        CREATES.get()
    }
}

struct ByHandWay<'d> {
    script: Rc<Script<'d>>,
    gets: u64,
}

struct ByHand;

impl Buffers for ByHand {
    type Buffer = Box<Vec<u8>>;

    fn get(&mut self) -> Self::Buffer {
        by_hand::get()
    }

    fn fill(&mut self, buffer: &mut Self::Buffer, bytes: &[u8]) -> u64 {
        fill(buffer, bytes)
    }

    fn give_back(&mut self, buffer: Self::Buffer) {
        by_hand::put(buffer);
    }

    fn let_go(&mut self, buffer: Self::Buffer) {
        drop(buffer);
    }
}

impl Way for ByHandWay<'_> {
    fn run(&mut self, iterations: u64) -> u64 {
        self.gets += self.script.gets(iterations);
        self.script.play(iterations, &mut ByHand)
    }

    fn hits(&self) -> Option<Hits> {
        Some(Hits {
            gets: self.gets,
            creates: by_hand::creates(),
        })
    }
}

struct FloorWay<'d>(Rc<Script<'d>>, Kept);

/// Buffers that never leave the loop; one is handed out as its place in the list.
#[derive(Default)]
struct Kept {
    buffers: Vec<Vec<u8>>,
    held: usize,
}

impl Buffers for Kept {
    type Buffer = usize;

    fn get(&mut self) -> usize {
        self.held += 1;
        self.held - 1
    }

    fn fill(&mut self, buffer: &mut usize, bytes: &[u8]) -> u64 {
        fill(&mut self.buffers[*buffer], bytes)
    }

    fn give_back(&mut self, buffer: usize) {
        self.buffers[buffer].clear();
        self.held -= 1;
    }

    fn let_go(&mut self, buffer: usize) {
        self.give_back(buffer);
    }
}

impl Way for FloorWay<'_> {
    fn run(&mut self, iterations: u64) -> u64 {
        self.1.buffers.resize_with(HELD_MAX, new_buffer);
        self.0.play(iterations, &mut self.1)
    }
}
