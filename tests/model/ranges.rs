//! Address ranges that must not overlap.

use std::collections::BTreeMap;

/// The ranges that are live, by start.
#[derive(Default)]
pub struct Ranges {
    ends: BTreeMap<usize, usize>,
}

impl Ranges {
    /// Adds `bytes` bytes at `start`.
    ///
    /// # Panics
    /// When they overlap a range that is live.
    pub fn insert(&mut self, start: usize, bytes: usize) {
        let end = start.checked_add(bytes).expect("a block does not wrap");
        if bytes == 0 {
            return;
        }
        if let Some((&other, &other_end)) = self.ends.range(..end).next_back() {
            assert!(
                other_end <= start,
                "{start:#x}..{end:#x} overlaps {other:#x}..{other_end:#x}"
            );
        }
        self.ends.insert(start, end);
    }

    /// Removes the range that was inserted at `start`.
    pub fn remove(&mut self, start: usize) {
        self.ends.remove(&start);
    }
}
