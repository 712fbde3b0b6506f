//! A picture of a heap: every slab with its occupancy, from copies of the bitmaps, read through
//! bitvec.
//!
//! "Taken" in the picture is what the slab has given out: live slots, and those that wait in a
//! stack or cached word. The totals subtract the latter.

use alloc::vec::Vec;
use core::fmt::{self, Write};

use bitvec::prelude::{BitSlice, Lsb0};

use crate::base::bitmap;
use crate::base::geometry::SEGMENT_BYTES;
use crate::heap::single::Heap;
use crate::heap::stats::HeapStats;

/// Characters of a slab's row in the text picture: 32 keep a row with its labels under 80 columns.
const CELLS: usize = 32;
/// From empty to full.
const SHADES: [char; 5] = ['.', '░', '▒', '▓', '█'];

/// The occupancy of every slab and large block of a heap at one moment; made by [`Heap::map`].
///
/// `Display` is a text picture; [`HeapMap::to_svg`] is a drawing.
///
/// ```
/// # use flagstone::Heap;
/// let heap = Heap::new();
/// let block = heap.allocate(std::alloc::Layout::new::<[u8; 1024]>())?;
/// let map = heap.map();
/// println!("{map}");
/// assert!(map.to_svg().starts_with("<svg"));
/// # Ok::<(), flagstone::AllocError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeapMap {
    slabs: Vec<SlabPicture>,
    stats: HeapStats,
}

/// One slab or large block.
#[derive(Clone, Debug)]
struct SlabPicture {
    segment: usize,
    page: usize,
    span_bytes: usize,
    slot_bytes: usize,
    slot_count: usize,
    /// Set bits are free slots.
    words: Vec<u64>,
}

impl Heap {
    /// A picture of the heap's slabs, in the order of their addresses.
    pub fn map(&self) -> HeapMap {
        let mut slabs: Vec<SlabPicture> = self
            .set
            .iter()
            .map(|slab| SlabPicture {
                segment: slab.segment().address() / SEGMENT_BYTES,
                page: slab.page(),
                span_bytes: slab.span_bytes(),
                slot_bytes: slab.slot_bytes(),
                slot_count: slab.slot_count(),
                words: if slab.is_large() {
                    [slab.free_count() as u64].to_vec()
                } else {
                    bitmap::snapshot(slab.words())
                },
            })
            .collect();
        slabs.sort_by_key(|slab| (slab.segment, slab.page));
        HeapMap {
            slabs,
            stats: self.stats(),
        }
    }
}

impl SlabPicture {
    fn bits(&self) -> &BitSlice<u64, Lsb0> {
        &BitSlice::from_slice(&self.words)[..self.slot_count]
    }

    fn taken(&self) -> usize {
        self.bits().count_zeros()
    }

    /// The share of taken slots, in `whole` parts rounded up (so that a single taken slot does not
    /// look empty), in each of at most `cells` equal stretches.
    fn shares(&self, cells: usize, whole: usize) -> impl Iterator<Item = usize> + '_ {
        let cells = cells.min(self.slot_count);
        (0..cells).map(move |cell| {
            let (from, to) = (
                cell * self.slot_count / cells,
                (cell + 1) * self.slot_count / cells,
            );
            (self.bits()[from..to].count_zeros() * whole).div_ceil(to - from)
        })
    }
}

impl fmt::Display for HeapMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} slabs; {}", self.slabs.len(), self.stats)?;
        let mut segment = usize::MAX;
        for slab in &self.slabs {
            if slab.segment != segment {
                segment = slab.segment;
                writeln!(f, "segment {:#x}", segment * SEGMENT_BYTES)?;
            }
            write!(f, "  {:>7} B x {:>4} ", slab.slot_bytes, slab.slot_count)?;
            for share in slab.shares(CELLS, SHADES.len() - 1) {
                f.write_char(SHADES[share])?;
            }
            writeln!(f, " {} taken", slab.taken())?;
        }
        Ok(())
    }
}

impl HeapMap {
    /// The picture as an SVG document: a row per slab, as long as its span, dark where slots are
    /// taken.
    pub fn to_svg(&self) -> alloc::string::String {
        /// Height of a row and gap between rows, in pixels: 12 fits a legible label.
        const ROW: usize = 14;
        /// Cells of a row; 256 show each slot of a 4 KiB piece of 16 B slots.
        const COLUMNS: usize = 256;
        let mut svg = alloc::string::String::new();
        let height = (self.slabs.len() + 2) * ROW;
        let _ = write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 {height}\" \
             font-family=\"monospace\" font-size=\"10\">\
             <text x=\"4\" y=\"11\">{}</text>",
            self.stats
        );
        for (row, slab) in self.slabs.iter().enumerate() {
            let y = (row + 1) * ROW;
            let label = y + ROW - 4;
            let _ = write!(
                svg,
                "<text x=\"4\" y=\"{label}\">{} B x {} ({} KiB)</text>",
                slab.slot_bytes,
                slab.slot_count,
                slab.span_bytes >> 10
            );
            let width = 700.0 / COLUMNS.min(slab.slot_count) as f64;
            for (cell, share) in slab.shares(COLUMNS, 60).enumerate() {
                let x = 190.0 + cell as f64 * width;
                let light = 95 - share;
                let _ = write!(
                    svg,
                    "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.2}\" height=\"{}\" \
                     fill=\"hsl(210 40% {light}%)\"/>",
                    ROW - 2
                );
            }
        }
        svg.push_str("</svg>");
        svg
    }
}
