//! The tenants' queues of this node: arrivals from the store into the scheduler, and its grants to the workers.
//!
//! One task feeds and steps the scheduler. The scheduler itself stands behind a lock that is held for one call at a
//! time, because its sums and slots are asked for from elsewhere too.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use sublet_model::{Error, ErrorKind, FunctionId, TenantId};
use sublet_store::{Claim, Lease, TenantRecord, TenantStatus, Waiting};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::chance::locked;
use crate::core::Core;
use crate::directory::Change;
use crate::prepare::Preparation;
use crate::scheduler::{Grant, Scheduler, Share};

/// Batches of arrivals taken in before the next look at free slots.
const BATCHES_PER_STEP: usize = 64;
/// When the store would not tell whose an arrival is, or what to run: until the next try.
pub(crate) const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

pub(crate) struct Queues {
    scheduler: Mutex<Scheduler>,
    /// Something changed that the scheduling task does not hear of otherwise.
    wake: Notify,
    /// Nothing is in flight, or the outbox ran empty: what a drain waits for.
    pub(crate) quiet: Notify,
    /// Per tenant, what is being written and not yet heard of.
    reserved: Mutex<HashMap<TenantId, u64>>,
    /// Synchronous invokes that wait for their grant.
    tickets: Mutex<HashMap<u64, oneshot::Sender<()>>>,
}

pub(crate) fn share_of(record: &TenantRecord) -> Share {
    Share::of(&record.spec.quota, record.spec.status == TenantStatus::Suspended)
}

impl Queues {
    pub(crate) fn new(slots: usize) -> Queues {
        Queues {
            scheduler: Mutex::new(Scheduler::new(u32::try_from(slots).unwrap_or(u32::MAX))),
            wake: Notify::new(),
            quiet: Notify::new(),
            reserved: Mutex::new(HashMap::new()),
            tickets: Mutex::new(HashMap::new()),
        }
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Scheduler) -> T) -> T {
        look(&mut locked(&self.scheduler))
    }

    /// What waits of a tenant, and what is about to.
    pub(crate) fn backlog(&self, tenant: TenantId) -> u64 {
        let reserved = locked(&self.reserved).get(&tenant).copied().unwrap_or(0);
        self.with(|scheduler| scheduler.waiting(tenant)) + reserved
    }

    pub(crate) fn reserve(&self, tenant: TenantId, count: u64) {
        *locked(&self.reserved).entry(tenant).or_default() += count;
    }

    pub(crate) fn release(&self, tenant: TenantId, count: u64) {
        let mut reserved = locked(&self.reserved);
        if let Some(held) = reserved.get_mut(&tenant) {
            *held = held.saturating_sub(count);
            if *held == 0 {
                reserved.remove(&tenant);
            }
        }
    }

    /// A slot came free, whatever for.
    pub(crate) fn freed(&self, free: impl FnOnce(&mut Scheduler)) {
        let is_quiet = self.with(|scheduler| {
            free(scheduler);
            scheduler.load().in_flight == 0
        });
        self.wake.notify_one();
        if is_quiet {
            self.quiet.notify_waiters();
        }
    }

    /// Lines up a synchronous invoke. `None`: the tenant's invoke slots are taken.
    pub(crate) fn line_up(&self, tenant: TenantId, share: Share, ticket: u64) -> Option<oneshot::Receiver<()>> {
        let (granted, grant) = oneshot::channel();
        locked(&self.tickets).insert(ticket, granted);
        if !self.with(|scheduler| scheduler.invoke(tenant, share, ticket)) {
            locked(&self.tickets).remove(&ticket);
            return None;
        }
        self.wake.notify_one();
        Some(grant)
    }

    /// Its caller waits no longer. `false`: it was granted in the same moment, and the slot is the caller's.
    pub(crate) fn give_up(&self, tenant: TenantId, ticket: u64) -> bool {
        let still_waits = locked(&self.tickets).remove(&ticket).is_some();
        if still_waits {
            self.with(|scheduler| scheduler.invoke_given_up(tenant, ticket));
        }
        still_waits
    }

    fn granted(&self, tenant: TenantId, ticket: u64) {
        let sent = locked(&self.tickets).remove(&ticket).is_some_and(|granted| granted.send(()).is_ok());
        if !sent {
            self.freed(|scheduler| scheduler.invoke_ended(tenant));
        }
    }
}

/// What was claimed, each as it waited, with the answers; `None` when there will be none.
type Claimed = (Vec<(Lease, Waiting)>, Option<Vec<Result<(), Error>>>);
type Claims = FuturesUnordered<BoxFuture<'static, Claimed>>;
type Lookups = FuturesUnordered<BoxFuture<'static, (Vec<Waiting>, Result<Option<Arc<TenantRecord>>, Error>)>>;

impl Core {
    /// Runs for the life of the engine.
    pub(crate) async fn schedule(
        self: Arc<Core>,
        mut arrivals: mpsc::UnboundedReceiver<Vec<Waiting>>,
        mut changes: mpsc::UnboundedReceiver<Change>,
    ) {
        let mut claims: Claims = FuturesUnordered::new();
        let mut lookups: Lookups = FuturesUnordered::new();
        loop {
            let until_due = self
                .queues
                .with(|scheduler| scheduler.next_due())
                .map(|due| Duration::from_millis(due.since(self.clock.now()).max(1)));
            tokio::select! {
                biased;
                batch = arrivals.recv() => match batch {
                    Some(first) => {
                        self.arrived(first, &lookups);
                        for _ in 1..BATCHES_PER_STEP {
                            let Ok(more) = arrivals.try_recv() else { break };
                            self.arrived(more, &lookups);
                        }
                    }
                    None => {
                        // A drained engine's store is closed on purpose.
                        if !self.queues.with(|scheduler| scheduler.is_stopped()) {
                            tracing::error!("another node took over this one's queues; nothing more is started here");
                            self.queues.with(Scheduler::stop);
                        }
                        return;
                    }
                },
                Some(change) = changes.recv() => self.changed(change, &lookups),
                Some((waiting, found)) = lookups.next() => self.looked_up(waiting, found),
                Some((claimed, answers)) = claims.next() => self.claimed(&claimed, answers),
                () = self.queues.wake.notified() => {}
                () = tokio::time::sleep(until_due.unwrap_or_default()), if until_due.is_some() => {}
            }
            self.start_granted(&claims);
        }
    }

    fn arrived(self: &Arc<Core>, batch: Vec<Waiting>, lookups: &Lookups) {
        let now = self.clock.now();
        let mut strangers: BTreeMap<TenantId, Vec<Waiting>> = BTreeMap::new();
        let mut share_at_hand: Option<(TenantId, Share)> = None;
        for waiting in batch {
            let share = match share_at_hand {
                Some((tenant, share)) if tenant == waiting.tenant => share,
                _ => match self.directory.tenant_by_id_if_held(waiting.tenant) {
                    Some(record) => share_of(&record),
                    None => {
                        strangers.entry(waiting.tenant).or_default().push(waiting);
                        continue;
                    }
                },
            };
            share_at_hand = Some((waiting.tenant, share));
            self.tell_waiting(&waiting, now);
            self.queues.with(|scheduler| scheduler.arrive(waiting, share, now));
        }
        for (tenant, waiting) in strangers {
            self.look_up(tenant, waiting, lookups);
        }
    }

    fn look_up(self: &Arc<Core>, tenant: TenantId, waiting: Vec<Waiting>, lookups: &Lookups) {
        let core = Arc::clone(self);
        lookups.push(Box::pin(async move {
            let mut found = core.directory.tenant_by_id(tenant).await;
            while found.is_err() {
                tokio::time::sleep(TRY_AGAIN_AFTER).await;
                found = core.directory.tenant_by_id(tenant).await;
            }
            (waiting, found)
        }));
    }

    fn looked_up(&self, arrived: Vec<Waiting>, found: Result<Option<Arc<TenantRecord>>, Error>) {
        // A tenant that is gone: its invocations were cancelled with it.
        let Ok(Some(record)) = found else { return };
        let now = self.clock.now();
        self.queues.with(|scheduler| {
            scheduler.set_share(record.id, share_of(&record));
            for waiting in arrived {
                self.tell_waiting(&waiting, now);
                scheduler.arrive(waiting, share_of(&record), now);
            }
        });
    }

    fn changed(self: &Arc<Core>, change: Change, lookups: &Lookups) {
        match change {
            Change::Tenant(record) => {
                self.queues.with(|scheduler| scheduler.set_share(record.id, share_of(&record)));
            }
            Change::TenantGone(tenant) => self.queues.with(|scheduler| scheduler.forget(tenant)),
            Change::Function(function) => self.take_up(&[function]),
            Change::Anything => {
                let parked = self.queues.with(|scheduler| scheduler.parked_functions());
                self.take_up(&parked);
                for tenant in self.queues.with(|scheduler| scheduler.tenants()) {
                    self.look_up(tenant, Vec::new(), lookups);
                }
            }
        }
    }

    /// What was set aside of these functions takes its turn, and is set aside again where it is still stopped.
    fn take_up(&self, functions: &[FunctionId]) {
        let now = self.clock.now();
        self.queues.with(|scheduler| functions.iter().for_each(|function| scheduler.unpark(*function, now)));
    }

    /// Stops what must not run, and lets wait again what was not claimed.
    pub(crate) fn claimed(self: &Arc<Core>, claimed: &[(Lease, Waiting)], answers: Option<Vec<Result<(), Error>>>) {
        // No answer: the store is closing, and settling will say so.
        for ((lease, waiting), answer) in claimed.iter().zip(answers.unwrap_or_default()) {
            let Err(error) = answer else { continue };
            tracing::debug!(invocation.id = %lease.invocation, %error, "{} was not claimed", lease.invocation);
            match error.kind {
                ErrorKind::Fenced => {
                    self.lost(lease.tenant, lease.epoch);
                    self.leases.revoke(lease);
                }
                // Nothing was written, so it waits in the store and nobody will say so again.
                ErrorKind::Unavailable | ErrorKind::Throttled => {
                    self.leases.revoke(lease);
                    self.arrive_later(*waiting, TRY_AGAIN_AFTER);
                }
                // It may stand: the settle will tell.
                ErrorKind::Internal => {}
                // Cancelled meanwhile, or an old arrival.
                ErrorKind::Conflict | ErrorKind::NotFound | ErrorKind::Invalid => self.leases.revoke(lease),
            }
        }
    }

    /// Lets something wait again whose slot is given back elsewhere.
    pub(crate) fn arrive_later(self: &Arc<Core>, waiting: Waiting, after: Duration) {
        let core = Arc::clone(self);
        self.spawn(async move {
            tokio::time::sleep(after).await;
            let Ok(Some(record)) = core.directory.tenant_by_id(waiting.tenant).await else { return };
            let now = core.clock.now();
            core.queues.with(|scheduler| scheduler.arrive(waiting, share_of(&record), now));
            core.queues.wake.notify_one();
        });
    }

    /// Hands free slots to what waits. What is at hand is claimed in one batch; what has to be read first goes by a
    /// task of its own.
    fn start_granted(self: &Arc<Core>, claims: &Claims) {
        let now = self.clock.now();
        let grants = self.queues.with(|scheduler| scheduler.grant(now));
        if grants.is_empty() {
            return;
        }
        let mut batch = Vec::with_capacity(grants.len());
        let mut ready = Vec::with_capacity(grants.len());
        for grant in grants {
            let waiting = match grant {
                Grant::Invoke { tenant, ticket } => {
                    self.queues.granted(tenant, ticket);
                    continue;
                }
                Grant::Attempt(waiting) => waiting,
            };
            let Some(claim) = self.claim_of(&waiting, now) else {
                // Another node's by now; it has the row too.
                self.queues.freed(|scheduler| scheduler.not_started(&waiting));
                continue;
            };
            match self.prepare_at_hand(&waiting, now) {
                Preparation::Start(prepared) => {
                    batch.push(claim);
                    ready.push((prepared, claim));
                }
                Preparation::End(state, reason) => {
                    let core = Arc::clone(self);
                    self.spawn(async move { core.end_unstarted(waiting, claim.lease.epoch, state, reason).await });
                }
                // In this task, so that a stop that is lifted meanwhile is heard of after it.
                Preparation::SetAside => self.queues.freed(|scheduler| scheduler.park(waiting)),
                Preparation::Load => {
                    let core = Arc::clone(self);
                    self.spawn(async move { core.load_and_start(waiting).await });
                }
            }
        }
        if batch.is_empty() {
            return;
        }
        let claimed: Vec<(Lease, Waiting)> =
            ready.iter().map(|(prepared, claim)| (claim.lease, prepared.waiting)).collect();
        let answers = self.store.claim(batch);
        claims.push(Box::pin(async move { (claimed, answers.await.ok()) }));
        for (prepared, claim) in ready {
            self.run(prepared, claim);
        }
    }

    pub(crate) fn claim_of(&self, waiting: &Waiting, now: sublet_model::Timestamp) -> Option<Claim> {
        let epoch = self.epoch_of(waiting.tenant)?;
        let lease = Lease { invocation: waiting.invocation, tenant: waiting.tenant, epoch, token: waiting.starts + 1 };
        Some(Claim { lease, at: now, until: now + self.config.lease })
    }
}
