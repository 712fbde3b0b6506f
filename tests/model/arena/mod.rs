//! Streams over [`Arena`], side by side with bumpalo: the same contents, disjoint, aligned.
//!
//! Both arenas get every request. Lists, strings and blocks stay open while other things are
//! allocated and grow in between, also while a claim is open, because that is what one growing end
//! is for. Scopes, claims and checkpoints nest; what was made outside them stays under watch. At
//! the end of each, and at each reset, everything is compared, including what was written long
//! before, and the values that the arena dropped are counted.
//!
//! The file knows how arenas begin, nest and end; `things` what lies in one of them.
//!
//! Length: one step per operation of the arena, and nothing else.

mod things;

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use bumpalo::Bump;
use flagstone::{AllocError, Arena, ArenaBuilder, BufferArena, Claim, Scope};

use super::ranges::Ranges;
use things::{Thing, Things};

/// Bytes between two resets, so that a long stream stays a small process.
const EPOCH_BYTES_MAX: usize = 4 << 20;
/// Scopes, claims and checkpoints within each other.
const DEPTH_MAX: usize = 4;
/// The limit of arenas that have one: small enough to be hit by most streams.
const LIMIT_BYTES: usize = 200 << 10;

/// One step.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    what: What,
    /// In a claim: it happens in the arena that the claim is of.
    outside: bool,
}

/// What a step does. Lengths count values, `which` counts modulo what is there.
#[derive(Clone, Copy, Debug)]
enum What {
    Word(u64),
    Struct(u64),
    Byte(u8),
    /// One value aligned to 64 bytes.
    Wide(u8),
    Text(usize),
    Slice(usize),
    /// A slice of words from an iterator; with `nested`, one that allocates.
    Iterator {
        len: usize,
        nested: bool,
    },
    /// A slice of so many pairs of bytes from a closure.
    FillWith {
        len: usize,
        nested: bool,
    },
    Format(u32),
    /// A value that its closure does not make, or makes after it allocated.
    TryWith {
        size: u8,
        fails: bool,
        nested: bool,
    },
    /// So many values and strings through a session, which is forgotten or not.
    Session {
        count: usize,
        forgotten: bool,
    },
    /// A value that the arena drops.
    Owned,
    /// A value that its box drops, now or later.
    Boxed {
        now: bool,
    },
    Unbox(usize),
    /// Lists.
    Open {
        capacity: usize,
    },
    Push {
        which: usize,
        count: usize,
    },
    Insert {
        which: usize,
        at: usize,
    },
    Close(usize),
    /// Strings.
    OpenText,
    PushText {
        which: usize,
        len: usize,
    },
    CloseText(usize),
    /// A list that knows the arena only as an `Allocator`.
    Foreign {
        which: usize,
        count: usize,
    },
    /// Blocks by layout.
    Allocate {
        layout: Layout,
        zeroed: bool,
    },
    Grow {
        which: usize,
        layout: Layout,
        zeroed: bool,
    },
    Shrink {
        which: usize,
        layout: Layout,
    },
    Free(usize),
    /// Opens something that ends with `End`, or with the epoch.
    Claim,
    Scope,
    Checkpoint,
    End,
    /// Forgets everything in the innermost arena that can be reset.
    Reset,
    /// Goes on with another arena, of these settings.
    Renew(u32),
}

impl Op {
    /// Any three integers are a step.
    pub fn from_raw(kind: u8, a: u32, b: u32) -> Op {
        Op {
            what: What::from_raw(kind, a, b),
            outside: a >> 30 == 1,
        }
    }
}

impl What {
    fn from_raw(kind: u8, a: u32, b: u32) -> What {
        let which = a as usize;
        // Mostly short, now and then longer than a first chunk.
        let len = match b as u8 {
            0..=199 => (b >> 8) as usize % 65,
            200..=249 => (b >> 8) as usize % 1025,
            _ => (b >> 8) as usize % (48 << 10),
        };
        let nested = a % 3 == 0;
        let size = b as u8;
        match kind {
            0..=29 => What::Word(u64::from(a)),
            30..=44 => What::Struct(u64::from(a)),
            45..=54 => What::Byte(a as u8),
            55..=59 => What::Wide(a as u8),
            60..=79 => What::Text(len),
            80..=89 => What::Slice(len / 8),
            90..=94 => What::Iterator {
                len: len / 8,
                nested,
            },
            95..=99 => What::FillWith {
                len: len / 2,
                nested,
            },
            100..=104 => What::Format(a),
            105..=112 => What::TryWith {
                size,
                fails: b & 256 != 0,
                nested,
            },
            113..=119 => What::Session {
                count: len,
                forgotten: a % 16 == 0,
            },
            120..=124 => What::Owned,
            125..=129 => What::Boxed { now: nested },
            130..=131 => What::Unbox(which),
            132..=234 => What::on_something_open(kind, a, b, len),
            235..=238 => What::Claim,
            239..=241 => What::Scope,
            242..=243 => What::Checkpoint,
            244..=250 => What::End,
            // Rarely, so that an epoch outgrows its first chunks.
            _ if a % 16 == 0 => What::Renew(b),
            _ if a % 8 == 1 => What::Reset,
            _ => What::Word(u64::from(b)),
        }
    }

    /// The kinds from 132 to 234.
    fn on_something_open(kind: u8, a: u32, b: u32, len: usize) -> What {
        let which = a as usize;
        let zeroed = a % 2 == 0;
        let align = 1 << [0, 0, 1, 2, 3, 3, 4, 6, 12, a >> 8 & 7][a as usize / 2 % 10];
        let layout = Layout::from_size_align(len, align).expect("a small layout");
        match kind {
            ..=137 if a % 3 == 0 => What::Open { capacity: len / 8 },
            ..=137 => What::Open { capacity: 0 },
            138..=161 => What::Push {
                which,
                count: len / 4,
            },
            162..=164 => What::Insert { which, at: len },
            165..=169 => What::Close(which),
            170..=173 => What::OpenText,
            174..=185 => What::PushText {
                which,
                len: len / 2,
            },
            186..=189 => What::CloseText(which),
            190..=195 => What::Foreign {
                which,
                count: len / 4,
            },
            196..=211 => What::Allocate { layout, zeroed },
            212..=221 => What::Grow {
                which: b as usize >> 16,
                layout,
                zeroed,
            },
            222..=227 => What::Shrink {
                which: b as usize >> 16,
                layout,
            },
            _ => What::Free(which),
        }
    }
}

// ---- The stream ---------------------------------------------------------------------------------

/// What all levels of one epoch share.
struct Stream<'s> {
    ops: &'s mut dyn Iterator<Item = Op>,
    bump: &'s Bump,
    dropped: &'s Arc<Mutex<Vec<u32>>>,
    /// The name of the next value that somebody drops.
    serial: u32,
    used: usize,
    is_limited: bool,
}

/// Why a level came to its end.
#[derive(Clone, Copy, Debug)]
enum Ended {
    /// An `End`, or nothing special.
    Level,
    /// A scope begins.
    Scope,
    /// A reset of the innermost arena.
    Reset,
    /// The epoch is over; with the settings of the next arena, if there is to be another.
    Epoch(Option<u32>),
    Stream,
}

impl Stream<'_> {
    /// What came of a request: `None` is a refusal, which only a limit may cause.
    fn allowed<T>(&self, result: Result<T, AllocError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(AllocError::OwnerLimit { .. }) if self.is_limited => None,
            Err(error) => panic!("{error} without a limit"),
        }
    }

    /// The values that were dropped since the last call.
    fn take_dropped(&self) -> Vec<u32> {
        std::mem::take(&mut self.dropped.lock().expect("no drop panics"))
    }

    /// What an arena owned was dropped, newest first, and nothing else.
    fn check_dropped(&self, owned: &[u32]) {
        let newest_first: Vec<u32> = owned.iter().rev().copied().collect();
        assert_eq!(self.take_dropped(), newest_first);
    }
}

/// An arena outside the innermost one, which stays usable: that of a claim.
trait Outside {
    fn apply(&mut self, stream: &mut Stream<'_>, what: What);
}

impl<const M: usize> Outside for Things<'_, M> {
    fn apply(&mut self, stream: &mut Stream<'_>, what: What) {
        Things::apply(self, stream, what);
    }
}

/// An arena that can be borrowed whole.
trait Whole<const M: usize> {
    fn arena(&self) -> &Arena<M>;
    fn scope(&mut self, body: &mut dyn FnMut(Scope<'_, M>));
    fn can_reset(&self) -> bool;
    fn reset(&mut self);
}

macro_rules! whole {
    ($type:ty, $reset:expr) => {
        impl<const M: usize> Whole<M> for $type {
            fn arena(&self) -> &Arena<M> {
                self
            }
            fn scope(&mut self, body: &mut dyn FnMut(Scope<'_, M>)) {
                self.scope(|inner| body(inner));
            }
            fn can_reset(&self) -> bool {
                let reset: Option<fn(&mut Self)> = $reset;
                reset.is_some()
            }
            fn reset(&mut self) {
                let reset: Option<fn(&mut Self)> = $reset;
                reset.expect("asked before")(self);
            }
        }
    };
}

whole!(Arena<M>, Some(|arena| arena.reset()));
whole!(BufferArena<'_, M>, Some(|arena| arena.reset()));
whole!(Claim<'_, M>, Some(|arena| arena.reset()));
whole!(Scope<'_, M>, None);

/// Runs the stream in one arena until it ends, and checks everything that was made in it. Returns
/// the values that it still owns.
fn run_whole<const M: usize>(
    stream: &mut Stream<'_>,
    whole: &mut dyn Whole<M>,
    mut outside: Option<&mut (dyn Outside + '_)>,
    depth: usize,
) -> (Ended, Vec<u32>) {
    let mut frozen: Vec<Thing> = Vec::new();
    let mut owned = Vec::new();
    loop {
        let mut things = Things::new(whole.arena());
        let mut ended = run_level(stream, &mut things, reborrow(&mut outside), depth);
        things.freeze(stream, &mut frozen, &mut owned);
        if matches!(ended, Ended::Scope) {
            let mut after = Ended::Level;
            let mut inner_owned = Vec::new();
            let used_bytes = whole.arena().used_bytes();
            whole.scope(&mut |mut inner| {
                let outside = reborrow(&mut outside);
                (after, inner_owned) = run_whole(stream, &mut inner, outside, depth + 1);
            });
            stream.check_dropped(&inner_owned);
            things::check(&frozen);
            assert_eq!(whole.arena().used_bytes(), used_bytes);
            match after {
                Ended::Epoch(_) | Ended::Stream => ended = after,
                _ => continue,
            }
        }
        things::check(&frozen);
        if matches!(ended, Ended::Reset) && !whole.can_reset() {
            continue;
        }
        things::spoil(&frozen);
        if !matches!(ended, Ended::Reset) {
            return (ended, owned);
        }
        whole.reset();
        stream.check_dropped(&owned);
        owned.clear();
        frozen.clear();
    }
}

fn reborrow<'s>(
    outside: &'s mut Option<&mut (dyn Outside + '_)>,
) -> Option<&'s mut (dyn Outside + 's)> {
    match outside {
        Some(outside) => Some(&mut **outside),
        None => None,
    }
}

/// Runs the stream until the level ends; claims and checkpoints are levels of their own.
fn run_level<const M: usize>(
    stream: &mut Stream<'_>,
    things: &mut Things<'_, M>,
    mut outside: Option<&mut (dyn Outside + '_)>,
    depth: usize,
) -> Ended {
    loop {
        let Some(Op {
            what,
            outside: is_outside,
        }) = stream.ops.next()
        else {
            return Ended::Stream;
        };
        let inner = match what {
            _ if stream.used > EPOCH_BYTES_MAX => return Ended::Epoch(None),
            What::Renew(settings) => return Ended::Epoch(Some(settings)),
            What::Reset => return Ended::Reset,
            What::End if depth > 0 => return Ended::Level,
            What::Scope if depth < DEPTH_MAX => return Ended::Scope,
            What::Claim if depth < DEPTH_MAX => run_claim(stream, things, depth),
            What::Checkpoint if depth < DEPTH_MAX => run_checkpoint(stream, things, depth),
            _ => {
                match &mut outside {
                    Some(outside) if is_outside => outside.apply(stream, what),
                    _ => things.apply(stream, what),
                }
                Ended::Level
            }
        };
        if matches!(inner, Ended::Epoch(_) | Ended::Stream) {
            return inner;
        }
    }
}

fn run_claim<const M: usize>(
    stream: &mut Stream<'_>,
    things: &mut Things<'_, M>,
    depth: usize,
) -> Ended {
    let mut claim = things.arena().claim();
    let (ended, owned) = run_whole(stream, &mut claim, Some(things), depth + 1);
    drop(claim);
    stream.check_dropped(&owned);
    ended
}

fn run_checkpoint<const M: usize>(
    stream: &mut Stream<'_>,
    things: &mut Things<'_, M>,
    depth: usize,
) -> Ended {
    let arena = things.arena();
    let used_bytes = arena.used_bytes();
    // Blocks and lists of before may not grow in place, but they may grow.
    let checkpoint = arena.checkpoint();
    let (mut frozen, mut owned) = (Vec::new(), Vec::new());
    let mut inner = Things::new(arena);
    let ended = loop {
        match run_level(stream, &mut inner, None, depth + 1) {
            // No whole arena is in reach here.
            Ended::Scope | Ended::Reset => {}
            ended => break ended,
        }
    };
    inner.freeze(stream, &mut frozen, &mut owned);
    things::check(&frozen);
    things::spoil(&frozen);
    // SAFETY: of this arena, of which no session and no claim is open; what was made since is
    // forgotten by everybody.
    unsafe { arena.rewind(checkpoint) };
    assert_eq!(arena.used_bytes(), used_bytes);
    stream.check_dropped(&owned);
    ended
}

/// One arena's life, until the stream ends or asks for another: its settings, then.
fn run_arena<const M: usize>(
    stream: &mut Stream<'_>,
    arena: &mut dyn Whole<M>,
) -> (Ended, Vec<u32>) {
    let (ended, owned) = run_whole(stream, arena, None, 0);
    let stats = arena.arena().stats();
    assert!(stats.spare_bytes <= stats.capacity_bytes);
    (ended, owned)
}

/// Runs epochs with arenas of one minimum alignment until the settings change.
fn run_settings<const M: usize>(ops: &mut dyn Iterator<Item = Op>, settings: u32) -> Ended {
    let bump = &mut Bump::new();
    let dropped = Arc::default();
    let is_limited = settings & 4 != 0;
    let builder = builder(settings);
    let mut buffer = vec![MaybeUninit::uninit(); (settings >> 8) as usize % 9000];
    let mut serial = 0;
    let in_buffer = settings & 8 != 0;
    let mut arena: Arena<M> = builder.build_with_min_align().expect("no capacity");
    let mut over: BufferArena<'_, M> = builder.build_in_with_min_align(&mut buffer);
    loop {
        let mut stream = Stream {
            ops,
            bump,
            dropped: &dropped,
            serial,
            used: 0,
            is_limited,
        };
        let (ended, owned) = if in_buffer {
            let (ended, owned) = run_arena(&mut stream, &mut over);
            over.reset();
            (ended, owned)
        } else {
            let (ended, owned) = run_arena(&mut stream, &mut arena);
            arena.reset();
            assert_eq!(arena.used_bytes(), 0);
            if settings & 16 != 0 {
                arena.trim();
                assert_eq!(arena.capacity_bytes(), 0);
            }
            (ended, owned)
        };
        stream.check_dropped(&owned);
        serial = stream.serial;
        bump.reset();
        if !matches!(ended, Ended::Epoch(None)) {
            return ended;
        }
    }
}

fn builder(settings: u32) -> ArenaBuilder {
    let mut builder = Arena::builder();
    if settings & 4 != 0 {
        builder = builder.limit_bytes(LIMIT_BYTES);
    }
    match settings >> 5 & 7 {
        0 => builder.keep_bytes(0),
        1 => builder.keep_bytes(100 << 10),
        2 => builder.keep_recent(),
        3 => builder.merge_chunks(),
        4 => builder.merge_chunks().keep_bytes(50 << 10),
        _ => builder,
    }
}

/// Runs a stream on arenas and a `Bump` of their own.
pub fn run(ops: impl IntoIterator<Item = Op>) {
    let ops = &mut ops.into_iter();
    let mut settings = 0;
    loop {
        let ended = match settings & 3 {
            0 | 1 => run_settings::<8>(ops, settings),
            2 => run_settings::<1>(ops, settings),
            _ => run_settings::<16>(ops, settings),
        };
        match ended {
            Ended::Epoch(Some(next)) => settings = next,
            _ => return,
        }
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
