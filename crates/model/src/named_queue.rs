//! What an operator says of a named queue, and the numbers that a queue answers for.
//!
//! A named queue holds *messages* for a consumer outside Sublet, who receives them under a lease and acknowledges them.
//! It is not a tenant's queue, which holds invocations.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;
use crate::id::MessageId;
use crate::name::Name;
use crate::unit::Millis;

/// The body of `PUT /v1/queues/{queue}`; what is left out has its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSpec {
    /// How long a message is kept from when it was put; a dead one from when it died.
    pub retention: Millis,
    /// How often a message is handed out before it is a dead letter of the queue.
    pub receives_max: u32,
    /// How long a consumer has to acknowledge, when it does not say.
    pub lease: Millis,
    /// Messages that wait or are in flight; beyond it the queue is full.
    pub depth: u64,
}

pub const RETENTION_MIN: Duration = Duration::from_secs(60);
pub const RETENTION_MAX: Duration = Duration::from_secs(14 * 86_400);
pub const RECEIVES_MAX: u32 = 1_000;
pub const LEASE_MIN: Duration = Duration::from_secs(1);
pub const LEASE_MAX: Duration = Duration::from_secs(12 * 3_600);
pub const DEPTH_MAX: u64 = 1_000_000;

impl Default for QueueSpec {
    fn default() -> QueueSpec {
        QueueSpec { retention: Millis(4 * 86_400_000), receives_max: 5, lease: Millis(30_000), depth: 100_000 }
    }
}

impl QueueSpec {
    /// Errors: `Invalid` with the field and what would be right.
    pub fn validate(&self) -> Result<(), Error> {
        span("retention", self.retention, RETENTION_MIN, RETENTION_MAX)?;
        span("lease", self.lease, LEASE_MIN, LEASE_MAX)?;
        if self.receives_max == 0 || self.receives_max > RECEIVES_MAX {
            return Err(Error::invalid("receives_max", format!("must be 1 to {RECEIVES_MAX}")));
        }
        if self.depth == 0 || self.depth > DEPTH_MAX {
            return Err(Error::invalid("depth", format!("must be 1 to {DEPTH_MAX}")));
        }
        Ok(())
    }
}

/// Errors: `Invalid` with `field`.
pub fn span(field: &str, value: Millis, least: Duration, most: Duration) -> Result<(), Error> {
    if value.duration() < least || value.duration() > most {
        let (least, most) = (Millis::from(least), Millis::from(most));
        return Err(Error::invalid(field, format!("must be {least} to {most}, not {value}")));
    }
    Ok(())
}

/// Where a target's dead letters are put besides: `{"queue": "name"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterTarget {
    pub queue: Name,
}

/// The right to acknowledge one message, as its consumer holds it: the message and the number of the receive, so that
/// an earlier holder's never fits. In text `msg_….3`; opaque to consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageLease {
    pub message: MessageId,
    pub receive: u32,
}

impl fmt::Display for MessageLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.message, self.receive)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a lease that a receive gave")]
pub struct MessageLeaseError;

impl FromStr for MessageLease {
    type Err = MessageLeaseError;

    fn from_str(text: &str) -> Result<MessageLease, MessageLeaseError> {
        let (message, receive) = text.split_once('.').ok_or(MessageLeaseError)?;
        // One text per lease: no sign, no leading zero.
        if !receive.starts_with(|c: char| c.is_ascii_digit() && c != '0') {
            return Err(MessageLeaseError);
        }
        Ok(MessageLease {
            message: message.parse().map_err(|_| MessageLeaseError)?,
            receive: receive.parse().map_err(|_| MessageLeaseError)?,
        })
    }
}

impl Serialize for MessageLease {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageLease {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MessageLease, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_says_nothing_has_the_defaults_and_nonsense_names_its_field() {
        let spec: QueueSpec = serde_json::from_str("{}").unwrap();
        assert_eq!(spec, QueueSpec::default());
        assert!(spec.validate().is_ok());
        for (text, field) in [
            (r#"{"retention": "1s"}"#, "retention"),
            (r#"{"lease": "13h"}"#, "lease"),
            (r#"{"receives_max": 0}"#, "receives_max"),
            (r#"{"depth": 1000001}"#, "depth"),
        ] {
            let refused = serde_json::from_str::<QueueSpec>(text).unwrap().validate().unwrap_err();
            assert_eq!(refused.field.as_deref(), Some(field));
        }
        assert!(serde_json::from_str::<QueueSpec>(r#"{"max": 1}"#).is_err());
    }

    #[test]
    fn a_lease_has_one_text() {
        let lease = MessageLease { message: MessageId::from_raw(77), receive: 12 };
        assert_eq!(lease.to_string().parse(), Ok(lease));
        for bad in
            ["", "msg_", "msg_000000000002d", "msg_000000000002d.", "msg_000000000002d.0", "msg_000000000002d.+1"]
        {
            assert!(bad.parse::<MessageLease>().is_err(), "{bad}");
        }
        assert!("msg_000000000002d.01".parse::<MessageLease>().is_err());
    }
}
