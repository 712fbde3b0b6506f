//! Memory, one arm at a time: each in a process of its own.
//!
//! In one process the arms would hand their free memory to each other, and "resident" would mean
//! nothing. So the program starts itself once per arm, gives it the document on standard input and
//! reads one line of figures.
//!
//! - I1: the child builds no tree before the arm's own, so that resident memory above the start is
//!   the arm's alone.
//! - I2: the allocations are counted over iterations after the first, in steady state.
//! - I3: a child that cannot run costs the figures, not the comparison: they read "not measured".
//!
//! It takes no time.

use std::env;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::count;
use crate::document::Document;
use crate::work::{self, Work};

/// The hidden flag that makes this program a probe.
pub(crate) const FLAG: &str = "--probe";

/// Steady-state iterations fill about this long, in seconds: long enough for pools to settle.
const PROBE_SECONDS: f64 = 0.2;

/// What one arm takes. Resident figures are above the level before its first iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    /// Calls to the system allocator per unit, in steady state.
    pub(crate) allocations: f64,
    /// Most bytes asked of the system allocator at once.
    pub(crate) asked_bytes: u64,
    /// Most bytes of pages that flagstone's types owned at once.
    pub(crate) pages_bytes: u64,
    /// Highest resident memory, where the system says.
    pub(crate) resident_peak_bytes: Option<u64>,
    /// Resident memory after the last iteration, pools and arenas kept, nothing trimmed.
    pub(crate) resident_after_bytes: Option<u64>,
}

impl Memory {
    /// Most bytes held at once, from wherever.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.asked_bytes + self.pages_bytes
    }

    fn to_line(self) -> String {
        let optional = |bytes: Option<u64>| bytes.map_or("-".into(), |bytes| bytes.to_string());
        format!(
            "{} {} {} {} {}",
            self.allocations,
            self.asked_bytes,
            self.pages_bytes,
            optional(self.resident_peak_bytes),
            optional(self.resident_after_bytes)
        )
    }

    fn from_line(line: &str) -> Option<Memory> {
        let mut words = line.split_ascii_whitespace();
        let memory = Memory {
            allocations: words.next()?.parse().ok()?,
            asked_bytes: words.next()?.parse().ok()?,
            pages_bytes: words.next()?.parse().ok()?,
            resident_peak_bytes: words.next()?.parse().ok(),
            resident_after_bytes: words.next()?.parse().ok(),
        };
        words.next().is_none().then_some(memory)
    }
}

/// Starts a child for one arm. `None` when that does not work here.
pub(crate) fn ask(work_id: &str, arm_id: &str, quick: bool, document: &Document) -> Option<Memory> {
    let mut child = Command::new(env::current_exe().ok()?)
        .args([FLAG, &format!("{work_id}/{arm_id}")])
        .args(quick.then_some("--quick"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // A child that died early closes its end; its missing answer says so below.
    let sent = child.stdin.take()?.write_all(document.text.as_bytes());
    let output = child.wait_with_output().ok()?;
    sent.ok()?;
    Memory::from_line(&String::from_utf8(output.stdout).ok()?)
}

/// The child's side: probes the arm named `work/arm` and returns its line.
pub(crate) fn answer(
    target: &str,
    quick: bool,
    works: fn(&Document) -> Vec<Work<'_>>,
) -> Result<String, String> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| format!("stdin: {error}"))?;
    let document = Document::trusted(text);
    let (work_id, arm_id) = target.split_once('/').ok_or("a probe is named WORK/ARM")?;
    let mut works = works(&document);
    works.retain(|work| work.id == work_id);
    let mut work = works
        .pop()
        .ok_or_else(|| format!("no work is named {work_id}"))?;
    work.arms.retain(|arm| arm.id == arm_id);
    let mut arm = work
        .arms
        .pop()
        .ok_or_else(|| format!("no arm is named {arm_id}"))?;

    let has_peak = count::reset_resident_peak();
    let before = count::resident_bytes();
    let above = |bytes: Option<u64>| Some(bytes?.saturating_sub(before?));
    count::start();
    let start = Instant::now();
    arm.way.run(1);
    let once = start.elapsed().as_secs_f64();
    let calls_first = count::counts().calls;
    let seconds = if quick { 0.0 } else { PROBE_SECONDS };
    let iterations = (seconds / once.max(1e-6)).clamp(2.0, 1e4) as u64;
    arm.way.run(iterations);
    let counts = count::counts();
    let after = count::resident_bytes();
    let units = (iterations * work.units_per_iteration) as f64;
    let memory = Memory {
        allocations: (counts.calls - calls_first) as f64 / units,
        asked_bytes: counts.peak_bytes,
        pages_bytes: work::pages_peak_bytes(),
        resident_peak_bytes: above(has_peak.then(count::resident_peak_bytes).flatten()),
        resident_after_bytes: above(after),
    };
    Ok(memory.to_line())
}
