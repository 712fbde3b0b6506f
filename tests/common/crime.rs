//! How a child must die that commits a crime: by SIGABRT, after exactly one line on standard error
//! that names the crime and the address, which the child itself announced on standard output.

use std::fmt;
use std::os::unix::process::ExitStatusExt;

use crate::common::child;

const SIGABRT: i32 = 6;

/// Says where the abort must point at. Called in the child, before the deed.
pub(crate) fn guilty(at: impl fmt::Pointer) {
    println!("guilty {at:p}");
}

/// Runs `crime`, a part in this binary's entry `entry`, in a child and compares how it died.
#[track_caller]
pub(crate) fn dies(entry: &str, crime: &str, message: &str) {
    let output = child::run(entry, crime);
    let (out, err) = (child::text(&output.stdout), child::text(&output.stderr));
    let all = format!("{crime}: {}\n{out}\n{err}", output.status);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{all}");
    let address = out
        .split_once("guilty ")
        .and_then(|(_, rest)| rest.lines().next())
        .unwrap_or_else(|| panic!("{all}"));
    assert_eq!(err, format!("flagstone: {message}: {address}\n"), "{all}");
}
