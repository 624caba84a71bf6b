//! Checks a request's key: once, whoever asks first.

use std::sync::Arc;

use axum::extract::MatchedPath;
use axum::http::{HeaderMap, header, request::Parts};
use sublet_store::{KeyRecord, KeyScope, Standing};
use subtle::{Choice, ConstantTimeEq};

use super::role::may;
use super::secret::{KEY_CHARS_MAX, KEY_CHARS_MIN, hash_of};
use super::state::AppState;
use crate::problem::Problem;
use crate::visit::Visit;

/// A request with a key that lets in.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    pub(crate) key: Arc<KeyRecord>,
    /// Of the secret that was sent.
    pub(super) hash: [u8; 32],
}

impl Admitted {
    pub(crate) fn scope(&self) -> KeyScope {
        self.key.scope
    }

    /// Whether the key's role opens this route. To be asked once it is settled that the caller may know of the thing.
    pub(super) fn check_role(&self, parts: &Parts) -> Result<(), Problem> {
        let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        if may(self.key.role, &parts.method, route) {
            return Ok(());
        }
        Err(Problem::forbidden(format!("a key of the role `{}` may not do this", self.key.role)))
    }
}

/// What was found out about the request before, else what the check of its key finds.
///
/// Errors: 401 for no key, an unknown one, one that is expired; 429 for too many requests, or too many unknown keys.
pub(crate) async fn admit(parts: &Parts, state: &AppState) -> Result<Admitted, Problem> {
    if let Some(admitted) = parts.extensions.get::<Admitted>() {
        return Ok(admitted.clone());
    }
    let secret = secret_of(&parts.headers)?;
    let (gate, now) = (&state.inner.gate, state.inner.config.clock.now());
    let visit = parts.extensions.get::<Visit>();
    let from = visit.map(|visit| visit.origin().address);
    let unknown = || {
        if let Some(from) = from {
            gate.failed(from, now);
        }
        Problem::unauthorized("this key is not known")
    };
    // What cannot be a key costs no look-up.
    if !(KEY_CHARS_MIN..=KEY_CHARS_MAX).contains(&secret.len()) {
        return Err(unknown());
    }
    let hash = hash_of(secret);
    let registry = state.inner.engine.registry();
    let held = registry.key_if_held(&hash).flatten();
    // A key that was used before gets in whatever its neighbours at the same address do: guessing is what is slowed.
    if held.is_none()
        && let Some(from) = from
        && let Err(wait_s) = gate.check_failures(from, now)
    {
        return Err(Problem::throttled("too many unknown keys from this address", wait_s));
    }
    let found = match held {
        Some(key) => Some(key),
        None => registry.key(&hash).await?,
    };
    let key = found.ok_or_else(unknown)?;
    // The look-up was by a hash of the secret, so its timing tells nothing of the secret; comparing what it found once
    // more, in constant time, does not rely on how a cache or a backend compares.
    let is_former = key.former.map_or(Choice::from(0), |former| former.hash.ct_eq(&hash));
    if !bool::from(key.hash.ct_eq(&hash) | is_former) {
        return Err(unknown());
    }
    // Whoever holds the secret may know why it does not work.
    match key.standing(&hash, now) {
        Standing::Valid => {}
        Standing::Expired(at) => return Err(Problem::unauthorized(&format!("this key expired at {at}"))),
        Standing::Replaced(at) => {
            return Err(Problem::unauthorized(&format!("this secret was replaced and stopped working at {at}")));
        }
    }
    if let Some(visit) = visit {
        visit.note_key(key.id);
    }
    let allowance = gate.take(&key, now);
    if let (Ok(Some(known)) | Err(known), Some(visit)) = (allowance, visit) {
        visit.note_allowance(known);
    }
    if let Err(allowance) = allowance {
        metrics::counter!("sublet_throttled_total", "reason" => "key").increment(1);
        return Err(Problem::throttled("this key's rate is used up for now", allowance.next_s));
    }
    if let Some(from) = from {
        gate.used(key.id, from, now);
    }
    Ok(Admitted { key, hash })
}

fn secret_of(headers: &HeaderMap) -> Result<&str, Problem> {
    let value = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(|| Problem::unauthorized("send a key as `Authorization: Bearer …`"))?;
    value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret.trim())
        .ok_or_else(|| Problem::unauthorized("the authorization must be `Bearer` and a key"))
}
