//! What the server holds, and what it is told at start.

use std::sync::Arc;
use std::time::Duration;

use sublet_engine::{Directory, Engine, Stats};
use sublet_model::{Clock, PriceSheet, SystemClock};
use sublet_store::Store;
use tokio::sync::watch;

use super::admit::Admitted;
use super::gate::{Failures, Gate};
use crate::health::Pulse;
use crate::origin::Network;
use crate::problem::Problem;
use crate::tls::Tls;

/// What may be set about the server.
#[derive(Clone)]
pub struct ServerConfig {
    /// What usage costs.
    pub prices: PriceSheet,
    /// What "the last 24 hours" counts back from.
    pub clock: Arc<dyn Clock>,
    /// Connections held at once, in number; further ones wait to be accepted.
    pub connections_max: usize,
    /// Proxies whose `Forwarded` and `X-Forwarded-…` headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// How many unknown keys one address may try.
    pub failures: Failures,
    /// Without it, the server speaks plain HTTP.
    pub tls: Option<Tls>,
    /// Whether `/metrics` is served elsewhere (`serve_metrics`), and so not with the API.
    pub metrics_apart: bool,
    /// How long requests may take to finish once the server is told to stop.
    pub end_within: Duration,
    /// How often a stream says that it is still there, and looks whether its key is.
    pub keep_alive: Duration,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            prices: PriceSheet::default(),
            clock: Arc::new(SystemClock),
            connections_max: 10_000,
            trusted_proxies: Vec::new(),
            failures: Failures::default(),
            tls: None,
            metrics_apart: false,
            end_within: Duration::from_secs(20),
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// Everything the handlers stand on. Cheap to clone. Its parts are reached through the extractors of this module only.
#[derive(Clone)]
pub struct AppState {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) engine: Engine,
    pub(super) config: ServerConfig,
    pub(super) gate: Gate,
    /// Becomes true when the server stops: streams end then.
    pub(super) stopping: watch::Sender<bool>,
    pub(super) pulse: Pulse,
}

impl AppState {
    pub fn new(engine: Engine, config: ServerConfig) -> AppState {
        let gate = Gate::new(config.failures);
        let (stopping, pulse) = (watch::Sender::new(false), Pulse::default());
        AppState { inner: Arc::new(Inner { engine, config, gate, stopping, pulse }) }
    }

    // For what runs around the handlers; handlers have the extractors.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        self.inner.engine.store()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.inner.engine.stats()
    }

    pub(crate) fn registry(&self) -> &Directory {
        self.inner.engine.registry()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.inner.config.clock.as_ref()
    }

    /// Errors: `Throttled` when a tenant's key changes more than it may.
    pub(crate) fn take_change(&self, admitted: &Admitted) -> Result<(), Problem> {
        let taken = self.inner.gate.take_change(&admitted.key, self.clock().now());
        taken.map_err(|wait_s| Problem::throttled("this key changes too much at once", wait_s))
    }

    /// Tells streams to end and readiness to say so.
    pub(crate) fn stop(&self) {
        self.inner.stopping.send_replace(true);
    }

    pub(crate) fn trusted_proxies(&self) -> &[Network] {
        &self.inner.config.trusted_proxies
    }

    pub(crate) fn metrics_are_apart(&self) -> bool {
        self.inner.config.metrics_apart
    }

    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.inner.config.tls.as_ref()
    }

    /// Runs for as long as the server.
    pub(crate) async fn keep_beating(&self) {
        self.inner.pulse.keep_beating().await;
    }

    pub(crate) fn end_within(&self) -> Duration {
        self.inner.config.end_within
    }

    pub(crate) fn connections_max(&self) -> usize {
        self.inner.config.connections_max
    }
}
