//! Running a part of a test in a process of its own: the test binary starts itself again with an
//! environment variable that names the part.
//!
//! The entry of such parts is a test with `#[ignore = "a child's part"]`, so an ordinary run
//! neither runs nor counts it.

use std::env;
use std::process::{Command, Output};

/// Names the part that a child runs.
const PART: &str = "FLAGSTONE_TEST_PART";

/// What this process was started to run. Who asks for ignored tests by hand is told why this fails.
pub(crate) fn part() -> String {
    env::var(PART).expect("a child's part, which another test starts")
}

/// Runs this binary's ignored test `test` to its end in a process in which `part()` is `part`.
///
/// `shell` is run before, in the same process: resource limits are set there.
pub(crate) fn run(test: &str, part: &str, shell: &str) -> Output {
    let exe = env::current_exe().expect("the test binary's path");
    Command::new("sh")
        .arg("-c")
        .arg(format!("{shell} exec \"$0\" \"$@\""))
        .arg(exe)
        .args(["--ignored", "--exact", test])
        .args(["--nocapture", "--test-threads=1"])
        .env(PART, part)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("the child starts")
}

/// The same, without a core file, and it must end well. What it printed.
#[track_caller]
pub(crate) fn succeeds(test: &str, part: &str) -> String {
    succeeds_in(test, part, "ulimit -c 0;")
}

/// The same, with what is run before.
#[track_caller]
pub(crate) fn succeeds_in(test: &str, part: &str, shell: &str) -> String {
    let output = run(test, part, shell);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    // A name that no test has ends well, too.
    let ran = out.contains("running 1 test");
    let all = format!("{part} {shell} {}\n{out}\n{err}", output.status);
    assert!(output.status.success() && ran, "{all}");
    out
}

/// A child's output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
