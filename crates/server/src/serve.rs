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
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// After an error of accepting (no more descriptors), before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`: then accepts nothing more, ends the streams, lets requests finish, and returns.
///
/// Requests have their own deadlines, so this ends; whoever cannot wait for them drops the future.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let app = router(state.clone())?;
    let slots = Arc::new(Semaphore::new(state.connections_max()));
    // Each connection holds a receiver; when the last one is gone, `closed` says so.
    let (ending, _) = watch::channel(false);
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
                let connection = connection(stream, app.clone(), ending.subscribe());
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
    ending.send_replace(true);
    ending.closed().await;
    Ok(())
}

async fn connection(stream: TcpStream, app: Router, mut ending: watch::Receiver<bool>) {
    // Answers are small and awaited: do not gather them.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(Bodies(app));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).half_close(false);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut is_ending = false;
    loop {
        tokio::select! {
            // A connection that breaks is the client's affair.
            _ = connection.as_mut() => return,
            _ = ending.wait_for(|ending| *ending), if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
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
