//! Choices a user makes, as plain values that code reads with `if`.
//!
//! * I1: a [`Config`] is one word, so that one atomic can hold the process's, and a handle stays
//!   small. It is never 0.
#![forbid(unsafe_code)]

#[cfg(all(unix, feature = "std"))]
use core::{fmt, time::Duration};

#[cfg(all(unix, feature = "std"))]
use crate::base::geometry::PAGE_BYTES;

/// How much a [`Heap`](crate::Heap), or the process's heap, checks of the frees it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// Frees are checked when they leave the stack for the bitmap: foreign pointers, interior
    /// pointers, wrong classes and double frees that meet there abort. A block freed twice and
    /// handed out again before that is not seen.
    #[default]
    Fast,
    /// Every free is checked exactly and at once; freed memory is filled and verified before it is
    /// handed out again, and reuse is delayed. Stacks have length zero, so the fast path is the
    /// same code.
    Full,
}

/// Choices for the process's heap: a constant that [`Flagstone::with`](crate::Flagstone::with)
/// takes.
///
/// ```
/// use flagstone::{Check, Config, Flagstone};
/// use std::time::Duration;
///
/// const CONFIG: Config = Config::new()
///     .check(Check::Full)
///     .limit_bytes(512 << 20)
///     .purge_delay(Some(Duration::from_millis(100)))
///     .huge_pages(false);
///
/// #[global_allocator]
/// static GLOBAL: Flagstone = Flagstone::with(CONFIG);
///
/// fn main() {
///     assert!(Vec::<u8>::new().try_reserve(1 << 30).is_err());
/// }
/// ```
#[cfg(all(unix, feature = "std"))]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "choices do nothing until a `Flagstone` is made with them"]
pub struct Config {
    word: u64,
}

/// The parts of the word. The limit is in pages, so 32 bits reach 16 TiB; all ones for none.
#[cfg(all(unix, feature = "std"))]
impl Config {
    const LIMIT: u64 = u32::MAX as u64;
    /// The purge delay in milliseconds: 24 bits reach more than four hours.
    const DELAY: u64 = 0xFF_FFFF << Config::DELAY_SHIFT;
    const DELAY_SHIFT: u32 = 32;
    const DELAY_UNSET: u64 = 0xFF_FFFF;
    const DELAY_NEVER: u64 = 0xFF_FFFE;
    const FULL: u64 = 1 << 56;
    const HUGE_PAGES: u64 = 1 << 57;
    /// Somebody chose this; without it, it is what holds until somebody does.
    const CHOSEN: u64 = 1 << 58;
    /// The choices have taken effect.
    const APPLIED: u64 = 1 << 59;
}

#[cfg(all(unix, feature = "std"))]
impl Config {
    /// What holds unless chosen: [`Check::Fast`], no limit, pages purged after a second, no huge
    /// pages.
    pub const fn new() -> Config {
        Config {
            word: Config::LIMIT | (Config::DELAY_UNSET << Config::DELAY_SHIFT),
        }
    }

    /// How much frees are checked; [`Check::Fast`] unless chosen.
    pub const fn check(self, check: Check) -> Config {
        match check {
            Check::Fast => self.with(Config::FULL, 0),
            Check::Full => self.with(Config::FULL, Config::FULL),
        }
    }

    /// Limits the bytes that the crate's default pages may hold, rounded down to whole pages (4
    /// KiB), from the first allocation on. 16 TiB and more is no limit. A limit that the start of
    /// the program does not fit in ends it there. See also [`set_limit`](crate::set_limit).
    pub const fn limit_bytes(self, bytes: usize) -> Config {
        let pages = (bytes / PAGE_BYTES) as u64;
        let pages = if pages > Config::LIMIT {
            Config::LIMIT
        } else {
            pages
        };
        self.with(Config::LIMIT, pages)
    }

    /// How long released pages stay for reuse, in whole milliseconds; `None` for ever, and so is
    /// anything above four hours. See
    /// [`Pages::set_purge_delay`](crate::pages::Pages::set_purge_delay).
    pub const fn purge_delay(self, delay: Option<Duration>) -> Config {
        let ms = match delay {
            Some(delay) if delay.as_millis() < Config::DELAY_NEVER as u128 => {
                delay.as_millis() as u64
            }
            _ => Config::DELAY_NEVER,
        };
        self.with(Config::DELAY, ms << Config::DELAY_SHIFT)
    }

    /// Asks for transparent huge pages. See
    /// [`Pages::set_huge_pages`](crate::pages::Pages::set_huge_pages).
    pub const fn huge_pages(self, wanted: bool) -> Config {
        let bit = if wanted { Config::HUGE_PAGES } else { 0 };
        self.with(Config::HUGE_PAGES, bit)
    }

    const fn with(self, mask: u64, bits: u64) -> Config {
        Config {
            word: (self.word & !mask) | bits,
        }
    }

    const fn has(self, bit: u64) -> bool {
        self.word & bit != 0
    }

    pub(crate) const fn chosen(self) -> Config {
        self.with(Config::CHOSEN, Config::CHOSEN)
    }

    pub(crate) const fn is_chosen(self) -> bool {
        self.has(Config::CHOSEN)
    }

    pub(crate) const fn applied(self) -> Config {
        self.with(Config::APPLIED, Config::APPLIED)
    }

    pub(crate) const fn is_applied(self) -> bool {
        self.has(Config::APPLIED)
    }

    /// These choices with another's check.
    pub(crate) const fn with_check_of(self, other: Config) -> Config {
        self.with(Config::FULL, other.word & Config::FULL)
    }

    pub(crate) const fn is_full(self) -> bool {
        self.has(Config::FULL)
    }

    pub(crate) const fn wants_huge_pages(self) -> bool {
        self.has(Config::HUGE_PAGES)
    }

    /// The limit in bytes.
    pub(crate) fn limit(self) -> Option<usize> {
        let pages = self.word & Config::LIMIT;
        (pages != Config::LIMIT).then_some(pages as usize * PAGE_BYTES)
    }

    /// The purge delay, if one was chosen.
    pub(crate) fn delay(self) -> Option<Option<Duration>> {
        match (self.word & Config::DELAY) >> Config::DELAY_SHIFT {
            Config::DELAY_UNSET => None,
            Config::DELAY_NEVER => Some(None),
            ms => Some(Some(Duration::from_millis(ms))),
        }
    }

    pub(crate) const fn word(self) -> u64 {
        self.word
    }

    /// The choices that a word holds; `None` for 0.
    pub(crate) fn from_word(word: u64) -> Option<Config> {
        (word != 0).then_some(Config { word })
    }
}

#[cfg(all(unix, feature = "std"))]
impl Default for Config {
    fn default() -> Config {
        Config::new()
    }
}

#[cfg(all(unix, feature = "std"))]
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let check = if self.is_full() {
            Check::Full
        } else {
            Check::Fast
        };
        f.debug_struct("Config")
            .field("check", &check)
            .field("limit_bytes", &self.limit())
            .field("purge_delay", &self.delay())
            .field("huge_pages", &self.wants_huge_pages())
            .finish()
    }
}
