//! `…/receive`, `…/ack`, `…/extend`, `…/release`: what consumers do. Several leases at once are answered entry by entry,
//! because one that is lost says nothing of the others.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sublet_engine::{RECEIVE_MAX, RECEIVE_WAIT_MAX, ReceiveRequest, Received};
use sublet_model::named_queue::{LEASE_MAX, LEASE_MIN, span};
use sublet_model::{Error, ErrorKind, MessageLease, Millis, Timestamp};
use sublet_store::MessageOrigin;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{QueuePath, find};
use crate::answer::Items;
use crate::auth::{AppState, Operator};
use crate::body::{Json, JsonOrDefault};
use crate::edge::RequestId;
use crate::param::Path;
use crate::problem::{Problem, ProblemBody};

/// Leases of one call.
const LEASES_MAX: usize = 100;
/// How long a released message may stay away.
const DELAY_MAX: Millis = Millis(900_000);

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(receive_messages))
        .routes(routes!(ack_messages))
        .routes(routes!(extend_messages))
        .routes(routes!(release_messages))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"max": 10, "wait": "20s", "lease": "1m"}))]
struct ReceiveBody {
    /// Messages at most, 1 to 100; 1 if left out.
    max: Option<usize>,
    /// How long to wait for the first message, at most `20s`; not at all if left out.
    #[schema(value_type = Option<String>)]
    wait: Option<Millis>,
    /// How long until it is given back unless it is acknowledged, `1s` to `12h`; the queue's own if left out.
    #[schema(value_type = Option<String>)]
    lease: Option<Millis>,
}

/// A message under a lease.
#[derive(Debug, Serialize, ToSchema)]
struct MessageView {
    /// `msg_…`: the same at every receive.
    id: String,
    /// For `ack`, `extend` and `release`. Opaque, and new at every receive.
    lease: String,
    /// When the lease ends.
    until: String,
    /// Which receive of this message it is, from 1.
    receives: u32,
    /// When it was put.
    put: String,
    /// `evt_…`: the event it came from.
    event_id: String,
    /// What it carries: the event's envelope, or what a transformer made of it.
    #[schema(value_type = Object)]
    body: Box<RawValue>,
    /// Of a dead letter that was put here: what was lost, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<OriginView>,
}

/// What was lost: one of both.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OriginView {
    /// `inv_…`
    #[serde(skip_serializing_if = "Option::is_none")]
    invocation: Option<String>,
    /// `dlv_…`
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
    /// Why the invocation was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl From<MessageOrigin> for OriginView {
    fn from(origin: MessageOrigin) -> OriginView {
        match origin {
            MessageOrigin::Invocation { id, reason } => {
                OriginView { invocation: Some(id.to_string()), delivery: None, reason: Some(reason.as_str()) }
            }
            MessageOrigin::Delivery { id } => {
                OriginView { invocation: None, delivery: Some(id.to_string()), reason: None }
            }
        }
    }
}

impl TryFrom<Received> for MessageView {
    type Error = Problem;

    fn try_from(received: Received) -> Result<MessageView, Problem> {
        let Received { lease, until, record, body } = received;
        Ok(MessageView {
            id: record.id.to_string(),
            lease: lease.to_string(),
            until: until.to_string(),
            receives: lease.receive,
            put: record.id.minted_at().to_string(),
            event_id: record.event.to_string(),
            body: serde_json::from_slice(&body).map_err(Error::internal)?,
            origin: record.origin.map(OriginView::from),
        })
    }
}

/// Take messages, each under a lease.
///
/// Answers as soon as there is one, with no more than `max`; with an empty list when none came within `wait`, and when the
/// server is ending. What is not acknowledged before its lease ends is handed out again: consumers drop what they know by
/// `id`. 429 when too many receives wait already.
#[utoipa::path(
    post,
    path = "/v1/queues/{queue}/receive",
    tag = "queues",
    request_body(content = ReceiveBody, description = "May be left out: one message, or none"),
    responses((status = 200, description = "The messages", body = Items<MessageView>)),
    security(("key" = []))
)]
async fn receive_messages(
    operator: Operator,
    Path(path): Path<QueuePath>,
    JsonOrDefault(body): JsonOrDefault<ReceiveBody>,
) -> Result<axum::Json<Items<MessageView>>, Problem> {
    let queue = find(&operator, &path)?;
    let max = body.max.unwrap_or(1);
    if max == 0 || max > RECEIVE_MAX {
        return Err(Problem::invalid("max", format!("must be 1 to {RECEIVE_MAX}")));
    }
    let wait = body.wait.unwrap_or_default();
    if wait.duration() > RECEIVE_WAIT_MAX {
        return Err(Problem::invalid("wait", format!("must not exceed {}", Millis::from(RECEIVE_WAIT_MAX))));
    }
    let lease = body.lease.unwrap_or(queue.spec.lease);
    span("lease", lease, LEASE_MIN, LEASE_MAX)?;
    let request = ReceiveRequest { max, wait: wait.duration(), lease: lease.duration() };
    let mut stopping = operator.stopping();
    let received = tokio::select! {
        biased;
        _ = stopping.wait_for(|stopping| *stopping) => Vec::new(),
        received = operator.engine().receive(&queue, request) => received?,
    };
    let items = received.into_iter().map(MessageView::try_from).collect::<Result<_, _>>()?;
    Ok(axum::Json(Items { items }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"leases": ["msg_01hz6qg4v0c0a.1"]}))]
struct LeasesBody {
    /// What `receive` gave, 1 to 100 of them.
    leases: Vec<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"leases": ["msg_01hz6qg4v0c0a.1"], "lease": "5m"}))]
struct ExtendBody {
    /// What `receive` gave, 1 to 100 of them.
    leases: Vec<String>,
    /// From now, `1s` to `12h`; the queue's own if left out.
    #[schema(value_type = Option<String>)]
    lease: Option<Millis>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"leases": ["msg_01hz6qg4v0c0a.1"], "delay": "10s"}))]
struct ReleaseBody {
    /// What `receive` gave, 1 to 100 of them.
    leases: Vec<String>,
    /// How long until it may be received again, at most `15m`; at once if left out.
    #[schema(value_type = Option<String>)]
    delay: Option<Millis>,
}

/// What became of one lease: `error` says why it was not done.
#[derive(Debug, Serialize, ToSchema)]
struct LeaseAnswer {
    lease: String,
    done: bool,
    /// When the lease ends, where it was extended.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ProblemBody>,
}

type Answered = (StatusCode, axum::Json<Items<LeaseAnswer>>);

/// The leases of a call: those that read as one, with their places, and the text of all.
struct Leases {
    texts: Vec<String>,
    known: Vec<(usize, MessageLease)>,
}

impl Leases {
    fn read(texts: Vec<String>) -> Result<Leases, Problem> {
        if texts.is_empty() || texts.len() > LEASES_MAX {
            return Err(Problem::invalid("leases", format!("must be 1 to {LEASES_MAX}")));
        }
        let known = texts.iter().enumerate().filter_map(|(place, text)| Some((place, text.parse().ok()?))).collect();
        Ok(Leases { texts, known })
    }

    fn held(&self) -> Vec<MessageLease> {
        self.known.iter().map(|(_, lease)| *lease).collect()
    }

    /// 207 when any of them was not done.
    fn answered(self, answers: Vec<Result<(), Error>>, until: Option<Timestamp>, request: &RequestId) -> Answered {
        let mut problems: Vec<Option<Problem>> =
            self.texts.iter().map(|_| Some(Problem::invalid("leases", "is not a lease that a receive gave"))).collect();
        for ((place, _), answer) in self.known.iter().zip(answers) {
            problems[*place] = answer.err().map(|error| match error.kind {
                // Of a shard's owner "fenced" passes; of a lease it does not.
                ErrorKind::Fenced => Error::conflict(error.message).into(),
                _ => Problem::from(error),
            });
        }
        let mut status = StatusCode::OK;
        let mut items = Vec::with_capacity(self.texts.len());
        for (lease, problem) in self.texts.into_iter().zip(problems) {
            let done = problem.is_none();
            if !done {
                status = StatusCode::MULTI_STATUS;
            }
            let error = problem.map(|problem| problem.logged(request).into_body());
            items.push(LeaseAnswer { lease, done, until: until.filter(|_| done).map(|at| at.to_string()), error });
        }
        (status, axum::Json(Items { items }))
    }
}

/// End messages: they are not handed out again.
///
/// Each lease is answered for itself. One that ran out still counts as long as nobody received the message again; after
/// that it is refused, because another consumer has it.
#[utoipa::path(
    post,
    path = "/v1/queues/{queue}/ack",
    tag = "queues",
    request_body = LeasesBody,
    responses(
        (status = 200, description = "All of them are done", body = Items<LeaseAnswer>),
        (status = 207, description = "Some were refused", body = Items<LeaseAnswer>),
    ),
    security(("key" = []))
)]
async fn ack_messages(
    operator: Operator,
    Path(path): Path<QueuePath>,
    axum::Extension(request): axum::Extension<RequestId>,
    Json(body): Json<LeasesBody>,
) -> Result<Answered, Problem> {
    let queue = find(&operator, &path)?;
    let leases = Leases::read(body.leases)?;
    let answers = operator.engine().ack(queue.id, leases.held()).await?;
    Ok(leases.answered(answers, None, &request))
}

/// Keep messages for longer. A lease that ran out is refused.
#[utoipa::path(
    post,
    path = "/v1/queues/{queue}/extend",
    tag = "queues",
    request_body = ExtendBody,
    responses(
        (status = 200, description = "All of them are done", body = Items<LeaseAnswer>),
        (status = 207, description = "Some were refused", body = Items<LeaseAnswer>),
    ),
    security(("key" = []))
)]
async fn extend_messages(
    operator: Operator,
    Path(path): Path<QueuePath>,
    axum::Extension(request): axum::Extension<RequestId>,
    Json(body): Json<ExtendBody>,
) -> Result<Answered, Problem> {
    let queue = find(&operator, &path)?;
    let lease = body.lease.unwrap_or(queue.spec.lease);
    span("lease", lease, LEASE_MIN, LEASE_MAX)?;
    let leases = Leases::read(body.leases)?;
    let (until, answers) = operator.engine().extend_messages(queue.id, leases.held(), lease.duration()).await?;
    Ok(leases.answered(answers, Some(until), &request))
}

/// Give messages back, to be received again at once or after `delay`. The receive counts all the same.
#[utoipa::path(
    post,
    path = "/v1/queues/{queue}/release",
    tag = "queues",
    request_body = ReleaseBody,
    responses(
        (status = 200, description = "All of them are done", body = Items<LeaseAnswer>),
        (status = 207, description = "Some were refused", body = Items<LeaseAnswer>),
    ),
    security(("key" = []))
)]
async fn release_messages(
    operator: Operator,
    Path(path): Path<QueuePath>,
    axum::Extension(request): axum::Extension<RequestId>,
    Json(body): Json<ReleaseBody>,
) -> Result<Answered, Problem> {
    let queue = find(&operator, &path)?;
    let delay = body.delay.unwrap_or_default();
    if delay > DELAY_MAX {
        return Err(Problem::invalid("delay", format!("must not exceed {DELAY_MAX}")));
    }
    let leases = Leases::read(body.leases)?;
    let answers = operator.engine().release_messages(queue.id, leases.held(), delay.duration()).await?;
    Ok(leases.answered(answers, None, &request))
}
