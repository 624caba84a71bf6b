//! `[server]`: where it listens, how it speaks TLS, which proxies it believes; and that it does not start in the clear by
//! accident.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use sublet_model::unit::Millis;
use sublet_server::{Network, TlsFiles};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) listen: SocketAddr,
    pub(crate) drain: Millis,
    /// Read as networks by `validate`.
    trusted_proxies: Vec<String>,
    pub(crate) insecure_plain_http: bool,
    tls: Tls,
}

/// Both empty: no TLS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    certificate: PathBuf,
    key: PathBuf,
}

/// `[metrics]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metrics {
    /// Empty: on the API's address.
    listen: String,
}

impl Metrics {
    pub(crate) fn listen(&self) -> Result<Option<SocketAddr>> {
        if self.listen.is_empty() {
            return Ok(None);
        }
        let wrong =
            || format!("metrics.listen must be an address and port such as 127.0.0.1:9100, not {}", self.listen);
        self.listen.parse().map(Some).with_context(wrong)
    }
}

/// Networks of proxies; a longer list is a mistake.
const PROXIES_MAX: usize = 100;

impl Server {
    pub(crate) fn validate(&self) -> Result<()> {
        self.trusted_proxies()?;
        self.tls_files().map(drop)
    }

    pub(crate) fn trusted_proxies(&self) -> Result<Vec<Network>> {
        if self.trusted_proxies.len() > PROXIES_MAX {
            bail!("server.trusted_proxies must have at most {PROXIES_MAX} networks");
        }
        let parsed: Result<Vec<Network>, _> = self.trusted_proxies.iter().map(|text| text.parse()).collect();
        parsed.context("server.trusted_proxies")
    }

    pub(crate) fn tls_files(&self) -> Result<Option<TlsFiles>> {
        let Tls { certificate, key } = &self.tls;
        match (certificate.as_os_str().is_empty(), key.as_os_str().is_empty()) {
            (true, true) => Ok(None),
            (false, false) => Ok(Some(TlsFiles { certificate: certificate.clone(), key: key.clone() })),
            _ => bail!("server.tls.certificate and server.tls.key must be given together"),
        }
    }

    /// Errors: keys and events would cross a network in the clear, and nobody said that this is meant.
    pub(crate) fn check_exposure(&self) -> Result<()> {
        let is_meant = self.insecure_plain_http || !self.trusted_proxies.is_empty();
        if self.listen.ip().is_loopback() || self.tls_files()?.is_some() || is_meant {
            return Ok(());
        }
        bail!(
            "not listening on {} in the clear: keys and events would cross the network for all to read. There are three \
             ways out:\n  - speak TLS: [server.tls] certificate and key\n  - name the proxy that ends TLS in front: \
             [server] trusted_proxies = [\"10.0.0.0/8\"]\n  - on a network that is nobody else's: [server] \
             insecure_plain_http = true, or --insecure-plain-http",
            self.listen
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn an_address_that_others_reach_is_not_served_in_the_clear_by_accident() {
        let check = |text: &str| Config::parse(text).and_then(|config| config.server.check_exposure());
        check("").unwrap();
        check("[server]\nlisten = \"[::1]:7070\"").unwrap();
        for open in ["0.0.0.0:7070", "[::]:7070", "192.0.2.1:80"] {
            let listen = format!("[server]\nlisten = \"{open}\"\n");
            let refused = check(&listen).unwrap_err().to_string();
            for way_out in ["[server.tls]", "trusted_proxies", "insecure_plain_http = true"] {
                assert!(refused.contains(way_out), "{refused}");
            }
            check(&format!("{listen}insecure_plain_http = true")).unwrap();
            check(&format!("{listen}trusted_proxies = [\"10.0.0.0/8\"]")).unwrap();
            check(&format!("{listen}[server.tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"")).unwrap();
        }
    }

    #[test]
    fn half_of_a_certificate_and_a_proxy_without_an_address_are_refused_by_name() {
        for (bad, named) in [
            ("[server.tls]\ncertificate = \"chain.pem\"", "server.tls.key"),
            ("[server.tls]\nkey = \"key.pem\"", "server.tls.certificate"),
            ("[server]\ntrusted_proxies = [\"proxy.example\"]", "server.trusted_proxies"),
            ("[metrics]\nlisten = \"9100\"", "metrics.listen"),
        ] {
            let error = format!("{:#}", Config::parse(bad).unwrap_err());
            assert!(error.contains(named), "{bad}: {error}");
        }
    }
}
