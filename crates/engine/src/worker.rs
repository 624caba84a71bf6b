//! One attempt to its end: run, decide what follows, settle.
//!
//! The claim is handed to the store and not waited for; the settle is. An attempt whose lease is another's by then is
//! fenced and leaves no trace.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sublet_model::{EndReason, Error, InvocationState, MessageId, Outcome, Timestamp, TraceContext, Usage};
use sublet_sandbox::{Attempt, Cordon, Failure, Report, Unavailable};
use sublet_store::{
    AttemptEnd, AttemptRecord, Claim, Finish, InvocationRecord, Lease, Next, OutboxLine, Settle, Settled, Waiting,
};
use tokio::sync::oneshot;

use crate::core::Core;
use crate::egress::fetch_log;
use crate::prepare::{Prepared, Runs};
use crate::quarantine::Ended;
use crate::queue::TRY_AGAIN_AFTER;
use crate::retry;
use crate::runnable::Runnable;
use crate::span::{Part, Span, SpanKind, SpanValue, nanos, numbered};
use crate::stop::Stopped;
use crate::stream::Told;

/// Between two tries of a settle that the store could not take: the first and the longest.
const SETTLE_AGAIN_AFTER: Duration = Duration::from_millis(20);
const SETTLE_AGAIN_AFTER_MAX: Duration = Duration::from_secs(2);
/// Tries of a settle: beyond it the lease is left to end, and the attempt is rescued.
const SETTLE_TRIES_MAX: u32 = 20;
/// Between two tries when the sandbox has no room, and how many there are.
const SANDBOX_AGAIN_AFTER: Duration = Duration::from_millis(10);
const SANDBOX_TRIES_MAX: u32 = 200;

/// What an attempt's spans tell of.
struct Spent<'a> {
    waiting: &'a Waiting,
    start_ns: u64,
    version: u32,
    /// `None`: it did not build.
    runnable: Option<&'a Runnable>,
    report: &'a Report,
}

/// A slot of the scheduler and a lease, both given back however the attempt ends.
struct Slot {
    core: Arc<Core>,
    lease: Lease,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.core.leases.let_go(&self.lease);
        let Lease { tenant, invocation, token, .. } = self.lease;
        self.core.queues.freed(|scheduler| scheduler.ended(tenant, invocation, token));
    }
}

impl Core {
    /// An attempt was not recorded. If its claim never was either, it still waits in the store, and nobody will say so
    /// again; what was claimed is given back by rescue, which says so itself.
    async fn wait_if_unclaimed(self: &Arc<Core>, waiting: Waiting) {
        match self.store.invocation(waiting.tenant, waiting.invocation).await {
            Ok(Some(record)) if record.state.is_waiting() && record.starts == waiting.starts => {}
            Ok(_) => return,
            // Waiting once too often does no harm: the second claim is refused.
            Err(_) => {}
        }
        self.arrive_later(waiting, TRY_AGAIN_AFTER);
    }

    /// Ends a granted invocation without an attempt.
    pub(crate) async fn end_unstarted(
        self: &Arc<Core>,
        waiting: Waiting,
        epoch: u64,
        state: InvocationState,
        reason: EndReason,
    ) {
        let at = self.clock.now();
        let message = Some(MessageId::from_raw(self.chance.id(at)));
        let finish = Finish {
            invocation: waiting.invocation,
            tenant: waiting.tenant,
            epoch,
            state,
            reason,
            at,
            announce: true,
            message,
        };
        match self.store.finish(finish).await {
            Ok(outbox) => {
                self.bodies.remove(&waiting.invocation);
                self.tell(&waiting, state, at, Told { reason: Some(reason), ..Told::default() });
                self.meters.ended_unstarted(state);
                self.queues.freed(|scheduler| scheduler.not_started(&waiting));
                if outbox.is_some() {
                    // Rare enough that the outbox may read it back.
                    self.outbox.look();
                }
            }
            Err(error) if error.retryable() => {
                tracing::warn!(invocation.id = %waiting.invocation, %error, "{} was not ended", waiting.invocation);
                self.wait_again(waiting);
                // `Internal`: it may have been written all the same.
                self.outbox.look();
            }
            Err(_) => self.queues.freed(|scheduler| scheduler.not_started(&waiting)),
        }
    }

    /// Starts the attempt under a claim that was handed over.
    pub(crate) fn run(self: &Arc<Core>, prepared: Box<Prepared>, claim: Claim) {
        let stop = self.leases.hold(claim.lease, claim.until, prepared.waiting.function);
        let told = Told { attempt: Some(claim.lease.token), ..Told::default() };
        self.tell(&prepared.waiting, InvocationState::Running, claim.at, told);
        let slot = Slot { core: Arc::clone(self), lease: claim.lease };
        let core = Arc::clone(self);
        let task = self.spawn(async move {
            core.attempt(prepared, slot.lease, claim.at, stop).await;
            drop(slot);
        });
        self.leases.bind(&claim.lease, task);
    }

    #[tracing::instrument(name = "engine.worker.attempt", level = "debug", skip_all, fields(
        invocation.id = %lease.invocation,
        trace.id = prepared.work.trace_context.as_ref().map(TraceContext::trace_id_text),
    ))]
    async fn attempt(
        self: &Arc<Core>,
        prepared: Box<Prepared>,
        lease: Lease,
        started: Timestamp,
        stop: oneshot::Receiver<Stopped>,
    ) {
        let Prepared { waiting, work, code, policy } = *prepared;
        let is_alone = waiting.crashed > 0;
        self.meters.started(waiting.due, started);
        let trace = self.attempt_context(work.trace_context.as_ref(), waiting.invocation, lease.token);
        let start_ns = trace.as_ref().map_or(0, |_| self.clock.now_ns());
        let (version, runnable, cordon, (report, stopped)) = match code {
            Runs::Code(runnable) => {
                let seed = self.chance.bits64();
                let id = waiting.invocation.to_string();
                let cordon = self.cordon_of(waiting.tenant, runnable.config.runtime).await;
                let attempt = runnable.attempt(id, work.body.clone(), seed, is_alone, trace.as_ref());
                let attempt = Attempt { cordon, ..attempt };
                let ran = self.run_unless_stopped(&runnable, attempt, (waiting.tenant, waiting.function), stop).await;
                (runnable.version, Some(runnable), cordon, ran)
            }
            Runs::Rejected(version, failure) => {
                (version, None, Cordon::Shared, (failed(Outcome::Failed, failure), None))
            }
        };
        let ended = self.clock.now();
        let traced = trace.filter(|context| self.sink_for(Some(context)).is_some());
        let ended_ns = traced.as_ref().map(|context| {
            let spent = Spent { waiting: &waiting, start_ns, version, runnable: runnable.as_deref(), report: &report };
            self.record_attempt(context, work.trace_context.as_ref(), lease.token, &spent)
        });
        self.meters.attempt(&report);
        let next = match &stopped {
            Some(stopped) => stopped.next(ended),
            None => retry::after_attempt(report.outcome, &policy, &waiting, ended, self.chance.bits32()),
        };
        let is_final = !matches!(next, Next::Retry { .. } | Next::PutBack { .. });
        if matches!(next, Next::DeadLetter(_)) {
            self.meters.dead_letters.increment(1);
        }
        let message = matches!(next, Next::DeadLetter(_)).then(|| MessageId::from_raw(self.chance.id(ended)));
        let end = attempt_end(&report, version, started, ended);
        let settle = Settle { lease, end, next, announce: is_final, message };
        self.settle(settle, &waiting, work.depth).await;
        if let Some((context, ended_ns)) = traced.as_ref().zip(ended_ns) {
            self.record_step("settle", context, ended_ns);
        }
        self.suspect(waiting.tenant, &report, is_alone, cordon).await;
        let Waiting { function, invocation, .. } = waiting;
        let ended = Ended { function, version, invocation, alone: is_alone, outcome: report.outcome };
        self.note_end(waiting.tenant, ended).await;
    }

    /// Runs it, waiting for room if there is none. A sandbox that stays broken ends the attempt as `Cancelled`.
    pub(crate) async fn run_in_sandbox(&self, attempt: Attempt) -> Report {
        let mut tries = 0;
        loop {
            let error = match self.sandbox.run(attempt.clone()).await {
                Ok(report) => return report,
                Err(error) => error,
            };
            tries += 1;
            if error != Unavailable::Full {
                tracing::warn!(%error, "the sandbox did not run an attempt");
            }
            let is_stopped = attempt.stop.as_ref().is_some_and(|stop| *stop.borrow());
            if tries >= SANDBOX_TRIES_MAX || error == Unavailable::Draining || is_stopped {
                let failure = Failure {
                    error_type: "Sublet.SandboxUnavailable".to_owned(),
                    error_message: "the attempt could not be run".to_owned(),
                    stack_trace: Vec::new(),
                };
                return failed(Outcome::Cancelled, failure);
            }
            tokio::time::sleep(SANDBOX_AGAIN_AFTER).await;
        }
    }

    /// The wait in the queue and the attempt, which are both of the event's doing. Answers when the attempt ended.
    fn record_attempt(
        &self,
        context: &TraceContext,
        event: Option<&TraceContext>,
        token: u32,
        spent: &Spent<'_>,
    ) -> u64 {
        let end_ns = self.clock.now_ns();
        let Some(sink) = self.sink_for(Some(context)) else { return end_ns };
        let parent = event.map(TraceContext::span_id);
        let waiting = spent.waiting;
        let invocation = ("faas.invocation_id", SpanValue::Text(waiting.invocation.to_string()));
        sink.record(Span {
            name: "dwell",
            kind: SpanKind::Internal,
            context: context.child(numbered(Part::Dwell, waiting.invocation.raw(), token)),
            parent,
            is_parent_remote: false,
            start_ns: nanos(waiting.due).min(spent.start_ns),
            end_ns: spent.start_ns,
            attributes: vec![invocation.clone()],
            error: None,
        });
        let usage = &spent.report.usage;
        let number = |value: u64| SpanValue::Number(i64::try_from(value).unwrap_or(i64::MAX));
        let mut attributes = vec![
            invocation,
            ("faas.version", SpanValue::Number(i64::from(spent.version))),
            ("sublet.event.id", SpanValue::Text(waiting.event.to_string())),
            ("sublet.attempt.number", SpanValue::Number(i64::from(token))),
            ("sublet.outcome", SpanValue::Word(spent.report.outcome.as_str())),
            ("sublet.cpu_us", number(usage.cpu_us)),
            ("sublet.memory_peak_bytes", number(usage.memory_peak_bytes)),
        ];
        if let Some(runnable) = spent.runnable {
            attributes.push(("faas.name", SpanValue::Text(runnable.function_name().to_owned())));
            attributes.push(("sublet.tenant.name", SpanValue::Text(runnable.tenant_name().to_owned())));
        }
        let is_success = spent.report.outcome == Outcome::Succeeded;
        sink.record(Span {
            name: "attempt",
            kind: SpanKind::Consumer,
            context: context.clone(),
            parent,
            is_parent_remote: false,
            start_ns: spent.start_ns,
            end_ns,
            attributes,
            error: (!is_success).then(|| spent.report.outcome.as_str().to_owned()),
        });
        end_ns
    }

    async fn settle(self: &Arc<Core>, settle: Settle, waiting: &Waiting, depth: u8) {
        let (settled, is_repeated) = self.write_settle(&settle).await;
        match settled {
            Ok(settled) => {
                self.tell_settled(&settle, waiting);
                let Some(line) = settled.outbox else { return };
                // The outbox takes the body from the cache when it has named its event.
                self.outbox.announce(line_of(line, settled.attempt, settle, waiting, depth));
            }
            Err(error) => {
                self.meters.settles_refused.increment(1);
                tracing::info!(invocation.id = %waiting.invocation, %error, "an attempt was not recorded");
                if is_repeated {
                    // The answer of an earlier try may have been lost, and its outbox line be there.
                    self.outbox.look();
                }
                self.wait_if_unclaimed(*waiting).await;
            }
        }
    }

    /// A retry tells of itself when it waits again.
    fn tell_settled(&self, settle: &Settle, waiting: &Waiting) {
        let (state, reason) = match settle.next {
            Next::Succeed => (InvocationState::Succeeded, None),
            Next::DeadLetter(reason) => (InvocationState::DeadLettered, Some(reason)),
            Next::Cancel(reason) => (InvocationState::Cancelled, Some(reason)),
            Next::Fail | Next::Retry { .. } | Next::PutBack { .. } => return,
        };
        let (attempt, outcome) = (Some(settle.lease.token), Some(settle.end.outcome));
        self.tell(waiting, state, settle.end.ended, Told { attempt, outcome, reason, due: None });
    }

    /// Settles, as often as it takes; also says whether it took more than once.
    pub(crate) async fn write_settle(&self, settle: &Settle) -> (Result<Settled, Error>, bool) {
        let mut pause = SETTLE_AGAIN_AFTER;
        for turn in 1..=SETTLE_TRIES_MAX {
            match self.store.settle(settle.clone()).await {
                Err(error) if error.retryable() && turn < SETTLE_TRIES_MAX => {
                    tracing::warn!(invocation.id = %settle.lease.invocation, %error, "a settle is tried again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(SETTLE_AGAIN_AFTER_MAX);
                }
                answer => return (answer, turn > 1),
            }
        }
        (Err(Error::unavailable("the attempt could not be recorded")), true)
    }
}

pub(crate) fn failed(outcome: Outcome, failure: Failure) -> Report {
    Report {
        outcome,
        result: None,
        failure: Some(failure),
        log: Bytes::new(),
        usage: Usage::default(),
        fetches: Vec::new(),
        crash: None,
        worker: None,
    }
}

pub(crate) fn attempt_end(report: &Report, version: u32, started: Timestamp, ended: Timestamp) -> AttemptEnd {
    // A failure always has a JSON text: it is three texts.
    let failure = report.failure.as_ref().and_then(|failure| serde_json::to_vec(failure).ok()).map(Bytes::from);
    AttemptEnd {
        started,
        ended,
        version,
        outcome: report.outcome,
        usage: report.usage,
        result: report.result.clone(),
        failure,
        log: report.log.clone(),
        fetches: fetch_log(&report.fetches),
    }
}

/// The outbox line that a settle wrote, so that it need not be read back.
fn line_of(id: i64, attempt: sublet_model::AttemptId, settle: Settle, waiting: &Waiting, depth: u8) -> OutboxLine {
    let (state, reason) = match settle.next {
        Next::Succeed => (InvocationState::Succeeded, None),
        Next::DeadLetter(reason) => (InvocationState::DeadLettered, Some(reason)),
        Next::Cancel(reason) => (InvocationState::Cancelled, Some(reason)),
        Next::Fail => (InvocationState::Failed, None),
        Next::Retry { .. } | Next::PutBack { .. } => (InvocationState::Retrying, None),
    };
    let failed = waiting.failed + u32::from(matches!(settle.next, Next::DeadLetter(_)));
    OutboxLine {
        id,
        invocation: InvocationRecord {
            id: waiting.invocation,
            tenant: waiting.tenant,
            function: waiting.function,
            event: Some(waiting.event),
            state,
            reason,
            due: waiting.due,
            starts: settle.lease.token,
            failed,
            ended: Some(settle.end.ended),
        },
        attempt: Some(AttemptRecord {
            id: attempt,
            invocation: waiting.invocation,
            tenant: waiting.tenant,
            function: waiting.function,
            number: settle.lease.token,
            end: settle.end,
        }),
        depth,
        redrives: waiting.redrives,
    }
}
