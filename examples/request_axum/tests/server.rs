//! The server on a port of its own: both handlers answer alike, and whatever goes wrong, the arena
//! comes back.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::post as route;
use flagstone::ArenaPool;
use request_axum::client::{Client, post};
use request_axum::pooled::RequestArena;
use request_axum::{ARENA_BYTES_MAX, BODY_BYTES_MAX, app, arenas, sample};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Runs until it is dropped.
struct Server {
    arenas: Arc<ArenaPool>,
    address: SocketAddr,
    _runtime: Runtime,
}

impl Server {
    fn start(arena_bytes_max: usize) -> Server {
        let arenas = arenas(arena_bytes_max);
        let app = app(Arc::clone(&arenas)).merge(
            axum::Router::new()
                .route("/panic", route(panics))
                .with_state(Arc::clone(&arenas)),
        );
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async { axum::serve(listener, app).await });
        Server {
            arenas,
            address,
            _runtime: runtime,
        }
    }

    fn client(&self) -> Client {
        Client::connect(self.address).unwrap()
    }

    /// Waits until `count` arenas were taken and all of them are back.
    fn expect_arenas_back(&self, count: u64) {
        let start = Instant::now();
        loop {
            let stats = self.arenas.stats();
            if stats.gets == count && stats.outstanding == 0 {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{stats:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

async fn panics(RequestArena(arena): RequestArena) {
    arena.alloc_str("what the handler had in it");
    panic!("the handler panics, which the test wants");
}

#[test]
fn all_routes_answer_alike() {
    let server = Server::start(ARENA_BYTES_MAX);
    let mut client = server.client();
    for items in [0, 1, 2, sample::SMALL, 50, sample::LARGE] {
        let order = sample::order(items);
        let (status, answer) = client.ask(&post("/std", &order)).unwrap();
        assert_eq!(status, 200);
        let expected = answer.to_vec();
        for path in ["/arena", "/layer", "/owned"] {
            let (status, answer) = client.ask(&post(path, &order)).unwrap();
            assert_eq!(
                (status, answer),
                (200, &expected[..]),
                "{path}, {items} items"
            );
        }
    }
    server.expect_arenas_back(2 * 6);
}

#[test]
fn an_answer_by_hand() {
    let order = br#"{"customer": "Ada \u00e9", "unknown": [1], "items": [
        {"sku": "T-1", "name": "Tea, green", "category": "Kitchen", "quantity": 2,
         "unit_cents": 500, "note": "a\nb", "tags": ["x"]},
        {"sku": "D-1", "name": "Desk", "category": "Home", "quantity": 1, "unit_cents": 9900,
         "tags": []}]}"#;
    let expected = r#"{"customer":"Ada é","total_cents":10246,"groups":[
{"category":"Home","total_cents":9306,"lines":[
{"label":"1 × Desk","path":"/home/desk/d-1","cents":9306,"note":null,"tags":[]}]},
{"category":"Kitchen","total_cents":940,"lines":[
{"label":"2 × Tea, green","path":"/kitchen/tea-green/t-1","cents":940,"note":"a\nb",
"tags":["x"]}]}]}"#
        .replace('\u{a}', "");
    let server = Server::start(ARENA_BYTES_MAX);
    for path in ["/arena", "/std"] {
        let mut client = server.client();
        let (status, answer) = client.ask(&post(path, order)).unwrap();
        assert_eq!(
            (status, str::from_utf8(answer).unwrap()),
            (200, &*expected),
            "{path}"
        );
    }
}

#[test]
fn malformed_orders_are_refused() {
    let server = Server::start(ARENA_BYTES_MAX);
    let mut client = server.client();
    let mut count = 0;
    let good = sample::order(1);
    let short = &good[..good.len() - 1];
    let long = [&good, &b"!"[..]].concat();
    let no_items = br#"{"customer":"Ada"}"#;
    let twice = br#"{"customer":"Ada","customer":"Ada","items":[]}"#;
    let negative = String::from_utf8(good.clone())
        .unwrap()
        .replace("\"quantity\":1", "\"quantity\":-1");
    for order in [b"", short, &long, no_items, twice, negative.as_bytes()] {
        let (status, answer) = client.ask(&post("/std", order)).unwrap();
        assert_eq!(status, 400);
        let expected = answer.to_vec();
        let (status, answer) = client.ask(&post("/arena", order)).unwrap();
        assert_eq!((status, answer), (400, &expected[..]));
        count += 1;
    }
    server.expect_arenas_back(count);
}

#[test]
fn too_large_a_body_is_refused() {
    let server = Server::start(ARENA_BYTES_MAX);
    // The server may answer and hang up before it has read it all: what is promised is enough.
    let (status, _) = server
        .client()
        .ask(&post("/arena", &vec![b' '; BODY_BYTES_MAX + 1]))
        .unwrap();
    assert_eq!(status, 413);
    server.expect_arenas_back(1);
}

#[test]
fn an_arena_at_its_limit_is_an_answer() {
    let server = Server::start(64 << 10);
    let mut client = server.client();
    let mut statuses = Vec::new();
    // From orders that fit to orders of which not even the items do: what is refused is sometimes
    // an item, sometimes a line or the answer.
    for items in 0..=200 {
        let (status, answer) = client.ask(&post("/arena", &sample::order(items))).unwrap();
        if status != 200 {
            assert_eq!(
                (status, answer),
                (503, &b"no memory left for this order"[..])
            );
        }
        statuses.push(status);
    }
    assert!(statuses.is_sorted(), "a longer order needs no less");
    assert!(statuses[10] == 200 && statuses[190] == 503);
    server.expect_arenas_back(201);
}

#[test]
fn a_client_that_hangs_up_gives_the_arena_back() {
    let server = Server::start(ARENA_BYTES_MAX);
    let request = post("/arena", &sample::order(sample::LARGE));
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(&request[..request.len() / 2]).unwrap();
    while server.arenas.stats().outstanding == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(stream);
    server.expect_arenas_back(1);
    // Nor does one that leaves without reading its answer.
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(&request).unwrap();
    drop(stream);
    server.expect_arenas_back(2);
}

#[test]
fn a_handler_that_panics_gives_the_arena_back() {
    let server = Server::start(ARENA_BYTES_MAX);
    let error = server.client().ask(&post("/panic", b"")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    server.expect_arenas_back(1);
    let (status, _) = server
        .client()
        .ask(&post("/arena", &sample::order(1)))
        .unwrap();
    assert_eq!(status, 200);
    server.expect_arenas_back(2);
}
