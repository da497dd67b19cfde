//! The three addresses.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::collect::Metrics;
use crate::few::Few;
use crate::text::MEDIA_TYPE;

/// What a node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// It reads its checkpoint and log.
    Starting,
    /// It answers clients.
    Ready,
    /// It lets what runs finish, and takes no new clients.
    Stopping,
}

/// Why it cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for HTTP: {error}")]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// What the system said.
    pub error: io::Error,
}

/// Answers whoever watches the node; ends with the runtime.
#[derive(Clone)]
pub struct Monitor {
    watched: Arc<Watched>,
    address: SocketAddr,
}

struct Watched {
    state: AtomicU8,
    metrics: OnceLock<Arc<Metrics>>,
}

impl Monitor {
    /// Listens and answers, from now on, as a node that starts.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(address: SocketAddr) -> Result<Monitor, BindError> {
        let failed = |error| BindError { address, error };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let watched =
            Arc::new(Watched { state: AtomicU8::new(State::Starting as u8), metrics: OnceLock::new() });
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(healthy))
            .route("/readyz", get(ready))
            .with_state(Arc::clone(&watched));
        tokio::spawn(async move {
            if let Err(error) = axum::serve(Few::of(listener), router).await {
                tracing::error!(event = "http_ended", %error, "nobody is told of metrics and health any more");
            }
        });
        Ok(Monitor { watched, address: bound })
    }

    /// Where it listens, with the port that the system chose if it was left to it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The node answers clients from now on, and this is what is told of it.
    pub fn ready(&self, metrics: Metrics) {
        // A node becomes ready once.
        self.watched.metrics.get_or_init(|| Arc::new(metrics));
        self.enter(State::Ready);
    }

    /// The node does something else.
    pub fn enter(&self, state: State) {
        self.watched.state.store(state as u8, Ordering::SeqCst);
    }
}

impl Watched {
    fn is(&self, state: State) -> bool {
        self.state.load(Ordering::SeqCst) == state as u8
    }
}

async fn metrics(Shared(watched): Shared<Arc<Watched>>) -> Response {
    let Some(metrics) = watched.metrics.get().cloned() else { return refused("starting") };
    match tokio::task::spawn_blocking(move || metrics.text()).await {
        Ok(text) => ([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(event = "metrics_failed", %error);
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Whether the node should be left alone: 503 is for one that a restart would help.
async fn healthy(Shared(watched): Shared<Arc<Watched>>) -> Response {
    match watched.metrics.get().map(|metrics| metrics.health()) {
        // A node that ends has closed its log by itself.
        Some(Err(error)) if !watched.is(State::Stopping) => refused(error.message()),
        _ => "ok\n".into_response(),
    }
}

/// Whether clients should be sent here.
async fn ready(Shared(watched): Shared<Arc<Watched>>) -> Response {
    if watched.is(State::Starting) {
        return refused("starting");
    }
    if watched.is(State::Stopping) {
        return refused("stopping");
    }
    healthy(Shared(watched)).await
}

fn refused(why: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
}
