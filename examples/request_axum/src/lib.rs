//! An axum server that prices orders. `POST /arena` parses the order into a pooled arena, looks
//! something up across an await, builds the answer in the same arena and sends it from there;
//! `POST /std` does the same with `Vec`, `String` and `HashMap`.
//!
//! Where to look: [`pooled`] is what a program needs once (an extractor and a layer),
//! [`arena_route`] is what a handler looks like, [`std_route`] is what it replaces. [`order`] is
//! what both share; [`sample`] makes orders of any size.

pub mod arena_route;
pub mod client;
pub mod figures;
pub mod order;
pub mod pooled;
pub mod sample;
pub mod std_route;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use flagstone::{Arena, ArenaPool, Pool};

/// The longest order that is read; longer ones are answered with 413.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// The most an arena may hold for one order: the longest takes about five times its own bytes. A
/// request for more is answered with 503.
pub const ARENA_BYTES_MAX: usize = 16 << 20;

/// Arenas for this server: their memory is bounded, each and all together.
pub fn arenas(limit_bytes: usize) -> Arc<ArenaPool> {
    let make = move || {
        Arena::builder()
            .limit_bytes(limit_bytes)
            .keep_recent()
            .build()
            .expect("no capacity is claimed up front")
    };
    // As many answers may be on their way at once; the next is told to come back later.
    Arc::new(ArenaPool::from(
        Pool::builder_with(make)
            .max_live(4096)
            .name("orders")
            .build(),
    ))
}

/// The routes.
pub fn app(arenas: Arc<ArenaPool>) -> Router {
    let layered = Router::new()
        .route("/layer", post(arena_route::price))
        .layer(pooled::ArenaLayer::new(Arc::clone(&arenas)));
    Router::new()
        .route("/arena", post(arena_route::price))
        .route("/std", post(std_route::price))
        .route("/owned", post(std_route::price_owned))
        .merge(layered)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(arenas)
}
