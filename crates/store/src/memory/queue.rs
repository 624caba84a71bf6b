//! The queue's rows and the thin half of its trait; what a lease does to a row is in `lease`.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bytes::Bytes;
use sublet_model::{
    EndReason, Error, EventId, InvocationId, InvocationState, QueueId, RetryPolicy, TenantId, Timestamp,
};
use tokio::sync::{mpsc, oneshot};

use super::{Answer, MemoryStore, Verb, listing};
use crate::page::{Listing, Page};
use crate::queue::{
    AttemptRecord, Balance, Claim, Finish, InvocationFilter, InvocationRecord, Lease, NewInvocation, OutboxLine, Queue,
    Selection, Settle, Settled, Waiting, Work,
};
use crate::shard::{Ownership, SHARDS, shard_of};

/// Rows in one message of the backlog.
const ARRIVALS_PER_MESSAGE: usize = 1_000;

/// The lease under which an invocation runs; its token is the record's `starts`.
#[derive(Clone, Copy)]
pub(super) struct Held {
    pub(super) epoch: u64,
    pub(super) started: Timestamp,
    pub(super) until: Timestamp,
}

#[derive(Clone)]
pub(super) struct Invocation {
    pub(super) record: InvocationRecord,
    pub(super) retry: Option<RetryPolicy>,
    pub(super) input: Option<Bytes>,
    pub(super) dead_letter: Option<QueueId>,
    pub(super) crashed: u32,
    pub(super) redrives: u32,
    /// Of its event.
    pub(super) depth: u8,
    /// `Some` exactly while it runs.
    pub(super) held: Option<Held>,
}

impl Invocation {
    pub(super) fn is_direct(&self) -> bool {
        self.record.event.is_none()
    }

    pub(super) fn end(&mut self, state: InvocationState, reason: Option<EndReason>, at: Timestamp) {
        self.record.state = state;
        self.record.reason = reason;
        self.record.ended = Some(at);
        self.held = None;
    }

    /// As the scheduler holds it; `None` when it does not wait.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        let record = &self.record;
        let event = record.event.filter(|_| record.state.is_waiting())?;
        Some(Waiting {
            invocation: record.id,
            tenant: record.tenant,
            function: record.function,
            event,
            due: record.due,
            failed: record.failed,
            starts: record.starts,
            crashed: self.crashed,
            redrives: self.redrives,
        })
    }
}

pub(super) struct Rows {
    /// Indexed by shard.
    pub(super) epochs: Vec<u64>,
    pub(super) invocations: BTreeMap<(TenantId, InvocationId), Invocation>,
    /// Those of `invocations` that run: what a rescue looks through.
    pub(super) running: BTreeSet<(TenantId, InvocationId)>,
    /// By invocation and number of the start.
    pub(super) attempts: BTreeMap<(TenantId, InvocationId, u32), AttemptRecord>,
    pub(super) outbox: BTreeMap<i64, OutboxLine>,
    /// The last number given to an outbox line.
    pub(super) outbox_last: i64,
    receiver: Option<mpsc::UnboundedSender<Vec<Waiting>>>,
}

impl Default for Rows {
    fn default() -> Rows {
        Rows {
            epochs: vec![0; usize::from(SHARDS)],
            invocations: BTreeMap::new(),
            running: BTreeSet::new(),
            attempts: BTreeMap::new(),
            outbox: BTreeMap::new(),
            outbox_last: 0,
            receiver: None,
        }
    }
}

impl Rows {
    pub(super) fn forget_receiver(&mut self) {
        self.receiver = None;
    }

    pub(super) fn epoch_of(&self, tenant: TenantId) -> u64 {
        self.epochs[usize::from(shard_of(tenant).0)]
    }

    pub(super) fn of_tenant(&self, tenant: TenantId) -> impl DoubleEndedIterator<Item = &Invocation> {
        self.invocations.range(rows_of(tenant)).map(|(_, invocation)| invocation)
    }

    pub(super) fn of_tenant_mut(&mut self, tenant: TenantId) -> impl Iterator<Item = &mut Invocation> {
        self.invocations.range_mut(rows_of(tenant)).map(|(_, invocation)| invocation)
    }

    /// A new invocation of a published event.
    pub(super) fn enqueue(&mut self, event: EventId, depth: u8, new: NewInvocation) -> Option<Waiting> {
        let (retry, input, dead_letter) = (new.retry.clone(), new.input.clone(), new.dead_letter);
        let record = new_record(new, Some(event), InvocationState::Queued);
        let invocation = Invocation { record, retry, input, dead_letter, crashed: 0, redrives: 0, depth, held: None };
        let waiting = invocation.waiting();
        self.invocations.insert((invocation.record.tenant, invocation.record.id), invocation);
        waiting
    }

    /// Tells the receiver, if there is one; a receiver that was dropped is none.
    pub(super) fn announce(&mut self, waiting: Vec<Waiting>) {
        if let Some(receiver) = &self.receiver
            && !waiting.is_empty()
            && receiver.send(waiting).is_err()
        {
            self.receiver = None;
        }
    }

    /// Errors: `Fenced` when another took one of its shards.
    pub(super) fn check_owner(&self, ownership: &Ownership) -> Result<(), Error> {
        match ownership.shards().find(|(shard, epoch)| self.epochs[usize::from(shard.0)] != *epoch) {
            Some((shard, epoch)) => {
                Err(Error::fenced(format!("shard {} is no longer held under epoch {epoch}", shard.0)))
            }
            None => Ok(()),
        }
    }

    fn arrivals(&mut self, ownership: &Ownership) -> Result<mpsc::UnboundedReceiver<Vec<Waiting>>, Error> {
        self.check_owner(ownership)?;
        let owned = |waiting: &Waiting| ownership.epoch_of(waiting.tenant).is_some();
        let mut backlog: Vec<Waiting> =
            self.invocations.values().filter_map(Invocation::waiting).filter(owned).collect();
        backlog.sort_by_key(|waiting| (waiting.tenant, waiting.due, waiting.invocation));
        let (sender, receiver) = mpsc::unbounded_channel();
        // An owner of no shard hears nothing, and must not silence the owner of all.
        if ownership.shards().next().is_none() {
            return Ok(receiver);
        }
        self.receiver = Some(sender);
        for part in backlog.chunks(ARRIVALS_PER_MESSAGE) {
            self.announce(part.to_vec());
        }
        Ok(receiver)
    }

    /// The selected ones of a tenant's invocations, in the order of their ids.
    fn selected(
        &self,
        tenant: TenantId,
        selection: &Selection,
        fits: impl Fn(&Invocation) -> bool,
    ) -> Vec<InvocationId> {
        let ids: BTreeSet<InvocationId> = match selection {
            Selection::All => self.of_tenant(tenant).map(|invocation| invocation.record.id).collect(),
            Selection::Ids(ids) => ids.iter().copied().collect(),
        };
        ids.into_iter().filter(|id| self.invocations.get(&(tenant, *id)).is_some_and(&fits)).collect()
    }

    fn redrive(&mut self, tenant: TenantId, selection: &Selection, now: Timestamp) -> u64 {
        let ids = self.selected(tenant, selection, |i| i.record.state == InvocationState::DeadLettered);
        let mut waiting = Vec::with_capacity(ids.len());
        for id in &ids {
            let Some(invocation) = self.invocations.get_mut(&(tenant, *id)) else { continue };
            let record = &mut invocation.record;
            record.state = InvocationState::Queued;
            record.due = now;
            record.failed = 0;
            record.reason = None;
            record.ended = None;
            invocation.crashed = 0;
            invocation.redrives += 1;
            waiting.extend(invocation.waiting());
        }
        self.announce(waiting);
        ids.len() as u64
    }

    fn cancel(&mut self, tenant: TenantId, selection: &Selection, reason: EndReason, now: Timestamp) -> u64 {
        let ids = self.selected(tenant, selection, |invocation| invocation.record.state.is_waiting());
        for id in &ids {
            if let Some(invocation) = self.invocations.get_mut(&(tenant, *id)) {
                invocation.end(InvocationState::Cancelled, Some(reason), now);
            }
        }
        ids.len() as u64
    }

    fn balance(&self, tenant: TenantId) -> Balance {
        let mut balance = Balance::default();
        for invocation in self.of_tenant(tenant).filter(|invocation| !invocation.is_direct()) {
            balance.accepted += 1;
            match invocation.record.state {
                InvocationState::Queued | InvocationState::Retrying => balance.waiting += 1,
                InvocationState::Running => balance.in_flight += 1,
                InvocationState::Succeeded => balance.succeeded += 1,
                InvocationState::DeadLettered => balance.dead_lettered += 1,
                InvocationState::Expired => balance.expired += 1,
                InvocationState::Cancelled => balance.cancelled += 1,
                // Of synchronous invokes alone; here it would be a bug, and `holds` says so.
                InvocationState::Failed => {}
            }
        }
        balance
    }

    fn list(
        &self,
        tenant: TenantId,
        page: &Page,
        fits: impl Fn(&InvocationRecord) -> bool,
    ) -> Result<Listing<InvocationRecord>, Error> {
        let records = self.of_tenant(tenant).map(|invocation| &invocation.record).filter(|record| fits(record));
        listing::newest_first(records.map(|record| (record.id, record)), page)
    }
}

fn rows_of(tenant: TenantId) -> std::ops::RangeInclusive<(TenantId, InvocationId)> {
    (tenant, InvocationId::from_raw(i64::MIN))..=(tenant, InvocationId::from_raw(i64::MAX))
}

pub(super) fn new_record(new: NewInvocation, event: Option<EventId>, state: InvocationState) -> InvocationRecord {
    InvocationRecord {
        id: new.id,
        tenant: new.tenant,
        function: new.function,
        event,
        state,
        reason: None,
        due: new.due,
        starts: 0,
        failed: 0,
        ended: None,
    }
}

/// Hands an answer over at once; one that never comes keeps its sender, so that the receiver goes on waiting.
fn hand_over<T: Send + 'static>(answer: Option<T>) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    match answer {
        // The caller may not wait for it.
        Some(answer) => drop(sender.send(answer)),
        None => std::mem::forget(sender),
    }
    receiver
}

#[async_trait]
impl Queue for MemoryStore {
    async fn acquire(&self, _node: u16, now: Timestamp) -> Result<Ownership, Error> {
        let take = |state: &mut super::State| {
            for epoch in &mut state.queue.epochs {
                *epoch += 1;
            }
            state.queue.forget_receiver();
            state.rescue_where(now, |_| true);
            Ok(Ownership { epochs: state.queue.epochs.iter().copied().map(Some).collect() })
        };
        self.write(Verb::Acquire, take).await
    }

    async fn arrivals(&self, ownership: &Ownership) -> Result<mpsc::UnboundedReceiver<Vec<Waiting>>, Error> {
        self.state().queue.arrivals(ownership)
    }

    async fn work(&self, tenant: TenantId, invocation: InvocationId) -> Result<Option<Work>, Error> {
        Ok(self.read(|state| {
            let invocation = state.queue.invocations.get(&(tenant, invocation))?;
            let event = invocation.record.event.filter(|_| !invocation.record.state.is_final())?;
            let event = state.bus.events.get(&event)?;
            let (body, envelope) = match &invocation.input {
                Some(input) => (input.clone(), Some(event.body.clone())),
                None => (event.body.clone(), None),
            };
            Some(Work {
                body,
                envelope,
                retry: invocation.retry.clone(),
                depth: invocation.depth,
                trace_context: event.trace_context.clone(),
            })
        }))
    }

    fn claim(&self, claims: Vec<Claim>) -> oneshot::Receiver<Vec<Result<(), Error>>> {
        let count = claims.len();
        let start = |state: &mut super::State| Ok(claims.iter().map(|claim| state.queue.claim(claim)).collect());
        hand_over(match self.commit(Verb::Claim, start) {
            Answer::Given(Ok(answers)) => Some(answers),
            Answer::Given(Err(error)) => Some(vec![Err(error); count]),
            Answer::Never => None,
        })
    }

    fn begin(&self, invocation: NewInvocation, epoch: u64, until: Timestamp) -> oneshot::Receiver<Result<(), Error>> {
        hand_over(match self.commit(Verb::Begin, |state| state.queue.begin(invocation, epoch, until)) {
            Answer::Given(answer) => Some(answer),
            Answer::Never => None,
        })
    }

    async fn extend(&self, leases: Vec<Lease>, until: Timestamp) -> Result<Vec<Result<(), Error>>, Error> {
        let extend =
            |state: &mut super::State| Ok(leases.iter().map(|lease| state.queue.extend(lease, until)).collect());
        self.write(Verb::Extend, extend).await
    }

    async fn settle(&self, settle: Settle) -> Result<Settled, Error> {
        self.write(Verb::Settle, |state| state.settle(settle)).await
    }

    async fn finish(&self, finish: Finish) -> Result<Option<i64>, Error> {
        self.write(Verb::Finish, |state| state.finish(&finish)).await
    }

    async fn rescue(&self, ownership: &Ownership, now: Timestamp) -> Result<u64, Error> {
        let rescue = |state: &mut super::State| {
            state.queue.check_owner(ownership)?;
            Ok(state.rescue_where(now, |invocation| {
                ownership.epoch_of(invocation.record.tenant).is_some()
                    && invocation.held.is_some_and(|held| held.until <= now)
            }))
        };
        self.write(Verb::Rescue, rescue).await
    }

    async fn outbox(&self, after: i64, limit: usize) -> Result<Vec<OutboxLine>, Error> {
        Ok(self.read(|state| {
            let above = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
            state.queue.outbox.range(above).take(limit).map(|(_, line)| line.clone()).collect()
        }))
    }

    async fn invocation(&self, tenant: TenantId, id: InvocationId) -> Result<Option<InvocationRecord>, Error> {
        Ok(self.read(|state| state.queue.invocations.get(&(tenant, id)).map(|invocation| invocation.record.clone())))
    }

    async fn attempts(&self, tenant: TenantId, id: InvocationId) -> Result<Vec<AttemptRecord>, Error> {
        let all = (tenant, id, 0)..=(tenant, id, u32::MAX);
        Ok(self.read(|state| state.queue.attempts.range(all).map(|(_, attempt)| attempt.clone()).collect()))
    }

    async fn invocations(
        &self,
        tenant: TenantId,
        filter: InvocationFilter,
        page: Page,
    ) -> Result<Listing<InvocationRecord>, Error> {
        let fits = |record: &InvocationRecord| {
            filter.function.is_none_or(|function| record.function == function)
                && filter.state.is_none_or(|state| record.state == state)
        };
        self.read(|state| state.queue.list(tenant, &page, fits))
    }

    async fn dead_letters(&self, tenant: TenantId, page: Page) -> Result<Listing<InvocationRecord>, Error> {
        self.read(|state| state.queue.list(tenant, &page, |record| record.state == InvocationState::DeadLettered))
    }

    async fn redrive(&self, tenant: TenantId, selection: Selection, now: Timestamp) -> Result<u64, Error> {
        self.write(Verb::Redrive, |state| Ok(state.queue.redrive(tenant, &selection, now))).await
    }

    async fn cancel(
        &self,
        tenant: TenantId,
        selection: Selection,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<u64, Error> {
        self.write(Verb::Cancel, |state| Ok(state.queue.cancel(tenant, &selection, reason, now))).await
    }

    async fn balance(&self, tenant: TenantId) -> Result<Balance, Error> {
        Ok(self.read(|state| state.queue.balance(tenant)))
    }
}
