//! The invocation's life, coded once; docs/invocation-states.md draws it, and a test holds the two together.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How one attempt ended. Tenant code failing is an outcome, not an error of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    Succeeded,
    /// The handler threw, or returned what is not JSON, or too much of it.
    Failed,
    /// The wall deadline or the CPU limit.
    TimedOut,
    OutOfMemory,
    /// The environment or its worker process ended under it.
    Crashed,
    Cancelled,
}

impl Outcome {
    pub const ALL: [Outcome; 6] = [
        Outcome::Succeeded,
        Outcome::Failed,
        Outcome::TimedOut,
        Outcome::OutOfMemory,
        Outcome::Crashed,
        Outcome::Cancelled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Succeeded => "Succeeded",
            Outcome::Failed => "Failed",
            Outcome::TimedOut => "TimedOut",
            Outcome::OutOfMemory => "OutOfMemory",
            Outcome::Crashed => "Crashed",
            Outcome::Cancelled => "Cancelled",
        }
    }

    /// The number stored in rows; never renumber.
    pub const fn code(self) -> u8 {
        match self {
            Outcome::Succeeded => 0,
            Outcome::Failed => 1,
            Outcome::TimedOut => 2,
            Outcome::OutOfMemory => 3,
            Outcome::Crashed => 4,
            Outcome::Cancelled => 5,
        }
    }

    pub fn from_code(code: u8) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.code() == code)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `Queued` covers both waiting for the first attempt and waiting for a retry that is due; `Retrying` waits for its
/// due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InvocationState {
    Queued,
    Running,
    Retrying,
    Succeeded,
    DeadLettered,
    Expired,
    Cancelled,
    /// A synchronous invoke that did not succeed: its caller has the answer, so it is neither retried nor a dead letter.
    Failed,
}

impl InvocationState {
    pub const ALL: [InvocationState; 8] = [
        InvocationState::Queued,
        InvocationState::Running,
        InvocationState::Retrying,
        InvocationState::Succeeded,
        InvocationState::DeadLettered,
        InvocationState::Expired,
        InvocationState::Cancelled,
        InvocationState::Failed,
    ];

    /// Counted as waiting in the conservation equation.
    pub const fn is_waiting(self) -> bool {
        matches!(self, InvocationState::Queued | InvocationState::Retrying)
    }

    /// Nothing but a redrive moves it on.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            InvocationState::Succeeded
                | InvocationState::DeadLettered
                | InvocationState::Expired
                | InvocationState::Cancelled
                | InvocationState::Failed
        )
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            InvocationState::Queued => "Queued",
            InvocationState::Running => "Running",
            InvocationState::Retrying => "Retrying",
            InvocationState::Succeeded => "Succeeded",
            InvocationState::DeadLettered => "DeadLettered",
            InvocationState::Expired => "Expired",
            InvocationState::Cancelled => "Cancelled",
            InvocationState::Failed => "Failed",
        }
    }

    /// The number stored in rows; never renumber.
    pub const fn code(self) -> u8 {
        match self {
            InvocationState::Queued => 0,
            InvocationState::Running => 1,
            InvocationState::Retrying => 2,
            InvocationState::Succeeded => 3,
            InvocationState::DeadLettered => 4,
            InvocationState::Expired => 5,
            InvocationState::Cancelled => 6,
            InvocationState::Failed => 7,
        }
    }

    pub fn from_code(code: u8) -> Option<InvocationState> {
        InvocationState::ALL.into_iter().find(|state| state.code() == code)
    }

    /// The state after `transition`, or `None` where the machine has no such edge.
    pub const fn after(self, transition: Transition) -> Option<InvocationState> {
        use InvocationState as S;
        use Transition as T;
        match (self, transition) {
            (S::Queued | S::Retrying, T::Claim) => Some(S::Running),
            (S::Running, T::Succeed) => Some(S::Succeeded),
            (S::Running, T::Retry | T::Rescue) => Some(S::Retrying),
            (S::Retrying, T::Due) => Some(S::Queued),
            (S::Running, T::Fail) => Some(S::Failed),
            (S::Running, T::DeadLetter) => Some(S::DeadLettered),
            (S::Queued | S::Retrying, T::DeadLetter) => Some(S::DeadLettered),
            (S::Queued | S::Retrying, T::Expire) => Some(S::Expired),
            (S::Queued | S::Retrying | S::Running, T::Cancel) => Some(S::Cancelled),
            (S::DeadLettered, T::Redrive) => Some(S::Queued),
            _ => None,
        }
    }
}

impl fmt::Display for InvocationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What moves an invocation from one state to the next, and who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// Worker: an attempt starts under a lease. (A claim may come straight from `Retrying`: `Due` is not written.)
    Claim,
    /// Worker: settled with a result.
    Succeed,
    /// Worker: a synchronous invoke settled without success.
    Fail,
    /// Worker: settled with a failure that the policy tries again.
    Retry,
    /// Store: the lease ended without a settle.
    Rescue,
    /// Time: the retry's due time has come.
    Due,
    /// Worker: settled with a failure that the policy does not try again; or too many starts without a settle.
    DeadLetter,
    /// Worker: older than its policy's age when its turn came.
    Expire,
    /// Operator or tenant: cancelled, or the tenant was deleted.
    Cancel,
    /// Operator or tenant: back from the dead letters.
    Redrive,
}

impl Transition {
    pub const ALL: [Transition; 10] = [
        Transition::Claim,
        Transition::Succeed,
        Transition::Fail,
        Transition::Retry,
        Transition::Rescue,
        Transition::Due,
        Transition::DeadLetter,
        Transition::Expire,
        Transition::Cancel,
        Transition::Redrive,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Transition::Claim => "claim",
            Transition::Succeed => "succeed",
            Transition::Fail => "fail",
            Transition::Retry => "retry",
            Transition::Rescue => "rescue",
            Transition::Due => "due",
            Transition::DeadLetter => "dead-letter",
            Transition::Expire => "expire",
            Transition::Cancel => "cancel",
            Transition::Redrive => "redrive",
        }
    }
}

/// Why an invocation ended other than by success, for people: stored with it, shown in listings and explanations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The policy's attempts are used up.
    AttemptsExhausted,
    /// Older than the policy's age.
    TooOld,
    /// Started too often without ever settling.
    NeverSettled,
    /// The function or its live version is gone.
    NoFunction,
    /// The function was quarantined after repeated crashes or timeouts.
    Quarantined,
    TenantDeleted,
    CancelledByRequest,
    /// It ran when its function or its tenant was stopped, and the stop was to cancel what runs.
    Stopped,
}

impl EndReason {
    pub const ALL: [EndReason; 8] = [
        EndReason::AttemptsExhausted,
        EndReason::TooOld,
        EndReason::NeverSettled,
        EndReason::NoFunction,
        EndReason::Quarantined,
        EndReason::TenantDeleted,
        EndReason::CancelledByRequest,
        EndReason::Stopped,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            EndReason::AttemptsExhausted => "attempts_exhausted",
            EndReason::TooOld => "too_old",
            EndReason::NeverSettled => "never_settled",
            EndReason::NoFunction => "no_function",
            EndReason::Quarantined => "quarantined",
            EndReason::TenantDeleted => "tenant_deleted",
            EndReason::CancelledByRequest => "cancelled_by_request",
            EndReason::Stopped => "stopped",
        }
    }

    /// The number stored in rows (0 is "none"); never renumber.
    pub const fn code(self) -> u8 {
        match self {
            EndReason::AttemptsExhausted => 1,
            EndReason::TooOld => 2,
            EndReason::NeverSettled => 3,
            EndReason::NoFunction => 4,
            EndReason::Quarantined => 5,
            EndReason::TenantDeleted => 6,
            EndReason::CancelledByRequest => 7,
            EndReason::Stopped => 8,
        }
    }

    pub fn from_code(code: u8) -> Option<EndReason> {
        EndReason::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_in_docs_has_exactly_the_edges_of_the_code() {
        let drawn = include_str!("../../../docs/invocation-states.md");
        let mut coded = Vec::new();
        for from in InvocationState::ALL {
            for transition in Transition::ALL {
                if let Some(to) = from.after(transition) {
                    coded.push(format!("{from} --> {to}: {}", transition.as_str()));
                }
            }
        }
        let mut lines: Vec<&str> =
            drawn.lines().map(str::trim).filter(|l| l.contains("-->") && !l.contains("[*]")).collect();
        lines.sort_unstable();
        coded.sort_unstable();
        assert_eq!(lines, coded);
    }

    #[test]
    fn a_final_state_is_left_by_redrive_alone() {
        for state in InvocationState::ALL.into_iter().filter(|s| s.is_final()) {
            for transition in Transition::ALL {
                let left = state.after(transition).is_some();
                assert_eq!(left, state == InvocationState::DeadLettered && transition == Transition::Redrive);
            }
        }
    }

    #[test]
    fn stored_codes_come_back() {
        for state in InvocationState::ALL {
            assert_eq!(InvocationState::from_code(state.code()), Some(state));
        }
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_code(outcome.code()), Some(outcome));
        }
        for reason in EndReason::ALL {
            assert_eq!(EndReason::from_code(reason.code()), Some(reason));
        }
    }
}
