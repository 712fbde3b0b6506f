//! Running a part of a test in a process of its own: the test binary starts itself again with an
//! environment variable that names the part.

use std::env;
use std::process::{Command, Output};

/// Names the part that a child runs.
const PART: &str = "FLAGSTONE_TEST_PART";

/// What this process was started to run; `None` in an ordinary test run.
pub(crate) fn part() -> Option<String> {
    env::var(PART).ok()
}

/// Runs this binary's test `test` to its end in a process in which `part()` is `part`.
///
/// `shell` is run before, in the same process: resource limits are set there.
pub(crate) fn run(test: &str, part: &str, shell: &str) -> Output {
    let exe = env::current_exe().expect("the test binary's path");
    Command::new("sh")
        .arg("-c")
        .arg(format!("{shell} exec \"$0\" \"$@\""))
        .arg(exe)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(PART, part)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("the child starts")
}

/// A child's output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
