//! From a grant to what is to be run: function, live version, body, policy, image. In the common case all of it is at
//! hand and nothing is waited for.

use std::sync::Arc;

use sublet_model::{EndReason, Error, InvocationState, RetryPolicy, Timestamp, limit};
use sublet_sandbox::Failure;
use sublet_store::{FunctionRecord, Waiting, Work};

use crate::core::Core;
use crate::queue::TRY_AGAIN_AFTER;
use crate::retry;
use crate::runnable::{NotRunnable, Runnable};

/// What is to be done with a granted invocation.
pub(crate) enum Preparation {
    Start(Box<Prepared>),
    /// It ends without an attempt.
    End(InvocationState, EndReason),
    /// Its function is stopped: it waits on.
    SetAside,
    /// Something has to be read first.
    Load,
}

pub(crate) struct Prepared {
    pub(crate) waiting: Waiting,
    pub(crate) work: Work,
    pub(crate) code: Runs,
    pub(crate) policy: RetryPolicy,
}

pub(crate) enum Runs {
    Code(Arc<Runnable>),
    /// It does not build any more; that is how the attempt ends.
    Rejected(u32, Failure),
}

/// Looks at a function whose turn has come: the live version to run, or what becomes of the invocation.
fn live_of(function: Option<&FunctionRecord>) -> Result<u32, Preparation> {
    let dead = |reason| Preparation::End(InvocationState::DeadLettered, reason);
    let record = function.ok_or(dead(EndReason::NoFunction))?;
    if record.stopped.is_some() {
        return Err(Preparation::SetAside);
    }
    if record.quarantined.is_some() {
        return Err(dead(EndReason::Quarantined));
    }
    record.live.ok_or(dead(EndReason::NoFunction))
}

impl Core {
    /// As far as can be told without waiting.
    pub(crate) fn prepare_at_hand(&self, waiting: &Waiting, now: Timestamp) -> Preparation {
        if waiting.crashed >= limit::STARTS_WITHOUT_SETTLE_MAX {
            return Preparation::End(InvocationState::DeadLettered, EndReason::NeverSettled);
        }
        let Some(function) = self.directory.function_by_id_if_held(waiting.tenant, waiting.function) else {
            return Preparation::Load;
        };
        let version = match live_of(Some(&function)) {
            Ok(version) => version,
            Err(other) => return other,
        };
        let Some(runnable) = self.runnables.if_held(waiting.function, version) else { return Preparation::Load };
        let Some(work) = self.bodies.get(&waiting.invocation) else { return Preparation::Load };
        let policy = retry::policy_of(work.retry.as_ref(), runnable.config.retry.as_ref());
        if retry::is_too_old(&policy, waiting, now) {
            return Preparation::End(InvocationState::Expired, EndReason::TooOld);
        }
        Preparation::Start(Box::new(Prepared { waiting: *waiting, work, code: Runs::Code(runnable), policy }))
    }

    /// The same, reading what is not at hand. `None`: it does not wait any more.
    async fn prepare(&self, waiting: &Waiting) -> Result<Option<Preparation>, Error> {
        let Some(tenant) = self.directory.tenant_by_id(waiting.tenant).await? else { return Ok(None) };
        let function = self.directory.function_by_id(waiting.tenant, waiting.function).await?;
        let version = match live_of(function.as_deref()) {
            Ok(version) => version,
            Err(other) => return Ok(Some(other)),
        };
        let Some(function) = function else { return Ok(None) };
        let work = match self.bodies.get(&waiting.invocation) {
            Some(held) => held,
            None => match self.store.work(waiting.tenant, waiting.invocation).await? {
                Some(read) => read,
                None => return Ok(None),
            },
        };
        let config = match self.directory.version(tenant.id, function.id, version).await? {
            Some(record) => record.config.retry.clone(),
            None => None,
        };
        let policy = retry::policy_of(work.retry.as_ref(), config.as_ref());
        if retry::is_too_old(&policy, waiting, self.clock.now()) {
            return Ok(Some(Preparation::End(InvocationState::Expired, EndReason::TooOld)));
        }
        let code = match self.runnable(&tenant, &function, version).await {
            Ok(runnable) => Runs::Code(runnable),
            Err(NotRunnable::Rejected(failure)) => Runs::Rejected(version, failure),
            Err(NotRunnable::Gone) => {
                return Ok(Some(Preparation::End(InvocationState::DeadLettered, EndReason::NoFunction)));
            }
            Err(NotRunnable::Error(error)) => return Err(error),
        };
        Ok(Some(Preparation::Start(Box::new(Prepared { waiting: *waiting, work, code, policy }))))
    }

    pub(crate) async fn load_and_start(self: Arc<Core>, waiting: Waiting) {
        // Gives the slot back should this end in any other way than by an attempt.
        let granted = Granted { core: Arc::clone(&self), waiting: Some(waiting) };
        let prepared = match self.prepare(&waiting).await {
            Ok(Some(Preparation::Start(prepared))) => prepared,
            Ok(Some(Preparation::End(state, reason))) => {
                let Some(epoch) = self.epoch_of(waiting.tenant) else { return };
                granted.taken_over();
                return self.end_unstarted(waiting, epoch, state, reason).await;
            }
            Ok(Some(Preparation::SetAside)) => {
                granted.taken_over();
                return self.set_aside(waiting).await;
            }
            Ok(Some(Preparation::Load) | None) => return,
            Err(error) => {
                tracing::warn!(invocation.id = %waiting.invocation, %error, "{} waits on", waiting.invocation);
                granted.taken_over();
                return self.wait_again(waiting);
            }
        };
        let now = self.clock.now();
        let Some(claim) = self.claim_of(&waiting, now) else { return };
        granted.taken_over();
        let answer = self.store.claim(vec![claim]);
        self.run(prepared, claim);
        let answers = answer.await.ok();
        self.claimed(&[(claim.lease, waiting)], answers);
    }

    /// Gives the slot back and lets it wait again, for a little later. Nothing was written.
    pub(crate) fn wait_again(self: &Arc<Core>, waiting: Waiting) {
        self.queues.freed(|scheduler| scheduler.not_started(&waiting));
        self.arrive_later(waiting, TRY_AGAIN_AFTER);
    }
}

/// A granted invocation on its way to an attempt.
struct Granted {
    core: Arc<Core>,
    waiting: Option<Waiting>,
}

impl Granted {
    /// Somebody else sees to the slot from here.
    fn taken_over(mut self) {
        self.waiting = None;
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            self.core.queues.freed(|scheduler| scheduler.not_started(waiting));
        }
    }
}
