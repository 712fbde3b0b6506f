//! The bad case: a decoder per request, made for the request's own schema, so that only every
//! twentieth can be used again; and it is cheap to make.
//!
//! A pool has nothing to give here: it clears, stores, finds and judges 20 objects for one that is
//! used twice. `Mode::Auto`, the default, measures that and stops pooling; `advice` says why, in
//! words that tell whether to do without. `Mode::Always` shows what it would have cost,
//! `Mode::Never` what a pool that is passed by costs. The scenario fails when Auto has not noticed.

use flagstone::{Keep, Mode, Pool, RecycleHook, Verdict};

use crate::measure::{Effort, compare, way};

/// One request in so many has the schema of the one before.
const REUSED_ONE_IN: u32 = 20;

/// Entries of a decoder's table, and those that a request touches.
const FIELDS: usize = 1024;
const TOUCHED: usize = 16;

struct Decoder {
    schema: u32,
    fields: [u16; FIELDS],
    total: u64,
}

impl Decoder {
    fn new() -> Decoder {
        Decoder {
            schema: 0,
            fields: [0; FIELDS],
            total: 0,
        }
    }

    fn decode(&mut self, request: u32) -> u64 {
        self.schema = request;
        for (index, field) in self.fields.iter_mut().take(TOUCHED).enumerate() {
            *field = (request >> (index % 8)) as u16;
        }
        let touched = self.fields.iter().take(TOUCHED);
        self.total = touched.map(|&field| u64::from(field)).sum();
        self.total
    }

    /// What a decoder does when it comes back: nothing of a request may be left in it. Almost
    /// always it then says that nobody else can use it.
    fn recycle(&mut self) -> Keep {
        self.fields.fill(0);
        if self.schema % REUSED_ONE_IN == 0 {
            Keep::Yes
        } else {
            Keep::Discard
        }
    }
}

type Decoders = Pool<Decoder, RecycleHook<Decoder>>;

fn pool(mode: Mode) -> Decoders {
    Pool::builder(Decoder::new)
        .recycle_with(Decoder::recycle)
        .mode(mode)
        .name("decoders")
        .build()
}

fn decode_all(pool: &Decoders, requests: usize) -> u64 {
    (0..requests as u32).fold(0, |sum, request| {
        sum + std::hint::black_box(&mut pool.get()).decode(request)
    })
}

pub(crate) fn run(effort: Effort) {
    let without = || -> Box<dyn FnMut(usize) -> u64> {
        Box::new(|requests| {
            (0..requests as u32).fold(0, |sum, request| {
                // On the heap, as whatever outlives its function is.
                let mut decoder = Box::new(Decoder::new());
                sum + std::hint::black_box(&mut decoder).decode(request)
            })
        })
    };
    let with = |mode| {
        move || -> Box<dyn FnMut(usize) -> u64> {
            let pool = pool(mode);
            Box::new(move |requests| decode_all(&pool, requests))
        }
    };
    compare(
        "Decoder: made for one request, 5 % used again (the bad case)",
        effort,
        50_000,
        &[
            way("no pool", without),
            way("flagstone Pool, Mode::Auto", with(Mode::Auto)),
            way("flagstone Pool, Mode::Always", with(Mode::Always)),
            way("flagstone Pool, Mode::Never", with(Mode::Never)),
        ],
    );
    notices();
}

/// Shows what Auto says of a pool of its own.
///
/// # Panics
/// When it neither passed the pool by nor advises that.
fn notices() {
    let pool = pool(Mode::Auto);
    decode_all(&pool, 100_000);
    let (advice, stats) = (pool.advice(), pool.stats());
    println!("  what the pool says of itself:");
    for line in advice.to_string().lines() {
        println!("    {line}");
    }
    assert!(
        stats.drops.bypassed > 0 || advice.verdict == Verdict::Bypass,
        "Auto did not notice that reuse does not pay"
    );
}
