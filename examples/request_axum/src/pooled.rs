//! A pooled arena for each request: an extractor, and a layer that lends one to what lies below it.
//!
//! Either way the arena is the request's own until its guard is dropped: at the end of the handler,
//! when the handler panics, when the client hangs up and the handler's future is dropped, or, once
//! it is frozen into a body, when the last byte of that is sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::extract::{FromRef, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use flagstone::{ArenaPool, OwnedPooledArena};
use tower_layer::Layer;
use tower_service::Service;

/// The request's arena: the one that [`ArenaLayer`] lent, or else one from the router's state.
pub struct RequestArena(pub OwnedPooledArena);

impl<S: Sync> FromRequestParts<S> for RequestArena
where
    Arc<ArenaPool>: FromRef<S>,
{
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, StatusCode> {
        let lent = parts.extensions.remove::<Lent>().and_then(Lent::take);
        lent.or_else(|| Arc::<ArenaPool>::from_ref(state).try_get_owned())
            .map(RequestArena)
            .ok_or(StatusCode::SERVICE_UNAVAILABLE)
    }
}

/// A guard in the request's extensions. Those are cloned and shared, which a guard cannot be: so
/// whoever asks first gets it.
#[derive(Clone)]
struct Lent(Arc<Mutex<Option<OwnedPooledArena>>>);

impl Lent {
    fn take(self) -> Option<OwnedPooledArena> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Puts an arena into the extensions of each request, for routers without a pool in their state and
/// for middleware that wants to share the handler's arena. It costs the boxes of the extensions; a
/// handler alone is better off with the state.
#[derive(Clone)]
pub struct ArenaLayer {
    arenas: Arc<ArenaPool>,
}

impl ArenaLayer {
    pub fn new(arenas: Arc<ArenaPool>) -> ArenaLayer {
        ArenaLayer { arenas }
    }
}

impl<S> Layer<S> for ArenaLayer {
    type Service = ArenaService<S>;

    fn layer(&self, inner: S) -> ArenaService<S> {
        let arenas = Arc::clone(&self.arenas);
        ArenaService { arenas, inner }
    }
}

/// What [`ArenaLayer`] makes of a service.
#[derive(Clone)]
pub struct ArenaService<S> {
    arenas: Arc<ArenaPool>,
    inner: S,
}

impl<S: Service<Request>> Service<Request> for ArenaService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> S::Future {
        let arena = self.arenas.try_get_owned();
        let lent = Lent(Arc::new(Mutex::new(arena)));
        request.extensions_mut().insert(lent);
        self.inner.call(request)
    }
}
