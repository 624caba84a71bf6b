//! The product's end of the webhook. It outlives every server of the test and counts what it is sent.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::{Json, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What came for one invocation.
#[derive(Debug, Clone, Default)]
pub(super) struct Received {
    pub(super) deliveries: u64,
    /// Distinct ids of the result events.
    pub(super) events: HashSet<String>,
    /// Distinct `webhook-id`s.
    pub(super) webhook_ids: HashSet<String>,
}

pub(super) type Results = HashMap<String, Received>;

pub(super) struct Receiver {
    address: SocketAddr,
    results: watch::Receiver<Results>,
}

impl Receiver {
    pub(super) async fn start() -> Result<Receiver> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, results) = watch::channel(Results::new());
        let app = Router::new().route("/results", post(receive)).with_state(Arc::new(sender));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Receiver { address, results })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until results of `count` invocations have come.
    pub(super) async fn results(&self, count: usize) -> Results {
        let mut results = self.results.clone();
        let all = results.wait_for(|results| results.len() >= count).await;
        all.map(|results| results.clone()).unwrap_or_default()
    }
}

async fn receive(
    State(results): State<Arc<watch::Sender<Results>>>,
    headers: HeaderMap,
    Json(event): Json<Value>,
) -> StatusCode {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let webhook_id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    results.send_modify(|results| {
        let received = results.entry(text(&event["detail"]["invocation"])).or_default();
        received.deliveries += 1;
        received.events.insert(text(&event["id"]));
        received.webhook_ids.insert(webhook_id);
    });
    StatusCode::NO_CONTENT
}
