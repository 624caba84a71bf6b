//! `file:` URLs, by the letter of the URL Standard's states: the `url` crate lets empty segments and hosts beside drive
//! letters go, which the standard keeps.

use std::fmt::{self, Display, Formatter, Write as _};

use url::Host;

use super::url::HOST_BYTES_MAX;

/// Segments of a path: each is a text of its own while the URL is taken apart.
const SEGMENTS_MAX: usize = 10_000;

/// What a URL's scheme is told by, and what stands behind it.
pub(super) fn split_scheme(input: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = input.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// `input` without what the standard removes before it begins.
pub(super) fn cleaned(input: &str) -> String {
    input.trim_matches(|c| c <= ' ').chars().filter(|c| !is_removed(*c)).collect()
}

fn is_removed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r')
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FileUrl {
    /// As serialized; empty if there is none.
    host: String,
    path: Vec<String>,
    query: Option<String>,
    fragment: Option<String>,
}

impl FileUrl {
    /// `rest` is what stands behind `file:`, or all of a relative reference; cleaned.
    pub(super) fn parse(rest: &str, base: Option<&FileUrl>) -> Option<FileUrl> {
        if rest.split(is_slash).count() > SEGMENTS_MAX {
            return None;
        }
        let mut url = FileUrl::default();
        let Some(after) = rest.strip_prefix(is_slash) else {
            return Some(url.relative(rest, base));
        };
        let Some(after) = after.strip_prefix(is_slash) else {
            if let Some(base) = base {
                url.host.clone_from(&base.host);
                let drive = base.path.first().filter(|first| is_normal_drive(first));
                if let Some(drive) = drive.filter(|_| !starts_with_drive(after)) {
                    url.path.push(drive.clone());
                }
            }
            url.path_and_more(after);
            return Some(url);
        };
        let end = after.find(['/', '\\', '?', '#']).unwrap_or(after.len());
        let (host, behind) = after.split_at(end);
        if is_drive(host) {
            url.path_and_more(after);
            return Some(url);
        }
        url.host = parse_host(host)?;
        url.path_and_more(behind.strip_prefix(is_slash).unwrap_or(behind));
        Some(url)
    }

    fn relative(mut self, rest: &str, base: Option<&FileUrl>) -> FileUrl {
        if let Some(base) = base {
            self.host.clone_from(&base.host);
            self.path.clone_from(&base.path);
            if rest.is_empty() || rest.starts_with('#') {
                self.query.clone_from(&base.query);
            }
            if rest.is_empty() || rest.starts_with(['?', '#']) {
                self.query_and_fragment(rest);
                return self;
            }
            if starts_with_drive(rest) {
                self.path.clear();
            } else {
                self.shorten();
            }
        }
        self.path_and_more(rest);
        self
    }

    fn path_and_more(&mut self, text: &str) {
        let end = text.find(['?', '#']).unwrap_or(text.len());
        self.segments(&text[..end]);
        self.query_and_fragment(&text[end..]);
    }

    /// The standard's path state over all of `text`.
    fn segments(&mut self, text: &str) {
        let mut parts = text.split(is_slash).peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            let dots = part.replace("%2e", ".").replace("%2E", ".");
            if dots == ".." {
                self.shorten();
            }
            if dots == "." || dots == ".." {
                if is_last {
                    self.path.push(String::new());
                }
                continue;
            }
            let mut segment = encoded(part, is_path_escaped);
            if self.path.is_empty() && is_drive(part) {
                segment.replace_range(1.., ":");
            }
            self.path.push(segment);
        }
    }

    fn query_and_fragment(&mut self, text: &str) {
        let (before, fragment) = match text.split_once('#') {
            Some((before, fragment)) => (before, Some(fragment)),
            None => (text, None),
        };
        if let Some(query) = before.strip_prefix('?') {
            self.query = Some(encoded(query, is_query_escaped));
        }
        self.fragment = fragment.map(|fragment| encoded(fragment, is_fragment_escaped));
    }

    fn shorten(&mut self) {
        if !(self.path.len() == 1 && is_normal_drive(&self.path[0])) {
            self.path.pop();
        }
    }

    /// One of URL's setters; none if the value is not accepted.
    pub(super) fn set(mut self, attribute: &str, value: &str) -> Option<FileUrl> {
        let value: String = value.chars().filter(|c| !is_removed(*c)).collect();
        if value.split(is_slash).count() > SEGMENTS_MAX {
            return None;
        }
        match attribute {
            "host" | "hostname" => {
                let end = value.find(['/', '\\', '?', '#']).unwrap_or(value.len());
                self.host = parse_host(&value[..end])?;
            }
            "pathname" => {
                self.path.clear();
                self.segments(value.strip_prefix(is_slash).unwrap_or(&value));
            }
            "search" => {
                let query = value.strip_prefix('?').unwrap_or(&value);
                self.query = (!value.is_empty()).then(|| encoded(query, is_query_escaped));
            }
            "hash" => {
                let fragment = value.strip_prefix('#').unwrap_or(&value);
                self.fragment = (!value.is_empty()).then(|| encoded(fragment, is_fragment_escaped));
            }
            // A file has neither user nor port.
            _ => return None,
        }
        Some(self)
    }

    pub(super) fn has_host(&self) -> bool {
        !self.host.is_empty()
    }
}

impl Display for FileUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "file://{}", self.host)?;
        self.path.iter().try_for_each(|segment| write!(f, "/{segment}"))?;
        if let Some(query) = &self.query {
            write!(f, "?{query}")?;
        }
        self.fragment.iter().try_for_each(|fragment| write!(f, "#{fragment}"))
    }
}

fn parse_host(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    if text.len() > HOST_BYTES_MAX {
        return None;
    }
    let host = Host::parse(text).ok()?.to_string();
    Some(if host == "localhost" { String::new() } else { host })
}

fn is_slash(c: char) -> bool {
    c == '/' || c == '\\'
}

fn is_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':' | b'|'] if letter.is_ascii_alphabetic())
}

fn is_normal_drive(text: &str) -> bool {
    is_drive(text) && text.ends_with(':')
}

fn starts_with_drive(text: &str) -> bool {
    text.get(..2).is_some_and(is_drive) && (text.len() == 2 || text[2..].starts_with(['/', '\\', '?', '#']))
}

fn encoded(text: &str, is_escaped: fn(u8) -> bool) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte <= 0x1F || byte >= 0x7F || is_escaped(byte) {
            let _ = write!(out, "%{byte:02X}");
        } else {
            out.push(char::from(byte));
        }
        out
    })
}

fn is_path_escaped(byte: u8) -> bool {
    b" \"#<>?^`{}".contains(&byte)
}

fn is_query_escaped(byte: u8) -> bool {
    b" \"#<>'".contains(&byte)
}

fn is_fragment_escaped(byte: u8) -> bool {
    b" \"<>`".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_beside_drives_and_empty_segments_stay() {
        let parsed = |input: &str, base: Option<&str>| {
            let base = base.map(|base| FileUrl::parse(&base["file:".len()..], None).unwrap());
            FileUrl::parse(input, base.as_ref()).map(|url| url.to_string())
        };
        let cases = [
            ("//h/C:/", None, "file://h/C:/"),
            ("////foo", None, "file:////foo"),
            ("C|/x", Some("file://h/a/b"), "file://h/C:/x"),
            ("/x", Some("file://h/C:/b"), "file://h/C:/x"),
            ("..", Some("file:///C:/"), "file:///C:/"),
            ("?q'", Some("file:///a?b#c"), "file:///a?q%27"),
            ("", Some("file:///a?b#c"), "file:///a?b"),
            ("//LocalHost/%2e%2E/a b", None, "file:///a%20b"),
        ];
        for (input, base, expected) in cases {
            assert_eq!(parsed(input, base).as_deref(), Some(expected), "{input} on {base:?}");
        }
        assert_eq!(parsed("//a b/", None), None);
    }
}
