//! The kill switch: a function or a tenant that nothing more starts of, and what runs of it ends now.
//!
//! The stop is written before what runs is told, and an attempt looks once more after it can be told; so that of two
//! that meet, one always sees the other. What was ended goes back into the queue as if it had not started, or is
//! cancelled, as whoever stops it says.

use std::time::Duration;

use sublet_model::{EndReason, Error, FunctionId, Name, Outcome, TenantId, Timestamp, Usage};
use sublet_sandbox::{Attempt, Failure, Report};
use sublet_store::{FunctionRecord, Next, Stop, StoppedBy, TenantRecord, TenantSpec, TenantStatus};
use tokio::sync::oneshot;

use crate::core::Core;
use crate::runnable::Runnable;
use crate::stream::FunctionChange;
use crate::worker::failed;

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
    /// Answers how many running attempts were ended.
    pub(crate) async fn stop_function(
        &self,
        tenant: &TenantRecord,
        name: &Name,
        stop: Stop,
        cancels: bool,
    ) -> Result<usize, Error> {
        let function = self.function_named(tenant.id, name).await?;
        let reason = function_stopped(&stop);
        self.directory.stop_function(tenant.id, function, Some(stop.clone())).await?;
        let count = self.leases.stop(tenant.id, Some(function), &Stopped { reason, cancels });
        metrics::counter!("sublet_stops_total", "of" => "function").increment(1);
        tracing::warn!(tenant.id = %tenant.id, function.id = %function, "function {function} is stopped: {}", stop.reason);
        self.tell_function(tenant.id, function, FunctionChange::Stopped, Some(stop.reason), stop.at).await;
        Ok(count)
    }

    pub(crate) async fn start_function(&self, tenant: &TenantRecord, name: &Name) -> Result<(), Error> {
        let function = self.function_named(tenant.id, name).await?;
        self.directory.stop_function(tenant.id, function, None).await?;
        self.tell_function(tenant.id, function, FunctionChange::Started, None, self.clock.now()).await;
        Ok(())
    }

    /// A suspension with a reason, which also ends what runs. Answers how many attempts that were.
    pub(crate) async fn stop_tenant(&self, tenant: &TenantRecord, stop: Stop, cancels: bool) -> Result<usize, Error> {
        let spec = TenantSpec { status: TenantStatus::Suspended, stopped: Some(stop.clone()), ..tenant.spec.clone() };
        let reason = tenant_suspended(&spec);
        self.directory.put_tenant(&tenant.name, spec).await?;
        let count = self.leases.stop(tenant.id, None, &Stopped { reason, cancels });
        metrics::counter!("sublet_stops_total", "of" => "tenant").increment(1);
        tracing::warn!(tenant.id = %tenant.id, "tenant {} is stopped: {}", tenant.name, stop.reason);
        Ok(count)
    }

    pub(crate) async fn start_tenant(&self, tenant: &TenantRecord) -> Result<(), Error> {
        let spec = TenantSpec { status: TenantStatus::Active, stopped: None, ..tenant.spec.clone() };
        self.directory.put_tenant(&tenant.name, spec).await?;
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

    /// Runs it, unless it is stopped before its end; then what it used is the time it took.
    pub(crate) async fn run_unless_stopped(
        &self,
        runnable: &Runnable,
        attempt: Attempt,
        (tenant, function): (TenantId, FunctionId),
        mut stop: oneshot::Receiver<Stopped>,
    ) -> (Report, Option<Stopped>) {
        let begun_ns = self.clock.now_ns();
        let (memory_limit_bytes, bytes_in) = (attempt.limits.memory_bytes, attempt.event.len() as u64);
        let stopped = match self.stopped_now(tenant, function).await {
            Some(stopped) => stopped,
            None => tokio::select! {
                biased;
                Ok(stopped) = &mut stop => stopped,
                report = self.run_with_secrets(tenant, function, runnable, attempt) => return (report, None),
            },
        };
        let failure = Failure {
            error_type: "Sublet.Stopped".to_owned(),
            error_message: stopped.reason.clone(),
            stack_trace: Vec::new(),
        };
        let wall = Duration::from_nanos(self.clock.now_ns().saturating_sub(begun_ns));
        let wall_us = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
        let usage = Usage { wall_us, memory_limit_bytes, bytes_in, ..Usage::default() };
        (Report { usage, ..failed(Outcome::Cancelled, failure) }, Some(stopped))
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
