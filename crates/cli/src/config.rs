//! The configuration: the commented default file, overlaid by the operator's, overlaid by the command line.
//!
//! The default file is the reference and the source of the defaults at once, so it cannot rot.

mod blame;
mod egress;
mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use sublet_engine::QuarantineRule;
use sublet_model::{Isolation, PriceSheet, Size, unit::Millis};
use toml::{Table, Value};

use crate::master_key::Secrets;
pub(crate) use egress::Egress;
pub(crate) use server::{Metrics, Server};

pub(crate) const DEFAULT: &str = include_str!("sublet.default.toml");

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) store: Store,
    pub(crate) sandbox: Sandbox,
    pub(crate) egress: Egress,
    pub(crate) log: Log,
    pub(crate) secrets: Secrets,
    pub(crate) audit: Audit,
    pub(crate) quarantine: Quarantine,
    pub(crate) metrics: Metrics,
    pub(crate) telemetry: Telemetry,
    pub(crate) prices: PriceSheet,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) data: PathBuf,
    pub(crate) disk_reserve: Size,
    pub(crate) retention: Millis,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sandbox {
    pub(crate) workers: usize,
    pub(crate) slots_per_worker: usize,
    pub(crate) isolation: Isolation,
    pub(crate) dedicated_max: usize,
    pub(crate) dedicated_idle: Millis,
    pub(crate) insecure_no_jail: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Audit {
    pub(crate) retention: Millis,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quarantine {
    pub(crate) crashes: u32,
    pub(crate) timeouts: u32,
    pub(crate) of: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) filter: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Telemetry {
    /// Empty: nothing is sent.
    pub(crate) otlp_endpoint: String,
    pub(crate) otlp_headers: BTreeMap<String, String>,
    pub(crate) service_name: String,
    pub(crate) sample_ratio: f64,
    pub(crate) metrics_interval: Millis,
}

/// Between two exports of metrics.
const METRICS_INTERVAL_MIN: Millis = Millis(1_000);
const METRICS_INTERVAL_MAX: Millis = Millis(3_600_000);
const SERVICE_NAME_CHARS_MAX: usize = 128;
const WORKERS_MAX: usize = 256;
const SLOTS_PER_WORKER_MAX: usize = 512;
const DEDICATED_MAX_MAX: usize = 1024;
/// Retention covers at least the greatest age a retry policy allows.
const RETENTION_MIN: Millis = Millis(86_400_000);
/// An audit log that forgets within the day is none.
const AUDIT_RETENTION_MIN: Millis = Millis(86_400_000);

impl Config {
    /// The defaults, overlaid by `file`. Errors name the key and what would be right.
    pub(crate) fn load(file: Option<&Path>) -> Result<Config> {
        let text = match file {
            Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?,
            None => String::new(),
        };
        let place = file.map_or_else(|| "the defaults".to_owned(), |file| file.display().to_string());
        Config::parse(&text).with_context(|| format!("in {place}"))
    }

    pub(crate) fn parse(text: &str) -> Result<Config> {
        let config: Config = match merged(text)?.try_into() {
            Ok(config) => config,
            Err(error) => match blame::mistakes(text).as_slice() {
                [] => return Err(error.into()),
                mistakes => bail!("{}", mistakes.join("\n")),
            },
        };
        config.validate().map_err(|error| match error.to_string().split_once(' ') {
            Some((key, _)) => match blame::line_of(text, key) {
                Some(line) => anyhow::anyhow!("line {line}: {error}"),
                None => error,
            },
            None => error,
        })?;
        Ok(config)
    }

    fn validate(&self) -> Result<()> {
        self.server.validate()?;
        self.metrics.listen()?;
        self.secrets.validate()?;
        self.egress.validate()?;
        if self.audit.retention < AUDIT_RETENTION_MIN {
            bail!("audit.retention must be at least {AUDIT_RETENTION_MIN}, not {}", self.audit.retention);
        }
        let Quarantine { timeouts, of, .. } = self.quarantine;
        if of == 0 || of > QuarantineRule::OF_MAX {
            bail!("quarantine.of must be 1 to {}, not {of}", QuarantineRule::OF_MAX);
        }
        if timeouts > of {
            bail!("quarantine.timeouts must be 0 to {of}, which is quarantine.of, not {timeouts}");
        }
        if self.sandbox.workers > WORKERS_MAX {
            bail!("sandbox.workers must be 0 to {WORKERS_MAX}, not {}", self.sandbox.workers);
        }
        if self.sandbox.dedicated_max == 0 || self.sandbox.dedicated_max > DEDICATED_MAX_MAX {
            bail!("sandbox.dedicated_max must be 1 to {DEDICATED_MAX_MAX}, not {}", self.sandbox.dedicated_max);
        }
        if self.sandbox.slots_per_worker == 0 || self.sandbox.slots_per_worker > SLOTS_PER_WORKER_MAX {
            bail!(
                "sandbox.slots_per_worker must be 1 to {SLOTS_PER_WORKER_MAX}, not {}",
                self.sandbox.slots_per_worker
            );
        }
        if self.store.retention < RETENTION_MIN {
            bail!("store.retention must be at least {RETENTION_MIN}, not {}", self.store.retention);
        }
        let telemetry = &self.telemetry;
        if !(0.0..=1.0).contains(&telemetry.sample_ratio) {
            bail!("telemetry.sample_ratio must be 0 to 1, not {}", telemetry.sample_ratio);
        }
        if !(METRICS_INTERVAL_MIN..=METRICS_INTERVAL_MAX).contains(&telemetry.metrics_interval) {
            let given = telemetry.metrics_interval;
            bail!("telemetry.metrics_interval must be {METRICS_INTERVAL_MIN} to {METRICS_INTERVAL_MAX}, not {given}");
        }
        let chars = telemetry.service_name.chars().count();
        if chars == 0 || chars > SERVICE_NAME_CHARS_MAX {
            bail!("telemetry.service_name must have 1 to {SERVICE_NAME_CHARS_MAX} characters");
        }
        Ok(())
    }
}

fn defaults() -> Result<Table> {
    DEFAULT.parse().context("the default configuration is damaged")
}

/// The defaults with `text` on top.
pub(crate) fn merged(text: &str) -> Result<Table> {
    let mut merged = defaults()?;
    overlay(&mut merged, text.parse()?);
    Ok(merged)
}

/// Tables merge, everything else is replaced.
fn overlay(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(given)) => overlay(inner, given),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_is_a_valid_configuration() {
        let config = Config::parse("").unwrap();
        assert_eq!(config.prices, PriceSheet::default());
        assert!(config.server.listen.ip().is_loopback());
        assert!(!config.sandbox.insecure_no_jail);
    }

    #[test]
    fn a_file_overlays_key_by_key_and_unknown_keys_are_refused_by_name() {
        let config = Config::parse("[sandbox]\nworkers = 3\n").unwrap();
        assert_eq!((config.sandbox.workers, config.sandbox.slots_per_worker), (3, 32));
        for (bad, named) in [
            ("[sandbox]\nworker = 3", "worker"),
            ("[store]\nretention = \"7\"", "retention"),
            ("[store]\nretention = \"1s\"", "store.retention"),
            ("[audit]\nretention = \"1h\"", "audit.retention"),
            ("[sandbox]\nslots_per_worker = 0", "slots_per_worker"),
            ("[egress]\ntimeout = \"0s\"", "egress.timeout"),
            ("[egress]\nfetches = 0", "egress.fetches"),
            ("[egress]\ninsecure_allow = [\"localhost:80\"]", "insecure_allow"),
            ("[quarantine]\nof = 0", "quarantine.of"),
            ("[quarantine]\ntimeouts = 21", "quarantine.timeouts"),
            ("[tls]\n", "tls"),
        ] {
            let error = format!("{:#}", Config::parse(bad).unwrap_err());
            assert!(error.contains(named), "{bad}: {error}");
        }
    }
}
