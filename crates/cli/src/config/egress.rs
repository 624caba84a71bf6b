//! `[egress]`: what the gateway allows tenants' requests beside their lists.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use serde::Deserialize;
use sublet_model::{Size, unit::Millis};
use sublet_sandbox::egress::{GatewayParts, GatewaySettings};

const TIMEOUT_MIN: Millis = Millis(100);
const TIMEOUT_MAX: Millis = Millis(900_000);
const AT_ONCE_MAX: usize = 65_536;
const FETCHES_MAX: u32 = 10_000;
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
        if !(1..=FETCHES_MAX).contains(&self.fetches) {
            bail!("egress.fetches must be 1 to {FETCHES_MAX}, not {}", self.fetches);
        }
        for (key, value) in [("request_bytes", self.request_bytes), ("response_bytes", self.response_bytes)] {
            if !(BYTES_MIN..=BYTES_MAX).contains(&value) {
                bail!("egress.{key} must be {BYTES_MIN} to {BYTES_MAX}, not {value}");
            }
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
}
