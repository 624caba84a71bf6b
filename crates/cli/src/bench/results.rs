//! The live stream as whoever published sees it: who waits for which event's result.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::client::Client;

/// Bytes of one event; those here are far smaller.
const EVENT_BYTES_MAX: usize = 1 << 20;

#[derive(Clone)]
pub(super) struct Results(Arc<Mutex<HashMap<String, oneshot::Sender<Instant>>>>);

impl Results {
    /// Open when this returns: no result of what is published from now on is missed.
    pub(super) async fn follow(api: &Client) -> Result<Results> {
        let response = api.stream("/v1/stream").await?;
        let results = Results(Arc::default());
        let told = results.clone();
        tokio::spawn(async move {
            if let Err(error) = told.read(response).await {
                eprintln!("the live stream: {error:#}");
            }
        });
        Ok(results)
    }

    /// The moment when the result of the event of this id came.
    pub(super) fn expect(&self, id: &str) -> oneshot::Receiver<Instant> {
        let (sender, receiver) = oneshot::channel();
        self.waiting().insert(id.to_owned(), sender);
        receiver
    }

    async fn read(&self, response: reqwest::Response) -> Result<()> {
        let mut chunks = response.bytes_stream();
        let mut buffer = Vec::new();
        while let Some(chunk) = chunks.next().await {
            buffer.extend_from_slice(&chunk?);
            let came = Instant::now();
            let mut taken = 0;
            while let Some(end) = buffer[taken..].iter().position(|byte| *byte == b'\n') {
                if let Some(data) = buffer[taken..taken + end].strip_prefix(b"data:") {
                    self.tell(data, came)?;
                }
                taken += end + 1;
            }
            buffer.drain(..taken);
            if buffer.len() > EVENT_BYTES_MAX {
                bail!("an event is longer than {EVENT_BYTES_MAX} bytes");
            }
        }
        Ok(())
    }

    fn tell(&self, data: &[u8], came: Instant) -> Result<()> {
        let event: Value = serde_json::from_slice(data).context("an event is no JSON")?;
        let Some(id) = event["detail"]["event"].as_str() else { return Ok(()) };
        // An existing server's stream shows others' results too.
        let Some(waiter) = self.waiting().remove(id) else { return Ok(()) };
        if event["detail-type"] != "Invocation Succeeded" {
            bail!("the function failed: {event}");
        }
        // It gave up meanwhile.
        let _ = waiter.send(came);
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
