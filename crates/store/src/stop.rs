//! What keeps a function from starting: a stop that somebody asked for, a quarantine that it earned.

use serde::{Deserialize, Serialize};
use sublet_model::{InvocationId, Timestamp};

/// Who asked for a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoppedBy {
    Operator,
    /// The tenant itself.
    Tenant,
}

/// Nothing starts, and what waits goes on waiting, until it is lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// As it was given; the tenant sees it.
    pub reason: String,
    pub by: StoppedBy,
    pub at: Timestamp,
}

/// What a quarantine was earned by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuarantineCause {
    /// Its worker process died while it ran alone.
    Crashes,
    /// It went on past its wall or CPU limit.
    Timeouts,
}

impl QuarantineCause {
    pub const fn as_str(self) -> &'static str {
        match self {
            QuarantineCause::Crashes => "crashes",
            QuarantineCause::Timeouts => "timeouts",
        }
    }
}

/// Nothing starts, and what waits is a dead letter at its turn, until it is lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// For people: what happened, with its numbers.
    pub reason: String,
    pub cause: QuarantineCause,
    /// Attempts that ended so, of how many.
    pub count: u32,
    pub of: u32,
    /// The invocations of the first and the last of them.
    pub first: Option<InvocationId>,
    pub last: Option<InvocationId>,
    pub at: Timestamp,
}
