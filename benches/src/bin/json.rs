//! A JSON document as a tree, in arenas and in boxes:
//! `cargo run --release --bin json [-- --rounds N] [FILE]`. Without a file, what `cargo metadata`
//! says of this package.
//!
//! The boxes are glibc's and mimalloc's by turns, in one process: each call of the allocator looks
//! at a flag first, which costs it less than a hundredth.

use std::alloc::{GlobalAlloc, Layout, System};
use std::env;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use flagstone_benches::document::{in_arena, in_boxes, in_nothing};
use flagstone_benches::growing_row;
use flagstone_benches::interleave::{Row, rounds_from_arguments};
use mimalloc::MiMalloc;

/// The process's allocator: mimalloc while the flag says so, else the system's. Everything that is
/// allocated while it does is freed while it does.
struct ByTurns;

/// Whether it is mimalloc's turn. Read and written by one thread, so no ordering is needed.
static IS_MIMALLOC: AtomicBool = AtomicBool::new(false);

#[global_allocator]
static ALLOCATOR: ByTurns = ByTurns;

// SAFETY: every block goes back to the allocator it came from, since the flag changes only between
// pieces of work that keep nothing; both keep the trait's contract.
unsafe impl GlobalAlloc for ByTurns {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            match IS_MIMALLOC.load(Ordering::Relaxed) {
                true => MiMalloc.alloc(layout),
                false => System.alloc(layout),
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe {
            match IS_MIMALLOC.load(Ordering::Relaxed) {
                true => MiMalloc.dealloc(block, layout),
                false => System.dealloc(block, layout),
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            match IS_MIMALLOC.load(Ordering::Relaxed) {
                true => MiMalloc.realloc(block, layout, size),
                false => System.realloc(block, layout, size),
            }
        }
    }
}

/// Does something with mimalloc, and drops all it made.
fn under_mimalloc(work: impl Fn() -> u64) -> u64 {
    IS_MIMALLOC.store(true, Ordering::Relaxed);
    let sum = work();
    IS_MIMALLOC.store(false, Ordering::Relaxed);
    sum
}

fn main() {
    let rounds = rounds_from_arguments();
    let file = env::args()
        .skip(1)
        .find(|argument| argument.ends_with(".json"));
    let text = match &file {
        Some(path) => std::fs::read_to_string(path).expect("a JSON document"),
        None => cargo_metadata(),
    };
    let name = file.as_deref().unwrap_or("cargo metadata");
    let name = name.rsplit('/').next().unwrap_or(name);
    let text = text.as_str();
    println!(
        "{name}: {} bytes; the figures are nanoseconds per byte",
        text.len()
    );

    let title = "tree of the document, arenas";
    growing_row!(title, text.len(), |bump| in_arena(bump, text)).run(rounds);

    let mut row = Row::new("tree of the document, boxes", text.len());
    let mut arena = flagstone::Arena::new();
    row.ours("flagstone Arena", move || in_arena(&mut arena, text));
    row.peer("serde_json::Value, glibc", || in_boxes(text));
    row.peer("serde_json::Value, mimalloc", || {
        under_mimalloc(|| in_boxes(text))
    });
    row.reference("no tree", || in_nothing(text));
    row.run(rounds);
}

fn cargo_metadata() -> String {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "name a JSON file: {output:?}");
    String::from_utf8(output.stdout).expect("JSON is UTF-8")
}
