//! The leases of what runs here: extended at a third of their length, and an attempt whose lease is another's by now is
//! cancelled, because nothing it does will be recorded.

use std::collections::BTreeMap;
use std::sync::Mutex;

use sublet_model::{ErrorKind, FunctionId, InvocationId, TenantId, Timestamp};
use sublet_store::Lease;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::chance::locked;
use crate::core::Core;
use crate::stop::Stopped;

/// Heartbeats per lease: two may fail before it ends.
const BEATS_PER_LEASE: u32 = 3;

#[derive(Debug, Default)]
pub(crate) struct Leases {
    /// Ordered, so that a simulation repeats itself. As many as there are slots.
    held: Mutex<BTreeMap<InvocationId, Held>>,
}

#[derive(Debug)]
struct Held {
    lease: Lease,
    until: Timestamp,
    function: FunctionId,
    stop: Option<oneshot::Sender<Stopped>>,
    task: Option<AbortHandle>,
}

impl Leases {
    /// What runs under it hears by the receiver that it was stopped.
    pub(crate) fn hold(&self, lease: Lease, until: Timestamp, function: FunctionId) -> oneshot::Receiver<Stopped> {
        let (stop, stopped) = oneshot::channel();
        locked(&self.held).insert(lease.invocation, Held { lease, until, function, stop: Some(stop), task: None });
        stopped
    }

    /// Tells what runs of a tenant, or of one function, that it was stopped. Answers how many were told.
    pub(crate) fn stop(&self, tenant: TenantId, function: Option<FunctionId>, stopped: &Stopped) -> usize {
        let mut count = 0;
        for held in locked(&self.held).values_mut() {
            let is_meant = held.lease.tenant == tenant && function.is_none_or(|function| held.function == function);
            if is_meant && held.stop.take().is_some_and(|stop| stop.send(stopped.clone()).is_ok()) {
                count += 1;
            }
        }
        count
    }

    /// The task that is to end when the lease does.
    pub(crate) fn bind(&self, lease: &Lease, task: AbortHandle) {
        if let Some(held) = locked(&self.held).get_mut(&lease.invocation)
            && held.lease == *lease
        {
            held.task = Some(task);
        }
    }

    pub(crate) fn let_go(&self, lease: &Lease) {
        let mut all = locked(&self.held);
        // A later start of the same invocation may be held by now.
        if all.get(&lease.invocation).is_some_and(|held| held.lease == *lease) {
            all.remove(&lease.invocation);
        }
    }

    /// The lease is not ours: what runs under it stops.
    pub(crate) fn revoke(&self, lease: &Lease) {
        let mut all = locked(&self.held);
        if all.get(&lease.invocation).is_some_and(|held| held.lease == *lease)
            && let Some(Held { task: Some(task), .. }) = all.remove(&lease.invocation)
        {
            task.abort();
        }
    }

    fn ending_before(&self, moment: Timestamp) -> Vec<Lease> {
        locked(&self.held).values().filter(|held| held.until < moment).map(|held| held.lease).collect()
    }

    fn extended(&self, lease: &Lease, until: Timestamp) {
        if let Some(held) = locked(&self.held).get_mut(&lease.invocation)
            && held.lease == *lease
        {
            held.until = until;
        }
    }
}

impl Core {
    /// Runs for the life of the engine.
    pub(crate) async fn keep_leases(&self) {
        let beat = self.config.lease / BEATS_PER_LEASE;
        loop {
            tokio::time::sleep(beat).await;
            let now = self.clock.now();
            // Everything that would not live to see two more beats.
            let leases = self.leases.ending_before(now + beat * (BEATS_PER_LEASE - 1));
            if leases.is_empty() {
                continue;
            }
            let until = now + self.config.lease;
            match self.store.extend(leases.clone(), until).await {
                Ok(answers) => {
                    for (lease, answer) in leases.iter().zip(answers) {
                        match answer {
                            Ok(()) => self.leases.extended(lease, until),
                            Err(error) if error.kind == ErrorKind::Fenced => {
                                tracing::warn!(invocation.id = %lease.invocation, "{} was fenced", lease.invocation);
                                self.leases.revoke(lease);
                            }
                            Err(error) => tracing::warn!(%error, "the lease of {} was not extended", lease.invocation),
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "leases were not extended; the next beat tries again"),
            }
        }
    }
}
