//! Running a part of a test in a process of its own: the test binary starts itself again with an
//! environment variable that names the part.
//!
//! A binary has one or a few entries for its parts, which look like this. They are ignored, so that
//! none counts as a test that passed without a check.
//!
//! ```ignore
//! #[test]
//! #[ignore = "parts of other tests, which run them in processes of their own"]
//! fn part() {
//!     match child::part().as_str() { … }
//! }
//! ```

use std::env;
use std::process::{Command, Output};

/// Names the part that a child runs.
const PART: &str = "FLAGSTONE_TEST_PART";

/// What this process was started to run.
///
/// # Panics
/// In an ordinary run, where somebody asked for ignored tests too.
pub(crate) fn part() -> String {
    env::var(PART).expect("only another test starts this one")
}

/// Runs `part` in this binary's entry `entry`, to its end, in a process of its own.
///
/// `shell` is run before, in the same process: resource limits are set there.
pub(crate) fn run_after(shell: &str, entry: &str, part: &str) -> Output {
    let exe = env::current_exe().expect("the test binary's path");
    Command::new("sh")
        .arg("-c")
        // A child that is to die leaves no core.
        .arg(format!("ulimit -c 0; {shell} exec \"$0\" \"$@\""))
        .arg(exe)
        .args(["--exact", entry, "--ignored"])
        .args(["--nocapture", "--test-threads=1"])
        .env(PART, part)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("the child starts")
}

/// The same, without anything before.
pub(crate) fn run(entry: &str, part: &str) -> Output {
    run_after("", entry, part)
}

/// A child's output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a part that must succeed. What it printed.
#[track_caller]
pub(crate) fn succeeds_after(shell: &str, entry: &str, part: &str) -> String {
    let output = run_after(shell, entry, part);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    // Not a misspelt entry, of which none would run.
    let has_run = out.contains("running 1 test\n");
    assert!(
        output.status.success() && has_run,
        "{part}: {}\n{out}\n{err}",
        output.status
    );
    out
}

/// The same, without anything before.
#[track_caller]
pub(crate) fn succeeds(entry: &str, part: &str) -> String {
    succeeds_after("", entry, part)
}
