//! When a failed attempt is tried again. Precedence: target, then function, then the default.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::unit::Millis;

/// Exponential backoff with full jitter over the upper half: the n-th retry is due after
/// `min(backoff × 2ⁿ⁻¹, backoff_max)`, of which the upper half is random.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// Attempts in all, the first included. 1 to 185 (EventBridge's most).
    pub attempts: u32,
    /// Age of the invocation after which it is not started again.
    pub age: Millis,
    /// Before the first retry.
    pub backoff: Millis,
    /// Never longer than this between two attempts.
    pub backoff_max: Millis,
}

pub const ATTEMPTS_MAX: u32 = 185;
pub const AGE_MAX: Millis = Millis(7 * 86_400_000);

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { attempts: 3, age: Millis(86_400_000), backoff: Millis(1_000), backoff_max: Millis(300_000) }
    }
}

impl RetryPolicy {
    /// How long to wait after `failed` attempts (≥ 1). `random` is any 32 uniform bits.
    pub fn delay(&self, failed: u32, random: u32) -> Duration {
        let doublings = failed.saturating_sub(1).min(32);
        let full = self.backoff.0.saturating_mul(1_u64 << doublings).min(self.backoff_max.0);
        let half = full / 2;
        let jitter = (u128::from(full - half) * u128::from(random)) >> 32;
        Duration::from_millis(half + u64::try_from(jitter).unwrap_or(0))
    }

    /// Errors: `Invalid` with the field below `at` (such as `retry`).
    pub fn validate(&self, at: &str) -> Result<(), Error> {
        if self.attempts == 0 || self.attempts > ATTEMPTS_MAX {
            return Err(Error::invalid(format!("{at}.attempts"), format!("must be 1 to {ATTEMPTS_MAX}")));
        }
        if self.age > AGE_MAX {
            return Err(Error::invalid(format!("{at}.age"), format!("must not exceed {AGE_MAX}")));
        }
        if self.backoff_max < self.backoff {
            return Err(Error::invalid(format!("{at}.backoff_max"), "must not be shorter than backoff"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_its_maximum_and_never_leaves_the_upper_half() {
        let policy = RetryPolicy { backoff: Millis(100), backoff_max: Millis(1_000), ..RetryPolicy::default() };
        for (failed, full) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1_000), (200, 1_000)] {
            assert_eq!(policy.delay(failed, 0), Duration::from_millis(full / 2));
            let longest = policy.delay(failed, u32::MAX).as_millis() as u64;
            assert!(longest <= full && longest >= full - 1, "{failed}: {longest}");
        }
    }
}
