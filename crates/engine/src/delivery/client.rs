//! The HTTP client of deliveries: one POST, no redirects, no proxies, and no private address unless the webhook names
//! it. Addresses are checked where they are used, in the resolver, so that a name cannot change between check and use.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, redirect};
use sublet_model::{Error, Timestamp, TraceContext};
use sublet_store::WebhookRecord;

use super::address::{Destination, is_public};
use super::signature;

/// Wall time of one try, name resolution and answer included.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);
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
pub(crate) struct Answer {
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
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
            Ok(status) => {
                let error = (!(200..300).contains(&status)).then(|| format!("answered {status}"));
                Answer { status: Some(status), error }
            }
            Err(error) => Answer { status: None, error: Some(error.chars().take(ERROR_CHARS_MAX).collect()) },
        }
    }

    async fn try_post(
        &self,
        webhook: &WebhookRecord,
        id: &str,
        at: Timestamp,
        body: Bytes,
        trace: Option<&TraceContext>,
    ) -> Result<u16, String> {
        let destination = Destination::of(&webhook.spec).map_err(|error| error.to_string())?;
        let client = if destination.is_private_allowed { made(&self.private, false) } else { made(&self.public, true) }
            .map_err(|error| error.to_string())?;
        let seconds = at.millis().div_euclid(1_000);
        let signature =
            signature::header(&webhook.secrets, id, seconds, &body).map_err(|error| error.message.clone())?;
        let mut request = client
            .post(destination.url)
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
        // The body of the answer is not read: only its status counts.
        let answer = request.send().await.map_err(|error| reason(&error))?;
        Ok(answer.status().as_u16())
    }
}

/// The innermost cause says most; the URL may hold a token, so it is left out.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if std::ptr::addr_eq(cause, error) { "the request failed".to_owned() } else { cause.to_string() }
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
        .timeout(TIMEOUT)
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
