//! Streams over [`Arena`], side by side with bumpalo: the same contents, disjoint, aligned.
//!
//! Both arenas get every request. Vectors stay open while other things are allocated and grow in
//! between, because that is what one growing end is for. At each reset, and at the end, everything
//! is compared, including what was written long before.

use std::alloc::Layout;
use std::ptr::NonNull;

use allocator_api2::vec::Vec as VecIn;
use bumpalo::Bump;
use flagstone::{Arena, ArenaVec};

use super::{pattern, ranges::Ranges};

/// Bytes between two resets, so that a long stream stays a small process.
const EPOCH_BYTES_MAX: usize = 4 << 20;
/// Vectors open at once: two can alternate at the growing end, a third and fourth are in the way.
const VECTORS_MAX: usize = 4;

/// One step.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// One value of eight bytes.
    Word(u64),
    /// One value of 48 bytes.
    Struct(u64),
    /// One value of one byte.
    Byte(u8),
    /// One value aligned to 64 bytes.
    Wide(u8),
    /// A string of this many bytes.
    Text(usize),
    /// A slice of this many words.
    Slice(usize),
    /// A slice of this many words, from an iterator.
    Iterator(usize),
    /// A formatted string.
    Format(u32),
    /// Opens a vector.
    Open,
    /// Pushes on an open vector.
    Push {
        /// Which one, modulo the open ones.
        which: usize,
        /// How many values.
        count: usize,
    },
    /// Turns an open vector into a slice.
    Close(usize),
    /// Pushes on a vector that knows the arena only as an `Allocator`.
    Foreign(usize),
    /// Forgets everything.
    Reset,
}

impl Op {
    /// Any three integers are a step.
    pub fn from_raw(kind: u8, a: u32, b: u32) -> Op {
        // Mostly short, now and then longer than a first chunk.
        let len = match b as u8 {
            0..=199 => (b >> 8) as usize % 65,
            200..=249 => (b >> 8) as usize % 1025,
            _ => (b >> 8) as usize % (48 << 10),
        };
        match kind {
            0..=49 => Op::Word(u64::from(a)),
            50..=79 => Op::Struct(u64::from(a)),
            80..=94 => Op::Byte(a as u8),
            95..=99 => Op::Wide(a as u8),
            100..=129 => Op::Text(len),
            130..=149 => Op::Slice(len / 8),
            150..=159 => Op::Iterator(len / 8),
            160..=169 => Op::Format(a),
            170..=181 => Op::Open,
            182..=233 => Op::Push {
                which: a as usize,
                count: len / 4,
            },
            234..=243 => Op::Close(a as usize),
            244..=251 => Op::Foreign(len / 4),
            // Rarely, so that an epoch outgrows its first chunks.
            252..=255 if a % 16 == 0 => Op::Reset,
            252..=255 => Op::Word(u64::from(b)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
struct Wide([u8; 64]);

/// Everything of one epoch, twice.
#[derive(Default)]
struct Things<'a, 'b> {
    words: Vec<(&'a mut [u64], &'b mut [u64])>,
    texts: Vec<(&'a mut str, &'b mut str)>,
    bytes: Vec<(&'a mut u8, &'b mut u8)>,
    wides: Vec<(&'a mut Wide, &'b mut Wide)>,
    open: Vec<(ArenaVec<'a, u64>, Vec<u64>)>,
    foreign: Vec<(VecIn<u64, &'a Arena>, Vec<u64>)>,
    used: usize,
}

impl<'a, 'b> Things<'a, 'b> {
    fn apply(&mut self, op: Op, arena: &'a Arena, bump: &'b Bump) {
        self.used += 64;
        match op {
            Op::Word(n) => {
                let (ours, theirs) = (arena.alloc([n]), bump.alloc([n]));
                self.words.push((&mut ours[..], &mut theirs[..]));
            }
            Op::Struct(n) => {
                let (ours, theirs) = (arena.alloc([n; 6]), bump.alloc([n; 6]));
                self.words.push((&mut ours[..], &mut theirs[..]));
            }
            Op::Byte(n) => self.bytes.push((arena.alloc(n), bump.alloc(n))),
            Op::Wide(n) => {
                let wide = Wide([n; 64]);
                self.wides
                    .push((arena.alloc_with(|| wide), bump.alloc_with(|| wide)));
            }
            Op::Text(len) => {
                let text: String = (0..len)
                    .map(|i| (b'a' + pattern(9, i) % 26) as char)
                    .collect();
                self.used += len;
                self.texts
                    .push((arena.alloc_str(&text), bump.alloc_str(&text)));
            }
            Op::Slice(len) => {
                let words: Vec<u64> = (0..len as u64).collect();
                self.used += len * 8;
                self.words.push((
                    arena.alloc_slice_copy(&words),
                    bump.alloc_slice_copy(&words),
                ));
            }
            Op::Iterator(len) => {
                let words = (0..len).map(|n| (n * n) as u64);
                self.used += len * 8;
                let theirs = bump.alloc_slice_fill_iter(words.clone());
                self.words.push((arena.alloc_from_iter(words), theirs));
            }
            Op::Format(n) => {
                let theirs = bump.alloc_str(&format!("{n}-{n:x}"));
                self.texts
                    .push((arena.alloc_fmt(format_args!("{n}-{n:x}")), theirs));
            }
            _ => self.apply_to_vector(op, arena, bump),
        }
    }

    fn apply_to_vector(&mut self, op: Op, arena: &'a Arena, bump: &'b Bump) {
        match op {
            Op::Open if self.open.len() < VECTORS_MAX => {
                self.open.push((ArenaVec::new_in(arena), Vec::new()));
            }
            Op::Push { which, count } if !self.open.is_empty() => {
                let at = which % self.open.len();
                let (ours, oracle) = &mut self.open[at];
                for n in 0..count as u64 {
                    ours.push(n ^ 0x55);
                    oracle.push(n ^ 0x55);
                }
                // Twice, since growing may leave the old place behind.
                self.used += count * 16;
            }
            Op::Close(which) if !self.open.is_empty() => {
                let (ours, oracle) = self.open.swap_remove(which % self.open.len());
                self.words
                    .push((ours.into_slice(), bump.alloc_slice_copy(&oracle)));
            }
            Op::Foreign(count) => {
                if self.foreign.len() < VECTORS_MAX {
                    self.foreign.push((VecIn::new_in(arena), Vec::new()));
                }
                let at = count % self.foreign.len();
                let (ours, oracle) = &mut self.foreign[at];
                ours.extend(0..count as u64);
                oracle.extend(0..count as u64);
                if count % 7 == 0 {
                    ours.truncate(count / 2);
                    oracle.truncate(count / 2);
                    ours.shrink_to_fit();
                }
                self.used += count * 16;
            }
            _ => {}
        }
    }

    /// Compares everything, then writes through every reference: none may alias another.
    fn check(mut self) {
        let mut ranges = Ranges::default();
        for (ours, theirs) in &mut self.words {
            assert_eq!(ours, theirs);
            insert(&mut ranges, ours, align_of::<u64>());
            ours.fill(0xEE);
        }
        for (ours, theirs) in &self.texts {
            assert_eq!(ours, theirs);
            insert(&mut ranges, ours.as_bytes(), 1);
        }
        for (ours, theirs) in &mut self.bytes {
            assert_eq!(ours, theirs);
            insert(&mut ranges, std::slice::from_ref(&**ours), 1);
            **ours = 0xEE;
        }
        for (ours, theirs) in &self.wides {
            assert_eq!(ours, theirs);
            insert(&mut ranges, std::slice::from_ref(&**ours), 64);
        }
        for (ours, oracle) in &self.open {
            assert_eq!(&ours[..], &oracle[..]);
            insert(&mut ranges, &ours[..], align_of::<u64>());
        }
        for (ours, oracle) in &self.foreign {
            assert_eq!(&ours[..], &oracle[..]);
            insert(&mut ranges, &ours[..], align_of::<u64>());
        }
    }
}

fn insert<T>(ranges: &mut Ranges, things: &[T], align: usize) {
    assert_eq!(things.as_ptr() as usize % align, 0);
    ranges.insert(things.as_ptr() as usize, size_of_val(things));
}

/// Runs a stream on an arena and a `Bump` of their own.
pub fn run(ops: impl IntoIterator<Item = Op>) {
    let (mut arena, mut bump) = (Arena::new(), Bump::new());
    let mut ops = ops.into_iter();
    let mut more = true;
    while more {
        let mut things = Things::default();
        loop {
            match ops.next() {
                None => more = false,
                Some(Op::Reset) => {}
                Some(op) => {
                    things.apply(op, &arena, &bump);
                    if things.used < EPOCH_BYTES_MAX {
                        continue;
                    }
                }
            }
            break;
        }
        things.check();
        arena.reset();
        bump.reset();
    }
}

/// Blocks by layout: sizes and alignments that no typed call reaches.
pub fn run_layouts(layouts: impl IntoIterator<Item = Layout>) {
    use allocator_api2::alloc::Allocator;
    let arena = Arena::new();
    let mut ranges = Ranges::default();
    for layout in layouts {
        let block: NonNull<[u8]> = Allocator::allocate(&&arena, layout).expect("memory");
        let start = block.cast::<u8>();
        assert_eq!(start.as_ptr() as usize % layout.align(), 0, "{layout:?}");
        ranges.insert(start.as_ptr() as usize, layout.size());
        // SAFETY: the arena gave at least `layout.size()` bytes.
        unsafe { start.write_bytes(0xAB, layout.size()) };
    }
}
