//! Survivors here and there: a trim returns what lies between them, and it serves again.

use std::alloc::Layout;
use std::ptr::NonNull;

use flagstone::pages::{HeapSource, MmapSource, PageSource, Pages};
use flagstone::{AllocError, Check, Heap, Slab};

use crate::common::random::Random;
use crate::{resident, turn};

/// One of so many blocks survives.
const SURVIVORS: usize = 20;
const TOTAL: usize = 24 << 20;

fn pages_over(source: &'static dyn PageSource) -> &'static Pages {
    Box::leak(Box::new(Pages::new(source)))
}

/// Blocks of a heap that know what they hold.
struct Blocks<'h> {
    heap: &'h Heap,
    all: Vec<Option<(NonNull<u8>, Layout)>>,
}

impl<'h> Blocks<'h> {
    /// Blocks of these sizes by turns, `total` bytes in all.
    fn fill(heap: &'h Heap, sizes: &[usize], total: usize) -> Blocks<'h> {
        let mut blocks = Blocks {
            heap,
            all: Vec::new(),
        };
        let mut sum = 0;
        while sum < total {
            let size = sizes[blocks.all.len() % sizes.len()];
            let layout = Layout::from_size_align(size, 16).unwrap();
            let block = blocks.take(layout).expect("memory");
            blocks.all.push(Some((block, layout)));
            sum += size;
        }
        blocks
    }

    fn take(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let block = self.heap.allocate(layout)?.cast::<u8>();
        // SAFETY: just allocated, this long.
        unsafe { block.write_bytes(block.addr().get() as u8 | 1, layout.size()) };
        Ok(block)
    }

    fn check(&self) {
        for (block, layout) in self.all.iter().flatten() {
            // SAFETY: a live block, written whole by `take`.
            let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), layout.size()) };
            let byte = block.addr().get() as u8 | 1;
            // The ends and each page; all of it would take most of the test's time.
            let ends = [bytes[0], bytes[layout.size() - 1]];
            assert!(
                ends.into_iter()
                    .chain(bytes.iter().copied().step_by(509))
                    .all(|b| b == byte)
            );
        }
    }

    /// Frees all but one in `SURVIVORS`, drawn by lot; returns the layouts of what is free then.
    fn scatter(&mut self, random: &mut Random) -> Vec<Layout> {
        let heap = self.heap;
        let lot = self.all.iter_mut().filter_map(|block| {
            if random.below(SURVIVORS) == 0 {
                return None;
            }
            let (start, layout) = block.take()?;
            // SAFETY: a live block of this heap.
            unsafe { heap.deallocate(start, layout) };
            Some(layout)
        });
        lot.collect()
    }

    /// Takes blocks of these layouts again, as far as there are.
    fn refill(&mut self, layouts: &[Layout]) -> usize {
        let before = self.all.len();
        for layout in layouts {
            let Ok(block) = self.take(*layout) else { break };
            self.all.push(Some((block, *layout)));
        }
        self.all.len() - before
    }

    fn free_all(&mut self) {
        for (block, layout) in self.all.drain(..).flatten() {
            // SAFETY: a live block of this heap.
            unsafe { self.heap.deallocate(block, layout) };
        }
    }
}

/// What `of` returns comes to at least so many percent of what it could.
#[track_caller]
fn assert_share(part: usize, whole: usize, percent: usize) {
    assert!(part * 100 >= whole * percent, "{part} of {whole} bytes");
}

#[test]
fn a_trim_returns_what_lies_between_survivors() {
    let _turn = turn();
    let cases: [(&[usize], usize); 5] = [
        (&[512, 1024, 2048], 75),
        (&[4096], 90),
        (&[5000, 9000], 85),
        (&[16 << 10], 90),
        (&[20_000, 32 << 10], 90),
    ];
    let mut random = Random::new(1);
    for (sizes, percent) in cases {
        let pages = pages_over(&MmapSource);
        let heap = Heap::builder().pages(pages).build().unwrap();
        let start = resident();
        let mut blocks = Blocks::fill(&heap, sizes, TOTAL);
        let full = resident() - start;
        let freed = blocks.scatter(&mut random);
        let returned = heap.trim();
        let left = resident().saturating_sub(start);
        assert_share(full.saturating_sub(left), full, percent);
        assert_share(returned, full, percent);
        let stats = pages.stats();
        assert!(
            stats.active <= stats.charged && stats.charged <= full / 3,
            "{sizes:?} {stats}"
        );
        assert_eq!(heap.trim(), 0, "{sizes:?}: nothing twice");
        blocks.check();
        assert_eq!(blocks.refill(&freed), freed.len());
        blocks.check();
        let again = pages.stats().charged;
        assert_share(again, full, 90);
        // Slabs that still have holes go, too.
        blocks.scatter(&mut random);
        heap.trim();
        blocks.free_all();
        drop(heap);
        pages.trim();
        assert_eq!(
            (pages.stats().active, pages.stats().charged),
            (0, 0),
            "{sizes:?}"
        );
    }
}

#[test]
fn a_slabs_trim_returns_what_lies_between_its_values() {
    let _turn = turn();
    let pages = pages_over(&MmapSource);
    let slab = Slab::with_pages(pages);
    let start = resident();
    let mut values: Vec<_> = (0..TOTAL >> 10)
        .map(|n| Some(slab.alloc([n as u8; 1000])))
        .collect();
    let full = resident() - start;
    let mut random = Random::new(2);
    for value in &mut values {
        if random.below(SURVIVORS) != 0 {
            *value = None;
        }
    }
    let returned = slab.trim() + pages.trim();
    assert_share(returned, full, 70);
    assert_share(
        full.saturating_sub(resident().saturating_sub(start)),
        full,
        70,
    );
    for (n, value) in values.iter_mut().enumerate() {
        let kept = value.get_or_insert_with(|| slab.alloc([n as u8; 1000]));
        assert!(kept.iter().all(|byte| *byte == n as u8));
    }
}

/// What was given up counts for nobody, and is counted again before it is used.
#[test]
fn what_lies_between_survivors_serves_others_under_a_limit() {
    const LIMIT: usize = 8 << 20;
    let _turn = turn();
    let pages = pages_over(&MmapSource);
    pages.set_limit(Some(LIMIT));
    let heap = Heap::builder().pages(pages).build().unwrap();
    let mut blocks = Blocks::fill(&heap, &[2048], LIMIT - (1 << 20));
    let freed = blocks.scatter(&mut Random::new(3));
    heap.trim();
    let other = Heap::builder().pages(pages).build().unwrap();
    let unit = Layout::from_size_align(256 << 10, 16).unwrap();
    let mut others = Vec::new();
    while let Ok(block) = other.allocate(unit) {
        others.push(block.cast::<u8>());
    }
    assert_share(others.len() * unit.size(), LIMIT, 70);
    // Nothing is left but the slots beside survivors: one or so of each page that is in memory.
    let few = blocks.refill(&freed);
    assert!(few > 0 && few < freed.len() / 2, "{few} of {}", freed.len());
    assert!(pages.stats().charged <= LIMIT);
    blocks.check();
    for block in others.drain(..) {
        // SAFETY: allocated above.
        unsafe { other.deallocate(block, unit) };
    }
    drop(other);
    assert_eq!(blocks.refill(&freed[few..]), freed.len() - few);
    blocks.check();
    blocks.free_all();
    drop(heap);
    pages.trim();
    assert_eq!((pages.stats().active, pages.stats().charged), (0, 0));
}

/// A heap's own limit counts no hole either.
#[test]
fn a_heaps_limit_counts_what_is_there() {
    const LIMIT: usize = 4 << 20;
    let _turn = turn();
    let pages = pages_over(&MmapSource);
    let heap = Heap::builder()
        .pages(pages)
        .limit_bytes(LIMIT)
        .build()
        .unwrap();
    let mut blocks = Blocks::fill(&heap, &[1024], LIMIT / 8 * 7);
    let freed = blocks.scatter(&mut Random::new(4));
    heap.trim();
    assert!(heap.stats().active < LIMIT / 3, "{}", heap.stats());
    let wide = vec![Layout::from_size_align(200 << 10, 16).unwrap(); 10];
    assert_eq!(blocks.refill(&wide), wide.len());
    blocks.refill(&freed);
    assert!(heap.stats().active <= LIMIT, "{}", heap.stats());
    blocks.check();
    blocks.free_all();
}

/// Freed memory is filled there, and verified when it is handed out again.
#[test]
fn with_full_checks_pages_between_survivors_stay() {
    let _turn = turn();
    let pages = pages_over(&MmapSource);
    let heap = Heap::builder()
        .pages(pages)
        .check(Check::Full)
        .build()
        .unwrap();
    let mut blocks = Blocks::fill(&heap, &[600, 4096], 2 << 20);
    let freed = blocks.scatter(&mut Random::new(5));
    let before = pages.stats().active;
    heap.trim();
    assert_share(pages.stats().active, before, 50);
    assert_eq!(blocks.refill(&freed), freed.len());
    blocks.check();
    blocks.free_all();
}

#[test]
fn a_source_that_keeps_its_pages_changes_nothing() {
    let _turn = turn();
    let pages = pages_over(&HeapSource);
    let heap = Heap::builder().pages(pages).build().unwrap();
    let mut blocks = Blocks::fill(&heap, &[2048], 1 << 20);
    let freed = blocks.scatter(&mut Random::new(6));
    assert_eq!(heap.trim(), 0);
    assert_share(pages.stats().active, 1 << 20, 50);
    assert_eq!(blocks.refill(&freed), freed.len());
    blocks.check();
    blocks.free_all();
}
