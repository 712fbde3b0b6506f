//! Pages, and what their owners do when these run short, are given back or are wanted by many.
//! Every test has `Pages` of its own.
#![cfg(all(feature = "std", not(miri)))]

#[path = "../common/mod.rs"]
mod common;

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod deaf;
#[cfg(target_os = "linux")]
mod exhaustion;
mod huge;
#[cfg(target_os = "linux")]
mod meanwhile;
mod pressure;
#[cfg(target_os = "linux")]
mod purge;
#[cfg(target_os = "linux")]
mod scripts;
#[cfg(target_os = "linux")]
mod source;
#[cfg(target_os = "linux")]
mod threads;
