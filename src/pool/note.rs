//! The note behind an object: what its put has to know, in one word.
//!
//! Owns no memory. A *plain* note is the pool's id for puts, which a thread's seat matches: the put
//! takes the short way. Any other note matches no seat, so the put comes by the slow path, which
//! reads it here.
//!
//! I1: ids are below `SPECIAL`, so a special note is never taken for one.
#![forbid(unsafe_code)]

/// Set in every note that is no id. Ids never get there (`claims::next_id`).
const SPECIAL: usize = 1 << (usize::BITS - 1);

/// The object was made to bypass the pool: it is dropped when it comes back.
const TRANSIENT: usize = 1;
/// What its next recycle takes is measured.
const MEASURED: usize = 2;
/// The leak check looks out for it.
const TRACKED: usize = 4;

/// Bits below the generation's.
const GENERATION_SHIFT: u32 = 3;

/// What a note says beside the generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) transient: bool,
    pub(crate) measured: bool,
    pub(crate) tracked: bool,
}

impl Marks {
    pub(crate) fn any(self) -> bool {
        self != Marks::default()
    }
}

/// A note of an object of `generation` whose put is to take the slow path.
pub(crate) fn special(generation: usize, marks: Marks) -> usize {
    let mark = |is: bool, bit: usize| if is { bit } else { 0 };
    SPECIAL
        | (generation << GENERATION_SHIFT)
        | mark(marks.transient, TRANSIENT)
        | mark(marks.measured, MEASURED)
        | mark(marks.tracked, TRACKED)
}

/// What a note says.
pub(crate) fn marks(note: usize) -> Marks {
    let is = |bit: usize| note & SPECIAL != 0 && note & bit != 0;
    Marks {
        transient: is(TRANSIENT),
        measured: is(MEASURED),
        tracked: is(TRACKED),
    }
}

/// Whether a note is of the generation that began with the id `put_id`.
pub(crate) fn is_of(note: usize, put_id: usize, generation: usize) -> bool {
    let unmarked = note & !(TRANSIENT | MEASURED | TRACKED);
    note == put_id || unmarked == special(generation, Marks::default())
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
        let note = special(7, marked);
        assert_eq!(marks(note), marked);
        assert!(is_of(note, 64, 7) && !is_of(note, 64, 8) && !is_of(note, 64, 0));
        assert!(is_of(64, 64, 7) && !is_of(72, 64, 7));
        assert_eq!(marks(65), Marks::default(), "an id has no marks");
    }
}
