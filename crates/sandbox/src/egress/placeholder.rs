//! Secrets that tenant code never holds: it holds a token, and the gateway puts the value in its place, in what goes to
//! the hosts that the secret is bound to. A token on its way to any other host is refused, and never sent.
//!
//! A token is replaced in header values (within `Basic` credentials too), in the values of the query, and in bodies of
//! text of at most 64 KiB. Anywhere else it is refused, so that a request never goes out without what it was meant to
//! carry. Only what the code itself wrote is replaced: a redirect's target is not.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use sublet_model::HostPattern;

/// Bytes of a body in which tokens are replaced.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;

/// One secret of an attempt that its code holds a token of.
#[derive(Clone)]
pub struct Placeholder {
    /// Unguessable, of letters, digits, `_` and `-` alone.
    pub token: String,
    pub value: String,
    /// The only hosts it is sent to.
    pub hosts: Vec<HostPattern>,
}

/// Never with its value.
impl fmt::Debug for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placeholder").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// How a value is written where its token stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    /// Within a JSON string.
    Json,
    /// Within a query or a form.
    Percent,
}

pub(super) fn holds_token(placeholders: &[Placeholder], bytes: &[u8]) -> bool {
    placeholders.iter().any(|placeholder| holds(bytes, placeholder.token.as_bytes()))
}

/// Like [`holds_token`], and looks into `Basic` credentials.
pub(super) fn value_holds_token(placeholders: &[Placeholder], value: &str) -> bool {
    holds_token(placeholders, value.as_bytes())
        || credentials(value).is_some_and(|inner| holds_token(placeholders, &inner))
}

/// Errors: text for the tenant.
pub(super) fn in_header(placeholders: &[Placeholder], host: &str, value: &str) -> Result<String, String> {
    if let Some(inner) = credentials(value)
        && holds_token(placeholders, &inner)
    {
        let replaced = replace(placeholders, host, &inner, Form::Plain)?;
        return Ok(format!("Basic {}", BASE64.encode(replaced)));
    }
    let replaced = replace(placeholders, host, value.as_bytes(), Form::Plain)?;
    // Header values are bytes written as characters up to U+00FF; a secret beyond that has no form there.
    String::from_utf8(replaced).map_err(|_| "fetch refused: a header is not text".to_owned())
}

/// The query, without its question mark. Errors: text for the tenant.
pub(super) fn in_query(placeholders: &[Placeholder], host: &str, query: &str) -> Result<String, String> {
    let replaced = replace(placeholders, host, query.as_bytes(), Form::Percent)?;
    String::from_utf8(replaced).map_err(|_| "fetch refused: the query is not text".to_owned())
}

/// Errors: text for the tenant.
pub(super) fn in_body(
    placeholders: &[Placeholder],
    host: &str,
    content_type: Option<&str>,
    body: &Bytes,
) -> Result<Bytes, String> {
    if !holds_token(placeholders, body) {
        return Ok(body.clone());
    }
    let Some(form) = form_of(content_type) else {
        return Err(
            "fetch refused: the body holds a secret's placeholder, but its content-type is not of text".to_owned()
        );
    };
    if body.len() > BODY_BYTES_MAX {
        let most = BODY_BYTES_MAX;
        return Err(format!("fetch refused: the body holds a secret's placeholder and is longer than {most} bytes"));
    }
    replace(placeholders, host, body, form).map(Bytes::from)
}

fn form_of(content_type: Option<&str>) -> Option<Form> {
    let media_type = content_type?.split(';').next()?.trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/x-www-form-urlencoded" => Some(Form::Percent),
        "application/json" | "application/x-ndjson" => Some(Form::Json),
        "application/xml" | "application/graphql" | "application/javascript" => Some(Form::Plain),
        other if other.ends_with("+json") => Some(Form::Json),
        other if other.starts_with("text/") || other.ends_with("+xml") => Some(Form::Plain),
        _ => None,
    }
}

/// What is within `Basic …`.
fn credentials(value: &str) -> Option<Vec<u8>> {
    let (scheme, encoded) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then(|| BASE64.decode(encoded.trim()).ok())?
}

/// In one pass, so that what a value holds is not looked at again.
fn replace(placeholders: &[Placeholder], host: &str, text: &[u8], form: Form) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        let here = placeholders.iter().find(|one| !one.token.is_empty() && rest.starts_with(one.token.as_bytes()));
        let Some(placeholder) = here else {
            out.push(*first);
            rest = &rest[1..];
            continue;
        };
        if !placeholder.hosts.iter().any(|bound| bound.matches(host)) {
            return Err(refusal(placeholder, host));
        }
        out.extend_from_slice(&written(&placeholder.value, form));
        rest = &rest[placeholder.token.len()..];
    }
    Ok(out)
}

fn refusal(placeholder: &Placeholder, host: &str) -> String {
    let bound: Vec<String> = placeholder.hosts.iter().map(HostPattern::to_string).collect();
    format!(
        "fetch refused: the request to host `{host}` holds the placeholder of a secret that is bound to {}",
        bound.join(", ")
    )
}

fn written(value: &str, form: Form) -> Vec<u8> {
    match form {
        Form::Plain => value.as_bytes().to_vec(),
        Form::Json => {
            let quoted = serde_json::Value::from(value).to_string();
            quoted.as_bytes()[1..quoted.len() - 1].to_vec()
        }
        Form::Percent => url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().into_bytes(),
    }
}

fn holds(text: &[u8], token: &[u8]) -> bool {
    !token.is_empty() && text.windows(token.len()).any(|part| part == token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Vec<Placeholder> {
        let one = |token: &str, value: &str| Placeholder {
            token: token.to_owned(),
            value: value.to_owned(),
            hosts: vec!["api.example.com".parse().unwrap()],
        };
        vec![one("slp_one", "a\"b&c"), one("slp_two", "holds slp_one itself")]
    }

    #[test]
    fn a_token_becomes_its_value_as_the_place_needs_it() {
        let (all, host) = (secrets(), "api.example.com");
        assert_eq!(in_header(&all, host, "Bearer slp_one").unwrap(), "Bearer a\"b&c");
        assert_eq!(in_query(&all, host, "key=slp_one&x=1").unwrap(), "key=a%22b%26c&x=1");
        let basic = format!("Basic {}", BASE64.encode("me:slp_one"));
        assert!(value_holds_token(&all, &basic));
        assert_eq!(in_header(&all, host, &basic).unwrap(), format!("Basic {}", BASE64.encode("me:a\"b&c")));
        let body = |kind, text: &str| in_body(&all, host, Some(kind), &Bytes::from(text.to_owned()));
        assert_eq!(body("application/json; charset=utf-8", r#"{"k":"slp_one"}"#).unwrap(), r#"{"k":"a\"b&c"}"#);
        assert_eq!(body("text/plain", "slp_one slp_one").unwrap(), "a\"b&c a\"b&c");
        assert_eq!(body("application/x-www-form-urlencoded", "k=slp_one").unwrap(), "k=a%22b%26c");
        assert_eq!(in_body(&all, host, None, &Bytes::from("nothing")).unwrap(), "nothing");
    }

    #[test]
    fn a_token_towards_another_host_or_where_it_cannot_be_replaced_is_refused() {
        let all = secrets();
        for host in ["evil.example", "example.com", "api.example.com.evil.example"] {
            let error = in_header(&all, host, "Bearer slp_one").unwrap_err();
            assert!(error.contains("bound to api.example.com") && !error.contains("a\"b"), "{error}");
            assert!(in_query(&all, host, "key=slp_two").is_err());
            assert!(in_body(&all, host, Some("text/plain"), &Bytes::from("slp_one")).is_err());
        }
        let host = "api.example.com";
        assert!(in_body(&all, host, Some("image/png"), &Bytes::from("slp_one")).is_err());
        assert!(in_body(&all, host, None, &Bytes::from("slp_one")).is_err());
        let long = Bytes::from(format!("slp_one{}", " ".repeat(BODY_BYTES_MAX)));
        assert!(in_body(&all, host, Some("text/plain"), &long).is_err());
    }

    #[test]
    fn a_value_that_holds_another_token_is_not_looked_into() {
        let mut all = secrets();
        all.reverse();
        let sent = in_header(&all, "api.example.com", "slp_two").unwrap();
        assert_eq!(sent, "holds slp_one itself");
    }

    #[test]
    fn the_debug_text_of_a_placeholder_tells_neither_token_nor_value() {
        let text = format!("{:?}", secrets());
        assert!(!text.contains("slp_one") && !text.contains("a\\\"b"), "{text}");
    }
}
