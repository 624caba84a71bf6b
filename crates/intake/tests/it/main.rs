//! The ways in, as a caller meets them: one request in, events or a refusal out.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are not themselves marked as tests")]

mod cloudevents;
