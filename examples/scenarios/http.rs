//! Response buffers: a handler writes headers and a body into a buffer, the server sends it.
//!
//! Without a pool the buffer grows from nothing in every request. From the pool it comes back with
//! the capacity it once grew to, and empty. One rare answer is large; the hook drops a buffer that
//! has grown beyond what usual answers need, so that it does not wait in the pool for ever.

use std::io::Write;

use flagstone::{Keep, Pool};

use crate::measure::{Effort, compare, way};

/// A usual answer takes 2 to 4 KiB.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// One request in a thousand asks for everything.
const LARGE_ONE_IN: usize = 1000;

/// An item of the answer, as a template has it.
const ITEM: &[u8] =
    b"{\"name\":\"a stone, cut flat, for a path or a floor\",\"price\":\"12.50 EUR\"},";

/// What a handler does.
fn respond(request: usize, response: &mut Vec<u8>) {
    let large = request % LARGE_ONE_IN == LARGE_ONE_IN - 1;
    let items = if large { 4000 } else { 20 + request % 20 };
    response.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n");
    // Writing to a Vec does not fail.
    let _ = write!(response, "x-request-id: {request:08x}\r\n\r\n[");
    for _ in 0..items {
        response.extend_from_slice(ITEM);
    }
    response.push(b']');
}

/// What the server does with it: here, it reads both ends.
fn send(response: &[u8]) -> u64 {
    let last = response.last().copied().unwrap_or(0);
    u64::from(response[response.len() / 2]) + u64::from(last) + response.len() as u64
}

pub(crate) fn run(effort: Effort) {
    let without = || -> Box<dyn FnMut(usize) -> u64> {
        Box::new(|requests| {
            (0..requests).fold(0, |sum, request| {
                let mut response = Vec::new();
                respond(request, &mut response);
                sum + send(&response)
            })
        })
    };
    let with = || -> Box<dyn FnMut(usize) -> u64> {
        let pool = Pool::builder(Vec::<u8>::new)
            .recycle_with(|response| {
                response.clear();
                if response.capacity() > KEPT_BYTES_MAX {
                    Keep::Discard
                } else {
                    Keep::Yes
                }
            })
            .name("responses")
            .build();
        Box::new(move |requests| {
            (0..requests).fold(0, |sum, request| {
                let mut response = pool.get();
                respond(request, &mut response);
                sum + send(&response)
            })
        })
    };
    compare(
        "HTTP: a response of 2 to 4 KiB, written into a buffer",
        effort,
        5_000,
        &[way("no pool", without), way("flagstone Pool", with)],
    );
}
