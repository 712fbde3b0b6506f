//! When does reuse pay? Measured, not believed.
//!
//! Per get and put, in nanoseconds: A to make an object, D to drop it, S to make a used one ready
//! again, Tp for the pool's own work, C for what the program does with it. At a share H of gets
//! that find an object, three loops that differ in nothing else take
//!
//! ```text
//! std      C + A + D                           a new object each time
//! floor    C + S                               the same objects, kept by the loop itself
//! pooled   C + Tp + H·S + (1 − H)·(A + D)      objects from a pool
//! ```
//!
//! so A + D − S = std − floor and Tp = pooled − floor − (1 − H)·(std − floor), and the pool
//! pays if and only if
//!
//! > H > H* = Tp / (A + D − S)
//!
//! and never when A + D <= S.
//!
//! - I1: no figure here is a constant; each comes from loops timed in this run.
//! - I2: where the three loops are rows of a table the verdict cannot contradict it: by the
//!   formulas above H > H* says no more and no less than pooled < std. Where they are not, a note
//!   says what the table shows.
//!
//! It does not know pools or objects.

use std::fmt;

use crate::figures::{Nanos, Percent};

/// The three loops' times, in nanoseconds per object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loops {
    pub(crate) std_ns: f64,
    pub(crate) floor_ns: f64,
    pub(crate) pooled_ns: f64,
    /// Share of hits in the pooled loop, 0 to 1.
    pub(crate) hit_rate: f64,
}

impl Loops {
    /// A + D − S.
    pub(crate) fn saved_ns(&self) -> f64 {
        self.std_ns - self.floor_ns
    }

    /// Tp.
    pub(crate) fn overhead_ns(&self) -> f64 {
        self.pooled_ns - self.floor_ns - (1.0 - self.hit_rate) * self.saved_ns()
    }
}

/// A pool's balance for one kind of object.
#[derive(Clone, Debug)]
pub(crate) struct Balance {
    pub(crate) pool: &'static str,
    /// In the plural: "these buffers".
    pub(crate) objects: &'static str,
    /// Tp, in nanoseconds.
    pub(crate) overhead_ns: f64,
    /// A + D − S, in nanoseconds.
    pub(crate) saved_ns: f64,
    /// Share of gets that found an object, 0 to 1.
    pub(crate) hit_rate: f64,
    /// A sentence behind the verdict, or nothing.
    pub(crate) note: String,
}

impl Balance {
    /// `hit_rate` is the program's own share of hits, which need not be that of the loops.
    pub(crate) fn new(
        pool: &'static str,
        objects: &'static str,
        loops: Loops,
        hit_rate: f64,
    ) -> Balance {
        let (overhead_ns, saved_ns) = (loops.overhead_ns(), loops.saved_ns());
        Balance {
            pool,
            objects,
            overhead_ns,
            saved_ns,
            hit_rate,
            note: String::new(),
        }
    }

    /// H*: the share of hits above which the pool pays; `None` when no share is enough.
    pub(crate) fn break_even(&self) -> Option<f64> {
        // Two nearly equal times may come out in the wrong order; a pool costs no less than none.
        let overhead_ns = self.overhead_ns.max(0.0);
        (overhead_ns < self.saved_ns).then(|| overhead_ns / self.saved_ns)
    }

    /// True when the pool pays at the share it had.
    pub(crate) fn pays(&self) -> bool {
        self.break_even()
            .is_some_and(|break_even| self.hit_rate > break_even)
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Balance {
            pool,
            objects,
            hit_rate,
            ..
        } = self;
        let overhead = Nanos(self.overhead_ns.max(0.0));
        let saved = Nanos(self.saved_ns);
        let verdict = if self.pays() {
            "keep it."
        } else {
            "do without it."
        };
        match self.break_even() {
            _ if self.saved_ns <= 0.0 => write!(
                f,
                "For these {objects} reuse never pays: making one costs no more than making a used \
                 one ready."
            ),
            None => write!(
                f,
                "For these {objects} {pool} never pays: it takes {overhead} to save {saved}."
            ),
            Some(break_even) => write!(
                f,
                "For these {objects} {pool} pays above {} hits; you have {}: {verdict} (It takes \
                 {overhead} and a hit saves {saved}.)",
                Percent(break_even),
                Percent(*hit_rate),
            ),
        }?;
        match self.note.as_str() {
            "" => Ok(()),
            note => write!(f, " {note}"),
        }
    }
}
