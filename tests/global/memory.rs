//! What idle threads hold, and what is left of everything when all have ended: in processes of
//! their own, where no other test's threads take heaps over.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::Barrier;
use std::thread;

use flagstone::Flagstone;

use crate::{GLOBAL, Random, ending, settled};

/// What stays of a thread heap after its thread ended and all was trimmed.
const HEAP_BYTES: usize = 4 << 10;
const SLACK: usize = 1 << 20;
/// So many that the room for their stacks would show.
const THREADS: usize = 4;

/// Sizes that reach every class, and each class once.
fn sizes() -> impl Iterator<Item = usize> {
    let small = (1..=8).map(|step| step * 16);
    let large = (7..15).flat_map(|log2| (5..=8).map(move |quarters| quarters << (log2 - 2)));
    small.chain(large)
}

/// Uses 8 MiB of blocks of each class, more than a sleeping thread may keep of most, and frees them
/// in random order. At the end stacks are full, and cached words nearly.
fn churn_through_all_classes(seed: u64) {
    let mut random = Random::new(seed);
    for size in sizes() {
        let layout = Layout::from_size_align(size, 8).unwrap();
        // SAFETY: the size is not zero.
        let alloc = || unsafe { GLOBAL.alloc(layout) }.expose_provenance();
        let free = |block| {
            // SAFETY: a live block of this layout, freed once.
            unsafe { GLOBAL.dealloc(std::ptr::with_exposed_provenance_mut(block), layout) };
        };
        let mut blocks: Vec<usize> = (0..(8 << 20) / size).map(|_| alloc()).collect();
        while !blocks.is_empty() {
            free(blocks.swap_remove(random.next() as usize % blocks.len()));
        }
        // Until a word was cached, which is at most one stack away.
        for _ in 0..400 {
            let before = flagstone::stats().cached_here;
            blocks.push(alloc());
            if flagstone::stats().cached_here > before {
                break;
            }
        }
        blocks.into_iter().for_each(free);
    }
}

/// Threads that used every class and then sleep hold no more than the documented bounds; those that
/// trimmed before they sleep hold nothing but their heaps.
pub(crate) fn idle() {
    let before = settled();
    let [asleep, trimmed, end] = [(); 3].map(|()| Barrier::new(THREADS + 1));
    let (held, kept) = thread::scope(|scope| {
        let threads = (1..=THREADS as u64).map(|number| {
            let (asleep, trimmed, end) = (&asleep, &trimmed, &end);
            scope.spawn(move || {
                churn_through_all_classes(number);
                let cached = flagstone::stats().cached_here;
                println!("{cached} of {} bytes cached", Flagstone::CACHED_BYTES_MAX);
                assert!(cached <= Flagstone::CACHED_BYTES_MAX);
                asleep.wait();
                trimmed.wait();
                flagstone::trim();
                end.wait();
                end.wait();
            })
        });
        let threads: Vec<_> = threads.collect();
        asleep.wait();
        let held = settled() - before;
        trimmed.wait();
        end.wait();
        let kept = settled().saturating_sub(before);
        end.wait();
        for thread in threads {
            thread.join().expect("no panic");
        }
        (held, kept)
    });
    println!("{} bytes held by each of {THREADS}", held / THREADS);
    assert!(held <= THREADS * Flagstone::IDLE_BYTES_MAX, "{held}");
    println!("{kept} bytes held by all of them after they trimmed");
    assert!(kept <= THREADS * HEAP_BYTES + SLACK / 16, "{kept}");
    let bound = before + SLACK;
    let after = settled();
    assert!(after <= bound, "{before} then {after}");
}

/// Of what this thread and ended ones took a twentieth is in use, here and there: a trim returns
/// the pages between, and they serve again.
pub(crate) fn survivors() {
    const TOTAL: usize = 8 << 20;
    let layout = |size| Layout::from_size_align(size, 8).unwrap();
    let take = move |size: usize| {
        // SAFETY: the size is not zero.
        let block = unsafe { GLOBAL.alloc(layout(size)) };
        // SAFETY: just allocated, this long.
        unsafe { block.write_bytes(size as u8, size) };
        (block.expose_provenance(), size)
    };
    let look = |(block, size): (usize, usize)| {
        let block = std::ptr::with_exposed_provenance::<u8>(block);
        // SAFETY: a live block, written whole.
        let bytes = unsafe { std::slice::from_raw_parts(block, size) };
        assert!(bytes.iter().all(|byte| *byte == size as u8));
    };
    let free = move |(block, size): (usize, usize)| {
        look((block, size));
        // SAFETY: a live block of this layout, freed once.
        unsafe { GLOBAL.dealloc(std::ptr::with_exposed_provenance_mut(block), layout(size)) };
    };
    let scatter = move |seed| {
        let mut random = Random::new(seed);
        let sizes = [600, 1024, 2048, 4096];
        let all: Vec<_> = (0..TOTAL / 1900)
            .map(|n| take(sizes[n % sizes.len()]))
            .collect();
        let (kept, freed): (Vec<_>, Vec<_>) = all.into_iter().partition(|_| random.below(20) == 0);
        freed.into_iter().for_each(free);
        kept
    };
    flagstone::trim();
    let before = flagstone::stats();
    let mut kept = scatter(1);
    kept.extend(thread::spawn(move || scatter(2)).join().unwrap());
    let full = flagstone::stats();
    let returned = flagstone::trim();
    let left = flagstone::stats();
    println!("{before}\n{full}\n{left}\n{returned} bytes returned");
    assert!(full.resident - before.resident > TOTAL * 3 / 2);
    assert!(left.resident - before.resident < TOTAL * 2 / 4);
    assert!(returned > TOTAL * 3 / 2);
    kept.iter().copied().for_each(look);
    kept.extend(scatter(3));
    kept.into_iter().for_each(free);
    flagstone::trim();
    let bound = before.active + SLACK;
    let after = flagstone::stats();
    assert!(
        after.active <= bound && after.resident <= before.resident + SLACK,
        "{after}"
    );
}

/// Every ending and every way to free that the other tests try one by one, in one process; what is
/// left of it all is less than 1 MiB, and a page for each heap that there ever was.
pub(crate) fn everything() {
    let before = settled();
    crate::a_thread_whose_first_operation_is_a_free();
    crate::ten_thousand_short_threads_leave_nothing_behind();
    crate::five_hundred_threads_at_once();
    crate::frees_and_allocations_in_thread_local_destructors();
    crate::a_stalled_owner_holds_little();
    crate::memory_does_not_grow_when_one_thread_allocates_and_another_frees();
    ending::forks(10);
    let heaps = flagstone::stats().thread_heaps;
    let bound = before + SLACK + heaps * HEAP_BYTES;
    let after = settled();
    println!("{before} then {after} bytes, {heaps} heaps");
    assert!(after <= bound, "{before} then {after}, {heaps} heaps");
}
