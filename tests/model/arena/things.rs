//! What lies in one arena, ours and the oracle's, and what one step does to it.
//!
//! Length: one kind of thing per form of allocation, each with its oracle.

use std::alloc::Layout;
use std::cell::RefCell;
use std::fmt::Write;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use allocator_api2::vec::Vec as VecIn;
use bumpalo::Bump;
use flagstone::{Arena, ArenaBox, ArenaString, ArenaVec};

use super::super::{pattern, ranges::Ranges};
use super::{Stream, What};

/// Lists, strings or blocks open at once: two can alternate at the growing end, a third and fourth
/// are in the way.
const OPEN_MAX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
struct Wide([u8; 64]);

/// Writes its name down when it is dropped.
pub(super) struct Noted {
    name: u32,
    notes: Arc<Mutex<Vec<u32>>>,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.notes.lock().expect("no drop panics").push(self.name);
    }
}

/// Something that does not change any more: so many bytes here and there, the same.
pub(super) struct Thing {
    ours: NonNull<u8>,
    theirs: NonNull<u8>,
    bytes: usize,
    align: usize,
}

/// Compares everything, and where it lies.
pub(super) fn check(things: &[Thing]) {
    let mut ranges = Ranges::default();
    for thing in things {
        let start = thing.ours.as_ptr() as usize;
        assert_eq!(start % thing.align, 0);
        ranges.insert(start, thing.bytes);
        // SAFETY: both are alive and so long, and nobody writes to them.
        let (ours, theirs) = unsafe {
            (
                std::slice::from_raw_parts(thing.ours.as_ptr(), thing.bytes),
                std::slice::from_raw_parts(thing.theirs.as_ptr(), thing.bytes),
            )
        };
        assert!(ours == theirs, "contents differ");
    }
}

/// Overwrites everything, so that what is handed out again is not by chance as it should be.
pub(super) fn spoil(things: &[Thing]) {
    for thing in things {
        // SAFETY: alive and so long, and nobody else uses it any more.
        unsafe { thing.ours.write_bytes(0xEE, thing.bytes) };
    }
}

/// A block that may still grow, shrink and end, filled with a pattern.
struct Block {
    ptr: NonNull<u8>,
    layout: Layout,
    tag: u64,
}

impl Block {
    fn paint(&self) {
        // SAFETY: a live block of its layout.
        (0..self.layout.size()).for_each(|i| unsafe {
            self.ptr.byte_add(i).write(pattern(self.tag, i));
        });
    }

    fn check(&self, ptr: NonNull<u8>, bytes: usize) {
        // SAFETY: a live block of so many bytes.
        let painted = |i| unsafe { ptr.byte_add(i).read() } == pattern(self.tag, i);
        assert!((0..bytes).all(painted), "a block changed");
    }
}

/// Everything in one arena.
pub(super) struct Things<'a, const M: usize> {
    arena: &'a Arena<M>,
    done: Vec<Thing>,
    lists: Vec<(ArenaVec<'a, u64, M>, Vec<u64>)>,
    texts: Vec<(ArenaString<'a, M>, String)>,
    foreign: Vec<(VecIn<u64, &'a Arena<M>>, Vec<u64>)>,
    blocks: Vec<Block>,
    boxes: Vec<(ArenaBox<'a, Noted>, u32)>,
    /// The names of the values that the arena will drop.
    owned: Vec<u32>,
}

fn words(from: u64, count: usize) -> Vec<u64> {
    (from..from + count as u64).collect()
}

fn text(len: usize) -> String {
    (0..len)
        .map(|i| (b'a' + pattern(9, i) % 26) as char)
        .collect()
}

impl<'a, const M: usize> Things<'a, M> {
    pub(super) fn new(arena: &'a Arena<M>) -> Self {
        Things {
            arena,
            done: Vec::new(),
            lists: Vec::new(),
            texts: Vec::new(),
            foreign: Vec::new(),
            blocks: Vec::new(),
            boxes: Vec::new(),
            owned: Vec::new(),
        }
    }

    pub(super) fn arena(&self) -> &'a Arena<M> {
        self.arena
    }

    /// Puts something, made by both, under watch.
    fn keep<T: ?Sized>(&mut self, ours: &'a mut T, theirs: &mut T) {
        assert_eq!(size_of_val(ours), size_of_val(theirs));
        self.done.push(Thing {
            bytes: size_of_val(ours),
            align: align_of_val(ours),
            ours: NonNull::from(ours).cast(),
            theirs: NonNull::from(theirs).cast(),
        });
    }

    fn keep_some<T: ?Sized>(&mut self, ours: Option<&'a mut T>, theirs: &mut T) {
        if let Some(ours) = ours {
            self.keep(ours, theirs);
        }
    }

    pub(super) fn apply(&mut self, stream: &mut Stream<'_>, what: What) {
        let (arena, bump) = (self.arena, stream.bump);
        stream.used += 64;
        match what {
            // The forms that panic instead where nothing refuses.
            What::Word(n) if !stream.is_limited => self.keep(arena.alloc([n]), bump.alloc([n])),
            What::Wide(n) if !stream.is_limited => {
                let wide = Wide([n; 64]);
                self.keep(arena.alloc_with(|| wide), bump.alloc_with(|| wide));
            }
            What::Word(n) => {
                self.keep_some(stream.allowed(arena.try_alloc([n])), bump.alloc([n]));
            }
            What::Struct(n) => {
                self.keep_some(stream.allowed(arena.try_alloc([n; 6])), bump.alloc([n; 6]));
            }
            What::Byte(n) => self.keep_some(stream.allowed(arena.try_alloc(n)), bump.alloc(n)),
            What::Wide(n) => {
                let wide = Wide([n; 64]);
                let ours = stream.allowed(arena.try_alloc_with(|| wide));
                self.keep_some(ours, bump.alloc(wide));
            }
            What::Text(len) => {
                let text = text(len);
                stream.used += len;
                self.keep_some(
                    stream.allowed(arena.try_alloc_str(&text)),
                    bump.alloc_str(&text),
                );
            }
            What::Slice(len) => {
                let words = words(3, len);
                stream.used += len * 8;
                let ours = stream.allowed(arena.try_alloc_slice_copy(&words));
                self.keep_some(ours, bump.alloc_slice_copy(&words));
            }
            What::Format(n) => {
                let ours = stream.allowed(arena.try_alloc_fmt(format_args!("{n}-{n:x}")));
                self.keep_some(ours, bump.alloc_str(&format!("{n}-{n:x}")));
            }
            What::Iterator { .. } | What::FillWith { .. } | What::TryWith { .. } => {
                self.apply_closure(stream, what);
            }
            What::Session { count, forgotten } => self.apply_session(stream, count, forgotten),
            What::Owned | What::Boxed { .. } | What::Unbox(_) => self.apply_dropped(stream, what),
            What::Allocate { .. } | What::Grow { .. } | What::Shrink { .. } | What::Free(_) => {
                self.apply_block(stream, what);
            }
            What::Foreign { which, count } => self.apply_foreign(stream, which, count),
            What::OpenText | What::PushText { .. } | What::CloseText(_) => {
                self.apply_text(stream, what);
            }
            _ => self.apply_list(stream, what),
        }
        assert!(isize::try_from(arena.used_bytes()).is_ok(), "below zero");
    }

    fn apply_closure(&mut self, stream: &mut Stream<'_>, what: What) {
        let (arena, bump) = (self.arena, stream.bump);
        let among: RefCell<Vec<(&'a mut [u64; 2], u64)>> = RefCell::default();
        // What a closure allocates in the same arena.
        let allocate = |nested: bool, n: u64| {
            if let (true, Ok(pair)) = (nested, arena.try_alloc([n; 2])) {
                among.borrow_mut().push((pair, n));
            }
        };
        match what {
            What::Iterator { len, nested } => {
                let values = (0..len as u64).map(|n| {
                    allocate(nested && n % 5 == 0, n);
                    n * n
                });
                let ours = stream.allowed(arena.try_alloc_from_iter(values));
                stream.used += len * 16;
                let theirs = bump.alloc_slice_fill_with(len, |n| (n * n) as u64);
                self.keep_some(ours, theirs);
            }
            What::FillWith { len, nested } => {
                let ours = arena.try_alloc_slice_fill_with(len, |n| {
                    allocate(nested && n % 5 == 0, n as u64);
                    [n as u8; 2]
                });
                stream.used += len * 5;
                let theirs = bump.alloc_slice_fill_with(len, |n| [n as u8; 2]);
                self.keep_some(stream.allowed(ours), theirs);
            }
            What::TryWith {
                size,
                fails,
                nested,
            } => {
                let n = u64::from(size);
                let inside = || {
                    allocate(nested, n);
                    if fails { Err(n) } else { Ok(()) }
                };
                macro_rules! form {
                    ($value:expr) => {{
                        let made = arena.try_alloc_try_with(|| inside().map(|()| $value));
                        match stream.allowed(made) {
                            Some(Ok(ours)) => self.keep(ours, bump.alloc($value)),
                            Some(Err(error)) => assert_eq!((error, fails), (n, true)),
                            None => {}
                        }
                    }};
                }
                match size % 8 {
                    0 => form!([n; 600]),
                    1 => form!([size; 20_000]),
                    2 => form!([Wide([size; 64]); 2]),
                    3 => form!([size; 3]),
                    _ => form!([n; 4]),
                }
            }
            _ => {}
        }
        for (ours, n) in among.into_inner() {
            self.keep(ours, bump.alloc([n; 2]));
        }
    }

    fn apply_session(&mut self, stream: &mut Stream<'_>, count: usize, forgotten: bool) {
        let (arena, bump) = (self.arena, stream.bump);
        let mut session = arena.session();
        for n in 0..count as u64 % 100 {
            stream.used += 24;
            self.keep_some(stream.allowed(session.try_alloc([n])), bump.alloc([n]));
            if n % 7 == 0 && !stream.is_limited {
                let text = text(n as usize * 3);
                stream.used += text.len();
                self.keep(session.alloc_str(&text), bump.alloc_str(&text));
                let words = words(n, 5);
                self.keep(
                    session.alloc_slice_copy(&words),
                    bump.alloc_slice_copy(&words),
                );
            }
            if n % 11 == 0 {
                self.keep_some(
                    stream.allowed(arena.try_alloc(n as u8)),
                    bump.alloc(n as u8),
                );
                self.apply_list(stream, What::Push { which: 0, count: 2 });
            }
        }
        if forgotten {
            std::mem::forget(session);
        }
    }

    fn apply_dropped(&mut self, stream: &mut Stream<'_>, what: What) {
        let name = stream.serial;
        stream.serial += 1;
        let notes = Arc::clone(stream.dropped);
        let noted = Noted { name, notes };
        match what {
            What::Owned => match stream.allowed(self.arena.try_alloc_owned(noted)) {
                Some(ours) => {
                    assert_eq!(ours.name, name);
                    self.owned.push(name);
                }
                None => assert_eq!(stream.take_dropped(), [name]),
            },
            What::Boxed { now } => match stream.allowed(self.arena.try_alloc_box(noted)) {
                Some(ours) if now => {
                    drop(ours);
                    assert_eq!(stream.take_dropped(), [name]);
                }
                Some(ours) => self.boxes.push((ours, name)),
                None => assert_eq!(stream.take_dropped(), [name]),
            },
            What::Unbox(which) => {
                drop(noted);
                assert_eq!(stream.take_dropped(), [name]);
                if !self.boxes.is_empty() {
                    let (ours, name) = self.boxes.swap_remove(which % self.boxes.len());
                    assert_eq!(ArenaBox::into_inner(ours).name, name);
                    assert_eq!(stream.take_dropped(), [name]);
                }
            }
            _ => {}
        }
    }

    fn apply_list(&mut self, stream: &mut Stream<'_>, what: What) {
        match what {
            What::Open { capacity } if self.lists.len() < OPEN_MAX => {
                let list = ArenaVec::try_with_capacity_in(capacity, self.arena);
                stream.used += capacity * 8;
                let list = stream.allowed(list).map(|list| (list, Vec::new()));
                self.lists.extend(list);
            }
            What::Push { which, count } if !self.lists.is_empty() => {
                let at = which % self.lists.len();
                let (ours, oracle) = &mut self.lists[at];
                for n in 0..count as u64 {
                    if stream.allowed(ours.try_push(n ^ 0x55)).is_some() {
                        oracle.push(n ^ 0x55);
                    }
                }
                // Twice, since growing may leave the old place behind.
                stream.used += count * 16;
                assert_eq!(ours[..], oracle[..]);
            }
            What::Insert { which, at } if !self.lists.is_empty() => {
                let list = which % self.lists.len();
                let (ours, oracle) = &mut self.lists[list];
                let at = at % (oracle.len() + 1);
                if stream.allowed(ours.try_reserve(1)).is_some() {
                    ours.insert(at, 7);
                    oracle.insert(at, 7);
                }
                if at % 3 == 0 {
                    ours.truncate(at);
                    oracle.truncate(at);
                }
                let added = words(1, at % 40);
                if stream.allowed(ours.try_extend_from_slice(&added)).is_some() {
                    oracle.extend_from_slice(&added);
                }
            }
            What::Close(which) if !self.lists.is_empty() => {
                let (ours, oracle) = self.lists.swap_remove(which % self.lists.len());
                self.keep(ours.into_slice(), stream.bump.alloc_slice_copy(&oracle));
            }
            _ => {}
        }
    }

    fn apply_text(&mut self, stream: &mut Stream<'_>, what: What) {
        match what {
            What::OpenText if self.texts.len() < OPEN_MAX => {
                self.texts
                    .push((ArenaString::new_in(self.arena), String::new()));
            }
            What::PushText { which, len } if !self.texts.is_empty() => {
                let at = which % self.texts.len();
                let (ours, oracle) = &mut self.texts[at];
                let text = text(len);
                stream.used += len * 2;
                if stream.allowed(ours.try_push_str(&text)).is_some() {
                    oracle.push_str(&text);
                }
                if stream.allowed(ours.try_push('ß')).is_some() {
                    oracle.push('ß');
                }
                if ours.try_reserve(30).is_ok() {
                    write!(ours, "{len:>20}").expect("there is room");
                    write!(oracle, "{len:>20}").expect("there is room");
                }
                if len % 5 == 0 {
                    assert_eq!(ours.pop(), oracle.pop());
                }
                assert_eq!(**ours, **oracle);
            }
            What::CloseText(which) if !self.texts.is_empty() => {
                let (ours, oracle) = self.texts.swap_remove(which % self.texts.len());
                self.keep(ours.into_str(), stream.bump.alloc_str(&oracle));
            }
            _ => {}
        }
    }

    fn apply_foreign(&mut self, stream: &mut Stream<'_>, which: usize, count: usize) {
        if self.foreign.len() < OPEN_MAX {
            self.foreign.push((VecIn::new_in(self.arena), Vec::new()));
        }
        let at = which % self.foreign.len();
        let (ours, oracle) = &mut self.foreign[at];
        stream.used += count * 16;
        if ours.try_reserve(count).is_err() {
            assert!(stream.is_limited);
            return;
        }
        ours.extend(words(0, count));
        oracle.extend(words(0, count));
        match count % 7 {
            0 => {
                ours.truncate(count / 2);
                oracle.truncate(count / 2);
                ours.shrink_to_fit();
            }
            1 => {
                let (ours, oracle) = self.foreign.swap_remove(at);
                assert_eq!(ours[..], oracle[..]);
            }
            _ => {}
        }
    }

    fn apply_block(&mut self, stream: &mut Stream<'_>, what: What) {
        let arena = self.arena;
        let tag = u64::from(stream.serial);
        stream.serial += 1;
        let picked = |which: usize| (!self.blocks.is_empty()).then(|| which % self.blocks.len());
        match what {
            What::Allocate { layout, zeroed } => {
                stream.used += layout.size() + layout.align();
                let block = match zeroed {
                    true => arena.allocate_zeroed(layout),
                    false => arena.allocate(layout),
                };
                if let Some(block) = stream.allowed(block) {
                    assert!(!zeroed || zeroes(block, 0), "not zero");
                    self.add_block(block, layout, tag);
                }
            }
            What::Grow {
                which,
                layout,
                zeroed,
            } => {
                let Some(at) = picked(which) else { return };
                let Block {
                    ptr, layout: old, ..
                } = self.blocks[at];
                let new = Layout::from_size_align(old.size() + layout.size(), layout.align());
                let new = new.expect("a small layout");
                stream.used += new.size() + new.align();
                // SAFETY: a live block of its layout, forgotten below if this succeeds.
                let grown = unsafe {
                    match zeroed {
                        true => arena.grow_zeroed(ptr, old, new),
                        false => arena.grow(ptr, old, new),
                    }
                };
                if let Some(grown) = stream.allowed(grown) {
                    let block = self.blocks.swap_remove(at);
                    block.check(grown.cast(), old.size());
                    assert!(!zeroed || zeroes(grown, old.size()), "not zero");
                    self.add_block(grown, new, tag);
                }
            }
            What::Shrink { which, layout } => {
                let Some(at) = picked(which) else { return };
                let Block {
                    ptr, layout: old, ..
                } = self.blocks[at];
                let size = layout.size().min(old.size());
                let new = Layout::from_size_align(size, layout.align()).expect("a small layout");
                stream.used += new.size() + new.align();
                // SAFETY: a live block of its layout, forgotten below if this succeeds.
                let shrunk = unsafe { arena.shrink(ptr, old, new) };
                if let Some(shrunk) = stream.allowed(shrunk) {
                    let block = self.blocks.swap_remove(at);
                    block.check(shrunk.cast(), size);
                    self.add_block(shrunk, new, tag);
                }
            }
            What::Free(which) => {
                let Some(at) = picked(which) else { return };
                let block = self.blocks.swap_remove(at);
                block.check(block.ptr, block.layout.size());
                // SAFETY: a live block of its layout, not used any more.
                unsafe { arena.deallocate(block.ptr, block.layout) };
            }
            _ => {}
        }
    }

    fn add_block(&mut self, block: NonNull<[u8]>, layout: Layout, tag: u64) {
        let ptr = block.cast::<u8>();
        assert_eq!(block.len(), layout.size());
        assert_eq!(ptr.as_ptr() as usize % layout.align(), 0);
        let block = Block { ptr, layout, tag };
        block.paint();
        self.blocks.push(block);
    }

    /// Ends everything that is open and puts it under watch with the rest; boxes are dropped.
    pub(super) fn freeze(
        mut self,
        stream: &mut Stream<'_>,
        frozen: &mut Vec<Thing>,
        owned: &mut Vec<u32>,
    ) {
        let bump: &Bump = stream.bump;
        for (ours, oracle) in std::mem::take(&mut self.lists) {
            self.keep(ours.into_slice(), bump.alloc_slice_copy(&oracle));
        }
        for (ours, oracle) in std::mem::take(&mut self.texts) {
            self.keep(ours.into_str(), bump.alloc_str(&oracle));
        }
        for (ours, oracle) in std::mem::take(&mut self.foreign) {
            self.keep(ours.leak(), bump.alloc_slice_copy(&oracle));
        }
        for block in std::mem::take(&mut self.blocks) {
            let Block { ptr, layout, tag } = block;
            let theirs = bump.alloc_slice_fill_with(layout.size(), |i| pattern(tag, i));
            self.done.push(Thing {
                ours: ptr,
                theirs: NonNull::from(theirs).cast(),
                bytes: layout.size(),
                align: layout.align(),
            });
        }
        for (ours, name) in std::mem::take(&mut self.boxes) {
            assert_eq!(ours.name, name);
            drop(ours);
            assert_eq!(stream.take_dropped(), [name]);
        }
        let bytes: usize = self.done.iter().map(|thing| thing.bytes).sum();
        assert!(bytes <= self.arena.used_bytes());
        for thing in self.done.iter().filter(|thing| thing.bytes > 0) {
            assert!(self.arena.contains(thing.ours.as_ptr()));
        }
        frozen.append(&mut self.done);
        owned.append(&mut self.owned);
    }
}

/// Whether a block reads zero from an offset on.
fn zeroes(block: NonNull<[u8]>, from: usize) -> bool {
    // SAFETY: a live block whose bytes from there on were cleared; those before are not looked at.
    (from..block.len()).all(|i| unsafe { block.cast::<u8>().byte_add(i).read() } == 0)
}
