//! What was chosen for the process's heap: one word, decided once.
//!
//! The choices travel with each [`Flagstone`](crate::Flagstone) and are looked at where a thread
//! without a heap gets one and where a large block is taken, both of them slow.
//!
//! * I1: the check is fixed before the first thread heap hands out a slot, because what one heap
//!   left unfilled another would take for damage.
//! * I2: who goes on to allocate has seen the decided choices applied: the first to come applies
//!   them, and so does whoever comes while it does. Nobody waits.

use crate::base::config::Config;
use crate::base::sync::{AtomicU64, Ordering};
use crate::pages::Pages;

/// The choices' word; 0 before the first allocation.
static CHOICES: AtomicU64 = AtomicU64::new(0);

/// Whether every free is checked exactly (I1). By holders of a heap they allocated with.
#[inline]
pub(super) fn is_full() -> bool {
    // Relaxed: the caller decided, or took its heap from somebody who did.
    Config::from_word(CHOICES.load(Ordering::Relaxed)).is_some_and(Config::is_full)
}

/// Puts the choices of an allocator that is about to allocate into effect, unless others are.
#[cold]
pub(super) fn decide(wanted: Config) {
    // Acquire: pairs with the Release below; who sees the bit sees what it says.
    let mut word = CHOICES.load(Ordering::Acquire);
    let decided = loop {
        let next = match Config::from_word(word) {
            None => wanted,
            Some(first) if wanted.is_chosen() && !first.is_chosen() => {
                // Too late for the check alone (I1).
                wanted.with_check_of(first)
            }
            Some(decided) => break decided,
        };
        // Acquire: as above.
        let order = (Ordering::Acquire, Ordering::Acquire);
        match CHOICES.compare_exchange(word, next.word(), order.0, order.1) {
            Ok(_) => break next,
            Err(now) => word = now,
        }
    };
    if decided.is_chosen() && !decided.is_applied() {
        apply(decided);
        // Release: pairs with the Acquire above.
        CHOICES.fetch_or(decided.applied().word(), Ordering::Release);
    }
}

fn apply(choices: Config) {
    let pages = Pages::global();
    if let Some(limit) = choices.limit() {
        pages.set_first_limit(limit);
    }
    if let Some(delay) = choices.delay() {
        pages.set_purge_delay(delay);
    }
    if choices.wants_huge_pages() {
        pages.set_huge_pages(true);
    }
}
