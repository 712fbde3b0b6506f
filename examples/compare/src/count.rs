//! Counting what the process asks of the system allocator, and what the system sees of it.
//!
//! - I1: [`Counting`] forwards every call to [`System`] unchanged; counting is bookkeeping beside
//!   it and off unless [`start`] switched it on, so that timed rounds pay one predictable branch.
//! - I2: bytes are what was asked for, not what the allocator rounded them to; resident memory is
//!   the operating system's figure and shows the rest.
//! - I3: counting is for one thread; with more the sums stay right and the peak is approximate.
//!
//! It does not see memory that bypasses the process's allocator: flagstone maps its own pages, and
//! its figures are added by the caller, labelled.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// The process's allocator: [`System`], observed.
pub(crate) struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);
static PEAK_BYTES: AtomicI64 = AtomicI64::new(0);

/// What was counted since [`start`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Calls to alloc, alloc_zeroed and realloc.
    pub(crate) calls: u64,
    /// Highest sum of live bytes above the start.
    pub(crate) peak_bytes: u64,
}

/// Begins to count from zero.
pub(crate) fn start() {
    CALLS.store(0, Ordering::Relaxed);
    LIVE_BYTES.store(0, Ordering::Relaxed);
    PEAK_BYTES.store(0, Ordering::Relaxed);
    ON.store(true, Ordering::Relaxed);
}

/// Ends counting.
#[allow(
    dead_code,
    reason = "scenarios times after it has counted; compare counts to its end"
)]
pub(crate) fn stop() {
    ON.store(false, Ordering::Relaxed);
}

/// True while counting: the moment for arms to report what this allocator cannot see.
#[inline]
pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// The counts so far; counting goes on.
pub(crate) fn counts() -> Counts {
    let peak = PEAK_BYTES.load(Ordering::Relaxed);
    Counts {
        calls: CALLS.load(Ordering::Relaxed),
        peak_bytes: u64::try_from(peak).unwrap_or(0),
    }
}

#[cold]
#[inline(never)]
fn record(grown_bytes: i64, is_call: bool) {
    CALLS.fetch_add(u64::from(is_call), Ordering::Relaxed);
    let live = LIVE_BYTES.fetch_add(grown_bytes, Ordering::Relaxed) + grown_bytes;
    PEAK_BYTES.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: every method forwards its arguments to `System` and returns its answer (I1).
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_on() {
            record(layout.size() as i64, true);
        }
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_on() {
            record(layout.size() as i64, true);
        }
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        if is_on() {
            record(new_bytes as i64 - layout.size() as i64, true);
        }
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.realloc(ptr, layout, new_bytes) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if is_on() {
            record(-(layout.size() as i64), false);
        }
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// The process's resident memory now, in bytes; `None` where the system does not say.
///
/// `smaps_rollup` walks the page tables and is exact; the counters behind `statm` and `status` are
/// kept per processor on newer kernels and lag by up to some hundred KiB.
pub(crate) fn resident_bytes() -> Option<u64> {
    proc_bytes("/proc/self/smaps_rollup", "Rss:").or_else(|| proc_bytes(STATUS, "VmRSS:"))
}

const STATUS: &str = "/proc/self/status";

/// The highest resident memory since [`reset_resident_peak`], in bytes.
pub(crate) fn resident_peak_bytes() -> Option<u64> {
    proc_bytes(STATUS, "VmHWM:")
}

/// Lets the kernel forget the peak so far. False where it cannot.
pub(crate) fn reset_resident_peak() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// How often the system took the processor away from this thread so far, where it says.
pub(crate) fn interruptions() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let name = "nonvoluntary_ctxt_switches:";
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

/// A figure in kB from one of the kernel's tables, in bytes.
fn proc_bytes(path: &str, name: &str) -> Option<u64> {
    let table = std::fs::read_to_string(path).ok()?;
    let line = table.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
