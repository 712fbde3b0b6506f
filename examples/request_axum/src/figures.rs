//! What the measuring programs share: medians, and the machine's figures of this process.

use std::fs;

/// The value below which `share` of the values lie. Sorts them.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len() - 1;
    values[((last as f64 * share).round() as usize).min(last)]
}

/// The median of `a / b`, pair by pair, and the ratios that half of the pairs lie between.
pub fn ratio(a: &[f64], b: &[f64]) -> String {
    let mut ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
    let [low, mid, high] = [0.25, 0.5, 0.75].map(|share| percentile(&mut ratios, share));
    format!("{mid:.2} ({low:.2} to {high:.2})")
}

/// Nanoseconds that this process's threads with this name have run so far; 0 where the system does
/// not tell.
pub fn busy_ns(thread: &str) -> u64 {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return 0;
    };
    tasks
        .filter_map(|task| {
            let task = task.ok()?.path();
            let name = fs::read_to_string(task.join("comm")).ok()?;
            let times = fs::read_to_string(task.join("schedstat")).ok()?;
            (name.trim() == thread).then(|| times.split(' ').next()?.parse::<u64>().ok())?
        })
        .sum()
}

/// Resident memory of this process in KiB; 0 where the system does not tell.
pub fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|kib| kib.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
