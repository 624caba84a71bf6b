//! What becomes of an invocation after an attempt: a pure decision of outcome, policy, counts, age and chance.

use std::time::Duration;

use sublet_model::{EndReason, Outcome, RetryPolicy, Timestamp, limit};
use sublet_store::{Next, Waiting};

/// After a worker's death: soon, but not so soon that a dying sandbox is run into at full speed.
const CRASH_BACKOFF: Duration = Duration::from_millis(100);

/// Target, then function, then the default.
pub(crate) fn policy_of(target: Option<&RetryPolicy>, function: Option<&RetryPolicy>) -> RetryPolicy {
    target.or(function).cloned().unwrap_or_default()
}

/// Whether an invocation whose turn has come is too old to be started.
///
/// A redriven or rescued one (started before, nothing counted against it) is let through: its age is from when it was
/// published, and whoever asked for it again knows how old it is.
pub(crate) fn is_too_old(policy: &RetryPolicy, waiting: &Waiting, now: Timestamp) -> bool {
    let was_asked_for_again = waiting.starts > 0 && waiting.failed == 0;
    !was_asked_for_again && now.since(waiting.invocation.minted_at()) > policy.age.0
}

/// `waiting` is the invocation as it was when the attempt started; `random` any 32 uniform bits.
pub(crate) fn after_attempt(
    outcome: Outcome,
    policy: &RetryPolicy,
    waiting: &Waiting,
    now: Timestamp,
    random: u32,
) -> Next {
    match outcome {
        Outcome::Succeeded => Next::Succeed,
        // A worker's death spends no retry; the store counts it as crashed.
        Outcome::Crashed | Outcome::Cancelled if waiting.crashed + 1 >= limit::STARTS_WITHOUT_SETTLE_MAX => {
            Next::DeadLetter(EndReason::NeverSettled)
        }
        Outcome::Crashed | Outcome::Cancelled => Next::Retry { due: now + CRASH_BACKOFF, spent: false },
        Outcome::Failed | Outcome::TimedOut | Outcome::OutOfMemory => {
            let failed = waiting.failed + 1;
            if failed >= policy.attempts {
                return Next::DeadLetter(EndReason::AttemptsExhausted);
            }
            let due = now + policy.delay(failed, random);
            if due.since(waiting.invocation.minted_at()) > policy.age.0 {
                return Next::DeadLetter(EndReason::TooOld);
            }
            Next::Retry { due, spent: true }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sublet_model::{EventId, FunctionId, IdMint, InvocationId, Millis, TenantId};

    const BORN: Timestamp = Timestamp::from_millis(1_769_851_800_000);

    fn waiting(failed: u32, starts: u32, crashed: u32) -> Waiting {
        Waiting {
            invocation: InvocationId::from_raw(IdMint::new(0, 0).next(BORN)),
            tenant: TenantId::from_raw(1),
            function: FunctionId::from_raw(1),
            event: EventId::from_raw(1),
            due: BORN,
            failed,
            starts,
            crashed,
            redrives: 0,
        }
    }

    fn policy() -> RetryPolicy {
        RetryPolicy { attempts: 3, age: Millis(60_000), backoff: Millis(1_000), backoff_max: Millis(10_000) }
    }

    #[test]
    fn the_table_of_what_follows_an_attempt() {
        let now = BORN + Duration::from_secs(1);
        let retry = |millis| Next::Retry { due: now + Duration::from_millis(millis), spent: true };
        let crash = Next::Retry { due: now + CRASH_BACKOFF, spent: false };
        let dead = Next::DeadLetter;
        let cases = [
            (Outcome::Succeeded, waiting(2, 3, 0), now, Next::Succeed),
            (Outcome::Failed, waiting(0, 0, 0), now, retry(500)),
            (Outcome::TimedOut, waiting(1, 1, 0), now, retry(1_000)),
            (Outcome::OutOfMemory, waiting(2, 2, 0), now, dead(EndReason::AttemptsExhausted)),
            (Outcome::Crashed, waiting(2, 2, 0), now, crash),
            (Outcome::Crashed, waiting(0, 4, 4), now, dead(EndReason::NeverSettled)),
            (Outcome::Cancelled, waiting(2, 2, 0), now, crash),
            (Outcome::Failed, waiting(0, 0, 0), BORN + Duration::from_millis(59_600), dead(EndReason::TooOld)),
        ];
        for (outcome, waiting, at, expected) in cases {
            assert_eq!(after_attempt(outcome, &policy(), &waiting, at, 0), expected, "{outcome} {waiting:?}");
        }
    }

    #[test]
    fn the_targets_policy_goes_before_the_functions_and_both_before_the_default() {
        let (target, function) = (policy(), RetryPolicy { attempts: 9, ..policy() });
        assert_eq!(policy_of(Some(&target), Some(&function)).attempts, 3);
        assert_eq!(policy_of(None, Some(&function)).attempts, 9);
        assert_eq!(policy_of(None, None), RetryPolicy::default());
    }

    #[test]
    fn the_old_expire_at_their_turn_unless_they_were_asked_for_again() {
        let late = BORN + Duration::from_secs(61);
        assert!(!is_too_old(&policy(), &waiting(0, 0, 0), BORN + Duration::from_secs(60)));
        assert!(is_too_old(&policy(), &waiting(0, 0, 0), late));
        assert!(is_too_old(&policy(), &waiting(1, 1, 0), late));
        assert!(!is_too_old(&policy(), &waiting(0, 3, 0), late), "redriven");
    }
}
