//! What this process has in memory, as the system counts it; 0 where the system does not say.
//!
//! Two sources: `resident_kib` allocates nothing and leaves out the pages of files, for steps
//! within a run; `status_kib` has the high-water mark as well, which no later look at the rest can
//! give.

use std::fs;
use std::fs::File;
use std::io::Read;

/// Resident memory without pages of files. Allocates nothing: a small block behind what is measured
/// keeps malloc from giving back what is below it.
pub fn resident_kib() -> usize {
    let mut text = [0_u8; 256];
    let read = File::open("/proc/self/statm").and_then(|mut file| file.read(&mut text));
    let text = std::str::from_utf8(&text[..read.unwrap_or(0)]).unwrap_or("");
    let mut pages = text
        .split_whitespace()
        .skip(1)
        .map_while(|word| word.parse().ok());
    let resident: usize = pages.next().unwrap_or(0);
    let of_files: usize = pages.next().unwrap_or(0);
    // What every system with this file has, but for a few.
    const PAGE_KIB: usize = 4;
    resident.saturating_sub(of_files) * PAGE_KIB
}

/// A line of the process's status, such as `VmRSS:`, or `VmHWM:` for its high-water mark.
pub fn status_kib(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
