//! Objects that own no memory, each with a number, by which it is seen that all are dropped once.
//!
//! Whenever one is made, recycled or dropped all room for magazines there is may be taken: that is
//! as often as a pool runs code of others.

use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use flagstone::pages::{MmapSource, Pages};
use flagstone::{Keep, Mode, Pool, Recycle, RecycleHook};

/// Objects of one run at most: each of some hundred steps may make some hundred.
const NUMBERS: usize = 1 << 16;

static MADE: AtomicUsize = AtomicUsize::new(0);
static DROPS: [AtomicU8; NUMBERS] = [const { AtomicU8::new(0) }; NUMBERS];
/// Objects are of the generation in which they were made.
static GENERATION: AtomicUsize = AtomicUsize::new(0);

/// How often objects were made, recycled or dropped in a run, and when room for magazines begins to
/// be taken and is given back.
static EVENTS: AtomicUsize = AtomicUsize::new(0);
static SCARCE: [AtomicUsize; 2] = [const { AtomicUsize::new(usize::MAX) }; 2];

/// Takes room for magazines without end. Its own objects lie on pages of their own.
static HOG: LazyLock<Pool<u8, RecycleHook<u8>>> = LazyLock::new(|| {
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(&MmapSource)));
    let builder = Pool::builder(|| 0).recycle_with(|_| Keep::Yes);
    let builder = builder.mode(Mode::Always).pages(pages);
    builder.idle(0..=usize::MAX).build()
});

pub(crate) struct Object {
    number: usize,
    generation: usize,
    taken: bool,
}

/// Forgets all objects there were.
pub(crate) fn reset() {
    let made = MADE.swap(0, Ordering::Relaxed);
    for drops in &DROPS[..made] {
        drops.store(0, Ordering::Relaxed);
    }
}

/// Until all objects are forgotten there is no room for magazines, and none on the process's pages,
/// from one event to another.
pub(crate) fn be_scarce(events: Range<usize>) {
    // Made now, with memory.
    HOG.trim(0);
    EVENTS.store(0, Ordering::Relaxed);
    SCARCE[0].store(events.start, Ordering::Relaxed);
    SCARCE[1].store(events.end, Ordering::Relaxed);
}

/// The end of scarcity; how many events there were.
pub(crate) fn be_plentiful() -> usize {
    SCARCE
        .iter()
        .for_each(|event| event.store(usize::MAX, Ordering::Relaxed));
    flagstone::set_limit(None);
    HOG.trim(0);
    EVENTS.load(Ordering::Relaxed)
}

fn on_event() {
    let event = EVENTS.fetch_add(1, Ordering::Relaxed);
    let [from, to] = [&SCARCE[0], &SCARCE[1]].map(|event| event.load(Ordering::Relaxed));
    if (from..to).contains(&event) {
        flagstone::set_limit(Some(0));
        HOG.prefill(usize::MAX);
    }
    if event == to {
        flagstone::set_limit(None);
        HOG.trim(0);
    }
}

/// From now on older objects are not to be handed out.
pub(crate) fn begin_generation() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

fn drops() -> impl Iterator<Item = u8> {
    let made = MADE.load(Ordering::Relaxed);
    DROPS[..made]
        .iter()
        .map(|drops| drops.load(Ordering::Relaxed))
}

/// Objects that were not dropped yet.
pub(crate) fn alive() -> u64 {
    drops().filter(|drops| *drops == 0).count() as u64
}

pub(crate) fn check_all_dropped() {
    assert!(drops().all(|drops| drops == 1), "one each");
}

impl Object {
    pub(crate) fn new() -> Object {
        on_event();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        assert!(number < NUMBERS, "more than a run needs");
        Object {
            number,
            generation: GENERATION.load(Ordering::Relaxed),
            taken: false,
        }
    }

    /// To be called once per get.
    pub(crate) fn take(&mut self) {
        assert!(!self.taken, "handed out twice, or dirty");
        self.taken = true;
        let generation = GENERATION.load(Ordering::Relaxed);
        assert_eq!(self.generation, generation, "an old one");
    }
}

impl Recycle for Object {
    fn recycle(&mut self) -> Keep {
        on_event();
        self.taken = false;
        Keep::Yes
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        on_event();
        let before = DROPS[self.number].fetch_add(1, Ordering::Relaxed);
        assert_eq!(before, 0, "dropped twice");
    }
}
