//! Whose code looks hostile is moved to worker processes of its own, by itself and with the reason; the operator takes it
//! back by saying where the tenant belongs.
//!
//! Who is to blame for the death of a shared process is not known: everybody who had attempts there gets one mark, however
//! many they were. Their retries run alone: when each of them did no harm the mark is taken away, and one that harms
//! brings a heavier one.

use std::sync::Mutex;
use std::time::Duration;

use sublet_model::{Isolation, Outcome, Runtime, TenantId, Timestamp};
use sublet_sandbox::{Cordon, Crash, Report};

use crate::cache::Cache;
use crate::chance::locked;
use crate::core::Core;

/// Marks older than this count no more.
const WINDOW: Duration = Duration::from_secs(600);
/// The weight of marks, together, that moves a tenant.
const WEIGHT_MAX: u32 = 5;
/// Marks of one tenant; the oldest leave first.
const MARKS_MAX: usize = 16;
/// Tenants whose marks are kept; a restart begins anew.
const TENANTS_MAX: usize = 10_000;

/// What the end of an attempt says about its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    crash: Crash,
    /// Nobody else's attempt was in that process.
    is_own: bool,
}

impl Mark {
    const fn weight(self) -> u32 {
        match (self.crash, self.is_own) {
            (Crash::Trap, _) | (Crash::Death, false) => 1,
            (Crash::ForbiddenCall | Crash::Breach, false) => 2,
            (Crash::Death, true) => 3,
            // Our own code does neither.
            (Crash::ForbiddenCall | Crash::Breach, true) => WEIGHT_MAX,
        }
    }
}

/// A mark as it is kept.
#[derive(Debug, Clone, Copy)]
struct Noted {
    mark: Mark,
    at: Timestamp,
    /// The process, where it is known.
    worker: Option<u32>,
    /// Attempts that it stands for and that have not run alone since.
    attempts: u32,
}

impl Noted {
    fn is_recent(&self, now: Timestamp) -> bool {
        now.since(self.at) <= u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether it is of the end of the same process. What an environment does in a process that lives on stands for
    /// itself; and beyond the window the number is another process's.
    fn is_same_end(&self, mark: Mark, worker: Option<u32>, now: Timestamp) -> bool {
        let is_known = worker.is_some() && self.worker == worker;
        let is_end = self.mark.crash != Crash::Trap && mark.crash != Crash::Trap;
        is_known && is_end && self.is_recent(now)
    }
}

/// Whether marks are enough to move their tenant, and why. Those before `now - WINDOW` do not count.
fn verdict(marks: &[Noted], now: Timestamp) -> Option<String> {
    let recent: Vec<Mark> = marks.iter().filter(|noted| noted.is_recent(now)).map(|noted| noted.mark).collect();
    if recent.iter().map(|mark| mark.weight()).sum::<u32>() < WEIGHT_MAX {
        return None;
    }
    let kinds = [
        (Crash::ForbiddenCall, "processes killed for a forbidden system call"),
        (Crash::Breach, "processes that broke the protocol"),
        (Crash::Death, "processes that died"),
        (Crash::Trap, "environments that broke off"),
    ];
    let told: Vec<String> = kinds
        .into_iter()
        .filter_map(|(crash, words)| {
            let count = recent.iter().filter(|mark| mark.crash == crash).count();
            (count > 0).then(|| format!("{words}: {count}"))
        })
        .collect();
    Some(format!("within {} minutes, while its code ran: {}", WINDOW.as_secs() / 60, told.join(", ")))
}

#[derive(Debug)]
pub(crate) struct Suspicions(Mutex<Cache<TenantId, Vec<Noted>>>);

impl Suspicions {
    pub(crate) fn new() -> Suspicions {
        Suspicions(Mutex::new(Cache::new(TENANTS_MAX)))
    }

    /// Notes a mark, unless the end of its process is noted already; the reason when that makes the tenant move.
    fn note(&self, tenant: TenantId, mark: Mark, worker: Option<u32>, now: Timestamp) -> Option<String> {
        let mut held = locked(&self.0);
        let mut marks = held.remove(&tenant).unwrap_or_default();
        if let Some(known) = marks.iter().position(|noted| noted.is_same_end(mark, worker, now)) {
            marks[known].attempts += 1;
            held.insert(tenant, marks, 1);
            return None;
        }
        if marks.len() >= MARKS_MAX {
            marks.remove(0);
        }
        marks.push(Noted { mark, at: now, worker, attempts: 1 });
        let reason = verdict(&marks, now);
        if reason.is_none() {
            held.insert(tenant, marks, 1);
        }
        reason
    }

    /// An attempt that was with others when their process ended has run alone since, and did no harm.
    fn acquit(&self, tenant: TenantId) {
        let mut held = locked(&self.0);
        let Some(mut marks) = held.remove(&tenant) else { return };
        let is_shared_end = |noted: &Noted| !noted.mark.is_own && noted.mark.crash != Crash::Trap;
        if let Some(last) = marks.iter().rposition(is_shared_end) {
            marks[last].attempts -= 1;
            if marks[last].attempts == 0 {
                marks.remove(last);
            }
        }
        if !marks.is_empty() {
            held.insert(tenant, marks, 1);
        }
    }
}

impl Core {
    /// In whose worker processes an attempt runs. Machine code of a tenant's never runs beside anybody else.
    pub(crate) async fn cordon_of(&self, tenant: TenantId, runtime: Runtime) -> Cordon {
        let record = match self.directory.tenant_by_id_if_held(tenant) {
            Some(held) => Some(held),
            None => self.directory.tenant_by_id(tenant).await.ok().flatten(),
        };
        // A tenant of whom nothing can be found out is nobody to share with.
        let shares = record.is_some_and(|record| record.spec.isolation_or(self.config.isolation) == Isolation::Shared);
        if shares && !runtime.needs_own_process() { Cordon::Shared } else { Cordon::Tenant(tenant) }
    }

    /// Draws what can be drawn from the end of an attempt. `is_own`: its process ran nobody else's.
    pub(crate) async fn suspect(&self, tenant: TenantId, report: &Report, is_alone: bool, cordon: Cordon) {
        let Some(crash) = report.crash else {
            if is_alone && report.outcome == Outcome::Succeeded {
                self.suspicions.acquit(tenant);
            }
            return;
        };
        let mark = Mark { crash, is_own: is_alone || cordon != Cordon::Shared };
        let Some(reason) = self.suspicions.note(tenant, mark, report.worker, self.clock.now()) else { return };
        match self.directory.suspect_tenant(tenant, &reason, self.config.isolation).await {
            Ok(true) => {
                metrics::counter!("sublet_tenants_moved_total").increment(1);
                tracing::warn!(tenant.id = %tenant, "tenant {tenant} is moved to worker processes of its own: {reason}");
            }
            // It has processes of its own already, or is gone.
            Ok(false) => {}
            Err(error) => tracing::warn!(tenant.id = %tenant, %error, "{tenant} was not moved to processes of its own"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId::from_raw(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    fn moved(marks: &[(Crash, bool)]) -> Option<usize> {
        let suspicions = Suspicions::new();
        (0..).zip(marks).find_map(|(index, &(crash, is_own))| {
            let noted = suspicions.note(TENANT, Mark { crash, is_own }, None, at(index));
            noted.is_some().then(|| usize::try_from(index).unwrap() + 1)
        })
    }

    #[test]
    fn what_only_hostile_code_does_moves_at_once_and_what_may_be_another_tenants_fault_does_not() {
        assert_eq!(moved(&[(Crash::ForbiddenCall, true)]), Some(1));
        assert_eq!(moved(&[(Crash::Breach, true)]), Some(1));
        assert_eq!(moved(&[(Crash::ForbiddenCall, false); 2]), None);
        assert_eq!(moved(&[(Crash::ForbiddenCall, false), (Crash::ForbiddenCall, true)]), Some(2));
        assert_eq!(moved(&[(Crash::Death, false); 4]), None);
        assert_eq!(moved(&[(Crash::Death, true); 2]), Some(2));
        assert_eq!(moved(&[(Crash::Trap, false); 10]), Some(5));
    }

    #[test]
    fn the_end_of_a_process_is_one_mark_however_many_attempts_were_in_it() {
        let suspicions = Suspicions::new();
        let shared = Mark { crash: Crash::ForbiddenCall, is_own: false };
        let note = |worker, second| suspicions.note(TENANT, shared, Some(worker), at(second));
        for round in 0..10 {
            assert_eq!(note(7, round), None, "attempt {round}");
        }
        assert_eq!(note(8, 20), None);
        let reason = note(9, 30).unwrap();
        assert!(reason.contains("forbidden system call: 3"), "{reason}");

        // Nine of ten have run alone: the tenth may still be to blame.
        for round in 0..10 {
            assert_eq!(note(7, 100 + round), None);
        }
        for _ in 0..9 {
            suspicions.acquit(TENANT);
        }
        assert_eq!(note(8, 120), None);
        assert!(note(9, 130).is_some());
        // The number of a process of long ago is another's.
        assert_eq!(note(7, 1_000), None);
        assert_eq!(note(7, 1_700), None);
        assert_eq!(note(8, 1_700), None);
        assert!(note(9, 1_700).is_some());
        let trap = Mark { crash: Crash::Trap, is_own: false };
        let traps = (0..5).map(|round| suspicions.note(TENANT, trap, Some(7), at(2_000 + round)));
        assert_eq!(traps.filter(Option::is_some).count(), 1, "each environment that breaks off is its own doing");
    }

    #[test]
    fn a_mark_ends_with_the_window_and_with_an_attempt_alone_that_does_no_harm() {
        let suspicions = Suspicions::new();
        let shared = Mark { crash: Crash::ForbiddenCall, is_own: false };
        for round in 0..20 {
            assert_eq!(suspicions.note(TENANT, shared, None, at(round * 400)), None, "round {round}");
        }
        for round in 0..20 {
            assert_eq!(suspicions.note(TENANT, shared, None, at(100_000 + round)), None, "round {round}");
            suspicions.acquit(TENANT);
        }
    }

    #[test]
    fn the_reason_counts_what_happened() {
        let own = |crash| Mark { crash, is_own: true };
        let suspicions = Suspicions::new();
        assert_eq!(suspicions.note(TENANT, own(Crash::Death), None, at(1)), None);
        let reason = suspicions.note(TENANT, own(Crash::Death), None, at(2)).unwrap();
        assert_eq!(reason, "within 10 minutes, while its code ran: processes that died: 2");
        assert_eq!(suspicions.note(TENANT, own(Crash::Death), None, at(3)), None, "counting begins anew");
    }
}
