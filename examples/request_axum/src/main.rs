//! Serves orders on the port given, or 3000.
//!
//! `cargo run --release --manifest-path examples/request_axum/Cargo.toml --bin request_axum`

use std::io;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or("3000".to_owned());
    let arenas = request_axum::arenas(request_axum::ARENA_BYTES_MAX);
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
        println!("POST an order to http://{}/arena", listener.local_addr()?);
        axum::serve(listener, request_axum::app(arenas)).await
    })
}
