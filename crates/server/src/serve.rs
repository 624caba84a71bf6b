//! The server itself: accepting connections, and ending in good order.
//!
//! Not `axum::serve`, which would accept without end and wait for a request's head for ever: here connections have a
//! maximum, and a head a deadline.

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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::auth::AppState;
use crate::router::router;

/// How long a connection may take to send a request's head, or stay without one.
/// Longer than clients keep idle ones for, so that a client is the one who closes.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
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
    let slots = Arc::new(Semaphore::new(state.connections_max()));
    // Each connection holds a receiver; when the last one is gone, `closed` says so.
    let (phase, _) = watch::channel(Phase::Serving);
    let mut shutdown = pin!(shutdown);
    loop {
        let accept = async {
            let slot = Arc::clone(&slots).acquire_owned().await.map_err(Error::internal)?;
            Ok::<_, Error>((listener.accept().await, slot))
        };
        let (accepted, slot) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept => accepted?,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(stream, app.clone(), phase.subscribe());
                tokio::spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    state.stop();
    phase.send_replace(Phase::Ending);
    if tokio::time::timeout(state.end_within(), phase.closed()).await.is_err() {
        tracing::warn!("breaking off {} connections that did not end in time", phase.receiver_count());
        phase.send_replace(Phase::Over);
        phase.closed().await;
    }
    Ok(())
}

async fn connection(stream: TcpStream, app: Router, mut phase: watch::Receiver<Phase>) {
    // Answers are small and awaited: do not gather them.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(Bodies(app));
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

/// The router takes axum's bodies; hyper hands over its own.
#[derive(Clone)]
struct Bodies(Router);

impl tower_service::Service<hyper::Request<Incoming>> for Bodies {
    type Response = axum::response::Response;
    type Error = Infallible;
    type Future = axum::routing::future::RouteFuture<Infallible>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        tower_service::Service::<Request>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: hyper::Request<Incoming>) -> Self::Future {
        tower_service::Service::<Request>::call(&mut self.0, request.map(Body::new))
    }
}
