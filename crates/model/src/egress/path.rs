//! Which paths a rule means: all below a prefix that ends at a segment's border.
//!
//! A receiver may read a path otherwise than we do (a packed slash as a slash, `..;` as `..`). A path that could be read as
//! leading out of its prefix is therefore below no prefix.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Characters of a prefix.
const PATH_CHARS_MAX: usize = 512;
/// How often a path may be packed: `%2520` is twice. What is packed more often is read by nobody, or by an attacker.
const PACKINGS_MAX: usize = 4;

/// `/v1` means `/v1` and all below it, `/v1/` all below it; neither means `/v10`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPrefix(String);

impl PathPrefix {
    /// `path` as a parsed URL has it, without its query.
    pub fn matches(&self, path: &str) -> bool {
        if !is_plain(path) {
            return false;
        }
        let path = folded(path);
        match path.strip_prefix(folded(&self.0).as_ref()) {
            Some(rest) => rest.is_empty() || rest.starts_with('/') || self.0.ends_with('/'),
            None => false,
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `%2f` and `%2F` are the same.
fn folded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut after_percent = 0;
    let fold = |c: char| {
        after_percent = if c == '%' { 3_u8 } else { after_percent.saturating_sub(1) };
        if after_percent > 0 { c.to_ascii_uppercase() } else { c }
    };
    Cow::Owned(path.chars().map(fold).collect())
}

/// Whether every reader finds the same segments in it, however often it unpacks `%XX`.
fn is_plain(path: &str) -> bool {
    path.split('/').all(is_plain_segment)
}

fn is_plain_segment(segment: &str) -> bool {
    let mut read = Cow::Borrowed(segment.as_bytes());
    for _ in 0..=PACKINGS_MAX {
        let name = read.split(|byte| *byte == b';').next().unwrap_or_default();
        if matches!(name, b"." | b"..") || read.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0)) {
            return false;
        }
        match unpacked(&read) {
            Some(next) => read = Cow::Owned(next),
            None => return true,
        }
    }
    false
}

/// One time; what is no `%XX` stays. `None`: nothing is packed.
fn unpacked(text: &[u8]) -> Option<Vec<u8>> {
    if !text.contains(&b'%') {
        return None;
    }
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                // Two digits of base sixteen are a byte.
                bytes.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    (bytes.len() < text.len()).then_some(bytes)
}

impl FromStr for PathPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<PathPrefix, String> {
        let wrong = |why: &str| format!("`{}` {why}", text.chars().take(80).collect::<String>());
        if !text.starts_with('/') {
            return Err(wrong("does not begin with a slash"));
        }
        if text.len() > PATH_CHARS_MAX {
            return Err(format!("must not be longer than {PATH_CHARS_MAX} characters"));
        }
        // What a URL's parser would write otherwise could never match.
        let is_written = |byte: u8| byte.is_ascii_graphic() && !br##""#<>?`{}^|*"##.contains(&byte);
        if !text.bytes().all(is_written) {
            return Err(wrong("is not a path as URLs have it: no query, and other characters as %XX"));
        }
        if !is_plain(text) {
            return Err(wrong("has a segment that not every receiver reads alike"));
        }
        Ok(PathPrefix(text.to_owned()))
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PathPrefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PathPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PathPrefix, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_segments_border() {
        for (prefix, hits, misses) in [
            ("/", &["/", "/a", "/a/b"][..], &[][..]),
            ("/v1", &["/v1", "/v1/", "/v1/a", "/v1//a"], &["/", "/v10", "/v", "/V1", "/a/v1"]),
            ("/v1/", &["/v1/", "/v1/a"], &["/v1", "/v10/"]),
            ("/caf%c3%a9", &["/caf%C3%A9/menu"], &["/cafe"]),
        ] {
            let own: PathPrefix = prefix.parse().unwrap();
            for path in hits {
                assert!(own.matches(path), "{prefix} {path}");
            }
            for path in misses {
                assert!(!own.matches(path), "{prefix} {path}");
            }
        }
    }

    #[test]
    fn a_path_that_some_receiver_reads_as_leading_out_is_below_no_prefix() {
        let own: PathPrefix = "/v1".parse().unwrap();
        for path in [
            "/v1/..%2fadmin",
            "/v1/%2e%2e%2Fadmin",
            "/v1/..%5cadmin",
            "/v1/..\\admin",
            "/v1/..;/admin",
            "/v1/..;x=1/admin",
            "/v1/%2e%2e;/admin",
            "/v1/..%3b/admin",
            "/v1/%2E%2e/admin",
            "/v1/../admin",
            "/v1/./a",
            "/v1/a%00",
        ] {
            assert!(!own.matches(path), "{path}");
        }
        for path in [
            "/v1/a;b=1",
            "/v1/..a",
            "/v1/...",
            "/v1/a%20b",
            "/v1/a..b",
            "/v1/100%25",
            "/v1/a%2520b",
            "/v1/a%zz",
            "/v1/%2",
            "/v1/%c3%a9",
        ] {
            assert!(own.matches(path), "{path}");
        }
    }

    #[test]
    fn a_path_that_is_unpacked_more_than_once_leads_out_of_no_prefix_either() {
        let own: PathPrefix = "/v1".parse().unwrap();
        for escape in
            ["%252e%252e%252fadmin", "..%255cadmin", "%252E%252e/admin", "..%253b/admin", "a%2500", "%%32%65%2e/admin"]
        {
            assert!(!own.matches(&format!("/v1/{escape}")), "{escape}");
            assert!(format!("/v1/{escape}").parse::<PathPrefix>().is_err(), "{escape}");
        }
        for depth in 1..200 {
            let deep = format!("/v1/..%{}2fadmin", "25".repeat(depth));
            assert!(!own.matches(&deep), "{deep}");
        }
        // Not even where it would come to nothing in the end.
        assert!(own.matches(&format!("/v1/%{}20", "25".repeat(PACKINGS_MAX - 1))));
        assert!(!own.matches(&format!("/v1/%{}20", "25".repeat(PACKINGS_MAX))));
    }

    #[test]
    fn a_prefix_that_no_url_could_have_is_refused() {
        for bad in ["", "v1", "/v1?x=1", "/v1#x", "/a b", "/é", "/a/../b", "/a/%2e%2e", "/a%2fb", "/*", "/a\\b"] {
            assert!(bad.parse::<PathPrefix>().is_err(), "{bad:?}");
        }
    }
}
