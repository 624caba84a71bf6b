//! Hosts of the internet as people name them in lists: one by its name or address, or all names below a domain.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;

/// Characters of a host's name, and of one label of it.
const HOST_CHARS_MAX: usize = 253;
const LABEL_CHARS_MAX: usize = 63;

/// Without a port. Names are held in lower case and without a final dot, international ones as `xn--…`, as URLs have them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    Name(String),
    /// `93.184.216.34`, `[2606:4700::1111]`.
    Address(IpAddr),
    /// `*.example.com`: one or more labels before it, never the bare domain, never an address.
    Below(String),
    /// `*`: any name, never an address. Not read from text: where it may be said, whoever reads says so.
    Any,
}

impl HostPattern {
    /// `host` as a URL has it, an IPv6 address in brackets, whatever its case.
    pub fn matches(&self, host: &str) -> bool {
        let name = host.strip_suffix('.').unwrap_or(host);
        match self {
            HostPattern::Address(address) => address_of(name) == Some(*address),
            _ if address_of(name).is_some() => false,
            HostPattern::Name(own) => own.eq_ignore_ascii_case(name),
            HostPattern::Below(domain) => is_below(name, domain),
            HostPattern::Any => !name.is_empty(),
        }
    }

    /// Whether every host that fits this one fits `wider`.
    pub fn is_within(&self, wider: &HostPattern) -> bool {
        match (self, wider) {
            (HostPattern::Name(name), _) => wider.matches(name),
            (HostPattern::Below(own), HostPattern::Below(domain)) => own == domain || is_below(own, domain),
            (HostPattern::Below(_), HostPattern::Any) => true,
            (HostPattern::Below(_), _) => false,
            (HostPattern::Address(_) | HostPattern::Any, _) => self == wider,
        }
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    let Some(at) = name.len().checked_sub(domain.len() + 1) else { return false };
    at > 0 && name.as_bytes()[at] == b'.' && name.as_bytes()[at + 1..].eq_ignore_ascii_case(domain.as_bytes())
}

fn address_of(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// What a URL's parser takes for an address, in whatever spelling.
fn is_numeric(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_hexadecimal =
        last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_CHARS_MAX).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

impl FromStr for HostPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<HostPattern, Error> {
        let wrong =
            |why: &str| Error::invalid("host", format!("`{}` {why}", text.chars().take(80).collect::<String>()));
        if let Some(address) = address_of(text) {
            return Ok(HostPattern::Address(address));
        }
        if !text.is_ascii() {
            return Err(wrong("is not in ASCII: write an international name in its `xn--…` form"));
        }
        let lower = text.to_ascii_lowercase();
        let (is_below, name) = match lower.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, lower.as_str()),
        };
        if name.contains('*') {
            return Err(wrong("has a `*` elsewhere than as its first label"));
        }
        if name.len() > HOST_CHARS_MAX || !name.split('.').all(is_label) {
            return Err(wrong("is not a host such as api.example.com or *.example.com"));
        }
        if is_numeric(name) {
            let why = if is_below { "is a pattern of addresses" } else { "is not an address in its usual form" };
            return Err(wrong(why));
        }
        match is_below {
            true if !name.contains('.') => Err(wrong("is a whole top-level domain")),
            true => Ok(HostPattern::Below(name.to_owned())),
            false => Ok(HostPattern::Name(name.to_owned())),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Name(name) => f.write_str(name),
            HostPattern::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            HostPattern::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            HostPattern::Below(domain) => write!(f, "*.{domain}"),
            HostPattern::Any => f.write_str("*"),
        }
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HostPattern, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|error: Error| serde::de::Error::custom(error.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap_or_else(|why| panic!("{why}"))
    }

    #[test]
    fn a_host_pattern_is_a_name_an_address_or_all_below_a_domain() {
        for (text, hits, misses) in [
            (
                "api.example.com",
                &["api.example.com", "api.example.com."][..],
                &["example.com", "x.api.example.com"][..],
            ),
            ("API.Example.com", &["api.example.com", "API.example.COM"], &["api-example.com", "é.com"]),
            (
                "*.example.com",
                &["a.example.com", "a.b.example.com", "a.example.com."],
                &["example.com", ".example.com", "badexample.com", "a.example.com.evil.net"],
            ),
            ("93.184.216.34", &["93.184.216.34", "93.184.216.34."], &["93.184.216.35"]),
            ("[2606:4700::1111]", &["[2606:4700::1111]"], &["[2606:4700::1112]", "2606:4700::1111"]),
            ("[::ffff:1.2.3.4]", &["[::ffff:102:304]"], &["1.2.3.4"]),
            ("localhost", &["localhost"], &["a.localhost"]),
        ] {
            let own = pattern(text);
            for host in hits {
                assert!(own.matches(host), "{text} {host}");
            }
            for host in misses {
                assert!(!own.matches(host), "{text} {host}");
            }
            assert_eq!(pattern(&own.to_string()), own);
        }
        for host in ["example.com", "localhost"] {
            assert!(HostPattern::Any.matches(host), "{host}");
        }
        for address in ["127.0.0.1", "[::1]", "93.184.216.34", "93.184.216.34.", ""] {
            assert!(!HostPattern::Any.matches(address), "{address}");
        }
    }

    #[test]
    fn what_is_within_matches_nothing_more() {
        for (narrow, wide, is_within) in [
            ("a.x.com", "a.x.com", true),
            ("a.x.com", "*.x.com", true),
            ("x.com", "*.x.com", false),
            ("*.a.x.com", "*.x.com", true),
            ("*.x.com", "*.x.com", true),
            ("*.x.com", "*.a.x.com", false),
            ("*.x.com", "a.x.com", false),
            ("1.2.3.4", "1.2.3.4", true),
            ("1.2.3.4", "1.2.3.5", false),
        ] {
            assert_eq!(pattern(narrow).is_within(&pattern(wide)), is_within, "{narrow} within {wide}");
        }
        assert!(pattern("*.x.com").is_within(&HostPattern::Any));
        assert!(!HostPattern::Any.is_within(&pattern("*.x.com")));
    }

    #[test]
    fn what_is_no_host_or_a_pattern_of_addresses_is_refused() {
        for bad in [
            "",
            ".",
            "a..b",
            "*",
            "*.",
            "*.com",
            "**.example.com",
            "a.*.com",
            "*a.example.com",
            "*.0.0.1",
            "*.127.0.0.1",
            "127.1",
            "0x7f.1",
            "a.0x7f",
            "2130706433",
            "01.2.3.4",
            "[::1",
            "::1",
            "[::1%25lo]",
            "example.com:80",
            "a/b",
            "user@host",
            "bücher.example",
            "a b",
            "example.com.",
        ] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad:?}");
        }
        assert!(format!("{}.com", "a".repeat(64)).parse::<HostPattern>().is_err());
        assert!(vec!["a".repeat(60); 5].join(".").parse::<HostPattern>().is_err());
    }
}
