//! Scripted work of each type through its `try_` doors. Every refusal is noted and the script goes
//! on; contents are checked before anything is given back.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;

use flagstone::pages::Pages;
use flagstone::{AllocError, Arena, ArenaPool, ArenaString, ArenaVec, Check, Heap, Pool, Slab};

/// What was refused, and why.
#[derive(Default)]
pub(crate) struct Refusals {
    pub(crate) errors: Vec<AllocError>,
    /// Refusals by methods that answer `None`.
    pub(crate) silent: usize,
}

impl Refusals {
    pub(crate) fn count(&self) -> usize {
        self.errors.len() + self.silent
    }

    fn note<V>(&mut self, result: Result<V, AllocError>) -> Option<V> {
        result.map_err(|error| self.errors.push(error)).ok()
    }

    fn note_none<V>(&mut self, option: Option<V>) -> Option<V> {
        self.silent += usize::from(option.is_none());
        option
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// A live block with what its first and last byte hold.
struct Block {
    ptr: NonNull<u8>,
    layout: Layout,
    mark: u8,
}

impl Block {
    fn new(ptr: NonNull<u8>, layout: Layout, mark: u8) -> Block {
        // SAFETY: callers pass a live block of this layout, which is not empty.
        unsafe {
            ptr.write(mark);
            ptr.add(layout.size() - 1).write(mark);
        }
        Block { ptr, layout, mark }
    }

    fn check(&self) {
        // SAFETY: as in `new`.
        let ends = unsafe { (self.ptr.read(), self.ptr.add(self.layout.size() - 1).read()) };
        assert_eq!(ends, (self.mark, self.mark), "{:?}", self.layout);
    }
}

/// Every path of a heap that can want memory: slabs of several sizes and their successors, large
/// and huge blocks, zeroed ones, stacks, growing and shrinking in place and by moving.
pub(crate) fn heap(heap: &Heap) -> Refusals {
    let mut refusals = Refusals::default();
    let mut held = Vec::with_capacity(1000);
    let sizes = [
        (16, 300),
        (100, 60),
        (1024, 40),
        (5000, 40),
        (32 << 10, 20),
        (40 << 10, 6),
        (300 << 10, 6),
        (1 << 20, 8),
        (1100 << 10, 4),
        (9 << 20, 1),
    ];
    for (size, count) in sizes {
        for number in 0..count {
            let layout = layout(size);
            let result = if number % 2 == 0 {
                heap.allocate(layout)
            } else {
                heap.allocate_zeroed(layout)
            };
            if let Some(block) = refusals.note(result) {
                held.push(Block::new(block.cast(), layout, number as u8));
            }
        }
    }
    for (number, block) in held.iter_mut().enumerate() {
        block.check();
        let longer = number % 3 != 0;
        let size = block.layout.size();
        let new = layout(if longer { size * 3 / 2 + 8 } else { size / 2 });
        // SAFETY: live blocks of these layouts; after a refusal the block is as it was.
        let moved = unsafe {
            match longer {
                true => heap.grow(block.ptr, block.layout, new),
                false => heap.shrink(block.ptr, block.layout, new),
            }
        };
        if let Some(moved) = refusals.note(moved) {
            // SAFETY: the first byte was kept.
            assert_eq!(unsafe { moved.cast::<u8>().read() }, block.mark);
            *block = Block::new(moved.cast(), new, block.mark);
        }
        block.check();
    }
    for block in held {
        block.check();
        // SAFETY: live, of this layout.
        unsafe { heap.deallocate(block.ptr, block.layout) };
    }
    assert_eq!(heap.stats().allocated, 0);
    refusals
}

/// Every form of an arena, with chunks that double, spans of their own and growing vectors.
pub(crate) fn arena(arena: &Arena) -> Refusals {
    let mut refusals = Refusals::default();
    let mut words: Vec<(u64, &mut u64)> = Vec::with_capacity(20_000);
    let mut growing = ArenaVec::new_in(arena);
    let mut text = ArenaString::new_in(arena);
    for number in 0..20_000u64 {
        let word = refusals.note(arena.try_alloc(number));
        words.extend(word.map(|word| (number, word)));
        if refusals.note(growing.try_push(number)).is_none() {
            break;
        }
    }
    for number in 0..200 {
        if refusals.note(text.try_push_str("flagstone ")).is_none() {
            break;
        }
        let _ = refusals.note(arena.try_alloc_fmt(format_args!("{number}")));
    }
    for size in [100, 10 << 10, 100 << 10, 700 << 10, 3 << 20] {
        let bytes = vec![size as u8; size];
        if let Some(copy) = refusals.note(arena.try_alloc_slice_copy(&bytes)) {
            assert_eq!(copy, bytes);
        }
        let _ = refusals.note(arena.try_alloc_slice_fill_with(size, |at| at as u8));
        let _ = refusals.note(arena.try_alloc_from_iter(0..size as u32 / 8));
    }
    let counted = Arc::new(());
    let boxed = refusals.note(arena.try_alloc_box(Arc::clone(&counted)));
    drop(boxed);
    let _ = refusals.note(arena.try_alloc_owned(Arc::clone(&counted)));
    assert!(
        Arc::strong_count(&counted) <= 2,
        "a refused value is dropped"
    );
    assert!(growing.iter().copied().eq(0..growing.len() as u64));
    assert_eq!(text.as_str(), "flagstone ".repeat(text.len() / 10));
    assert!(words.iter().all(|(number, word)| **word == *number));
    refusals
}

/// Handles, owned handles and keys.
pub(crate) fn slab(slab: &mut Slab<[u64; 40]>) -> Refusals {
    let mut refusals = Refusals::default();
    let mut keys = Vec::with_capacity(3000);
    let mut owned = Vec::with_capacity(3000);
    {
        let mut slots = Vec::with_capacity(3000);
        for number in 0..3000 {
            let value = [number; 40];
            let returned = |refused: flagstone::Refused<[u64; 40]>| {
                assert_eq!(refused.value, value, "the value comes back");
                refused.error
            };
            slots.extend(refusals.note(slab.try_alloc(value).map_err(returned)));
            owned.extend(refusals.note(slab.try_alloc_owned(value).map_err(returned)));
            let key = refusals.note(slab.try_insert(value).map_err(returned));
            keys.extend(key.map(|key| (key, number)));
        }
        assert!(slots.iter().all(|slot| slot[0] == slot[39]));
    }
    assert_eq!(slab.len(), keys.len());
    for (key, number) in keys {
        assert_eq!(slab.remove(key), Some([number; 40]));
    }
    drop(owned);
    assert!(slab.is_empty());
    refusals
}

/// Objects in guards, prefilled ones, and their way back.
pub(crate) fn pool(pool: &Pool<Vec<u8>>) -> Refusals {
    let mut refusals = Refusals::default();
    let mut guards = Vec::with_capacity(5000);
    for number in 0..5000 {
        if let Some(mut guard) = refusals.note_none(pool.try_get()) {
            guard.push(number as u8);
            guards.push(guard);
        }
    }
    assert!(guards.iter().all(|guard| guard.len() == 1));
    drop(guards);
    let _ = refusals.note(pool.try_prefill(6000));
    assert_eq!(pool.stats().outstanding, 0);
    refusals
}

/// Arenas in guards, each with work.
pub(crate) fn arena_pool(pool: &ArenaPool) -> Refusals {
    let mut refusals = Refusals::default();
    let mut guards = Vec::with_capacity(100);
    for number in 0..100u64 {
        if let Some(arena) = refusals.note_none(pool.try_get()) {
            let word = refusals.note(arena.try_alloc(number)).map(|word| *word);
            assert!(word.is_none_or(|word| word == number));
            let _ = refusals.note(arena.try_alloc_slice_fill_copy(50 << 10, 7u8));
            guards.push(arena);
        }
    }
    drop(guards);
    assert_eq!(pool.stats().outstanding, 0);
    refusals
}

/// An owner of memory with its script.
pub(crate) trait Owner {
    const NAME: &'static str;
    fn over(pages: &'static Pages) -> Self;
    fn work(&mut self) -> Refusals;
    /// Gives back what is cached; everything the script took was given back by itself.
    fn settle(&mut self);
}

/// A heap with full checks.
pub(crate) struct Checked(Heap);

impl Owner for Heap {
    const NAME: &'static str = "Heap";
    fn over(pages: &'static Pages) -> Heap {
        Heap::builder().pages(pages).build().unwrap()
    }
    fn work(&mut self) -> Refusals {
        heap(self)
    }
    fn settle(&mut self) {
        self.trim();
        assert_eq!(self.stats().active, 0);
    }
}

impl Owner for Checked {
    const NAME: &'static str = "Heap with Check::Full";
    fn over(pages: &'static Pages) -> Checked {
        let builder = Heap::builder().pages(pages).check(Check::Full);
        Checked(builder.build().unwrap())
    }
    fn work(&mut self) -> Refusals {
        heap(&self.0)
    }
    fn settle(&mut self) {
        self.0.settle();
    }
}

impl Owner for Arena {
    const NAME: &'static str = "Arena";
    fn over(pages: &'static Pages) -> Arena {
        Arena::builder().pages(pages).build().unwrap()
    }
    fn work(&mut self) -> Refusals {
        let refusals = arena(self);
        self.reset();
        assert_eq!(self.used_bytes(), 0);
        refusals
    }
    fn settle(&mut self) {
        self.trim();
        assert_eq!(self.capacity_bytes(), 0);
    }
}

impl Owner for Slab<[u64; 40]> {
    const NAME: &'static str = "Slab";
    fn over(pages: &'static Pages) -> Slab<[u64; 40]> {
        Slab::with_pages(pages)
    }
    fn work(&mut self) -> Refusals {
        slab(self)
    }
    fn settle(&mut self) {
        self.trim();
        assert_eq!(self.active_bytes(), 0);
    }
}

impl Owner for Pool<Vec<u8>> {
    const NAME: &'static str = "Pool";
    fn over(pages: &'static Pages) -> Pool<Vec<u8>> {
        Pool::builder(Vec::new as fn() -> Vec<u8>)
            .pages(pages)
            .build()
    }
    fn work(&mut self) -> Refusals {
        pool(self)
    }
    fn settle(&mut self) {
        self.trim(0);
        assert_eq!(self.stats().idle, 0);
    }
}

impl Owner for ArenaPool {
    const NAME: &'static str = "ArenaPool";
    fn over(pages: &'static Pages) -> ArenaPool {
        let arena = move || Arena::over(pages);
        ArenaPool::from(Pool::builder_with(arena).pages(pages).build())
    }
    fn work(&mut self) -> Refusals {
        arena_pool(self)
    }
    fn settle(&mut self) {
        self.trim(0);
        assert_eq!(self.stats().idle, 0);
    }
}
