//! Functions that keep harming: killing their worker even when they run alone, or running into their limits time after
//! time. Nothing of one starts until another version is live or the operator releases it.
//!
//! What is counted is in memory and begins anew with a restart and with another version; a quarantine is durable.

use std::collections::VecDeque;
use std::sync::Mutex;

use sublet_model::{Error, FunctionId, InvocationId, Name, Outcome, TenantId};
use sublet_store::{Quarantine, QuarantineCause, TenantRecord};

use crate::cache::Cache;
use crate::chance::locked;
use crate::core::Core;
use crate::stream::FunctionChange;

/// Functions whose attempts are counted.
const COUNTED_MAX: usize = 10_000;

/// What earns a quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarantineRule {
    /// Crashes alone, in a row; 0: never.
    pub crashes: u32,
    /// Attempts that went on past their wall or CPU limit; 0: never.
    pub timeouts: u32,
    /// Of so many attempts, one after the other; at most [`QuarantineRule::OF_MAX`].
    pub of: u32,
}

impl QuarantineRule {
    pub const OF_MAX: u32 = 1_000;
}

impl Default for QuarantineRule {
    fn default() -> QuarantineRule {
        QuarantineRule { crashes: 3, timeouts: 20, of: 20 }
    }
}

/// How one attempt of the queue ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) function: FunctionId,
    pub(crate) version: u32,
    pub(crate) invocation: InvocationId,
    pub(crate) alone: bool,
    pub(crate) outcome: Outcome,
}

/// What is remembered of a function that gave a reason to.
#[derive(Debug)]
struct Record {
    version: u32,
    /// Crashes alone since the last other end alone.
    crashes: u32,
    first_crash: InvocationId,
    attempts: u64,
    /// The latest timeouts: the number of the attempt and its invocation.
    timeouts: VecDeque<(u64, InvocationId)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    cause: QuarantineCause,
    count: u32,
    of: u32,
    first: InvocationId,
}

#[derive(Debug)]
pub(crate) struct Conduct {
    rule: QuarantineRule,
    records: Mutex<Cache<FunctionId, Record>>,
}

impl Conduct {
    pub(crate) fn new(rule: QuarantineRule) -> Conduct {
        Conduct { rule, records: Mutex::new(Cache::new(COUNTED_MAX)) }
    }

    pub(crate) fn forget(&self, function: FunctionId) {
        locked(&self.records).remove(&function);
    }

    pub(crate) fn note(&self, ended: Ended) -> Option<Verdict> {
        let Ended { function, version, invocation, alone, outcome } = ended;
        let mut records = locked(&self.records);
        let known = records.remove(&function).filter(|record| record.version == version);
        let is_harm = outcome == Outcome::TimedOut || (alone && outcome == Outcome::Crashed);
        if known.is_none() && !is_harm {
            return None;
        }
        let mut record = known.unwrap_or_else(|| Record {
            version,
            crashes: 0,
            first_crash: invocation,
            attempts: 0,
            timeouts: VecDeque::new(),
        });
        match outcome {
            // Whoever stopped it, it was not the function.
            Outcome::Cancelled => {}
            Outcome::Crashed if alone => {
                record.crashes += 1;
                if record.crashes == 1 {
                    record.first_crash = invocation;
                }
            }
            _ if alone => record.crashes = 0,
            _ => {}
        }
        let verdict = record.timeouts_after(self.rule, outcome, invocation).or_else(|| record.crashes_after(self.rule));
        if verdict.is_none() && (record.crashes > 0 || !record.timeouts.is_empty()) {
            records.insert(function, record, 1);
        }
        verdict
    }
}

impl Record {
    fn timeouts_after(&mut self, rule: QuarantineRule, outcome: Outcome, invocation: InvocationId) -> Option<Verdict> {
        if outcome == Outcome::Cancelled || rule.timeouts == 0 {
            return None;
        }
        self.attempts += 1;
        if outcome == Outcome::TimedOut {
            self.timeouts.push_back((self.attempts, invocation));
        }
        while self.timeouts.front().is_some_and(|(number, _)| number + u64::from(rule.of) <= self.attempts) {
            self.timeouts.pop_front();
        }
        let count = u32::try_from(self.timeouts.len()).unwrap_or(u32::MAX);
        let (_, first) = *self.timeouts.front()?;
        let is_enough = count >= rule.timeouts;
        is_enough.then_some(Verdict { cause: QuarantineCause::Timeouts, count, of: rule.of, first })
    }

    fn crashes_after(&self, rule: QuarantineRule) -> Option<Verdict> {
        let is_enough = rule.crashes > 0 && self.crashes >= rule.crashes;
        let (count, first) = (self.crashes, self.first_crash);
        is_enough.then_some(Verdict { cause: QuarantineCause::Crashes, count, of: count, first })
    }
}

impl Verdict {
    fn reason(&self) -> String {
        match self.cause {
            QuarantineCause::Crashes => format!("its worker process died {} times while it ran alone", self.count),
            QuarantineCause::Timeouts => {
                format!("{} of its last {} attempts went on past their time limit", self.count, self.of)
            }
        }
    }
}

impl Core {
    pub(crate) async fn note_end(&self, tenant: TenantId, ended: Ended) {
        let Some(verdict) = self.conduct.note(ended) else { return };
        let (function, version) = (ended.function, ended.version);
        let (reason, at) = (verdict.reason(), self.clock.now());
        let quarantine = Quarantine {
            reason: reason.clone(),
            cause: verdict.cause,
            count: verdict.count,
            of: verdict.of,
            first: Some(verdict.first),
            last: Some(ended.invocation),
            at,
        };
        match self.directory.quarantine_function(tenant, function, version, quarantine).await {
            Ok(true) => {}
            // It is gone, or another version is live by now.
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(function.id = %function, %error, "the quarantine of {function} was not recorded");
                return;
            }
        }
        tracing::warn!(tenant.id = %tenant, function.id = %function, "function {function} is quarantined: {reason}");
        metrics::counter!("sublet_functions_quarantined_total", "cause" => verdict.cause.as_str()).increment(1);
        self.tell_function(tenant, function, FunctionChange::Quarantined, Some(reason), at).await;
    }

    pub(crate) async fn release_function(&self, tenant: &TenantRecord, name: &Name) -> Result<(), Error> {
        let function = self.function_named(tenant.id, name).await?;
        self.directory.release_function(tenant.id, function).await?;
        self.conduct.forget(function);
        self.tell_function(tenant.id, function, FunctionChange::Released, None, self.clock.now()).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNCTION: FunctionId = FunctionId::from_raw(1);

    fn ended(number: i64, version: u32, alone: bool, outcome: Outcome) -> Ended {
        Ended { function: FUNCTION, version, invocation: InvocationId::from_raw(number), alone, outcome }
    }

    /// Where in the row of ends there is a verdict, and the first invocation that it names.
    fn verdicts(rule: QuarantineRule, ends: impl IntoIterator<Item = (u32, bool, Outcome)>) -> Vec<(i64, i64)> {
        let conduct = Conduct::new(rule);
        let mut found = Vec::new();
        for (number, (version, alone, outcome)) in (1..).zip(ends) {
            if let Some(verdict) = conduct.note(ended(number, version, alone, outcome)) {
                found.push((number, verdict.first.raw()));
            }
        }
        found
    }

    #[test]
    fn three_crashes_in_a_row_quarantine_and_anything_else_begins_anew() {
        use Outcome::{Cancelled, Crashed, Failed};
        let ends = [Crashed, Crashed, Failed, Crashed, Cancelled, Crashed, Crashed, Crashed];
        let alone = ends.map(|outcome| (1, true, outcome));
        assert_eq!(verdicts(QuarantineRule::default(), alone), [(7, 4)]);
        let shared = ends.map(|outcome| (1, false, outcome));
        assert_eq!(verdicts(QuarantineRule::default(), shared), [], "another's crash may have ended it");
        let never = QuarantineRule { crashes: 0, ..QuarantineRule::default() };
        assert_eq!(verdicts(never, alone), []);
    }

    #[test]
    fn so_many_timeouts_of_the_last_attempts_quarantine() {
        use Outcome::{Cancelled, Succeeded, TimedOut};
        let of = |timeouts, of, ends: &[Outcome]| {
            let rule = QuarantineRule { timeouts, of, ..QuarantineRule::default() };
            verdicts(rule, ends.iter().map(|outcome| (1, false, *outcome)))
        };
        let in_a_row = [TimedOut, TimedOut, Succeeded, TimedOut, TimedOut, Cancelled, TimedOut];
        assert_eq!(of(3, 3, &in_a_row), [(7, 4)]);
        assert_eq!(of(3, 5, &in_a_row), [(4, 1)]);
        assert_eq!(of(0, 5, &in_a_row), []);
        let rare = [TimedOut, Succeeded, Succeeded, TimedOut, Succeeded, Succeeded, TimedOut];
        assert_eq!(of(3, 6, &rare), []);
        assert_eq!(of(3, 7, &rare), [(7, 1)]);
    }

    #[test]
    fn another_version_begins_anew() {
        use Outcome::TimedOut;
        let rule = QuarantineRule { timeouts: 2, of: 2, ..QuarantineRule::default() };
        let ends = [(1, false, TimedOut), (2, false, TimedOut), (1, false, TimedOut), (1, false, TimedOut)];
        assert_eq!(verdicts(rule, ends), [(4, 3)]);
    }
}
