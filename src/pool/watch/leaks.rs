//! Objects that somebody has and perhaps forgot: where they were handed out, and since when.
//!
//! Owns one record per object looked out for, under a lock of its own. Knows slots as addresses.
//!
//! An object is looked out for by a mark in its note, which leads its put here; a put without the
//! mark costs nothing. Every so many gets beyond the magazines choose one of the next gets of the
//! thread, at random, and lead the gets until then past the magazines: so the chosen one may be any
//! of a request's, and a get that the magazines serve costs nothing otherwise. A leak leads to gets
//! beyond the magazines: what does not come back must be created again.
//!
//! I1: a record exists from the get to the end of its guard, and is removed before the object can
//! be handed out again.
//! I2: nothing is allocated or freed under the lock: the process's allocator may use a pool.
#![forbid(unsafe_code)]

use core::fmt;
use core::panic::Location;
use core::time::Duration;

use std::sync::Mutex;
use std::thread::{self, ThreadId};

use crate::base::lock::lock;
use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::watch::clock;

/// Gets beyond the magazines of which one is looked out for. A record costs some 200 ns, which are
/// 2 ns of a get that creates then. As Netty does.
const SAMPLED: usize = 128;

/// Age of a suspect. Ten seconds is long for a request and short for a day; two intervals besides,
/// so that a program without ticks is not told of what it holds on purpose.
pub(crate) const SUSPECT_AFTER: Duration = Duration::from_secs(10);
const SUSPECT_TICKS: usize = 2;

/// Records at most: some 64 KiB of room, touched as it is used. A program that leaks more learns
/// enough from these.
const RECORDS_MAX: usize = 1024;

/// Which gets a pool looks out for; by [`PoolBuilder::leak_check`](crate::PoolBuilder::leak_check).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeakCheck {
    /// None.
    Off,
    /// One for each 128 that a thread's magazines do not serve, chosen among its next 32 gets.
    /// The default, unless the feature `leak-check` makes [`Every`](Self::Every) that.
    Sampled,
    /// Every one. Each get and put then takes the slow path and a lock: for tests, and for finding
    /// a leak that is known to be there.
    Every,
}

impl Default for LeakCheck {
    fn default() -> LeakCheck {
        if cfg!(feature = "leak-check") {
            LeakCheck::Every
        } else {
            LeakCheck::Sampled
        }
    }
}

/// An object that has been out for longer than is usual, from
/// [`Pool::leak_suspects`](crate::Pool::leak_suspects).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LeakSuspect {
    /// Where it was handed out: the place of the `get`.
    pub location: &'static Location<'static>,
    /// The thread that got it.
    pub thread: ThreadId,
    /// How long ago.
    pub age: Duration,
    /// Ticks since.
    pub ticks: u64,
}

impl fmt::Display for LeakSuspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeakSuspect {
            location,
            thread,
            age,
            ticks,
        } = self;
        write!(
            f,
            "an object from {location}, of {thread:?}, is out since {:.1} s and {ticks} ticks",
            age.as_secs_f64()
        )
    }
}

/// Which get to look out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookout {
    No,
    /// This one.
    Here,
    /// One of the next: they are to come by.
    Later,
}

/// Gets ahead of which one is chosen: more than a request has, few enough to cost nothing.
const AHEAD: usize = 32;

/// As good as random.
fn spread(number: usize) -> usize {
    (number / SAMPLED).wrapping_mul(0x9e37_79b9) >> 7
}

#[derive(Debug)]
struct Record {
    address: usize,
    location: &'static Location<'static>,
    thread: ThreadId,
    since_millis: usize,
    since_ticks: usize,
    reported: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Leaks {
    check: LeakCheck,
    after_millis: usize,
    /// Has room for `RECORDS_MAX`, from the first record on.
    records: Mutex<Vec<Record>>,
    /// Suspects that came back.
    withdrawn: AtomicUsize,
}

impl Leaks {
    pub(crate) fn new(check: LeakCheck, after: Duration) -> Leaks {
        Leaks {
            check,
            after_millis: after.as_millis().min(1 << 30) as usize,
            records: Mutex::new(Vec::new()),
            withdrawn: AtomicUsize::new(0),
        }
    }

    /// Whether every get is to come by.
    pub(crate) fn is_for_every(&self) -> bool {
        self.check == LeakCheck::Every
    }

    /// Whether to look out for the `visit`th get of a thread beyond its magazines, or for one soon
    /// after; `countdown` is the thread's own.
    pub(crate) fn turn(&self, visit: usize, countdown: Option<&AtomicUsize>) -> Lookout {
        match self.check {
            LeakCheck::Off => return Lookout::No,
            LeakCheck::Every => return Lookout::Here,
            LeakCheck::Sampled => {}
        }
        let chosen = visit % SAMPLED == SAMPLED - 1;
        let Some(countdown) = countdown else {
            return if chosen { Lookout::Here } else { Lookout::No };
        };
        // One writer.
        let left = match countdown.load(Ordering::Relaxed) {
            0 if chosen => 1 + spread(visit) % AHEAD,
            left => left,
        };
        countdown.store(left.saturating_sub(1), Ordering::Relaxed);
        match left {
            0 => Lookout::No,
            1 => Lookout::Here,
            _ => Lookout::Later,
        }
    }

    /// Looks out for an object. `false` when there are too many, or there is no memory.
    pub(crate) fn begin(
        &self,
        address: usize,
        location: &'static Location<'static>,
        ticks: usize,
    ) -> bool {
        let record = Record {
            address,
            location,
            thread: thread::current().id(),
            since_millis: clock::millis(),
            since_ticks: ticks,
            reported: false,
        };
        let mut room = Vec::new();
        if lock(&self.records).capacity() == 0 && room.try_reserve_exact(RECORDS_MAX).is_err() {
            return false;
        }
        let mut records = lock(&self.records);
        if records.capacity() == 0 {
            core::mem::swap(&mut *records, &mut room);
        }
        let fits = records.len() < RECORDS_MAX.min(records.capacity());
        if fits {
            records.push(record);
        }
        fits
    }

    /// Ends the look-out: the object is no longer out.
    pub(crate) fn end(&self, address: usize) {
        let mut records = lock(&self.records);
        let found = records.iter().position(|record| record.address == address);
        let record = found.map(|index| records.swap_remove(index));
        if record.is_some_and(|record| record.reported) {
            self.withdrawn.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The suspects that were not reported yet.
    pub(crate) fn report(&self, ticks: usize) -> Vec<LeakSuspect> {
        let now = clock::millis();
        let count = lock(&self.records).len();
        let mut suspects = Vec::with_capacity(count);
        for record in lock(&self.records).iter_mut() {
            if record.reported || suspects.len() == count {
                continue;
            }
            if let Some(suspect) = self.suspect(record, now, ticks) {
                record.reported = true;
                suspects.push(suspect);
            }
        }
        suspects
    }

    fn suspect(&self, record: &Record, now: usize, ticks: usize) -> Option<LeakSuspect> {
        let age = now.wrapping_sub(record.since_millis);
        let ticks = ticks.wrapping_sub(record.since_ticks);
        let suspected = age >= self.after_millis && ticks >= SUSPECT_TICKS;
        suspected.then(|| LeakSuspect {
            location: record.location,
            thread: record.thread,
            age: Duration::from_millis(age as u64),
            ticks: ticks as u64,
        })
    }

    /// Suspects now, reported or not, and those that came back after a report.
    pub(crate) fn counts(&self, ticks: usize) -> (u64, u64) {
        let now = clock::millis();
        let records = lock(&self.records);
        let suspected = |record: &&Record| self.suspect(record, now, ticks).is_some();
        let suspects = records.iter().filter(suspected).count();
        (
            suspects as u64,
            self.withdrawn.load(Ordering::Relaxed) as u64,
        )
    }
}
