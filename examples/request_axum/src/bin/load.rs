//! Drives the server over loopback, with connections that stay open, and compares its routes.
//!
//! `cargo run --release --bin load -- [rounds] [milliseconds per round and route] [connections]`
//!
//! A round asks each route in turn; every answer is compared with the expected one. The server runs
//! in this process with one thread, so that a machine with two cores has the other for the clients.
//! Ratios are of the same round, since a machine that does other things too is fast and slow by
//! turns. "cpu" is what the server's thread worked for a request: kernel, tokio, hyper and handler.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use request_axum::client::{Client, post};
use request_axum::figures::{busy_ns, percentile, ratio};
use request_axum::{ARENA_BYTES_MAX, app, arenas, sample};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

#[cfg(feature = "flagstone-global")]
#[global_allocator]
static GLOBAL: flagstone::Flagstone = flagstone::Flagstone::new();

const ROUTES: [&str; 3] = ["/arena", "/std", "/owned"];
const SERVER: &str = "server";

/// What one route did, one entry per round but for `latencies`.
#[derive(Default)]
struct Arm {
    requests: usize,
    ns_per_request: Vec<f64>,
    cpu_ns_per_request: Vec<f64>,
    latencies_ns: Vec<f64>,
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse().expect("a number"));
    let mut argument = |default: u64| arguments.next().unwrap_or(default);
    let (rounds, milliseconds, connections) = (argument(31), argument(100), argument(8));
    let duration = Duration::from_millis(milliseconds);

    let arenas = arenas(ARENA_BYTES_MAX);
    let (address, _runtime) = serve(app(Arc::clone(&arenas)));
    let mut clients: Vec<Client> = (0..connections)
        .map(|_| Client::connect(address).expect("the server listens"))
        .collect();

    println!(
        "allocator: {}; {rounds} rounds of {milliseconds} ms per route, {connections} connections",
        if cfg!(feature = "flagstone-global") {
            "Flagstone"
        } else {
            "the system's"
        },
    );
    for (name, items) in [("small", sample::SMALL), ("large", sample::LARGE)] {
        let order = sample::order(items);
        let requests = ROUTES.map(|route| post(route, &order));
        let expected = clients[0].ask(&requests[1]).expect("an answer").1.to_vec();
        println!(
            "\n{name}: {} bytes in, {} bytes out",
            order.len(),
            expected.len()
        );

        let mut arms = ROUTES.map(|_| Arm::default());
        // The first round warms up and does not count.
        for round in 0..=rounds as usize {
            for turn in 0..ROUTES.len() {
                let route = (round + turn) % ROUTES.len();
                let arm = drive(&mut clients, &requests[route], &expected, duration);
                if round > 0 {
                    arms[route].add(arm);
                }
            }
        }
        report(&mut arms);
    }
    println!("\narenas: {:?}", arenas.stats());
}

/// The server, until the runtime is dropped.
fn serve(app: axum::Router) -> (SocketAddr, Runtime) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(SERVER)
        .enable_io()
        .build()
        .expect("a runtime");
    let listener = runtime
        .block_on(TcpListener::bind("127.0.0.1:0"))
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    runtime.spawn(async { axum::serve(listener, app).await });
    (address, runtime)
}

/// All clients ask the same until the time is over.
fn drive(clients: &mut [Client], request: &[u8], expected: &[u8], duration: Duration) -> Arm {
    let (start, cpu) = (Instant::now(), busy_ns(SERVER));
    let latencies_ns: Vec<f64> = thread::scope(|scope| {
        let ask = |client| scope.spawn(move || ask(client, request, expected, duration));
        let threads: Vec<_> = clients.iter_mut().map(ask).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("good answers"))
            .collect()
    });
    let requests = latencies_ns.len();
    Arm {
        requests,
        ns_per_request: vec![start.elapsed().as_nanos() as f64 / requests as f64],
        cpu_ns_per_request: vec![(busy_ns(SERVER) - cpu) as f64 / requests as f64],
        latencies_ns,
    }
}

/// One client's share, at least one request. Returns nanoseconds from request to answer.
fn ask(client: &mut Client, request: &[u8], expected: &[u8], duration: Duration) -> Vec<f64> {
    let start = Instant::now();
    let mut latencies = Vec::new();
    while latencies.is_empty() || start.elapsed() < duration {
        let sent = Instant::now();
        let (status, answer) = client.ask(request).expect("an answer");
        latencies.push(sent.elapsed().as_nanos() as f64);
        assert!(status == 200 && answer == expected, "a wrong answer");
    }
    latencies
}

impl Arm {
    fn add(&mut self, round: Arm) {
        self.requests += round.requests;
        self.ns_per_request.extend(round.ns_per_request);
        self.cpu_ns_per_request.extend(round.cpu_ns_per_request);
        self.latencies_ns.extend(round.latencies_ns);
    }
}

fn report(arms: &mut [Arm; 3]) {
    println!(
        "| route | requests | requests/s | cpu µs | p50 µs | p99 µs | time / std | cpu / std |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let std = [
        arms[1].ns_per_request.clone(),
        arms[1].cpu_ns_per_request.clone(),
    ];
    for (route, arm) in ROUTES.iter().zip(arms) {
        // Before the medians sort the rounds.
        let time = ratio(&arm.ns_per_request, &std[0]);
        let cpu = ratio(&arm.cpu_ns_per_request, &std[1]);
        println!(
            "| {route} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {time} | {cpu} |",
            arm.requests,
            1e9 / percentile(&mut arm.ns_per_request, 0.5),
            percentile(&mut arm.cpu_ns_per_request, 0.5) / 1e3,
            percentile(&mut arm.latencies_ns, 0.5) / 1e3,
            percentile(&mut arm.latencies_ns, 0.99) / 1e3,
        );
    }
}
