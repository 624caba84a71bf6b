//! The kill switch: a function or a tenant that nothing more starts of, and what runs of it ends now.
//!
//! The stop is written before what runs is told, and an attempt looks once more after it can be told; so that of two
//! that meet, one always sees the other. What was ended goes back into the queue as if it had not started, or is
//! cancelled, as whoever stops it says.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sublet_model::{EndReason, Error, FunctionId, Name, Outcome, TenantId, Timestamp, Usage};
use sublet_sandbox::egress::Egress;
use sublet_sandbox::{Attempt, Failure, Report};
use sublet_store::{FunctionRecord, Next, Stop, StoppedBy, TenantRecord, TenantSpec, TenantStatus};
use tokio::sync::{oneshot, watch};

use crate::core::Core;
use crate::runnable::Runnable;
use crate::stream::FunctionChange;
use crate::worker::failed;

/// How long the report of an attempt that was stopped is waited for; a worker needs some milliseconds.
const REPORT_WITHIN: Duration = Duration::from_secs(1);

/// A stop as what runs is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stopped {
    /// In whole, for whoever asks why.
    pub(crate) reason: String,
    cancels: bool,
}

impl Stopped {
    /// What becomes of the invocation.
    pub(crate) fn next(&self, now: Timestamp) -> Next {
        match self.cancels {
            true => Next::Cancel(EndReason::Stopped),
            false => Next::PutBack { due: now },
        }
    }
}

pub(crate) fn function_stopped(stop: &Stop) -> String {
    match stop.by {
        StoppedBy::Operator => format!("the function was stopped by the operator: {}", stop.reason),
        StoppedBy::Tenant => format!("the function was stopped: {}", stop.reason),
    }
}

pub(crate) fn tenant_suspended(spec: &TenantSpec) -> String {
    match &spec.stopped {
        Some(stop) => format!("the tenant is suspended: {}", stop.reason),
        None => "the tenant is suspended".to_owned(),
    }
}

impl Core {
    /// Answers how many running attempts were ended. Errors: `Conflict` for a tenant where the operator said stop.
    pub(crate) async fn stop_function(
        &self,
        tenant: &TenantRecord,
        name: &Name,
        stop: Stop,
        cancels: bool,
    ) -> Result<usize, Error> {
        let function = self.function_named(tenant.id, name).await?;
        let reason = function_stopped(&stop);
        self.directory.stop_function(tenant.id, function, Some(stop.clone()), stop.by).await?;
        let count = self.leases.stop(tenant.id, Some(function), &Stopped { reason, cancels });
        metrics::counter!("sublet_stops_total", "of" => "function").increment(1);
        tracing::warn!(tenant.id = %tenant.id, function.id = %function, "function {function} is stopped: {}", stop.reason);
        self.tell_function(tenant.id, function, FunctionChange::Stopped, Some(stop.reason), stop.at).await;
        Ok(count)
    }

    /// `by`: who lifts the stop. Errors: `Conflict` for a tenant where the operator said stop.
    pub(crate) async fn start_function(&self, tenant: &TenantRecord, name: &Name, by: StoppedBy) -> Result<(), Error> {
        let function = self.function_named(tenant.id, name).await?;
        self.directory.stop_function(tenant.id, function, None, by).await?;
        self.tell_function(tenant.id, function, FunctionChange::Started, None, self.clock.now()).await;
        Ok(())
    }

    /// A suspension with a reason, which also ends what runs. Answers how many attempts that were.
    pub(crate) async fn stop_tenant(&self, tenant: &TenantRecord, stop: Stop, cancels: bool) -> Result<usize, Error> {
        let record = self.directory.switch_tenant(&tenant.name, Some(stop.clone())).await?;
        let reason = tenant_suspended(&record.spec);
        let count = self.leases.stop(record.id, None, &Stopped { reason, cancels });
        metrics::counter!("sublet_stops_total", "of" => "tenant").increment(1);
        tracing::warn!(tenant.id = %record.id, "tenant {} is stopped: {}", record.name, stop.reason);
        Ok(count)
    }

    pub(crate) async fn start_tenant(&self, tenant: &TenantRecord) -> Result<(), Error> {
        self.directory.switch_tenant(&tenant.name, None).await?;
        Ok(())
    }

    pub(crate) async fn function_named(&self, tenant: TenantId, name: &Name) -> Result<FunctionId, Error> {
        let found = self.directory.function(tenant, name).await?;
        found.map(|function| function.id).ok_or_else(|| Error::not_found(format!("function {name}")))
    }

    /// Why nothing of it may run, as the directory says now. A read that fails stops nothing: the attempt was granted.
    async fn stopped_now(&self, tenant: TenantId, function: FunctionId) -> Option<Stopped> {
        let put_back = |reason| Stopped { reason, cancels: false };
        let tenant = self.directory.tenant_by_id(tenant).await.ok().flatten()?;
        if tenant.spec.status == TenantStatus::Suspended {
            return Some(put_back(tenant_suspended(&tenant.spec)));
        }
        let function = self.directory.function_by_id(tenant.id, function).await.ok().flatten()?;
        function.stopped.as_ref().map(|stop| put_back(function_stopped(stop)))
    }

    /// Runs it with the secrets that its version names, and takes them out of what it reports; unless it is stopped
    /// before its end. Then its report is of what it used until then; where the sandbox does not say that in time, of the time it
    /// took and what it asked of the outside.
    pub(crate) async fn run_unless_stopped(
        &self,
        runnable: &Runnable,
        mut attempt: Attempt,
        (tenant, function): (TenantId, FunctionId),
        mut stop: oneshot::Receiver<Stopped>,
    ) -> (Report, Option<Stopped>) {
        let begun_ns = self.clock.now_ns();
        let (memory_limit_bytes, bytes_in) = (attempt.limits.memory_bytes, attempt.event.len() as u64);
        let ended = |stopped: &Stopped| {
            let failure = Failure {
                error_type: "Sublet.Stopped".to_owned(),
                error_message: stopped.reason.clone(),
                stack_trace: Vec::new(),
            };
            let wall = Duration::from_nanos(self.clock.now_ns().saturating_sub(begun_ns));
            let wall_us = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
            let usage = Usage { wall_us, memory_limit_bytes, bytes_in, ..Usage::default() };
            Report { usage, ..failed(Outcome::Cancelled, failure) }
        };
        if let Some(stopped) = self.stopped_now(tenant, function).await {
            return (ended(&stopped), Some(stopped));
        }
        let uses = &runnable.config.secrets;
        let mut unsealed = match self.unseal(tenant, function, runnable.version, uses).await {
            Ok(unsealed) => unsealed,
            Err(report) => return (*report, None),
        };
        attempt.environment.append(&mut unsealed.environment);
        let placeholders = std::mem::take(&mut unsealed.placeholders);
        // Held here as well, so that what it asked for is told also when nobody is left to report it.
        let way_out = self.way_out(tenant, runnable, placeholders.into()).await;
        attempt.egress = Some(Arc::clone(&way_out));
        let (tell, told) = watch::channel(false);
        attempt.stop = Some(told);
        let mut run = pin!(self.run_in_sandbox(attempt));
        let (report, stopped) = tokio::select! {
            biased;
            Ok(stopped) = &mut stop => {
                let ended = ended(&stopped);
                // Who listens is in `run`.
                let _ = tell.send(true);
                match tokio::time::timeout(REPORT_WITHIN, &mut run).await {
                    // It was through before it could be ended.
                    Ok(ran) if ran.outcome == Outcome::Succeeded => (ran, None),
                    Ok(ran) => (with_fetches(with_use(ended, ran), &*way_out), Some(stopped)),
                    Err(_) => (with_fetches(ended, &*way_out), Some(stopped)),
                }
            }
            report = &mut run => (report, None),
        };
        (unsealed.redact(report), stopped)
    }

    /// Sets aside what was granted although its function is stopped.
    pub(crate) async fn set_aside(&self, waiting: sublet_store::Waiting) {
        self.queues.freed(|scheduler| scheduler.park(waiting));
        // Lifted since it was looked at: nobody would say so again.
        let found = self.directory.function_by_id(waiting.tenant, waiting.function).await;
        let is_stopped = |record: &FunctionRecord| record.stopped.is_some();
        if !found.is_ok_and(|record| record.is_some_and(|record| is_stopped(&record))) {
            let now = self.clock.now();
            self.queues.freed(|scheduler| scheduler.unpark(waiting.function, now));
        }
    }
}

/// With what it wrote and used.
fn with_use(ended: Report, ran: Report) -> Report {
    let usage = Usage { bytes_out: ran.log.len() as u64, ..ran.usage };
    Report { usage, log: ran.log, crash: ran.crash, worker: ran.worker, ..ended }
}

/// With what was asked of the outside until now.
fn with_fetches(mut report: Report, way_out: &dyn Egress) -> Report {
    report.fetches = way_out.records();
    let used = way_out.used();
    (report.usage.fetches, report.usage.egress_bytes) = (used.calls, used.bytes);
    report
}
