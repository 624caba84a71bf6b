//! `/v1/stream`: result events as they are published and state changes as they happen, as server-sent events.
//!
//! The reader's place is in the engine's ring, so a slow reader holds nothing here; one that falls behind the ring is
//! told by an event `gap`, and finds what it missed in `GET /v1/events`.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures::FutureExt;
use serde::Deserialize;
use sublet_engine::{Kinds, ResultStream, StreamFilter, StreamItem, StreamPlace};
use sublet_model::{InvocationState, Name};
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{AppState, Caller};
use crate::param::Query;
use crate::problem::Problem;

/// Bytes gathered before they are handed on, when many results are there at once.
const CHUNK_BYTES: usize = 64 * 1024;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(stream_results))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ResultType {
    Succeeded,
    Failed,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StreamQuery {
    /// Of this tenant alone. A tenant's key sees its own in any case.
    tenant: Option<String>,
    /// Of this function alone.
    #[param(value_type = Option<String>)]
    function: Option<Name>,
    /// Only results that succeeded, or only those that failed.
    #[serde(rename = "type")]
    #[param(inline)]
    kind: Option<ResultType>,
    /// Only results of events with this source.
    source: Option<String>,
    /// Only results of events with this detail-type.
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    /// What to show: `results` (if left out), `states`, or both with a comma.
    kinds: Option<String>,
    /// Only changes to this state, such as `DeadLettered`.
    #[param(value_type = Option<String>)]
    state: Option<InvocationState>,
    /// The last id that was seen, as the header `Last-Event-ID`, which wins.
    after: Option<String>,
}

impl StreamQuery {
    fn kinds(&self) -> Result<Kinds, Problem> {
        let (mut results, mut states) = (false, false);
        for word in self.kinds.as_deref().unwrap_or("results").split(',') {
            match word {
                "results" => results = true,
                "states" => states = true,
                _ => return Err(Problem::invalid("kinds", "must be `results`, `states` or `results,states`")),
            }
        }
        let of_results = [
            ("type", self.kind.is_some()),
            ("source", self.source.is_some()),
            ("detail-type", self.detail_type.is_some()),
        ];
        match of_results.into_iter().find(|(_, is_given)| *is_given && !results) {
            Some((field, _)) => return Err(Problem::invalid(field, "is of results, and `kinds` asks for none")),
            None if self.state.is_some() && !states => {
                return Err(Problem::invalid("state", "is of state changes, and `kinds` asks for none"));
            }
            None => {}
        }
        Ok(match (results, states) {
            (true, true) => Kinds::Both,
            (false, true) => Kinds::States,
            _ => Kinds::Results,
        })
    }
}

/// Result events as they come, and state changes of invocations on request.
///
/// Server-sent events: `event: result`, `id:` the event's id, and one `data:` line with the result event's envelope; with
/// `kinds=states`, `event: state` and one `data:` line per change to `Queued`, `Running`, `Retrying` or an end (the `id:` is
/// then opaque), and `event: function` with one per function that is stopped, started, quarantined or released.
/// `event: gap` says that some were missed, because the reader was too slow or came back too late. A comment
/// every 15 seconds keeps the connection alive. Whatever is published after this answer's head was received is on the
/// stream.
#[utoipa::path(
    get,
    path = "/v1/stream",
    tag = "events",
    params(StreamQuery, ("Last-Event-ID" = Option<String>, Header, description = "Go on after this event")),
    responses((status = 200, description = "The stream", body = String, content_type = "text/event-stream")),
    security(("key" = []))
)]
async fn stream_results(
    caller: Caller,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tenant = caller.tenant_filter(query.tenant.as_deref()).await?.map(|tenant| tenant.id);
    let after = match headers.get("last-event-id") {
        Some(value) => Some(last_event_id(value)?),
        None => query.after.as_deref().map(|text| place_of("after", text)).transpose()?,
    };
    let filter = StreamFilter {
        kinds: query.kinds()?,
        tenant,
        function: query.function,
        succeeded: query.kind.map(|kind| kind == ResultType::Succeeded),
        source: query.source,
        detail_type: query.detail_type,
        state: query.state,
    };
    let results = caller.engine().stream(after, filter);
    let reader = Reader { stopping: caller.stopping(), caller, results, greeted: false, next_look: Instant::now() };
    let body = Body::from_stream(futures::stream::unfold(reader, Reader::chunk));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        // Asks a proxy in front not to gather what should arrive at once.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, body).into_response())
}

fn last_event_id(value: &HeaderValue) -> Result<StreamPlace, Problem> {
    let text = value.to_str().map_err(|_| Problem::invalid("Last-Event-ID", "is not an id that the stream gave"))?;
    place_of("Last-Event-ID", text.trim())
}

fn place_of(field: &str, text: &str) -> Result<StreamPlace, Problem> {
    text.parse().map_err(|error| Problem::invalid(field, format!("{error}")))
}

struct Reader {
    caller: Caller,
    results: ResultStream,
    stopping: watch::Receiver<bool>,
    greeted: bool,
    /// When the key is looked at again.
    next_look: Instant,
}

enum Next {
    Item(StreamItem),
    Look,
}

impl Reader {
    /// What goes out next; `None` ends the stream.
    async fn chunk(mut self) -> Option<(Result<Bytes, std::convert::Infallible>, Reader)> {
        if !std::mem::replace(&mut self.greeted, true) {
            self.next_look = Instant::now() + self.caller.keep_alive();
            return Some((Ok(Bytes::from_static(b": connected\n\n")), self));
        }
        let next = tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stopping| *stopping) => None,
            // Before the results, so that a busy stream looks at its key too.
            () = tokio::time::sleep_until(self.next_look) => Some(Next::Look),
            next = self.results.next() => next.map(Next::Item),
        };
        let item = match next? {
            Next::Item(item) => item,
            Next::Look => {
                if !self.caller.is_still_known().await {
                    return None;
                }
                self.next_look = Instant::now() + self.caller.keep_alive();
                return Some((Ok(Bytes::from_static(b": alive\n\n")), self));
            }
        };
        let mut chunk = BytesMut::new();
        write(&mut chunk, &item, self.results.place());
        while chunk.len() < CHUNK_BYTES
            && let Some(Some(more)) = self.results.next().now_or_never()
        {
            write(&mut chunk, &more, self.results.place());
        }
        Some((Ok(chunk.freeze()), self))
    }
}

fn write(out: &mut BytesMut, item: &StreamItem, place: StreamPlace) {
    match item {
        StreamItem::State(state) => {
            // A value of ours, so it is one line.
            let data = serde_json::to_string(&**state).unwrap_or_default();
            out.put_slice(format!("id: {place}\nevent: state\ndata: {data}\n\n").as_bytes());
        }
        StreamItem::Function(change) => {
            let data = serde_json::to_string(&**change).unwrap_or_default();
            out.put_slice(format!("id: {place}\nevent: function\ndata: {data}\n\n").as_bytes());
        }
        StreamItem::Gap => out.put_slice(b"event: gap\ndata: {\"gap\":true}\n\n"),
        StreamItem::Result(result) => {
            out.put_slice(format!("id: {place}\nevent: result\ndata: ").as_bytes());
            // A line break in JSON text is white space between its parts, and would end the data line.
            out.extend(result.body.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
            out.put_slice(b"\n\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sublet_model::EventId;

    use super::*;

    #[test]
    fn a_result_is_one_data_line_however_it_was_written() {
        let item = sublet_engine::ResultItem {
            id: EventId::from_raw(7),
            tenant: None,
            function: "f".parse().unwrap(),
            succeeded: true,
            source: None,
            detail_type: None,
            body: Bytes::from_static(b"{\n  \"a\": \"b\\n\"\r\n}"),
        };
        let mut out = BytesMut::new();
        let place = StreamPlace { result: Some(EventId::from_raw(7)), state: None };
        write(&mut out, &StreamItem::Result(Arc::new(item)), place);
        let text = String::from_utf8(out.to_vec()).unwrap();
        let id = EventId::from_raw(7);
        assert_eq!(text, format!("id: {id}\nevent: result\ndata: {{   \"a\": \"b\\n\"  }}\n\n"));
    }
}
