//! What an attempt used, what a tenant used in sum, and what that costs.

use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// One attempt's measurements: the ledger line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Wall time in microseconds, from the environment's creation to its end.
    pub wall_us: u64,
    /// CPU time in microseconds.
    pub cpu_us: u64,
    /// The most linear memory held, in bytes.
    pub memory_peak_bytes: u64,
    /// The memory the function asked for, in bytes: what GB-seconds are reckoned on, as in Lambda.
    pub memory_limit_bytes: u64,
    /// Event handed in, in bytes.
    pub bytes_in: u64,
    /// Result and log handed out, in bytes.
    pub bytes_out: u64,
    /// Requests that the code sent or tried to send.
    #[serde(default)]
    pub fetches: u64,
    /// Bytes of those requests and of the answers to them.
    #[serde(default)]
    pub egress_bytes: u64,
    /// WebAssembly instructions executed, where the call asked for them to be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<u64>,
}

impl Usage {
    /// Limit × wall, in byte-microseconds; a `u128` because a GiB for a day overflows 64 bits.
    pub fn byte_microseconds(&self) -> u128 {
        u128::from(self.memory_limit_bytes) * u128::from(self.wall_us)
    }
}

/// Usage in sum over some attempts. Exact: integers only, so that a sum rebuilt from the attempts equals the sum kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UsageSum {
    pub attempts: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub wall_us: u64,
    pub cpu_us: u64,
    pub memory_peak_bytes: u64,
    /// GB-seconds × 10⁶ (GB = 2³⁰ bytes), rounded down per attempt: micro-GB-seconds.
    pub gb_us: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub fetches: u64,
    pub egress_bytes: u64,
}

impl UsageSum {
    pub fn of(usage: &Usage, succeeded: bool) -> UsageSum {
        UsageSum {
            attempts: 1,
            succeeded: u64::from(succeeded),
            failed: u64::from(!succeeded),
            wall_us: usage.wall_us,
            cpu_us: usage.cpu_us,
            memory_peak_bytes: usage.memory_peak_bytes,
            gb_us: u64::try_from(usage.byte_microseconds() >> 30).unwrap_or(u64::MAX),
            bytes_in: usage.bytes_in,
            bytes_out: usage.bytes_out,
            fetches: usage.fetches,
            egress_bytes: usage.egress_bytes,
        }
    }

    pub fn gb_seconds(&self) -> f64 {
        self.gb_us as f64 / 1e6
    }
}

impl Add for UsageSum {
    type Output = UsageSum;

    fn add(self, other: UsageSum) -> UsageSum {
        UsageSum {
            attempts: self.attempts + other.attempts,
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            wall_us: self.wall_us.saturating_add(other.wall_us),
            cpu_us: self.cpu_us.saturating_add(other.cpu_us),
            memory_peak_bytes: self.memory_peak_bytes.max(other.memory_peak_bytes),
            gb_us: self.gb_us.saturating_add(other.gb_us),
            bytes_in: self.bytes_in.saturating_add(other.bytes_in),
            bytes_out: self.bytes_out.saturating_add(other.bytes_out),
            fetches: self.fetches.saturating_add(other.fetches),
            egress_bytes: self.egress_bytes.saturating_add(other.egress_bytes),
        }
    }
}

impl AddAssign for UsageSum {
    fn add_assign(&mut self, other: UsageSum) {
        *self = *self + other;
    }
}

/// The operator's prices, each per unit named, in millionths of the currency's unit (micro-units).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceSheet {
    /// ISO 4217, for the reader; no conversion is done.
    pub currency: String,
    pub per_million_attempts: u64,
    pub per_gb_second: u64,
    pub per_cpu_second: u64,
    pub per_gib_out: u64,
    /// Of requests by tenant code and their answers, both ways together.
    pub per_gib_egress: u64,
}

impl Default for PriceSheet {
    /// Lambda's list prices of attempts and GB-seconds in us-east-1 (0.20 USD a million, 0.0000166667 USD), as a start.
    fn default() -> PriceSheet {
        PriceSheet {
            currency: "USD".to_owned(),
            per_million_attempts: 200_000,
            per_gb_second: 17,
            per_cpu_second: 0,
            per_gib_out: 0,
            per_gib_egress: 0,
        }
    }
}

impl PriceSheet {
    /// The cost of `sum` in micro-units, rounded down once, at the end.
    pub fn cost_micros(&self, sum: &UsageSum) -> u64 {
        // A common denominator of 2³⁰ × 10⁶ keeps every term exact until the one division.
        const DENOMINATOR: u128 = (1 << 30) * 1_000_000;
        let attempts = u128::from(sum.attempts) * u128::from(self.per_million_attempts) * (1 << 30);
        let memory = u128::from(sum.gb_us) * u128::from(self.per_gb_second) * (1 << 30);
        let cpu = u128::from(sum.cpu_us) * u128::from(self.per_cpu_second) * (1 << 30);
        let out = u128::from(sum.bytes_out) * u128::from(self.per_gib_out) * 1_000_000;
        let egress = u128::from(sum.egress_bytes) * u128::from(self.per_gib_egress) * 1_000_000;
        u64::try_from((attempts + memory + cpu + out + egress) / DENOMINATOR).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_a_gigabyte_is_a_gb_second() {
        let usage = Usage { wall_us: 1_000_000, memory_limit_bytes: 1 << 30, ..Usage::default() };
        let sum = UsageSum::of(&usage, true);
        assert_eq!(sum.gb_us, 1_000_000);
        assert!((sum.gb_seconds() - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_price_of_a_million_attempts_is_on_the_sheet() {
        let sum = UsageSum { attempts: 1_000_000, gb_us: 1_000_000_000, bytes_out: 1 << 30, ..UsageSum::default() };
        let sheet = PriceSheet { per_gib_out: 90_000, ..PriceSheet::default() };
        assert_eq!(sheet.cost_micros(&sum), 200_000 + 1_000 * 17 + 90_000);
        let sum = UsageSum { egress_bytes: 3 << 29, ..UsageSum::default() };
        assert_eq!(PriceSheet { per_gib_egress: 100_000, ..sheet }.cost_micros(&sum), 150_000);
    }
}
