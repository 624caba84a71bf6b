//! A webhook as it is kept: where it leads, what it signs with, whether it is sent to. The decisions about its secrets
//! and its state are made here, once for all backends.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sublet_model::{Error, Millis, Name, Timestamp};

/// Secrets of one webhook that sign at the same time: the newest, and those it is replacing.
pub const WEBHOOK_SECRETS_MAX: usize = 4;
/// How long a receiver has for its answer, if the webhook says nothing.
pub const WEBHOOK_TIMEOUT_DEFAULT: Millis = Millis(15_000);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    pub url: String,
    /// `host:port`, exact, that may be reached although it is private.
    #[serde(default)]
    pub allow_private: Vec<String>,
    /// Wall time of one try: name resolution, connection, answer.
    #[serde(default = "timeout")]
    pub timeout: Millis,
}

fn timeout() -> Millis {
    WEBHOOK_TIMEOUT_DEFAULT
}

impl WebhookSpec {
    /// Nothing but the address.
    pub fn to(url: impl Into<String>) -> WebhookSpec {
        WebhookSpec { url: url.into(), allow_private: Vec::new(), timeout: WEBHOOK_TIMEOUT_DEFAULT }
    }
}

/// A Standard Webhooks secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSecret {
    /// `whsec_…`
    pub text: String,
    pub created: Timestamp,
    /// From then on it signs no more; `None` for the newest.
    pub expires: Option<Timestamp>,
}

/// Never the secret.
impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookSecret({}, {} to {:?})", self.id(), self.created, self.expires)
    }
}

impl WebhookSecret {
    pub fn new(text: String, now: Timestamp) -> WebhookSecret {
        WebhookSecret { text, created: now, expires: None }
    }

    /// Tells secrets apart without showing them: `sec_` and the start of the secret's SHA-256, which whoever holds the
    /// secret can work out too.
    pub fn id(&self) -> String {
        let hash = Sha256::digest(self.text.as_bytes());
        hash.iter().take(6).fold("sec_".to_owned(), |id, byte| format!("{id}{byte:02x}"))
    }

    fn signs_at(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|end| end > now)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DisabledReason {
    /// The operator said so.
    Operator,
    /// The receiver answered 410.
    Gone,
    /// Nothing but failures for days.
    Failing,
}

/// While it is disabled nothing is sent to it; its deliveries wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    pub reason: DisabledReason,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRecord {
    pub name: Name,
    pub spec: WebhookSpec,
    /// Newest first. Those that expired go with the next rotation.
    pub secrets: Vec<WebhookSecret>,
    pub disabled: Option<Disabled>,
    /// The first failure since the last success.
    pub failing_since: Option<Timestamp>,
    pub created: Timestamp,
}

impl WebhookRecord {
    pub fn is_enabled(&self) -> bool {
        self.disabled.is_none()
    }

    /// Newest first.
    pub fn signing(&self, now: Timestamp) -> impl Iterator<Item = &WebhookSecret> {
        self.secrets.iter().filter(move |secret| secret.signs_at(now))
    }

    /// Puts a new secret in front; those before it sign on until `until`, or until the end they have already.
    ///
    /// Errors: `Conflict` when it is one of its secrets already, or when too many still sign.
    pub fn rotate(&mut self, fresh: WebhookSecret, until: Timestamp, now: Timestamp) -> Result<(), Error> {
        let mut kept: Vec<WebhookSecret> = self.signing(now).cloned().collect();
        if kept.iter().any(|secret| secret.text == fresh.text) {
            return Err(Error::conflict("this is one of the webhook's secrets already"));
        }
        for secret in &mut kept {
            secret.expires = Some(secret.expires.map_or(until, |end| end.min(until)));
        }
        kept.retain(|secret| secret.signs_at(now));
        if kept.len() >= WEBHOOK_SECRETS_MAX {
            let first = kept.iter().filter_map(|secret| secret.expires).min().unwrap_or(until);
            return Err(Error::conflict(format!(
                "{WEBHOOK_SECRETS_MAX} secrets sign already, the first of them until {first}; rotate then, or with a \
                 shorter overlap"
            )));
        }
        kept.insert(0, fresh);
        self.secrets = kept;
        Ok(())
    }

    /// Disabling what is disabled keeps the first reason and time; enabling forgets its failures.
    pub fn switch(&mut self, disabled: Option<DisabledReason>, now: Timestamp) {
        match disabled {
            Some(reason) => {
                self.disabled.get_or_insert(Disabled { reason, at: now });
            }
            None => {
                self.disabled = None;
                self.failing_since = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn record() -> WebhookRecord {
        WebhookRecord {
            name: "crm".parse().unwrap(),
            spec: WebhookSpec::to("https://crm.test"),
            secrets: vec![WebhookSecret::new("one".to_owned(), NOW)],
            disabled: None,
            failing_since: None,
            created: NOW,
        }
    }

    fn signing(record: &WebhookRecord, now: Timestamp) -> Vec<&str> {
        record.signing(now).map(|secret| secret.text.as_str()).collect()
    }

    #[test]
    fn a_replaced_secret_signs_along_for_the_overlap_and_then_drops_out_by_itself() {
        let mut record = record();
        record.rotate(WebhookSecret::new("two".to_owned(), NOW), NOW + HOUR * 2, NOW).unwrap();
        assert_eq!(signing(&record, NOW), ["two", "one"]);
        // A later rotation with a longer overlap does not lengthen the life of one that has its end.
        let later = NOW + HOUR;
        record.rotate(WebhookSecret::new("three".to_owned(), later), later + HOUR * 24, later).unwrap();
        assert_eq!(signing(&record, later), ["three", "two", "one"]);
        assert_eq!(signing(&record, NOW + HOUR * 2), ["three", "two"]);
        assert_eq!(signing(&record, later + HOUR * 24), ["three"]);
        // Without an overlap the others are gone at once, also those with time left.
        record.rotate(WebhookSecret::new("four".to_owned(), later), later, later).unwrap();
        assert_eq!((signing(&record, later), record.secrets.len()), (vec!["four"], 1));
    }

    #[test]
    fn only_so_many_secrets_sign_at_once_and_none_twice() {
        let mut record = record();
        for text in ["two", "three", "four"] {
            record.rotate(WebhookSecret::new(text.to_owned(), NOW), NOW + HOUR, NOW).unwrap();
        }
        let before = record.clone();
        assert!(record.rotate(WebhookSecret::new("five".to_owned(), NOW), NOW + HOUR, NOW).is_err());
        assert!(record.rotate(WebhookSecret::new("four".to_owned(), NOW), NOW, NOW).is_err());
        assert_eq!(record, before, "a refusal changes nothing");
        record.rotate(WebhookSecret::new("five".to_owned(), NOW), NOW + HOUR, NOW + HOUR).unwrap();
        assert_eq!(signing(&record, NOW + HOUR), ["five"]);
    }

    #[test]
    fn the_first_reason_stays_until_it_is_enabled() {
        let mut record = record();
        record.failing_since = Some(NOW);
        record.switch(Some(DisabledReason::Gone), NOW);
        record.switch(Some(DisabledReason::Operator), NOW + HOUR);
        assert_eq!(record.disabled, Some(Disabled { reason: DisabledReason::Gone, at: NOW }));
        record.switch(None, NOW + HOUR);
        assert_eq!((record.is_enabled(), record.failing_since), (true, None));
    }

    #[test]
    fn a_secret_is_not_in_its_debug_text() {
        let text = format!("{:?}", WebhookSecret::new("whsec_hush".to_owned(), NOW));
        assert!(!text.contains("hush") && text.contains("sec_"), "{text}");
    }
}
