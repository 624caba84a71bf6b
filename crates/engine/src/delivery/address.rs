//! Where a webhook may lead. Private, loopback, link-local and metadata addresses are refused after resolution, unless
//! the webhook names exactly that host and port.

use std::net::IpAddr;

use reqwest::Url;
use sublet_model::address::is_public;
use sublet_model::{Error, Millis};
use sublet_store::WebhookSpec;

/// Characters of a webhook's URL.
const URL_CHARS_MAX: usize = 2_048;
/// Entries of `allow_private`.
const ALLOW_PRIVATE_MAX: usize = 16;
/// A webhook's own timeout: least and most.
const TIMEOUT_MIN: Millis = Millis(100);
const TIMEOUT_MAX: Millis = Millis(30_000);

/// Checks a webhook as it is put. Errors: `Invalid` with `url`, `allow_private` or `timeout`.
pub fn check_spec(spec: &WebhookSpec) -> Result<(), Error> {
    if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&spec.timeout) {
        return Err(Error::invalid("timeout", format!("must be {TIMEOUT_MIN} to {TIMEOUT_MAX}")));
    }
    if spec.allow_private.len() > ALLOW_PRIVATE_MAX {
        return Err(Error::invalid("allow_private", format!("must have at most {ALLOW_PRIVATE_MAX} entries")));
    }
    for entry in &spec.allow_private {
        let has_port =
            entry.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !has_port {
            return Err(Error::invalid("allow_private", format!("`{entry}` is not of the form host:port")));
        }
    }
    Destination::of(spec).map(|_| ())
}

/// A webhook's URL, checked as far as can be without resolving its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub url: Url,
    /// The webhook names exactly this host and port as one it may reach although it is private.
    pub is_private_allowed: bool,
}

impl Destination {
    pub fn of(spec: &WebhookSpec) -> Result<Destination, Error> {
        let wrong = |why: &str| Error::invalid("url", why.to_owned());
        if spec.url.chars().count() > URL_CHARS_MAX {
            return Err(wrong("is too long"));
        }
        // The URL standard reads a backslash as a slash; not everything that will see this URL does.
        if spec.url.contains('\\') {
            return Err(wrong("must not hold a backslash"));
        }
        let url = Url::parse(&spec.url).map_err(|_| wrong("is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("must begin with https:// or http://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("must not hold a user name or password"));
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(wrong("names no host"));
        };
        let here = format!("{host}:{port}");
        let is_private_allowed = spec.allow_private.contains(&here);
        if let Some(address) = literal(host)
            && !is_private_allowed
            && !is_public(address)
        {
            return Err(wrong("leads to a private address, which must be named in allow_private as host:port"));
        }
        Ok(Destination { url, is_private_allowed })
    }
}

/// The address a host spells; the URL's parser has brought every spelling (decimal, octal, hexadecimal) to this form.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.trim_end_matches('.').parse().ok()
}
