//! What the process's heap is refused, by each kind of limit: nothing that is only cached, by the
//! thread that asks or by ended ones. In processes of their own, because limits are the process's.

use std::alloc::GlobalAlloc;
use std::io::Error;
use std::sync::Barrier;
use std::thread;

use flagstone::{Config, Flagstone};

use crate::common::pairs::{self, Process, Room, layout};
use crate::common::random::Random;
use crate::common::{child, threads};
use crate::refused::bare;
use crate::{GLOBAL, turn};

const ROOM: usize = 2 << 20;
/// Blocks of 16 bytes in four times the room: the bound is for a limit that does not hold.
const MOST: usize = 4 * ROOM / 16;
const THREADS: usize = 8;

unsafe extern "C" {
    #[cfg(target_os = "linux")]
    safe fn __errno_location() -> *mut i32;
}

#[test]
#[ignore = "parts of other tests, which run them in processes of their own"]
fn part() {
    match child::part().as_str() {
        "set_limit" => {
            let mut held = room();
            every_pair(&huge_too(), &mut held);
        }
        "Config" => under_a_chosen_limit(),
        "ulimit" => where_address_space_ends(),
        "ended threads" => what_ended_threads_left(),
        "realloc" => a_block_grows_where_it_is(),
        "no heap" => without_a_heap(),
        "errno" => errno(),
        part => panic!("no such part: {part}"),
    }
}

/// Lets the process have `ROOM` bytes more than it has. Room for the addresses of blocks.
fn room() -> Vec<usize> {
    let held = Vec::with_capacity(MOST);
    flagstone::trim();
    flagstone::set_limit(Some(flagstone::stats().resident + ROOM));
    held
}

fn huge_too() -> Vec<usize> {
    let mut sizes = pairs::sizes();
    sizes.extend([(1 << 20) + 1, 1500 << 10]);
    sizes
}

fn every_pair(sizes: &[usize], held: &mut Vec<usize>) {
    pairs::every_pair(&Process, sizes, held);
}

#[test]
fn under_set_limit_each_size_gets_what_any_other_left_cached() {
    let _turn = turn();
    child::succeeds("cached::part", "set_limit");
}

#[test]
fn under_the_limit_of_a_config_each_size_gets_what_any_other_left_cached() {
    let _turn = turn();
    child::succeeds("cached::part", "Config");
}

fn under_a_chosen_limit() {
    let (sizes, mut held) = (huge_too(), Vec::with_capacity(MOST));
    flagstone::trim();
    let limit = flagstone::stats().resident + ROOM;
    let chosen = Flagstone::with(Config::new().limit_bytes(limit));
    // SAFETY: the size is not zero; freed at once.
    unsafe { chosen.dealloc(chosen.alloc(layout(ROOM / 4)), layout(ROOM / 4)) };
    every_pair(&sizes, &mut held);
}

#[test]
fn where_address_space_ends_each_size_gets_what_any_other_left_cached() {
    let _turn = turn();
    child::succeeds_after("ulimit -v 200000;", "cached::part", "ulimit");
}

/// All but `ROOM` is in use, and the limit is the system's.
fn where_address_space_ends() {
    let (mut sizes, mut held) = (pairs::sizes(), Vec::with_capacity(MOST));
    // How many longer ones there are depends on where in the room a few others lay.
    sizes.retain(|size| *size <= 100 << 10);
    let mut ballast = Vec::with_capacity(4000);
    let unit = 60_000;
    pairs::fill(&Process, unit, &mut ballast);
    ballast
        .drain(..ROOM >> 16)
        .for_each(|block| Process.give(block, unit));
    every_pair(&sizes, &mut held);
}

#[test]
fn large_blocks_get_what_ended_threads_left() {
    let _turn = turn();
    child::succeeds("cached::part", "ended threads");
}

fn what_ended_threads_left() {
    let mut held = Vec::with_capacity(MOST);
    leave_room_with_ended_threads();
    for size in [300 << 10, 1 << 20, 1500 << 10] {
        pairs::fill(&Process, size, &mut held);
        flagstone::trim();
        assert_eq!(Process.take(size), None, "{size}");
        pairs::empty(&Process, size, &mut held, &mut Random::new(1));
        leave_room_with_ended_threads();
    }
}

/// They end with live blocks, which a last thread frees into what nobody has any more.
fn leave_room_with_ended_threads() {
    const SIZE: usize = 64;
    let share = ROOM / THREADS / SIZE;
    flagstone::set_limit(None);
    let all_there = Barrier::new(THREADS);
    let work = |number: usize| {
        let mut random = Random::new(number as u64);
        let mut blocks: Vec<_> = (0..share).filter_map(|_| Process.take(SIZE)).collect();
        all_there.wait();
        while blocks.len() > share / 2 {
            Process.give(blocks.swap_remove(random.below(blocks.len())), SIZE);
        }
        blocks
    };
    let left = thread::scope(|scope| {
        let work = &work;
        let start = |number| scope.spawn(move || work(number));
        let threads: Vec<_> = (0..THREADS).map(start).collect();
        let left = threads.into_iter().map(|thread| thread.join().unwrap());
        left.collect::<Vec<_>>()
    });
    flagstone::trim();
    flagstone::set_limit(Some(flagstone::stats().resident + ROOM / 2));
    threads::elsewhere(move || {
        let blocks = left.into_iter().flatten();
        blocks.for_each(|block| Process.give(block, SIZE));
    });
}

#[test]
fn a_block_grows_in_place_into_what_was_cached_behind_it() {
    let _turn = turn();
    child::succeeds("cached::part", "realloc");
}

fn a_block_grows_where_it_is() {
    let (old, new) = (layout(100 << 10), 1 << 20);
    let (mut kept, mut held) = (Vec::with_capacity(ROOM / 4 / 64), room());
    // SAFETY: the size is not zero; one byte is written and read.
    unsafe {
        let block = GLOBAL.alloc(old);
        block.write(7);
        pairs::fill(&Process, 64, &mut held);
        // A part stays, so that the block cannot move.
        kept.extend(held.drain(held.len() - ROOM / 4 / 64..));
        pairs::empty(&Process, 64, &mut held, &mut Random::new(5));
        let grown = GLOBAL.realloc(block, old, new);
        assert!(!grown.is_null() && grown.read() == 7);
        pairs::empty(&Process, 64, &mut kept, &mut Random::new(5));
        GLOBAL.dealloc(grown, layout(new));
    }
}

#[test]
fn a_thread_without_a_heap_gets_what_ended_threads_left() {
    let _turn = turn();
    child::succeeds("cached::part", "no heap");
}

/// A thread that has allocated large blocks alone has no heap of its own.
fn without_a_heap() {
    const SIZE: usize = 100 << 10;
    let mut held = Vec::with_capacity(MOST);
    leave_room_with_ended_threads();
    let heaps = flagstone::stats().thread_heaps;
    bare(&mut || pairs::fill(&Process, SIZE, &mut held));
    let got = held.len();
    flagstone::trim();
    bare(&mut || pairs::fill(&Process, SIZE, &mut held));
    assert_eq!((held.len(), flagstone::stats().thread_heaps), (got, heaps));
}

#[test]
#[cfg(target_os = "linux")]
fn an_allocation_that_succeeds_leaves_errno_alone() {
    let _turn = turn();
    child::succeeds_after("ulimit -v 200000;", "cached::part", "errno");
}

#[cfg(not(target_os = "linux"))]
fn errno() {}

#[cfg(target_os = "linux")]
fn errno() {
    const OTHER: i32 = 77;
    let mut held = Vec::with_capacity(4000);
    // SAFETY: this thread's own.
    unsafe { __errno_location().write(OTHER) };
    for size in [3 << 20, 60_000, 100] {
        while let Some(block) = Process.take(size) {
            assert_eq!(Error::last_os_error().raw_os_error(), Some(OTHER));
            if held.len() == held.capacity() {
                return;
            }
            held.push(block);
        }
    }
    assert!(held.len() > 500, "{} blocks", held.len());
}
