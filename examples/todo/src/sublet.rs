//! Everything this product says to Sublet: set up once, publish, ask for usage.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::item::Item;
use crate::webhook::Secret;

const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Client {
    pub(crate) fn new(url: String, key: String) -> Client {
        let http = reqwest::Client::builder().timeout(TIMEOUT).build().unwrap_or_default();
        Client { http, url, key }
    }

    /// Names this product's webhook and the two rules that make the circle: items to the tenants' `enrich` functions,
    /// results back here. Repeating it changes nothing.
    pub(crate) async fn set_up(&self, own: SocketAddr, secret: &Secret) -> Result<()> {
        let webhook = json!({
            "url": format!("http://{own}/hooks/sublet"),
            "allow_private": [own.to_string()],
            "secret": secret.text(),
        });
        self.put("/v1/webhooks/todo", &webhook).await?;
        let items = json!({
            "pattern": {"source": ["todo"], "detail-type": ["Item Added"]},
            "targets": [{"tenant": "enrich", "retry": {"attempts": 1}}],
        });
        self.put("/v1/rules/todo-items", &items).await?;
        let results = json!({
            "pattern": {"source": ["sublet"], "detail": {"function": ["enrich"]}},
            "targets": [{"webhook": "todo"}],
        });
        self.put("/v1/rules/todo-results", &results).await
    }

    /// Publishes `Item Added`. The item's id is the event's, so publishing it again changes nothing.
    pub(crate) async fn publish(&self, item: &Item, created: &str) -> Result<()> {
        let event = json!({
            "id": item.id,
            "source": "todo",
            "detail-type": "Item Added",
            "tenant": item.tenant,
            "detail": {"title": item.title, "created": created},
        });
        let request = self.http.post(format!("{}/v1/events", self.url)).json(&event);
        answer(request.bearer_auth(&self.key).send().await?).await.map(drop)
    }

    pub(crate) async fn usage(&self, tenant: &str) -> Result<Value> {
        let request = self.http.get(format!("{}/v1/tenants/{tenant}/usage", self.url));
        answer(request.bearer_auth(&self.key).send().await?).await
    }

    async fn put(&self, path: &str, body: &Value) -> Result<()> {
        let request = self.http.put(format!("{}{path}", self.url)).json(body);
        let answered = answer(request.bearer_auth(&self.key).send().await.context("cannot reach Sublet")?).await;
        answered.map(drop).with_context(|| format!("PUT {path}"))
    }
}

async fn answer(response: reqwest::Response) -> Result<Value> {
    let status = response.status();
    let body: Value = response.json().await.unwrap_or_default();
    if !status.is_success() {
        bail!("Sublet answered {status}: {}", body["detail"].as_str().unwrap_or_default());
    }
    Ok(body)
}
