//! What waits although its turn came: its function is stopped. It is set aside, function by function, so that it costs no
//! turn more, and counts as waiting until the stop is lifted.

use std::collections::HashMap;

use sublet_model::{FunctionId, TenantId, Timestamp};
use sublet_store::Waiting;

use super::{Scheduler, Tenant};

#[derive(Debug, Default)]
pub(super) struct Parked(HashMap<FunctionId, Vec<Waiting>>);

impl Parked {
    /// `false`: nothing of this function is parked, and the arrival takes its turn.
    pub(super) fn join(&mut self, waiting: Waiting) -> bool {
        match self.0.get_mut(&waiting.function) {
            Some(line) => {
                line.push(waiting);
                true
            }
            None => false,
        }
    }

    pub(super) fn of_tenant(&self, tenant: TenantId) -> impl Iterator<Item = &Waiting> {
        self.0.values().flatten().filter(move |waiting| waiting.tenant == tenant)
    }

    pub(super) fn forget(&mut self, tenant: TenantId) {
        self.0.retain(|_, line| line.first().is_some_and(|waiting| waiting.tenant != tenant));
    }

    /// Answers how many left.
    pub(super) fn withdraw(&mut self, tenant: TenantId, is_gone: impl Fn(&Waiting) -> bool) -> u64 {
        let mut gone = 0;
        for line in self.0.values_mut() {
            if line.first().is_some_and(|waiting| waiting.tenant == tenant) {
                let before = line.len();
                line.retain(|waiting| !is_gone(waiting));
                gone += (before - line.len()) as u64;
            }
        }
        self.0.retain(|_, line| !line.is_empty());
        gone
    }
}

impl Scheduler {
    /// Sets aside what was granted and may not start, and whatever is ready of its function with it.
    pub fn park(&mut self, waiting: Waiting) {
        let line = self.parked.0.entry(waiting.function).or_default();
        line.push(waiting);
        self.waiting += 1;
        if let Some(entry) = self.tenants.get_mut(&waiting.tenant) {
            let is_stopped = |ready: &Waiting| ready.function == waiting.function;
            let before = entry.ready.len();
            line.extend(entry.ready.iter().filter(|ready| is_stopped(ready)));
            entry.ready.retain(|ready| !is_stopped(ready));
            entry.parked += 1 + (before - entry.ready.len()) as u64;
        }
        self.not_started(&waiting);
    }

    /// The function may start again, or is gone: what was set aside of it takes its turn.
    pub fn unpark(&mut self, function: FunctionId, now: Timestamp) {
        for waiting in self.parked.0.remove(&function).unwrap_or_default() {
            self.waiting -= 1;
            let Some(entry) = self.tenants.get_mut(&waiting.tenant) else { continue };
            entry.parked -= 1;
            let share = entry.share;
            self.arrive(waiting, share, now);
        }
    }

    /// The functions of which something is set aside. In order, so that a simulation repeats itself.
    pub fn parked_functions(&self) -> Vec<FunctionId> {
        let mut ids: Vec<FunctionId> = self.parked.0.keys().copied().collect();
        ids.sort_unstable();
        ids
    }
}

impl Tenant {
    /// Of what waits, what is not due or set aside.
    pub(super) fn not_ready(&self) -> u64 {
        self.delayed + self.parked
    }
}
