//! What every thread is to hear of: trims, ticks and new generations.
//!
//! Owns the numbers by which a shard finds out what happened since its thread's last slow path.
//!
//! I1: an event's mark is set before the epoch moves on, and the epoch before the id for gets
//! changes; a thread reads them in the opposite order. So a shard that has seen the epoch has seen
//! the event, and a mark that is seen early is seen again.
#![forbid(unsafe_code)]

use crate::base::sync::{AtomicUsize, Ordering};

/// The epoch of a shard that has seen none: no pool comes to so many events.
pub(crate) const NO_EPOCH: usize = usize::MAX;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// At most so many idle slots are to stay.
    Trim { keep: usize, pressed: bool },
    /// Everything is to go.
    Wipe,
    /// What is idle becomes the old generation.
    Rotate,
    /// An interval is over.
    Tick,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Events {
    epoch: AtomicUsize,
    trimmed: AtomicUsize,
    wiped: AtomicUsize,
    rotated: AtomicUsize,
    ticked: AtomicUsize,
    keep: AtomicUsize,
    pressed: AtomicUsize,
}

impl Events {
    pub(crate) const fn new() -> Events {
        Events {
            epoch: AtomicUsize::new(0),
            trimmed: AtomicUsize::new(0),
            wiped: AtomicUsize::new(0),
            rotated: AtomicUsize::new(0),
            ticked: AtomicUsize::new(0),
            keep: AtomicUsize::new(usize::MAX),
            pressed: AtomicUsize::new(0),
        }
    }

    pub(crate) fn epoch(&self) -> usize {
        // Acquire: pairs with `announce`, so that its mark is seen (I1).
        self.epoch.load(Ordering::Acquire)
    }

    /// Makes an event known; its epoch.
    pub(crate) fn announce(&self, event: Event) -> usize {
        let mark = match event {
            Event::Trim { keep, pressed } => {
                self.keep.store(keep, Ordering::Relaxed);
                self.pressed.store(usize::from(pressed), Ordering::Relaxed);
                &self.trimmed
            }
            Event::Wipe => &self.wiped,
            Event::Rotate => &self.rotated,
            Event::Tick => &self.ticked,
        };
        let mut last = self.epoch.load(Ordering::Relaxed);
        loop {
            let next = last.wrapping_add(1);
            mark.fetch_max(next, Ordering::Release);
            // Another event may have taken this epoch, and a shard may have seen it without the
            // mark: then the mark moves on (I1).
            // Release: pairs with `epoch`.
            let (set, failed) = (Ordering::AcqRel, Ordering::Relaxed);
            match self.epoch.compare_exchange(last, next, set, failed) {
                Ok(_) => return next,
                Err(now) => last = now,
            }
        }
    }

    /// The gravest event that a shard with epoch `seen` has missed.
    pub(crate) fn missed(&self, seen: usize) -> Option<Event> {
        let missed = |mark: &AtomicUsize| mark.load(Ordering::Acquire) > seen;
        if seen == NO_EPOCH {
            return None;
        }
        if missed(&self.wiped) {
            return Some(Event::Wipe);
        }
        if missed(&self.trimmed) {
            return Some(Event::Trim {
                keep: self.keep.load(Ordering::Relaxed),
                pressed: self.pressed.load(Ordering::Relaxed) == 1,
            });
        }
        if missed(&self.rotated) {
            return Some(Event::Rotate);
        }
        missed(&self.ticked).then_some(Event::Tick)
    }

    /// Whether what a shard with epoch `seen` holds must not be handed out.
    pub(crate) fn is_stale(&self, seen: usize) -> bool {
        self.missed(seen) == Some(Event::Wipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_event_since_counts() {
        let events = Events::new();
        assert_eq!(events.missed(0), None);
        assert_eq!(events.announce(Event::Tick), 1);
        assert_eq!(events.announce(Event::Wipe), 2);
        assert_eq!(events.announce(Event::Rotate), 3);
        assert_eq!(events.missed(0), Some(Event::Wipe));
        assert_eq!(events.missed(1), Some(Event::Wipe));
        assert_eq!(events.missed(2), Some(Event::Rotate));
        assert_eq!((events.missed(3), events.missed(NO_EPOCH)), (None, None));
        let trim = Event::Trim {
            keep: 5,
            pressed: true,
        };
        assert_eq!(events.announce(trim), 4);
        assert_eq!(events.missed(2), Some(trim));
    }

    #[test]
    fn no_event_hides_behind_another_one_of_the_same_moment() {
        let (events, wipes) = (Events::new(), if cfg!(miri) { 100 } else { 200_000 });
        let wiped = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while wiped.load(Ordering::Relaxed) < wipes {
                    events.announce(Event::Tick);
                }
            });
            let mut lost = 0;
            for number in 1..=wipes {
                let epoch = events.announce(Event::Wipe);
                lost += usize::from(!events.is_stale(epoch - 1));
                wiped.store(number, Ordering::Relaxed);
            }
            assert_eq!(lost, 0);
        });
    }
}
