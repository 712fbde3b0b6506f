//! `Flagstone` as an allocator handle in a program whose global allocator is the system's, and the
//! choices it can be made with, each in a process of its own.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;
use std::thread;
use std::time::Duration;

use crate::common::{child, workload};
use allocator_api2::{boxed::Box, vec::Vec};
use flagstone::{AllocError, Check, Config, Flagstone};

const HANDLE: Flagstone = Flagstone::new();

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// The same checksum as under `Flagstone`: see `program.rs` and `program_checked.rs`.
#[test]
fn the_program_under_the_systems_allocator() {
    let checksum = workload::run();
    assert_eq!(checksum, workload::CHECKSUM, "{checksum:#x}");
}

/// Boxes, vectors and maps cross threads and are dropped there.
#[test]
fn collections_wander_between_threads() {
    let threads: std::vec::Vec<_> = (0..4u64)
        .map(|number| {
            thread::spawn(move || {
                let mut boxes = Vec::new_in(HANDLE);
                let mut map = hashbrown::HashMap::new_in(HANDLE);
                for n in 0..2000 {
                    boxes.push(Box::new_in([number * n; 5], HANDLE));
                    map.insert(n, Box::new_in(n * 3, HANDLE));
                }
                (boxes, map)
            })
        })
        .collect();
    let made = threads.into_iter().map(|thread| thread.join().unwrap());
    for (number, (boxes, map)) in made.enumerate() {
        let checked = thread::spawn(move || {
            let number = number as u64;
            assert!(
                (0..)
                    .zip(&boxes)
                    .all(|(n, block)| **block == [number * n; 5])
            );
            assert!(map.iter().all(|(n, block)| **block == n * 3));
            boxes.len() + map.len()
        });
        assert_eq!(checked.join().unwrap(), 4000);
    }
}

#[test]
fn a_box_is_two_words() {
    assert_eq!(size_of::<Box<u8, Flagstone>>(), 2 * size_of::<u64>());
}

/// Every length the block has, from the one asked for up, is a layout that frees it.
#[test]
fn fitting_layouts_free_a_block() {
    for align in [1, 16, 64, 4096, 64 << 10] {
        for size in [
            1,
            16,
            17,
            100,
            1000,
            5000,
            32 << 10,
            33 << 10,
            1 << 20,
            2 << 20,
        ] {
            let asked = layout(size, align);
            let length = HANDLE.allocate(asked).unwrap();
            // SAFETY: just allocated, whole and unused.
            unsafe { HANDLE.deallocate(length.cast(), asked) };
            let length = length.len();
            assert!(length >= size);
            for fits in [size, (size + length) / 2, length] {
                let block = HANDLE.allocate_zeroed(asked).unwrap();
                assert_eq!((block.len(), block.addr().get() % align), (length, 0));
                // SAFETY: a block of this length, and a layout that fits it.
                unsafe {
                    assert!(block.as_ref().iter().all(|byte| *byte == 0));
                    block.cast::<u8>().write_bytes(7, length);
                    HANDLE.deallocate(block.cast(), layout(fits, align));
                }
            }
        }
    }
}

#[test]
fn nothing_takes_no_memory() {
    let none = layout(0, 64);
    let block = HANDLE.allocate_zeroed(none).unwrap();
    assert_eq!((block.len(), block.addr().get() % 64), (0, 0));
    // SAFETY: a block of no bytes grows, shrinks and goes.
    unsafe {
        let grown = HANDLE
            .grow_zeroed(block.cast(), none, layout(50, 64))
            .unwrap();
        assert!(grown.as_ref().iter().all(|byte| *byte == 0));
        let shrunk = HANDLE.shrink(grown.cast(), layout(50, 64), none).unwrap();
        assert_eq!(shrunk.len(), 0);
        HANDLE.deallocate(shrunk.cast(), none);
    }
}

/// From every kind of block to every other, also with another alignment, from a fitting layout.
#[test]
fn resizing_keeps_contents() {
    let sizes = [
        0,
        1,
        16,
        17,
        100,
        4096,
        32 << 10,
        33 << 10,
        200 << 10,
        1 << 20,
        3 << 20,
    ];
    for (from, to) in sizes.iter().flat_map(|from| sizes.map(|to| (*from, to))) {
        for (old_align, new_align) in [(8, 8), (1, 4096), (4096, 1), (8, 256 << 10)] {
            let block = HANDLE.allocate(layout(from, old_align)).unwrap();
            // A layout that fits the block as well as the one it was asked for with.
            let (length, new) = (block.len(), layout(to, new_align));
            let old = layout(length, old_align);
            // SAFETY: live blocks throughout, each as long as it says.
            unsafe {
                for at in 0..length {
                    block.cast::<u8>().add(at).write(at as u8);
                }
                let resized = if to >= length {
                    HANDLE.grow_zeroed(block.cast(), old, new).unwrap()
                } else {
                    HANDLE.shrink(block.cast(), old, new).unwrap()
                };
                assert!(resized.len() >= to && resized.addr().get() % new_align == 0);
                let (kept, tail) = resized.as_ref().split_at(length.min(to));
                assert!(kept.iter().enumerate().all(|(at, byte)| *byte == at as u8));
                assert!(
                    to < length || tail.iter().all(|byte| *byte == 0),
                    "{from} to {to}"
                );
                HANDLE.deallocate(resized.cast(), layout(resized.len(), new_align));
            }
        }
    }
}

#[test]
fn refusals_are_named() {
    let refused = HANDLE.allocate(layout(1, 8 << 20));
    assert_eq!(refused, Err(AllocError::LayoutTooLarge));
    let refused = HANDLE.allocate_zeroed(layout(isize::MAX as usize - 4096, 1));
    assert_eq!(refused, Err(AllocError::LayoutTooLarge));
}

const LIMIT: usize = 4 << 20;
const LIMITED: Flagstone = Flagstone::with(
    Config::new()
        .limit_bytes(LIMIT + 5)
        .purge_delay(None)
        .huge_pages(true),
);
const CHECKED: Flagstone = Flagstone::with(Config::new().check(Check::Full));
const REFUSED: Result<NonNull<[u8]>, AllocError> =
    Err(AllocError::PagesLimit { limit_bytes: LIMIT });

/// Whether full checks hold: a freed slot is filled.
fn is_checked() -> bool {
    let block = HANDLE.allocate_zeroed(layout(64, 8)).unwrap().cast::<u8>();
    // SAFETY: a live block; then a look at a freed one, whose slab stays.
    unsafe {
        HANDLE.deallocate(block, layout(64, 8));
        block.add(63).read_volatile() != 0
    }
}

#[test]
#[ignore = "parts of other tests, which run them in processes of their own"]
fn part() {
    let part = child::part();
    let (large, small) = (layout(2 * LIMIT, 8), layout(64, 8));
    match part.as_str() {
        "large first" => assert_eq!(LIMITED.allocate(large), REFUSED),
        "small first" => {
            LIMITED.allocate(small).unwrap();
            assert_eq!(HANDLE.allocate(large), REFUSED);
        }
        "free first" => {
            let block = HANDLE.allocate(small).unwrap().expose_provenance();
            let free = move || {
                let block = std::ptr::with_exposed_provenance_mut::<u8>(block.get());
                // SAFETY: allocated above, freed once.
                unsafe { LIMITED.deallocate(NonNull::new_unchecked(block), small) };
            };
            thread::spawn(free).join().unwrap();
            assert_eq!(HANDLE.allocate(large), REFUSED);
        }
        "global first" => {
            // SAFETY: the size is not zero.
            assert!(unsafe { LIMITED.alloc(large) }.is_null());
        }
        "first of two" => {
            CHECKED.allocate(small).unwrap();
            assert!(LIMITED.allocate(large).is_ok(), "another decided before");
            assert!(is_checked());
        }
        "second of two" => {
            assert_eq!(LIMITED.allocate(large), REFUSED);
            CHECKED.allocate(small).unwrap();
            assert!(!is_checked());
        }
        "plain first" => {
            // Without choices nobody decides, but it is too late for the check.
            HANDLE.allocate(small).unwrap();
            CHECKED.allocate(layout(100 << 10, 8)).unwrap();
            assert!(!is_checked());
            assert!(LIMITED.allocate(large).is_ok(), "another decided before");
        }
        "limit second" => {
            HANDLE.allocate(small).unwrap();
            assert_eq!(LIMITED.allocate(large), REFUSED);
        }
        "trim first" => {
            flagstone::trim();
            CHECKED.allocate(small).unwrap();
            assert!(is_checked());
        }
        "set before" => {
            flagstone::set_limit(Some(100 << 20));
            assert!(LIMITED.allocate(large).is_ok());
        }
        "many at once" => many_at_once(),
        "purges at once" => assert!(retained_of(PURGING) < 2 << 20),
        "purges tomorrow" => assert!(retained_of(KEEPING) > 6 << 20),
        "huge pages" => {
            LIMITED.allocate(small).unwrap();
            assert!(advised_towards_huge_pages());
        }
        "no huge pages" => {
            CHECKED.allocate(small).unwrap();
            assert!(!advised_towards_huge_pages());
        }
        _ => kept_part(&part),
    }
}

/// Parts about what a thread keeps.
fn kept_part(part: &str) {
    HANDLE.allocate(layout(64, 8)).unwrap();
    match part {
        "slots in the place of what is kept" => {
            let kept = keep_and_limit();
            let slots = [(); 4].map(|()| HANDLE.allocate(layout(32 << 10, 8)));
            assert!(slots.iter().all(Result::is_ok), "{slots:?}");
            assert!(flagstone::stats().active < kept);
        }
        "growth in the place of what is kept" => {
            let [whole, grown] = [640, 832].map(|kib| layout(kib << 10, 8));
            let block = HANDLE.allocate(whole).unwrap().cast();
            keep_and_limit();
            // SAFETY: a live block with the layout it has.
            let resized = unsafe { HANDLE.grow(block, whole, grown) };
            assert_eq!(resized.unwrap().cast(), block);
            // SAFETY: the same; what was added is not initialised.
            unsafe { HANDLE.deallocate(block, grown) };
        }
        "grown after free" => {
            let sizes = [100 << 10, 200 << 10];
            let [old, new] = sizes.map(|size| layout(size, 8));
            let block = HANDLE.allocate(old).unwrap().cast();
            // SAFETY: live; then none: this is a crime, which must be seen.
            let _ = unsafe {
                HANDLE.deallocate(block, old);
                HANDLE.grow(block, old, new)
            };
        }
        _ => panic!("no such part: {part}"),
    }
}

/// Whoever goes on to allocate is under the limit, however many come first together.
fn many_at_once() {
    let barrier = std::sync::Barrier::new(16);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                barrier.wait();
                assert_eq!(LIMITED.allocate(layout(2 * LIMIT, 8)), REFUSED);
            });
        }
    });
}

const PURGING: Flagstone =
    Flagstone::with(Config::new().purge_delay(Some(Duration::from_millis(1))));

const KEEPING: Flagstone =
    Flagstone::with(Config::new().purge_delay(Some(Duration::from_secs(24 * 3600))));

/// Bytes that stay without an owner after 8 MiB were used and freed, and little was for a while.
fn retained_of(handle: Flagstone) -> usize {
    let large = layout(100 << 10, 8);
    let use_together = |count: usize| {
        let blocks: std::vec::Vec<_> = (0..count)
            .map(|_| handle.allocate(large).unwrap())
            .collect();
        for block in blocks {
            // SAFETY: allocated above, freed once.
            unsafe { handle.deallocate(block.cast(), large) };
        }
    };
    use_together(64);
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(2));
        // As many releases as there are between two looks at the clock.
        (0..16).for_each(|_| use_together(1));
    }
    flagstone::stats().retained
}

/// Whether a mapping of the process has the flag that `madvise` sets.
fn advised_towards_huge_pages() -> bool {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut flags = maps.lines().filter(|line| line.starts_with("VmFlags:"));
    flags.any(|line| line.split(' ').any(|flag| flag == "hg"))
}

/// Sets a limit that leaves no room, then frees a large block. Bytes in use with it.
fn keep_and_limit() -> usize {
    let large = layout(256 << 10, 8);
    let block = HANDLE.allocate(large).unwrap();
    let stats = flagstone::stats();
    flagstone::set_limit(Some(stats.resident));
    // SAFETY: a live block of this layout.
    unsafe { HANDLE.deallocate(block.cast(), large) };
    assert_eq!(flagstone::stats().active, stats.active, "kept");
    stats.active
}

#[test]
fn what_a_thread_keeps_gives_way_where_a_limit_refuses() {
    decided(&[
        "slots in the place of what is kept",
        "growth in the place of what is kept",
    ]);
}

/// The thread keeps the freed block: a growth in place would hand it out twice.
#[test]
fn a_freed_block_does_not_grow() {
    let output = child::run("handle::part", "grown after free");
    let err = child::text(&output.stderr);
    assert!(
        !output.status.success() && err.starts_with("flagstone: double free: "),
        "{err}"
    );
}

#[test]
fn the_other_choices_take_effect() {
    decided(&["purges at once", "purges tomorrow"]);
    if std::fs::exists("/sys/kernel/mm/transparent_hugepage").unwrap_or(false) {
        decided(&["huge pages", "no huge pages"]);
    }
}

#[test]
fn the_first_with_choices_decides() {
    decided(&[
        "large first",
        "small first",
        "free first",
        "global first",
        "first of two",
        "second of two",
        "plain first",
        "limit second",
        "trim first",
        "set before",
        "many at once",
    ]);
}

/// Runs each part in a process in which nobody decided yet.
#[track_caller]
fn decided(parts: &[&str]) {
    for part in parts {
        child::succeeds("handle::part", part);
    }
}

#[test]
fn choices_say_what_they_are() {
    let config = Config::new().limit_bytes(LIMIT + 5).check(Check::Full);
    let text = format!("{:?}", config.purge_delay(Some(Duration::from_millis(30))));
    let expected = "Config { check: Full, limit_bytes: Some(4194304), \
                    purge_delay: Some(Some(30ms)), huge_pages: false }";
    assert_eq!(text, expected);
    // What no choice can say is what comes closest.
    let config = Config::new()
        .limit_bytes(usize::MAX)
        .purge_delay(Some(Duration::from_secs(1 << 40)))
        .huge_pages(true);
    let text = format!("{config:?}");
    let expected = "Config { check: Fast, limit_bytes: None, purge_delay: Some(None), \
                    huge_pages: true }";
    assert_eq!(text, expected);
    assert_eq!(
        Config::default().check(Check::Full).check(Check::Fast),
        Config::new()
    );
}

/// The other version's trait is there too.
#[cfg(feature = "allocator-api2-04")]
#[test]
fn version_04_of_the_trait() {
    use allocator_api2_04::vec::Vec;
    let mut numbers = Vec::new_in(HANDLE);
    numbers.extend(0..1000);
    let sum = thread::spawn(move || numbers.iter().sum::<i32>());
    assert_eq!(sum.join().unwrap(), 499_500);
}
