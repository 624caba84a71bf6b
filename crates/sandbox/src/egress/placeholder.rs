//! Secrets that tenant code never holds: it holds a token, and the gateway puts the value in its place, in what goes to
//! the hosts that the secret is bound to. A token on its way to any other host is refused, and never sent.
//!
//! A token is replaced in header values (within `Basic` credentials too), in the values of the query, and in bodies of
//! text of at most 64 KiB. Anywhere else it is refused, so that a request never goes out without what it was meant to
//! carry. Only what the code itself wrote is replaced: a redirect's target is not. A token is known by its very letters:
//! one that the code wrote otherwise (`%73ublet_…`) is text like any other, and worth nothing to whoever gets it.
//!
//! Every look is one pass over the text, however many tokens there are.

use std::fmt;
use std::sync::{Arc, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use sublet_model::HostPattern;

/// Bytes of a body in which tokens are replaced.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;

/// One secret of an attempt that its code holds a token of.
#[derive(Clone)]
pub struct Placeholder {
    /// Unguessable, of small letters, digits, `_` and `-` alone.
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

/// An attempt's placeholders, and what finds their tokens.
pub(super) struct Tokens {
    placeholders: Arc<[Placeholder]>,
    /// Made at the first look: most attempts ask for nothing.
    finder: OnceLock<Finder>,
}

enum Finder {
    /// There are no tokens.
    Idle,
    /// Its patterns are the placeholders in their order.
    Searches(AhoCorasick),
    /// It could not be made. Everything counts as holding a token, and nothing is sent.
    Broken,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tokens").field(&self.placeholders).finish()
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

impl Tokens {
    /// A placeholder without a token stands for nothing.
    pub(super) fn new(placeholders: Arc<[Placeholder]>) -> Tokens {
        let is_whole = placeholders.iter().all(|placeholder| !placeholder.token.is_empty());
        let placeholders = match is_whole {
            true => placeholders,
            false => placeholders.iter().filter(|placeholder| !placeholder.token.is_empty()).cloned().collect(),
        };
        Tokens { placeholders, finder: OnceLock::new() }
    }

    fn finder(&self) -> &Finder {
        self.finder.get_or_init(|| {
            if self.placeholders.is_empty() {
                return Finder::Idle;
            }
            // Some 67 bytes each; the other kinds take more memory than an attempt should cost.
            let built = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostFirst)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(self.placeholders.iter().map(|placeholder| placeholder.token.as_bytes()));
            built.map_or(Finder::Broken, Finder::Searches)
        })
    }

    pub(super) fn are_in(&self, text: &[u8]) -> bool {
        match self.finder() {
            Finder::Idle => false,
            Finder::Searches(finder) => finder.is_match(text),
            Finder::Broken => true,
        }
    }

    /// Like [`Tokens::are_in`], and looks into `Basic` credentials.
    pub(super) fn are_in_value(&self, value: &str) -> bool {
        self.are_in(value.as_bytes()) || credentials(value).is_some_and(|inner| self.are_in(&inner))
    }

    /// Errors: text for the tenant.
    pub(super) fn in_header(&self, host: &str, value: &str) -> Result<String, String> {
        if let Some(inner) = credentials(value)
            && self.are_in(&inner)
        {
            let replaced = self.replace(host, &inner, Form::Plain)?;
            return Ok(format!("Basic {}", BASE64.encode(replaced)));
        }
        let replaced = self.replace(host, value.as_bytes(), Form::Plain)?;
        // Header values are bytes written as characters up to U+00FF; a secret beyond that has no form there.
        String::from_utf8(replaced).map_err(|_| "fetch refused: a header is not text".to_owned())
    }

    /// The query, without its question mark. Errors: text for the tenant.
    pub(super) fn in_query(&self, host: &str, query: &str) -> Result<String, String> {
        let replaced = self.replace(host, query.as_bytes(), Form::Percent)?;
        String::from_utf8(replaced).map_err(|_| "fetch refused: the query is not text".to_owned())
    }

    /// A body that holds a token. Errors: text for the tenant.
    pub(super) fn in_body(&self, host: &str, content_type: Option<&str>, body: &[u8]) -> Result<Bytes, String> {
        let Some(form) = form_of(content_type) else {
            return Err(
                "fetch refused: the body holds a secret's placeholder, but its content-type is not of text".to_owned()
            );
        };
        if body.len() > BODY_BYTES_MAX {
            let most = BODY_BYTES_MAX;
            return Err(format!(
                "fetch refused: the body holds a secret's placeholder and is longer than {most} bytes"
            ));
        }
        self.replace(host, body, form).map(Bytes::from)
    }

    /// In one pass, so that what a value holds is not looked at again.
    fn replace(&self, host: &str, text: &[u8], form: Form) -> Result<Vec<u8>, String> {
        let finder = match self.finder() {
            Finder::Idle => return Ok(text.to_vec()),
            Finder::Searches(finder) => finder,
            Finder::Broken => return Err("fetch refused: secrets' placeholders cannot be looked for".to_owned()),
        };
        let mut out = Vec::with_capacity(text.len());
        let mut from = 0;
        for found in finder.find_iter(text) {
            let placeholder = &self.placeholders[found.pattern().as_usize()];
            if !placeholder.hosts.iter().any(|bound| bound.matches(host)) {
                return Err(refusal(placeholder, host));
            }
            out.extend_from_slice(&text[from..found.start()]);
            out.extend_from_slice(&written(&placeholder.value, form));
            from = found.end();
        }
        out.extend_from_slice(&text[from..]);
        Ok(out)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "api.example.com";

    fn secrets() -> Vec<Placeholder> {
        let one = |token: &str, value: &str| Placeholder {
            token: token.to_owned(),
            value: value.to_owned(),
            hosts: vec![HOST.parse().unwrap()],
        };
        vec![one("", "of nothing"), one("slp_one", "a\"b&c"), one("slp_two", "holds slp_one itself")]
    }

    fn tokens() -> Tokens {
        Tokens::new(secrets().into())
    }

    #[test]
    fn a_token_becomes_its_value_as_the_place_needs_it() {
        let all = tokens();
        assert_eq!(all.in_header(HOST, "Bearer slp_one").unwrap(), "Bearer a\"b&c");
        assert_eq!(all.in_query(HOST, "key=slp_one&x=1").unwrap(), "key=a%22b%26c&x=1");
        let basic = format!("Basic {}", BASE64.encode("me:slp_one"));
        assert!(all.are_in_value(&basic));
        assert_eq!(all.in_header(HOST, &basic).unwrap(), format!("Basic {}", BASE64.encode("me:a\"b&c")));
        let body = |kind, text: &str| all.in_body(HOST, Some(kind), text.as_bytes());
        assert_eq!(body("application/json; charset=utf-8", r#"{"k":"slp_one"}"#).unwrap(), r#"{"k":"a\"b&c"}"#);
        assert_eq!(body("text/plain", "slp_one slp_one").unwrap(), "a\"b&c a\"b&c");
        assert_eq!(body("application/x-www-form-urlencoded", "k=slp_one").unwrap(), "k=a%22b%26c");
        assert_eq!(body("text/plain", "nothing").unwrap(), "nothing");
    }

    #[test]
    fn a_token_towards_another_host_or_where_it_cannot_be_replaced_is_refused() {
        let all = tokens();
        for host in ["evil.example", "example.com", "api.example.com.evil.example"] {
            let error = all.in_header(host, "Bearer slp_one").unwrap_err();
            assert!(error.contains("bound to api.example.com") && !error.contains("a\"b"), "{error}");
            assert!(all.in_query(host, "key=slp_two").is_err());
            assert!(all.in_body(host, Some("text/plain"), b"slp_one").is_err());
        }
        assert!(all.in_body(HOST, Some("image/png"), b"slp_one").is_err());
        assert!(all.in_body(HOST, None, b"slp_one").is_err());
        let long = format!("slp_one{}", " ".repeat(BODY_BYTES_MAX));
        assert!(all.in_body(HOST, Some("text/plain"), long.as_bytes()).is_err());
    }

    #[test]
    fn a_value_that_holds_another_token_is_not_looked_into() {
        let mut all = secrets();
        all.reverse();
        let sent = Tokens::new(all.into()).in_header(HOST, "slp_two").unwrap();
        assert_eq!(sent, "holds slp_one itself");
    }

    #[test]
    fn tokens_are_told_apart_however_alike_they_are() {
        let nearly = "sublet_placeholder_".to_owned() + &"a".repeat(47);
        let one = |last: char| Placeholder {
            token: format!("{nearly}{last}"),
            value: last.to_string(),
            hosts: vec![HOST.parse().unwrap()],
        };
        let all = Tokens::new(('b'..='r').map(one).collect());
        let text = nearly.repeat(1_000);
        assert!(!all.are_in(text.as_bytes()));
        let (held, sent) = (format!("{text}k{nearly}c"), format!("{}kc", nearly.repeat(999)));
        assert!(all.are_in(held.as_bytes()));
        assert_eq!(all.in_query(HOST, &held).unwrap(), sent);
        assert!(!Tokens::new(Arc::new([])).are_in(b"anything"));
    }

    #[test]
    fn the_debug_text_of_a_placeholder_tells_neither_token_nor_value() {
        for text in [format!("{:?}", secrets()), format!("{:?}", tokens())] {
            assert!(!text.contains("slp_one") && !text.contains("a\\\"b"), "{text}");
        }
    }
}
