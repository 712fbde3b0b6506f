//! Whole workloads for the allocator of a process: the well-known ones and real programs.
//!
//! Each is written from its description with its published parameters, in Rust, and shortened or
//! lengthened to less than a second. They allocate through `std::alloc`, boxes and collections, so
//! that whoever is the `#[global_allocator]` of the program serves them. The same sequence of
//! requests is made in every run, and the checksum of what was read from the blocks does not depend
//! on which thread was faster. Peak memory does where threads wait for each other.

pub mod alloc_test;
pub mod block;
pub mod cache;
pub mod glibc_simple;
pub mod larson;
pub mod malloc_large;
pub mod mleak;
pub mod mstress;
pub mod programs;
pub mod queue;
pub mod rptest;
pub mod smart_heap;
pub mod xmalloc;

use std::thread;

/// What a workload gets.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// How many threads work at a time.
    pub threads: usize,
    /// A JSON document, where the workload reads one.
    pub text: String,
    /// Rust sources, where the workload reads them.
    pub sources: Vec<String>,
}

/// What has to be read before a workload starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Nothing.
    Nothing,
    /// A JSON document.
    Json,
    /// The crate's sources.
    Sources,
}

/// One row of the table, or one for each number of threads.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Its name on the command line and in the table.
    pub name: &'static str,
    /// The numbers of threads for which it says something.
    pub threads: &'static [usize],
    /// What it reads.
    pub reads: Reads,
    /// Does it, and returns a checksum.
    pub run: fn(&Input) -> u64,
}

const fn plain(name: &'static str, threads: &'static [usize], run: fn(&Input) -> u64) -> Workload {
    Workload {
        name,
        threads,
        reads: Reads::Nothing,
        run,
    }
}

const fn reading(name: &'static str, reads: Reads, run: fn(&Input) -> u64) -> Workload {
    Workload {
        name,
        threads: &[1, 2],
        reads,
        run,
    }
}

/// All workloads. One thread has nobody to share a cache line or to exchange blocks with; mleak
/// has ten threads of its own; malloc-large measures the operating system's side.
pub const WORKLOADS: [Workload; 17] = [
    plain("larson", &[1, 2], larson::run),
    plain("mstress", &[1, 2], mstress::run),
    plain("xmalloc", &[1, 2], xmalloc::run),
    plain("alloc-test", &[1, 2], alloc_test::run),
    plain("rptest", &[1, 2], rptest::run),
    plain("glibc-simple", &[1, 2], glibc_simple::run),
    plain("sh6", &[1, 2], smart_heap::six),
    plain("sh8", &[2], smart_heap::eight),
    plain("cache-scratch", &[2], cache::scratch),
    plain("cache-thrash", &[2], cache::thrash),
    plain("mleak", &[1], mleak::run),
    plain("malloc-large", &[1], malloc_large::run),
    reading("json", Reads::Json, programs::json),
    plain("btree-map", &[1, 2], programs::btree_map),
    plain("hash-map", &[1, 2], programs::hash_map),
    plain("regex", &[1, 2], programs::regex),
    reading("syn", Reads::Sources, programs::syn),
];

/// Sums what `work` returns for each of `count` threads: the calling one alone, or others at once.
pub fn in_threads(count: usize, work: impl Fn(usize) -> u64 + Sync) -> u64 {
    if count == 1 {
        return work(0);
    }
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count)
            .map(|thread| scope.spawn(move || work(thread)))
            .collect();
        let sums = threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread"));
        sums.fold(0, u64::wrapping_add)
    })
}
