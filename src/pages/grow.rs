//! More segments: reserving address space and publishing it, segment by segment.
//!
//! Reservations double from 64 MiB to 1 GiB and halve when the system refuses, down to one segment.
//! Each is one segment longer than asked for, which leaves room to align; the slack stays mapped,
//! since a part of a mapping is never unmapped. Segments are published only when they are needed,
//! so that the heads of an idle gigabyte hold no memory.
//!
//! When several threads find nothing at once, one makes a large reservation (`growing` is its
//! ticket) and the others a small one; nobody waits. The ticket names the process that holds it: in
//! a forked child, where the holder may have vanished, it counts as free.

use core::ptr::NonNull;

use crate::base::error::AllocError;
use crate::base::geometry::{SEGMENT_BYTES, align_up};
use crate::base::sync::Ordering;
use crate::pages::registry;
use crate::pages::segment::{SegmentEntry, SegmentHead, UNITS_USABLE};
use crate::pages::state::Pages;
use crate::pages::system::map::process_number;
use crate::pages::system::source::Reservation;
use crate::pages::table::{LAST_COUNT, Rest, Want};

/// A segment that is written but not yet published.
struct Prepared {
    base: NonNull<u8>,
    entry: &'static SegmentEntry,
    entry_index: usize,
    head: NonNull<SegmentHead>,
}

impl Pages {
    /// Publishes one more segment, from the rest of the newest reservation or from a new one.
    #[cold]
    pub(super) fn add_segment(&'static self) -> Result<(), AllocError> {
        // The line's block first: a segment taken out of the rest without one would be lost.
        let published = self
            .table
            .ensure_block(|bytes| self.map_block(bytes))
            .and_then(|()| match self.take_rest() {
                Some(rest) => self.publish_further(rest),
                None => self.reserve_segments(),
            });
        published.ok_or(AllocError::SourceExhausted {
            bytes: SEGMENT_BYTES,
        })
    }

    /// Takes the next segment of the newest reservation.
    fn take_rest(&self) -> Option<Rest> {
        let take = |word: u64| {
            let rest = Rest::unpack(word);
            let next = rest.next + 1;
            (rest.next < rest.count).then(|| Rest { next, ..rest }.pack())
        };
        // Acquire: pairs with the Release in `reserve_segments`, which wrote the first head.
        let order = (Ordering::Acquire, Ordering::Acquire);
        let taken = self.table.rest.fetch_update(order.0, order.1, take);
        taken.ok().map(Rest::unpack)
    }

    /// Makes a reservation and publishes its first segment.
    fn reserve_segments(&'static self) -> Option<()> {
        let order = (Ordering::Acquire, Ordering::Relaxed);
        let process = process_number();
        let take = |holder: usize| (holder != process).then_some(process);
        let growing = &self.table.growing;
        let ticket = growing.fetch_update(order.0, order.1, take).is_ok();
        if ticket {
            // The last holder may have come and gone since the rest was found empty; a second
            // reservation would overwrite what is left of the first. Only a holder writes `rest`.
            if let Some(rest) = self.take_rest() {
                self.table.growing.store(0, Ordering::Release);
                return self.publish_further(rest);
            }
        }
        let wanted = if ticket {
            self.table.next_count.load(Ordering::Relaxed)
        } else {
            1
        };
        let published = self
            .reserve_at_most(wanted)
            .and_then(|(reservation, count)| {
                let base = align_up(reservation.base().addr().get(), SEGMENT_BYTES)?;
                self.publish_first(base, reservation)?;
                if ticket {
                    let first = (base / SEGMENT_BYTES) as u64;
                    let rest = Rest {
                        first,
                        next: 1,
                        count: count as u64,
                    };
                    // Release: whoever takes a segment reads the first one's head.
                    self.table.rest.store(rest.pack(), Ordering::Release);
                    self.table
                        .next_count
                        .store((count * 2).min(LAST_COUNT), Ordering::Relaxed);
                }
                Some(())
            });
        if ticket {
            self.table.growing.store(0, Ordering::Release);
        }
        published
    }

    /// Reserves room for `count` segments, or for half as many, and so on down to one.
    fn reserve_at_most(&self, mut count: usize) -> Option<(Reservation, usize)> {
        loop {
            if let Some(reservation) = self.reserve((count + 1) * SEGMENT_BYTES) {
                return Some((reservation, count));
            }
            if count == 1 {
                return None;
            }
            count /= 2;
        }
    }

    /// Publishes the first segment of a mapping, which keeps the reservation in its head.
    fn publish_first(&'static self, base: usize, reservation: Reservation) -> Option<()> {
        let bytes = reservation.bytes();
        let Some(prepared) = self.prepare(base) else {
            // The reservation is dropped, which unmaps it.
            self.mapped.fetch_sub(bytes, Ordering::Relaxed);
            return None;
        };
        let head = prepared.head.as_ptr();
        // SAFETY: the head is ours alone until it is published below.
        unsafe {
            let home = (*head).reservation_home.get();
            *home = Some(reservation);
            if let Some(reservation) = &*home {
                (*head).reservation = reservation;
            }
        }
        self.publish(&prepared);
        Some(())
    }

    /// Publishes the segment `rest.next` of a mapping whose first segment is published.
    fn publish_further(&'static self, rest: Rest) -> Option<()> {
        let first = rest.first as usize * SEGMENT_BYTES;
        let prepared = self.prepare(first + rest.next as usize * SEGMENT_BYTES)?;
        // SAFETY: the first segment of the mapping was published before `rest` was stored.
        let reservation = unsafe { SegmentHead::of(first) }.reservation;
        // SAFETY: the head is ours alone until it is published below.
        unsafe { (*prepared.head.as_ptr()).reservation = reservation };
        self.publish(&prepared);
        Some(())
    }

    /// Writes the head of the segment at `base` and finds it a line in the table.
    fn prepare(&'static self, base: usize) -> Option<Prepared> {
        if !registry::is_in_reach(base) {
            return None;
        }
        let (entry, entry_index) = self.table.next_line(|bytes| self.map_block(bytes))?;
        let base = NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(base))?;
        // SAFETY: the 4 MiB at `base` were just taken out of a zeroed reservation by us alone.
        let head = unsafe { SegmentHead::write(base, entry, entry_index) };
        Some(Prepared {
            base,
            entry,
            entry_index,
            head,
        })
    }

    /// Zeroed memory for a table, or a block of one, aligned to a cache line; it stays for ever.
    pub(super) fn map_block(&self, bytes: usize) -> Option<NonNull<u8>> {
        // Never dropped, since it stays.
        let reservation = self.reserve(bytes + 64)?;
        let start = align_up(reservation.base().addr().get(), 64)?;
        core::mem::forget(reservation);
        NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(start))
    }

    /// Makes a prepared segment visible to the registry and to searches.
    fn publish(&self, prepared: &Prepared) {
        registry::insert_segment(prepared.base.addr().get());
        if self.huge_pages.load(Ordering::Relaxed) {
            self.advise_huge(prepared);
        }
        // Release: whoever finds free units (or the head itself) sees the head's contents.
        prepared
            .entry
            .head
            .store(prepared.head.as_ptr(), Ordering::Release);
        prepared.entry.free.store(UNITS_USABLE, Ordering::SeqCst);
        self.table.mark(Want::Units, prepared.entry_index);
    }

    /// Asks for huge pages behind the head. A refusal changes nothing but speed.
    fn advise_huge(&self, prepared: &Prepared) {
        // SAFETY: the head is written and its reservation, in a head itself, stays.
        let reservation = unsafe { &*(*prepared.head.as_ptr()).reservation };
        let offset = prepared.base.addr().get() - reservation.base().addr().get();
        let _ = reservation.advise_huge(offset, SEGMENT_BYTES);
    }
}
