//! Object pools, and the cycle they are measured by: get, push a byte, clear, put.
//!
//! The object is a `Vec<u8>` with 4 KiB of capacity, the pools' favourite use. Each pool is filled
//! and shared the way its README says; clearing is the pool's own where it has a reset, the user's
//! otherwise, once per cycle for everybody. `thread_local` is what one writes without a pool; it
//! serves its own thread alone, so it is shown and is no peer. plurality is a pool of slots: its
//! objects are made and dropped each time, as without a pool.
//!
//! Between producer and consumer objects travel in batches. One by one, 300 ns of an object's 310
//! were the channel's (two threads that put each other to sleep), whatever the pool. What batches
//! still cost, with objects that belong to nobody, is the row's reference.

use std::cell::RefCell;
use std::hint::black_box;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, mpsc};

use crossbeam_queue::ArrayQueue;
use flagstone::{LocalHandle, Pool};

use crate::interleave::Row;

/// Bytes of capacity of a pooled buffer.
const BUFFER_BYTES: usize = 4096;
/// Objects a bounded pool may hold.
const OBJECTS: usize = 64;
/// Objects that go from thread to thread together: handing a batch over may wake a thread up, which
/// takes some 5 us, a hundredth of that for each of these.
const BATCH: usize = 512;
/// Batches that wait: with the two at work fewer objects than any of the pools keeps.
const BATCHES: usize = 3;
/// Objects of a bounded pool that has to serve those.
const TRAVELLERS: usize = (BATCHES + 3) * BATCH;

/// A pool.
pub trait Recycler {
    /// Gets a buffer, lends it to `work`, and puts it back empty.
    fn lend<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R;
}

fn buffer() -> Vec<u8> {
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

type RegexPool = regex_automata::util::pool::Pool<Vec<u8>, fn() -> Vec<u8>>;

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

/// A producer gets buffers and sends them to a consumer that drops them, so that every object comes
/// back on another thread than it left on. Only pools whose guards may travel are in it; all are
/// borrowed, by guards of the pool's cheapest kind that may.
pub fn travel_row<'a>(title: &str, batches: usize) -> Row<'a> {
    let mut row = Row::new(title, batches * BATCH);
    let ours = Pool::<Vec<u8>>::new(buffer);
    row.ours("flagstone Pool", move || travel(batches, || ours.get()));
    let shared = Arc::new(Pool::<Vec<u8>>::new(buffer));
    row.ours("flagstone Pool, owned guards", move || {
        travel(batches, || shared.get_owned())
    });
    let object = object_pool::Pool::new(TRAVELLERS, buffer);
    row.peer("object-pool", move || {
        travel(batches, || {
            let mut guard = object.pull(buffer);
            guard.clear();
            guard
        })
    });
    let bounded = opool::Pool::new(TRAVELLERS, Buffers);
    row.peer("opool", move || travel(batches, || bounded.get()));
    let linear = lockfree_object_pool::LinearObjectPool::new(buffer, Vec::clear);
    row.peer("lockfree-object-pool", move || {
        travel(batches, || linear.pull())
    });
    let regex: RegexPool = RegexPool::new(buffer);
    row.peer("regex-automata Pool", move || {
        travel(batches, || {
            let mut guard = regex.get();
            guard.clear();
            guard
        })
    });
    let queue = ArrayQueue::new(TRAVELLERS);
    row.peer("crossbeam ArrayQueue of boxes", move || {
        travel(batches, || Queued::new(&queue))
    });
    let slots = plurality::Pool::new();
    row.peer("plurality", move || {
        travel(batches, || slots.alloc_box(buffer()))
    });
    row.peer("no pool, system malloc", move || {
        travel(batches, || Box::new(buffer()))
    });
    row.reference("the batches alone", move || travel_alone(batches));
    row
}

/// A buffer whose address stays, as the pools' objects have: what is queued is one word.
#[allow(
    clippy::box_collection,
    reason = "the other contenders hand out pointers to buffers, too"
)]
type Boxed = Box<Vec<u8>>;

/// What one writes around a queue.
struct Queued<'q> {
    buffer: Option<Boxed>,
    queue: &'q ArrayQueue<Boxed>,
}

impl<'q> Queued<'q> {
    fn new(queue: &'q ArrayQueue<Boxed>) -> Queued<'q> {
        let kept = queue.pop();
        Queued {
            buffer: Some(kept.unwrap_or_else(|| Box::new(buffer()))),
            queue,
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if let Some(mut buffer) = self.buffer.take() {
            buffer.clear();
            let _ = self.queue.push(buffer);
        }
    }
}

impl Deref for Queued<'_> {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        self.buffer.as_deref().expect("taken by drop alone")
    }
}

impl DerefMut for Queued<'_> {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        self.buffer.as_deref_mut().expect("taken by drop alone")
    }
}

fn travel<G>(batches: usize, get: impl Fn() -> G) -> u64
where
    G: DerefMut<Target = Vec<u8>> + Send,
{
    let (sender, receiver) = mpsc::sync_channel::<Vec<G>>(BATCHES);
    std::thread::scope(|scope| {
        let consumer = scope.spawn(move || {
            let buffers = receiver.into_iter().flatten();
            buffers.fold(0, |sum: u64, buffer| sum.wrapping_add(read(&buffer)))
        });
        for _ in 0..batches {
            let mut batch = Vec::with_capacity(BATCH);
            for index in 0..BATCH {
                let mut buffer = get();
                buffer.push(index as u8);
                batch.push(buffer);
            }
            sender.send(batch).expect("a consumer");
        }
        drop(sender);
        consumer.join().expect("no panic")
    })
}

fn read(buffer: &[u8]) -> u64 {
    u64::from(buffer[0]) + buffer.len() as u64
}

/// The same with batches that go back as they are: no pool, and nothing made or dropped.
fn travel_alone(batches: usize) -> u64 {
    let (sender, receiver) = mpsc::sync_channel::<Vec<Box<Vec<u8>>>>(BATCHES);
    let (back, emptied) = mpsc::channel();
    let fresh = || (0..BATCH).map(|_| Box::new(buffer())).collect();
    std::thread::scope(|scope| {
        let consumer = scope.spawn(move || {
            let mut sum = 0_u64;
            for mut batch in receiver {
                for buffer in &mut batch {
                    sum = sum.wrapping_add(read(buffer));
                    buffer.clear();
                }
                // The producer may be done.
                let _ = back.send(batch);
            }
            sum
        });
        for _ in 0..batches {
            let mut batch: Vec<Box<Vec<u8>>> = emptied.try_recv().unwrap_or_else(|_| fresh());
            for (index, buffer) in batch.iter_mut().enumerate() {
                buffer.push(index as u8);
            }
            sender.send(batch).expect("a consumer");
        }
        drop(sender);
        consumer.join().expect("no panic")
    })
}
