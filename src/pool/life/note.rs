//! The note behind an object, one word: of which generation it is, and what its put has to know.
//!
//! Owns what it says and where it stands. A *plain* note is the id of the generation the object was
//! built in, which a thread's seat matches: the put takes the short way. Marks in the bits that ids
//! leave free make a note that matches no seat, so the put comes by the slow path, which reads
//! them.
//!
//! I1: ids are multiples of `ID_STEP`, so the marks fit beside one.
//! I2: a slot of layout `Noted::<T>::SLOT` has room for a `T` and, behind it, for its note, which
//! the value's user cannot reach.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::pool::stock::id::ID_STEP;

/// A cache line of most processors. Those that fetch lines in pairs still write them one by one.
const LINE_BYTES: usize = 64;

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
fn with(generation: usize, marks: Marks) -> usize {
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

/// How a `T` and its note lie in a slot (I2).
pub(crate) struct Noted<T>(PhantomData<T>);

impl<T> Noted<T> {
    /// No two objects of a pool share a cache line: they are in the hands of different threads, and
    /// each writes to its own. With two 32-byte slots in a line a get, a push and a put took 7.3 ns
    /// on two threads, apart they take the 1.8 of one thread. Small objects pay with memory: a pool
    /// is for objects that own some.
    const STEP: usize = if align_of::<T>() > LINE_BYTES {
        align_of::<T>()
    } else {
        LINE_BYTES
    };

    /// Where the note stands: in the part of the slot that the value leaves over, or in
    /// another line. It saves the way from the slot over its slab to the core, half a nanosecond of
    /// a put.
    const NOTE_AT: usize = size_of::<T>().next_multiple_of(align_of::<usize>());

    /// The slot a `T` sits in. A zero-sized one still gets bytes, so that every guard has an
    /// address of its own to be found by.
    pub(crate) const SLOT: Layout = {
        let size = Self::NOTE_AT + size_of::<usize>();
        match Layout::from_size_align(size, Self::STEP) {
            Ok(layout) => layout.pad_to_align(),
            Err(_) => panic!("the layout of a type is valid"),
        }
    };

    /// # Safety
    /// `slot` has the layout `SLOT`.
    #[inline(always)]
    unsafe fn at(slot: NonNull<T>) -> NonNull<usize> {
        // SAFETY: by the caller; there is room for it, aligned (I2).
        unsafe { slot.byte_add(Self::NOTE_AT).cast::<usize>() }
    }

    /// The note of a value.
    ///
    /// # Safety
    /// `slot` has the layout `SLOT`, its note was written, and nobody writes it now.
    #[inline(always)]
    pub(crate) unsafe fn read(slot: NonNull<T>) -> usize {
        // SAFETY: by the caller.
        unsafe { Self::at(slot).read() }
    }

    /// Writes the note of a value.
    ///
    /// # Safety
    /// `slot` has the layout `SLOT`, and is the caller's alone.
    pub(crate) unsafe fn write(slot: NonNull<T>, generation: usize, marks: Marks) {
        // SAFETY: by the caller.
        unsafe { Self::at(slot).write(with(generation, marks)) };
    }

    /// Gives a value other marks, by which its way back is looked at or not.
    ///
    /// # Safety
    /// As [`read`](Self::read), and the slot is the caller's alone.
    pub(crate) unsafe fn mark(slot: NonNull<T>, marks: Marks) {
        // SAFETY: by the caller.
        unsafe { Self::write(slot, generation(Self::read(slot)), marks) };
    }
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
