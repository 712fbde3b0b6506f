//! Endings: fork, exit while threads work, no exit hook to be had, and crimes, each in a process of
//! its own.

use std::alloc::{GlobalAlloc, Layout};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use crate::common::child;
use crate::common::crime::{self, guilty};
use crate::memory;
use crate::refused;
use crate::storm::{Block, Cells, exhaustion, storm};
use crate::{GLOBAL, Random, turn};

unsafe extern "C" {
    safe fn fork() -> i32;
    safe fn _exit(status: i32) -> !;
    safe fn alarm(seconds: u32) -> u32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
}

#[test]
#[ignore = "parts of other tests, which run them in processes of their own"]
fn part() {
    let part = child::part();
    // Whoever hangs dies, at last: no machine is so slow.
    alarm(900);
    match part.as_str() {
        "storm" => storm(),
        "exhaustion" => exhaustion(),
        "forks" => forks(60),
        "forks on slow paths" => forks_on_slow_paths(),
        "leaves" => {
            let churn = Churn::start(8);
            churn.wait();
            std::process::exit(0);
        }
        "double free" | "double free from two threads" | "held stderr" => double_free(&part),
        "foreign" => foreign(),
        "large twice" => large_twice(100 << 10),
        "longer twice" => large_twice(700 << 10),
        "huge, other size" => huge_with_another_size(),
        "panics" => assert!(!in_a_forked_child(|| panic!("as it should"))),
        "idle" => memory::idle(),
        "everything" => memory::everything(),
        "survivors" => memory::survivors(),
        "no heap" => refused::frees_without_a_heap(),
        "double free without a heap" => refused::double_free_without_a_heap(),
        _ => panic!("no such part: {part}"),
    }
}

/// Threads that allocate, free each other's blocks, and start threads.
struct Churn {
    cells: Arc<Cells>,
    end: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
    steps: mpsc::Receiver<()>,
    /// Held, shared, by who starts a thread. A child forked in the middle of `pthread_create` may
    /// find a lock of the C library held for good, which POSIX allows and is not what is tested.
    starting: Arc<RwLock<()>>,
}

impl Churn {
    fn start(count: u64) -> Churn {
        let (cells, end) = (Arc::new(Cells::new(2000)), Arc::new(AtomicBool::new(false)));
        let (sender, steps) = mpsc::sync_channel(0);
        let starting = Arc::new(RwLock::new(()));
        let threads = (0..count).map(|number| {
            let (cells, end, sender) = (cells.clone(), end.clone(), sender.clone());
            let starting = starting.clone();
            thread::spawn(move || {
                let mut random = Random::new(number * 31 + 5);
                while !end.load(Ordering::Relaxed) {
                    (0..200).for_each(|_| cells.step(&mut random));
                    let (cells, seed) = (cells.clone(), random.next());
                    let start = starting.read().unwrap();
                    let short = thread::spawn(move || {
                        let mut random = Random::new(seed);
                        (0..50).for_each(|_| cells.step(&mut random));
                    });
                    drop(start);
                    short.join().unwrap();
                    let _ = sender.try_send(());
                }
            })
        });
        let threads = threads.collect();
        Churn {
            cells,
            end,
            threads,
            steps,
            starting,
        }
    }

    /// Until everything is in full swing.
    fn wait(&self) {
        for _ in 0..20 {
            self.steps.recv().unwrap();
        }
    }

    fn stop(self) {
        self.end.store(true, Ordering::Relaxed);
        self.threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        self.cells.clear();
    }
}

/// Forks again and again while other threads churn; each child goes on with what it inherited.
pub(crate) fn forks(rounds: u64) {
    let churn = Churn::start(4);
    churn.wait();
    for round in 0..rounds {
        let quiet = churn.starting.write().unwrap();
        let went_well = in_a_child_forked_under(quiet, || {
            // What others held is freed and taken anew, here and on a fresh thread.
            let cells = churn.cells.clone();
            let work = move || {
                let mut random = Random::new(round + 1);
                (0..1000).for_each(|_| cells.step(&mut random));
                Block::new(5 << 20).into_iter().for_each(Block::free);
            };
            work();
            // Enough threads to take over every heap that was left.
            refused::bare_crowd(8, &work);
            churn.cells.clear();
            flagstone::trim();
            true
        });
        assert!(went_well, "round {round}");
    }
    churn.stop();
}

/// Whether `work` says so at its end, in a child forked for it. A panic ends the child there: left
/// alone it would end its only thread, and the process with it, which counts as success.
fn in_a_forked_child(work: impl FnOnce() -> bool) -> bool {
    in_a_child_forked_under((), work)
}

/// The same, with a lock that is let go of right after the fork.
fn in_a_child_forked_under<L>(lock: L, work: impl FnOnce() -> bool) -> bool {
    let pid = fork();
    if pid == 0 {
        alarm(600);
        let well = catch_unwind(AssertUnwindSafe(work)).unwrap_or(false);
        _exit(if well { 0 } else { 3 });
    }
    drop(lock);
    let mut status = -1;
    // SAFETY: an out pointer.
    let waited = unsafe { waitpid(pid, &raw mut status, 0) };
    pid > 0 && waited == pid && status == 0
}

/// One size whose stack has four entries, one of middling and one of long stacks.
const SIZES: [usize; 3] = [30_000, 3000, 64];

/// Holds several stacks full of each size at once, and checks that no two blocks overlap.
fn fill_and_free() {
    for size in SIZES {
        let blocks: Vec<Block> = (0..600_000 / size.max(2000))
            .filter_map(|_| Block::new(size))
            .collect();
        blocks.into_iter().for_each(Block::free);
    }
}

/// Forks while other threads are on their slow paths most of the time. A child that adopted a heap
/// in the middle of a step would find slots in two places and hand them out twice.
fn forks_on_slow_paths() {
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while !end.load(Ordering::Relaxed) {
                    let layouts = SIZES.map(layout);
                    for layout in layouts.iter().cycle().take(60) {
                        // SAFETY: the sizes are not zero; each block is freed once.
                        unsafe {
                            let blocks = [(); 40].map(|()| GLOBAL.alloc(*layout));
                            for block in blocks {
                                GLOBAL.dealloc(block, *layout);
                            }
                        }
                    }
                    flagstone::trim();
                }
            });
        }
        let failed = (0..100).find(|_| {
            !in_a_forked_child(|| {
                let threads: Vec<_> = (0..8).map(|_| thread::spawn(fill_and_free)).collect();
                threads.into_iter().all(|thread| thread.join().is_ok())
            })
        });
        end.store(true, Ordering::Relaxed);
        assert_eq!(failed, None, "a child came to a bad end");
    });
}

#[track_caller]
fn succeeds(part: &str) {
    child::succeeds("ending::part", part);
}

#[test]
fn a_storm_of_128_threads_that_free_each_others_blocks() {
    let _turn = turn();
    succeeds("storm");
}

#[test]
fn exhaustion_with_many_threads() {
    let _turn = turn();
    succeeds("exhaustion");
}

#[test]
fn a_thread_that_gets_no_heap_loses_nothing() {
    let _turn = turn();
    succeeds("no heap");
}

#[test]
fn idle_threads_hold_no_more_than_documented() {
    let _turn = turn();
    succeeds("idle");
}

#[test]
fn everything_in_one_process_leaves_nothing_behind() {
    let _turn = turn();
    succeeds("everything");
}

#[test]
fn a_trim_returns_what_lies_between_survivors() {
    let _turn = turn();
    succeeds("survivors");
}

#[test]
fn forked_children_go_on() {
    let _turn = turn();
    succeeds("forks");
}

#[test]
fn forked_children_adopt_no_heap_in_the_middle_of_a_step() {
    let _turn = turn();
    succeeds("forks on slow paths");
}

#[test]
fn exit_while_threads_work() {
    let _turn = turn();
    for _ in 0..10 {
        succeeds("leaves");
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// Frees enough to make the stack give up its older half, twice over.
fn flush() {
    // SAFETY: the size is not zero; each block is freed once.
    unsafe {
        let blocks: Vec<_> = (0..1000).map(|_| GLOBAL.alloc(layout(64))).collect();
        for block in blocks {
            GLOBAL.dealloc(block, layout(64));
        }
    }
}

fn double_free(part: &str) {
    // SAFETY: the second free is the crime, and must be found before it does harm.
    let ptr = unsafe { GLOBAL.alloc(layout(64)) };
    guilty(ptr);
    let address = ptr.expose_provenance();
    let free = move || {
        // SAFETY: as above.
        unsafe { GLOBAL.dealloc(std::ptr::with_exposed_provenance_mut(address), layout(64)) };
        flush();
    };
    match part {
        "double free" => {
            // SAFETY: as above.
            unsafe { GLOBAL.dealloc(ptr, layout(64)) };
            free();
        }
        "held stderr" => {
            // Somebody who holds the stream for ever must not keep others from aborting.
            let (sender, held) = mpsc::channel::<()>();
            thread::spawn(move || {
                let _lock = std::io::stderr().lock();
                drop(sender);
                thread::sleep(Duration::from_secs(1000));
            });
            assert!(held.recv().is_err());
            // SAFETY: as above.
            unsafe { GLOBAL.dealloc(ptr, layout(64)) };
            free();
        }
        _ => {
            thread::spawn(free).join().unwrap();
            free();
            flagstone::trim();
        }
    }
    println!("unpunished");
}

fn foreign() {
    let mut own = [0u64; 8];
    let ptr = own.as_mut_ptr().cast();
    guilty(ptr);
    // SAFETY: none: the crime.
    unsafe { GLOBAL.dealloc(ptr, layout(64)) };
    flush();
    println!("unpunished");
}

fn large_twice(size: usize) {
    // SAFETY: the second free is the crime.
    unsafe {
        let ptr = GLOBAL.alloc(layout(size));
        guilty(ptr);
        let _ = std::io::stdout().flush();
        GLOBAL.dealloc(ptr, layout(size));
        GLOBAL.dealloc(ptr, layout(size));
    }
}

fn huge_with_another_size() {
    // SAFETY: the layout of the free is the crime.
    unsafe {
        let ptr = GLOBAL.alloc(layout(3 << 20));
        guilty(ptr);
        GLOBAL.dealloc(ptr, layout(4 << 20));
    }
}

#[track_caller]
fn dies(crime: &str, message: &str) {
    crime::dies("ending::part", crime, message);
}

#[test]
fn a_panic_in_a_forked_child_shows() {
    let _turn = turn();
    succeeds("panics");
}

#[test]
fn crimes_abort_with_one_line() {
    let _turn = turn();
    dies("double free", "double free");
    dies("double free from two threads", "double free");
    dies("foreign", "free of a pointer that is not this owner's");
    dies("double free without a heap", "double free");
    dies("large twice", "double free");
    dies(
        "huge, other size",
        "free with a layout of another size class",
    );
    // What is too long to be kept is nobody's after the first free.
    dies("longer twice", "free of a pointer that is not this owner's");
}

#[test]
fn a_held_stderr_does_not_keep_a_crime_from_aborting() {
    let _turn = turn();
    dies("held stderr", "double free");
}
