//! One rule: a place on the net, and what may be asked of it.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::PathPrefix;
use crate::host::HostPattern;

/// Methods of one rule.
const METHODS_MAX: usize = 16;
/// Characters of a method.
const METHOD_CHARS_MAX: usize = 20;
/// Characters of a rule's short form.
const TEXT_CHARS_MAX: usize = 1_024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    #[default]
    Https,
    Http,
}

impl Scheme {
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Https => "https",
            Scheme::Http => "http",
        }
    }

    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Https => 443,
            Scheme::Http => 80,
        }
    }

    pub fn of(text: &str) -> Option<Scheme> {
        match text {
            "https" => Some(Scheme::Https),
            "http" => Some(Scheme::Http),
            _ => None,
        }
    }
}

/// In capitals. `CONNECT`, `TRACE` and `TRACK` are nobody's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Method(String);

impl Method {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Method, String> {
        let upper = text.to_ascii_uppercase();
        let is_word = (1..=METHOD_CHARS_MAX).contains(&upper.len())
            && upper.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'));
        if !is_word || matches!(upper.as_str(), "CONNECT" | "TRACE" | "TRACK") {
            // Whole or not at all: it may be a secret that strayed here, and half a one is not known as such.
            let said = if text.len() <= 2 * METHOD_CHARS_MAX { text } else { "…" };
            return Err(format!("`{said}` is not a method that may be asked for"));
        }
        Ok(Method(upper))
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Written as an object, or in short: `https://api.example.com:8443/v1/`, `*.example.com`, `GET,HEAD example.com`. Unknown
/// keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EgressRule {
    /// `https` when left out.
    pub scheme: Scheme,
    pub host: HostPattern,
    /// Exactly this one; the scheme's when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// Any when left out.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "method_list")]
    pub methods: Option<Vec<Method>>,
    /// Any when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathPrefix>,
}

fn method_list<S: Serializer>(methods: &Option<Vec<Method>>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(methods.iter().flatten())
}

impl EgressRule {
    pub fn port(&self) -> u16 {
        self.port.map_or(self.scheme.default_port(), NonZeroU16::get)
    }
}

impl FromStr for EgressRule {
    type Err = String;

    fn from_str(text: &str) -> Result<EgressRule, String> {
        let wrong = |why: &str| format!("`{}` {why}", text.chars().take(80).collect::<String>());
        if text.len() > TEXT_CHARS_MAX {
            return Err(format!("must not be longer than {TEXT_CHARS_MAX} characters"));
        }
        let (methods, text) = match text.split_once(' ') {
            Some((names, rest)) => (Some(names.split(',').map(str::parse).collect::<Result<Vec<_>, _>>()?), rest),
            None => (None, text),
        };
        let (scheme, rest) = match text.split_once("://") {
            Some((name, rest)) => {
                let scheme = Scheme::of(&name.to_ascii_lowercase());
                (scheme.ok_or_else(|| wrong("has a scheme other than https and http"))?, rest)
            }
            None => (Scheme::Https, text),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], Some(&rest[at..])),
            None => (rest, None),
        };
        if authority.contains('@') {
            return Err(wrong("has a user name or password in it"));
        }
        // The colons of an IPv6 address are within its brackets.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().map_err(|_| wrong("has no port from 1 to 65535 after its colon"))?;
                (host, Some(port))
            }
            _ => (authority, None),
        };
        Ok(EgressRule { scheme, host: host_of(host)?, port, methods, path: path.map(str::parse).transpose()? })
    }
}

/// The short form, with the methods before it when the rule names them.
impl fmt::Display for EgressRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(methods) = &self.methods {
            let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
            write!(f, "{} ", names.join(","))?;
        }
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.path.as_ref().map_or(Ok(()), |path| write!(f, "{path}"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    scheme: Scheme,
    #[serde(deserialize_with = "some_host")]
    host: HostPattern,
    #[serde(default)]
    port: Option<NonZeroU16>,
    #[serde(default, deserialize_with = "some_methods")]
    methods: Option<Vec<Method>>,
    #[serde(default)]
    path: Option<PathPrefix>,
}

/// A rule alone may say `*`.
fn host_of(text: &str) -> Result<HostPattern, String> {
    if text == "*" { Ok(HostPattern::Any) } else { text.parse().map_err(|error: crate::Error| error.message) }
}

fn some_host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HostPattern, D::Error> {
    host_of(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn some_methods<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Method>>, D::Error> {
    let methods: Option<Vec<Method>> = Option::deserialize(deserializer)?;
    match &methods {
        Some(named) if named.is_empty() || named.len() > METHODS_MAX => {
            Err(serde::de::Error::custom(format!("must name 1 to {METHODS_MAX} methods; left out, it is any")))
        }
        _ => Ok(methods),
    }
}

/// By hand, so that an error in an object names the field that is wrong.
impl<'de> Deserialize<'de> for EgressRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EgressRule, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = EgressRule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{\"host\", \"scheme\"?, \"port\"?, \"methods\"?, \"path\"?} or a text such as https://api.example.com/v1/")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<EgressRule, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EgressRule, A::Error> {
                let Written { scheme, host, port, methods, path } =
                    Written::deserialize(MapAccessDeserializer::new(map))?;
                Ok(EgressRule { scheme, host, port, methods, path })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<EgressRule, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_rule_is_written_long_or_short_and_comes_back_the_same() {
        let long = r#"{"scheme": "https", "host": "api.example.com", "port": 8443, "path": "/v1/"}"#;
        let short = r#""https://API.example.com:8443/v1/""#;
        assert_eq!(read(long).unwrap(), read(short).unwrap());
        for text in [
            short,
            r#""*.example.com""#,
            r#""http://example.com""#,
            r#""[2606:4700::1111]:8080""#,
            r#""https://[2606:4700::1111]/x""#,
            r#"{"host": "a.example.com", "methods": ["get", "POST"]}"#,
        ] {
            let rule = read(text).unwrap();
            assert_eq!(read(&serde_json::to_string(&rule).unwrap()).unwrap(), rule, "{text}");
        }
        assert_eq!(read(r#""*.example.com""#).unwrap().port(), 443);
        assert_eq!(read(r#""http://example.com""#).unwrap().port(), 80);
        let shown = read(r#"{"host": "a.example.com", "methods": ["get"], "path": "/v1"}"#).unwrap().to_string();
        assert_eq!(shown, "GET https://a.example.com/v1");
        assert_eq!("GET,POST https://a.example.com".parse::<EgressRule>().unwrap().methods.unwrap().len(), 2);
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_said() {
        for (bad, said) in [
            (r#"{"host": "a.com", "port": 0}"#, "nonzero"),
            (r#"{"host": "a.com", "port": 70000}"#, "70000"),
            (r#"{"host": "a.com", "scheme": "ftp"}"#, "ftp"),
            (r#"{"host": "a.com", "methods": []}"#, "1 to 16"),
            (r#"{"host": "a.com", "methods": ["CONNECT"]}"#, "CONNECT"),
            (r#"{"host": "a.com", "path": "v1"}"#, "slash"),
            (r#"{"host": "a.com", "paths": "/v1"}"#, "paths"),
            (r#"{"port": 80}"#, "host"),
            (r#""ftp://a.com""#, "scheme"),
            (r#""https://me@a.com""#, "user name"),
            (r#""a.com:http""#, "port"),
            (r#""https://a.com/v1?x=1""#, "query"),
            (r#""https:///v1""#, "not a host"),
            (r#""CONNECT a.com""#, "CONNECT"),
            (r#""GET  a.com""#, "not a host"),
            ("7", "https://"),
        ] {
            let why = read(bad).unwrap_err();
            assert!(why.contains(said), "{bad}: {why}");
        }
    }
}
