//! More objects out at once than a pool keeps: 10,000 of 64 bytes are got, all come back, and that
//! twice over.
//!
//! A bound is what keeps a burst from staying in memory, and this is its price: what is dropped is
//! made anew. Pools that can be bounded keep as many as ours does by default; those that cannot
//! keep everything, as ours does where it is told to. So time and memory belong together here:
//! beside the row stand the peak and what is resident when all are back, each contender in a
//! process of its own. Nothing is asked to give anything up: `spike` shows what ticks and trims do.
//!
//! Pools and lists live as long as the process, so that guards may lie in a list that is made once.

use std::cell::RefCell;
use std::ops::DerefMut;

use crossbeam_queue::ArrayQueue;
use flagstone::{Keep, Pool, Slab};

use crate::interleave::Row;
use crate::processes::print_table;
use crate::resident::status_kib;

/// Objects that are out at once.
const OUT: usize = 10_000;

/// What bounded peers keep: as many as a `Pool` of small objects does unless told otherwise.
const KEPT: usize = 4096;

type Object = [u64; 8];

fn new_object() -> Object {
    [0; 8]
}

/// A contender's work, which returns a checksum.
type Run = Box<dyn FnMut() -> u64>;

/// The table's mark, a name, and how it begins.
type Contender = (char, &'static str, fn() -> Run);

const CONTENDERS: [Contender; 11] = [
    ('*', "flagstone Pool", || {
        let pool = Pool::builder(new_object).recycle_with(|_| Keep::Yes);
        of(leaked(pool.build()), |pool| pool.get())
    }),
    ('*', "flagstone Pool that keeps all", || {
        let pool = Pool::builder(new_object).recycle_with(|_| Keep::Yes);
        of(leaked(pool.idle(0..=OUT).build()), |pool| pool.get())
    }),
    ('*', "no pool, flagstone Slab", || {
        of(leaked(Slab::new()), |slab| slab.alloc(new_object()))
    }),
    (' ', "opool, bounded", || {
        of(leaked(opool::Pool::new(KEPT, Objects)), |pool| pool.get())
    }),
    (' ', "ArrayQueue of boxes, bounded", || {
        of(leaked(ArrayQueue::new(KEPT)), Queued::new)
    }),
    (' ', "regex-automata Pool, keeps all", || {
        let pool = regex_automata::util::pool::Pool::new(new_object as fn() -> Object);
        of(leaked(pool), |pool| pool.get())
    }),
    (' ', "object-pool, keeps all", || {
        let pool = leaked(object_pool::Pool::new(1, new_object));
        of(pool, |pool| pool.pull(new_object))
    }),
    (' ', "lockfree-object-pool, keeps all", || {
        let pool = lockfree_object_pool::LinearObjectPool::new(new_object, |_| ());
        of(leaked(pool), |pool| pool.pull())
    }),
    (' ', "no pool, plurality", || {
        of(leaked(plurality::Pool::new()), |pool| {
            pool.alloc_box(new_object())
        })
    }),
    ('-', "thread_local by hand, keeps all", || {
        of(&(), |()| ByHand::new())
    }),
    (' ', "no pool, system malloc", || {
        of(&(), |()| Box::new(new_object()))
    }),
];

/// The row, an operation being a get and its put.
pub fn row() -> Row<'static> {
    let mut row = Row::new("10,000 out at once, twice over", 2 * OUT);
    for (mark, name, begin) in CONTENDERS {
        match mark {
            '*' => row.ours(name, begin()),
            '-' => row.reference(name, begin()),
            _ => row.peer(name, begin()),
        };
    }
    row
}

/// Prints the memory of all; `program NAME` has to call [`show_memory`].
pub fn print_memory(program: &str) {
    let title = "the same: KiB above the start";
    let names = CONTENDERS.map(|(_, name, _)| name);
    print_table(program, title, &["peak", "all back"], &names, 1);
}

/// Does a contender's work once, and prints the peak and what is resident then.
///
/// # Panics
/// When there is no such contender.
pub fn show_memory(wanted: &str) {
    let contender = CONTENDERS.iter().find(|(_, name, _)| *name == wanted);
    let (_, _, begin) = contender.unwrap_or_else(|| panic!("no contender {wanted:?}"));
    let before = status_kib("VmRSS:");
    let mut run = begin();
    run();
    for figure in [status_kib("VmHWM:"), status_kib("VmRSS:")] {
        print!("{} ", figure.saturating_sub(before));
    }
}

fn leaked<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// The work with what `get` gets from `pool`.
fn of<P, G>(pool: &'static P, get: fn(&'static P) -> G) -> Run
where
    G: DerefMut<Target = Object> + 'static,
{
    let mut out = Vec::with_capacity(OUT);
    Box::new(move || {
        let mut sum = 0_u64;
        for _ in 0..2 {
            for index in 0..OUT as u64 {
                let mut object = get(pool);
                object.fill(index);
                out.push(object);
            }
            sum = out.drain(..).fold(sum, |sum, object| sum + object[7]);
        }
        sum
    })
}

/// opool's description of an object.
struct Objects;

impl opool::PoolAllocator<Object> for Objects {
    fn allocate(&self) -> Object {
        new_object()
    }
}

/// Gives what a guard without a pool of its own holds as a pool's guard does.
macro_rules! guard {
    ($name:ident) => {
        impl std::ops::Deref for $name {
            type Target = Object;
            fn deref(&self) -> &Object {
                self.object.as_deref().expect("taken by drop alone")
            }
        }

        impl DerefMut for $name {
            fn deref_mut(&mut self) -> &mut Object {
                self.object.as_deref_mut().expect("taken by drop alone")
            }
        }
    };
}

/// What one writes around a queue.
struct Queued {
    object: Option<Box<Object>>,
    queue: &'static ArrayQueue<Box<Object>>,
}

guard!(Queued);

impl Queued {
    fn new(queue: &'static ArrayQueue<Box<Object>>) -> Queued {
        let kept = queue.pop();
        Queued {
            object: Some(kept.unwrap_or_else(|| Box::new(new_object()))),
            queue,
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        // A full queue drops the object, which is its way of being bounded.
        let _ = self.object.take().map(|object| self.queue.push(object));
    }
}

thread_local! {
    #[expect(clippy::vec_box, reason = "a pool hands out one pointer, and so does this")]
    static OBJECTS: RefCell<Vec<Box<Object>>> = const { RefCell::new(Vec::new()) };
}

/// What one writes by hand. Keeps everything.
struct ByHand {
    object: Option<Box<Object>>,
}

guard!(ByHand);

impl ByHand {
    fn new() -> ByHand {
        let kept = OBJECTS.with_borrow_mut(Vec::pop);
        ByHand {
            object: Some(kept.unwrap_or_else(|| Box::new(new_object()))),
        }
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let object = self.object.take();
        OBJECTS.with_borrow_mut(|objects| objects.extend(object));
    }
}
