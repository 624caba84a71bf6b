//! What the server says of itself: its log, and traces and metrics for an OpenTelemetry collector.

pub(crate) mod log;
pub(crate) mod otlp;
