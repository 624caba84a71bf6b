//! A client that speaks JSON and keeps its opinions to itself: every status is an answer, only no answer is an error.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::stream::Stream;

/// Long enough for any one request of a test on a loaded machine.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    url: String,
    key: Option<String>,
}

/// A status and its JSON body; `Null` when there is no body or it is no JSON.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl Answer {
    /// The body of a success; anything else is an error that shows the problem.
    pub fn ok(self) -> Result<Value> {
        if !self.status.is_success() {
            bail!("answered {}: {}", self.status, self.body);
        }
        Ok(self.body)
    }
}

impl Http {
    pub fn new(url: &str, key: Option<&str>) -> Result<Http> {
        // A second installation in the same process changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().build()?;
        Ok(Http { client, url: url.to_owned(), key: key.map(str::to_owned) })
    }

    /// The same address as seen by the owner of another key.
    pub fn with_key(&self, key: &str) -> Http {
        Http { key: Some(key.to_owned()), ..self.clone() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Errors only when no answer came.
    async fn send(&self, request: RequestBuilder) -> Result<Answer> {
        let response = request.timeout(TIMEOUT).send().await.context("no answer")?;
        let status = response.status();
        let body = response.bytes().await.context("the answer broke off")?;
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() })
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub async fn upload(&self, path: &str, content_type: &str, body: Vec<u8>) -> Result<Answer> {
        self.send(self.request(Method::POST, path).header("content-type", content_type).body(body)).await
    }

    /// Server-sent events as they come; the connection is open when this returns.
    pub async fn stream(&self, path: &str) -> Result<Stream> {
        let response = self.request(Method::GET, path).send().await.context("no answer")?;
        anyhow::ensure!(response.status().is_success(), "GET {path} answered {}", response.status());
        Ok(Stream::new(response))
    }
}
