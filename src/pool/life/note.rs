//! The note behind an object, one word: of which generation it is, and what its put has to know.
//!
//! Owns no memory. A *plain* note is the id of the generation the object was built in, which a
//! thread's seat matches: the get and the put take the short way. Marks in the bits that ids leave
//! free make a note that matches no seat, so both come by the slow path, which reads it here.
//!
//! I1: ids are multiples of `ID_STEP`, so the marks fit beside one.
#![forbid(unsafe_code)]

use crate::pool::stock::id::ID_STEP;

/// The object was made to bypass the pool: it is dropped when it comes back.
const TRANSIENT: usize = 1;
/// What its next recycle takes is measured.
const MEASURED: usize = 2;
/// The leak check looks out for it.
const TRACKED: usize = 4;

/// What a note says beside the generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) transient: bool,
    pub(crate) measured: bool,
    pub(crate) tracked: bool,
}

/// A note of an object of a generation; plain without marks.
pub(crate) fn with(generation: usize, marks: Marks) -> usize {
    let mark = |is: bool, bit: usize| if is { bit } else { 0 };
    generation
        | mark(marks.transient, TRANSIENT)
        | mark(marks.measured, MEASURED)
        | mark(marks.tracked, TRACKED)
}

/// Whether a note has any mark.
#[inline(always)]
pub(crate) fn is_marked(note: usize) -> bool {
    note % ID_STEP != 0
}

/// The marks of a note.
pub(crate) fn marks(note: usize) -> Marks {
    Marks {
        transient: note & TRANSIENT != 0,
        measured: note & MEASURED != 0,
        tracked: note & TRACKED != 0,
    }
}

/// The generation of a note.
pub(crate) fn generation(note: usize) -> usize {
    note / ID_STEP * ID_STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_tell_generations_and_marks() {
        let marked = Marks {
            transient: false,
            measured: true,
            tracked: true,
        };
        let note = with(7 * ID_STEP, marked);
        assert_eq!((generation(note), marks(note)), (7 * ID_STEP, marked));
        assert!(is_marked(note) && !is_marked(7 * ID_STEP));
        let plain = with(7 * ID_STEP, Marks::default());
        assert_eq!((plain, marks(plain)), (7 * ID_STEP, Marks::default()));
    }
}
