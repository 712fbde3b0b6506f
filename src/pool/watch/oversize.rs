//! When an object has grown too large to keep.
//!
//! Owns the ready policies and what they remember. Decides on what an object holds, never on how
//! much of it was used last: a buffer that keeps 1 MiB is large however little was written to it.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::AtomicU8;

use crate::base::sync::{AtomicUsize, Ordering};

/// How many bytes an object holds beside itself, and how many of them it uses; for
/// [`Oversize`].
///
/// ```
/// use flagstone::{Capacity, Keep, Oversize, Pool, Recycle};
/// struct Parser { stack: Vec<u32> }
/// impl Recycle for Parser {
///     fn recycle(&mut self) -> Keep { self.stack.clear(); Keep::Yes }
/// }
/// impl Capacity for Parser {
///     fn capacity_bytes(&self) -> usize { self.stack.capacity_bytes() }
///     fn used_bytes(&self) -> usize { self.stack.used_bytes() }
/// }
/// let pool = Pool::builder(|| Parser { stack: Vec::new() })
///     .oversize(Oversize::HardCap(64 << 10))
///     .build();
/// pool.get().stack.reserve(1 << 20);
/// assert_eq!(pool.stats().drops.oversize, 1);
/// ```
pub trait Capacity {
    /// Bytes that stay allocated when the object is reset.
    fn capacity_bytes(&self) -> usize;

    /// Bytes in use now: asked before the object is recycled. All of them, unless told otherwise.
    fn used_bytes(&self) -> usize {
        self.capacity_bytes()
    }
}

macro_rules! sequences {
    ($($name:ident<T> of $bytes:expr;)*) => {$(
        impl<T> Capacity for $name<T> {
            fn capacity_bytes(&self) -> usize {
                self.capacity().saturating_mul($bytes)
            }

            fn used_bytes(&self) -> usize {
                self.len().saturating_mul($bytes)
            }
        }
    )*};
}

sequences! {
    Vec<T> of size_of::<T>();
    VecDeque<T> of size_of::<T>();
}

impl Capacity for String {
    fn capacity_bytes(&self) -> usize {
        self.capacity()
    }

    fn used_bytes(&self) -> usize {
        self.len()
    }
}

/// Of the table alone, with a byte of control per entry.
impl<K, V, S> Capacity for HashMap<K, V, S> {
    fn capacity_bytes(&self) -> usize {
        self.capacity().saturating_mul(size_of::<(K, V)>() + 1)
    }

    fn used_bytes(&self) -> usize {
        self.len().saturating_mul(size_of::<(K, V)>() + 1)
    }
}

/// Of the table alone, with a byte of control per entry.
impl<T, S> Capacity for HashSet<T, S> {
    fn capacity_bytes(&self) -> usize {
        self.capacity().saturating_mul(size_of::<T>() + 1)
    }

    fn used_bytes(&self) -> usize {
        self.len().saturating_mul(size_of::<T>() + 1)
    }
}

/// None: its nodes are freed when it is cleared.
impl<K, V> Capacity for BTreeMap<K, V> {
    fn capacity_bytes(&self) -> usize {
        0
    }
}

impl<T: Capacity, const N: usize> Capacity for [T; N] {
    fn capacity_bytes(&self) -> usize {
        self.iter().map(Capacity::capacity_bytes).sum()
    }

    fn used_bytes(&self) -> usize {
        self.iter().map(Capacity::used_bytes).sum()
    }
}

impl<T: Capacity> Capacity for Box<T> {
    fn capacity_bytes(&self) -> usize {
        size_of::<T>() + (**self).capacity_bytes()
    }

    fn used_bytes(&self) -> usize {
        size_of::<T>() + (**self).used_bytes()
    }
}

/// When an object that comes back is dropped for its size; by
/// [`PoolBuilder::oversize`](crate::PoolBuilder::oversize).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Oversize {
    /// Above so many bytes.
    HardCap(usize),
    /// When it used less than a quarter of what it holds, four times in a row; 4 KiB it may always
    /// hold. So at least a twentieth of all kept memory is used. After Go's `jsontext`.
    Utilisation,
    /// Above what 95 % of the objects used, counted in powers of two and anew every few thousand
    /// returns. After valyala's `bytebufferpool`.
    Calibrated,
}

/// Bytes an object may hold however little it uses: what a page and a short read have.
const FREE_BYTES: usize = 4 << 10;

/// Part of what it holds that an object has to use.
const USED_PART: usize = 4;

/// Times in a row that an object may use less: one small request between large ones says nothing.
const STRIKES: u8 = 4;

/// Places for strikes, by the object's address: two objects on one place share them, and one that
/// is used well spares the other for a while. 256 bytes per pool.
const STRIKE_PLACES: usize = 256;

/// Returns between two calibrations: the 95th percentile has 200 returns above it then.
const CALIBRATION: usize = 4096;

/// Powers of two that are told apart, from 64 bytes to 64 GiB and above.
const BINS: usize = 31;
const BIN_FIRST: u32 = 6;

/// A policy with what it remembers.
pub(crate) enum SizeCheck {
    HardCap(usize),
    Utilisation(Box<[AtomicU8; STRIKE_PLACES]>),
    Calibrated(Box<Histogram>),
}

/// Returns by the power of two of what they used.
pub(crate) struct Histogram {
    bins: [AtomicUsize; BINS],
    returns: AtomicUsize,
    /// Above it an object is dropped.
    most_bytes: AtomicUsize,
}

impl SizeCheck {
    pub(crate) fn new(policy: Oversize) -> SizeCheck {
        match policy {
            Oversize::HardCap(bytes) => SizeCheck::HardCap(bytes),
            Oversize::Utilisation => {
                SizeCheck::Utilisation(Box::new([const { AtomicU8::new(0) }; STRIKE_PLACES]))
            }
            Oversize::Calibrated => SizeCheck::Calibrated(Box::new(Histogram {
                bins: [const { AtomicUsize::new(0) }; BINS],
                returns: AtomicUsize::new(0),
                most_bytes: AtomicUsize::new(usize::MAX),
            })),
        }
    }

    /// Whether an object is too large to keep. Asked once per return.
    pub(crate) fn refuses<T: Capacity>(&self, object: &T) -> bool {
        let capacity = object.capacity_bytes();
        match self {
            SizeCheck::HardCap(bytes) => capacity > *bytes,
            SizeCheck::Utilisation(places) => {
                let used = object.used_bytes();
                let place = &places[place_of(core::ptr::from_ref(object).addr())];
                // Relaxed: strikes order nothing; one that is lost comes again.
                if capacity <= FREE_BYTES || used >= capacity / USED_PART {
                    place.store(0, Ordering::Relaxed);
                    return false;
                }
                let strikes = place.load(Ordering::Relaxed) + 1;
                let refused = strikes >= STRIKES;
                place.store(if refused { 0 } else { strikes }, Ordering::Relaxed);
                refused
            }
            SizeCheck::Calibrated(histogram) => {
                histogram.note(object.used_bytes());
                capacity > histogram.most_bytes.load(Ordering::Relaxed)
            }
        }
    }
}

/// Objects lie in slots of 16 bytes and more, most of them of 128.
fn place_of(address: usize) -> usize {
    (address >> 4 ^ address >> 12) % STRIKE_PLACES
}

fn bin_of(bytes: usize) -> usize {
    let bits = usize::BITS - bytes.saturating_sub(1).leading_zeros();
    (bits.saturating_sub(BIN_FIRST) as usize).min(BINS - 1)
}

impl Histogram {
    fn note(&self, used: usize) {
        // Relaxed: sums that order nothing.
        self.bins[bin_of(used)].fetch_add(1, Ordering::Relaxed);
        let returns = self.returns.fetch_add(1, Ordering::Relaxed) + 1;
        if returns % CALIBRATION == 0 {
            self.calibrate();
        }
    }

    fn calibrate(&self) {
        // Halved, so that what was long ago counts less and less.
        let halves = self.bins.each_ref().map(|bin| {
            let count = bin.load(Ordering::Relaxed);
            bin.fetch_sub(count / 2, Ordering::Relaxed);
            count
        });
        let total: usize = halves.iter().sum();
        let mut seen = 0;
        let bin = halves.iter().position(|count| {
            seen += count;
            seen * 20 >= total * 19
        });
        let bin = bin.unwrap_or(BINS - 1) as u32;
        // A buffer that doubles ends at the power of two above what it holds.
        let most = 1_usize.checked_shl(bin + BIN_FIRST).unwrap_or(usize::MAX);
        self.most_bytes.store(most, Ordering::Relaxed);
    }
}
