//! Where and how the figures were made: a figure without that is worth nothing.
//!
//! It reads what Linux tells everyone and says less elsewhere.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::figures::{self, Bytes};

/// Processor, threads, memory, system.
pub(crate) fn description() -> String {
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    let plural = if threads == 1 { "" } else { "s" };
    let mut parts = vec![
        processor().unwrap_or_else(|| "processor not named".into()),
        format!("{threads} hardware thread{plural}"),
    ];
    parts.extend(memory_bytes().map(|bytes| format!("{} of memory", Bytes(bytes))));
    parts.push(format!(
        "{} on {}{}",
        std::env::consts::OS,
        std::env::consts::ARCH,
        kernel()
    ));
    parts.join(", ")
}

fn processor() -> Option<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

fn memory_bytes() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease");
    release.map_or_else(
        |_| String::new(),
        |release| format!(", kernel {}", release.trim()),
    )
}

/// Now, in UTC.
pub(crate) fn date() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    figures::date(since.map_or(0, |since| since.as_secs()))
}

/// The command line as typed, arguments with spaces quoted.
pub(crate) fn command() -> String {
    let quote = |argument: String| match argument.contains(char::is_whitespace) {
        true => format!("'{argument}'"),
        false => argument,
    };
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    arguments.map(quote).collect::<Vec<_>>().join(" ")
}
