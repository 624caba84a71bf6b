//! The HTTP client of deliveries: one POST, no redirects, no proxies, and no private address unless the webhook names
//! it. Addresses are checked where they are used, in the resolver, so that a name cannot change between check and use.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, redirect};
use sublet_model::address::is_public;
use sublet_model::{Error, Millis, Timestamp, TraceContext};
use sublet_store::WebhookRecord;

use super::address::Destination;
use super::schedule::Tried;
use super::{retry_after, signature};

/// Bytes of an answer's body that are read; the start is kept with the try.
const RESPONSE_BYTES_MAX: usize = 1_024;
/// Idle connections kept per receiver.
const IDLE_PER_HOST_MAX: usize = 8;
/// Characters of an error as it is kept with the try.
const ERROR_CHARS_MAX: usize = 300;

/// Made at the first delivery: reading the system's certificates takes a while.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    public: OnceLock<Client>,
    private: OnceLock<Client>,
}

/// What one try came to.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) tried: Tried,
    pub(crate) error: Option<String>,
    pub(crate) response: Option<String>,
}

impl Answer {
    /// The receiver was not asked.
    pub(crate) fn none(why: &str) -> Answer {
        Answer { error: Some(why.to_owned()), ..Answer::default() }
    }
}

impl Clients {
    pub(crate) async fn post(
        &self,
        webhook: &WebhookRecord,
        id: &str,
        at: Timestamp,
        body: Bytes,
        trace: Option<&TraceContext>,
    ) -> Answer {
        match self.try_post(webhook, id, at, body, trace).await {
            Ok(answer) => answer,
            Err(error) => Answer::none(&error.chars().take(ERROR_CHARS_MAX).collect::<String>()),
        }
    }

    async fn try_post(
        &self,
        webhook: &WebhookRecord,
        id: &str,
        at: Timestamp,
        body: Bytes,
        trace: Option<&TraceContext>,
    ) -> Result<Answer, String> {
        let destination = Destination::of(&webhook.spec).map_err(|error| error.to_string())?;
        let client = if destination.is_private_allowed { made(&self.private, false) } else { made(&self.public, true) }
            .map_err(|error| error.to_string())?;
        let seconds = at.millis().div_euclid(1_000);
        let secrets = webhook.signing(at).map(|secret| secret.text.as_str());
        let signature = signature::header(secrets, id, seconds, &body).map_err(|error| error.message.clone())?;
        let mut request = client
            .post(destination.url)
            .timeout(webhook.spec.timeout.duration())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", signature)
            .body(body);
        if let Some(trace) = trace {
            request = request.header("traceparent", trace.to_string());
            if let Some(state) = trace.state() {
                request = request.header("tracestate", state);
            }
        }
        let mut answer = request.send().await.map_err(|error| reason(&error, webhook.spec.timeout))?;
        let status = answer.status();
        let asked = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = asked.and_then(|text| retry_after::parse(text, at));
        let error = match status.as_u16() {
            200..300 => None,
            code @ 300..400 => Some(format!("answered {code}: redirects are not followed")),
            code => Some(format!("answered {code}")),
        };
        let response = start_of(&mut answer).await;
        Ok(Answer { tried: Tried { status: Some(status.as_u16()), retry_after }, error, response })
    }
}

/// The status was the answer; a body that breaks off, or takes longer than the timeout, changes nothing about it.
async fn start_of(answer: &mut reqwest::Response) -> Option<String> {
    let mut start = Vec::new();
    while start.len() < RESPONSE_BYTES_MAX
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        start.extend_from_slice(&chunk[..chunk.len().min(RESPONSE_BYTES_MAX - start.len())]);
    }
    // Shown on terminals and pages: a receiver's control characters are not.
    let shown = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { char::REPLACEMENT_CHARACTER } else { c };
    let text: String = String::from_utf8_lossy(&start).chars().map(shown).collect();
    (!text.is_empty()).then_some(text)
}

/// The innermost cause says most; the URL may hold a token, so it is left out.
fn reason(error: &reqwest::Error, timeout: Millis) -> String {
    if error.is_timeout() {
        return format!("no answer within {timeout}");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let what = if error.is_connect() { "no connection" } else { "the request failed" };
    if std::ptr::addr_eq(cause, error) { what.to_owned() } else { format!("{what}: {cause}") }
}

fn made(slot: &OnceLock<Client>, is_filtered: bool) -> Result<Client, Error> {
    if let Some(client) = slot.get() {
        return Ok(client.clone());
    }
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Someone else may install one in the same moment; theirs will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .user_agent(concat!("sublet/", env!("CARGO_PKG_VERSION")));
    let client = if is_filtered { builder.dns_resolver(Arc::new(PublicOnly)) } else { builder }
        .build()
        .map_err(Error::internal)?;
    Ok(slot.get_or_init(|| client).clone())
}

/// Resolves names to public addresses only.
#[derive(Debug)]
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is put in by the client.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the host has no public address; name it in allow_private if that is meant".into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}
