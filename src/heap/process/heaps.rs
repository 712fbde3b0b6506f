//! The thread heaps of the process: which thread has which, and what becomes of them.
//!
//! A thread-local word without a destructor points at the thread's heap. At first it is `FRESH`, a
//! static heap that fails every operation into the slow path, so the fast path tests nothing. When
//! the thread ends, a pthread key's destructor leaves the heap to the next thread and points the
//! word at `GONE`; operations after that (of later destructors) borrow an orphan each.
//! Thread-locals with destructors are sound inside a global allocator only from Rust 1.93; a key
//! always was.
//!
//! * I1: a heap is held by one thread, or on the orphan stack, or borrowed by one operation.
//! * I2: an orphan stack's word is an address (a multiple of 4096) plus a count in the low 12 bits
//!   and above bit 47, which changes at every push, so that a pop cannot mistake a stack that
//!   changed and changed back (ABA). Heaps are never freed, so reading a stale one's link is sound.
//! * I3: no step waits for another thread.
//! * I4: a slab's first owner was in the list of all heaps before it had the slab, so where there
//!   is a slab of the process's heap, that list is not empty.

use core::cell::Cell;
use core::ptr::null;

use crate::base::config::Config;
use crate::base::error::AllocError;
use crate::base::sync::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use crate::heap::process::choices::decide;
use crate::heap::process::thread::{CurrentCell, ThreadHeap};
use crate::pages::Pages;

/// The heap of a thread that has not allocated yet.
pub(super) static FRESH: ThreadHeap = ThreadHeap::empty();
/// The heap of a thread whose heap was left to others.
static GONE: ThreadHeap = ThreadHeap::empty();

std::thread_local! {
    static CURRENT: CurrentCell = const { Cell::new(&FRESH) };
}

/// Every thread heap ever made.
static ALL: AtomicPtr<ThreadHeap> = AtomicPtr::new(core::ptr::null_mut());
/// How many those are: each new slab asks, and a walk of the list would touch a line of every
/// thread.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// The top of the stack of orphans (I2).
static ORPHANS: AtomicU64 = AtomicU64::new(0);
/// Orphans that were visited since the other stack was last empty. Two stacks, so that a visitor
/// gets round to all of them with one in hand at a time: had it taken them all, threads that start
/// meanwhile would each make a new heap, and a fork would lose them.
static VISITED: AtomicU64 = AtomicU64::new(0);
/// The exit hook's key plus one; 0 before it is made.
static KEY: AtomicUsize = AtomicUsize::new(0);

const ADDRESS: u64 = ((1 << 48) - 1) & !4095;
/// The count: its low 12 bits below the address, its high 16 above.
const fn next_count(word: u64) -> u64 {
    let low = (word + 1) & 4095;
    let high = if low == 0 {
        (word >> 48).wrapping_add(1)
    } else {
        word >> 48
    };
    low | high << 48
}

/// The calling thread's heap, possibly one that fails every operation.
#[inline(always)]
pub(super) fn current() -> &'static ThreadHeap {
    CURRENT.with(Cell::get)
}

/// The calling thread's heap, if it has one.
pub(super) fn own() -> Option<&'static ThreadHeap> {
    let heap = current();
    let is_own = !core::ptr::eq(heap, &FRESH) && !core::ptr::eq(heap, &GONE);
    is_own.then_some(heap)
}

/// Runs `operation` with a heap that works: the thread's, after adopting or making one if it has
/// none; or a borrowed one when the thread is past its exit hook, or when `choices` is `None`:
/// whoever gets a heap decides (see `choices.rs`).
#[cold]
#[inline(never)]
pub(super) fn with_heap<R>(
    choices: Option<Config>,
    operation: impl FnOnce(&'static ThreadHeap) -> R,
) -> Result<R, AllocError> {
    if let Some(heap) = own() {
        return Ok(operation(heap));
    }
    if let Some(choices) = choices {
        decide(choices);
    }
    let heap = match pop(&ORPHANS).or_else(|| pop(&VISITED)) {
        Some(heap) => heap,
        None => create()?,
    };
    if choices.is_some() && core::ptr::eq(current(), &FRESH) && hook_exit(heap) {
        CURRENT.with(|cell| {
            heap.current.set(cell);
            cell.set(heap);
        });
        return Ok(operation(heap));
    }
    let result = operation(heap);
    push(&ORPHANS, heap);
    Ok(result)
}

/// A heap to give a slab to, for a thread that has none: the newest that is not on its slow path
/// just now, since those of threads that a fork took away there are lost for ever. `None` where no
/// thread ever had a heap.
pub(super) fn heir() -> Option<&'static ThreadHeap> {
    all()
        .find(|heap| !heap.is_in_slow())
        .or_else(|| all().next())
}

/// Every thread heap, the newest first.
fn all() -> impl Iterator<Item = &'static ThreadHeap> {
    // Acquire: pairs with the Release in `create`.
    let mut at = ALL.load(Ordering::Acquire).cast_const();
    core::iter::from_fn(move || {
        // SAFETY: the list holds thread heaps, which are never freed.
        let heap = unsafe { at.as_ref() }?;
        at = heap.next_all.get();
        Some(heap)
    })
}

fn create() -> Result<&'static ThreadHeap, AllocError> {
    let heap = ThreadHeap::create()?;
    let ptr = core::ptr::from_ref(heap).cast_mut();
    let mut first = ALL.load(Ordering::Relaxed);
    loop {
        heap.next_all.set(first);
        // Release: who walks the list sees the heap.
        match ALL.compare_exchange_weak(first, ptr, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => first = now,
        }
    }
    COUNT.fetch_add(1, Ordering::Relaxed);
    Ok(heap)
}

/// Asks for `leave` to be called with the heap when the thread ends. `false` when the system has no
/// key left: the thread then borrows a heap for each operation.
fn hook_exit(heap: &'static ThreadHeap) -> bool {
    let key = match KEY.load(Ordering::Acquire) {
        0 => make_key(),
        key => Some(key - 1),
    };
    let ptr = core::ptr::from_ref(heap).cast();
    // SAFETY: a key made by `make_key`; the destructor accepts any thread heap.
    key.is_some_and(
        |key| unsafe { libc::pthread_setspecific(key as libc::pthread_key_t, ptr) } == 0,
    )
}

fn make_key() -> Option<usize> {
    let mut key: libc::pthread_key_t = 0;
    // SAFETY: an out pointer, and a destructor that lives as long as the program.
    if unsafe { libc::pthread_key_create(&raw mut key, Some(leave)) } != 0 {
        return None;
    }
    let stored = key as usize + 1;
    match KEY.compare_exchange(0, stored, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            // SAFETY: handlers that live as long as the program; a refusal leaves a forked child
            // without other threads' cached memory, nothing else.
            unsafe { libc::pthread_atfork(None, None, Some(after_fork_in_child)) };
            Some(key as usize)
        }
        Err(winner) => {
            // SAFETY: made above and given to nobody.
            unsafe { libc::pthread_key_delete(key) };
            Some(winner - 1)
        }
    }
}

/// The exit hook: uses nothing but its argument.
extern "C" fn leave(heap: *mut libc::c_void) {
    // SAFETY: the key's values are thread heaps, held by the thread that is ending.
    let heap = unsafe { &*heap.cast::<ThreadHeap>() };
    // SAFETY: the cell is this thread's, whose memory outlives the destructors of its keys.
    if let Some(cell) = unsafe { heap.current.get().as_ref() } {
        cell.set(&GONE);
    }
    heap.trim();
    // Not before: a forked child gives every heap with a holder to others.
    heap.current.set(null());
    push(&ORPHANS, heap);
}

fn push(stack: &AtomicU64, heap: &'static ThreadHeap) {
    let address = core::ptr::from_ref(heap).expose_provenance() as u64;
    let mut top = stack.load(Ordering::Relaxed);
    loop {
        heap.shared
            .next_orphan
            .store((top & ADDRESS) as usize, Ordering::Relaxed);
        let word = address | next_count(top);
        // Release: the next holder sees the heap as we leave it.
        match stack.compare_exchange_weak(top, word, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => top = now,
        }
    }
}

fn pop(stack: &AtomicU64) -> Option<&'static ThreadHeap> {
    // Acquire: pairs with the Release in `push`.
    let mut top = stack.load(Ordering::Acquire);
    loop {
        if top & ADDRESS == 0 {
            return None;
        }
        // SAFETY: addresses on the stack are thread heaps.
        let heap = unsafe { ThreadHeap::at((top & ADDRESS) as usize) };
        let below = heap.shared.next_orphan.load(Ordering::Relaxed) as u64;
        let word = below | (top & !ADDRESS);
        // Acquire on both: as above.
        match stack.compare_exchange_weak(top, word, Ordering::Acquire, Ordering::Acquire) {
            Ok(_) => return Some(heap),
            Err(now) => top = now,
        }
    }
}

/// What `ask` gets. Before it is refused, `heap`, which is the caller's, and every orphan gave back
/// all that they only keep.
#[inline(always)]
pub(super) fn insist<R>(
    heap: Option<&ThreadHeap>,
    ask: impl Fn() -> Result<R, AllocError>,
) -> Result<R, AllocError> {
    match ask() {
        Ok(got) => Ok(got),
        Err(_) => ask_again(heap, ask),
    }
}

#[cold]
#[inline(never)]
fn ask_again<R>(
    heap: Option<&ThreadHeap>,
    ask: impl Fn() -> Result<R, AllocError>,
) -> Result<R, AllocError> {
    trim_in_turn(|| heap.map_or(0, ThreadHeap::trim_whole));
    ask()
}

/// Lets the caller trim its heap, and every orphan give up what it holds, all but itself. Twice if
/// there are any: what one heap gives back may be of slabs of another that was trimmed before.
/// Returns the bytes of pages between live slots that went back to the system.
pub(super) fn trim_in_turn(trim_own: impl Fn() -> usize) -> usize {
    let mut holes = 0;
    for _ in 0..2 {
        holes += trim_own();
        start_visits();
        // As many as there can be: others may be trimming too.
        let mut trim_next = || visit(|heap| holes += heap.trim_whole());
        if (0..heap_count()).take_while(|_| trim_next()).count() == 0 {
            break;
        }
    }
    holes
}

/// Lets the next orphan take in what other threads gave back to it. Without this, the memory that
/// ended threads left in use would stay with their heaps after the last of it was freed.
pub(super) fn visit_orphan() {
    if !visit(ThreadHeap::take_in) {
        start_visits();
    }
}

/// Runs `operation` with an orphan that was not visited yet. `false` if there is none.
fn visit(operation: impl FnOnce(&ThreadHeap)) -> bool {
    let Some(heap) = pop(&ORPHANS) else {
        return false;
    };
    operation(heap);
    push(&VISITED, heap);
    true
}

fn start_visits() {
    for _ in 0..heap_count() {
        match pop(&VISITED) {
            Some(heap) => push(&ORPHANS, heap),
            None => return,
        }
    }
}

/// In a forked child only the forking thread goes on. Heaps of the others become orphans, unless
/// their thread was on its slow path just then: those are lost, with what they cached.
extern "C" fn after_fork_in_child() {
    Pages::global().end_purges();
    let mine = current();
    for heap in all() {
        let held = !heap.current.get().is_null();
        if held && !core::ptr::eq(heap, mine) {
            heap.current.set(null());
            if !heap.is_in_slow() {
                push(&ORPHANS, heap);
            }
        }
    }
}

/// Number of thread heaps, held or not.
pub(super) fn heap_count() -> usize {
    // Relaxed: a figure, and a bound on visits, which one heap more or less does not spoil.
    COUNT.load(Ordering::Relaxed)
}

/// Bytes of slots that thread heaps took out of slabs and did not give back; those that a heap gave
/// back for another count negative in it.
pub(super) fn taken_bytes() -> usize {
    all().fold(0, |sum, heap| sum.wrapping_add(heap.taken_bytes()))
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    /// What the child finds on the orphan stack, as bits of its exit status.
    fn orphans_among(heaps: [usize; 3]) -> i32 {
        let mut found = 0;
        while let Some(heap) = pop(&ORPHANS) {
            let place = heaps.iter().position(|held| *held == heap.address());
            found |= place.map_or(0, |place| 1 << place);
        }
        found
    }

    /// A thread is in the middle of its slow path, another between two operations, when a third
    /// forks: the child gets the second one's heap and no other.
    #[test]
    fn a_forked_child_adopts_no_heap_from_the_slow_path() {
        let (held, end) = (Barrier::new(3), Barrier::new(3));
        let address = || with_heap(Some(Config::new()), |heap| heap.address()).unwrap();
        let status = thread::scope(|scope| {
            let (sender, addresses) = std::sync::mpsc::channel();
            let senders = [sender.clone(), sender];
            for (number, sender) in senders.into_iter().enumerate() {
                let (held, end) = (&held, &end);
                scope.spawn(move || {
                    let wait = || {
                        sender.send((number, address())).unwrap();
                        held.wait();
                        end.wait();
                    };
                    match number {
                        0 => with_heap(Some(Config::new()), |heap| heap.slow(wait)).unwrap(),
                        _ => wait(),
                    }
                });
            }
            let mut heaps = [address(); 3];
            for (number, address) in addresses.iter().take(2) {
                heaps[number] = address;
            }
            held.wait();
            // SAFETY: the child uses nothing that another thread may have locked.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                let found = orphans_among(heaps);
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(found) };
            }
            let mut status = -1;
            // SAFETY: an out pointer.
            let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
            end.wait();
            assert_eq!(waited, pid);
            libc::WEXITSTATUS(status)
        });
        assert_eq!(status, 1 << 1, "heaps on the slow path, idle, the forker's");
    }
}
