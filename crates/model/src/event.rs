//! An event as it comes in and as it is kept: EventBridge's envelope with `tenant` beside it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::limit;
use crate::trace_context::TraceContext;

/// The reserved source of result events; publishing under it is refused.
pub const SOURCE_SUBLET: &str = "sublet";
pub const DETAIL_TYPE_SUCCEEDED: &str = "Invocation Succeeded";
pub const DETAIL_TYPE_FAILED: &str = "Invocation Failed";

/// An event as published. Unknown keys are refused, so that a misspelt `detail-type` is not lost in silence.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventInput {
    pub id: Option<String>,
    pub source: String,
    #[serde(rename = "detail-type")]
    pub detail_type: String,
    pub time: Option<Timestamp>,
    /// The tenant's name; whether there is such a tenant is decided later, and recorded.
    pub tenant: String,
    #[serde(default)]
    pub resources: Vec<String>,
    /// A JSON object, kept as the text it came in.
    pub detail: Box<RawValue>,
    /// Which trace it belongs to; never a field of the body. What reads the request sets it, from the event's own
    /// attributes where it carries them, else from the request's headers. No part of the event's identity.
    #[serde(skip)]
    pub trace_context: Option<TraceContext>,
    /// What stands for the id in the event's identity where its publisher gave none: made of the request's
    /// Idempotency-Key. Never a field of the body.
    #[serde(skip)]
    pub retry_key: Option<String>,
    /// Of a CloudEvent: a JSON object of the attributes that the other fields do not hold. Never a field of the body.
    #[serde(skip)]
    pub cloudevents: Option<Box<RawValue>>,
}

impl EventInput {
    /// Checks what the types do not. Errors: `Invalid` with the field; `source: "sublet"` is left to the caller, who
    /// answers 403.
    pub fn validate(&self) -> Result<(), Error> {
        chars_within("source", &self.source, limit::SOURCE_CHARS_MAX)?;
        chars_within("detail-type", &self.detail_type, limit::SOURCE_CHARS_MAX)?;
        chars_within("tenant", &self.tenant, crate::name::NAME_CHARS_MAX)?;
        if let Some(id) = &self.id {
            chars_within("id", id, limit::EVENT_ID_CHARS_MAX)?;
        }
        if !self.detail.get().trim_start().starts_with('{') {
            return Err(Error::invalid("detail", "must be a JSON object"));
        }
        Ok(())
    }
}

fn chars_within(field: &str, text: &str, most: usize) -> Result<(), Error> {
    if text.is_empty() || text.chars().count() > most {
        return Err(Error::invalid(field, format!("must have 1 to {most} characters")));
    }
    Ok(())
}

/// An event as kept, matched and handed to functions. Serialises to the envelope's JSON text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    pub version: EnvelopeVersion,
    /// The publisher's id, or Sublet's `evt_…` where it gave none.
    pub id: String,
    #[serde(rename = "detail-type")]
    pub detail_type: String,
    pub source: String,
    /// As in EventBridge; here always `sublet`'s own fixed values, so that functions that read them go on working.
    pub account: String,
    pub time: Timestamp,
    pub region: String,
    pub resources: Vec<String>,
    pub tenant: String,
    /// Of an event that came as a CloudEvent: its further attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloudevents: Option<Box<RawValue>>,
    pub detail: Box<RawValue>,
}

/// EventBridge's envelope version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvelopeVersion {
    #[serde(rename = "0")]
    Zero,
}

pub const ENVELOPE_ACCOUNT: &str = "000000000000";
pub const ENVELOPE_REGION: &str = "local";

impl Envelope {
    /// `fallback_id` and `now` stand in for what the publisher left out.
    pub fn of(input: EventInput, fallback_id: &str, now: Timestamp) -> Envelope {
        Envelope {
            version: EnvelopeVersion::Zero,
            id: input.id.unwrap_or_else(|| fallback_id.to_owned()),
            detail_type: input.detail_type,
            source: input.source,
            account: ENVELOPE_ACCOUNT.to_owned(),
            time: input.time.unwrap_or(now),
            region: ENVELOPE_REGION.to_owned(),
            resources: input.resources,
            tenant: input.tenant,
            cloudevents: input.cloudevents,
            detail: input.detail,
        }
    }
}
