//! A tenant's queue: arrivals, claim, settle, rescue, dead letters. Scheduling lives in the owner's memory; the truth
//! about every invocation is here.

use async_trait::async_trait;
use bytes::Bytes;
use sublet_model::{
    AttemptId, EndReason, Error, EventId, FunctionId, InvocationId, InvocationState, MessageId, Outcome, QueueId,
    RetryPolicy, TenantId, Timestamp, TraceContext, Usage,
};
use tokio::sync::{mpsc, oneshot};

use crate::page::{Listing, Page};
use crate::shard::Ownership;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvocation {
    pub id: InvocationId,
    pub tenant: TenantId,
    pub function: FunctionId,
    /// `None`: a synchronous invoke, which carries its own payload and keeps none.
    pub event: Option<EventId>,
    pub due: Timestamp,
    /// The target's policy; `None`: the function's, or the default.
    pub retry: Option<RetryPolicy>,
    /// What a transformer made of the event, as JSON text; `None`: the event's body, which is not written twice.
    pub input: Option<Bytes>,
    /// The queue it is put into besides when it ends as a dead letter or expires.
    pub dead_letter: Option<QueueId>,
}

/// A waiting invocation as the owner's scheduler holds it: at most 64 bytes, never bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub invocation: InvocationId,
    pub tenant: TenantId,
    pub function: FunctionId,
    pub event: EventId,
    pub due: Timestamp,
    /// Attempts that count against the policy.
    pub failed: u32,
    /// Attempts started in all, whether settled or not: the last lease's token.
    pub starts: u32,
    /// Of the starts, those that ended without a settle or by a worker's death; above 0 it runs alone.
    pub crashed: u32,
    /// How often it was asked back from the dead letters.
    pub redrives: u32,
}

const _: () = assert!(size_of::<Waiting>() <= 64);

/// The right to run and settle one attempt. The token is the number of the start, so an old holder's never fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    pub invocation: InvocationId,
    pub tenant: TenantId,
    pub epoch: u64,
    pub token: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// `token` is the waiting invocation's `starts` + 1.
    pub lease: Lease,
    pub at: Timestamp,
    /// When the lease ends unless it is extended.
    pub until: Timestamp,
}

/// What a worker needs besides the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// JSON text that the handler gets: the invocation's input, or else the event's envelope.
    pub body: Bytes,
    /// JSON text of the event's envelope, where `body` is an input.
    pub envelope: Option<Bytes>,
    pub retry: Option<RetryPolicy>,
    /// Depth of the event; its result event is one deeper.
    pub depth: u8,
    /// The event's.
    pub trace_context: Option<TraceContext>,
}

/// How an attempt ended, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEnd {
    pub started: Timestamp,
    pub ended: Timestamp,
    /// The version that ran; 0 when none was reached.
    pub version: u32,
    pub outcome: Outcome,
    pub usage: Usage,
    /// JSON text, on success.
    pub result: Option<Bytes>,
    /// JSON text of Lambda's error object, otherwise.
    pub failure: Option<Bytes>,
    pub log: Bytes,
    /// JSON text: what the code asked of the world outside; `None` when it asked for nothing.
    pub fetches: Option<Bytes>,
}

/// Where the invocation goes after an attempt. `Fail` is for synchronous invokes alone.
///
/// What is counted: `Retry { spent: true }`, `Fail` and `DeadLetter` are one more `failed`; `Retry { spent: false }`
/// is one more `crashed`; `Succeed`, `PutBack` and `Cancel` count in neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Succeed,
    Fail,
    /// `spent`: the attempt counts against the policy (a worker's death does not).
    Retry {
        due: Timestamp,
        spent: bool,
    },
    /// Back into the queue as if it had not started: it was stopped.
    PutBack {
        due: Timestamp,
    },
    DeadLetter(EndReason),
    Cancel(EndReason),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settle {
    pub lease: Lease,
    pub end: AttemptEnd,
    pub next: Next,
    /// Write an outbox line, to be published as the result event. Never for synchronous invokes.
    pub announce: bool,
    /// The id of the message that the same commit puts, should this be a dead letter that has a queue for that.
    pub message: Option<MessageId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    pub attempt: AttemptId,
    /// The outbox line, when one was written.
    pub outbox: Option<i64>,
}

/// The end of a waiting invocation without an attempt: expired, dead-lettered or cancelled at its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finish {
    pub invocation: InvocationId,
    pub tenant: TenantId,
    pub epoch: u64,
    /// `Expired`, `DeadLettered` or `Cancelled`.
    pub state: InvocationState,
    pub reason: EndReason,
    pub at: Timestamp,
    pub announce: bool,
    /// As in [`Settle`]; an invocation that expires is put too.
    pub message: Option<MessageId>,
}

/// A result that is settled and not yet published as an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxLine {
    /// Grows in commit order, and no number is ever used twice, not even after the outbox was empty and the process
    /// began anew: a late `publish` with `consumes` must not take another's line.
    pub id: i64,
    /// As it was when the line was written, also when it was redriven since.
    pub invocation: InvocationRecord,
    /// The attempt whose settle wrote the line; `None` when it ended without one.
    pub attempt: Option<AttemptRecord>,
    /// Depth of the event that was invoked for.
    pub depth: u8,
    /// How often it had been redriven when the line was written.
    pub redrives: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvocationRecord {
    pub id: InvocationId,
    pub tenant: TenantId,
    pub function: FunctionId,
    pub event: Option<EventId>,
    pub state: InvocationState,
    pub reason: Option<EndReason>,
    pub due: Timestamp,
    pub starts: u32,
    pub failed: u32,
    /// When it reached its final state.
    pub ended: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    pub id: AttemptId,
    pub invocation: InvocationId,
    pub tenant: TenantId,
    pub function: FunctionId,
    /// 1 for the first start.
    pub number: u32,
    pub end: AttemptEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InvocationFilter {
    pub function: Option<FunctionId>,
    pub state: Option<InvocationState>,
}

/// Which dead letters, or which waiting invocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    All,
    Ids(Vec<InvocationId>),
}

/// The conservation equation's terms; synchronous invokes are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    pub accepted: u64,
    pub succeeded: u64,
    pub dead_lettered: u64,
    pub expired: u64,
    pub cancelled: u64,
    pub waiting: u64,
    pub in_flight: u64,
}

impl Balance {
    pub fn holds(&self) -> bool {
        self.accepted
            == self.succeeded + self.dead_lettered + self.expired + self.cancelled + self.waiting + self.in_flight
    }
}

#[async_trait]
pub trait Queue {
    /// Takes every shard that is free or whose owner's lease ran out, for `node` (≤ `NODE_MAX`).
    ///
    /// Contract: the epoch of each shard taken is raised first, so every lease of an earlier epoch is stale from then
    /// on; the attempts that ran under one are rescued in the same commit (as `rescue` does, whether their lease ran
    /// out or not). A store that one node has to itself (SQLite by its lock, the in-memory store) gives all shards to
    /// whoever asked last. Receivers of `arrivals` under an earlier epoch come to their end.
    async fn acquire(&self, node: u16, now: Timestamp) -> Result<Ownership, Error>;

    /// Everything that waits in the owned shards: first what waits at the call, oldest due first per tenant, then each
    /// invocation as it becomes waiting (published, retried, rescued, redriven), after its commit.
    ///
    /// Contract: at least once each; never one that is not durable. One receiver per ownership; a new call replaces the
    /// former. `Fenced` when a shard of it was taken by another since. The channel is unbounded because the receiver
    /// holds the same rows anyway, and the backlog quota bounds those.
    async fn arrivals(&self, ownership: &Ownership) -> Result<mpsc::UnboundedReceiver<Vec<Waiting>>, Error>;

    /// What to run for a waiting or running invocation; `None` when it ended, when it is not this tenant's, and for a
    /// synchronous invoke.
    async fn work(&self, tenant: TenantId, invocation: InvocationId) -> Result<Option<Work>, Error>;

    /// Starts attempts: waiting → running. Handed over at once, written in the next group commit, and carried out even
    /// when the answer is not awaited.
    ///
    /// Contract: per claim `Fenced` when the epoch is stale, `Conflict` when it does not wait or the token does not
    /// follow; nothing changed then. Each claim is for itself. What is not there, or another tenant's, does not wait.
    fn claim(&self, claims: Vec<Claim>) -> oneshot::Receiver<Vec<Result<(), Error>>>;

    /// Records a synchronous invoke as running (token 1), like `claim` not awaited. It never appears in `arrivals`;
    /// when its process dies, it ends as `Failed` with a `Crashed` attempt. Its lease is `token` 1 under `epoch`;
    /// `due` is when it starts. Contract: `Fenced` when the epoch is stale, `Conflict` when the id is in use.
    fn begin(&self, invocation: NewInvocation, epoch: u64, until: Timestamp) -> oneshot::Receiver<Result<(), Error>>;

    /// Keeps leases alive. Contract: answers per lease, `Fenced` when it no longer holds.
    async fn extend(&self, leases: Vec<Lease>, until: Timestamp) -> Result<Vec<Result<(), Error>>, Error>;

    /// Ends an attempt: the attempt row (ledger line, result, log), the invocation's next state, the outbox line and
    /// the end of the lease, in one commit.
    ///
    /// Contract: `Fenced` and nothing changed when the lease's epoch or token is not the one that runs, when it does
    /// not run, and when it is another tenant's; so an attempt ends once. A settle that comes before its claim was
    /// written is written after it. `Invalid` and nothing changed when the state machine has no such edge: `Fail` for
    /// an event's invocation, `Retry`, `PutBack` or `DeadLetter` for a synchronous invoke. The end is kept as
    /// handed in.
    async fn settle(&self, settle: Settle) -> Result<Settled, Error>;

    /// Ends a waiting invocation without an attempt; the same commit writes the outbox line. Answers its id.
    /// Contract: `Conflict` when it does not wait (or is not this tenant's), `Fenced` when the epoch is stale,
    /// `Invalid` when `state` is none of the three.
    async fn finish(&self, finish: Finish) -> Result<Option<i64>, Error>;

    /// Gives back the attempts whose lease ran out (`until` ≤ `now`): an attempt row with outcome `Crashed` and no
    /// usage, the invocation `Retrying`, due at once, `crashed` one more, retries unspent (a synchronous invoke:
    /// `Failed`).
    ///
    /// Contract: each is given back once. Answers how many. `Fenced` when a shard of it was taken by another since. The
    /// attempt row: `started` as claimed (a synchronous invoke: its `due`), `ended` now, version 0, no result, no
    /// failure, an empty log; it counts in the ledger as one failed attempt of no usage. A synchronous invoke counts
    /// one more `failed` and ends now without a reason.
    async fn rescue(&self, ownership: &Ownership, now: Timestamp) -> Result<u64, Error>;

    /// Outbox lines above `after`, ascending, at most `limit`. They leave by `publish` with `consumes`.
    async fn outbox(&self, after: i64, limit: usize) -> Result<Vec<OutboxLine>, Error>;

    async fn invocation(&self, tenant: TenantId, id: InvocationId) -> Result<Option<InvocationRecord>, Error>;
    /// Oldest first.
    async fn attempts(&self, tenant: TenantId, id: InvocationId) -> Result<Vec<AttemptRecord>, Error>;
    /// Newest first: by id, descending. Synchronous invokes are among them.
    async fn invocations(
        &self,
        tenant: TenantId,
        filter: InvocationFilter,
        page: Page,
    ) -> Result<Listing<InvocationRecord>, Error>;

    /// Newest first: by id, descending.
    async fn dead_letters(&self, tenant: TenantId, page: Page) -> Result<Listing<InvocationRecord>, Error>;
    /// Dead letters back into the queue, due now, with fresh attempts by the policy. Answers how many.
    ///
    /// Contract: `failed` and `crashed` begin at 0 again, reason and end are cleared; `starts` goes on, because a lease
    /// token is never used twice. Ids that are no dead letters of this tenant are passed over.
    async fn redrive(&self, tenant: TenantId, selection: Selection, now: Timestamp) -> Result<u64, Error>;
    /// Cancels waiting invocations; those that run are left to their settle. Answers how many. Writes no outbox line;
    /// ids that do not wait in this tenant's queue are passed over.
    async fn cancel(
        &self,
        tenant: TenantId,
        selection: Selection,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<u64, Error>;

    /// Added up from the rows, not from counters; reads all of the tenant's.
    async fn balance(&self, tenant: TenantId) -> Result<Balance, Error>;
}
