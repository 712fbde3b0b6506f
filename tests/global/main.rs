//! `Flagstone` as the allocator of this very test program: threads, frees from elsewhere, endings.

mod cached;
#[path = "../common/mod.rs"]
mod common;
mod ending;
mod memory;
mod program;
mod refused;
mod storm;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use common::random::Random;
use common::threads::elsewhere;
use flagstone::Flagstone;

#[global_allocator]
static GLOBAL: Flagstone = Flagstone::new();

/// Figures are the process's, so the tests take turns.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Bytes of spans in use after everything that can be trimmed was.
fn settled() -> usize {
    flagstone::trim();
    flagstone::stats().active
}

#[test]
fn every_size_and_alignment_through_the_trait() {
    let _turn = turn();
    let mut blocks = Vec::new();
    for align in (0..=16).map(|log2| 1usize << log2) {
        for size in (1..300).chain([
            1000,
            4096,
            32 << 10,
            (32 << 10) + 1,
            1 << 20,
            (1 << 20) + 1,
            5 << 20,
        ]) {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: the size is not zero.
            let ptr = unsafe { GLOBAL.alloc_zeroed(layout) };
            assert!(!ptr.is_null() && ptr.addr() % align == 0);
            // SAFETY: `size` bytes of ours.
            unsafe {
                assert!(
                    std::slice::from_raw_parts(ptr, size)
                        .iter()
                        .all(|byte| *byte == 0)
                );
                ptr.write_bytes(size as u8, size);
            }
            blocks.push((ptr, layout));
        }
        for (ptr, layout) in blocks.drain(..) {
            // SAFETY: live, of this layout; contents as written.
            unsafe {
                let bytes = std::slice::from_raw_parts(ptr, layout.size());
                assert!(bytes.iter().all(|byte| *byte == layout.size() as u8));
                GLOBAL.dealloc(ptr, layout);
            }
        }
    }
}

#[test]
fn realloc_keeps_contents_across_every_kind_of_block() {
    let _turn = turn();
    let sizes = [
        1,
        16,
        17,
        100,
        4096,
        32 << 10,
        33 << 10,
        64 << 10,
        200 << 10,
        1 << 20,
        3 << 20,
    ];
    for from in sizes {
        for to in sizes {
            // Also such as are larger than the size, and than any slot has by itself.
            for align in [1, 64, 4096, 64 << 10] {
                moves(Layout::from_size_align(from, align).unwrap(), to);
            }
        }
    }
}

fn moves(layout: Layout, to: usize) {
    let from = layout.size();
    // SAFETY: live blocks of these layouts throughout.
    unsafe {
        let ptr = GLOBAL.alloc(layout);
        for at in 0..from {
            ptr.add(at).write(at as u8);
        }
        let moved = GLOBAL.realloc(ptr, layout, to);
        assert_eq!(moved.addr() % layout.align(), 0, "{layout:?} to {to}");
        assert!((0..from.min(to)).all(|at| moved.add(at).read() == at as u8));
        let layout = Layout::from_size_align(to, layout.align()).unwrap();
        GLOBAL.dealloc(moved, layout);
    }
}

/// What real programs do: maps of strings, sorting, channels, threads that hand results over.
#[test]
fn a_program_of_many_threads_and_collections() {
    let _turn = turn();
    let (sender, receiver) = channel::<BTreeMap<String, Vec<u64>>>();
    let threads: Vec<_> = (0..8u64)
        .map(|number| {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut random = Random::new(number + 1);
                for _ in 0..20 {
                    let mut map = BTreeMap::new();
                    let mut index: HashMap<u64, String> = HashMap::new();
                    for _ in 0..500 {
                        let key = random.next() % 300;
                        let name = format!("key {key:>width$}", width = key as usize % 40);
                        index.insert(key, name.clone());
                        map.entry(name).or_insert_with(Vec::new).push(key);
                    }
                    assert!(
                        index
                            .iter()
                            .all(|(key, name)| map[name].iter().all(|k| k == key))
                    );
                    sender.send(map).unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    let total: usize = receiver
        .iter()
        .map(|map| map.values().map(Vec::len).sum::<usize>())
        .sum();
    assert_eq!(total, 8 * 20 * 500);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// Blocks wander between threads at random; every one is checked and freed somewhere.
#[test]
fn blocks_freed_by_whoever_has_them() {
    let _turn = turn();
    const THREADS: usize = 6;
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..THREADS).map(|_| channel::<Vec<Vec<u8>>>()).unzip();
    let threads: Vec<_> = receivers
        .into_iter()
        .enumerate()
        .map(|(number, receiver)| {
            let senders = senders.clone();
            thread::spawn(move || {
                let mut random = Random::new(number as u64 + 99);
                let mut held: Vec<Vec<u8>> = Vec::new();
                for step in 0..4000u64 {
                    let size = (random.next() % 2000) as usize + 1;
                    held.push(vec![size as u8; size]);
                    if step % 50 == 0 {
                        let to = random.next() as usize % THREADS;
                        let half = held.len() / 2;
                        let _ = senders[to].send(held.split_off(half));
                    }
                    if let Ok(got) = receiver.try_recv() {
                        held.extend(got);
                    }
                    while held.len() > 200 {
                        let block = held.swap_remove(random.next() as usize % held.len());
                        assert!(block.iter().all(|byte| *byte == block.len() as u8));
                    }
                }
                drop(senders);
                for block in held.into_iter().chain(receiver.into_iter().flatten()) {
                    assert!(block.iter().all(|byte| *byte == block.len() as u8));
                }
            })
        })
        .collect();
    drop(senders);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

#[test]
fn ten_thousand_short_threads_leave_nothing_behind() {
    let _turn = turn();
    let work = || {
        let blocks: Vec<Box<[u8; 128]>> = (0..10).map(|n| Box::new([n; 128])).collect();
        blocks.iter().map(|block| block[0] as usize).sum::<usize>()
    };
    thread::spawn(work).join().unwrap();
    let before = settled();
    for _ in 0..10_000 {
        assert_eq!(thread::spawn(work).join().unwrap(), 45);
    }
    let after = settled();
    assert!(after <= before + (1 << 20), "{before} then {after}");
}

#[test]
fn five_hundred_threads_at_once() {
    let _turn = turn();
    let before = settled();
    let barrier = Arc::new(Barrier::new(500));
    let threads: Vec<_> = (0..500usize)
        .map(|number| {
            let barrier = barrier.clone();
            thread::spawn(move || {
                let blocks: Vec<Vec<usize>> = (0..100).map(|n| vec![number; n]).collect();
                barrier.wait();
                blocks.iter().flatten().all(|value| *value == number)
            })
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    drop(barrier);
    let heaps = flagstone::stats().thread_heaps;
    let after = settled();
    // A heap and its stacks, and what of its first slabs other threads' blocks pin.
    let bound = before + (1 << 20) + heaps * (36 << 10);
    println!("{heaps} heaps; {before} then {after} bytes");
    assert!(after <= bound, "{before} then {after}, {heaps} heaps");
}

#[test]
fn a_thread_whose_first_operation_is_a_free() {
    let _turn = turn();
    let layout = Layout::from_size_align(64, 8).unwrap();
    // SAFETY: the size is not zero.
    let addresses: Vec<usize> = (0..1000)
        .map(|_| unsafe { GLOBAL.alloc(layout) }.expose_provenance())
        .collect();
    elsewhere(|| {
        for address in &addresses {
            // SAFETY: allocated above, freed once.
            unsafe { GLOBAL.dealloc(std::ptr::with_exposed_provenance_mut(*address), layout) };
        }
    });
}

/// Thread-local destructors run after, before and between the allocator's own exit hook.
#[test]
fn frees_and_allocations_in_thread_local_destructors() {
    let _turn = turn();
    struct Late(Vec<String>);
    impl Drop for Late {
        fn drop(&mut self) {
            let copies: Vec<String> = self.0.iter().map(|s| s.repeat(3)).collect();
            assert_eq!(copies.len(), self.0.len());
        }
    }
    thread_local!(static LATE: RefCell<Option<Late>> = const { RefCell::new(None) });
    for _ in 0..200 {
        thread::spawn(|| {
            LATE.with(|late| {
                *late.borrow_mut() = Some(Late((0..50).map(|n| n.to_string()).collect()));
            });
        })
        .join()
        .unwrap();
    }
}

/// A consumer that never allocates: what it frees must come back to use.
#[test]
fn memory_does_not_grow_when_one_thread_allocates_and_another_frees() {
    let _turn = turn();
    let run = |batches: usize| {
        let (sender, receiver) = sync_channel::<Vec<Box<[u64; 8]>>>(4);
        let consumer = thread::spawn(move || {
            receiver
                .into_iter()
                .flatten()
                .map(|block| block[0])
                .sum::<u64>()
        });
        for _ in 0..batches {
            sender
                .send((0..1000).map(|n| Box::new([n; 8])).collect())
                .unwrap();
        }
        drop(sender);
        assert_eq!(consumer.join().unwrap(), batches as u64 * 499_500);
        flagstone::stats().resident
    };
    run(20);
    let early = run(50);
    let late = run(1000);
    assert!(late <= early + (4 << 20), "{early} then {late}");
}

/// The owner of the slabs sleeps while another thread frees everything and allocates anew.
#[test]
fn a_stalled_owner_holds_little() {
    let _turn = turn();
    let before = settled();
    let (sender, receiver) = channel::<Vec<Box<[u8; 256]>>>();
    let (wake, sleep) = channel::<()>();
    let owner = thread::spawn(move || {
        sender
            .send((0..40_000).map(|n| Box::new([n as u8; 256])).collect())
            .unwrap();
        sleep.recv().unwrap();
    });
    let blocks = receiver.recv().unwrap();
    let held = flagstone::stats().active;
    drop(blocks);
    let after = settled();
    println!("{before} before, {held} held, {after} after");
    assert!(
        after < before + (held - before) / 4,
        "{before}, {held}, {after}"
    );
    wake.send(()).unwrap();
    owner.join().unwrap();
}

#[test]
fn exhaustion_is_null_and_named() {
    let _turn = turn();
    let layout = Layout::from_size_align(64 << 20, 8).unwrap();
    flagstone::set_limit(Some(flagstone::stats().resident + (8 << 20)));
    // SAFETY: the size is not zero.
    let refused = unsafe { GLOBAL.alloc(layout) };
    let error = flagstone::last_error();
    flagstone::set_limit(None);
    assert!(refused.is_null());
    assert!(
        matches!(error, Some(flagstone::AllocError::PagesLimit { .. })),
        "{error:?}"
    );
    assert!(Vec::<u8>::new().try_reserve(isize::MAX as usize).is_err());
}
