//! The judgement of one request: the tenant's wish and the operator's ceiling must both allow it.

use std::fmt;
use std::sync::Arc;

use super::{EgressRule, Method, Scheme};

/// What is asked for. Everything as a parsed URL has it: the host in lower case, an IPv6 address in brackets, the path
/// without its query, the method in capitals.
#[derive(Debug, Clone, Copy)]
pub struct EgressRequest<'a> {
    pub scheme: Scheme,
    pub host: &'a str,
    pub port: u16,
    pub method: &'a str,
    pub path: &'a str,
}

/// What of a request the nearest rule does not allow, from what is compared first to what is compared last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unmet {
    Host,
    Scheme,
    Port,
    Method,
    Path,
}

/// Both lists of one function. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    /// The version's own.
    pub wish: Arc<[EgressRule]>,
    /// The tenant's, set by the operator.
    pub ceiling: Arc<[EgressRule]>,
}

/// Why a request is not allowed, with a text for the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the tenant's own list does not allow.
    pub wish: Option<Unmet>,
    /// What the operator's ceiling does not allow.
    pub ceiling: Option<Unmet>,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct What {
    scheme: Scheme,
    host: String,
    port: u16,
    method: String,
}

/// Characters of a host and of a method that are said in a refusal: more have none that are real.
const SAID_CHARS_MAX: usize = 253;

impl EgressPolicy {
    pub fn judge(&self, request: &EgressRequest<'_>) -> Result<(), Refusal> {
        let (wish, ceiling) = (unmet(&self.wish, request), unmet(&self.ceiling, request));
        if wish.is_none() && ceiling.is_none() {
            return Ok(());
        }
        // Whole or not at all: where secrets are taken out of this text, half a one would not be known. A path, which is
        // longer and likelier to hold one, is not said.
        let said = |text: &str| if text.len() <= SAID_CHARS_MAX { text.to_owned() } else { "…".to_owned() };
        let what =
            What { scheme: request.scheme, host: said(request.host), port: request.port, method: said(request.method) };
        Err(Refusal { wish, ceiling, what })
    }
}

/// What the nearest rule does not allow; `None`: one allows it all.
fn unmet(rules: &[EgressRule], request: &EgressRequest<'_>) -> Option<Unmet> {
    let mut nearest = Unmet::Host;
    for rule in rules {
        match unmet_of(rule, request) {
            None => return None,
            Some(part) => nearest = nearest.max(part),
        }
    }
    Some(nearest)
}

fn unmet_of(rule: &EgressRule, request: &EgressRequest<'_>) -> Option<Unmet> {
    let names = |methods: &Vec<Method>| methods.iter().any(|method| method.as_str() == request.method);
    if !rule.host.matches(request.host) {
        return Some(Unmet::Host);
    }
    if rule.scheme != request.scheme {
        return Some(Unmet::Scheme);
    }
    if rule.port() != request.port {
        return Some(Unmet::Port);
    }
    if !rule.methods.as_ref().is_none_or(names) {
        return Some(Unmet::Method);
    }
    if !rule.path.as_ref().is_none_or(|prefix| prefix.matches(request.path)) {
        return Some(Unmet::Path);
    }
    None
}

impl What {
    /// The part that is not allowed, in words.
    fn part(&self, unmet: Unmet) -> String {
        match unmet {
            Unmet::Host => format!("host `{}`", self.host),
            Unmet::Scheme => format!("`{}` to host `{}`", self.scheme.as_str(), self.host),
            Unmet::Port => format!("port {} of host `{}`", self.port, self.host),
            Unmet::Method => format!("method {} to host `{}`", self.method, self.host),
            Unmet::Path => format!("the path that was asked of host `{}`", self.host),
        }
    }

    /// A rule that would allow it, as short as can be.
    fn rule(&self) -> String {
        let port = if self.port == self.scheme.default_port() { String::new() } else { format!(":{}", self.port) };
        format!("{}://{}{port}", self.scheme.as_str(), self.host)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.wish, self.ceiling) {
            (Some(unmet), None) => {
                let (part, rule) = (self.what.part(unmet), self.what.rule());
                write!(
                    f,
                    "fetch refused: {part} is not in this function's egress list; add it with `--egress {rule}`"
                )?;
                f.write_str(" or `egress` in its configuration, and deploy")
            }
            (Some(unmet), Some(_)) => {
                let part = self.what.part(unmet);
                write!(
                    f,
                    "fetch refused: {part} is not in this function's egress list, and the operator's ceiling does "
                )?;
                f.write_str("not allow it either; ask the operator before you add it")
            }
            (None, Some(unmet)) => {
                let part = self.what.part(unmet);
                write!(
                    f,
                    "fetch refused: {part} is in this function's egress list, but the operator's ceiling does not "
                )?;
                f.write_str("allow it; ask the operator")
            }
            (None, None) => f.write_str("fetch refused"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(wish: &[&str], ceiling: &[&str]) -> EgressPolicy {
        let rules = |texts: &[&str]| {
            let read = |text: &&str| match text.starts_with('{') {
                true => serde_json::from_str(text).unwrap(),
                false => text.parse().unwrap(),
            };
            texts.iter().map(read).collect()
        };
        EgressPolicy { wish: rules(wish), ceiling: rules(ceiling) }
    }

    fn get<'a>(host: &'a str, path: &'a str) -> EgressRequest<'a> {
        EgressRequest { scheme: Scheme::Https, host, port: 443, method: "GET", path }
    }

    #[test]
    fn both_lists_must_allow_a_request() {
        let request = get("api.example.com", "/v1/a");
        for (wish, ceiling, refusal) in [
            (&["api.example.com"][..], &["*"][..], None),
            (&["*.example.com"], &["https://api.example.com/v1"], None),
            (&[], &["*"], Some((Some(Unmet::Host), None))),
            (&["api.example.com"], &[], Some((None, Some(Unmet::Host)))),
            (&[], &[], Some((Some(Unmet::Host), Some(Unmet::Host)))),
            (&["http://api.example.com"], &["*"], Some((Some(Unmet::Scheme), None))),
            (&["api.example.com:8443"], &["*"], Some((Some(Unmet::Port), None))),
            (&[r#"{"host": "api.example.com", "methods": ["POST"]}"#], &["*"], Some((Some(Unmet::Method), None))),
            (&["api.example.com/v2", "http://api.example.com"], &["*"], Some((Some(Unmet::Path), None))),
            (&["api.example.com/v1"], &["api.example.com/v1/b"], Some((None, Some(Unmet::Path)))),
        ] {
            let judged = policy(wish, ceiling).judge(&request).err().map(|refusal| (refusal.wish, refusal.ceiling));
            assert_eq!(judged, refusal, "{wish:?} {ceiling:?}");
        }
    }

    #[test]
    fn parts_of_two_rules_do_not_add_up_to_one() {
        let both = policy(&["http://api.example.com", "https://other.example.com"], &["*", "http://*"]);
        assert!(both.judge(&get("api.example.com", "/")).is_err());
        assert!(both.judge(&get("other.example.com", "/")).is_ok());
    }

    #[test]
    fn a_refusal_says_no_path_and_no_part_of_a_name() {
        let secret = "s3cret".repeat(50);
        let (path, host) = (format!("/{secret}"), format!("{secret}.example.com"));
        for (wish, request) in [
            (&["api.example.com/v1"][..], get("api.example.com", &path)),
            (&[], get(&host, "/")),
            (
                &[r#"{"host": "api.example.com", "methods": ["POST"]}"#],
                EgressRequest { method: &secret, ..get("api.example.com", "/") },
            ),
        ] {
            let text = policy(wish, &["*"]).judge(&request).unwrap_err().to_string();
            assert!(text.contains("is not in this function's egress list") && !text.contains("s3c"), "{text}");
        }
    }

    #[test]
    fn a_refusal_says_whose_list_it_is() {
        let request = get("api.example.com", "/");
        let said = |wish: &[&str], ceiling: &[&str]| policy(wish, ceiling).judge(&request).unwrap_err().to_string();
        let own = said(&[], &["*"]);
        assert!(own.contains("host `api.example.com` is not in this function's egress list; add it with"), "{own}");
        assert!(own.contains("--egress https://api.example.com"), "{own}");
        let both = said(&[], &[]);
        assert!(both.contains("and the operator's ceiling does not allow it"), "{both}");
        let below = said(&["api.example.com/v1"], &["*"]);
        assert!(
            below.contains("the path that was asked of host `api.example.com` is not in this function's"),
            "{below}"
        );
        let above = said(&["api.example.com"], &[]);
        assert!(above.contains("is in this function's egress list, but the operator's ceiling"), "{above}");
    }
}
