//! The product's live news, read as its page reads them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::client::Client;

/// Bytes of one event; the product's are far smaller.
const EVENT_BYTES_MAX: usize = 1 << 20;

pub(super) struct News {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

impl News {
    /// Open when this returns: whatever changes from now on is seen.
    pub(super) async fn open(todo: &Client) -> Result<News> {
        Ok(News { response: todo.stream("/api/live").await?, buffer: Vec::new() })
    }

    /// The next item that `wanted` takes. Errors: none came `within` that time.
    pub(super) async fn find(&mut self, within: Duration, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let search = async {
            loop {
                let item = self.next().await?;
                if wanted(&item) {
                    return Ok(item);
                }
            }
        };
        tokio::time::timeout(within, search).await.with_context(|| format!("no news of it within {within:?}"))?
    }

    async fn next(&mut self) -> Result<Value> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let text = String::from_utf8_lossy(&block).into_owned();
                // The product's items are one line of JSON each.
                if let Some(data) = text.lines().find_map(|line| line.strip_prefix("data:")) {
                    return serde_json::from_str(data).with_context(|| format!("the news are no JSON: {data}"));
                }
            }
            if self.buffer.len() > EVENT_BYTES_MAX {
                bail!("an event is longer than {EVENT_BYTES_MAX} bytes");
            }
            match self.response.chunk().await.context("the news broke off")? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => bail!("the product closed its news"),
            }
        }
    }
}
