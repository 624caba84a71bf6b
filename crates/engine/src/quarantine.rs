//! Functions that kill their worker even when they run alone: after three such crashes in a row nothing of them starts
//! until a new version is made live or the operator lifts it.

use std::sync::Mutex;

use sublet_model::{FunctionId, Outcome, TenantId};

use crate::cache::Cache;
use crate::chance::locked;
use crate::core::Core;

/// Crashes alone, in a row, that quarantine a function.
pub(crate) const CRASHES_ALONE_MAX: u32 = 3;
/// Functions whose crashes are counted; a restart begins anew.
const COUNTED_MAX: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Crashes(Mutex<Cache<FunctionId, u32>>);

impl Crashes {
    pub(crate) fn new() -> Crashes {
        Crashes(Mutex::new(Cache::new(COUNTED_MAX)))
    }

    /// Notes how an attempt that ran alone ended; `true` when that makes a quarantine.
    pub(crate) fn note(&self, function: FunctionId, outcome: Outcome) -> bool {
        let mut counts = locked(&self.0);
        if outcome != Outcome::Crashed {
            counts.remove(&function);
            return false;
        }
        let count = counts.get(&function).copied().unwrap_or(0) + 1;
        if count >= CRASHES_ALONE_MAX {
            counts.remove(&function);
            return true;
        }
        counts.insert(function, count, 1);
        false
    }
}

impl Core {
    pub(crate) async fn note_alone(&self, tenant: TenantId, function: FunctionId, outcome: Outcome) {
        if !self.crashes.note(function, outcome) {
            return;
        }
        let reason = format!("its worker process died {CRASHES_ALONE_MAX} times while it ran alone");
        tracing::warn!(tenant.id = %tenant, function.id = %function, "function {function} is quarantined: {reason}");
        metrics::counter!("sublet_functions_quarantined_total").increment(1);
        if let Err(error) = self.directory.quarantine_function(tenant, function, Some(reason)).await {
            tracing::warn!(function.id = %function, %error, "the quarantine of {function} was not recorded");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_crashes_in_a_row_quarantine_and_anything_else_begins_anew() {
        let crashes = Crashes::new();
        let function = FunctionId::from_raw(1);
        let noted = [
            Outcome::Crashed,
            Outcome::Crashed,
            Outcome::Failed,
            Outcome::Crashed,
            Outcome::Crashed,
            Outcome::Crashed,
            Outcome::Crashed,
        ]
        .map(|outcome| crashes.note(function, outcome));
        assert_eq!(noted, [false, false, false, false, false, true, false]);
    }
}
