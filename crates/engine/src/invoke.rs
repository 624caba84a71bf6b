//! The synchronous call: run a function now and answer with what it returned.
//!
//! Recorded and metered like any attempt, but neither retried nor announced: the caller has the answer. It takes one of
//! its tenant's invoke slots and, when the tenant's ceiling or the sandbox is full, goes in front of the queue.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;
use sublet_model::{EndReason, Error, InvocationId, Millis, Name, Outcome, Timestamp, limit};
use sublet_sandbox::{Failure, Report};
use sublet_store::{FunctionRecord, Lease, NewInvocation, Next, Settle, TenantRecord, TenantStatus};
use tokio::sync::oneshot;

use crate::core::Core;
use crate::queue::share_of;
use crate::runnable::{NotRunnable, Runnable};
use crate::stop::{function_stopped, tenant_suspended};
use crate::worker::{attempt_end, failed};

/// The token of the only start there is.
const TOKEN: u32 = 1;

/// Seeds `Math.random` where instructions are counted.
const COUNTED_SEED: u64 = 0;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    Live,
    Version(u32),
    Alias(Name),
}

#[derive(Debug, Clone)]
pub struct InvokeRequest {
    pub tenant: TenantRecord,
    pub function: Name,
    pub selector: Selector,
    /// JSON text: the handler's first argument.
    pub payload: Bytes,
    /// From the call to the answer, waiting for a slot included. The function's own timeout holds as well.
    pub deadline: Option<Duration>,
    /// Count its instructions: in a process of its own, and with [`COUNTED_SEED`], so that the count comes out the same again.
    pub counts: bool,
}

#[derive(Debug, Clone)]
pub struct InvokeAnswer {
    /// `None`: the deadline passed before there was a slot, and nothing ran, or before it was known what became of it.
    pub invocation: Option<InvocationId>,
    /// The version that ran.
    pub version: Option<u32>,
    /// Outcome, result or failure, log and usage.
    pub report: Report,
}

/// A granted slot; given back however the invoke ends.
struct InvokeSlot {
    core: Arc<Core>,
    lease: Lease,
}

impl Drop for InvokeSlot {
    fn drop(&mut self) {
        self.core.leases.let_go(&self.lease);
        let tenant = self.lease.tenant;
        self.core.queues.freed(|scheduler| scheduler.invoke_ended(tenant));
    }
}

/// A place in line; given up when the caller goes away before its turn.
struct Ticket<'a> {
    core: &'a Core,
    tenant: sublet_model::TenantId,
    number: u64,
    is_used: bool,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.is_used && !self.core.queues.give_up(self.tenant, self.number) {
            let tenant = self.tenant;
            self.core.queues.freed(|scheduler| scheduler.invoke_ended(tenant));
        }
    }
}

fn late(deadline: Duration) -> Failure {
    Failure {
        error_type: "Sublet.DeadlineExceeded".to_owned(),
        error_message: format!("there was no answer within the deadline of {}", Millis::from(deadline)),
        stack_trace: Vec::new(),
    }
}

impl Core {
    #[tracing::instrument(name = "engine.invoke", level = "debug", skip_all)]
    pub(crate) async fn invoke(self: &Arc<Core>, request: InvokeRequest) -> Result<InvokeAnswer, Error> {
        let Some(deadline) = request.deadline else { return self.invoke_within(request, None).await };
        let until = self.clock.now() + deadline;
        match tokio::time::timeout(deadline, self.invoke_within(request, Some(until))).await {
            Ok(answer) => answer,
            // What runs goes on to its own limit, which is the same moment, and is recorded.
            Err(_) => {
                metrics::counter!("sublet_invokes_late_total").increment(1);
                Ok(InvokeAnswer { invocation: None, version: None, report: failed(Outcome::TimedOut, late(deadline)) })
            }
        }
    }

    async fn invoke_within(
        self: &Arc<Core>,
        request: InvokeRequest,
        until: Option<Timestamp>,
    ) -> Result<InvokeAnswer, Error> {
        let InvokeRequest { tenant, function: name, selector, payload, counts, .. } = request;
        if payload.len() > limit::EVENT_BYTES_MAX {
            let most = limit::EVENT_BYTES_MAX;
            return Err(Error::invalid("payload", format!("must have at most {most} bytes")));
        }
        serde_json::from_slice::<IgnoredAny>(&payload)
            .map_err(|error| Error::invalid("payload", format!("is not JSON: {error}")))?;
        if tenant.spec.status == TenantStatus::Suspended {
            return Err(Error::conflict(tenant_suspended(&tenant.spec)));
        }
        let found = self.directory.function(tenant.id, &name).await?;
        let function = found.ok_or_else(|| Error::not_found(format!("function {name}")))?;
        if let Some(stop) = &function.stopped {
            return Err(Error::conflict(function_stopped(stop)));
        }
        if let Some(quarantine) = &function.quarantined {
            return Err(Error::conflict(format!("the function is quarantined: {}", quarantine.reason)));
        }
        let number = self.selected(&function, &selector).await?;
        let runnable = match counts {
            true => self.counting_runnable(&tenant, &function, number).await,
            false => self.runnable(&tenant, &function, number).await,
        };
        let code = match runnable {
            Ok(runnable) => Ok(runnable),
            Err(NotRunnable::Rejected(failure)) => Err(failure),
            Err(NotRunnable::Gone) => return Err(Error::not_found(format!("version {number} of {name}"))),
            Err(NotRunnable::Error(error)) => return Err(error),
        };
        let slot = self.invoke_slot(&tenant).await?;
        let (answered, answer) = oneshot::channel();
        let core = Arc::clone(self);
        // A task of its own: a caller that goes away does not keep the attempt from being recorded.
        self.spawn(async move {
            let report = core.run_invoke(&slot, &function, code, number, payload, counts, until).await;
            drop(slot);
            // The caller may be gone.
            let _ = answered.send(report);
        });
        answer.await.map_err(|_| Error::unavailable("the invocation was interrupted"))?
    }

    /// Waits for a slot of the tenant's.
    async fn invoke_slot(self: &Arc<Core>, tenant: &TenantRecord) -> Result<InvokeSlot, Error> {
        let epoch = self.epoch_of(tenant.id).ok_or_else(|| Error::unavailable("the tenant is at another node"))?;
        let number = self.number();
        let Some(grant) = self.queues.line_up(tenant.id, share_of(tenant), number) else {
            let slots = tenant.spec.quota.invoke_slots;
            self.meters.throttled_invoke.increment(1);
            return Err(Error::throttled(format!("the tenant's {slots} invoke slots are taken")));
        };
        let mut ticket = Ticket { core: self, tenant: tenant.id, number, is_used: false };
        if !matches!(tokio::time::timeout(self.config.invoke_wait, grant).await, Ok(Ok(()))) {
            self.meters.throttled_invoke.increment(1);
            return Err(Error::throttled("the tenant's slots were taken for too long"));
        }
        ticket.is_used = true;
        let invocation = InvocationId::from_raw(self.chance.id(self.clock.now()));
        let lease = Lease { invocation, tenant: tenant.id, epoch, token: TOKEN };
        Ok(InvokeSlot { core: Arc::clone(self), lease })
    }

    async fn run_invoke(
        &self,
        slot: &InvokeSlot,
        function: &FunctionRecord,
        code: Result<Arc<Runnable>, Failure>,
        version: u32,
        payload: Bytes,
        counts: bool,
        answer_by: Option<Timestamp>,
    ) -> Result<InvokeAnswer, Error> {
        let lease = slot.lease;
        let started = self.clock.now();
        let until = started + self.config.lease;
        let begun = NewInvocation {
            input: None,
            id: lease.invocation,
            tenant: lease.tenant,
            function: function.id,
            event: None,
            due: started,
            retry: None,
            dead_letter: None,
        };
        // Not waited for: the settle is, and it is written after it.
        drop(self.store.begin(begun, lease.epoch, until));
        let stop = self.leases.hold(lease, until, function.id);
        let (report, stopped) = match code {
            Ok(runnable) => {
                let seed = if counts { COUNTED_SEED } else { self.chance.bits64() };
                let mut attempt = runnable.attempt(lease.invocation.to_string(), payload, seed, false, None);
                attempt.counts = counts;
                attempt.cordon = self.cordon_of(lease.tenant, runnable.config.runtime).await;
                if let Some(answer_by) = answer_by {
                    // Nobody waits for what comes later.
                    let left = Duration::from_millis(answer_by.since(started).max(1));
                    attempt.limits.wall = attempt.limits.wall.min(left);
                }
                let cordon = attempt.cordon;
                let ran = self.run_unless_stopped(&runnable, attempt, (lease.tenant, function.id), stop).await;
                self.suspect(lease.tenant, &ran.0, false, cordon).await;
                ran
            }
            Err(failure) => (failed(Outcome::Failed, failure), None),
        };
        let end = attempt_end(&report, version, started, self.clock.now());
        let next = match (&stopped, report.outcome) {
            (Some(_), _) => Next::Cancel(EndReason::Stopped),
            (None, Outcome::Succeeded) => Next::Succeed,
            (None, _) => Next::Fail,
        };
        self.meters.invoke(&report);
        let (settled, _) = self.write_settle(&Settle { lease, end, next, announce: false, message: None }).await;
        settled?;
        if let Some(stopped) = stopped {
            return Err(Error::conflict(stopped.reason));
        }
        Ok(InvokeAnswer { invocation: Some(lease.invocation), version: Some(version), report })
    }

    async fn selected(&self, function: &FunctionRecord, selector: &Selector) -> Result<u32, Error> {
        match selector {
            Selector::Version(number) => Ok(*number),
            Selector::Live => function.live.ok_or_else(|| Error::not_found("a live version")),
            Selector::Alias(alias) => {
                let aliases = self.store.aliases(function.tenant, function.id).await?;
                let found = aliases.into_iter().find(|(name, _)| name == alias);
                found.map(|(_, number)| number).ok_or_else(|| Error::not_found(format!("alias {alias}")))
            }
        }
    }
}
