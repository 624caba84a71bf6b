//! Spans: what was done when, as one trace from the publish to the webhook.
//!
//! Not the spans of `tracing`, which live inside one process and one task: between a publish and its attempt lie a
//! commit, a queue and perhaps a crash. So a span here is a plain record, made when it ends, whose parent is the trace
//! context that is kept with the event, and it is handed to a [`SpanSink`] that must not wait.
//!
//! The span of an attempt is numbered after its invocation and start, so that the result event is its child also when
//! somebody else publishes it after a crash. Without a sink nothing is made, and contexts go through unchanged.
//! Attributes are ids, names, numbers and words of ours: never bodies, headers, secrets or a tenant's text.

use std::sync::Arc;

use sublet_model::{DeliveryId, InvocationId, Timestamp, TraceContext};

use crate::core::Core;

/// What part a span plays, in OpenTelemetry's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    Internal,
    Server,
    Client,
    Consumer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanValue {
    Text(String),
    Word(&'static str),
    Number(i64),
}

pub type SpanAttribute = (&'static str, SpanValue);

/// Something that was done, from when to when, in nanoseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub name: &'static str,
    pub kind: SpanKind,
    pub context: TraceContext,
    pub parent: Option<[u8; 8]>,
    /// The parent is a span of the caller's.
    pub is_parent_remote: bool,
    pub start_ns: u64,
    pub end_ns: u64,
    pub attributes: Vec<SpanAttribute>,
    /// Why it failed, in a few words.
    pub error: Option<String>,
}

/// Takes spans as they end.
pub trait SpanSink: Send + Sync + 'static {
    /// Contract: never waits, and drops what it has no room for.
    fn record(&self, span: Span);
}

/// Whether spans are made, and of how many traces.
#[derive(Clone, Default)]
pub struct Tracing {
    sink: Option<Arc<dyn SpanSink>>,
    /// A trace that begins here is recorded when a random number is below it.
    sampled_below: u64,
}

impl Tracing {
    pub fn off() -> Tracing {
        Tracing::default()
    }

    /// `ratio`: of the traces that begin here, the part that is recorded, 0 to 1. A trace that came with a request is
    /// recorded when its caller records it.
    pub fn to(sink: Arc<dyn SpanSink>, ratio: f64) -> Tracing {
        // Saturates at both ends.
        Tracing { sink: Some(sink), sampled_below: (ratio * u64::MAX as f64) as u64 }
    }
}

/// A span that began with a request.
#[derive(Debug)]
pub struct OpenSpan {
    context: TraceContext,
    remote: Option<[u8; 8]>,
    start_ns: u64,
}

impl Core {
    pub(crate) fn sink_for(&self, context: Option<&TraceContext>) -> Option<&Arc<dyn SpanSink>> {
        self.tracing.sink.as_ref().filter(|_| context.is_some_and(TraceContext::is_sampled))
    }

    /// The trace of what a request publishes, and its span when it is recorded.
    pub(crate) fn begin_trace(&self, remote: Option<TraceContext>) -> (Option<TraceContext>, Option<OpenSpan>) {
        if self.tracing.sink.is_none() {
            return (remote, None);
        }
        let context = match &remote {
            Some(remote) if remote.is_sampled() => remote.child(self.chance.bits64().to_be_bytes()),
            Some(_) => return (remote, None),
            None => {
                let (high, low, span) = (self.chance.bits64(), self.chance.bits64(), self.chance.bits64());
                let is_sampled = low < self.tracing.sampled_below || self.tracing.sampled_below == u64::MAX;
                let trace_id = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
                match TraceContext::new(trace_id, span.to_be_bytes(), is_sampled).filter(TraceContext::is_sampled) {
                    Some(context) => context,
                    None => return (None, None),
                }
            }
        };
        let remote = remote.map(|remote| remote.span_id());
        let open = OpenSpan { context: context.clone(), remote, start_ns: self.clock.now_ns() };
        (Some(context), Some(open))
    }

    pub(crate) fn end_span(
        &self,
        open: OpenSpan,
        name: &'static str,
        attributes: Vec<SpanAttribute>,
        error: Option<String>,
    ) {
        let Some(sink) = &self.tracing.sink else { return };
        sink.record(Span {
            name,
            kind: SpanKind::Server,
            context: open.context,
            parent: open.remote,
            is_parent_remote: open.remote.is_some(),
            start_ns: open.start_ns,
            end_ns: self.clock.now_ns(),
            attributes,
            error,
        });
    }

    /// A span inside of `parent` that ends now; answers the moment, which the next one may start at.
    pub(crate) fn record_step(&self, name: &'static str, parent: &TraceContext, start_ns: u64) -> u64 {
        let end_ns = self.clock.now_ns();
        if let Some(sink) = self.sink_for(Some(parent)) {
            sink.record(Span {
                name,
                kind: SpanKind::Internal,
                context: parent.child(self.chance.bits64().to_be_bytes()),
                parent: Some(parent.span_id()),
                is_parent_remote: false,
                start_ns,
                end_ns,
                attributes: Vec::new(),
                error: None,
            });
        }
        end_ns
    }

    /// What an attempt, and all that comes of it, is a part of: a span of its own where one is recorded, else what the
    /// event came with.
    pub(crate) fn attempt_context(
        &self,
        event: Option<&TraceContext>,
        invocation: InvocationId,
        start: u32,
    ) -> Option<TraceContext> {
        let event = event?;
        match self.sink_for(Some(event)) {
            Some(_) => Some(event.child(numbered(Part::Attempt, invocation.raw(), start))),
            None => Some(event.clone()),
        }
    }

    /// The same for one try of a delivery.
    pub(crate) fn delivery_context(
        &self,
        event: Option<&TraceContext>,
        delivery: DeliveryId,
        number: u32,
    ) -> Option<TraceContext> {
        let event = event?;
        match self.sink_for(Some(event)) {
            Some(_) => Some(event.child(numbered(Part::Delivery, delivery.raw(), number))),
            None => Some(event.clone()),
        }
    }
}

/// What a numbered span stands for; the number keeps two of one id apart.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Attempt = 1,
    Dwell = 2,
    Delivery = 3,
}

/// A span id that follows from what it is of. SplitMix64's finaliser spreads the bits; within one trace no two are alike
/// but by an accident of 64 bits.
pub(crate) fn numbered(part: Part, id: i64, number: u32) -> [u8; 8] {
    let seed = id.cast_unsigned() ^ (u64::from(number) << 2 | part as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut mixed = seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)).to_be_bytes()
}

pub(crate) fn nanos(moment: Timestamp) -> u64 {
    u64::try_from(moment.millis()).unwrap_or(0).saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_spans_differ_by_part_id_and_number_and_repeat_themselves() {
        let mut seen = std::collections::HashSet::new();
        for part in [Part::Attempt, Part::Dwell, Part::Delivery] {
            for id in 1..200 {
                for number in 0..20 {
                    assert!(seen.insert(numbered(part, id, number)));
                    assert_eq!(numbered(part, id, number), numbered(part, id, number));
                }
            }
        }
    }
}
