//! Receives webhooks and believes only those that are signed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use standardwebhooks::Webhook;

/// What is done with an event; its first argument is the webhook-id.
type Handle = Box<dyn Fn(&str, Value) + Send + Sync>;

pub struct Receiver {
    webhook: Webhook,
    /// In your product: a table with a unique column, written in the transaction that does the work.
    seen: Mutex<HashSet<String>>,
    received: Handle,
}

/// `secret`: `whsec_…`. `received` gets each event once, with its webhook-id.
pub fn receiver(
    secret: &str,
    received: impl Fn(&str, Value) + Send + Sync + 'static,
) -> Result<Router, Box<dyn std::error::Error>> {
    let webhook = Webhook::new(secret)?;
    let receiver = Receiver { webhook, seen: Mutex::default(), received: Box::new(received) };
    Ok(Router::new().route("/", post(receive)).with_state(Arc::new(receiver)))
}

/// `body`: the bytes as they came. JSON that is parsed and written again is not what was signed.
async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if receiver.webhook.verify(&body, &headers).is_err() {
        return StatusCode::BAD_REQUEST;
    }
    let Some(id) = headers.get("webhook-id").and_then(|id| id.to_str().ok()) else {
        return StatusCode::BAD_REQUEST;
    };
    let is_new = receiver.seen.lock().is_ok_and(|mut seen| seen.insert(id.to_owned()));
    if is_new && let Ok(event) = serde_json::from_slice(&body) {
        // Put it into a queue of your own: what takes longer than the timeout is sent again.
        (receiver.received)(id, event);
    }
    StatusCode::NO_CONTENT
}
