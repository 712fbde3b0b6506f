//! One crime per test, each in a process of its own, which must die by SIGABRT after exactly one
//! line that names the crime and the address.
//!
//! | crime | `Check::Fast` | `Check::Full` |
//! |---|---|---|
//! | double free | at the flush | at once |
//! | foreign, interior, wrong class | at the flush | at once |
//! | large or huge block: any of them | at once | at once |
//! | write after free | not seen | when the slot is handed out again, or leaves the quarantine |
//! | free, free, alloc, alloc inside one stack | not seen | at once |

use std::alloc::Layout;
use std::ptr::NonNull;

use flagstone::{Check, Heap};

use crate::common::child;
use crate::common::crime::{self, guilty};

/// Longer than every stack of 64 B slots, so that this many frees flush.
const MANY: usize = 1000;
/// A span of its own, and a mapping of its own.
const LARGE: usize = 100 << 10;
const HUGE: usize = 3 << 20;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// 16 bytes into a block of at least 64.
fn inside(block: NonNull<u8>) -> NonNull<u8> {
    // SAFETY: inside the block.
    unsafe { block.add(16) }
}

fn take(heap: &Heap, size: usize) -> NonNull<u8> {
    heap.allocate(layout(size)).unwrap().cast()
}

/// Frees enough to make the stack give up its older half, twice over.
fn flush(heap: &Heap, blocks: &[NonNull<u8>]) {
    for block in blocks {
        // SAFETY: live blocks of this heap, allocated with this layout.
        unsafe { heap.deallocate(*block, layout(64)) };
    }
}

/// Frees `ptr` as `size` bytes, once. The callers commit a crime with it.
fn free(heap: &Heap, ptr: NonNull<u8>, size: usize) {
    // SAFETY: none: this is the crime, and the heap must find it before it does harm.
    unsafe { heap.deallocate(ptr, layout(size)) };
}

#[track_caller]
fn dies(crime: &str, message: &str) {
    crime::dies("crimes::criminal", crime, message);
}

#[test]
#[ignore = "parts of other tests, which run them in processes of their own"]
fn criminal() {
    let crime = child::part();
    let (name, check) = match crime.split_once(" in ") {
        Some((name, "Full")) => (name, Check::Full),
        Some((name, _)) => (name, Check::Fast),
        None => panic!("no such crime: {crime}"),
    };
    let scene = Scene::new(check);
    if !scene.small_crime(name) && !scene.large_crime(name) {
        panic!("no such crime: {crime}");
    }
    // What `Fast` sees it sees when the stack is flushed.
    flush(&scene.heap, &scene.many[MANY / 2..]);
    println!("unpunished");
}

/// What a crime is done with.
struct Scene {
    heap: Heap,
    other: Heap,
    /// Live blocks of 64 bytes.
    many: Vec<NonNull<u8>>,
    /// One more.
    ptr: NonNull<u8>,
}

impl Scene {
    fn new(check: Check) -> Scene {
        let heap = Heap::builder().check(check).build().unwrap();
        let many = (0..MANY).map(|_| take(&heap, 64)).collect();
        let ptr = take(&heap, 64);
        Scene {
            heap,
            other: Heap::new(),
            many,
            ptr,
        }
    }

    /// Crimes with slots; `false` if this is none.
    fn small_crime(&self, name: &str) -> bool {
        let (heap, ptr) = (&self.heap, self.ptr);
        match name {
            "double free" => {
                guilty(ptr);
                free(heap, ptr, 64);
                free(heap, ptr, 64);
            }
            "late double free" => {
                guilty(ptr);
                free(heap, ptr, 64);
                flush(heap, &self.many[..MANY / 2]);
                free(heap, ptr, 64);
            }
            "foreign free" => {
                let foreign = take(&self.other, 64);
                guilty(foreign);
                free(heap, foreign, 64);
            }
            "free of a static" => {
                static WORD: u64 = 7;
                guilty(NonNull::from(&WORD).cast::<u8>());
                free(heap, NonNull::from(&WORD).cast(), 64);
            }
            "interior free" => {
                guilty(inside(ptr));
                free(heap, inside(ptr), 64);
            }
            "wrong class" => {
                let wrong = take(heap, 100);
                guilty(wrong);
                free(heap, wrong, 64);
            }
            "write after free" => {
                free(heap, ptr, 64);
                guilty(inside(ptr));
                // SAFETY: none: this is the crime. The memory is still mapped.
                unsafe { inside(ptr).write(1) };
            }
            "small freed as large" => {
                guilty(ptr);
                free(heap, ptr, LARGE);
            }
            _ => return false,
        }
        true
    }

    /// Crimes with a large or a huge block, named so; `false` if this is none.
    fn large_crime(&self, name: &str) -> bool {
        let (size, deed) = match name.split_once(' ') {
            Some(("large", deed)) => (LARGE, deed),
            Some(("huge", deed)) => (HUGE, deed),
            _ => return false,
        };
        let (block, foreign) = (take(&self.heap, size), take(&self.other, size));
        let (guilty_of, freed_as) = match deed {
            "double free" | "grown after free" => (block, size),
            "freed as small" => (block, 64),
            "wrong size" => (block, 2 * size),
            "interior free" => (inside(block), size),
            "foreign free" => (foreign, size),
            _ => return false,
        };
        guilty(guilty_of);
        free(&self.heap, guilty_of, freed_as);
        match deed {
            "double free" => free(&self.heap, guilty_of, freed_as),
            "grown after free" => {
                let (old, new) = (layout(size), layout(size + (64 << 10)));
                // SAFETY: none: this is the crime.
                let _ = unsafe { self.heap.grow(guilty_of, old, new) };
            }
            _ => {}
        }
        true
    }
}

const DOUBLE: &str = "double free";
const FOREIGN: &str = "free of a pointer that is not this owner's";
const INSIDE: &str = "free of a pointer into the middle of a slot";
const CLASS: &str = "free with a layout of another size class";

#[test]
fn double_free_at_flush_in_fast() {
    dies("double free in Fast", DOUBLE);
}

#[test]
fn double_free_at_once_in_full() {
    dies("double free in Full", DOUBLE);
}

/// The first free has reached the bitmap (or the slab's word) when the second comes.
#[test]
fn late_double_free() {
    dies("late double free in Fast", DOUBLE);
    dies("late double free in Full", DOUBLE);
}

#[test]
fn foreign_free() {
    dies("foreign free in Fast", FOREIGN);
    dies("foreign free in Full", FOREIGN);
}

/// An address that lies in no segment: nothing may be read there.
#[test]
fn free_of_a_static() {
    dies("free of a static in Fast", FOREIGN);
    dies("free of a static in Full", FOREIGN);
}

#[test]
fn interior_free() {
    dies("interior free in Fast", INSIDE);
    dies("interior free in Full", INSIDE);
}

#[test]
fn wrong_class() {
    dies("wrong class in Fast", CLASS);
    dies("wrong class in Full", CLASS);
}

#[test]
fn huge_freed_as_small() {
    dies("huge freed as small in Full", CLASS);
    // At the flush nothing is known of it but that no slab of the heap is there.
    dies("huge freed as small in Fast", FOREIGN);
}

#[test]
fn large_freed_as_small() {
    dies("large freed as small in Full", CLASS);
    dies("large freed as small in Fast", CLASS);
}

#[test]
fn write_after_free_in_full() {
    dies("write after free in Full", "write after free");
}

/// The heap keeps the block for its next one of that length, and knows that it is free.
#[test]
fn large_double_free() {
    dies("large double free in Fast", DOUBLE);
    dies("large double free in Full", DOUBLE);
}

/// Nor may it grow while it waits there, or be given to whoever grows it.
#[test]
fn large_grown_after_free() {
    dies("large grown after free in Fast", DOUBLE);
    dies("huge grown after free in Fast", FOREIGN);
}

#[test]
fn large_freed_with_wrong_size() {
    dies("large wrong size in Fast", CLASS);
}

#[test]
fn large_interior_free() {
    dies("large interior free in Fast", INSIDE);
    // No mapping of the heap starts there, and that is all the registry knows.
    dies("huge interior free in Fast", FOREIGN);
}

#[test]
fn large_foreign_free() {
    dies("large foreign free in Fast", FOREIGN);
}

#[test]
fn small_freed_as_large() {
    dies("small freed as large in Fast", CLASS);
}

/// The mapping is gone: the registry must answer without reading it.
#[test]
fn huge_double_free() {
    dies("huge double free in Fast", FOREIGN);
    dies("huge double free in Full", FOREIGN);
}

#[test]
fn huge_freed_with_wrong_size() {
    dies("huge wrong size in Fast", CLASS);
}

#[test]
fn huge_foreign_free() {
    dies("huge foreign free in Fast", FOREIGN);
}

/// The harness notices a crime that goes unpunished: writing after free is not seen in Fast.
#[test]
fn an_unpunished_crime_shows() {
    let output = child::run("crimes::criminal", "write after free in Fast");
    assert!(output.status.success());
    assert!(child::text(&output.stdout).contains("unpunished"));
}
