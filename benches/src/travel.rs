//! Objects that come back on another thread than they left on.
//!
//! Between producers and consumers objects travel in batches. One by one, 300 ns of an object's 310
//! were the channel's (two threads that put each other to sleep), whatever the pool. What batches
//! still cost, with objects that belong to nobody, is the row's reference.
//!
//! Tasks migrate one by one: a thread gets a buffer, leaves it in one of a few hundred places at
//! random, and drops the one that it finds there, which may be its own or another's. What the
//! places cost is that row's reference.
//!
//! Only pools whose guards may travel are in it; all are borrowed, by guards of the pool's cheapest
//! kind that may. sharded-slab's, whose owned guards may, is left out: an object that comes back on
//! another thread takes it microseconds, and the row would be a test of patience. regex-automata's
//! is in the row of tasks alone: what a consumer gives back its producers do not find, so between
//! those it grows by a gigabyte per second.

use std::iter;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, mpsc};

use crossbeam_queue::ArrayQueue;
use flagstone::Pool;

use crate::Random;
use crate::interleave::Row;
use crate::recycle::{Buffers, RegexPool, buffer};

/// Objects that go from thread to thread together: handing a batch over may wake a thread up, which
/// takes some 5 us, a hundredth of that for each of these.
const BATCH: usize = 512;
/// Batches that wait: with those at work fewer objects than any of the pools keeps.
const BATCHES: usize = 3;
/// Producers, and as many consumers, where there are several: one of each for each of two
/// processors.
const PAIRS: usize = 2;
/// Objects of a bounded pool that has to serve those.
const TRAVELLERS: usize = (BATCHES + 2 * PAIRS + 1) * BATCH;
/// Places for tasks: so many that two threads seldom meet at one.
const PLACES: usize = 256;

/// A producer gets buffers and sends them to a consumer that drops them.
pub fn travel_row<'a>(title: &str, batches: usize) -> Row<'a> {
    let slots = plurality::Pool::new();
    let plurality = move || travel(batches, || slots.alloc_box(buffer()));
    let mut row = row(title, batches * BATCH, Travel(batches), plurality);
    row.reference("the batches alone", move || travel_alone(1, batches));
    row
}

/// The same between two producers and two consumers, whichever comes first. An operation is one
/// object.
pub fn crowd_row<'a>(title: &str, batches: usize) -> Row<'a> {
    let slots = Mutex::new(plurality::Pool::new());
    let plurality = move || Crowd(batches).run(|| locked(&slots));
    let mut row = row(title, batches * BATCH, Crowd(batches), plurality);
    row.reference("the batches alone", move || travel_alone(PAIRS, batches));
    row
}

/// Tasks on two threads, `count` got by each, that end on either.
pub fn migrate_row<'a>(title: &str, count: usize) -> Row<'a> {
    let slots = Mutex::new(plurality::Pool::new());
    let plurality = move || Migrate(count).run(|| locked(&slots));
    let mut row = row(title, 2 * count, Migrate(count), plurality);
    let regex: RegexPool = RegexPool::new(buffer);
    row.peer("regex-automata Pool", move || {
        Migrate(count).run(|| cleared(regex.get()))
    });
    row.reference("the places alone", move || migrate_alone(count));
    row
}

/// For several threads its README says: a lock for allocating, none for giving back.
fn locked(slots: &Mutex<plurality::Pool<Vec<u8>>>) -> plurality::Box<Vec<u8>> {
    let fresh = buffer();
    slots.lock().expect("no panic").alloc_box(fresh)
}

/// What is done with a pool, given how to get a buffer from it.
trait Work: Copy {
    fn run<G>(self, get: impl Fn() -> G + Sync) -> u64
    where
        G: DerefMut<Target = Vec<u8>> + Send;
}

/// All contenders. plurality comes ready: whether it needs a lock is the row's to know.
fn row<'a>(
    title: &str,
    operations: usize,
    work: impl Work + 'a,
    plurality: impl FnMut() -> u64 + 'a,
) -> Row<'a> {
    let mut row = Row::new(title, operations);
    let ours = Pool::<Vec<u8>>::new(buffer);
    row.ours("flagstone Pool", move || work.run(|| ours.get()));
    let shared = Arc::new(Pool::<Vec<u8>>::new(buffer));
    row.ours("flagstone Pool, owned guards", move || {
        work.run(|| shared.get_owned())
    });
    let object = object_pool::Pool::new(TRAVELLERS, buffer);
    row.peer("object-pool", move || {
        work.run(|| cleared(object.pull(buffer)))
    });
    let bounded = opool::Pool::new(TRAVELLERS, Buffers);
    row.peer("opool", move || work.run(|| bounded.get()));
    let linear = lockfree_object_pool::LinearObjectPool::new(buffer, Vec::clear);
    row.peer("lockfree-object-pool", move || work.run(|| linear.pull()));
    let queue = ArrayQueue::new(TRAVELLERS);
    row.peer("crossbeam ArrayQueue of boxes", move || {
        work.run(|| Queued::new(&queue))
    });
    row.peer("plurality", plurality);
    row.peer("no pool, system malloc", move || {
        work.run(|| Box::new(buffer()))
    });
    row
}

/// For pools that leave it to their user.
fn cleared<G: DerefMut<Target = Vec<u8>>>(mut guard: G) -> G {
    guard.clear();
    guard
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

/// So many batches from one thread to another.
#[derive(Clone, Copy)]
struct Travel(usize);

impl Work for Travel {
    fn run<G>(self, get: impl Fn() -> G + Sync) -> u64
    where
        G: DerefMut<Target = Vec<u8>> + Send,
    {
        travel(self.0, get)
    }
}

/// Only the calling thread gets, so a pool that may not be shared will do.
fn travel<G>(batches: usize, get: impl Fn() -> G) -> u64
where
    G: DerefMut<Target = Vec<u8>> + Send,
{
    let (sender, receiver) = mpsc::sync_channel(BATCHES);
    std::thread::scope(|scope| {
        let consumer = scope.spawn(move || consume(receiver.into_iter()));
        produce(batches, &get, &sender);
        drop(sender);
        consumer.join().expect("no panic")
    })
}

/// So many batches from two threads to two others.
#[derive(Clone, Copy)]
struct Crowd(usize);

impl Work for Crowd {
    fn run<G>(self, get: impl Fn() -> G + Sync) -> u64
    where
        G: DerefMut<Target = Vec<u8>> + Send,
    {
        let (sender, receiver) = mpsc::sync_channel(BATCHES);
        let receiver = Mutex::new(receiver);
        // Who has the lock waits for the next batch, the others for the lock.
        let next = || receiver.lock().expect("no panic").recv().ok();
        let (get, next) = (&get, &next);
        std::thread::scope(|scope| {
            let consumers: Vec<_> = (0..PAIRS)
                .map(|_| scope.spawn(move || consume(iter::from_fn(next))))
                .collect();
            for _ in 0..PAIRS {
                let sender = sender.clone();
                scope.spawn(move || produce(self.0 / PAIRS, get, &sender));
            }
            drop(sender);
            let sums = consumers
                .into_iter()
                .map(|consumer| consumer.join().expect("no panic"));
            sums.fold(0, u64::wrapping_add)
        })
    }
}

fn produce<G>(batches: usize, get: &impl Fn() -> G, sender: &mpsc::SyncSender<Vec<G>>)
where
    G: DerefMut<Target = Vec<u8>>,
{
    for _ in 0..batches {
        let mut batch = Vec::with_capacity(BATCH);
        for index in 0..BATCH {
            let mut buffer = get();
            buffer.push(index as u8);
            batch.push(buffer);
        }
        // It fails when a consumer has panicked, which its join reports.
        let _ = sender.send(batch);
    }
}

fn consume<G: Deref<Target = Vec<u8>>>(batches: impl Iterator<Item = Vec<G>>) -> u64 {
    let buffers = batches.flatten();
    buffers.fold(0, |sum: u64, buffer| sum.wrapping_add(read(&buffer)))
}

fn read(buffer: &[u8]) -> u64 {
    u64::from(buffer[0]) + buffer.len() as u64
}

/// The same with batches that go back as they are: no pool, and nothing made or dropped.
fn travel_alone(pairs: usize, batches: usize) -> u64 {
    let (sender, receiver) = mpsc::sync_channel::<Vec<Boxed>>(BATCHES);
    let (back, emptied) = mpsc::channel();
    let (receiver, emptied) = (Mutex::new(receiver), Mutex::new(emptied));
    let consume = |back: mpsc::Sender<Vec<Boxed>>| {
        let next = || receiver.lock().expect("no panic").recv().ok();
        let mut sum = 0_u64;
        for mut batch in iter::from_fn(next) {
            for buffer in &mut batch {
                sum = sum.wrapping_add(read(buffer));
                buffer.clear();
            }
            // The producers may be done.
            let _ = back.send(batch);
        }
        sum
    };
    let produce = |sender: mpsc::SyncSender<Vec<Boxed>>| {
        let fresh = || (0..BATCH).map(|_| Box::new(buffer())).collect();
        for _ in 0..batches / pairs {
            let back = emptied.lock().expect("no panic").try_recv();
            let mut batch: Vec<Boxed> = back.unwrap_or_else(|_| fresh());
            for (index, buffer) in batch.iter_mut().enumerate() {
                buffer.push(index as u8);
            }
            sender.send(batch).expect("a consumer");
        }
    };
    let (consume, produce) = (&consume, &produce);
    std::thread::scope(|scope| {
        let start = |_| {
            let (sender, back) = (sender.clone(), back.clone());
            scope.spawn(move || produce(sender));
            scope.spawn(move || consume(back))
        };
        let consumers: Vec<_> = (0..pairs).map(start).collect();
        drop(sender);
        let sums = consumers
            .into_iter()
            .map(|consumer| consumer.join().expect("no panic"));
        sums.fold(0, u64::wrapping_add)
    })
}

/// So many tasks on each of two threads.
#[derive(Clone, Copy)]
struct Migrate(usize);

impl Work for Migrate {
    fn run<G>(self, get: impl Fn() -> G + Sync) -> u64
    where
        G: DerefMut<Target = Vec<u8>> + Send,
    {
        migrate(self.0, |found: Option<G>| {
            drop(found);
            get()
        })
    }
}

/// The same with buffers that belong to whoever finds them.
fn migrate_alone(count: usize) -> u64 {
    migrate(count, |found: Option<Boxed>| {
        found.map_or_else(|| Box::new(buffer()), cleared)
    })
}

/// `next` takes what was found in a place, and gives the buffer for the next task.
fn migrate<G>(count: usize, next: impl Fn(Option<G>) -> G + Sync) -> u64
where
    G: DerefMut<Target = Vec<u8>> + Send,
{
    let places: Vec<Mutex<Option<G>>> = (0..PLACES).map(|_| Mutex::new(None)).collect();
    let work = |seed: u64| {
        let mut random = Random::new(seed);
        let mut found: Option<G> = None;
        let mut sum = 0_u64;
        for index in 0..count {
            let mut buffer = next(found.take());
            buffer.push(index as u8);
            let place = &places[random.below(PLACES)];
            found = place.lock().expect("no panic").replace(buffer);
            sum = sum.wrapping_add(found.as_deref().map_or(0, |found| read(found)));
        }
        sum
    };
    let work = &work;
    let sums: u64 = std::thread::scope(|scope| {
        let threads = [1, 2].map(|seed| scope.spawn(move || work(seed)));
        let sums = threads.map(|thread| thread.join().expect("no panic"));
        sums.into_iter().fold(0, u64::wrapping_add)
    });
    let left = places
        .iter()
        .filter_map(|place| place.lock().expect("no panic").take());
    left.fold(sums, |sum, buffer| sum.wrapping_add(read(&buffer)))
}
