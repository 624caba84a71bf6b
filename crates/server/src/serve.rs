//! The server itself: accepting connections, and ending in good order.
//!
//! Not `axum::serve`, which would accept without end and wait for a request's head for ever: here connections have a
//! maximum, and a head and a TLS handshake a deadline.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sublet_model::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::auth::AppState;
use crate::metric;
use crate::origin::Peer;
use crate::router::{metrics_router, router};
use crate::tls::Tls;

/// How long a connection may take to send a request's head, or stay without one.
/// Longer than clients keep idle ones for, so that a client is the one who closes.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a TLS handshake may take, waiting for its turn included.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at once on the address of the metrics.
const METRICS_CONNECTIONS_MAX: usize = 64;
/// TLS handshakes at once.
const HANDSHAKES_MAX: usize = 256;
/// After an error of accepting (no more descriptors), before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What connections hear, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Phase {
    Serving,
    /// Finish the request that is under way, take no other.
    Ending,
    /// Break off.
    Over,
}

/// Serves until `shutdown`: then accepts nothing more, ends the streams, lets requests finish, and returns. What has not
/// finished within the configuration's `end_within` (a client that does not read, a long invoke) is broken off.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let app = router(state.clone())?;
    // Ends with this function, however it ends.
    let mut upkeep = JoinSet::new();
    let kept = state.clone();
    upkeep.spawn(async move { kept.keep_keys().await });
    upkeep.spawn(metric::keep_up());
    let beating = state.clone();
    upkeep.spawn(async move { beating.keep_beating().await });
    if let Some(tls) = state.tls().cloned() {
        let kept = state.clone();
        upkeep.spawn(async move { tls.watch(|| kept.clock().now()).await });
    }
    let tls = state.tls().cloned().map(|tls| Handshakes { tls, slots: Arc::new(Semaphore::new(HANDSHAKES_MAX)) });
    // Each connection holds a receiver; when the last one is gone, `closed` says so.
    let (phase, _) = watch::channel(Phase::Serving);
    let door = Door { listener, app, tls, slots: Arc::new(Semaphore::new(state.connections_max())) };
    door.admit(&phase, shutdown).await?;
    drop(door);
    state.stop();
    phase.send_replace(Phase::Ending);
    if tokio::time::timeout(state.end_within(), phase.closed()).await.is_err() {
        tracing::warn!("breaking off {} connections that did not end in time", phase.receiver_count());
        phase.send_replace(Phase::Over);
        phase.closed().await;
    }
    upkeep.shutdown().await;
    state.write_key_uses().await;
    Ok(())
}

/// Serves `/metrics` and the probes on an address of their own, in the clear, for as long as it is awaited.
pub async fn serve_metrics(listener: TcpListener, state: AppState) -> Result<(), Error> {
    let (phase, _) = watch::channel(Phase::Serving);
    let slots = Arc::new(Semaphore::new(METRICS_CONNECTIONS_MAX));
    let door = Door { listener, app: metrics_router(state), tls: None, slots };
    door.admit(&phase, std::future::pending()).await
}

/// A listener and what is behind it.
struct Door {
    listener: TcpListener,
    app: Router,
    tls: Option<Handshakes>,
    /// One for each connection.
    slots: Arc<Semaphore>,
}

impl Door {
    async fn admit(
        &self,
        phase: &watch::Sender<Phase>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), Error> {
        let mut shutdown = pin!(shutdown);
        loop {
            let accept = async {
                let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(Error::internal)?;
                Ok::<_, Error>((self.listener.accept().await, slot))
            };
            let (accepted, slot) = tokio::select! {
                biased;
                () = &mut shutdown => return Ok(()),
                accepted = accept => accepted?,
            };
            match accepted {
                Ok((stream, address)) => {
                    let peer = Peer { address: address.ip(), is_tls: self.tls.is_some() };
                    let service = Bodies { app: self.app.clone(), peer };
                    let (tls, heard) = (self.tls.clone(), phase.subscribe());
                    tokio::spawn(async move {
                        arrive(stream, tls, service, heard).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

#[derive(Clone)]
struct Handshakes {
    tls: Tls,
    /// They cost far more than requests do: so many at once, and the others wait.
    slots: Arc<Semaphore>,
}

async fn arrive(stream: TcpStream, tls: Option<Handshakes>, service: Bodies, mut phase: watch::Receiver<Phase>) {
    // Answers are small and awaited: do not gather them.
    let _ = stream.set_nodelay(true);
    let Some(handshakes) = tls else { return connection(stream, service, phase).await };
    let handshake = async {
        let _slot = handshakes.slots.acquire().await.ok()?;
        handshakes.tls.acceptor().accept(stream).await.ok()
    };
    let shaken = tokio::select! {
        // Nobody asked anything yet.
        _ = phase.wait_for(|phase| *phase > Phase::Serving) => return,
        shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake) => shaken,
    };
    match shaken {
        Ok(Some(stream)) => connection(stream, service, phase).await,
        // Port scanners, health checks of TCP, clients that do not trust the certificate: common, and counted alone.
        Ok(None) | Err(_) => metrics::counter!("sublet_tls_handshake_failures_total").increment(1),
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: Bodies,
    mut phase: watch::Receiver<Phase>,
) {
    let service = TowerToHyperService::new(service);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).half_close(false);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut heard = Phase::Serving;
    loop {
        tokio::select! {
            // A connection that breaks is the client's affair.
            _ = connection.as_mut() => return,
            changed = phase.wait_for(|phase| *phase > heard) => {
                heard = changed.map_or(Phase::Over, |phase| *phase);
                match heard {
                    Phase::Serving => {}
                    Phase::Ending => connection.as_mut().graceful_shutdown(),
                    Phase::Over => return,
                }
            }
        }
    }
}

/// The router takes axum's bodies; hyper hands over its own. And a request knows whom it came from.
#[derive(Clone)]
struct Bodies {
    app: Router,
    peer: Peer,
}

impl tower_service::Service<hyper::Request<Incoming>> for Bodies {
    type Response = axum::response::Response;
    type Error = Infallible;
    type Future = axum::routing::future::RouteFuture<Infallible>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        tower_service::Service::<Request>::poll_ready(&mut self.app, cx)
    }

    fn call(&mut self, mut request: hyper::Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        tower_service::Service::<Request>::call(&mut self.app, request.map(Body::new))
    }
}
