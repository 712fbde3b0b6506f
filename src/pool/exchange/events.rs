//! What every thread is to hear of: trims, ticks and new generations.
//!
//! Owns the ids by which a thread finds out what happened since its last slow path, and the present
//! generation, which is one of them. Ids only grow (`id.rs`), so the last one a shard has seen says
//! which events it missed.
//!
//! I1: the last id of an event's kind is set before `last` moves on, and a thread reads them in the
//! opposite order. So a shard that has seen `last` has seen the event, and who matches `last` knows
//! the generation that began by then.
#![forbid(unsafe_code)]

use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::stock::drops::Drops;
use crate::pool::stock::id::{NO_ID, next_id};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// At most so many idle slots are to stay.
    Trim { keep: usize, reason: Drops },
    /// What is idle becomes old, and what was old goes.
    Rotate,
    /// An interval is over.
    Tick,
}

/// See the module. `last` is the first word of a pool's core.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Events {
    /// The last event. Every get compares it.
    last: AtomicUsize,
    /// The present generation: what the notes of its objects say.
    generation: AtomicUsize,
    trimmed: AtomicUsize,
    rotated: AtomicUsize,
    ticked: AtomicUsize,
    keep: AtomicUsize,
    reason: AtomicUsize,
}

impl Events {
    /// Those of a pool whose first generation is `id`.
    pub(crate) fn new(id: usize) -> Events {
        Events {
            last: AtomicUsize::new(id),
            generation: AtomicUsize::new(id),
            trimmed: AtomicUsize::new(NO_ID),
            rotated: AtomicUsize::new(NO_ID),
            ticked: AtomicUsize::new(NO_ID),
            keep: AtomicUsize::new(usize::MAX),
            reason: AtomicUsize::new(0),
        }
    }

    /// The last event, for who only compares.
    #[inline(always)]
    pub(crate) fn last(&self) -> usize {
        // Relaxed: a stale one delays an event's effect by one operation.
        self.last.load(Ordering::Relaxed)
    }

    /// The last event, for who is to be up to date with it.
    pub(crate) fn last_seen(&self) -> usize {
        // Acquire: pairs with `announce` (I1).
        self.last.load(Ordering::Acquire)
    }

    /// The present generation.
    pub(crate) fn generation(&self) -> usize {
        // Acquire: who builds an object by what it finds here sees what went before the generation.
        self.generation.load(Ordering::Acquire)
    }

    /// Begins a generation; to be followed by an event.
    pub(crate) fn begin_generation(&self) {
        loop {
            let id = next_id();
            if id == NO_ID {
                return self.end();
            }
            // Release: pairs with `generation`. Whoever finds a later one there already may have
            // begun it before what goes before this one: then this one is the later.
            if self.generation.fetch_max(id, Ordering::Release) < id {
                return;
            }
        }
    }

    /// No ids are left: nobody is served by a seat any more, and no object is of a generation.
    #[cold]
    fn end(&self) {
        self.generation.store(NO_ID, Ordering::Release);
        self.last.store(NO_ID, Ordering::Release);
    }

    /// Makes an event known; its id.
    pub(crate) fn announce(&self, event: Event) -> usize {
        let of_kind = match event {
            Event::Trim { keep, reason } => {
                self.keep.store(keep, Ordering::Relaxed);
                self.reason.store(reason as usize, Ordering::Relaxed);
                &self.trimmed
            }
            Event::Rotate => &self.rotated,
            Event::Tick => &self.ticked,
        };
        loop {
            let id = next_id();
            of_kind.fetch_max(id, Ordering::Relaxed);
            // Release: pairs with `last_seen`; Acquire, so that it passes on the ids of events
            // before. A shard that has seen a later event already may have missed this one: then
            // it moves on.
            if id == NO_ID {
                self.end();
                return id;
            }
            if self.last.fetch_max(id, Ordering::AcqRel) < id {
                return id;
            }
        }
    }

    /// The gravest event that a shard which has seen `seen` has missed.
    pub(crate) fn missed(&self, seen: usize) -> Option<Event> {
        // Relaxed: ordered by `last_seen` (I1).
        let missed = |of_kind: &AtomicUsize| of_kind.load(Ordering::Relaxed) > seen;
        if seen == NO_ID {
            // Of a new shard, which holds nothing.
            None
        } else if missed(&self.trimmed) {
            Some(Event::Trim {
                keep: self.keep.load(Ordering::Relaxed),
                reason: Drops::ALL[self.reason.load(Ordering::Relaxed)],
            })
        } else if missed(&self.rotated) {
            Some(Event::Rotate)
        } else {
            missed(&self.ticked).then_some(Event::Tick)
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const TRIM: Event = Event::Trim {
        keep: 5,
        reason: Drops::Pressed,
    };

    #[test]
    fn the_gravest_event_since_counts() {
        let first = next_id();
        let events = Events::new(first);
        assert_eq!(events.missed(first), None);
        let ticked = events.announce(Event::Tick);
        assert!(ticked > first && events.last() == ticked);
        let trimmed = events.announce(TRIM);
        let rotated = events.announce(Event::Rotate);
        assert_eq!(events.missed(first), Some(TRIM));
        assert_eq!(events.missed(ticked), Some(TRIM));
        assert_eq!(events.missed(trimmed), Some(Event::Rotate));
        assert_eq!((events.missed(rotated), events.missed(NO_ID)), (None, None));
        assert_eq!(events.announce(Event::Tick), events.last_seen());
        assert_eq!(events.missed(rotated), Some(Event::Tick));
    }
}
