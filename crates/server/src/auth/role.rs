//! What each role opens within its scope: the one table. Whose tenant it is was settled before it is asked.
//!
//! What is not named here is an administrator's if it changes something, and everybody's in its scope if it does not: an
//! operation that is added tomorrow opens itself to nobody by being forgotten. docs/keys.md shows it to people.

use axum::http::Method;
use sublet_store::KeyRole;

/// For the product: what it sends, what it gets back, and what its request waits for.
const PUBLISHES: [(&str, &str); 10] = [
    ("POST", "/v1/events"),
    ("GET", "/v1/events"),
    ("GET", "/v1/events/{id}"),
    ("GET", "/v1/stream"),
    ("POST", "/v1/patterns/test"),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/invoke"),
    ("POST", "/v1/queues/{queue}/receive"),
    ("POST", "/v1/queues/{queue}/ack"),
    ("POST", "/v1/queues/{queue}/extend"),
    ("POST", "/v1/queues/{queue}/release"),
];

/// For a tenant's CI, beside looking: new code, trying it, and stopping it. Nothing that deletes, and no secrets.
const DEPLOYS: [(&str, &str); 6] = [
    ("PUT", "/v1/tenants/{tenant}/functions/{function}"),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/versions"),
    ("PUT", "/v1/tenants/{tenant}/functions/{function}/aliases/{alias}"),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/invoke"),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/stop"),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/start"),
];

/// Looks like a change and is none.
const LOOKS: [(&str, &str); 1] = [("POST", "/v1/patterns/test")];

/// Who did what from where is for those who administer.
const ADMINISTERS: [&str; 4] = ["/v1/audit", "/v1/tenants/{tenant}/audit", "/v1/keys", "/v1/keys/{id}"];

/// `route`: the path's template.
pub(super) fn may(role: KeyRole, method: &Method, route: &str) -> bool {
    let named = |table: &[(&str, &str)]| table.iter().any(|(verb, path)| *verb == method.as_str() && *path == route);
    let looks = || (method.is_safe() && !ADMINISTERS.contains(&route)) || named(&LOOKS);
    match role {
        KeyRole::Admin => true,
        KeyRole::Publish => named(&PUBLISHES),
        KeyRole::Deploy => named(&DEPLOYS) || looks(),
        KeyRole::Read => looks(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_named_is_open_to_looking_and_closed_to_changing() {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            for role in [KeyRole::Publish, KeyRole::Deploy, KeyRole::Read] {
                assert!(!may(role, &method, "/v1/tomorrow"), "{role} {method}");
            }
            assert!(may(KeyRole::Admin, &method, "/v1/tomorrow"));
        }
        assert!(may(KeyRole::Read, &Method::GET, "/v1/tomorrow") && may(KeyRole::Read, &Method::HEAD, "/v1/rules"));
        assert!(!may(KeyRole::Publish, &Method::GET, "/v1/tomorrow"), "a producer's key sees its own part alone");
    }
}
