//! Header fields, both ways: what tenant code may send, and what it gets to see.
//!
//! A field's characters are its bytes, as in the web's `Headers`. What belongs to the connection is the gateway's own:
//! it is refused, or left out where a library sets it to what it will be anyhow.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Fields of a request and of an answer, and bytes of all of a request's.
const REQUEST_FIELDS_MAX: usize = 100;
const REQUEST_BYTES_MAX: usize = 32 * 1024;
/// Bytes of a name or value that is said back.
const SAID_BYTES_MAX: usize = 60;
/// Fields and bytes of an answer's head; the bytes are of the buffer it must fit in.
pub(super) const ANSWER_FIELDS_MAX: usize = 128;
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Nobody's to send: what is said about the connection, a proxy or a body that the gateway frames.
const FORBIDDEN: [&str; 8] =
    ["connection", "expect", "http2-settings", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];
/// Not passed on: what was said about the connection.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// As `navigator.userAgent` has it.
const USER_AGENT: &str = "Sublet";

/// The fields of a request as the code wants them, checked and without those that the gateway sets itself. Errors: text
/// for the tenant.
pub(super) fn wanted(
    fields: &[(String, String)],
    host: &str,
    body_bytes: usize,
) -> Result<Vec<(HeaderName, String)>, String> {
    if fields.len() > REQUEST_FIELDS_MAX {
        return Err(format!("fetch refused: more than {REQUEST_FIELDS_MAX} headers"));
    }
    let bytes: usize = fields.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    if bytes > REQUEST_BYTES_MAX {
        return Err(format!("fetch refused: headers of {bytes} bytes, of at most {REQUEST_BYTES_MAX}"));
    }
    let mut kept = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let field = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("fetch refused: `{}` is not a header's name", said(name)))?;
        let value = value.trim_matches([' ', '\t', '\r', '\n']);
        if !value.chars().all(is_field_character) {
            return Err(format!(
                "fetch refused: the value of header `{}` has a line break or another character in it that no header may have",
                said(name)
            ));
        }
        let lower = value.to_ascii_lowercase();
        match field.as_str() {
            "host" if lower == host => {}
            "content-length" if value.parse() == Ok(body_bytes) => {}
            "content-length" => {
                return Err(format!(
                    "fetch refused: header `content-length` says {}, but the body has {body_bytes} bytes",
                    said(value)
                ));
            }
            "connection" if matches!(lower.as_str(), "keep-alive" | "close") => {}
            // Answers come unpacked: see docs/egress.md.
            "accept-encoding" => {}
            own if own == "host" || own.starts_with("proxy-") || FORBIDDEN.contains(&own) => {
                return Err(format!("fetch refused: header `{own}` may not be set"));
            }
            _ => kept.push((field, value.to_owned())),
        }
    }
    Ok(kept)
}

/// What is said back of a text of the code's: all of it as it is, or nothing. A secret that was changed or cut would not be
/// known as one where secrets are taken out.
fn said(text: &str) -> &str {
    if text.len() <= SAID_BYTES_MAX && !text.contains(char::is_control) { text } else { "…" }
}

fn is_field_character(c: char) -> bool {
    matches!(c, '\t' | ' '..='~' | '\u{80}'..='\u{ff}')
}

/// Errors: text for the tenant.
pub(super) fn value_of(name: &HeaderName, value: &str) -> Result<HeaderValue, String> {
    let unfit = || format!("fetch refused: the value of header `{name}` has a character in it that no header may have");
    let bytes: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    HeaderValue::from_bytes(&bytes.ok_or_else(unfit)?).map_err(|_| unfit())
}

/// What the gateway says of itself, where the code does not.
pub(super) fn complete(fields: &mut HeaderMap, authority: &str) -> Result<(), String> {
    fields.insert(header::HOST, value_of(&header::HOST, authority)?);
    fields.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    fields.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    fields.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    Ok(())
}

/// Dropped when a redirect leads to another origin, beside fields with a placeholder.
pub(super) fn is_credential(name: &HeaderName) -> bool {
    matches!(*name, header::AUTHORIZATION | header::COOKIE | header::PROXY_AUTHORIZATION)
}

/// Dropped when a redirect drops the body.
pub(super) fn is_about_body(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONTENT_ENCODING
            | header::CONTENT_LANGUAGE
            | header::CONTENT_LENGTH
            | header::CONTENT_LOCATION
            | header::CONTENT_TYPE
    )
}

/// The fields of an answer as the code sees them; `set-cookie` is among them, once for each.
pub(super) fn shown(fields: &HeaderMap) -> Vec<(String, String)> {
    let named: Vec<String> = fields
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    let passes = |name: &str| !HOP_BY_HOP.contains(&name) && !named.iter().any(|own| own == name);
    let text = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    let kept = fields.iter().filter(|(name, _)| passes(name.as_str()));
    kept.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// About what they take on the wire.
pub(super) fn bytes_of(fields: &HeaderMap) -> u64 {
    fields.iter().map(|(name, value)| name.as_str().len() as u64 + value.len() as u64 + 4).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, value: &str) -> Result<usize, String> {
        wanted(&[(name.to_owned(), value.to_owned())], "api.example.com:8443", 3).map(|kept| kept.len())
    }

    #[test]
    fn what_the_gateway_sets_itself_is_left_out_or_refused() {
        for (name, value) in [
            ("Host", "API.example.com:8443"),
            ("Content-Length", "3"),
            ("Connection", "keep-alive"),
            ("connection", "close"),
            ("accept-encoding", "gzip, br"),
        ] {
            assert_eq!(ask(name, value), Ok(0), "{name}");
        }
        for (name, value) in [
            ("host", "other.example.com"),
            ("content-length", "4"),
            ("content-length", "3, 3"),
            ("content-length", ""),
            ("connection", "upgrade"),
            ("transfer-encoding", "chunked"),
            ("Proxy-Authorization", "Basic x"),
            ("proxy-anything", "x"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("upgrade", "websocket"),
            ("expect", "100-continue"),
            ("keep-alive", "timeout=5"),
        ] {
            assert!(ask(name, value).unwrap_err().starts_with("fetch refused: header"), "{name}");
        }
    }

    #[test]
    fn no_field_can_begin_another() {
        for (name, value) in [
            ("x", "a\r\nhost: evil"),
            ("x", "a\nb"),
            ("x", "a\rb"),
            ("x", "a\0b"),
            ("x", "a\u{7f}b"),
            ("x", "a\u{10d}\u{10a}b"),
            ("x\r\ny", "a"),
            ("x:y", "a"),
            ("x y", "a"),
            ("", "a"),
            ("\u{e9}", "a"),
        ] {
            let error = ask(name, value).unwrap_err();
            assert!(error.starts_with("fetch refused") && !error.contains(['\r', '\n', '\0']), "{name:?} {value:?}");
        }
        let long = ask(&format!("{} ", "a".repeat(SAID_BYTES_MAX)), "a").unwrap_err();
        assert_eq!(long, "fetch refused: `…` is not a header's name");
        assert_eq!(ask("x", " caf\u{e9}\t "), Ok(1));
        assert_eq!(value_of(&HeaderName::from_static("x"), "caf\u{e9}").unwrap().as_bytes(), b"caf\xe9");
    }

    #[test]
    fn headers_are_bounded() {
        let many = vec![("x".to_owned(), "1".to_owned()); REQUEST_FIELDS_MAX + 1];
        assert!(wanted(&many, "a", 0).unwrap_err().contains("more than 100"));
        assert!(ask("x", &"a".repeat(REQUEST_BYTES_MAX)).unwrap_err().contains("at most 32768"));
    }

    #[test]
    fn what_was_said_about_the_connection_is_not_passed_on() {
        let mut fields = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("transfer-encoding", "chunked"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("content-type", "text/plain"),
        ] {
            fields.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let names: Vec<String> = shown(&fields).into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(names, ["set-cookie: a=1", "set-cookie: b=2", "content-type: text/plain"]);
    }
}
