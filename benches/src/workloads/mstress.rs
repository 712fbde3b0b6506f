//! mstress: threads with lives of their own that exchange objects.
//!
//! Sizes are powers of two words, one in a hundred of them 100 times as large, one in a thousand
//! 1000 times, one in ten thousand 10000 times. Half as many objects are retained to the end of the
//! thread as are allocated in passing; after two thirds of the steps an object is freed, after a
//! quarter one is swapped with a table that all threads share. All threads end in every round.
//! Every word holds a cookie that is checked when the object is freed. Published parameters `T 50
//! 25`, eight times as many rounds.

use std::sync::Mutex;
use std::thread;

use super::Input;
use crate::Random;

const SCALE: usize = 50;
/// Eight times the published rounds, each with the published work.
const ROUNDS: usize = 200;
const TABLE: usize = 1000;
const COOKIE: u64 = 0xBF58_476D_1CE4_E5B9;

type Object = Option<Box<[u64]>>;
/// The published table swaps with atomic exchanges; a mutex per place is as short.
type Table = Vec<Mutex<Object>>;

fn chance(random: &mut Random, percent: usize) -> bool {
    random.below(100) < percent
}

fn make(random: &mut Random) -> Object {
    let mut words = 1 << random.below(5);
    match random.below(10_000) {
        0 => words *= 10_000,
        1..=10 => words *= 1000,
        11..=110 => words *= 100,
        _ => {}
    }
    Some(
        (0..words as u64)
            .map(|word| (words as u64 - word) ^ COOKIE)
            .collect(),
    )
}

fn free(object: Object) -> u64 {
    let Some(object) = object else {
        return 0;
    };
    let words = object.len() as u64;
    for (word, &cookie) in object.iter().enumerate() {
        assert_eq!(
            cookie ^ COOKIE,
            words - word as u64,
            "memory was overwritten"
        );
    }
    words
}

fn live(seed: u64, table: &Table) -> u64 {
    let mut random = Random::new(seed);
    let (mut passing, mut retained) = (Vec::new(), Vec::new());
    let (mut allocations, mut to_retain) = (200 * SCALE, 100 * SCALE);
    let mut sum = 0_u64;
    while allocations > 0 || to_retain > 0 {
        if to_retain == 0 || (allocations > 0 && chance(&mut random, 50)) {
            allocations -= 1;
            passing.push(make(&mut random));
        } else {
            to_retain -= 1;
            retained.push(make(&mut random));
        }
        if chance(&mut random, 66) && !passing.is_empty() {
            let place = random.below(passing.len());
            sum = sum.wrapping_add(free(passing[place].take()));
        }
        if chance(&mut random, 25) && !passing.is_empty() {
            let place = random.below(passing.len());
            let mut shared = table[random.below(TABLE)].lock().expect("a place");
            std::mem::swap(&mut passing[place], &mut shared);
        }
    }
    for object in retained.into_iter().chain(passing) {
        sum = sum.wrapping_add(free(object));
    }
    sum
}

/// `input.threads` threads at a time.
pub fn run(input: &Input) -> u64 {
    let table: Table = (0..TABLE).map(|_| Mutex::new(None)).collect();
    let mut sum = 0_u64;
    for round in 0..ROUNDS {
        sum = thread::scope(|scope| {
            let threads = (0..input.threads).map(|index| {
                let (seed, table) = ((round * 16 + index) as u64, &table);
                scope.spawn(move || live(seed, table))
            });
            let threads: Vec<_> = threads.collect();
            let sums = threads
                .into_iter()
                .map(|thread| thread.join().expect("a thread"));
            sums.fold(sum, u64::wrapping_add)
        });
    }
    let left = table
        .into_iter()
        .map(|place| free(place.into_inner().expect("a place")));
    left.fold(sum, u64::wrapping_add)
}
