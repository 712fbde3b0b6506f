//! Allocations per request, and resident memory over many requests.
//!
//! `cargo run --release --bin memory -- [requests in process] [requests over TCP] [route]`
//!
//! In process a request goes through the whole service (router, layers, extractors, handler and
//! body), everything but sockets and HTTP. The bodies are of mixed lengths, so that arenas grow and
//! shrink.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http_body_util::BodyExt;
use request_axum::client::{Client, post};
use request_axum::figures::resident_kib;
use request_axum::{ARENA_BYTES_MAX, app, arenas, sample};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

/// The system's allocator, counted.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes every call on.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

const ROUTES: [&str; 4] = ["/arena", "/std", "/owned", "/layer"];

/// How often the resident memory is looked at.
const SAMPLES: u64 = 10;

/// What the resident memory may differ by between two moments at which nothing has changed: a page
/// here and there that a thread touches for the first time.
const NOISE_KIB: u64 = 256;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default| {
        let text = arguments.get(index);
        text.map_or(default, |text| text.parse().expect("a number"))
    };
    let (in_process, over_tcp) = (number(0, 1_000_000), number(1, 100_000));
    let route = arguments.get(2).map_or("/arena", String::as_str);
    let arenas = arenas(ARENA_BYTES_MAX);
    let app = app(Arc::clone(&arenas));
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_io()
        .build()
        .expect("one");
    runtime.block_on(count_allocations(app.clone()));

    println!("\nResident memory on {route}");
    let orders: Vec<Bytes> = sizes().map(|items| sample::order(items).into()).collect();
    let mut service = app.clone();
    samples("in process", in_process, |index| {
        let order = orders[index as usize % orders.len()].clone();
        runtime.block_on(answer(&mut service, route, order));
    });
    let requests: Vec<Vec<u8>> = orders.iter().map(|order| post(route, order)).collect();
    let mut client = Client::connect(serve(&runtime, app)).expect("the server listens");
    samples("over TCP", over_tcp, |index| {
        let request = &requests[index as usize % requests.len()];
        assert_eq!(client.ask(request).expect("an answer").0, 200);
    });
    // With it go the connections and what they were about to send.
    drop(runtime);
    println!("\narenas: {:?}", arenas.stats());
}

/// Mostly small orders, a large one in a hundred.
fn sizes() -> impl Iterator<Item = usize> {
    (0..100).map(|index| {
        if index == 50 {
            sample::LARGE
        } else {
            1 + index % 12
        }
    })
}

/// What a route allocates beyond what axum and hyper do for an order without items.
async fn count_allocations(mut app: Router) {
    println!("Allocations per request from the process's allocator (body of)");
    println!("| route | no items | small | large |\n|---|---|---|---|");
    for route in ROUTES {
        let mut counts = Vec::new();
        for items in [0, sample::SMALL, sample::LARGE] {
            let order = Bytes::from(sample::order(items));
            // The first makes what stays: threads' and arenas' memory.
            let warm = 10;
            for _ in 0..warm {
                answer(&mut app, route, order.clone()).await;
            }
            let before = ALLOCATIONS.load(Relaxed);
            for _ in 0..warm {
                answer(&mut app, route, order.clone()).await;
            }
            counts.push((ALLOCATIONS.load(Relaxed) - before) / warm);
        }
        println!(
            "| {route} | {} | {} | {} |",
            counts[0], counts[1], counts[2]
        );
    }
}

/// One request through the service, its answer read to the end.
async fn answer(app: &mut Router, route: &str, order: Bytes) -> usize {
    let request = Request::post(route)
        .body(Body::from(order))
        .expect("a good request");
    let response = app.call(request).await.expect("no service here fails");
    assert_eq!(response.status(), 200);
    response
        .into_body()
        .collect()
        .await
        .expect("a whole body")
        .to_bytes()
        .len()
}

/// Asks so often, and fails if memory grew after the first tenth.
fn samples(name: &str, requests: u64, mut ask: impl FnMut(u64)) {
    let mut warm_kib = None;
    for done in 1..=requests {
        ask(done);
        if done % (requests / SAMPLES).max(1) == 0 {
            let kib = resident_kib();
            println!("{name}: {done:>8} requests, {kib} KiB");
            assert!(
                kib <= *warm_kib.get_or_insert(kib) + NOISE_KIB,
                "memory grows"
            );
        }
    }
}

/// The server, as long as the runtime lives.
fn serve(runtime: &Runtime, app: Router) -> SocketAddr {
    let listener = runtime
        .block_on(TcpListener::bind("127.0.0.1:0"))
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    runtime.spawn(async { axum::serve(listener, app).await });
    address
}
