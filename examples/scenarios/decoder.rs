//! The bad case: a decoder per request, made for the request's own schema, so that only every
//! twentieth can be used again; and it is cheap to make.
//!
//! A pool has nothing to give here: it stores, finds and judges 20 objects for one that is used
//! twice. What to do about it is to do without.

use flagstone::{Keep, Pool};

use crate::measure::{Effort, compare, way};

/// One request in so many has the schema of the one before.
const REUSED_ONE_IN: u32 = 20;

struct Decoder {
    schema: u32,
    fields: [u16; 16],
    total: u64,
}

impl Decoder {
    fn new() -> Decoder {
        Decoder {
            schema: 0,
            fields: [1; 16],
            total: 0,
        }
    }

    fn decode(&mut self, request: u32) -> u64 {
        self.schema = request;
        for (index, field) in self.fields.iter_mut().enumerate() {
            *field = (request >> (index % 8)) as u16;
        }
        self.total = self.fields.iter().map(|&field| u64::from(field)).sum();
        self.total
    }

    /// What a decoder says when it comes back: almost always, that nobody else can use it.
    fn recycle(&mut self) -> Keep {
        if self.schema % REUSED_ONE_IN == 0 {
            Keep::Yes
        } else {
            Keep::Discard
        }
    }
}

pub(crate) fn run(effort: Effort) {
    let without = || -> Box<dyn FnMut(usize) -> u64> {
        Box::new(|requests| {
            let requests = 0..requests as u32;
            requests.fold(0, |sum, request| {
                // On the heap, as whatever outlives its function is.
                let mut decoder = Box::new(Decoder::new());
                sum + std::hint::black_box(&mut decoder).decode(request)
            })
        })
    };
    let pool = || {
        Pool::builder(Decoder::new)
            .recycle_with(Decoder::recycle)
            .name("decoders")
            .build()
    };
    let with = || -> Box<dyn FnMut(usize) -> u64> {
        let pool = pool();
        Box::new(move |requests| {
            let requests = 0..requests as u32;
            requests.fold(0, |sum, request| {
                sum + std::hint::black_box(&mut pool.get()).decode(request)
            })
        })
    };
    compare(
        "Decoder: made for one request, 5 % used again (the bad case)",
        effort,
        50_000,
        &[way("no pool", without), way("flagstone Pool", with)],
    );
}
