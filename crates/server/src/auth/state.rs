//! What the server holds, and what it is told at start.

use std::sync::Arc;
use std::time::Duration;

use sublet_engine::Engine;
use sublet_model::{Clock, PriceSheet, SystemClock};
use tokio::sync::watch;

/// What may be set about the server.
#[derive(Clone)]
pub struct ServerConfig {
    /// What usage costs.
    pub prices: PriceSheet,
    /// What "the last 24 hours" counts back from.
    pub clock: Arc<dyn Clock>,
    /// Connections held at once, in number; further ones wait to be accepted.
    pub connections_max: usize,
    /// How long requests may take to finish once the server is told to stop.
    pub end_within: Duration,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            prices: PriceSheet::default(),
            clock: Arc::new(SystemClock),
            connections_max: 10_000,
            end_within: Duration::from_secs(20),
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
    /// Becomes true when the server stops: streams end then.
    pub(super) stopping: watch::Sender<bool>,
}

impl AppState {
    pub fn new(engine: Engine, config: ServerConfig) -> AppState {
        AppState { inner: Arc::new(Inner { engine, config, stopping: watch::Sender::new(false) }) }
    }

    /// Tells streams to end and readiness to say so.
    pub(crate) fn stop(&self) {
        self.inner.stopping.send_replace(true);
    }

    pub(crate) fn end_within(&self) -> Duration {
        self.inner.config.end_within
    }

    pub(crate) fn connections_max(&self) -> usize {
        self.inner.config.connections_max
    }
}
