//! What a body is: its media type, its character set, and so which of the ways in it takes.

use std::borrow::Cow;

use crate::Header;
use crate::refusal::Refusal;

/// What is accepted, as a refusal says it.
const ACCEPTED: &str = "application/json, application/cloudevents+json, application/cloudevents-batch+json, or a \
                        CloudEvent with `ce-` headers and its data as the body";

/// The headers that a CloudEvent in binary mode cannot do without.
const REQUIRED: [&str; 4] = ["ce-specversion", "ce-id", "ce-source", "ce-type"];

/// How the bytes of a text are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    Utf8,
    UsAscii,
    Latin1,
}

/// A `Content-Type` as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// The whole value.
    pub text: String,
    /// `type/subtype` in lower case.
    pub essence: String,
    /// `None`: nothing was said.
    pub charset: Option<Charset>,
}

/// How a request carries its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One of ours, or an array of them.
    Native,
    /// A CloudEvent in `ce-` headers, its data the body.
    Binary,
    /// A CloudEvent as JSON.
    Structured,
    /// An array of those.
    Batch,
}

impl ContentType {
    /// `None`: there is no such header. Errors: more than one, no media type, a character set we do not read.
    pub fn of(headers: &[Header<'_>]) -> Result<Option<ContentType>, Refusal> {
        let mut values = headers.iter().filter(|(name, _)| *name == "content-type").map(|(_, value)| *value);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Refusal::invalid("content-type", "must be given once"));
        }
        let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii());
        let text = text.ok_or_else(|| Refusal::invalid("content-type", "must be ASCII"))?.trim();
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let essence = essence.trim().to_ascii_lowercase();
        let is_type = essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
        if !is_type {
            return Err(Refusal::unsupported_type(format!("must be {ACCEPTED}")));
        }
        let charset = charset_of(parameters)?;
        Ok(Some(ContentType { text: text.to_owned(), essence, charset }))
    }

    /// JSON by its name: `application/json`, `text/json`, `…+json`.
    pub fn is_json(&self) -> bool {
        is_json(&self.essence)
    }

    /// A body that is characters by its name.
    pub fn is_text(&self) -> bool {
        let subtype = self.essence.split_once('/').map_or("", |(_, subtype)| subtype);
        self.charset.is_some()
            || self.essence.starts_with("text/")
            || subtype == "xml"
            || subtype.ends_with("+xml")
            || subtype == "x-www-form-urlencoded"
    }

    /// The body's characters. Errors: bytes that the character set does not have.
    pub fn decode<'a>(&self, body: &'a [u8]) -> Result<Cow<'a, str>, Refusal> {
        decode(self.charset.unwrap_or(Charset::Utf8), body)
    }
}

pub(crate) fn is_json(essence: &str) -> bool {
    matches!(essence, "application/json" | "text/json") || essence.ends_with("+json")
}

fn decode(charset: Charset, body: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    match charset {
        Charset::Utf8 => {
            let text = std::str::from_utf8(body);
            text.map(Cow::Borrowed).map_err(|error| Refusal::invalid("body", format!("is not UTF-8: {error}")))
        }
        Charset::UsAscii if !body.is_ascii() => Err(Refusal::invalid("body", "is not US-ASCII, as its charset says")),
        Charset::UsAscii => decode(Charset::Utf8, body),
        Charset::Latin1 => Ok(Cow::Owned(body.iter().map(|byte| char::from(*byte)).collect())),
    }
}

fn is_token(text: &str) -> bool {
    const MARKS: &[u8] = b"!#$%&'*+-.^_`|~";
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || MARKS.contains(&byte))
}

fn charset_of(parameters: &str) -> Result<Option<Charset>, Refusal> {
    let mut found = None;
    for parameter in parameters.split(';') {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        if !name.trim().eq_ignore_ascii_case("charset") {
            continue;
        }
        let value = value.trim().trim_matches('"').to_ascii_lowercase();
        let charset = match value.as_str() {
            "utf-8" | "utf8" => Charset::Utf8,
            "us-ascii" | "ascii" => Charset::UsAscii,
            "iso-8859-1" | "latin1" => Charset::Latin1,
            _ => {
                let value: String = value.chars().take(40).collect();
                let message = format!("charset `{value}` is not read; utf-8, us-ascii and iso-8859-1 are");
                return Err(Refusal::unsupported_type(message));
            }
        };
        if found.is_some_and(|other| other != charset) {
            return Err(Refusal::unsupported_type("must have one charset"));
        }
        found = Some(charset);
    }
    Ok(found)
}

impl Mode {
    /// Errors: 415 for what is none of the four.
    pub fn of(content: Option<&ContentType>, headers: &[Header<'_>]) -> Result<Mode, Refusal> {
        match content.map_or("", |content| content.essence.as_str()) {
            "application/cloudevents+json" => Ok(Mode::Structured),
            "application/cloudevents-batch+json" => Ok(Mode::Batch),
            other if other.starts_with("application/cloudevents") => {
                Err(Refusal::unsupported_type("of CloudEvents' formats, JSON is read"))
            }
            // Any one of the four required headers, so that a missing one is named instead of guessed around.
            _ if headers.iter().any(|(name, _)| REQUIRED.contains(name)) => Ok(Mode::Binary),
            "application/json" => Ok(Mode::Native),
            _ => Err(Refusal::unsupported_type(format!("must be {ACCEPTED}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Fault;

    fn read(value: &str) -> Result<Option<ContentType>, Refusal> {
        ContentType::of(&[("content-type", value.as_bytes())])
    }

    #[test]
    fn types_and_charsets_are_read_in_any_case_and_never_guessed() {
        let cases = [
            ("application/json", "application/json", None),
            ("Application/JSON; charset=UTF-8", "application/json", Some(Charset::Utf8)),
            ("text/plain; charset=\"us-ascii\"; format=flowed", "text/plain", Some(Charset::UsAscii)),
            ("text/plain;charset=ISO-8859-1", "text/plain", Some(Charset::Latin1)),
        ];
        for (value, essence, charset) in cases {
            let read = read(value).unwrap().unwrap();
            assert_eq!((read.essence.as_str(), read.charset), (essence, charset), "{value}");
        }
        for bad in ["json", "", "a/b/c", "text/plain; charset=utf-16", "text/plain; charset=utf-8; charset=us-ascii"] {
            assert_eq!(read(bad).unwrap_err().fault, Fault::UnsupportedType, "{bad}");
        }
        assert_eq!(ContentType::of(&[]), Ok(None));
        let twice = [("content-type", &b"a/b"[..]), ("content-type", b"a/b")];
        assert_eq!(ContentType::of(&twice).unwrap_err().fault, Fault::Invalid);
    }

    #[test]
    fn a_text_is_what_its_charset_says_or_refused() {
        let typed = |value: &str| read(value).unwrap().unwrap();
        assert_eq!(typed("text/plain").decode("é".as_bytes()).unwrap(), "é");
        assert_eq!(typed("text/plain; charset=iso-8859-1").decode(b"\xe9").unwrap(), "é");
        assert!(typed("text/plain; charset=us-ascii").decode("é".as_bytes()).is_err());
        assert!(typed("text/plain").decode(b"\xe9").is_err());
    }

    #[test]
    fn the_mode_follows_from_type_and_headers() {
        let mode = |value: &str, extra: &[&'static str]| {
            let content = if value.is_empty() { None } else { read(value).unwrap() };
            let extra: Vec<Header<'_>> = extra.iter().map(|name| (*name, &b""[..])).collect();
            Mode::of(content.as_ref(), &extra)
        };
        assert_eq!(mode("application/json", &[]), Ok(Mode::Native));
        assert_eq!(mode("application/json", &["ce-id"]), Ok(Mode::Binary));
        assert_eq!(mode("", &["ce-type"]), Ok(Mode::Binary));
        assert_eq!(mode("application/cloudevents+json; charset=utf-8", &["ce-id"]), Ok(Mode::Structured));
        assert_eq!(mode("application/cloudevents-batch+json", &[]), Ok(Mode::Batch));
        for (value, extra) in [("", &[][..]), ("text/plain", &[]), ("application/cloudevents+avro", &["ce-id"])] {
            assert_eq!(mode(value, extra).unwrap_err().fault, Fault::UnsupportedType, "{value}");
        }
    }
}
