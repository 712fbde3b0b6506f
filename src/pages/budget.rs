//! The budget: what is charged before memory is handed out, and what is tried when it is refused.
//!
//! A refusal, by the limit or by the source, is answered with a purge of what nobody uses, and then
//! asked once more; again where another thread's purge was under way (`underway.rs`): what it holds
//! is charged, and not to be had. The sums are in `state.rs` (I1).

use crate::base::error::AllocError;
use crate::base::sync::Ordering;
use crate::pages::state::Pages;
use crate::pages::system::source::Reservation;

impl Pages {
    /// Charges `bytes` against the limit (I1), purging unused pages if that makes room.
    #[inline]
    pub(super) fn charge(&self, bytes: usize) -> Result<(), AllocError> {
        match self.try_charge(bytes) {
            true => Ok(()),
            false => self.charge_after_purge(bytes),
        }
    }

    #[cold]
    fn charge_after_purge(&self, bytes: usize) -> Result<(), AllocError> {
        // Room may also come from a purge of another thread, so what this one found says nothing.
        self.purge_all();
        self.purges.outlast(|| self.charge_at_once(bytes))
    }

    /// Charges `bytes` if the limit allows it as things are. With 0 it asks whether what is charged
    /// already may be used: the limit may have been higher then.
    pub(super) fn charge_at_once(&self, bytes: usize) -> Result<(), AllocError> {
        let refused = || AllocError::PagesLimit {
            limit_bytes: self.limit.load(Ordering::Relaxed),
        };
        self.try_charge(bytes).then_some(()).ok_or_else(refused)
    }

    /// Unmaps the huge blocks that are kept. Returns their bytes.
    pub(super) fn purge_kept(&self) -> usize {
        let _step = self.purges.begin();
        self.purge_huge()
    }

    /// Reserves through the source, counts the mapping and exposes its provenance.
    pub(super) fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let ask = || self.purges.outlast(|| self.source.reserve(bytes).ok_or(()));
        // What is kept counts against the system's limits, too.
        let again = |()| (self.purge_kept() > 0).then(ask).unwrap_or(Err(()));
        let reservation = ask().or_else(again).ok()?;
        if reservation.bytes() < bytes {
            return None;
        }
        self.mapped
            .fetch_add(reservation.bytes(), Ordering::Relaxed);
        let _ = reservation.base().as_ptr().expose_provenance();
        Some(reservation)
    }
}
