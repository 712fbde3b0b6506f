//! Steps that hold for a moment what is free, and the others who find nothing meanwhile.
//!
//! A purge takes what it returns out of the searches, and discharges it when it is done. Whoever is
//! refused while such a step is under way has not seen all that is free, and asks again. Nobody
//! waits for a step's end: its thread may be asleep, or gone, in a forked child, so the number of
//! times is bounded.
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
/// How often steps are outlasted that began while the last ones were: what they hold was in use
/// when the first answer came, mostly, and where all threads purge there would be no end.
const ROUNDS: usize = 8;

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
        // Pairs with the fence in `begun`: who misses what the step takes sees it begun.
        fence(Ordering::SeqCst);
        Step(self)
    }

    /// In a forked child: steps of threads that are not there will never end.
    #[cfg(all(unix, feature = "std"))]
    pub(crate) fn end_all(&self) {
        let begun = self.begun.load(Ordering::Relaxed);
        self.ended.store(begun, Ordering::Relaxed);
    }

    /// Asks until there is something, or until nothing was under way all the while.
    pub(crate) fn outlast<R, E>(&self, ask: impl Fn() -> Result<R, E>) -> Result<R, E> {
        let (mut rounds, mut goal) = (0, self.ended());
        for _ in 0..TIMES {
            let before = self.ended();
            let answer = ask();
            let begun = self.begun();
            // No more had begun than had ended before.
            if answer.is_ok() || begun == before {
                return answer;
            }
            // Modulo the word: above half of it is below zero.
            if self.ended().wrapping_sub(goal) <= usize::MAX / 2 {
                (rounds, goal) = (rounds + 1, begun);
            }
            if rounds > ROUNDS {
                return answer;
            }
            give_way();
        }
        ask()
    }

    fn begun(&self) -> usize {
        // Pairs with the fence in `begin`.
        fence(Ordering::SeqCst);
        self.begun.load(Ordering::Relaxed)
    }

    fn ended(&self) -> usize {
        // Acquire: pairs with the Release at a step's end.
        self.ended.load(Ordering::Acquire)
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
    fn a_refusal_stands_where_steps_never_cease() {
        let (underway, asked) = (Underway::new(), Cell::new(0));
        let answer = underway.outlast(|| {
            drop(underway.begin());
            refuse(&asked)
        });
        assert_eq!(answer, Err(ROUNDS + 1));
    }

    #[test]
    #[cfg(all(unix, feature = "std"))]
    fn in_a_forked_child_nothing_is_under_way() {
        let (underway, asked) = (Underway::new(), Cell::new(0));
        core::mem::forget(underway.begin());
        underway.end_all();
        assert_eq!(underway.outlast(|| refuse(&asked)), Err(1));
    }

    #[test]
    fn nobody_waits_for_a_step_that_never_ends() {
        let (underway, asked) = (Underway::new(), Cell::new(0));
        core::mem::forget(underway.begin());
        assert_eq!(underway.outlast(|| refuse(&asked)), Err(TIMES + 1));
    }
}
