//! Steps that hold for a moment what is free, and the others who find nothing meanwhile.
//!
//! A purge takes what it returns out of the searches and discharges it when it is done; who trims
//! an orphan has it in hand. Whoever is refused while such a step is under way has not seen all
//! that is free, and asks again. Nobody waits for a step's end: its thread may be asleep, or gone,
//! in a forked child, so the number of times is bounded.
//!
//! * I1: `ended` counts no step before `begun` does, and what the step held is free when it does.
#![forbid(unsafe_code)]

#[cfg(not(feature = "std"))]
use core::hint::spin_loop as give_way;
use core::sync::atomic::fence;
#[cfg(feature = "std")]
use std::thread::yield_now as give_way;

use crate::base::sync::{AtomicUsize, Ordering};

/// How often is asked again at most. A thread that is preempted in a step is gone for some
/// milliseconds, and who asks in vain gives way each time.
const TIMES: usize = 10_000;

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Underway {
    begun: AtomicUsize,
    ended: AtomicUsize,
}

/// A step, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Step<'a>(&'a Underway);

impl Drop for Step<'_> {
    fn drop(&mut self) {
        // Release: who sees the step ended sees what it gave back (I1).
        self.0.ended.fetch_add(1, Ordering::Release);
    }
}

impl Underway {
    pub(crate) const fn new() -> Underway {
        Underway {
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
        }
    }

    /// Begins a step, before it takes anything.
    pub(crate) fn begin(&self) -> Step<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        // Pairs with the fence in `at_rest`: who misses what the step takes sees it begun.
        fence(Ordering::SeqCst);
        Step(self)
    }

    /// How many steps there were, if none is under way.
    fn at_rest(&self) -> Option<usize> {
        fence(Ordering::SeqCst);
        // In this order: were it the other way round, a step could begin and end in between.
        let ended = self.ended.load(Ordering::Acquire);
        (self.begun.load(Ordering::Relaxed) == ended).then_some(ended)
    }

    /// In a forked child: steps of threads that are not there will never end.
    #[cfg(all(unix, feature = "std"))]
    pub(crate) fn end_all(&self) {
        let begun = self.begun.load(Ordering::Relaxed);
        self.ended.store(begun, Ordering::Relaxed);
    }

    /// Asks until there is something, or until nothing was under way all the while.
    pub(crate) fn outlast<R, E>(&self, ask: impl Fn() -> Result<R, E>) -> Result<R, E> {
        for _ in 0..TIMES {
            let before = self.at_rest();
            let answer = ask();
            if answer.is_ok() || before.is_some() && before == self.at_rest() {
                return answer;
            }
            give_way();
        }
        ask()
    }
}

#[cfg(test)]
mod tests {
    use core::cell::{Cell, RefCell};

    use super::*;

    /// Counts how often it was asked, and refuses.
    fn refuse(asked: &Cell<usize>) -> Result<(), usize> {
        asked.set(asked.get() + 1);
        Err(asked.get())
    }

    #[test]
    fn a_refusal_stands_where_nothing_was_under_way() {
        let (underway, asked) = (Underway::new(), Cell::new(0));
        drop(underway.begin());
        assert_eq!(underway.outlast(|| refuse(&asked)), Err(1));
    }

    #[test]
    fn who_is_refused_during_a_step_asks_again_after_it() {
        let (underway, asked) = (Underway::new(), Cell::new(0));
        let step = RefCell::new(Some(underway.begin()));
        let answer = underway.outlast(|| {
            let is_over = step.borrow().is_none();
            if asked.get() == 5 {
                *step.borrow_mut() = None;
            }
            refuse(&asked).or(if is_over { Ok(()) } else { Err(0) })
        });
        assert_eq!((answer, asked.get()), (Ok(()), 7));
    }

    #[test]
    fn who_is_refused_asks_again_where_a_step_came_and_went_meanwhile() {
        let (underway, asked) = (Underway::new(), Cell::new(0));
        let answer = underway.outlast(|| {
            if asked.get() == 0 {
                drop(underway.begin());
            }
            refuse(&asked)
        });
        assert_eq!(answer, Err(2));
    }

    #[test]
    fn nobody_waits_for_a_step_that_never_ends() {
        let (underway, asked) = (Underway::new(), Cell::new(0));
        core::mem::forget(underway.begin());
        assert_eq!(underway.outlast(|| refuse(&asked)), Err(TIMES + 1));
    }
}
