//! Operations 70 to 79: time zones, for `Intl.DateTimeFormat` and what `Date` shows of them.
//!
//! From a database that is compiled in: the worker has no files, and the answers are the same on every machine.

use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::call::{Answer, CallError};

/// Longer than any zone's name.
const NAME_BYTES_MAX: usize = 64;

pub(super) fn call(operation: i32, request: &[u8]) -> Answer {
    match operation {
        // Milliseconds since 1970 (8, a double), a zone's name → seconds east of UTC (4), the zone's abbreviation then.
        70 => {
            let (millis, name) = request.split_first_chunk::<8>().ok_or_else(|| invalid(b""))?;
            let zone = find(name)?;
            // A double saturates into an integer, and beyond the years that the library knows the first and last rules
            // hold on.
            let millis = f64::from_le_bytes(*millis) as i64;
            let end = if millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
            let info = zone.to_offset_info(Timestamp::from_millisecond(millis).unwrap_or(end));
            let mut answer = info.offset().seconds().to_le_bytes().to_vec();
            answer.extend_from_slice(info.abbreviation().as_bytes());
            Ok(answer)
        }
        // A zone's name in any case → its name as the database spells it.
        71 => {
            let zone = find(request)?;
            zone.iana_name().map(|name| name.as_bytes().to_vec()).ok_or_else(|| invalid(request))
        }
        // The names of all zones, one a line.
        72 => {
            let names: Vec<_> = database().available().map(|name| name.to_string()).collect();
            Ok(names.join("\n").into_bytes())
        }
        _ => Err(CallError::new("TypeError", "the host has no such operation")),
    }
}

fn database() -> &'static TimeZoneDatabase {
    static DATABASE: OnceLock<TimeZoneDatabase> = OnceLock::new();
    DATABASE.get_or_init(TimeZoneDatabase::bundled)
}

fn find(name: &[u8]) -> Result<TimeZone, CallError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(invalid(&name[..NAME_BYTES_MAX]));
    }
    let name_text = std::str::from_utf8(name).map_err(|_| invalid(name))?;
    database().get(name_text).map_err(|_| invalid(name))
}

fn invalid(name: &[u8]) -> CallError {
    CallError::new("RangeError", format!("Invalid time zone specified: {}", String::from_utf8_lossy(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(zone: &str, millis: f64) -> Answer {
        call(70, &[&millis.to_le_bytes(), zone.as_bytes()].concat())
    }

    #[test]
    fn every_zone_is_known_at_any_instant() {
        let names = String::from_utf8(call(72, b"").unwrap()).unwrap();
        assert!(names.lines().count() > 500);
        for name in names.lines() {
            assert_eq!(call(71, name.to_ascii_uppercase().as_bytes()).unwrap(), name.as_bytes());
            for millis in [0.0, 1e12, 4e12, -8.64e15, 8.64e15, f64::NAN, f64::INFINITY, -1e300] {
                let answer = offset(name, millis).unwrap();
                let seconds = i32::from_le_bytes(answer[..4].try_into().unwrap());
                assert!(seconds.abs() < 16 * 3600 && answer.len() > 4, "{name} {millis}");
            }
        }
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        for name in ["", "Nowhere/City", "../../etc/passwd", "/etc/localtime", "\0", &"x".repeat(500)] {
            assert_eq!(offset(name, 0.0).unwrap_err().name, "RangeError", "{name}");
            assert_eq!(call(71, name.as_bytes()).unwrap_err().name, "RangeError", "{name}");
        }
        assert_eq!(call(71, &[0xff, 0xfe]).unwrap_err().name, "RangeError");
        assert!(call(70, &[1, 2]).is_err());
    }
}
