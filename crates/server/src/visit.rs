//! What is known of one request beside the request: where it came from, and what was found out about it on the way.
//!
//! The edge makes it and reads it at the end; whoever learns something in between writes it here, once.

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use sublet_model::{KeyId, Name, TenantId};

use crate::edge::RequestId;
use crate::origin::Origin;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// For a year, as is usual: whoever spoke TLS once does not come back without.
const STRICT: HeaderValue = HeaderValue::from_static("max-age=31536000");

#[derive(Debug, Clone)]
pub(crate) struct Visit(Arc<Known>);

#[derive(Debug)]
struct Known {
    id: RequestId,
    origin: Origin,
    key: OnceLock<KeyId>,
    allowance: OnceLock<Allowance>,
    about: OnceLock<(TenantId, Name)>,
}

/// What a rate leaves of a key's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) per_second: u32,
    pub(crate) burst: u32,
    pub(crate) left: u32,
    /// Seconds until there is one more, rounded up.
    pub(crate) next_s: u32,
}

impl Visit {
    pub(crate) fn new(id: RequestId, origin: Origin) -> Visit {
        Visit(Arc::new(Known { id, origin, key: OnceLock::new(), allowance: OnceLock::new(), about: OnceLock::new() }))
    }

    pub(crate) fn id(&self) -> &RequestId {
        &self.0.id
    }

    pub(crate) fn origin(&self) -> Origin {
        self.0.origin
    }

    /// Whose key let it in.
    pub(crate) fn note_key(&self, key: KeyId) {
        let _ = self.0.key.set(key);
    }

    pub(crate) fn key(&self) -> Option<KeyId> {
        self.0.key.get().copied()
    }

    pub(crate) fn note_allowance(&self, allowance: Allowance) {
        let _ = self.0.allowance.set(allowance);
    }

    /// The tenant that a change is about, where the path does not say.
    pub(crate) fn note_about(&self, tenant: TenantId, name: Name) {
        let _ = self.0.about.set((tenant, name));
    }

    pub(crate) fn about(&self) -> Option<(TenantId, Name)> {
        self.0.about.get().cloned()
    }

    /// Says in the answer what the client should know.
    pub(crate) fn mark(&self, headers: &mut HeaderMap) {
        if self.0.origin.is_https {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT);
        }
        let Some(allowance) = self.0.allowance.get() else { return };
        let window_s = allowance.burst.div_ceil(allowance.per_second.max(1));
        // As the IETF's draft "RateLimit header fields for HTTP" writes them.
        let policy = format!("\"key\";q={};w={window_s}", allowance.burst);
        let state = format!("\"key\";r={};t={}", allowance.left, allowance.next_s);
        for (name, text) in [(RATELIMIT_POLICY, policy), (RATELIMIT, state)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
    }
}
