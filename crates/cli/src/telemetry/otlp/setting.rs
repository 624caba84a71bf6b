//! Where telemetry goes and what it is called: the configuration, and the environment variables that OpenTelemetry
//! defines, which go before it. Headers may hold a secret, so they are never printed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use crate::config;

/// Headers of an export.
const HEADERS_MAX: usize = 32;

#[derive(Clone)]
pub(crate) struct Setting {
    pub(super) traces: Url,
    pub(super) metrics: Url,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) service_name: String,
    pub(crate) sample_ratio: f64,
    pub(crate) metrics_interval: Duration,
}

impl Setting {
    /// `None`: nothing is sent. `env` reads an environment variable. Errors name the key or the variable.
    pub(crate) fn of(telemetry: &config::Telemetry, env: impl Fn(&str) -> Option<String>) -> Result<Option<Setting>> {
        let given = |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
        let (endpoint, key) = match given(ENDPOINT) {
            Some(endpoint) => (endpoint, ENDPOINT),
            None => (telemetry.otlp_endpoint.clone(), "telemetry.otlp_endpoint"),
        };
        if endpoint.is_empty() {
            return Ok(None);
        }
        let base = endpoint_of(&endpoint).with_context(|| key.to_owned())?;
        if let Some(protocol) = given("OTEL_EXPORTER_OTLP_PROTOCOL") {
            ensure!(protocol == "http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, not {protocol}");
        }
        let mut pairs: BTreeMap<String, String> = telemetry.otlp_headers.clone();
        if let Some(text) = given(HEADERS) {
            for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
                // The value is left out of the message: it may be a secret.
                let (name, value) = pair.split_once('=').with_context(|| format!("{HEADERS} must be name=value,…"))?;
                pairs.insert(name.trim().to_owned(), percent_decoded(value.trim()));
            }
        }
        ensure!(pairs.len() <= HEADERS_MAX, "telemetry.otlp_headers must have at most {HEADERS_MAX} headers");
        let headers = pairs.iter().map(|(name, value)| check_header(name, value)).collect::<Result<_>>()?;
        Ok(Some(Setting {
            traces: under(&base, "v1/traces")?,
            metrics: under(&base, "v1/metrics")?,
            headers,
            service_name: given("OTEL_SERVICE_NAME").unwrap_or_else(|| telemetry.service_name.clone()),
            sample_ratio: telemetry.sample_ratio,
            metrics_interval: telemetry.metrics_interval.duration(),
        }))
    }

    pub(crate) fn from_process(telemetry: &config::Telemetry) -> Result<Option<Setting>> {
        Setting::of(telemetry, |name| std::env::var(name).ok())
    }

    /// Without what may be a secret.
    pub(crate) fn shown_endpoint(&self) -> String {
        let port = self.traces.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", self.traces.scheme(), self.traces.host_str().unwrap_or_default())
    }
}

fn endpoint_of(text: &str) -> Result<Url> {
    let url = Url::parse(text).context("is not a URL such as http://127.0.0.1:4318")?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        bail!("must begin with http:// or https:// and name a host");
    }
    ensure!(url.query().is_none() && url.fragment().is_none(), "must end with its path");
    Ok(url)
}

fn under(base: &Url, path: &str) -> Result<Url> {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    Ok(url)
}

fn check_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let header = HeaderName::from_bytes(name.as_bytes())
        .with_context(|| format!("telemetry.otlp_headers: `{name}` is not the name of a header"))?;
    let mut value = HeaderValue::from_str(value)
        .with_context(|| format!("telemetry.otlp_headers: the value of `{name}` is not one of a header"))?;
    value.set_sensitive(true);
    Ok((header, value))
}

/// `%20` and its like; what is no such sequence stays.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn setting(toml: &str, env: &[(&str, &str)]) -> Result<Option<Setting>> {
        let config = Config::parse(&format!("[telemetry]\n{toml}"))?;
        Setting::of(&config.telemetry, |name| {
            env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_is_sent_unless_told_and_the_environment_goes_before_the_file() {
        assert!(setting("", &[]).unwrap().is_none());
        let file = setting("otlp_endpoint = \"http://10.0.0.1:4318/base/\"", &[]).unwrap().unwrap();
        assert_eq!(file.traces.as_str(), "http://10.0.0.1:4318/base/v1/traces");
        assert_eq!(file.shown_endpoint(), "http://10.0.0.1:4318");
        let env = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user@collector"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc, x-team = a"),
            ("OTEL_SERVICE_NAME", "mine"),
        ];
        let both = setting("otlp_endpoint = \"http://10.0.0.1:4318\"\notlp_headers = { x-team = \"b\" }", &env);
        let both = both.unwrap().unwrap();
        assert_eq!((both.metrics.host_str(), both.service_name.as_str()), (Some("collector"), "mine"));
        assert_eq!(both.shown_endpoint(), "https://collector", "no user, no path");
        let headers: Vec<(&str, &[u8])> = both.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        assert_eq!(headers, [("authorization", &b"Bearer abc"[..]), ("x-team", b"a")]);
    }

    #[test]
    fn what_is_no_collector_is_refused_by_name() {
        for (toml, env, named) in [
            ("otlp_endpoint = \"collector:4318\"", None, "telemetry.otlp_endpoint"),
            ("otlp_endpoint = \"ftp://c\"", None, "http"),
            ("otlp_endpoint = \"http://c?x=1\"", None, "path"),
            ("otlp_endpoint = \"http://c\"\notlp_headers = { \"a b\" = \"c\" }", None, "a b"),
            ("", Some(("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense")), "OTEL_EXPORTER_OTLP_ENDPOINT"),
            ("otlp_endpoint = \"http://c\"", Some(("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")), "http/protobuf"),
            ("otlp_endpoint = \"http://c\"", Some(("OTEL_EXPORTER_OTLP_HEADERS", "s3cret")), "name=value"),
        ] {
            let error = setting(toml, env.as_slice()).err().map(|error| format!("{error:#}")).unwrap();
            assert!(error.contains(named) && !error.contains("s3cret"), "{toml} {env:?}: {error}");
        }
    }
}
