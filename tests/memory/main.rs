//! What is in memory, by the resident pages that the system counts. The figure is the process's, so
//! nothing else is tested in this one, and the tests take turns.
#![cfg(all(target_os = "linux", feature = "std", not(miri)))]

#[path = "../common/mod.rs"]
mod common;

mod burst;
mod holes;
mod owners;

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of the process that are in memory.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").expect("a proc file system");
    let pages = statm.split(' ').nth(1).expect("the second field");
    pages.parse::<usize>().expect("a number") << 12
}
