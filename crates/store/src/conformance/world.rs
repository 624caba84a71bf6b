//! What the cases are written with: a store, a clock, minted ids, and the steps of an invocation's life.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sublet_model::{
    DeliveryId, EndReason, Error, ErrorKind, EventId, FunctionConfig, FunctionId, IdMint, InvocationId,
    InvocationState, MessageId, MessageLease, Name, Outcome, QueueId, QueueSpec, TenantId, Timestamp, Usage,
};
use tokio::sync::mpsc;

use super::Harness;
use crate::delivery::{DeliveryFilter, NewDelivery};
use crate::message::{NewMessage, QueueBalance, QueueRecord, Receive};
use crate::{
    AttemptEnd, Claim, EventStatus, Identity, InvocationFilter, InvocationRecord, Lease, Listing, NewEvent,
    NewInvocation, Next, OutboxLine, Ownership, Page, Published, Settle, Settled, Store, TenantSpec, UsageQuery,
    UsageRow, Waiting,
};

/// 2026-01-31T09:30:00Z: in the middle of an hour, so that a few minutes stay within it.
pub(super) const START: Timestamp = Timestamp::from_millis(1_769_851_800_000);
/// A lease's length.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// A guard against waiting for ever for what does not come; nothing is measured with it.
const PATIENCE: Duration = Duration::from_secs(20);
/// A guard against a listing without an end; no case has so many rows.
const ROWS_MAX: usize = 20_000;

/// A tenant with a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tenant {
    pub(super) name: Name,
    pub(super) id: TenantId,
    pub(super) function: FunctionId,
}

pub(super) struct World {
    harness: Box<dyn Harness>,
    /// `None` only while it is opened again.
    store: Option<Arc<dyn Store>>,
    /// The owner's.
    pub(super) ownership: Ownership,
    /// The time that verbs are handed.
    pub(super) now: Timestamp,
    mint: IdMint,
    /// Made by `tenant`, for photographs.
    tenants: BTreeSet<TenantId>,
}

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// The kind of error that was answered.
#[track_caller]
pub(super) fn refusal<T: std::fmt::Debug>(answer: Result<T, Error>) -> ErrorKind {
    answer.unwrap_err().kind
}

/// The first page.
pub(super) fn first() -> Page {
    Page::default()
}

/// Every row of a listing, over pages of `limit`.
pub(super) async fn every_page<T>(limit: usize, list: impl AsyncFn(Page) -> Result<Listing<T>, Error>) -> Vec<T> {
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let listing = list(Page::new(cursor.clone(), limit)).await.unwrap();
        assert!(listing.items.len() <= limit, "a page has at most its limit of rows");
        rows.extend(listing.items);
        assert!(rows.len() < ROWS_MAX, "the listing has no end");
        assert!(listing.next.is_none() || listing.next != cursor, "the next page is this one");
        cursor = listing.next;
        if cursor.is_none() {
            return rows;
        }
    }
}

pub(super) fn spec() -> TenantSpec {
    TenantSpec { egress: ["*.example.com".parse().unwrap()].into(), ..TenantSpec::default() }
}

pub(super) fn identity(key: u8, body: u8) -> Identity {
    Identity { key: [key; 16], body: [body; 8] }
}

impl World {
    /// A fresh store, with the world as its owner.
    pub(super) async fn open(mut harness: Box<dyn Harness>) -> World {
        let store = harness.open().await;
        let ownership = store.acquire(1, START).await.unwrap();
        let mint = IdMint::new(1, 0);
        World { harness, store: Some(store), ownership, now: START, mint, tenants: BTreeSet::new() }
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.store.as_deref().unwrap()
    }

    /// The process dies and another begins: the handle is dropped, not closed. Nobody owns a shard yet.
    pub(super) async fn crash(&mut self) {
        self.store = None;
        self.store = Some(self.harness.open().await);
    }

    /// The process dies, and another begins and acquires.
    pub(super) async fn restart(&mut self) {
        self.crash().await;
        self.acquire().await;
    }

    pub(super) async fn acquire(&mut self) {
        self.ownership = self.store().acquire(1, self.now).await.unwrap();
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// A number for an id, greater than all before.
    pub(super) fn raw(&mut self) -> i64 {
        self.mint.next(self.now)
    }

    pub(super) async fn tenant(&mut self, text: &str) -> Tenant {
        let name = name(text);
        let (record, _) = self.store().put_tenant(&name, spec(), self.now).await.unwrap();
        let function = self.function(record.id, "enrich").await;
        self.tenants.insert(record.id);
        Tenant { name, id: record.id, function }
    }

    pub(super) async fn function(&self, tenant: TenantId, text: &str) -> FunctionId {
        let made = self.store().put_function(tenant, &name(text), FunctionConfig::default(), self.now).await;
        made.unwrap().0.id
    }

    /// An event that matched nothing.
    pub(super) fn event(&mut self, tenant: Option<TenantId>) -> NewEvent {
        let id = EventId::from_raw(self.raw());
        NewEvent {
            id,
            tenant,
            identity: None,
            depth: 0,
            status: EventStatus::Unmatched,
            trace: Bytes::from_static(br#"{"rules":[]}"#),
            trace_context: None,
            body: Bytes::from(format!(r#"{{"id":"{id}"}}"#)),
            invocations: Vec::new(),
            deliveries: Vec::new(),
            messages: Vec::new(),
            consumes: None,
        }
    }

    /// An event that matched and invokes the tenant's function, due now.
    pub(super) fn matched(&mut self, tenant: &Tenant) -> NewEvent {
        let mut event = self.event(Some(tenant.id));
        event.status = EventStatus::Matched;
        event.invocations.push(self.invocation(tenant, Some(event.id)));
        event
    }

    /// `None`: a synchronous invoke.
    pub(super) fn invocation(&mut self, tenant: &Tenant, event: Option<EventId>) -> NewInvocation {
        let id = InvocationId::from_raw(self.raw());
        NewInvocation {
            id,
            tenant: tenant.id,
            function: tenant.function,
            event,
            due: self.now,
            retry: None,
            input: None,
            dead_letter: None,
        }
    }

    /// An event that is delivered to a webhook.
    pub(super) fn delivered(&mut self, tenant: &Tenant, webhook: &str) -> NewEvent {
        let mut event = self.event(Some(tenant.id));
        event.status = EventStatus::Matched;
        let id = DeliveryId::from_raw(self.raw());
        let (webhook, tenant) = (name(webhook), Some(tenant.id));
        let (input, dead_letter) = (None, None);
        event.deliveries.push(NewDelivery { id, webhook, event: event.id, tenant, due: self.now, input, dead_letter });
        event
    }

    pub(super) async fn queue(&self, text: &str) -> QueueRecord {
        self.store().put_queue(&name(text), QueueSpec::default(), self.now).await.unwrap().0
    }

    /// An event that puts a message, due now.
    pub(super) fn put(&mut self, tenant: &Tenant, queue: QueueId) -> NewEvent {
        let mut event = self.event(Some(tenant.id));
        event.status = EventStatus::Matched;
        let id = MessageId::from_raw(self.raw());
        let (tenant, due) = (Some(tenant.id), self.now);
        event.messages.push(NewMessage { id, queue, event: event.id, tenant, due, input: None });
        event
    }

    /// A new message that waits.
    pub(super) async fn message(&mut self, tenant: &Tenant, queue: QueueId) -> MessageId {
        let event = self.put(tenant, queue);
        let id = event.messages[0].id;
        self.accept(event).await;
        id
    }

    pub(super) async fn try_receive(&self, queue: QueueId, lease: MessageLease) -> Result<(), Error> {
        let receive = Receive { lease, until: self.now + LEASE };
        self.store().receive(queue, vec![receive], self.now).await.unwrap().remove(0)
    }

    /// Receives a message that waits, under the next number.
    pub(super) async fn receive(&self, queue: QueueId, message: MessageId) -> MessageLease {
        let receives = self.store().message(message).await.unwrap().unwrap().receives;
        let lease = MessageLease { message, receive: receives + 1 };
        self.try_receive(queue, lease).await.unwrap();
        lease
    }

    /// What messages carry.
    pub(super) async fn bodies(&self, ids: Vec<MessageId>) -> Vec<Option<Bytes>> {
        let carried = self.store().carried(ids).await.unwrap();
        carried.into_iter().map(|one| one.map(|(_, body)| body)).collect()
    }

    pub(super) async fn ack(&self, queue: QueueId, lease: MessageLease) -> Result<(), Error> {
        self.store().ack(queue, vec![lease], self.now).await.unwrap().remove(0)
    }

    pub(super) async fn queue_balance(&self, queue: QueueId) -> QueueBalance {
        let balance = self.store().queue_balance(queue, self.now).await.unwrap();
        assert!(balance.holds(), "{balance:?}");
        balance
    }

    pub(super) async fn publish(&self, events: Vec<NewEvent>) -> Vec<Published> {
        self.store().publish(events, self.now).await.unwrap()
    }

    pub(super) async fn accept(&self, event: NewEvent) {
        assert_eq!(self.publish(vec![event]).await, [Published::Accepted]);
    }

    /// A new waiting invocation.
    pub(super) async fn waiting(&mut self, tenant: &Tenant) -> InvocationId {
        let event = self.matched(tenant);
        let id = event.invocations[0].id;
        self.accept(event).await;
        id
    }

    /// The lease of start number `token`, under the world's ownership.
    pub(super) fn lease(&self, tenant: &Tenant, invocation: InvocationId, token: u32) -> Lease {
        let epoch = self.ownership.epoch_of(tenant.id).unwrap();
        Lease { invocation, tenant: tenant.id, epoch, token }
    }

    pub(super) async fn try_claim(&self, lease: Lease) -> Result<(), Error> {
        let claim = Claim { lease, at: self.now, until: self.now + LEASE };
        self.store().claim(vec![claim]).await.unwrap().remove(0)
    }

    /// Starts the next attempt of a waiting invocation.
    pub(super) async fn claim(&self, tenant: &Tenant, invocation: InvocationId) -> Lease {
        let starts = self.record(tenant, invocation).await.starts;
        let lease = self.lease(tenant, invocation, starts + 1);
        self.try_claim(lease).await.unwrap();
        lease
    }

    /// A new invocation, running.
    pub(super) async fn running(&mut self, tenant: &Tenant) -> Lease {
        let id = self.waiting(tenant).await;
        self.claim(tenant, id).await
    }

    /// A synchronous invoke, running.
    pub(super) async fn invoking(&mut self, tenant: &Tenant) -> Lease {
        let invocation = self.invocation(tenant, None);
        let lease = self.lease(tenant, invocation.id, 1);
        self.store().begin(invocation, lease.epoch, self.now + LEASE).await.unwrap().unwrap();
        lease
    }

    /// An attempt that began a quarter of a second ago.
    pub(super) fn end(&self, outcome: Outcome) -> AttemptEnd {
        let succeeded = outcome == Outcome::Succeeded;
        AttemptEnd {
            started: self.now - Duration::from_millis(250),
            ended: self.now,
            version: 1,
            outcome,
            usage: Usage {
                wall_us: 250_000,
                cpu_us: 1_234,
                memory_peak_bytes: 3 << 20,
                memory_limit_bytes: 128 << 20,
                bytes_in: 300,
                bytes_out: 42,
                fetches: 2,
                egress_bytes: 1_700,
                instructions: succeeded.then_some(123_456),
            },
            result: succeeded.then(|| Bytes::from_static(br#"{"tag":"urgent"}"#)),
            failure: (!succeeded).then(|| Bytes::from_static(br#"{"errorType":"TypeError"}"#)),
            log: Bytes::from_static(b"looked at the item\n"),
            fetches: Some(Bytes::from_static(br#"[{"method":"GET","url":"https://api.example.com/"}]"#)),
        }
    }

    /// A settle that is announced where there is an event to announce it to.
    pub(super) fn settlement(&self, lease: Lease, next: Next) -> Settle {
        let outcome = match next {
            Next::Succeed => Outcome::Succeeded,
            Next::Retry { spent: false, .. } => Outcome::Crashed,
            Next::PutBack { .. } | Next::Cancel(_) => Outcome::Cancelled,
            Next::Fail | Next::Retry { .. } | Next::DeadLetter(_) => Outcome::Failed,
        };
        let announce = matches!(next, Next::Succeed | Next::DeadLetter(_));
        Settle { lease, end: self.end(outcome), next, announce, message: None }
    }

    pub(super) async fn try_settle(&self, lease: Lease, next: Next) -> Result<Settled, Error> {
        self.store().settle(self.settlement(lease, next)).await
    }

    pub(super) async fn settle(&self, lease: Lease, next: Next) -> Settled {
        self.try_settle(lease, next).await.unwrap()
    }

    /// A new invocation that succeeded; its outbox line waits.
    pub(super) async fn succeeded(&mut self, tenant: &Tenant) -> InvocationId {
        let lease = self.running(tenant).await;
        self.settle(lease, Next::Succeed).await;
        lease.invocation
    }

    /// A new dead letter; its outbox line waits.
    pub(super) async fn dead(&mut self, tenant: &Tenant) -> InvocationId {
        let lease = self.running(tenant).await;
        self.settle(lease, Next::DeadLetter(EndReason::AttemptsExhausted)).await;
        lease.invocation
    }

    pub(super) async fn record(&self, tenant: &Tenant, id: InvocationId) -> InvocationRecord {
        self.store().invocation(tenant.id, id).await.unwrap().unwrap()
    }

    pub(super) async fn state(&self, tenant: &Tenant, id: InvocationId) -> InvocationState {
        self.record(tenant, id).await.state
    }

    pub(super) async fn outbox(&self) -> Vec<OutboxLine> {
        self.store().outbox(0, 10_000).await.unwrap()
    }

    pub(super) async fn usage(&self) -> Vec<UsageRow> {
        self.store().usage(everything()).await.unwrap()
    }

    /// The three equations that hold at any moment.
    pub(super) async fn check(&self) {
        for tenant in &self.tenants {
            let balance = self.store().balance(*tenant).await.unwrap();
            assert!(balance.holds(), "{balance:?}");
        }
        assert_eq!(self.usage().await, self.store().usage_recount(everything()).await.unwrap());
        let deliveries = self.store().delivery_balance().await.unwrap();
        assert!(deliveries.holds(), "{deliveries:?}");
    }

    /// All that can be read of queue, bus, deliveries and ledger: two of them are equal when nothing changed.
    pub(super) async fn photograph(&self) -> String {
        let store = self.store();
        let mut photo = Vec::new();
        for tenant in &self.tenants {
            photo.push(format!("{:?}", store.balance(*tenant).await.unwrap()));
            let all = async |page| store.invocations(*tenant, InvocationFilter::default(), page).await;
            for invocation in every_page(100, all).await {
                photo.push(format!("{invocation:?}"));
                photo.push(format!("{:?}", store.attempts(*tenant, invocation.id).await.unwrap()));
                photo.push(format!("{:?}", store.work(*tenant, invocation.id).await.unwrap()));
            }
        }
        photo.extend(self.outbox().await.iter().map(|line| format!("{line:?}")));
        let events = every_page(100, async |page| store.events(None, page).await).await;
        photo.extend(events.iter().map(|event| format!("{event:?}")));
        let deliveries = every_page(100, async |page| store.deliveries(DeliveryFilter::default(), page).await).await;
        photo.extend(deliveries.iter().map(|delivery| format!("{delivery:?}")));
        photo.push(format!("{:?}", self.usage().await));
        photo.join("\n")
    }

    pub(super) async fn arrivals(&self) -> Inbox<Waiting> {
        Inbox { receiver: self.store().arrivals(&self.ownership).await.unwrap() }
    }
}

/// Every hour there is.
pub(super) fn everything() -> UsageQuery {
    UsageQuery { tenant: None, function: None, from: Timestamp::ZERO, to: START + Duration::from_secs(86_400 * 365) }
}

/// What arrives, looked at up to a row that is known to come.
pub(super) struct Inbox<T> {
    pub(super) receiver: mpsc::UnboundedReceiver<Vec<T>>,
}

impl<T: Clone + PartialEq + std::fmt::Debug> Inbox<T> {
    /// Everything that came, up to and with the first batch that holds a row of which `last` is true. A row that came
    /// twice unchanged is told once: arrivals are at least once.
    pub(super) async fn until(&mut self, last: impl Fn(&T) -> bool) -> Vec<T> {
        let mut came: Vec<T> = Vec::new();
        while !came.iter().any(&last) {
            let batch = tokio::time::timeout(PATIENCE, self.receiver.recv()).await;
            let batch = batch.unwrap_or_else(|_| panic!("only this came: {came:?}"));
            let batch = batch.unwrap_or_else(|| panic!("the end came after {came:?}"));
            for row in batch {
                if !came.contains(&row) {
                    came.push(row);
                }
            }
        }
        came
    }

    /// Waits for the end: the sender is gone, whatever still came before.
    pub(super) async fn ends(&mut self) {
        let drained = async { while self.receiver.recv().await.is_some() {} };
        tokio::time::timeout(PATIENCE, drained).await.unwrap();
    }
}
