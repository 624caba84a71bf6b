//! What one tenant may use. A *limit* is the system's; a *quota* is a tenant's.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// All counts are of attempts in flight, but for `backlog` (waiting invocations) and `invoke_slots`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// Guaranteed before anyone's burst. The floors of all tenants may exceed the slots; then they share them.
    pub floor: u32,
    /// Never more than this at once.
    pub ceiling: u32,
    /// Share of what is left after the floors, relative to other tenants' weights. 1 to 1,000.
    pub weight: u32,
    /// Waiting invocations; beyond it, publishing answers 429.
    pub backlog: u64,
    /// How many of the ceiling synchronous `invoke` may hold; beyond it, 429.
    pub invoke_slots: u32,
    /// How many of the ceiling are kept for synchronous `invoke`: work from the queue never takes them.
    pub invoke_reserved: u32,
}

impl Default for Quota {
    fn default() -> Quota {
        Quota { floor: 0, ceiling: 8, weight: 100, backlog: 1_000_000, invoke_slots: 4, invoke_reserved: 0 }
    }
}

pub const WEIGHT_MAX: u32 = 1_000;
pub const CEILING_MAX: u32 = 10_000;

impl Quota {
    /// Errors: `Invalid` with the field `quota.<name>` and what would be right.
    pub fn validate(&self) -> Result<(), Error> {
        if self.weight == 0 || self.weight > WEIGHT_MAX {
            return Err(Error::invalid("quota.weight", format!("must be 1 to {WEIGHT_MAX}, not {}", self.weight)));
        }
        if self.ceiling == 0 || self.ceiling > CEILING_MAX {
            return Err(Error::invalid("quota.ceiling", format!("must be 1 to {CEILING_MAX}, not {}", self.ceiling)));
        }
        if self.floor > self.ceiling {
            return Err(Error::invalid("quota.floor", format!("must not exceed the ceiling of {}", self.ceiling)));
        }
        if self.invoke_slots > self.ceiling {
            return Err(Error::invalid(
                "quota.invoke_slots",
                format!("must not exceed the ceiling of {}", self.ceiling),
            ));
        }
        if self.invoke_reserved > self.invoke_slots {
            let most = self.invoke_slots;
            return Err(Error::invalid("quota.invoke_reserved", format!("must not exceed the invoke_slots of {most}")));
        }
        if self.invoke_reserved >= self.ceiling {
            return Err(Error::invalid("quota.invoke_reserved", "must leave one of the ceiling for the queue"));
        }
        Ok(())
    }
}
