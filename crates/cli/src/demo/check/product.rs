//! The to-do product as its users see it: items are added over its own HTTP, and what becomes of them comes as news.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::client::Client;
use crate::demo::sse::News;

/// A Monday, so that "friday" is the sixth.
const CREATED: &str = "2026-03-02T09:00:00Z";
/// Until an item must have ended; a timeout of a tenant's and a loaded machine fit in.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

pub(super) struct Product {
    pub(super) http: Client,
    news: News,
    /// The last news of every item.
    seen: HashMap<String, Value>,
    /// Items added here, by tenant.
    added: HashMap<String, u64>,
}

impl Product {
    pub(super) async fn open(url: &str) -> Result<Product> {
        let http = Client::new(url, None, None)?;
        let news = News::open(&http).await?;
        Ok(Product { http, news, seen: HashMap::new(), added: HashMap::new() })
    }

    /// Adds an item and answers its id.
    pub(super) async fn add(&mut self, tenant: &str, title: &str) -> Result<String> {
        let item =
            self.http.post(&format!("/api/{tenant}/items"), &json!({"title": title, "created": CREATED})).await?;
        *self.added.entry(tenant.to_owned()).or_default() += 1;
        Ok(item["id"].as_str().context("the item has no id")?.to_owned())
    }

    /// The item once it waits no more.
    pub(super) async fn end_of(&mut self, id: &str) -> Result<Value> {
        while !self.has_ended(id) {
            let item = self.news.find(ENDS_WITHIN, |item| item["state"] != "waiting").await?;
            self.seen.insert(item["id"].as_str().unwrap_or_default().to_owned(), item);
        }
        Ok(self.seen[id].clone())
    }

    /// Going by the news read so far.
    pub(super) fn has_ended(&self, id: &str) -> bool {
        self.seen.contains_key(id)
    }

    /// Adds an item and waits for its end; also how long that took.
    pub(super) async fn add_and_wait(&mut self, tenant: &str, title: &str) -> Result<(Value, Duration)> {
        let began = Instant::now();
        let id = self.add(tenant, title).await?;
        let item = self.end_of(&id).await?;
        Ok((item, began.elapsed()))
    }

    /// Adds an item that must be enriched, and answers what the extension returned.
    pub(super) async fn enriched(&mut self, tenant: &str, title: &str) -> Result<Value> {
        let (item, _) = self.add_and_wait(tenant, title).await?;
        ensure!(item["state"] == "enriched", "the item is {}: {}", item["state"], item["extra"]);
        Ok(item["extra"].clone())
    }

    pub(super) fn added(&self, tenant: &str) -> u64 {
        self.added.get(tenant).copied().unwrap_or(0)
    }
}
