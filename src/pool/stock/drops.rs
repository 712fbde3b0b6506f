//! Why an object came to be dropped.
//!
//! Owns the reasons and their order, which is that of the counters.
#![forbid(unsafe_code)]

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drops {
    /// The pool has as many idle objects as it may.
    Full,
    /// `recycle` said so, or the user.
    Discarded,
    /// It has grown too large.
    Oversize,
    /// A validation refused it.
    Invalid,
    /// A panic passed by.
    Poisoned,
    /// The depot's lock was busy.
    Contended,
    /// A trim or a clear.
    Trimmed,
    /// Nobody needed it for an interval.
    Aged,
    /// The budget ran short.
    Pressed,
    /// It is of an older generation.
    Retired,
    /// The pool was bypassed.
    Bypassed,
}

impl Drops {
    /// In the order of their numbers.
    pub(crate) const ALL: [Drops; 11] = [
        Drops::Full,
        Drops::Discarded,
        Drops::Oversize,
        Drops::Invalid,
        Drops::Poisoned,
        Drops::Contended,
        Drops::Trimmed,
        Drops::Aged,
        Drops::Pressed,
        Drops::Retired,
        Drops::Bypassed,
    ];

    /// Of objects that came back and were not kept.
    pub(crate) const LOST: [Drops; 6] = [
        Drops::Full,
        Drops::Discarded,
        Drops::Oversize,
        Drops::Invalid,
        Drops::Poisoned,
        Drops::Contended,
    ];

    /// Of those the ones that were recycled first, or were discarded by their users.
    pub(crate) const RECYCLED: [Drops; 3] = [Drops::Full, Drops::Discarded, Drops::Contended];

    /// Whether what it takes says how long a drop takes: not of objects that were idle, which
    /// have been reset.
    pub(crate) fn is_after_use(self) -> bool {
        !matches!(
            self,
            Drops::Trimmed | Drops::Aged | Drops::Pressed | Drops::Retired
        )
    }
}
