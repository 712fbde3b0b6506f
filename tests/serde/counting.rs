//! A typed document without escapes is read without one call of the global allocator.
//!
//! I1: the count is the thread's own, so that tests beside this one do not show in it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use flagstone::deserialize_in;

use crate::{arena, read};

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counted.
struct Counting;

// SAFETY: every method forwards its arguments to `System` and returns its answer.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.realloc(ptr, layout, bytes) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

deserialize_in! {
    struct Log<'a> {
        host: &'a str,
        lines: &'a [Line<'a>],
    }
}

deserialize_in! {
    struct Line<'a> {
        at: f64,
        level: Level,
        text: &'a str,
        tags: &'a [&'a str],
        thread: Option<u32>,
    }
}

deserialize_in! {
    #[derive(PartialEq)]
    enum Level { Info, Error { code: i32 } }
}

/// A document of `count` lines, with `mark` in every text.
fn document(count: usize, mark: &str) -> String {
    let line = |index: usize| {
        let level = match index % 3 {
            0 => r#"{"Error":{"code":-7}}"#,
            _ => r#""Info""#,
        };
        format!(
            r#"{{"at":{index}.5,"level":{level},"text":"line {index}{mark}","tags":["a","b"]}}"#
        )
    };
    let lines: Vec<String> = (0..count).map(line).collect();
    format!(r#"{{"host":"here","lines":[{}]}}"#, lines.join(","))
}

/// Reads a document and returns how often the heap was asked.
fn calls_for(text: &str, count: usize) -> u64 {
    let arena = arena();
    let before = CALLS.get();
    let log: Log = read(&arena, text).unwrap();
    let calls = CALLS.get() - before;
    assert_eq!((log.host, log.lines.len()), ("here", count));
    for (index, line) in log.lines.iter().enumerate() {
        assert_eq!(line.at, index as f64 + 0.5);
        assert_eq!(line.level == Level::Error { code: -7 }, index % 3 == 0);
        assert_eq!((line.tags, line.thread), (&["a", "b"][..], None));
        assert!(line.text.starts_with("line "));
    }
    calls
}

#[test]
fn typed_document_without_escapes_asks_the_heap_for_nothing() {
    let count = if cfg!(miri) { 10 } else { 1000 };
    assert_eq!(calls_for(&document(count, ""), count), 0);
    // The count counts: serde_json unescapes into a buffer of its own.
    assert!(calls_for(&document(10, "\\n"), 10) > 0);
}
