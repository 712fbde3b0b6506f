//! Threads whose very first heap is refused, and what they free. In processes of their own: nobody
//! else may allocate meanwhile.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::sync::Barrier;
use std::thread;

use crate::common::crime::guilty;
use crate::{GLOBAL, settled};

type Start = extern "C" fn(*mut c_void) -> *mut c_void;

unsafe extern "C" {
    fn pthread_create(id: *mut usize, options: usize, start: Start, with: *mut c_void) -> i32;
    fn pthread_join(id: usize, result: *mut *mut c_void) -> i32;
}

const LAYOUT: Layout = Layout::new::<[u64; 8]>();
/// What the blocks may take: some 60 slabs' worth.
const ROOM: usize = 4 << 20;

/// As [`bare`]. `true` if the thread had no heap, neither before nor after.
fn on_a_bare_thread(work: &mut (dyn FnMut() + Send)) -> bool {
    let mut had_no_heap = true;
    bare(&mut || {
        let refused = || {
            // SAFETY: the size is not zero.
            let null = unsafe { GLOBAL.alloc(LAYOUT) }.is_null();
            let error = flagstone::last_error();
            null && matches!(error, Some(flagstone::AllocError::PagesLimit { .. }))
        };
        had_no_heap &= refused();
        work();
        had_no_heap &= refused();
    });
    had_no_heap
}

/// Runs `work` on a thread that allocates nothing for itself, as Rust's own threads do.
pub(crate) fn bare(mut work: &mut (dyn FnMut() + Send)) {
    extern "C" fn run(work: *mut c_void) -> *mut c_void {
        // SAFETY: that of the caller below, who waits.
        let work = unsafe { &mut *work.cast::<&mut (dyn FnMut() + Send)>() };
        work();
        std::ptr::null_mut()
    }
    // SAFETY: the work outlives the thread, which is joined at once.
    unsafe { join(start(run, (&raw mut work).cast())) };
}

/// Runs `work` on so many bare threads at a time. Rust's own take a lock as they start and end,
/// which a child forked meanwhile would find held for good.
pub(crate) fn bare_crowd(count: usize, mut work: &(dyn Fn() + Sync)) {
    extern "C" fn run(work: *mut c_void) -> *mut c_void {
        // SAFETY: that of the caller below, who waits.
        let work = unsafe { *work.cast::<&(dyn Fn() + Sync)>() };
        work();
        std::ptr::null_mut()
    }
    // SAFETY: the work outlives the threads, which are joined below.
    let start = |_| unsafe { start(run, (&raw mut work).cast()) };
    let threads: Vec<usize> = (0..count).map(start).collect();
    // SAFETY: each was started above.
    threads.into_iter().for_each(|id| unsafe { join(id) });
}

/// # Safety
/// `run` may be called with `work` until the thread ends.
unsafe fn start(run: Start, work: *mut c_void) -> usize {
    let mut id = 0;
    // SAFETY: an out pointer, and the caller's promise.
    assert_eq!(unsafe { pthread_create(&mut id, 0, run, work) }, 0);
    id
}

/// # Safety
/// A thread that was started and not joined.
unsafe fn join(id: usize) {
    // SAFETY: the caller's promise.
    assert_eq!(unsafe { pthread_join(id, std::ptr::null_mut()) }, 0);
}

/// Fills `blocks` until memory is refused.
fn exhaust(blocks: &mut Vec<usize>) {
    flagstone::trim();
    flagstone::set_limit(Some(flagstone::stats().resident + ROOM));
    while blocks.len() < blocks.capacity() {
        // SAFETY: the size is not zero.
        let ptr = unsafe { GLOBAL.alloc(LAYOUT) };
        if ptr.is_null() {
            return;
        }
        blocks.push(ptr.expose_provenance());
    }
    panic!("never refused");
}

fn free(block: usize) {
    // SAFETY: the caller's live block.
    unsafe { GLOBAL.dealloc(std::ptr::with_exposed_provenance_mut(block), LAYOUT) };
}

/// Every orphan has a holder, who sleeps, so a new thread needs a heap of its own.
fn with_all_heaps_held(work: impl FnOnce()) {
    let count = flagstone::stats().thread_heaps + 1;
    let (held, end) = (Barrier::new(count + 1), Barrier::new(count + 1));
    thread::scope(|scope| {
        let holder = || {
            drop(Box::new(5));
            held.wait();
            end.wait();
        };
        let holders: Vec<_> = (0..count).map(|_| scope.spawn(holder)).collect();
        held.wait();
        work();
        end.wait();
        // Joined: the end of a scope does not wait for the threads' exit hooks.
        for holder in holders {
            holder.join().expect("no panic");
        }
    });
}

/// What such a thread frees comes back: to the owner of its slab, or to a heap that it gives slabs
/// without an owner to.
pub(crate) fn frees_without_a_heap() {
    let mut blocks: Vec<usize> = Vec::with_capacity(2 * ROOM / LAYOUT.size());
    let before = settled();
    with_all_heaps_held(|| {
        let heaps = flagstone::stats().thread_heaps;
        exhaust(&mut blocks);
        assert!(blocks.len() * LAYOUT.size() >= ROOM / 2);
        let mut work = || blocks.iter().copied().for_each(free);
        assert!(on_a_bare_thread(&mut work), "the thread had a heap");
        flagstone::set_limit(None);
        assert_eq!(flagstone::stats().thread_heaps, heaps);
    });
    let after = settled();
    println!("{} blocks; {before} then {after} bytes", blocks.len());
    assert!(after <= before + (1 << 20), "{before} then {after}");
}

pub(crate) fn double_free_without_a_heap() {
    let mut blocks: Vec<usize> = Vec::with_capacity(2 * ROOM / LAYOUT.size());
    with_all_heaps_held(|| {
        let block = {
            exhaust(&mut blocks);
            blocks[blocks.len() / 2]
        };
        guilty(std::ptr::without_provenance::<u8>(block));
        on_a_bare_thread(&mut || (0..2).for_each(|_| free(block)));
    });
    println!("unpunished");
}
