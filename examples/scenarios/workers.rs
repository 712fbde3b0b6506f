//! Worker tasks: one thread fills them in, others do them and give them back.
//!
//! A task has its input and its result inline and owns a buffer to work in, so that making one
//! costs. The pool makes them ahead with `prefill`; `get_owned` gives a guard that is `'static` and
//! goes through a channel to any thread, and dropping it there is giving it back.

use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;

use flagstone::{Keep, Pool, Recycle};

use crate::measure::{Effort, compare, way};

const WORKERS: usize = 2;
/// Tasks on their way to one worker.
const QUEUE: usize = 128;

struct Task {
    number: u64,
    input: [u64; 64],
    /// What the worker sorts in.
    work: Vec<u64>,
}

impl Task {
    fn new() -> Task {
        Task {
            number: 0,
            input: [0; 64],
            work: Vec::with_capacity(512),
        }
    }

    fn fill_in(&mut self, number: u64) {
        self.number = number;
        let mut seed = number | 1;
        for word in &mut self.input {
            // A multiplicative sequence: any numbers will do.
            seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            *word = seed >> 32;
        }
    }

    fn perform(&mut self) -> u64 {
        self.work
            .extend(self.input.iter().map(|word| word ^ self.number));
        self.work.sort_unstable();
        self.work[0].wrapping_add(self.work[self.work.len() / 2])
    }
}

impl Recycle for Task {
    fn recycle(&mut self) -> Keep {
        // The input is written whole by the next user.
        self.work.clear();
        Keep::Yes
    }
}

/// Has so many tasks done; returns the sum of their results.
fn perform<T>(count: usize, get: impl Fn() -> T) -> u64
where
    T: DerefMut<Target = Task> + Send,
{
    let sum = &AtomicU64::new(0);
    std::thread::scope(|scope| {
        let start = |_| {
            let (queue, tasks) = sync_channel::<T>(QUEUE);
            scope.spawn(move || {
                for mut task in tasks {
                    // Relaxed: only the sum counts, and it is read after the scope.
                    sum.fetch_add(task.perform(), Ordering::Relaxed);
                }
            });
            queue
        };
        let queues: Vec<_> = (0..WORKERS).map(start).collect();
        for number in 0..count {
            let mut task = get();
            task.fill_in(number as u64);
            queues[number % WORKERS].send(task).expect("a worker");
        }
    });
    sum.load(Ordering::Relaxed)
}

pub(crate) fn run(effort: Effort) {
    let without = || -> Box<dyn FnMut(usize) -> u64> {
        Box::new(|count| perform(count, || Box::new(Task::new())))
    };
    let with = || -> Box<dyn FnMut(usize) -> u64> {
        let pool = Arc::new(Pool::builder(Task::new).name("tasks").build());
        pool.prefill(WORKERS * (QUEUE + 1) + 1);
        Box::new(move |count| perform(count, || pool.get_owned()))
    };
    compare(
        "Workers: a task filled in by one thread, done and given back by another",
        effort,
        20_000,
        &[way("no pool", without), way("flagstone Pool", with)],
    );
}
