//! Time as a value. This is the one module that reads the wall clock; everything else is handed a [`Timestamp`].

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// A moment: whole milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 outside, as the number inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const ZERO: Timestamp = Timestamp(0);

    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Parses RFC 3339. Errors: anything else, with the text that was refused.
    pub fn parse(text: &str) -> Result<Timestamp, String> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|_| format!("`{text}` is not an RFC 3339 time such as 2026-01-31T09:30:00Z"))?;
        // Near the ends of the calendar an offset leads into a year that RFC 3339 cannot write.
        let out_of_range = || format!("`{text}` is out of range");
        let utc = parsed.checked_to_offset(UtcOffset::UTC).filter(|utc| (0..=9_999).contains(&utc.year()));
        let nanos = utc.ok_or_else(out_of_range)?.unix_timestamp_nanos();
        i64::try_from(nanos.div_euclid(1_000_000)).map(Timestamp).map_err(|_| out_of_range())
    }

    /// Milliseconds from `earlier` to `self`; 0 when `earlier` is later (clocks step back).
    pub fn since(self, earlier: Timestamp) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// The start of the hour this moment lies in: the unit of history partitions and of ledger sums.
    pub fn hour(self) -> Timestamp {
        Timestamp(self.0 - self.0.rem_euclid(3_600_000))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    fn sub(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000_000;
        match OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().and_then(|t| t.format(&Rfc3339).ok()) {
            Some(text) => f.write_str(&text),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Where a component gets its time from: the system, or a simulation.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// The same moment in nanoseconds since 1970, as finely as it is known: for spans, which may be shorter than a
    /// millisecond.
    fn now_ns(&self) -> u64 {
        u64::try_from(self.now().millis()).unwrap_or(0).saturating_mul(1_000_000)
    }
}

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one module that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    #[allow(clippy::disallowed_methods, reason = "this is the one module that reads the wall clock")]
    fn now_ns(&self) -> u64 {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_survives_its_text_form() {
        let moment = Timestamp::from_millis(1_769_851_800_123);
        assert_eq!(Timestamp::parse(&moment.to_string()), Ok(moment));
        for text in ["0000-01-01T00:00:00Z", "1969-12-31T23:59:59.9999Z", "9999-12-31T23:59:59.999Z"] {
            let moment = Timestamp::parse(text).unwrap();
            assert_eq!(Timestamp::parse(&moment.to_string()), Ok(moment), "{text}");
        }
        for bad in ["yesterday", "9999-12-31T23:59:59.0-00:20", "0000-01-01T00:00:00+00:01"] {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_hour_starts_on_the_hour() {
        let moment = Timestamp::parse("2026-01-31T09:59:59.999Z").unwrap();
        assert_eq!(moment.hour().to_string(), "2026-01-31T09:00:00Z");
    }
}
