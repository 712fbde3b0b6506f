//! A page source that refuses: by number, by size, and not any more once it recovers.

use std::sync::atomic::{AtomicUsize, Ordering};

use flagstone::pages::{MmapSource, PageSource, Pages, Reservation};

/// Counts reservations and refuses some of them.
#[derive(Debug, Default)]
pub(crate) struct Refusing {
    /// Reservations asked for so far.
    asked: AtomicUsize,
    /// Reservations refused so far.
    refused: AtomicUsize,
    /// The first to be refused, counted from 0.
    first: AtomicUsize,
    /// How many are refused from then on.
    count: AtomicUsize,
    /// Larger ones are refused always.
    bytes_max: AtomicUsize,
    /// Smaller ones are refused always.
    bytes_min: AtomicUsize,
}

impl Refusing {
    /// Pages over a source that refuses `count` reservations from the one numbered `first` on, and
    /// whatever is larger than `bytes_max`.
    pub(crate) fn pages(
        first: usize,
        count: usize,
        bytes_max: usize,
    ) -> (&'static Pages, &'static Refusing) {
        let source: &Refusing = Box::leak(Box::new(Refusing {
            first: first.into(),
            count: count.into(),
            bytes_max: bytes_max.into(),
            ..Refusing::default()
        }));
        (Box::leak(Box::new(Pages::new(source))), source)
    }

    /// Whether it has refused anything.
    pub(crate) fn has_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed) > 0
    }

    /// From now on refuses whatever is smaller.
    pub(crate) fn refuse_below(&self, bytes_min: usize) {
        self.bytes_min.store(bytes_min, Ordering::Relaxed);
    }

    /// Refuses nothing any more.
    pub(crate) fn recover(&self) {
        self.count.store(0, Ordering::Relaxed);
        self.bytes_max.store(usize::MAX, Ordering::Relaxed);
        self.bytes_min.store(0, Ordering::Relaxed);
    }
}

// SAFETY: hands out what `MmapSource` hands out, or nothing.
unsafe impl PageSource for Refusing {
    fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let first = self.first.load(Ordering::Relaxed);
        let by_number = number.checked_sub(first);
        let unlucky = by_number.is_some_and(|past| past < self.count.load(Ordering::Relaxed));
        let fits = self.bytes_min.load(Ordering::Relaxed)..=self.bytes_max.load(Ordering::Relaxed);
        if unlucky || !fits.contains(&bytes) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        MmapSource.reserve(bytes)
    }
}
