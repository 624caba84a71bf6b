//! The command line's HTTP client: one base address, one key, problems turned into errors with exit codes.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Body, Certificate, Method, RequestBuilder, StatusCode};
use serde_json::Value;

/// Long enough for a synchronous invoke at the greatest timeout.
const TIMEOUT: Duration = Duration::from_secs(930);
/// How much of an upload is handed on at a time.
const UPLOAD_PART_BYTES: usize = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a client command failed, by the exit code a script would act on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("cannot reach {url}: {why}\nis `sublet serve` running? Name another address with --url or SUBLET_URL")]
    Unreachable { url: String, why: String },
    #[error("{}", describe(.status, .problem))]
    Refused { status: StatusCode, problem: Value },
    #[error("{0}")]
    Usage(String),
}

impl ClientError {
    /// 2 wrong usage, 3 not found, 4 no access, 5 unreachable, 6 throttled or unavailable, 1 everything else.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            ClientError::Usage(_) => 2,
            ClientError::Unreachable { .. } => 5,
            ClientError::Refused { status, .. } => match status.as_u16() {
                400 | 413 | 415 | 422 => 2,
                404 => 3,
                401 | 403 => 4,
                429 | 503 | 507 => 6,
                _ => 1,
            },
        }
    }
}

fn describe(status: &StatusCode, problem: &Value) -> String {
    let mut text = problem["detail"].as_str().or(problem["title"].as_str()).unwrap_or("no explanation").to_owned();
    if let Some(field) = problem["field"].as_str() {
        text = format!("{field}: {text}");
    }
    if *status == StatusCode::UNAUTHORIZED {
        text.push_str("\nname a key with --key or SUBLET_KEY");
    }
    for frame in problem["failure"]["stackTrace"].as_array().into_iter().flatten() {
        text.push_str("\n    ");
        text.push_str(frame.as_str().unwrap_or_default());
    }
    format!("{text} ({status})")
}

/// What a function returned, and what it executed if that was asked for.
pub(crate) struct Invoked {
    pub(crate) answer: Value,
    pub(crate) instructions: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    key: Option<String>,
}

impl Client {
    /// `ca_file`: PEM certificates to trust instead of this machine's.
    pub(crate) fn new(url: &str, key: Option<String>, ca_file: Option<&Path>) -> anyhow::Result<Client> {
        let mut builder = reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(CONNECT_TIMEOUT);
        if let Some(file) = ca_file {
            builder = builder.tls_certs_only(authorities(file)?);
        }
        let http = builder.build()?;
        Ok(Client { http, url: url.trim_end_matches('/').to_owned(), key })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.request(Method::GET, path)).await
    }

    /// GET with query parameters; those without a value are left out.
    pub(crate) async fn list(&self, path: &str, query: &[(&str, Option<String>)]) -> anyhow::Result<Value> {
        let given: Vec<(&str, &String)> = query.iter().filter_map(|(k, v)| v.as_ref().map(|v| (*k, v))).collect();
        self.send(self.request(Method::GET, path).query(&given)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Runs a function: POST with query parameters (those without a value are left out) and an answer to fall back on.
    pub(crate) async fn invoke(
        &self,
        path: &str,
        query: &[(&str, Option<String>)],
        fallback: Option<&Value>,
        body: &Value,
    ) -> anyhow::Result<Invoked> {
        let given: Vec<(&str, &String)> = query.iter().filter_map(|(k, v)| v.as_ref().map(|v| (*k, v))).collect();
        let mut request = self.request(Method::POST, path).query(&given).json(body);
        if let Some(fallback) = fallback {
            request = request.header("sublet-fallback", fallback.to_string());
        }
        let response = self.accepted(request).await?;
        let header = response.headers().get("sublet-instructions");
        let instructions = header.and_then(|count| count.to_str().ok()?.parse().ok());
        Ok(Invoked { answer: json(response).await?, instructions })
    }

    pub(crate) async fn upload(&self, path: &str, content_type: &str, body: Bytes) -> anyhow::Result<Value> {
        self.send(self.request(Method::POST, path).header("content-type", content_type).body(body)).await
    }

    /// The same, telling how much of it has gone out.
    pub(crate) async fn upload_told(
        &self,
        path: &str,
        content_type: &str,
        body: Bytes,
        mut told: impl FnMut(usize) + Send + 'static,
    ) -> anyhow::Result<Value> {
        let length = body.len();
        let parts = (0..length.div_ceil(UPLOAD_PART_BYTES)).map(move |index| {
            let from = index * UPLOAD_PART_BYTES;
            let to = length.min(from + UPLOAD_PART_BYTES);
            told(to);
            Ok::<Bytes, std::io::Error>(body.slice(from..to))
        });
        let request = self.request(Method::POST, path).header("content-type", content_type);
        let request = request.header("content-length", length);
        self.send(request.body(Body::wrap_stream(futures::stream::iter(parts)))).await
    }

    /// Events in one of their forms; `tenant` for CloudEvents that do not name theirs.
    pub(crate) async fn publish(
        &self,
        content_type: &str,
        tenant: Option<&str>,
        body: String,
    ) -> anyhow::Result<Value> {
        let request = self.request(Method::POST, "/v1/events").header("content-type", content_type).body(body);
        let request = match tenant {
            Some(tenant) => request.header("sublet-tenant", tenant),
            None => request,
        };
        self.send(request).await
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn delete_with(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.request(Method::DELETE, path).json(body)).await
    }

    /// The answer to a GET as it streams in.
    pub(crate) async fn stream(&self, path: &str) -> anyhow::Result<reqwest::Response> {
        self.accepted(self.request(Method::GET, path)).await
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        json(self.accepted(request).await?).await
    }

    async fn accepted(&self, request: RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        refuse(response).await
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            why = inner.to_string();
            source = inner.source();
        }
        ClientError::Unreachable { url: self.url.clone(), why }
    }
}

/// Errors: the file cannot be read, or holds no certificate.
fn authorities(file: &Path) -> anyhow::Result<Vec<Certificate>> {
    let bad = |why: &str| ClientError::Usage(format!("--ca-file {}: {why}", file.display()));
    let text = std::fs::read(file).map_err(|error| bad(&error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&text).map_err(|_| bad("is not PEM"))?;
    if certificates.is_empty() {
        return Err(bad("holds no certificate").into());
    }
    Ok(certificates)
}

async fn json(response: reqwest::Response) -> anyhow::Result<Value> {
    let body = response.bytes().await?;
    if body.is_empty() {
        return Ok(Value::Null);
    }
    Ok(serde_json::from_slice(&body)?)
}

async fn refuse(response: reqwest::Response) -> anyhow::Result<reqwest::Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let problem = response.json().await.unwrap_or_default();
    Err(ClientError::Refused { status, problem }.into())
}
