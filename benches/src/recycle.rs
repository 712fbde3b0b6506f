//! Object pools, and the cycle they are measured by: get, push a byte, clear, put.
//!
//! The object is a `Vec<u8>` with 4 KiB of capacity, the pools' favourite use. Each pool is filled
//! and shared the way its README says; clearing is the pool's own where it has a reset, the user's
//! otherwise, once per cycle for everybody. `thread_local` is what one writes without a pool; it
//! serves its own thread alone, so it is shown and is no peer. plurality is a pool of slots: its
//! objects are made and dropped each time, as without a pool; so are those of our `Slab`.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::{Arc, Mutex};

use crossbeam_queue::ArrayQueue;
use flagstone::{LocalHandle, Pool, Slab};

use crate::interleave::Row;

/// Bytes of capacity of a pooled buffer.
const BUFFER_BYTES: usize = 4096;
/// Objects a bounded pool may hold.
const OBJECTS: usize = 64;

/// A pool.
pub trait Recycler {
    /// Gets a buffer, lends it to `work`, and puts it back empty.
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R;
}

/// What the pools of all rows keep.
pub(crate) fn buffer() -> Vec<u8> {
    Vec::with_capacity(BUFFER_BYTES)
}

impl Recycler for Pool<Vec<u8>> {
    #[inline(always)]
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        work(&mut self.get())
    }
}

impl Recycler for LocalHandle<'_, Vec<u8>> {
    #[inline(always)]
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        work(&mut self.get())
    }
}

/// Guards that hold on to their pool themselves.
struct Owned(Arc<Pool<Vec<u8>>>);

impl Recycler for Owned {
    #[inline(always)]
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        work(&mut self.0.get_owned())
    }
}

/// No pool, a new buffer each time, in a slot instead of a box.
impl Recycler for Slab<Vec<u8>> {
    #[inline(always)]
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        work(&mut self.alloc(buffer()))
    }
}

/// No pool: a new buffer each time.
#[derive(Debug)]
pub struct Fresh;

impl Recycler for Fresh {
    #[inline(always)]
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        work(black_box(&mut buffer()))
    }
}

/// What one writes by hand.
#[derive(Debug)]
pub struct ByHand;

thread_local! {
    #[expect(clippy::vec_box, reason = "a pool hands out one pointer, and so does this")]
    static BUFFERS: RefCell<Vec<Box<Vec<u8>>>> = const { RefCell::new(Vec::new()) };
}

impl Recycler for ByHand {
    #[inline(always)]
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let kept = BUFFERS.with_borrow_mut(Vec::pop);
        let mut buffer = kept.unwrap_or_else(|| Box::new(buffer()));
        let result = work(&mut buffer);
        buffer.clear();
        BUFFERS.with_borrow_mut(|buffers| buffers.push(buffer));
        result
    }
}

pub(crate) type RegexPool = regex_automata::util::pool::Pool<Vec<u8>, fn() -> Vec<u8>>;

impl Recycler for RegexPool {
    #[inline(always)]
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut buffer = self.get();
        let result = work(&mut buffer);
        buffer.clear();
        result
    }
}

impl Recycler for object_pool::Pool<Vec<u8>> {
    #[inline(always)]
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut buffer = self.pull(buffer);
        let result = work(&mut buffer);
        buffer.clear();
        result
    }
}

/// opool's description of a buffer.
#[derive(Debug)]
pub struct Buffers;

impl opool::PoolAllocator<Vec<u8>> for Buffers {
    fn allocate(&self) -> Vec<u8> {
        buffer()
    }

    fn reset(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
    }
}

impl Recycler for opool::Pool<Buffers, Vec<u8>> {
    #[inline(always)]
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        work(&mut self.get())
    }
}

impl Recycler for lockfree_object_pool::LinearObjectPool<Vec<u8>> {
    #[inline(always)]
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        work(&mut self.pull())
    }
}

impl Recycler for plurality::Pool<Vec<u8>> {
    #[inline(always)]
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        work(&mut self.alloc(buffer()))
    }
}

/// For several threads its README says: a lock for allocating, none for giving back.
impl Recycler for Mutex<plurality::Pool<Vec<u8>>> {
    #[inline(always)]
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let fresh = buffer();
        let mut buffer = self.lock().expect("no panic").alloc_box(fresh);
        work(&mut buffer)
    }
}

impl Recycler for ArrayQueue<Box<Vec<u8>>> {
    #[inline(always)]
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut buffer = self.pop().unwrap_or_else(|| Box::new(buffer()));
        let result = work(&mut buffer);
        buffer.clear();
        // A full queue drops the buffer, which is its way of being bounded.
        let _ = self.push(buffer);
        result
    }
}

/// What sharded-slab keeps has to say how it is made and cleared.
struct Sharded(Vec<u8>);

impl Default for Sharded {
    fn default() -> Sharded {
        Sharded(buffer())
    }
}

impl sharded_slab::Clear for Sharded {
    fn clear(&mut self) {
        self.0.clear();
    }
}

/// Its guards leave the object in its place; `clear` is what makes the place free again.
impl Recycler for sharded_slab::Pool<Sharded> {
    #[inline(always)]
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut guard = self.create().expect("room");
        let result = work(&mut guard.0);
        let key = guard.key();
        drop(guard);
        self.clear(key);
        result
    }
}

/// `count` cycles on the calling thread.
pub fn cycles<P: Recycler>(pool: &P, count: usize) -> u64 {
    let mut sum = 0_u64;
    for index in 0..count {
        sum = sum.wrapping_add(pool.lend(|buffer| {
            buffer.push(index as u8);
            u64::from(black_box(&**buffer)[0]) + buffer.len() as u64
        }));
    }
    sum
}

/// `count` cycles on each of `threads` threads.
pub fn cycles_on_threads<P: Recycler + Sync>(pool: &P, threads: usize, count: usize) -> u64 {
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(move || cycles(pool, count)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"))
            .sum()
    })
}

/// The row of `threads` threads with `count` cycles each.
pub fn row<'a>(title: &str, threads: usize, count: usize) -> Row<'a> {
    fn by<'a, P: Recycler + Sync + 'a>(
        pool: P,
        threads: usize,
        count: usize,
    ) -> impl FnMut() -> u64 + 'a {
        move || match threads {
            1 => cycles(&pool, count),
            _ => cycles_on_threads(&pool, threads, count),
        }
    }
    let mut row = Row::new(title, threads * count);
    row.ours(
        "flagstone Pool",
        by(Pool::<Vec<u8>>::new(buffer), threads, count),
    );
    if threads == 1 {
        row.ours("flagstone Pool, local handle", move || {
            static POOL: Pool<Vec<u8>> = Pool::new(buffer);
            cycles(&POOL.local(), count)
        });
        let owned = Owned(Arc::new(Pool::new(buffer)));
        row.ours("flagstone Pool, owned guards", by(owned, 1, count));
        let slab = Slab::<Vec<u8>>::new();
        row.ours("no pool, flagstone Slab", move || cycles(&slab, count));
    }
    let regex: RegexPool = RegexPool::new(buffer);
    row.peer("regex-automata Pool", by(regex, threads, count));
    row.peer(
        "object-pool",
        by(object_pool::Pool::new(OBJECTS, buffer), threads, count),
    );
    row.peer(
        "opool",
        by(opool::Pool::new(OBJECTS, Buffers), threads, count),
    );
    let linear = lockfree_object_pool::LinearObjectPool::new(buffer, Vec::clear);
    row.peer("lockfree-object-pool", by(linear, threads, count));
    row.peer(
        "crossbeam ArrayQueue of boxes",
        by(ArrayQueue::new(OBJECTS), threads, count),
    );
    let sharded = sharded_slab::Pool::<Sharded>::new();
    row.peer("sharded-slab Pool", by(sharded, threads, count));
    if threads == 1 {
        let slots = plurality::Pool::new();
        row.peer("plurality", move || cycles(&slots, count));
    } else {
        let slots = Mutex::new(plurality::Pool::new());
        row.peer("plurality", by(slots, threads, count));
    }
    row.reference("thread_local by hand", by(ByHand, threads, count));
    row.peer("no pool, system malloc", by(Fresh, threads, count));
    row
}
