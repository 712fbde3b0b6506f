//! A program of many threads as people write them: JSON, maps, channels, a thread pool, regexes.
//!
//! Knows nothing of the allocator it runs under. Its checksum depends on nothing but its own input,
//! so every test binary that includes it must get the same: under the system's allocator, under
//! `Flagstone`, and with full checks.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::{self, JoinHandle};

use regex::Regex;
use serde_json::{Value, json};

use crate::common::random::Random;
use crate::common::threads::crowd;

/// What the program gives under any allocator; `heap/handle.rs` checks it under the system's.
pub(crate) const CHECKSUM: u64 = 0x75e4_fd87_f40d_822c;

/// A second in all under full checks in an unoptimised build.
const ROUNDS: u64 = 120;

/// FNV-1a: a checksum that depends on every byte and on their order.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

const WORDS: [&str; 12] = [
    "slab", "arena", "pool", "stone", "flag", "page", "span", "unit", "free", "live", "word", "bit",
];

type Job = Box<dyn FnOnce() -> u64 + Send>;

/// Threads that run boxed closures and send back what these return.
struct ThreadPool {
    jobs: std::sync::mpsc::Sender<(usize, Job)>,
    results: Receiver<(usize, u64)>,
    threads: Vec<JoinHandle<()>>,
}

impl ThreadPool {
    fn new(count: usize) -> ThreadPool {
        let (jobs, queue) = channel::<(usize, Job)>();
        let (sender, results) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let threads = (0..count).map(|number| {
            let (queue, sender) = (queue.clone(), sender.clone());
            let work = move || {
                loop {
                    let next = queue.lock().unwrap().recv();
                    let Ok((index, job)) = next else { return };
                    sender.send((index, job())).unwrap();
                }
            };
            let name = format!("worker {number}");
            thread::Builder::new().name(name).spawn(work).unwrap()
        });
        let threads = threads.collect();
        ThreadPool {
            jobs,
            results,
            threads,
        }
    }

    /// The jobs' results in the jobs' order.
    fn run(self, jobs: Vec<Job>) -> Vec<u64> {
        let count = jobs.len();
        for job in jobs.into_iter().enumerate() {
            self.jobs.send(job).unwrap();
        }
        drop(self.jobs);
        let results: BTreeMap<usize, u64> = self.results.into_iter().collect();
        for thread in self.threads {
            thread.join().unwrap();
        }
        assert_eq!(results.len(), count);
        results.into_values().collect()
    }
}

/// Orders as a shop would get them, as text.
fn document(seed: u64) -> String {
    let mut random = Random::new(seed * 2 + 1);
    let orders: Vec<Value> = (0..40)
        .map(|id| {
            let items: Vec<Value> = (0..random.below(12))
                .map(|_| {
                    let name = WORDS[random.below(WORDS.len())].repeat(1 + random.below(4));
                    json!({ "name": name, "count": random.below(9), "price": random.below(9999) })
                })
                .collect();
            json!({ "id": id, "items": items, "note": "\u{e9}\n".repeat(random.below(90)) })
        })
        .collect();
    serde_json::to_string_pretty(&json!({ "seed": seed, "orders": orders })).unwrap()
}

/// Parses, changes, prints, and parses again.
fn orders(text: &str) -> u64 {
    let mut value: Value = serde_json::from_str(text).unwrap();
    let orders = value["orders"].as_array_mut().unwrap();
    orders.retain(|order| !order["items"].as_array().unwrap().is_empty());
    for order in orders.iter_mut() {
        let items = order["items"].as_array().unwrap();
        let of = |item: &Value, what: &str| item[what].as_u64().unwrap();
        let sum: u64 = items.iter().map(|i| of(i, "count") * of(i, "price")).sum();
        order["sum"] = json!(sum);
        order.as_object_mut().unwrap().remove("note");
    }
    let printed = value.to_string();
    let again: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(again, value);
    hash(printed.as_bytes())
}

/// A log's lines, taken apart by regexes and counted in maps.
fn log(seed: u64) -> u64 {
    let mut random = Random::new(seed * 2 + 1);
    let mut text = String::new();
    for line in 0..150 {
        let (word, code) = (WORDS[random.below(WORDS.len())], 200 + random.below(300));
        writeln!(
            text,
            "{line:04} GET /{word}/{}?q={code} {code}",
            random.below(50)
        )
        .unwrap();
    }
    let line = Regex::new(r"(?m)^(\d+) GET /(\w+)/(\d+)\?q=(\d+) (\d{3})$").unwrap();
    let mut by_word: HashMap<String, Vec<u64>> = HashMap::new();
    let mut by_code: BTreeMap<u64, String> = BTreeMap::new();
    for found in line.captures_iter(&text) {
        let number = |group: usize| found[group].parse::<u64>().unwrap();
        assert_eq!(number(4), number(5));
        let numbers = by_word.entry(found[2].to_string()).or_default();
        numbers.push(number(1) * number(3));
        by_code.entry(number(5)).or_default().push_str(&found[2]);
    }
    let masked = Regex::new("s(lab|tone|pan)")
        .unwrap()
        .replace_all(&text, "<$1>");
    let words: BTreeMap<_, _> = by_word.into_iter().collect();
    hash(format!("{words:?} {by_code:?} {masked}").as_bytes())
}

/// Three stages joined by bounded channels: what one allocates another frees.
fn pipeline(seed: u64) -> u64 {
    let (lines, raw) = sync_channel::<String>(8);
    let (pairs, split) = sync_channel::<(String, Vec<Box<[u8; 40]>>)>(8);
    let maker = thread::spawn(move || {
        let mut random = Random::new(seed * 2 + 1);
        for number in 0..400 {
            let word = WORDS[random.below(WORDS.len())];
            lines.send(word.repeat(1 + number % 60)).unwrap();
        }
    });
    let splitter = thread::spawn(move || {
        for line in raw {
            let boxes = line.bytes().step_by(9).map(|byte| Box::new([byte; 40]));
            let boxes = boxes.collect();
            pairs.send((line, boxes)).unwrap();
        }
    });
    let mut window: VecDeque<(String, Vec<Box<[u8; 40]>>)> = VecDeque::new();
    let mut sum = 0u64;
    for pair in split {
        window.push_back(pair);
        if window.len() > 30 {
            let (line, boxes) = window.pop_front().unwrap();
            assert_eq!(boxes.len(), line.len().div_ceil(9));
            sum = sum.rotate_left(5) ^ hash(line.as_bytes());
            sum = boxes
                .iter()
                .fold(sum, |sum, block| sum.rotate_left(1) ^ hash(&block[..]));
        }
    }
    maker.join().unwrap();
    splitter.join().unwrap();
    sum
}

/// A map that many threads read and write, growing and shrinking all the while.
fn shared_map(seed: u64) -> u64 {
    let map = Arc::new(RwLock::new(HashMap::<u64, String>::new()));
    crowd(3, |part| {
        let part = part as u64;
        let mut random = Random::new(seed * 8 + part * 2 + 1);
        for step in 0..400u64 {
            // Keys of its own, so that the end does not depend on the order of steps.
            let key = (random.below(200) as u64) * 3 + part;
            if random.below(3) == 0 {
                map.write().unwrap().remove(&key);
            } else {
                let value = format!("{key} at {step} {}", "+".repeat(key as usize % 70));
                map.write().unwrap().insert(key, value);
            }
            assert!(map.read().unwrap().len() <= 600);
        }
    });
    let map = Arc::into_inner(map).unwrap().into_inner().unwrap();
    let ordered: BTreeMap<_, _> = map.into_iter().collect();
    hash(format!("{ordered:?}").as_bytes())
}

/// Runs everything and returns the checksum.
pub(crate) fn run() -> u64 {
    let mut jobs: Vec<Job> = Vec::new();
    for seed in 0..ROUNDS {
        let text = document(seed);
        jobs.push(Box::new(move || orders(&text)));
        jobs.push(Box::new(move || log(seed)));
        jobs.push(Box::new(move || pipeline(seed)));
        jobs.push(Box::new(move || shared_map(seed)));
    }
    let results = ThreadPool::new(6).run(jobs);
    let bytes: Vec<u8> = results.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    hash(&bytes)
}
