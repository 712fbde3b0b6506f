//! What a pool holds after a burst: `cargo run --release --bin spike [-- OBJECTS]`.
//!
//! OBJECTS (20,000 unless told) buffers of 16 KiB are out at once, every byte written; all come
//! back; then the process idles, with a tick every 0.3 seconds, so that what waits for a second
//! has gone by the tenth. A tick is `Pool::tick`, and a collection in Go; the other pools have none
//! and no way to give anything up. In the end everything that can be asked for is asked for.
//!
//! Every contender is a process of its own. Figures are resident KiB above the start, without pages
//! of files. No pool is bounded below OBJECTS, but for the one that says so: a bound is another
//! answer to a burst, at the price of making objects in the next one. The Vecs of all pools lie in
//! the system's malloc, whose own habits show; the arrays lie in the pool's slots.

use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use flagstone::{Keep, Pool};
use flagstone_benches::go::{GoProgram, text_of};
use flagstone_benches::resident::resident_kib;

/// As in `benches/go/spike.go`.
const BUFFER_BYTES: usize = 16 << 10;
const PAUSE: Duration = Duration::from_millis(300);
const OBJECTS: usize = 20_000;

const CONTENDERS: [&str; 9] = [
    "flagstone Pool of arrays",
    "flagstone Pool of Vecs",
    "flagstone Pool, bounded (default)",
    "regex-automata Pool",
    "object-pool",
    "opool",
    "lockfree-object-pool",
    "crossbeam ArrayQueue",
    "no pool, system malloc",
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.as_slice() {
        [_, contender, objects] => run(contender, number(objects)),
        [program, objects] => spawn_all(program, number(objects)),
        [program] => spawn_all(program, OBJECTS),
        _ => panic!("usage: spike [OBJECTS]"),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number of objects")
}

fn spawn_all(program: &str, objects: usize) {
    let columns = [
        "spike", "put back", "1 tick", "2 ticks", "10 ticks", "trimmed",
    ];
    print!("{:<34}", "resident KiB above the start");
    for column in columns {
        print!(" {column:>9}");
    }
    println!();
    let show = |name: &str, text: &str| {
        print!("{name:<34}");
        text.split_whitespace()
            .for_each(|figure| print!(" {figure:>9}"));
        println!();
    };
    for contender in CONTENDERS {
        let output = text_of(Command::new(program).args([contender, &objects.to_string()]));
        let output = output.unwrap_or_else(|error| panic!("{contender}: {error}"));
        show(contender, &output);
    }
    match GoProgram::build() {
        Ok(go) => show(
            "Go sync.Pool",
            &go.run(&["spike".into(), objects.to_string()]),
        ),
        Err(missing) => println!("{missing}"),
    }
}

fn buffer() -> Vec<u8> {
    Vec::with_capacity(BUFFER_BYTES)
}

fn fill(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(BUFFER_BYTES, 1);
    black_box(buffer);
}

fn run(contender: &str, objects: usize) {
    let fresh = || ();
    match contender {
        "flagstone Pool of arrays" => {
            let pool = Pool::builder(|| [0_u8; BUFFER_BYTES])
                .idle(0..=objects)
                .recycle_with(|_| Keep::Yes)
                .build();
            let fill = |buffer: &mut [u8; BUFFER_BYTES]| black_box(buffer).fill(1);
            let get = || filled(pool.get(), |guard| fill(guard));
            spike(objects, get, || tick(&pool), || trim(&pool));
        }
        "flagstone Pool of Vecs" => {
            let pool: Pool<Vec<u8>> = Pool::builder(buffer).idle(0..=objects).build();
            let get = || filled(pool.get(), |guard| fill(guard));
            spike(objects, get, || tick(&pool), || trim(&pool));
        }
        "flagstone Pool, bounded (default)" => {
            let pool: Pool<Vec<u8>> = Pool::new(buffer);
            let get = || filled(pool.get(), |guard| fill(guard));
            spike(objects, get, || tick(&pool), || trim(&pool));
        }
        "regex-automata Pool" => {
            let pool = regex_automata::util::pool::Pool::new(buffer as fn() -> Vec<u8>);
            spike(
                objects,
                || filled(pool.get(), |guard| fill(guard)),
                fresh,
                fresh,
            );
        }
        "object-pool" => {
            let pool = object_pool::Pool::new(1, buffer);
            let get = || filled(pool.pull(buffer), |guard| fill(guard));
            spike(objects, get, fresh, fresh);
        }
        "opool" => {
            let pool = opool::Pool::new(objects, flagstone_benches::recycle::Buffers);
            spike(
                objects,
                || filled(pool.get(), |guard| fill(guard)),
                fresh,
                fresh,
            );
        }
        "lockfree-object-pool" => {
            let pool = lockfree_object_pool::LinearObjectPool::new(buffer, Vec::clear);
            spike(
                objects,
                || filled(pool.pull(), |guard| fill(guard)),
                fresh,
                fresh,
            );
        }
        "crossbeam ArrayQueue" => {
            let queue = ArrayQueue::new(objects);
            spike(objects, || Queued::new(&queue), fresh, fresh);
        }
        "no pool, system malloc" => {
            spike(objects, || filled(buffer(), fill), fresh, fresh);
        }
        _ => panic!("no contender {contender:?}"),
    }
}

fn filled<G>(mut guard: G, fill: impl FnOnce(&mut G)) -> G {
    fill(&mut guard);
    guard
}

/// A buffer that goes back to its queue.
struct Queued<'q> {
    queue: &'q ArrayQueue<Vec<u8>>,
    buffer: Option<Vec<u8>>,
}

impl Queued<'_> {
    fn new(queue: &ArrayQueue<Vec<u8>>) -> Queued<'_> {
        let mut buffer = queue.pop().unwrap_or_else(buffer);
        fill(&mut buffer);
        let buffer = Some(buffer);
        Queued { queue, buffer }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        // A full queue drops the buffer.
        let _ = self.buffer.take().map(|buffer| self.queue.push(buffer));
    }
}

fn tick<T, R>(pool: &Pool<T, R>) {
    pool.tick();
}

/// Everything that can be given back.
fn trim<T, R>(pool: &Pool<T, R>) {
    pool.trim(0);
    flagstone::pages::Pages::global().trim();
}

fn spike<G>(objects: usize, get: impl Fn() -> G, tick: impl Fn(), trim: impl Fn()) {
    let mut out = Vec::with_capacity(objects);
    // Before the spike: a block behind it would keep malloc from giving back what is below.
    let mut figures = Vec::with_capacity(6);
    let before = resident_kib();
    let mut step = || figures.push(resident_kib().saturating_sub(before));
    out.extend((0..objects).map(|_| get()));
    step();
    out.clear();
    step();
    for count in 1..=10 {
        tick();
        std::thread::sleep(PAUSE);
        if matches!(count, 1 | 2 | 10) {
            step();
        }
    }
    trim();
    step();
    for figure in figures {
        print!("{figure} ");
    }
}
