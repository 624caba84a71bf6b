//! `[egress]`: what the gateway allows tenants' requests beside their lists.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use serde::Deserialize;
use sublet_model::{Size, unit::Millis};
use sublet_sandbox::egress::{CALLS_MAX, GatewayParts, GatewaySettings, REQUEST_BODY_BYTES_MAX};

const TIMEOUT_MIN: Millis = Millis(100);
const TIMEOUT_MAX: Millis = Millis(900_000);
const AT_ONCE_MAX: usize = 65_536;
const BYTES_MIN: Size = Size(1 << 10);
const BYTES_MAX: Size = Size(1 << 30);

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Egress {
    pub(crate) timeout: Millis,
    pub(crate) at_once_per_tenant: usize,
    pub(crate) at_once: usize,
    pub(crate) fetches: u32,
    pub(crate) request_bytes: Size,
    pub(crate) response_bytes: Size,
    pub(crate) insecure_allow: Vec<SocketAddr>,
}

impl Egress {
    pub(super) fn validate(&self) -> Result<()> {
        if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&self.timeout) {
            bail!("egress.timeout must be {TIMEOUT_MIN} to {TIMEOUT_MAX}, not {}", self.timeout);
        }
        for (key, value) in [("at_once_per_tenant", self.at_once_per_tenant), ("at_once", self.at_once)] {
            if !(1..=AT_ONCE_MAX).contains(&value) {
                bail!("egress.{key} must be 1 to {AT_ONCE_MAX}, not {value}");
            }
        }
        // A worker passes on no more of them, and no longer ones.
        if !(1..=CALLS_MAX).contains(&self.fetches) {
            bail!("egress.fetches must be 1 to {CALLS_MAX}, not {}", self.fetches);
        }
        for (key, value) in [("request_bytes", self.request_bytes), ("response_bytes", self.response_bytes)] {
            if !(BYTES_MIN..=BYTES_MAX).contains(&value) {
                bail!("egress.{key} must be {BYTES_MIN} to {BYTES_MAX}, not {value}");
            }
        }
        let (one, all) = (Size(REQUEST_BODY_BYTES_MAX), Size(u64::from(self.fetches) * REQUEST_BODY_BYTES_MAX));
        if self.request_bytes > all {
            bail!(
                "egress.request_bytes must be at most {all}: one request has at most {one}, and egress.fetches allows {}",
                self.fetches
            );
        }
        Ok(())
    }

    pub(crate) fn gateway(&self) -> GatewayParts {
        GatewayParts {
            settings: GatewaySettings {
                timeout: self.timeout.duration(),
                at_once_per_tenant: self.at_once_per_tenant,
                at_once: self.at_once,
                fetches: self.fetches,
                request_bytes: self.request_bytes.0,
                response_bytes: self.response_bytes.0,
            },
            insecure_allow: self.insecure_allow.clone(),
            ..GatewayParts::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_default_file_says_what_the_gateway_does_by_itself() {
        let egress = Config::parse("").unwrap().egress;
        assert_eq!(egress.gateway().settings, GatewaySettings::default());
        assert!(egress.insecure_allow.is_empty());
    }

    #[test]
    fn a_setting_that_cannot_hold_is_refused_with_its_name_and_the_most_it_may_be() {
        let read = |text: &str| Config::parse(&format!("[egress]\n{text}")).map(|config| config.egress);
        let refused = |text: &str| read(text).unwrap_err().to_string();
        let why = refused("fetches = 1001");
        assert!(why.contains("egress.fetches must be 1 to 1000, not 1001"), "{why}");
        let why = refused("request_bytes = \"1GiB\"");
        assert!(why.contains("egress.request_bytes must be at most 50MiB: one request has at most 1MiB"), "{why}");
        for held in ["fetches = 1000\nrequest_bytes = \"1000MiB\"", "fetches = 1", "request_bytes = \"50MiB\""] {
            read(held).unwrap();
        }
    }
}
